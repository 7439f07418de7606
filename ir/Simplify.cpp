// Folders and canonical forms of single ops.
//
// Constants are splats of one number: a pointwise op on constants is a constant, also when the shape is symbolic, so the
// numbers are computed by patterns rather than by folding to attributes. Floats are treated as algebra where that
// loses nothing but the sign of zero (x + 0) and where it is the meaning of the program (a gradient that is 0 times
// something is 0).
#include "ir/Bigm.h"
#include "ir/Formula.h"
#include "ir/Simplify.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::bigm;

static bool is(Value value, double number) { return splatNumber(value) == number; }

OpFoldResult mlir::bigm::foldPointwise(Operation *op) {
  return llvm::TypeSwitch<Operation *, OpFoldResult>(op)
      .Case([](NegOp neg) -> OpFoldResult {
        if (auto inner = neg.getX().getDefiningOp<NegOp>())
          return inner.getX();
        return {};
      })
      .Case([](NotOp op) -> OpFoldResult {
        if (auto inner = op.getX().getDefiningOp<NotOp>())
          return inner.getX();
        return {};
      })
      .Case([](AddOp add) -> OpFoldResult {
        if (is(add.getX(), 0))
          return add.getY();
        if (is(add.getY(), 0))
          return add.getX();
        return {};
      })
      .Case([](SubOp sub) -> OpFoldResult {
        if (is(sub.getY(), 0))
          return sub.getX();
        return {};
      })
      .Case([](MulOp mul) -> OpFoldResult {
        if (is(mul.getX(), 1) || is(mul.getY(), 0))
          return mul.getY();
        if (is(mul.getY(), 1) || is(mul.getX(), 0))
          return mul.getX();
        return {};
      })
      .Case([](DivOp div) -> OpFoldResult {
        if (is(div.getY(), 1))
          return div.getX();
        return {};
      })
      .Case([](PowOp pow) -> OpFoldResult {
        if (is(pow.getY(), 1))
          return pow.getX();
        return {};
      })
      .Case<MaxOp, MinOp>([](auto op) -> OpFoldResult {
        if (op.getX() == op.getY())
          return op.getX();
        return {};
      })
      .Case([](AndOp op) -> OpFoldResult {
        if (is(op.getX(), 1) || is(op.getY(), 0) || op.getX() == op.getY())
          return op.getY();
        if (is(op.getY(), 1) || is(op.getX(), 0))
          return op.getX();
        return {};
      })
      .Case([](OrOp op) -> OpFoldResult {
        if (is(op.getX(), 0) || is(op.getY(), 1) || op.getX() == op.getY())
          return op.getY();
        if (is(op.getY(), 0) || is(op.getX(), 1))
          return op.getX();
        return {};
      })
      .Case([](SelectOp select) -> OpFoldResult {
        if (select.getY() == select.getZ() || is(select.getX(), 1))
          return select.getY();
        if (is(select.getX(), 0))
          return select.getZ();
        return {};
      })
      .Default(OpFoldResult());
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getX().getType() == getType())
    return getX();
  return {};
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getX().getType() == getType())
    return getX();
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    if (inner.getX().getType() == getType())
      return inner.getX();
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return {};
}

OpFoldResult ViewOp::fold(FoldAdaptor) {
  if (getX().getType() == getType() && getMap().isIdentity())
    return getX();
  if (auto inner = getX().getDefiningOp<ViewOp>()) {
    AffineMap both = inner.getMap().compose(getMap());
    getXMutable().assign(inner.getX());
    setMap(both);
    return getResult();
  }
  return {};
}

OpFoldResult FoldOp::fold(FoldAdaptor) {
  if (getX().getType() == getType() && getMap().isIdentity())
    return getX();
  return {};
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  auto zero = [](int64_t n) { return n == 0; };
  if (llvm::all_of(getLow(), zero) && llvm::all_of(getHigh(), zero) && llvm::all_of(getInterior(), zero))
    return getX();
  return {};
}

OpFoldResult ConcatOp::fold(FoldAdaptor) { return getInputs().size() == 1 ? getInputs()[0] : OpFoldResult(); }

static OpFoldResult foldReduce(Value x, ArrayRef<int64_t> dims) { return dims.empty() ? x : OpFoldResult(); }
OpFoldResult ReduceSumOp::fold(FoldAdaptor) { return foldReduce(getX(), getDims()); }
OpFoldResult ReduceMaxOp::fold(FoldAdaptor) { return foldReduce(getX(), getDims()); }
OpFoldResult ReduceMinOp::fold(FoldAdaptor) { return foldReduce(getX(), getDims()); }
OpFoldResult ReduceProdOp::fold(FoldAdaptor) { return foldReduce(getX(), getDims()); }

