// Quantised numbers: a whole number, a scale and a zero point, for the tensor, for each row, or for blocks of one.
#include "OnnxQuantized.h"
#include <map>

namespace bigm::sema::onnx_import {

Range rangeOf(Type type) {
  static const std::map<Type, Range> ranges = {{Type::U8, {0, 255}}, {Type::I8, {-128, 127}}, {Type::U16, {0, 65535}},
                                               {Type::I16, {-32768, 32767}}, {Type::U4, {0, 15}}, {Type::I4, {-8, 7}},
                                               {Type::I32, {-2147483648.0, 2147483647.0}}};
  auto found = ranges.find(type);
  if (found == ranges.end())
    refuse(std::string("quantised numbers of the type ") + onnx::name(type));
  return found->second;
}

Val quantized(Tensors &t, const Val &x, const Val &scale, const Val &zero, Type type) {
  Range r = rangeOf(type);
  Val y = t.unary(Op::Round, t.div(x, scale));
  if (zero.some())
    y = t.add(y, t.cast(zero, y.type));
  return t.cast(t.min(t.max(y, r.low), r.high), type);
}

Vals dynamicallyQuantized(Tensors &t, const Val &x) {
  std::vector<int64_t> all;
  for (size_t i = 0; i < x.rank(); ++i)
    all.push_back(int64_t(i));
  Val high = t.max(t.reduce(Op::ReduceMax, x, all, false), 0), low = t.min(t.reduce(Op::ReduceMin, x, all, false), 0);
  Val scale = t.div(t.sub(high, low), 255);
  scale = t.select(t.compare(Op::Eq, scale, 0), t.scalar(1, x.type), scale); // zeros alone
  Val zero = t.unary(Op::Round, t.min(t.max(t.div(t.unary(Op::Neg, low), scale), 0), 255));
  zero = t.cast(zero, Type::U8);
  return {quantized(t, x, scale, zero, Type::U8), scale, zero};
}

/// A factor in int32 less its zero point; one for each row or column stands along the dimension `fromEnd`.
static Val centred(Tensors &t, const Val &v, const Val &zero, size_t fromEnd) {
  Val x = t.cast(v, Type::I32);
  if (!zero.some())
    return x;
  Val z = t.cast(zero, Type::I32);
  if (product(z.shape) == Dim(1)) {
    z = t.reshape(z, {});
  } else if (z.rank() == 1 && fromEnd == 2) {
    z = t.reshape(z, {z.shape[0], Dim(1)});
  }
  return t.sub(x, z);
}

Val integerProduct(Tensors &t, const Val &a, const Val &b, const Val &aZero, const Val &bZero) {
  return t.matmul(centred(t, a, aZero, 2), centred(t, b, bZero, 1));
}

Val scaledProduct(NodeCall &c, const Vals &of) {
  Tensors &t = c.t;
  for (size_t i = 0; i < 4; ++i)
    if (!of[i].some())
      refuse("a factor or scale that is left out");
  auto one = [&](const Val &s) { return product(s.shape) == Dim(1) ? t.reshape(s, {}) : s; };
  return t.mul(t.cast(integerProduct(t, of[0], of[1], of[4], of[5]), Type::F32), t.mul(one(of[2]), one(of[3])));
}

namespace {

/// A scale or zero point so that it broadcasts against x.
Val spread(NodeCall &c, const Val &v, const Val &x, int64_t axis, int64_t block) {
  if (product(v.shape) == Dim(1) && v.rank() <= 1)
    return c.t.reshape(v, {});
  if (v.rank() == 1) {
    std::vector<Dim> shape(x.rank(), Dim(1));
    shape[axis] = v.shape[0];
    return c.t.reshape(v, shape);
  }
  if (v.rank() != x.rank())
    refuse("a scale " + typeText(v) + " for " + typeText(x));
  int64_t n = c.t.number(x.shape[axis], "the size"), blocks = c.t.number(v.shape[axis], "the number of blocks");
  if (blocks < 1 || block < 0)
    refuse("blocks of " + std::to_string(block));
  if (!block)
    block = (n + blocks - 1) / blocks;
  std::vector<Dim> ids;
  for (int64_t i = 0; i < n; ++i)
    ids.push_back(i / block);
  return c.t.take(v, c.t.wholes(ids), size_t(axis));
}

int64_t axisFor(NodeCall &c, const Val &x) {
  // One scale for all goes along no axis, whatever the file says.
  return x.rank() && product(c.x(1).shape) != Dim(1) ? axisOf(c.integer("axis", x.rank() > 1 ? 1 : 0), x.rank()) : 0;
}

Vals quantize(NodeCall &c) {
  const Val &x = c.x(0);
  int64_t axis = axisFor(c, x), block = c.integer("block_size", 0);
  Type type = c.has(2) ? c.in[2].type : Type(c.integer("output_dtype", int64_t(Type::U8)));
  Val scale = spread(c, c.x(1), x, axis, block), zero = c.has(2) ? spread(c, c.in[2], x, axis, block) : Val();
  Type wide = scale.type == Type::F64 ? Type::F64 : Type::F32;
  return {quantized(c.t, c.t.cast(x, wide), c.t.cast(scale, wide), zero, type)};
}

Vals dequantize(NodeCall &c) {
  const Val &x = c.x(0);
  rangeOf(x.type);
  int64_t axis = axisFor(c, x), block = c.integer("block_size", 0);
  Type type =
      c.attribute("output_dtype") && c.integer("output_dtype", 0) ? typeOf(c.integer("output_dtype", 0)) : c.x(1).type;
  Val y = c.t.cast(x, Type::F32), scale = c.t.cast(spread(c, c.x(1), x, axis, block), Type::F32);
  if (c.has(2))
    y = c.t.sub(y, c.t.cast(spread(c, c.in[2], x, axis, block), Type::F32));
  return {c.t.cast(c.t.mul(y, scale), type)};
}

Vals dynamicQuantize(NodeCall &c) { return dynamicallyQuantized(c.t, c.x()); }

Vals matmulInteger(NodeCall &c) { return {integerProduct(c.t, c.x(0), c.x(1), c.operand(2), c.operand(3))}; }

Vals quantizedMatmul(NodeCall &c) {
  // a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero
  Val sum = integerProduct(c.t, c.x(0), c.x(3), c.x(2), c.x(5));
  auto wide = [&](size_t i) {
    Val s = c.t.cast(c.x(i), Type::F32);
    return product(s.shape) == Dim(1) ? c.t.reshape(s, {}) : s;
  };
  Val scale = c.t.div(c.t.mul(wide(1), wide(4)), wide(6));
  Val y = c.t.mul(c.t.cast(sum, Type::F32), scale);
  const Val &zero = c.x(7);
  Range r = rangeOf(zero.type);
  y = c.t.add(c.t.unary(Op::Round, y), c.t.reshape(c.t.cast(zero, Type::F32), {}));
  return {c.t.cast(c.t.min(c.t.max(y, r.low), r.high), zero.type)};
}

} // namespace

void addQuantized(Table &t) {
  const Table mine = {
      {"QuantizeLinear", quantize}, {"DequantizeLinear", dequantize}, {"DynamicQuantizeLinear", dynamicQuantize},
      {"MatMulInteger", matmulInteger}, {"QLinearMatMul", quantizedMatmul},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
