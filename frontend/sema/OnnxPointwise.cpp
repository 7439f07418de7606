// Operators that work element by element: arithmetic, comparison, logic, bits.
#include "OnnxNode.h"
#include <cmath>
#include <limits>

namespace bigm::sema::onnx_import {
namespace {

template <Op op> Vals unary(NodeCall &c) { return {c.t.unary(op, c.x())}; }
template <Op op> Vals binary(NodeCall &c) { return {c.t.pointwise(op, {c.x(0), c.x(1)})}; }
template <Op op> Vals many(NodeCall &c) {
  Val out = c.x();
  for (size_t i = 1; i < c.in.size(); ++i)
    out = c.t.pointwise(op, {out, c.x(i)});
  return {out};
}
/// Rounding leaves integers as they are.
template <Op op> Vals rounding(NodeCall &c) { return {isFloat(c.x().type) ? c.t.unary(op, c.x()) : c.x()}; }

Vals meanOf(NodeCall &c) { return {c.t.div(many<Op::Add>(c)[0], double(c.in.size()))}; }

Vals power(NodeCall &c) {
  Val x = c.x(0), y = c.x(1);
  Type type = x.type;
  // Whole powers of few steps are products: they hold for negative bases and keep integers exact.
  if (y.known && y.known->size() == 1) {
    double p = isFloat(y.type) ? (*y.known)[0].real : double((*y.known)[0].whole.constant().value_or(-1));
    if (y.rank() <= x.rank() && (p == 1 || p == 2 || p == 3))
      return {p == 1 ? x : p == 2 ? c.t.mul(x, x) : c.t.mul(c.t.mul(x, x), x)};
    if (p == 0.5 && isFloat(type) && y.rank() <= x.rank())
      return {c.t.unary(Op::Sqrt, x)};
  }
  if (!isFloat(type)) { // in f64, exact to 2^53
    Val r = c.t.pointwise(Op::Pow, {c.t.cast(x, Type::F64), c.t.cast(y, Type::F64)});
    return {c.t.cast(r, type)};
  }
  if (y.type != type)
    y = c.t.cast(y, type);
  return {c.t.pointwise(Op::Pow, {x, y})};
}

Vals modulo(NodeCall &c) {
  const Val &x = c.x(0), &y = c.x(1);
  Val r = c.t.pointwise(Op::Mod, {x, y});
  if (c.integer("fmod", 0))
    return {r};
  // With the sign of the divisor.
  Val zero = c.t.scalar(0, x.type);
  Val other = c.t.pointwise(Op::Ne, {c.t.pointwise(Op::Lt, {r, zero}), c.t.pointwise(Op::Lt, {y, zero})});
  Val moved = c.t.pointwise(Op::And, {other, c.t.pointwise(Op::Ne, {r, zero})});
  return {c.t.select(moved, c.t.add(r, y), r)};
}

Vals clip(NodeCall &c) {
  Val x = c.x();
  if (c.version < 11) {
    if (c.attribute("min"))
      x = c.t.max(x, c.real("min", 0));
    if (c.attribute("max"))
      x = c.t.min(x, c.real("max", 0));
    return {x};
  }
  if (c.has(1))
    x = c.t.pointwise(Op::Max, {x, c.in[1]});
  if (c.has(2))
    x = c.t.pointwise(Op::Min, {x, c.in[2]});
  return {x};
}

Vals where(NodeCall &c) { return {c.t.select(c.x(0), c.x(1), c.x(2))}; }

Vals reciprocal(NodeCall &c) { return {c.t.div(c.t.scalar(1, c.x().type), c.x())}; }
Vals tangent(NodeCall &c) { return {c.t.div(c.t.unary(Op::Sin, c.x()), c.t.unary(Op::Cos, c.x()))}; }
Vals sinh(NodeCall &c) {
  Val e = c.t.unary(Op::Expm1, c.x()); // (e + e / (e + 1)) / 2 keeps small arguments exact
  return {c.t.mul(c.t.add(e, c.t.div(e, c.t.add(e, 1))), 0.5)};
}
Vals cosh(NodeCall &c) {
  Val e = c.t.unary(Op::Exp, c.x());
  return {c.t.mul(c.t.add(e, c.t.div(c.t.scalar(1, e.type), e)), 0.5)};
}
Vals asinh(NodeCall &c) {
  const Val &x = c.x();
  Val a = c.t.unary(Op::Abs, x), r = c.t.unary(Op::Sqrt, c.t.add(c.t.mul(a, a), 1));
  return {c.t.mul(c.t.unary(Op::Sign, x), c.t.unary(Op::Log, c.t.add(a, r)))};
}
Vals acosh(NodeCall &c) {
  const Val &x = c.x();
  return {c.t.unary(Op::Log, c.t.add(x, c.t.unary(Op::Sqrt, c.t.sub(c.t.mul(x, x), 1))))};
}
Vals atanh(NodeCall &c) {
  const Val &x = c.x();
  Val down = c.t.unary(Op::Log1p, c.t.unary(Op::Neg, x));
  return {c.t.mul(c.t.sub(c.t.unary(Op::Log1p, x), down), 0.5)};
}
Vals asine(NodeCall &c) {
  const Val &x = c.x();
  Val root = c.t.unary(Op::Sqrt, c.t.sub(c.t.scalar(1, x.type), c.t.mul(x, x)));
  return {c.t.unary(Op::Atan, c.t.div(x, root))};
}
Vals acosine(NodeCall &c) {
  Val angle = asine(c)[0];
  return {c.t.sub(c.t.scalar(std::numbers::pi / 2, angle.type), angle)};
}

Vals isNan(NodeCall &c) { return {c.t.pointwise(Op::Ne, {c.x(), c.x()})}; }
Vals isInfinite(NodeCall &c) {
  const double infinity = std::numeric_limits<double>::infinity();
  Val out = c.t.scalar(0, Type::Bool);
  if (c.integer("detect_positive", 1))
    out = c.t.pointwise(Op::Or, {out, c.t.compare(Op::Eq, c.x(), infinity)});
  if (c.integer("detect_negative", 1))
    out = c.t.pointwise(Op::Or, {out, c.t.compare(Op::Eq, c.x(), -infinity)});
  return {c.t.broadcast(out, c.x().shape)};
}

Vals exclusive(NodeCall &c) { return {c.t.pointwise(Op::Ne, {c.x(0), c.x(1)})}; }

template <Op op> Vals bits(NodeCall &c) { return {c.t.pointwise(op, {c.x(0), c.x(1)})}; }
Vals bitNot(NodeCall &c) {
  const Val &x = c.x(); // -1 - x in two's complement; for unsigned types the largest minus x
  switch (x.type) {
  case Type::U8: return {c.t.sub(c.t.scalar(255, x.type), x)};
  case Type::U16: return {c.t.sub(c.t.scalar(65535, x.type), x)};
  case Type::U32: return {c.t.sub(c.t.scalar(4294967295.0, x.type), x)};
  default: return {c.t.sub(c.t.scalar(-1, x.type), x)};
  }
}
Vals shift(NodeCall &c) {
  bool left = c.text("direction", "") == "LEFT";
  Val moved = c.t.pointwise(left ? Op::ShiftLeft : Op::ShiftRight, {c.x(0), c.x(1)});
  if (left || c.x().type != Type::U64)
    return {moved};
  // uint64 is held in i64, where a right shift repeats the sign: adding the bit after the last of these turns them to zeros.
  Val number = c.t.cast(c.x(0), Type::I64), by = c.t.cast(c.x(1), Type::I64);
  Val signs = c.t.pointwise(Op::And, {c.t.compare(Op::Lt, number, 0), c.t.compare(Op::Gt, by, 0)});
  Val carry = c.t.pointwise(Op::ShiftLeft, {c.t.scalar(2, Type::I64), c.t.sub(c.t.scalar(63, Type::I64), by)});
  return {c.t.select(signs, c.t.cast(c.t.add(c.t.cast(moved, Type::I64), carry), Type::U64), moved)};
}

Vals castTo(NodeCall &c) { return {c.t.cast(c.x(), typeOf(c.integer("to", 0)))}; }
Vals castLike(NodeCall &c) { return {c.t.cast(c.x(0), c.x(1).type)}; }
Vals same(NodeCall &c) { return {c.x()}; }

} // namespace

void addPointwise(Table &t) {
  const Table mine = {
      {"Abs", unary<Op::Abs>},
      {"Neg", unary<Op::Neg>},
      {"Sign", unary<Op::Sign>},
      {"Exp", unary<Op::Exp>},
      {"Log", unary<Op::Log>},
      {"Sqrt", unary<Op::Sqrt>},
      {"Sin", unary<Op::Sin>},
      {"Cos", unary<Op::Cos>},
      {"Tanh", unary<Op::Tanh>},
      {"Erf", unary<Op::Erf>},
      {"Sigmoid", unary<Op::Sigmoid>},
      {"Not", unary<Op::Not>},
      {"Atan", unary<Op::Atan>},
      {"Tan", tangent},
      {"Sinh", sinh},
      {"Cosh", cosh},
      {"Asinh", asinh},
      {"Acosh", acosh},
      {"Atanh", atanh},
      {"Asin", asine},
      {"Acos", acosine},
      {"Floor", rounding<Op::Floor>},
      {"Ceil", rounding<Op::Ceil>},
      {"Round", rounding<Op::Round>},
      {"Reciprocal", reciprocal},
      {"Add", binary<Op::Add>},
      {"Sub", binary<Op::Sub>},
      {"Mul", binary<Op::Mul>},
      {"Div", binary<Op::Div>},
      {"Pow", power},
      {"Mod", modulo},
      {"Max", many<Op::Max>},
      {"Min", many<Op::Min>},
      {"Sum", many<Op::Add>},
      {"Mean", meanOf},
      {"Clip", clip},
      {"Where", where},
      {"IsNaN", isNan},
      {"IsInf", isInfinite},
      {"And", binary<Op::And>},
      {"Or", binary<Op::Or>},
      {"Xor", exclusive},
      {"Equal", binary<Op::Eq>},
      {"Less", binary<Op::Lt>},
      {"LessOrEqual", binary<Op::Le>},
      {"Greater", binary<Op::Gt>},
      {"GreaterOrEqual", binary<Op::Ge>},
      {"BitwiseAnd", bits<Op::BitAnd>},
      {"BitwiseOr", bits<Op::BitOr>},
      {"BitwiseXor", bits<Op::BitXor>},
      {"BitwiseNot", bitNot},
      {"BitShift", shift},
      {"Cast", castTo},
      {"CastLike", castLike},
      {"Identity", same},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
