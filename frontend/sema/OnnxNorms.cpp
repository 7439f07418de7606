// Normalisation. Running statistics of the file are states, not parameters: training leaves them alone.
#include "OnnxNode.h"
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

std::vector<int64_t> from(size_t first, size_t rank) {
  std::vector<int64_t> dims(rank - first);
  std::iota(dims.begin(), dims.end(), int64_t(first));
  return dims;
}
Val channel(Tensors &t, const Val &v, size_t rank) {
  if (rank < 2)
    return v;
  std::vector<Dim> shape(rank - 1, Dim(1));
  shape[0] = product(v.shape);
  return t.reshape(v, shape);
}
struct Centred {
  Val mean, rest, inverse; // inverse deviation
};
Centred centre(Tensors &t, const Val &x, const std::vector<int64_t> &dims, double epsilon) {
  Val mean = t.mean(x, dims, true), rest = t.sub(x, mean);
  Val variance = t.mean(t.mul(rest, rest), dims, true);
  return {mean, rest, t.unary(Op::Rsqrt, t.add(variance, epsilon))};
}

Vals batchNorm(NodeCall &c) {
  const Val &x = c.ranked(1);
  double epsilon = c.real("epsilon", 1e-5), momentum = c.real("momentum", 0.9);
  size_t rank = x.rank();
  bool training = c.integer("training_mode", 0);
  Type inner = x.type;
  Val mean = c.t.cast(c.t.fixed(c.x(3)), inner), variance = c.t.cast(c.t.fixed(c.x(4)), inner);
  Vals out(1);
  if (training) {
    std::vector<int64_t> dims = {0};
    for (size_t i = 2; i < rank; ++i)
      dims.push_back(int64_t(i));
    Val now = c.t.mean(x, dims, false), apart = c.t.sub(x, channel(c.t, now, rank));
    Val spread = c.t.mean(c.t.mul(apart, apart), dims, false);
    out.push_back(c.t.cast(c.t.add(c.t.mul(mean, momentum), c.t.mul(now, 1 - momentum)), c.x(3).type));
    out.push_back(c.t.cast(c.t.add(c.t.mul(variance, momentum), c.t.mul(spread, 1 - momentum)), c.x(4).type));
    mean = now;
    variance = spread;
  }
  Val scale = c.t.mul(c.t.cast(c.x(1), inner), c.t.unary(Op::Rsqrt, c.t.add(variance, epsilon)));
  Val y = c.t.mul(c.t.sub(x, channel(c.t, mean, rank)), channel(c.t, scale, rank));
  out[0] = c.t.add(y, channel(c.t, c.t.cast(c.x(2), inner), rank));
  return out;
}

Vals instanceNorm(NodeCall &c) {
  const Val &x = c.ranked(3);
  Centred n = centre(c.t, x, from(2, x.rank()), c.real("epsilon", 1e-5));
  Val y = c.t.mul(c.t.mul(n.rest, n.inverse), channel(c.t, c.x(1), x.rank()));
  return {c.t.add(y, channel(c.t, c.x(2), x.rank()))};
}

/// The type that a node asks its statistics to be computed in.
Type stash(NodeCall &c, Type type) { return c.integer("stash_type", 1) == 1 && type != Type::F64 ? Type::F32 : type; }

Vals layerNorm(NodeCall &c) {
  const Val &given = c.x();
  Type type = given.type, wide = stash(c, type);
  Val x = c.t.cast(given, wide);
  size_t axis = size_t(axisOf(c.integer("axis", -1), x.rank()));
  Centred n = centre(c.t, x, from(axis, x.rank()), c.real("epsilon", 1e-5));
  Val y = c.t.mul(c.t.cast(c.t.mul(n.rest, n.inverse), type), c.x(1));
  if (c.has(2))
    y = c.t.add(y, c.in[2]);
  return {y, n.mean, n.inverse};
}

Vals rmsNorm(NodeCall &c) {
  const Val &given = c.x();
  Type type = given.type, wide = stash(c, type);
  Val x = c.t.cast(given, wide);
  size_t axis = size_t(axisOf(c.integer("axis", -1), x.rank()));
  Val square = c.t.mean(c.t.mul(x, x), from(axis, x.rank()), true);
  Val y = c.t.mul(x, c.t.unary(Op::Rsqrt, c.t.add(square, c.real("epsilon", 1e-5))));
  return {c.t.mul(c.t.cast(y, type), c.x(1))};
}

