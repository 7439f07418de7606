// Emission of arith and math ops (Scalar) and of bigm ops (Tensor) behind the operators of the formulas.
#include "ir/Formula.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::formula;

// ---------------------------------------------------------------- scalars and vectors

/// The type with another element, a vector when `like` is one.
static Type shaped(Type like, Type element) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? Type(vector.clone(element)) : element;
}
static Type storage(Type type) {
  return type.isUnsignedInteger() ? IntegerType::get(type.getContext(), type.getIntOrFloatBitWidth()) : type;
}
static Value constantOf(OpBuilder &builder, Location loc, Type type, double number) {
  TypedAttr one = element(getElementTypeOrSelf(type), number);
  if (auto vector = dyn_cast<VectorType>(type))
    one = SplatElementsAttr::get(vector, ArrayRef<Attribute>(one));
  return arith::ConstantOp::create(builder, loc, one);
}
static bool isFloat(Scalar x) { return isa<FloatType>(getElementTypeOrSelf(x.value)); }

Scalar Scalar::like(double number) const { return with(constantOf(*builder, loc, value.getType(), number)); }

Scalar formula::scalar(OpBuilder &builder, Location loc, Operation *op, ValueRange operands, unsigned i, int typeFrom) {
  if (i >= operands.size())
    return Scalar(&builder, loc, {});
  Type type = cast<RankedTensorType>(op->getOperand(typeFrom < 0 ? i : typeFrom).getType()).getElementType();
  return Scalar(&builder, loc, operands[i], type.isUnsignedInteger() || type.isInteger(1));
}

TypedAttr formula::element(Type type, double number) {
  if (isa<FloatType>(type))
    return FloatAttr::get(type, number);
  unsigned width = type.getIntOrFloatBitWidth();
  if (width == 1)
    return IntegerAttr::get(type, number != 0);
  bool isUnsigned = type.isUnsignedInteger();
  if (std::isinf(number)) {
    APInt extreme = number > 0 ? (isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width))
                               : (isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width));
    return IntegerAttr::get(type, extreme);
  }
  return IntegerAttr::get(type, APInt(width, uint64_t(int64_t(number)), !isUnsigned, /*implicitTrunc=*/true));
}

Value formula::convert(OpBuilder &builder, Location loc, Value value, Type from, Type to) {
  if (from == to)
    return value;
  Type type = shaped(value.getType(), storage(to));
  bool fromUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  if (to.isInteger(1)) {
    Scalar x(&builder, loc, value);
    return (x != x.like(0)).value;
  }
  unsigned fromWidth = from.getIntOrFloatBitWidth(), toWidth = to.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(to)) {
    // 16-bit floats go through f32: there is no instruction between bf16 and f16, and none from or to f64.
    bool narrow = fromWidth == 16 || toWidth == 16;
    if (narrow && fromWidth == 64)
      value = arith::TruncFOp::create(builder, loc, shaped(type, builder.getF32Type()), value), fromWidth = 32;
    if (narrow && fromWidth == 16 && toWidth != 32)
      value = arith::ExtFOp::create(builder, loc, shaped(type, builder.getF32Type()), value), fromWidth = 32;
    if (fromWidth == toWidth)
      return value;
    if (fromWidth < toWidth)
      return arith::ExtFOp::create(builder, loc, type, value);
    return arith::TruncFOp::create(builder, loc, type, value);
  }
  if (isa<FloatType>(from)) {
    if (to.isUnsignedInteger())
      return arith::FPToUIOp::create(builder, loc, type, value);
    return arith::FPToSIOp::create(builder, loc, type, value);
  }
  if (isa<FloatType>(to)) {
    if (fromUnsigned)
      return arith::UIToFPOp::create(builder, loc, type, value);
    return arith::SIToFPOp::create(builder, loc, type, value);
  }
  if (fromWidth == toWidth)
    return value;
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(builder, loc, type, value);
  if (fromUnsigned)
    return arith::ExtUIOp::create(builder, loc, type, value);
  return arith::ExtSIOp::create(builder, loc, type, value);
}

template <class Float, class Int> static Scalar either(Scalar x, Scalar y) {
  if (isFloat(x))
    return x.with(Float::create(*x.builder, x.loc, x.value, y.value));
  return x.with(Int::create(*x.builder, x.loc, x.value, y.value));
}
static Scalar compare(Scalar x, Scalar y, arith::CmpFPredicate real, arith::CmpIPredicate sign,
                      arith::CmpIPredicate unsign) {
  if (isFloat(x))
    return x.with(arith::CmpFOp::create(*x.builder, x.loc, real, x.value, y.value));
  return x.with(arith::CmpIOp::create(*x.builder, x.loc, x.isUnsigned ? unsign : sign, x.value, y.value));
}
template <class Op> static Scalar real(Scalar x) { return x.with(Op::create(*x.builder, x.loc, x.value)); }