std::optional<double> mlir::bigm::roundedTo(Type type, double number) {
  if (type.isF64())
    return number;
  if (type.isF32())
    return double(float(number));
  if (isa<FloatType>(type))
    return cast<FloatAttr>(FloatAttr::get(type, number)).getValueAsDouble();
  double whole = std::trunc(number), span = std::ldexp(1.0, type.getIntOrFloatBitWidth());
  bool isUnsigned = type.isUnsignedInteger() || type.isInteger(1);
  double low = isUnsigned ? 0 : -span / 2;
  if (!(whole >= low && whole < low + span && std::abs(whole) < 0x1p53))
    return std::nullopt;
  return whole;
}

namespace {
/// A pointwise op on constants is a constant.
struct ConstantPointwise : OpInterfaceRewritePattern<Pointwise> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(Pointwise op, PatternRewriter &rewriter) const override {
    SmallVector<double> numbers;
    for (Value operand : op->getOperands()) {
      std::optional<double> number = splatNumber(operand);
      if (!number)
        return rewriter.notifyMatchFailure(op, "an operand is no constant");
      numbers.push_back(*number);
    }
    Type type = op->getResult(0).getType();
    std::optional<double> value = roundedTo(cast<RankedTensorType>(type).getElementType(), op.evaluate(numbers));
    if (!value)
      return rewriter.notifyMatchFailure(op, "the value does not fit the element type");
    rewriter.replaceOpWithNewOp<ConstantOp>(op, type, *value);
    return success();
  }
};

/// What only moves elements of a constant is the constant in another shape.
template <class Op> struct ConstantMove : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    std::optional<double> number = splatNumber(op->getOperand(0));
    if (!number)
      return rewriter.notifyMatchFailure(op, "operand is no constant");
    if constexpr (std::is_same_v<Op, PadOp>)
      if (splatNumber(op.getValue()) != number)
        return rewriter.notifyMatchFailure(op, "pads with another number");
    rewriter.replaceOpWithNewOp<ConstantOp>(op, op.getType(), *number);
    return success();
  }
};

/// The sum of a constant is the constant times the number of elements, which may be symbolic.
struct ConstantSum : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op, PatternRewriter &rewriter) const override {
    std::optional<double> number = splatNumber(op.getX());
    if (!number)
      return rewriter.notifyMatchFailure(op, "operand is no constant");
    SmallVector<AffineExpr> sizes = sizesOf(op.getX().getType());
    AffineExpr count = rewriter.getAffineConstantExpr(1);
    for (int64_t dim : op.getDims())
      count = count * sizes[dim];
    count = canonical(count);
    auto type = cast<RankedTensorType>(op.getType());
    if (auto constant = dyn_cast<AffineConstantExpr>(count)) {
      std::optional<double> value = roundedTo(type.getElementType(), *number * double(constant.getValue()));
      if (!value)
        return rewriter.notifyMatchFailure(op, "the value does not fit the element type");
      rewriter.replaceOpWithNewOp<ConstantOp>(op, type, *value);
      return success();
    }
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value total = SizeOp::create(rewriter, op.getLoc(), scalar,
                                 AffineMap::get(0, symbolCount(op.getX().getType()), count));
    total = MulOp::create(rewriter, op.getLoc(), total, constant(rewriter, op.getLoc(), scalar, *number));
    SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
    rewriter.replaceOp(op, buildBroadcast(rewriter, op.getLoc(), total, all, type));
    return success();
  }
};

