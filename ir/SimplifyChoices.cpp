// What is computed of two numbers between which a condition chooses is such a choice again:
//
//   f(select(c, a, b), k) = select(c, f(a, k), f(b, k))
//
// so that of `tril(ones) == 0`, `(1 - mask) * lowest` and the like, as exporters write masks, the condition itself is left, which
// others recognise (fuse-attention) and which is cheap in any kernel.
#include "ir/Simplify.h"
#include "ir/Bigm.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::bigm;

namespace {
Type elementOf(Value x) { return cast<RankedTensorType>(x.getType()).getElementType(); }

/// The numbers that `value` has where the condition holds and where it does not; no condition: a constant.
struct Choice {
  Value condition;
  AffineMap map; // where the condition is read
  double yes, no;
};

std::optional<Choice> choiceOf(Value value) {
  AffineMap map = AffineMap::getMultiDimIdentityMap(cast<RankedTensorType>(value.getType()).getRank(), value.getContext());
  if (auto number = splatNumber(value))
    return Choice{{}, map, *number, *number};
  while (auto view = value.getDefiningOp<ViewOp>()) {
    map = view.getMap().compose(map);
    value = view.getX();
  }
  if (auto select = value.getDefiningOp<SelectOp>()) {
    auto yes = splatNumber(select.getY()), no = splatNumber(select.getZ());
    if (yes && no)
      return Choice{select.getX(), map, *yes, *no};
  }
  if (auto cast = value.getDefiningOp<CastOp>())
    if (elementOf(cast.getX()).isInteger(1))
      return Choice{cast.getX(), map, 1, 0};
  return std::nullopt;
}

struct PointwiseOfChoice : OpInterfaceRewritePattern<Pointwise> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(Pointwise op, PatternRewriter &rewriter) const override {
    Value condition;
    AffineMap map;
    SmallVector<double> yes, no;
    for (Value operand : op->getOperands()) {
      std::optional<Choice> choice = choiceOf(operand);
      if (!choice)
        return rewriter.notifyMatchFailure(op, "an operand is no choice between two numbers");
      if (choice->condition && condition && (choice->condition != condition || choice->map != map))
        return rewriter.notifyMatchFailure(op, "operands are chosen by different conditions");
      if (choice->condition)
        condition = choice->condition, map = choice->map;
      yes.push_back(choice->yes), no.push_back(choice->no);
    }
    if (!condition)
      return rewriter.notifyMatchFailure(op, "all operands are constants");
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Type element = type.getElementType();
    auto a = roundedTo(element, op.evaluate(yes)), b = roundedTo(element, op.evaluate(no));
    if (!a || !b)
      return rewriter.notifyMatchFailure(op, "a value does not fit the element type");
    Location loc = op->getLoc();
    if (*a == *b && std::signbit(*a) == std::signbit(*b)) {
      rewriter.replaceOpWithNewOp<ConstantOp>(op, type, *a);
      return success();
    }
    auto bits = RankedTensorType::get(type.getShape(), rewriter.getI1Type(), type.getEncoding());
    Value chosen = condition.getType() == bits && map.isIdentity() ? condition
                                                                   : ViewOp::create(rewriter, loc, bits, condition, map).getResult();
    if (element.isInteger(1)) // true and false, one each
      rewriter.replaceOp(op, *a != 0 ? chosen : NotOp::create(rewriter, loc, chosen).getResult());
    else
      rewriter.replaceOpWithNewOp<SelectOp>(op, chosen, constant(rewriter, loc, type, *a), constant(rewriter, loc, type, *b));
    return success();
  }
};
} // namespace

void mlir::bigm::addChoicePatterns(RewritePatternSet &patterns) { patterns.add<PointwiseOfChoice>(patterns.getContext()); }
