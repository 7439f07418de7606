#include "backends/cpu/Approximations.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// The arithmetic of one value that is replaced, a number or a vector.
class Terms {
public:
  Terms(ImplicitLocOpBuilder &b, Type type) : b(b), type(type), bits(like(b.getI32Type())) {}

  Value real(float number) { return splat(b.getF32FloatAttr(number), type); }
  Value whole(int32_t number) { return splat(b.getI32IntegerAttr(number), bits); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value subtract(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value multiply(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value divide(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value multiplyAdd(Value x, Value y, Value z) { return LLVM::FMulAddOp::create(b, type, x, y, z); }
  Value compare(arith::CmpFPredicate how, Value x, Value y) { return arith::CmpFOp::create(b, how, x, y); }
  Value select(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }
  Value shiftLeft(Value x, Value y) { return arith::ShLIOp::create(b, x, y); }
  Value asBits(Value x) { return LLVM::BitcastOp::create(b, bits, x); }
  Value asReal(Value x) { return LLVM::BitcastOp::create(b, type, x); }

  /// Comparisons with NaN fail, so it stays; each is one instruction.
  Value atMost(Value x, float most) { return select(compare(arith::CmpFPredicate::OGT, x, real(most)), real(most), x); }
  Value atLeast(Value x, float least) { return select(compare(arith::CmpFPredicate::OLT, x, real(least)), real(least), x); }

  Value polynomial(ArrayRef<float> upwards, Value y) {
    Value sum = real(upwards.back());
    for (float number : llvm::reverse(upwards.drop_back()))
      sum = multiplyAdd(sum, y, real(number));
    return sum;
  }
  /// x P(x^2) / Q(x^2) where x is at most `most` from 0, and what it is there behind.
  Value oddQuotient(Value x, float most, ArrayRef<float> p, ArrayRef<float> q) {
    x = atLeast(atMost(x, most), -most);
    Value y = multiply(x, x);
    return divide(multiply(x, polynomial(p, y)), polynomial(q, y));
  }

private:
  Type like(Type element) {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(element)) : element;
  }
  Value splat(TypedAttr number, Type as) {
    if (auto vector = dyn_cast<VectorType>(as))
      number = SplatElementsAttr::get(vector, number);
    return arith::ConstantOp::create(b, number);
  }

  ImplicitLocOpBuilder &b;
  Type type, bits;
};

/// An op of f32 as what `Make` makes of it.
template <class Op, Value (*make)(Terms &, Value)> struct Approximate : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Terms terms(b, op.getType());
    rewriter.replaceOp(op, make(terms, op.getOperand()));
    return success();
  }
};

/// 2^(n - spare) e^r with n the whole number next to x / ln 2, and e^r as a polynomial. The sum that rounds x / ln 2 has n in its
/// lowest bits, and with what is added besides the exponent of 2^(n - spare). Where that is less than 2^-126 the bits are 0, and
/// so is the result.
Value scaledPower(Terms &t, Value x, int spare, ArrayRef<float> p) {
  const float rounds = 0x1.8p23f + float(127 - spare); // whole numbers have no bits behind the point here
  Value sum = t.multiplyAdd(x, t.real(1.44269504f), t.real(rounds));
  Value n = t.subtract(sum, t.real(rounds));
  // ln 2 in two parts, of which the product with n and the first is exact.
  Value r = t.multiplyAdd(n, t.real(-0.693359375f), x);
  r = t.multiplyAdd(n, t.real(2.12194440e-4f), r);
  return t.multiply(t.polynomial(p, r), t.asReal(t.shiftLeft(t.asBits(sum), t.whole(23))));
}

/// Within 1.2e-7 of itself; infinite where it is more than f32 holds, and 0 below 2^-125. A power of one less than needed keeps
/// the largest results in reach. P was fitted to the relative error by iterated weighted least squares, like those below.
Value exponential(Terms &t, Value x) {
  Value half = scaledPower(t, t.atLeast(t.atMost(x, 88.73f), -87.3f), 1,
                           {1.f, 1.f, 0.4999999403953552f, 0.16666515171527863f, 0.04166845604777336f,
                            0.008369418792426586f, 0.0013813144760206342f});
  return t.add(half, half);
}

/// Within 4e-7 of itself, and never above 1: P and Q were fitted to what is up to 1e-7 below.
Value hyperbolicTangent(Terms &t, Value x) {
  return t.oddQuotient(
      x, 8.3f, {1.f, 0.13429932296276093f, 0.0035540892276912928f, 2.159460746042896e-05f, 1.4779019785748915e-08f},
      {1.f, 0.46763259172439575f, 0.026098404079675674f, 0.00033822059049271047f, 8.346120239366428e-07f});
}

/// 1 in f32 from 3.8 on; within 3e-7 of itself everywhere.
Value errorFunction(Terms &t, Value x) {
  return t.oddQuotient(x, 3.8f,
                       {1.128379126931485f, 0.18972366679012545f, 0.049247413487932205f, 0.0032990967860324107f,
                        0.00013489376027070135f, -1.99890170271169e-06f, 2.140230950319065e-08f},
                       {1.f, 0.5014703672954474f, 0.11080763055385348f, 0.01350834722609066f, 0.0008671675526658546f});
}
} // namespace

Value cpu::expOfWeight(ImplicitLocOpBuilder &b, Value x) {
  Terms t(b, x.getType());
  return scaledPower(t, t.atLeast(x, -88.f), 0, {1.f, 1.f, 0.49999202f, 0.16667133f, 0.0418945f, 0.00831205f});
}

void cpu::addApproximations(RewritePatternSet &patterns) {
  patterns.add<Approximate<math::ExpOp, exponential>, Approximate<math::TanhOp, hyperbolicTangent>,
               Approximate<math::ErfOp, errorFunction>>(patterns.getContext());
}