/// x * -1 is -x, x - x is 0, 0 - x is -x, x + -y is x - y, x to the 2 is x * x.
struct Algebra : RewritePattern {
  explicit Algebra(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (auto mul = dyn_cast<MulOp>(op)) {
      if (is(mul.getX(), -1))
        return rewriter.replaceOpWithNewOp<NegOp>(op, mul.getY()), success();
      if (is(mul.getY(), -1))
        return rewriter.replaceOpWithNewOp<NegOp>(op, mul.getX()), success();
    } else if (auto add = dyn_cast<AddOp>(op)) {
      if (auto neg = add.getY().getDefiningOp<NegOp>())
        return rewriter.replaceOpWithNewOp<SubOp>(op, add.getX(), neg.getX()), success();
      if (auto neg = add.getX().getDefiningOp<NegOp>())
        return rewriter.replaceOpWithNewOp<SubOp>(op, add.getY(), neg.getX()), success();
    } else if (auto sub = dyn_cast<SubOp>(op)) {
      if (sub.getX() == sub.getY())
        return rewriter.replaceOpWithNewOp<ConstantOp>(op, sub.getType(), 0.0), success();
      if (is(sub.getX(), 0))
        return rewriter.replaceOpWithNewOp<NegOp>(op, sub.getY()), success();
      if (auto neg = sub.getY().getDefiningOp<NegOp>())
        return rewriter.replaceOpWithNewOp<AddOp>(op, sub.getX(), neg.getX()), success();
    } else if (auto pow = dyn_cast<PowOp>(op)) {
      if (is(pow.getY(), 2))
        return rewriter.replaceOpWithNewOp<MulOp>(op, pow.getX(), pow.getX()), success();
    }
    return failure();
  }
};

/// A reshape that only adds or drops dimensions of one element is a view, which melts into its neighbours.
struct UnitReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    SmallVector<AffineExpr> from = sizesOf(op.getX().getType()), to = sizesOf(op.getType()), indices;
    AffineExpr one = rewriter.getAffineConstantExpr(1);
    unsigned next = 0; // dimension of the result
    for (AffineExpr size : from) {
      if (size == one) {
        indices.push_back(rewriter.getAffineConstantExpr(0));
        continue;
      }
      while (next < to.size() && to[next] == one)
        ++next;
      if (next == to.size() || to[next] != size)
        return rewriter.notifyMatchFailure(op, "changes more than dimensions of one element");
      indices.push_back(rewriter.getAffineDimExpr(next++));
    }
    while (next < to.size() && to[next] == one)
      ++next;
    if (next != to.size())
      return rewriter.notifyMatchFailure(op, "changes more than dimensions of one element");
    rewriter.replaceOpWithNewOp<ViewOp>(op, op.getType(), op.getX(),
                                        AffineMap::get(to.size(), 0, indices, getContext()));
    return success();
  }
};

/// Division by what many elements share is multiplication by its reciprocal, which is computed once. It differs from the
/// division by at most one unit in the last place more.
struct SharedDivisor : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    if (!isa<FloatType>(type.getElementType()))
      return rewriter.notifyMatchFailure(op, "integers divide exactly");
    if (std::optional<double> number = splatNumber(op.getY())) {
      std::optional<double> inverse = roundedTo(type.getElementType(), 1 / *number);
      if (type.getRank() == 0 || !inverse || !std::isnormal(*inverse))
        return rewriter.notifyMatchFailure(op, "is one division, or the reciprocal is no normal number");
      Value by = constant(rewriter, op.getLoc(), type, *inverse);
      rewriter.replaceOpWithNewOp<MulOp>(op, op.getX(), by);
      return success();
    }
    auto view = op.getY().getDefiningOp<ViewOp>();
    if (!view)
      return rewriter.notifyMatchFailure(op, "the divisor is no broadcast");
    bool shared = false;
    SmallVector<Linear> indices = *linear(view.getMap());
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      shared |= type.getShape()[dim] != 1 && llvm::all_of(indices, [&](const Linear &index) {
                  return index.coefficients[dim] == 0;
                });
    if (!shared)
      return rewriter.notifyMatchFailure(op, "the divisor is no broadcast");
    Value one = constant(rewriter, op.getLoc(), view.getX().getType(), 1);
    Value inverse = DivOp::create(rewriter, op.getLoc(), one, view.getX());
    Value by = ViewOp::create(rewriter, op.getLoc(), type, inverse, view.getMap());
    rewriter.replaceOpWithNewOp<MulOp>(op, op.getX(), by);
    return success();
  }
};

