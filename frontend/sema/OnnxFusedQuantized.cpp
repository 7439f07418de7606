// What ONNX Runtime's quantiser writes beside the operators of the default domain: operands in eight bits, each followed by its
// scale and zero point. Sums, pools and functions are computed on the numbers that are meant and quantised again.
#include "OnnxQuantized.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

Val one(Tensors &t, const Val &v) { return product(v.shape) == Dim(1) ? t.reshape(v, {}) : v; }

/// What operand i means, its scale and zero point being the two after it.
Val meant(NodeCall &c, size_t i) {
  Val x = c.t.cast(c.x(i), Type::F32);
  if (c.has(i + 2))
    x = c.t.sub(x, c.t.cast(one(c.t, c.in[i + 2]), Type::F32));
  return c.t.mul(x, one(c.t, c.x(i + 1)));
}
/// As the scale at operand i and the zero point after it say; the type is that of `like` where there is none.
Val given(NodeCall &c, const Val &y, size_t i, Type like) {
  Val zero = c.has(i + 1) ? one(c.t, c.in[i + 1]) : Val();
  return quantized(c.t, y, one(c.t, c.x(i)), zero, zero.some() ? zero.type : like);
}

template <Op op> Vals binary(NodeCall &c) { return {given(c, c.t.pointwise(op, {meant(c, 0), meant(c, 3)}), 6, c.x(0).type)}; }
Vals leakyRelu(NodeCall &c) {
  Val y = c.as("LeakyRelu", 17, {meant(c, 0)}, {{"alpha", attributeOf(c.real("alpha", 0.01))}})[0];
  return {given(c, y, 3, c.x(0).type)};
}
Vals sigmoid(NodeCall &c) { return {given(c, c.t.unary(Op::Sigmoid, meant(c, 0)), 3, c.x(0).type)}; }
Vals softmax(NodeCall &c) {
  Val x = meant(c, 0);
  int64_t set = c.integer("opset", 13);
  return {given(c, c.as("Softmax", set, {x}, {{"axis", attributeOf(c.integer("axis", set < 13 ? 1 : -1))}})[0], 3, c.x(0).type)};
}
Vals where(NodeCall &c) { // condition, then x and y, each with scale and zero point
  return {given(c, c.t.select(c.x(0), meant(c, 1), meant(c, 4)), 7, c.x(1).type)};
}
Vals concat(NodeCall &c) { // scale and zero point of the result, then each part with its own
  Vals parts;
  for (size_t i = 2; i < c.in.size(); i += 3)
    parts.push_back(meant(c, i));
  if (parts.empty())
    refuse("no parts");
  return {given(c, c.t.concat(parts, size_t(axisOf(c.integer("axis", 0), parts[0].rank()))), 0, c.x(2).type)};
}

/// With the channels last, an operator of the default domain between two transpositions.
Val channelsFirst(NodeCall &c, const Val &x) {
  std::vector<int64_t> order = {0, int64_t(x.rank()) - 1};
  for (size_t i = 1; i + 1 < x.rank(); ++i)
    order.push_back(int64_t(i));
  return c.t.transpose(x, order);
}
Val channelsLast(NodeCall &c, const Val &y) {
  std::vector<int64_t> order(y.rank());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return c.t.transpose(y, order);
}
template <class Body> Val either(NodeCall &c, const Val &x, Body body) {
  if (!c.integer("channels_last", 0))
    return body(x);
  if (x.rank() < 3)
    refuse("channels last in " + typeText(x));
  return channelsLast(c, body(channelsFirst(c, x)));
}
Vals averagePool(NodeCall &c) {
  Val y = either(c, meant(c, 0), [&](const Val &x) { return c.as("AveragePool", 19, {x}, c.node.attributes)[0]; });
  return {given(c, y, 3, c.x(0).type)};
}
Vals globalPool(NodeCall &c) {
  Val y = either(c, meant(c, 0), [&](const Val &x) { return c.as("GlobalAveragePool", 1, {x})[0]; });
  return {given(c, y, 3, c.x(0).type)};
}
Vals convolution(NodeCall &c) {
  return {either(c, c.x(0), [&](const Val &x) {
    Vals in = c.in;
    in[0] = x;
    return c.as("QLinearConv", 10, in, c.node.attributes)[0];
  })};
}
Vals maxPool(NodeCall &c) {
  return {channelsLast(c, c.as("MaxPool", 12, {channelsFirst(c, c.ranked(3))}, c.node.attributes)[0])};
}

// ---------------------------------------------------------------- products