Vals groupNorm(NodeCall &c) {
  const Val &given = c.x();
  Type type = given.type, wide = c.version >= 21 ? stash(c, type) : type;
  Val x = c.t.cast(given, wide);
  int64_t groups = c.integer("num_groups", 1);
  if (x.rank() < 3 || groups < 1)
    refuse(std::to_string(groups) + " groups of " + typeText(given));
  Dim each = x.shape[1].floorDiv(groups);
  std::vector<Dim> split = {x.shape[0], groups, each};
  split.insert(split.end(), x.shape.begin() + 2, x.shape.end());
  Val parts = c.t.reshape(x, split);
  Centred n = centre(c.t, parts, from(2, parts.rank()), c.real("epsilon", 1e-5));
  Val y = c.t.mul(n.rest, n.inverse), scale = c.t.cast(c.x(1), wide), bias = c.t.cast(c.x(2), wide);
  if (c.version < 21) { // one number for each group
    y = c.t.add(c.t.mul(y, channel(c.t, scale, parts.rank())), channel(c.t, bias, parts.rank()));
    return {c.t.reshape(y, x.shape)};
  }
  y = c.t.reshape(y, x.shape);
  return {c.t.cast(c.t.add(c.t.mul(y, channel(c.t, scale, x.rank())), channel(c.t, bias, x.rank())), type)};
}

Vals localResponse(NodeCall &c) {
  const Val &x = c.ranked(3);
  int64_t size = c.integer("size", 1);
  double alpha = c.real("alpha", 1e-4), beta = c.real("beta", 0.75), bias = c.real("bias", 1);
  // Sums over neighbouring channels: windows over the second dimension, brought to the end.
  std::vector<int64_t> order(x.rank());
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[1], order.back());
  Val square = c.t.transpose(c.t.mul(x, x), order);
  std::vector<int64_t> low(x.rank(), 0), high = low, none = low;
  low.back() = (size - 1) / 2;
  high.back() = size - 1 - low.back();
  Val windows = c.t.windows(c.t.pad(square, low, high, none, c.t.scalar(0, x.type)), {size}, {1}, {1});
  Val sum = c.t.transpose(c.t.sum(windows, {int64_t(x.rank())}, false), order);
  Val base = c.t.add(c.t.mul(sum, alpha / double(size)), bias);
  return {c.t.div(x, c.t.pointwise(Op::Pow, {base, c.t.scalar(beta, x.type)}))};
}

Vals lpNorm(NodeCall &c) {
  const Val &x = c.x();
  int64_t axis = axisOf(c.integer("axis", -1), x.rank()), p = c.integer("p", 2);
  Val norm = p == 1 ? c.t.sum(c.t.unary(Op::Abs, x), {axis}, true)
                    : c.t.unary(Op::Sqrt, c.t.sum(c.t.mul(x, x), {axis}, true));
  Val zero = c.t.compare(Op::Eq, norm, 0);
  return {c.t.div(x, c.t.select(zero, c.t.scalar(1, x.type), norm))}; // zeros stay zeros
}

Vals meanVariance(NodeCall &c) {
  const Val &x = c.x();
  std::vector<int64_t> axes;
  for (int64_t a : c.integers("axes", {0, 2, 3}))
    axes.push_back(axisOf(a, x.rank()));
  Val rest = c.t.sub(x, c.t.mean(x, axes, true));
  Val deviation = c.t.unary(Op::Sqrt, c.t.mean(c.t.mul(rest, rest), axes, true));
  return {c.t.div(rest, c.t.add(deviation, 1e-9))};
}

} // namespace

void addNorms(Table &t) {
  const Table mine = {
      {"BatchNormalization", batchNorm}, {"InstanceNormalization", instanceNorm}, {"LayerNormalization", layerNorm},
      {"RMSNormalization", rmsNorm}, {"SimplifiedLayerNormalization", rmsNorm}, // the name ONNX Runtime gives it
      {"GroupNormalization", groupNorm}, {"LRN", localResponse},
      {"LpNormalization", lpNorm}, {"MeanVarianceNormalization", meanVariance},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