Scalar formula::operator-(Scalar x) {
  return isFloat(x) ? real<arith::NegFOp>(x) : x.like(0) - x;
}
Scalar formula::operator+(Scalar x, Scalar y) { return ::either<arith::AddFOp, arith::AddIOp>(x, y); }
Scalar formula::operator-(Scalar x, Scalar y) { return ::either<arith::SubFOp, arith::SubIOp>(x, y); }
Scalar formula::operator*(Scalar x, Scalar y) { return ::either<arith::MulFOp, arith::MulIOp>(x, y); }
using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;
Scalar formula::operator==(Scalar x, Scalar y) { return compare(x, y, F::OEQ, I::eq, I::eq); }
Scalar formula::operator!=(Scalar x, Scalar y) { return compare(x, y, F::UNE, I::ne, I::ne); }
Scalar formula::operator<(Scalar x, Scalar y) { return compare(x, y, F::OLT, I::slt, I::ult); }
Scalar formula::operator<=(Scalar x, Scalar y) { return compare(x, y, F::OLE, I::sle, I::ule); }
Scalar formula::operator>(Scalar x, Scalar y) { return compare(x, y, F::OGT, I::sgt, I::ugt); }
Scalar formula::operator>=(Scalar x, Scalar y) { return compare(x, y, F::OGE, I::sge, I::uge); }

/// Where the machine's division of integers would trap, a divisor of 1 takes its place: at 0, which also fills what a vector has
/// behind the end of a row, and at -1, by which the least number has no quotient.
static Scalar safeDivisor(Scalar y) {
  Scalar one = y.like(1), safe = select(y == y.like(0), one, y);
  return y.isUnsigned ? safe : select(y == y.like(-1), one, safe);
}
Scalar formula::operator/(Scalar x, Scalar y) {
  if (isFloat(x) || x.isUnsigned)
    return ::either<arith::DivFOp, arith::DivUIOp>(x, isFloat(x) ? y : safeDivisor(y));
  return select(y == y.like(-1), x.like(0) - x, ::either<arith::DivFOp, arith::DivSIOp>(x, safeDivisor(y)));
}
Scalar formula::mod(Scalar x, Scalar y) {
  if (isFloat(x) || x.isUnsigned)
    return ::either<arith::RemFOp, arith::RemUIOp>(x, isFloat(x) ? y : safeDivisor(y));
  return ::either<arith::RemFOp, arith::RemSIOp>(x, safeDivisor(y));
}

