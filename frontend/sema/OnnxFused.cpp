// What ONNX Runtime's optimiser makes of several operators, the domain `com.microsoft`: each is told as those it stands for.
#include "OnnxNode.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

/// The activation that is part of a fused node, with its numbers in a list (FusedConv) or as attributes (FusedGemm).
Val activated(NodeCall &c, const Val &v) {
  std::string how = c.text("activation", "");
  std::vector<double> numbers = c.reals("activation_params");
  auto number = [&](size_t i, const char *name, double otherwise) {
    return i < numbers.size() ? numbers[i] : c.real(name, otherwise);
  };
  Tensors &t = c.t;
  if (how.empty())
    return v;
  if (how == "Relu" || how == "Tanh" || how == "Sigmoid" || how == "Softplus" || how == "Softsign")
    return c.as(how, 17, {v})[0];
  if (how == "Clip")
    return t.min(t.max(v, number(0, "activation_alpha", std::numeric_limits<float>::lowest())),
                 number(1, "activation_beta", std::numeric_limits<float>::max()));
  if (how == "LeakyRelu")
    return c.as(how, 17, {v}, {{"alpha", attributeOf(number(0, "activation_alpha", 0.01))}})[0];
  if (how == "Elu" || how == "ThresholdedRelu")
    return c.as(how, 17, {v}, {{"alpha", attributeOf(number(0, "activation_alpha", 1))}})[0];
  if (how == "HardSigmoid")
    return c.as(how, 17, {v}, {{"alpha", attributeOf(number(0, "activation_alpha", 0.2))},
                               {"beta", attributeOf(number(1, "activation_beta", 0.5))}})[0];
  refuse("the activation `" + how + "`");
}

Vals fusedConv(NodeCall &c) {
  Vals in = c.in;
  in.resize(std::min<size_t>(in.size(), 3));
  Val y = c.as("Conv", 17, in, c.node.attributes)[0];
  if (c.has(3))
    y = c.t.add(y, c.in[3]);
  return {activated(c, y)};
}

Vals fusedGemm(NodeCall &c) { return {activated(c, c.as("Gemm", 17, c.in, c.node.attributes)[0])}; }

Vals fusedMatMul(NodeCall &c) {
  auto side = [&](size_t i, const char *turns, const char *turnsBatch) {
    Val v = c.x(i);
    std::vector<int64_t> order(v.rank());
    std::iota(order.begin(), order.end(), 0);
    if (c.integer(turnsBatch, 0) && v.rank() > 2) // the first dimension goes before the last
      std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
    if (c.integer(turns, 0) && v.rank() > 1)
      std::swap(order[v.rank() - 1], order[v.rank() - 2]);
    return c.t.transpose(v, order);
  };
  Val y = c.t.matmul(side(0, "transA", "transBatchA"), side(1, "transB", "transBatchB"));
  double alpha = c.real("alpha", 1);
  return {activated(c, alpha == 1 ? y : c.t.mul(y, alpha))};
}

// ---------------------------------------------------------------- activations

Val biased(NodeCall &c) { return c.has(1) ? c.t.add(c.x(0), c.in[1]) : c.x(0); }
Vals gelu(NodeCall &c) { return c.as("Gelu", 20, {biased(c)}); }
Vals fastGelu(NodeCall &c) {
  Val x = biased(c), inner = c.t.mul(x, c.t.add(c.t.mul(c.t.mul(x, x), 0.044715 * std::sqrt(2 / std::numbers::pi)), std::sqrt(2 / std::numbers::pi)));
  return {c.t.mul(c.t.mul(x, 0.5), c.t.add(c.t.unary(Op::Tanh, inner), 1))};
}
Vals quickGelu(NodeCall &c) {
  return {c.t.mul(c.x(), c.t.unary(Op::Sigmoid, c.t.mul(c.x(), c.real("alpha", 1.702f))))};
}

// ---------------------------------------------------------------- normalisation