/// Pointwise ops on a tensor that only has further dimensions of size 1 (`keep: true`) come before these: then they are over
/// the same points as the reduction that made the tensor, and can be its epilogue.
struct PointwiseOfUnits : OpInterfaceRewritePattern<Pointwise> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(Pointwise op, PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    ViewOp first;
    for (Value operand : op->getOperands()) {
      auto view = operand.getDefiningOp<ViewOp>();
      if (!view && splatNumber(operand))
        continue;
      if (!view || (first && (view.getMap() != first.getMap() ||
                              sizesOf(view.getX().getType()) != sizesOf(first.getX().getType()))))
        return rewriter.notifyMatchFailure(op, "its operands are not alike");
      first = view;
    }
    if (!first || cast<RankedTensorType>(first.getX().getType()).getRank() >= type.getRank())
      return rewriter.notifyMatchFailure(op, "no operand gets further dimensions");
    // The indices are the dimensions that are not of size 1, in order.
    SmallVector<AffineExpr> sizes = sizesOf(type), source = sizesOf(first.getX().getType());
    unsigned next = 0;
    for (auto [dim, size] : llvm::enumerate(sizes)) {
      bool taken = next < source.size() && first.getMap().getResult(next) == rewriter.getAffineDimExpr(dim);
      auto number = dyn_cast<AffineConstantExpr>(size);
      if (!taken && (!number || number.getValue() != 1))
        return rewriter.notifyMatchFailure(op, "a dimension is repeated");
      if (taken && canonical(source[next]) != canonical(size))
        return rewriter.notifyMatchFailure(op, "a dimension is cut");
      next += taken;
    }
    if (next != source.size())
      return rewriter.notifyMatchFailure(op, "an index is no dimension");
    auto narrow = [&](Type wide) {
      return tensorType(source, symbolCount(type), cast<RankedTensorType>(wide).getElementType());
    };
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(splatNumber(operand)
                             ? constant(rewriter, op->getLoc(), narrow(operand.getType()), *splatNumber(operand))
                             : operand.getDefiningOp<ViewOp>().getX());
    OperationState state(op->getLoc(), op->getName(), operands, {narrow(type)}, op->getAttrs());
    Value result = rewriter.create(state)->getResult(0);
    rewriter.replaceOpWithNewOp<ViewOp>(op, type, result, first.getMap());
    return success();
  }
};

/// A fold that is a sum, a transpose or a pad is written as one.
struct PlainFold : OpRewritePattern<FoldOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(FoldOp op, PatternRewriter &rewriter) const override {
    Value plain = buildPlainFold(rewriter, op.getLoc(), op.getX(), op.getMap(), cast<RankedTensorType>(op.getType()));
    if (!plain)
      return rewriter.notifyMatchFailure(op, "the map uses every dimension and is no strided placement");
    rewriter.replaceOp(op, plain);
    return success();
  }
};

/// Reductions along dimensions of one after the other are one.
template <class Op> struct ReduceOfReduce : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().template getDefiningOp<Op>();
    if (!inner || !inner->hasOneUse())
      return rewriter.notifyMatchFailure(op, "operand is no reduction of the same kind with one use");
    SmallVector<int64_t> kept, dims(inner.getDims());
    for (int64_t i = 0; i < cast<RankedTensorType>(inner.getX().getType()).getRank(); ++i)
      if (!llvm::is_contained(inner.getDims(), i))
        kept.push_back(i);
    for (int64_t dim : op.getDims())
      dims.push_back(kept[dim]);
    llvm::sort(dims);
    rewriter.replaceOpWithNewOp<Op>(op, inner.getX(), dims);
    return success();
  }
};

/// A cast between floats that widens, then narrows back.
struct CastOfCast : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner || inner.getX().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "is not a way back");
    auto from = dyn_cast<FloatType>(cast<RankedTensorType>(op.getType()).getElementType());
    auto via = dyn_cast<FloatType>(cast<RankedTensorType>(inner.getType()).getElementType());
    if (!from || !via || via.getFPMantissaWidth() < from.getFPMantissaWidth() || via.getWidth() <= from.getWidth())
      return rewriter.notifyMatchFailure(op, "the way loses bits");
    rewriter.replaceOp(op, inner.getX());
    return success();
  }
};
} // namespace

void BigmDialect::getCanonicalizationPatterns(RewritePatternSet &patterns) const {
  patterns.add<PointwiseOfUnits, SharedDivisor, UnitReshape, ConstantPointwise, ConstantMove<ReshapeOp>, ConstantMove<ViewOp>,
               ConstantMove<PadOp>, ConstantSum, Algebra, PlainFold, ReduceOfReduce<ReduceSumOp>, ReduceOfReduce<ReduceMaxOp>,
               ReduceOfReduce<ReduceMinOp>, ReduceOfReduce<ReduceProdOp>, CastOfCast>(getContext());
  addContractionPatterns(patterns);
  addChoicePatterns(patterns);
}