Scalar formula::abs(Scalar x) {
  if (isFloat(x))
    return real<math::AbsFOp>(x);
  return x.isUnsigned ? x : real<math::AbsIOp>(x);
}
Scalar formula::sign(Scalar x) {
  if (isFloat(x)) // copysign keeps a NaN out of the way of the comparison, which passes zeros and NaN on
    return select(both(x.with((x == x).value), x.with((x != x.like(0)).value)),
                  x.with(math::CopySignOp::create(*x.builder, x.loc, x.like(1).value, x.value)), x);
  return select(x > x.like(0), x.like(1), x.isUnsigned ? x.like(0) : select(x < x.like(0), x.like(-1), x.like(0)));
}
Scalar formula::exp(Scalar x) { return real<math::ExpOp>(x); }
Scalar formula::log(Scalar x) { return real<math::LogOp>(x); }
Scalar formula::log1p(Scalar x) { return real<math::Log1pOp>(x); }
Scalar formula::expm1(Scalar x) { return real<math::ExpM1Op>(x); }
Scalar formula::sqrt(Scalar x) { return real<math::SqrtOp>(x); }
Scalar formula::rsqrt(Scalar x) { return x.like(1) / real<math::SqrtOp>(x); }
Scalar formula::sin(Scalar x) { return real<math::SinOp>(x); }
Scalar formula::cos(Scalar x) { return real<math::CosOp>(x); }
Scalar formula::atan(Scalar x) { return real<math::AtanOp>(x); }
Scalar formula::tanh(Scalar x) { return real<math::TanhOp>(x); }
Scalar formula::erf(Scalar x) { return real<math::ErfOp>(x); }
Scalar formula::floor(Scalar x) { return isFloat(x) ? real<math::FloorOp>(x) : x; }
Scalar formula::ceil(Scalar x) { return isFloat(x) ? real<math::CeilOp>(x) : x; }
Scalar formula::roundEven(Scalar x) { return isFloat(x) ? real<math::RoundEvenOp>(x) : x; }
Scalar formula::pow(Scalar x, Scalar y) { return ::either<math::PowFOp, math::IPowIOp>(x, y); }
Scalar formula::bitAnd(Scalar x, Scalar y) { return both(x, y); }
Scalar formula::bitOr(Scalar x, Scalar y) { return either(x, y); }
Scalar formula::bitXor(Scalar x, Scalar y) {
  return x.with(arith::XOrIOp::create(*x.builder, x.loc, x.value, y.value));
}
/// Shifts by the width or more have no value in arith.
static double widthOf(Scalar x) { return getElementTypeOrSelf(x.value.getType()).getIntOrFloatBitWidth(); }
Scalar formula::shiftLeft(Scalar x, Scalar y) {
  Scalar width = y.like(widthOf(x)), in = y.with((y < width).value);
  Scalar shifted = x.with(arith::ShLIOp::create(*x.builder, x.loc, x.value, select(in, y, y.like(0)).value));
  return select(in, shifted, x.like(0));
}
Scalar formula::shiftRight(Scalar x, Scalar y) {
  Scalar last = y.like(widthOf(x) - 1), in = y.with((y < y.like(widthOf(x))).value);
  Value by = select(in, y, last).value;
  if (!x.isUnsigned)
    return x.with(arith::ShRSIOp::create(*x.builder, x.loc, x.value, by));
  return select(in, x.with(arith::ShRUIOp::create(*x.builder, x.loc, x.value, by)), x.like(0));
}
Scalar formula::both(Scalar x, Scalar y) {
  return x.with(arith::AndIOp::create(*x.builder, x.loc, x.value, y.value));
}
Scalar formula::either(Scalar x, Scalar y) {
  return x.with(arith::OrIOp::create(*x.builder, x.loc, x.value, y.value));
}
Scalar formula::opposite(Scalar x) {
  return x.with(arith::XOrIOp::create(*x.builder, x.loc, x.value, x.like(1).value));
}
Scalar formula::select(Scalar condition, Scalar x, Scalar y) {
  return x.with(arith::SelectOp::create(*x.builder, x.loc, condition.value, x.value, y.value));
}

// ---------------------------------------------------------------- tensors

Tensor formula::tensor(OpBuilder &builder, Location loc, Value value) { return Tensor(&builder, loc, value); }
Tensor formula::operand(OpBuilder &builder, Operation *op, unsigned i) {
  return Tensor(&builder, op->getLoc(), i < op->getNumOperands() ? op->getOperand(i) : Value());
}
Tensor formula::like(Tensor x, double number) {
  return x.with(constant(*x.builder, x.loc, x.value.getType(), number));
}

template <class Op> static Tensor make(Tensor x) { return x.with(Op::create(*x.builder, x.loc, x.value)); }
template <class Op> static Tensor make(Tensor x, Tensor y) {
  return x.with(Op::create(*x.builder, x.loc, x.value, y.value));
}
Tensor formula::operator-(Tensor x) { return make<NegOp>(x); }
Tensor formula::operator+(Tensor x, Tensor y) { return make<AddOp>(x, y); }
Tensor formula::operator-(Tensor x, Tensor y) { return make<SubOp>(x, y); }
Tensor formula::operator*(Tensor x, Tensor y) { return make<MulOp>(x, y); }
Tensor formula::operator/(Tensor x, Tensor y) { return make<DivOp>(x, y); }
Tensor formula::operator==(Tensor x, Tensor y) { return make<EqOp>(x, y); }
Tensor formula::operator<(Tensor x, Tensor y) { return make<LtOp>(x, y); }
Tensor formula::operator>(Tensor x, Tensor y) { return make<GtOp>(x, y); }
Tensor formula::sign(Tensor x) { return make<SignOp>(x); }
Tensor formula::exp(Tensor x) { return make<ExpOp>(x); }
Tensor formula::log(Tensor x) { return make<LogOp>(x); }
Tensor formula::sin(Tensor x) { return make<SinOp>(x); }
Tensor formula::cos(Tensor x) { return make<CosOp>(x); }
Tensor formula::pow(Tensor x, Tensor y) { return make<PowOp>(x, y); }
Tensor formula::truncate(Tensor x) { return select(x < like(x, 0), make<CeilOp>(x), make<FloorOp>(x)); }
Tensor formula::select(Tensor condition, Tensor x, Tensor y) {
  return x.with(SelectOp::create(*x.builder, x.loc, condition.value, x.value, y.value));
}