/// Operands x, skip, scale, ...: the sum, with the bias at `bias`, is normalised and is the fourth result as well.
Vals skipped(NodeCall &c, const char *norm, int64_t version, size_t bias) {
  Val sum = c.t.add(c.x(0), c.x(1));
  if (c.has(bias))
    sum = c.t.add(sum, c.in[bias]);
  Vals in = {sum, c.x(2)};
  if (bias == 4 && c.has(3))
    in.push_back(c.in[3]);
  Vals out = c.as(norm, version, in, {{"epsilon", attributeOf(c.real("epsilon", 1e-12))}});
  out.resize(3);
  out.push_back(sum);
  return out;
}
Vals skipLayerNorm(NodeCall &c) { return skipped(c, "LayerNormalization", 17, 4); }
Vals skipRmsNorm(NodeCall &c) { return skipped(c, "RMSNormalization", 23, 3); }

Vals embedLayerNorm(NodeCall &c) {
  // ids, segments, tables of words, positions and segments, scale, shift, mask, positions
  Tensors &t = c.t;
  const Val &ids = c.x(0), &positions = c.x(3);
  if (ids.rank() != 2)
    refuse("ids " + typeText(ids));
  Val at = c.has(8) ? t.take(positions, c.in[8], 0) : t.slice(positions, 0, 0, ids.shape[1]);
  Val sum = t.add(t.take(c.x(2), ids, 0), at);
  if (c.has(1) && c.has(4))
    sum = t.add(sum, t.take(c.in[4], c.in[1], 0));
  Vals in = {sum, c.x(5)};
  if (c.has(6))
    in.push_back(c.in[6]);
  Val y = c.as("LayerNormalization", 17, in, {{"epsilon", attributeOf(c.real("epsilon", 1e-12))}})[0];
  Val lengths = c.has(7) ? t.sum(t.cast(c.in[7], Type::I32), {1}, false)
                         : t.broadcast(t.scalar(0, Type::I32), {ids.shape[0]});
  return {y, lengths, sum};
}

// ---------------------------------------------------------------- what the default domain has by another form

Vals distances(NodeCall &c) {
  Tensors &t = c.t;
  std::string metric = c.text("metric", "sqeuclidean");
  if (c.x(0).rank() != 2 || c.x(1).rank() != 2 || (metric != "sqeuclidean" && metric != "euclidean"))
    refuse("the distance `" + metric + "` of " + typeText(c.x(0)) + " and " + typeText(c.x(1)));
  Val apart = t.sub(t.unsqueeze(c.x(0), {1}), t.unsqueeze(c.x(1), {0}));
  Val square = t.sum(t.mul(apart, apart), {2}, false);
  return {metric == "euclidean" ? t.unary(Op::Sqrt, square) : square};
}
Vals expandDims(NodeCall &c) {
  int64_t axis = c.t.oneInt(c.x(1), "`axis`");
  return {c.t.unsqueeze(c.x(0), {axisOf(axis, c.x(0).rank() + 1)})};
}
Vals pad(NodeCall &c) { return c.as("Pad", 13, c.in, c.node.attributes); }
Vals gridSample(NodeCall &c) { return c.as("GridSample", 16, c.in, c.node.attributes); }
Vals trilu(NodeCall &c) { return c.as("Trilu", 14, c.in, c.node.attributes); }

} // namespace

void addFused(Table &t) {
  const std::pair<const char *, Operator> mine[] = {
      {"FusedConv", fusedConv}, {"FusedGemm", fusedGemm}, {"FusedMatMul", fusedMatMul}, {"TransposeMatMul", fusedMatMul},
      {"FusedMatMulActivation", fusedMatMul}, {"Gelu", gelu}, {"BiasGelu", gelu}, {"FastGelu", fastGelu}, {"QuickGelu", quickGelu},
      {"SkipLayerNormalization", skipLayerNorm},
      {"SkipSimplifiedLayerNormalization", skipRmsNorm}, {"EmbedLayerNormalization", embedLayerNorm},
      {"CDist", distances}, {"ExpandDims", expandDims}, {"Pad", pad}, {"GridSample", gridSample}, {"Trilu", trilu}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kContributed) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