Val biased(NodeCall &c, const Val &y, size_t i) { return c.has(i) ? c.t.add(y, c.in[i]) : y; }
Vals floatProduct(NodeCall &c) { // a, b, their scales, their zero points, bias
  return {biased(c, scaledProduct(c, {c.x(0), c.x(1), c.x(2), c.x(3), c.operand(4), c.operand(5)}), 6)};
}
Vals dynamicProduct(NodeCall &c) { // a in floating point, b, its scale and zero point, bias
  Vals a = dynamicallyQuantized(c.t, c.x(0));
  return {biased(c, scaledProduct(c, {a[0], c.x(1), a[1], c.x(2), a[2], c.operand(3)}), 4)};
}
Vals gemm(NodeCall &c) { // a, its scale and zero point, b, its own, bias in i32, scale and zero point of the result
  Tensors &t = c.t;
  auto turned = [&](const Val &v, const char *turns) {
    return c.integer(turns, 0) ? t.transpose(v, {1, 0}) : v;
  };
  if (c.x(0).rank() != 2 || c.x(3).rank() != 2)
    refuse("a product of " + typeText(c.x(0)) + " and " + typeText(c.x(3)));
  Val sum = integerProduct(t, turned(c.x(0), "transA"), turned(c.x(3), "transB"), c.x(2), c.operand(5));
  Val y = t.cast(biased(c, sum, 6), Type::F32);
  y = t.mul(y, t.mul(t.mul(one(t, c.x(1)), one(t, c.x(4))), c.real("alpha", 1)));
  return {c.has(7) ? given(c, y, 7, Type::U8) : y};
}

/// Weights of four or eight bits in blocks along the rows, each with a scale and a zero point: [N, blocks, bytes].
Vals blockProduct(NodeCall &c) {
  Tensors &t = c.t;
  int64_t bits = c.integer("bits", 4), block = c.integer("block_size", 32), k = c.integer("K", 0), n = c.integer("N", 0);
  if ((bits != 4 && bits != 8) || block < 1 || k < 1 || n < 1 || c.integer("weight_prepacked", 0) || c.has(4))
    refuse("weights of " + std::to_string(bits) + " bits in blocks of " + std::to_string(block) + ", or in an order of their own");
  Dim blocks = (k + block - 1) / block;
  // Two numbers in a byte, the lower half first.
  auto unpacked = [&](const Val &v, const Dim &each) {
    Val x = t.cast(v, Type::F32);
    if (bits == 4) {
      Val high = t.unary(Op::Floor, t.mul(x, 1.0 / 16)), low = t.sub(x, t.mul(high, 16));
      x = t.concat({t.unsqueeze(low, {-1}), t.unsqueeze(high, {-1})}, x.rank());
    }
    Dim all = product(x.shape).floorDiv(n);
    x = t.reshape(x, {Dim(n), all});
    return all == each ? x : t.slice(x, 1, 0, each);
  };
  if (product(c.x(2).shape) != Dim(n) * blocks)
    refuse("scales " + typeText(c.x(2)) + " for " + blocks.str() + " blocks in each of " + std::to_string(n) + " rows");
  std::vector<Dim> each = {Dim(n), blocks, Dim(1)};
  Val w = t.reshape(unpacked(c.x(1), blocks * Dim(block)), {Dim(n), blocks, Dim(block)});
  Val zero = !c.has(3)                       ? t.scalar(bits == 4 ? 8 : 128, Type::F32)
             : isFloat(c.in[3].type)         ? t.reshape(t.cast(c.in[3], Type::F32), each)
                                             : t.reshape(unpacked(c.in[3], blocks), each);
  w = t.mul(t.sub(w, zero), t.reshape(t.cast(c.x(2), Type::F32), each));
  w = t.slice(t.reshape(w, {Dim(n), blocks * Dim(block)}), 1, 0, Dim(k));
  Val y = t.matmul(c.x(0), t.cast(t.transpose(w, {1, 0}), c.x(0).type));
  return {biased(c, y, 5)};
}

Vals quantize(NodeCall &c) { return c.as("QuantizeLinear", 21, c.in, c.node.attributes); }
Vals dequantize(NodeCall &c) { return c.as("DequantizeLinear", 21, c.in, c.node.attributes); }

} // namespace

void addFusedQuantized(Table &t) {
  const std::pair<const char *, Operator> mine[] = {
      {"QLinearAdd", binary<Op::Add>}, {"QLinearMul", binary<Op::Mul>}, {"QLinearLeakyRelu", leakyRelu}, {"QLinearSigmoid", sigmoid},
      {"QLinearSoftmax", softmax}, {"QLinearWhere", where}, {"QLinearConcat", concat},
      {"QLinearAveragePool", averagePool}, {"QLinearGlobalAveragePool", globalPool}, {"QLinearConv", convolution}, {"NhwcMaxPool", maxPool},
      {"MatMulIntegerToFloat", floatProduct}, {"DynamicQuantizeMatMul", dynamicProduct}, {"QGemm", gemm}, {"MatMulNBits", blockProduct},
      {"QuantizeLinear", quantize}, {"DequantizeLinear", dequantize}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kContributed) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
