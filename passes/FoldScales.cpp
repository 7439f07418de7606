// A scale of channels behind a contraction becomes part of its weights, in inference.
//
//   sum(k: x * w) * s  =  sum(k: x * (w * s))    where s varies along dimensions of w alone
//
// and a shift in between is scaled too: (y + b) * s = y * s + b * s. Batch normalisation then costs nothing behind a
// convolution or linear layer but the addition of a bias, which is its epilogue. w * s depends on weights alone, so
// hoist-prepare computes it once. Results differ from the unfolded ones by rounding (each product w * s is rounded
// before the sum instead of the sum before the product).
#include "ir/Bigm.h"
#include "passes/InferenceEntries.h"
#include "passes/Passes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_FOLDSCALES
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// A steady tensor and where each element of a larger one reads it: `at` goes from the dimensions of the larger one.
struct Spread {
  Value tensor;
  AffineMap at;
};

class Folding {
public:
  Folding(func::FuncOp func, SteadyValues &steady) : steady(steady), builder(func.getContext()) {}

  void run(MulOp mul) {
    for (auto [y, by] : {std::pair(mul.getX(), mul.getY()), std::pair(mul.getY(), mul.getX())}) {
      auto view = by.getDefiningOp<ViewOp>();
      if (!view || !steady.contains(view.getX()) || steady.contains(y))
        continue;
      Spread scale{view.getX(), view.getMap()};
      if (!possible(y, scale))
        continue;
      builder.setInsertionPoint(mul);
      // The multiplication stays until it is found dead: what is known of values is kept by their addresses.
      mul.getResult().replaceAllUsesWith(scaled(y, scale));
      return;
    }
  }

private:
  /// The factor of a contraction that takes the scale: steady, and indexed by every dimension along which it varies.
  static std::optional<unsigned> factorFor(ContractOp contract, Spread scale, SteadyValues &steady) {
    for (unsigned i : {0u, 1u}) {
      AffineMap map = i == 0 ? contract.getLhsMap() : contract.getRhsMap();
      bool indexed = true;
      for (unsigned d = 0; d < scale.at.getNumDims(); ++d)
        if (scale.at.isFunctionOfDim(d))
          indexed &= map.getResultPosition(getAffineDimExpr(d, map.getContext())).has_value();
      if (indexed && steady.contains(contract->getOperand(i)))
        return i;
    }
    return std::nullopt;
  }

  /// Whether weights are kept in fewer bits than they are computed with, under scales of their own or not. They stay narrow: what
  /// scales them goes behind the sum again (sink-scales).
  static bool isNarrow(Value weight) {
    while (auto mul = weight.getDefiningOp<MulOp>())
      weight = mul.getX().getDefiningOp<ViewOp>() ? mul.getY() : mul.getX();
    auto cast = weight.getDefiningOp<CastOp>();
    return cast && cast.getX().getType().getElementTypeBitWidth() < cast.getType().getElementTypeBitWidth();
  }

  /// The scale as the operand of a reshape sees it; nothing when one of its dimensions is part of several. A dimension
  /// of the result that is a product of the operand's is taken apart, which the scale's tensor must be too.
  static std::optional<SmallVector<SmallVector<unsigned>>> groupsOf(ReshapeOp reshape) {
    SmallVector<AffineExpr> from = sizesOf(reshape.getX().getType()), to = sizesOf(reshape.getType());
    SmallVector<SmallVector<unsigned>> groups; // of the operand's dimensions, for each of the result
    unsigned next = 0;
    for (AffineExpr size : to) {
      AffineExpr product = getAffineConstantExpr(1, reshape.getContext());
      auto &group = groups.emplace_back();
      while (next < from.size() && canonical(product) != canonical(size)) {
        product = product * from[next];
        group.push_back(next++);
      }
      if (canonical(product) != canonical(size))
        return std::nullopt;
    }
    return next == from.size() ? std::optional(groups) : std::nullopt;
  }

  /// What the scale is before the reshape. With `build` unset only whether there is such a scale.
  std::optional<Spread> beforeReshape(ReshapeOp reshape, Spread scale, bool build) {
    auto groups = groupsOf(reshape);
    if (!groups)
      return std::nullopt;
    MLIRContext *context = reshape.getContext();
    SmallVector<AffineExpr> from = sizesOf(reshape.getX().getType()), tensor = sizesOf(scale.tensor.getType()), sizes, at;
    for (auto [i, index] : llvm::enumerate(scale.at.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(index);
      if (!dim) {
        if (!isa<AffineConstantExpr>(index))
          return std::nullopt;
        sizes.push_back(tensor[i]);
        at.push_back(index);
        continue;
      }
      for (unsigned d : (*groups)[dim.getPosition()]) {
        sizes.push_back(from[d]);
        at.push_back(getAffineDimExpr(d, context));
      }
    }
    Spread result{scale.tensor, AffineMap::get(from.size(), 0, at, context)};
    if (build) {
      auto type = tensorType(sizes, 0, cast<RankedTensorType>(scale.tensor.getType()).getElementType());
      if (type != scale.tensor.getType())
        result.tensor = ReshapeOp::create(builder, reshape.getLoc(), type, scale.tensor);
    }
    return result;
  }

  /// The operand of an addition or subtraction that is a shift along the scale's own dimensions.
  std::optional<unsigned> shiftOf(Operation *sum, Spread scale) {
    for (unsigned i : {0u, 1u})
      if (auto view = sum->getOperand(i).getDefiningOp<ViewOp>())
        if (view.getMap() == scale.at && view.getX().getType() == scale.tensor.getType() && steady.contains(view.getX()))
          return i;
    return std::nullopt;
  }

  bool possible(Value y, Spread scale) {
    Operation *op = y.getDefiningOp();
    if (!op || !op->hasOneUse())
      return false;
    if (auto contract = dyn_cast<ContractOp>(op))
      return factorFor(contract, scale, steady).has_value();
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      auto before = beforeReshape(reshape, scale, false);
      return before && possible(reshape.getX(), *before);
    }
    if (isa<AddOp, SubOp>(op))
      if (auto shift = shiftOf(op, scale))
        return possible(op->getOperand(1 - *shift), scale);
    return false;
  }

  Value scaled(Value y, Spread scale) {
    Operation *op = y.getDefiningOp();
    Location loc = op->getLoc();
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      return ReshapeOp::create(builder, loc, reshape.getType(), scaled(reshape.getX(), *beforeReshape(reshape, scale, true)));
    if (auto contract = dyn_cast<ContractOp>(op)) {
      unsigned i = *factorFor(contract, scale, steady);
      Value weight = contract->getOperand(i);
      AffineMap map = i == 0 ? contract.getLhsMap() : contract.getRhsMap();
      auto type = cast<RankedTensorType>(weight.getType());
      SmallVector<AffineExpr> dims(map.getNumDims(), builder.getAffineConstantExpr(0));
      for (unsigned d = 0; d < scale.at.getNumDims(); ++d)
        if (auto position = map.getResultPosition(builder.getAffineDimExpr(d)))
          dims[d] = builder.getAffineDimExpr(*position);
      SmallVector<AffineExpr> at;
      for (AffineExpr index : scale.at.getResults())
        at.push_back(index.replaceDims(dims));
      Value factor = ViewOp::create(builder, loc, type, scale.tensor, AffineMap::get(type.getRank(), 0, at, loc.getContext()));
      auto product = MulOp::create(builder, loc, weight, factor);
      if (!isNarrow(weight))
        product->setAttr(foldedAttr, builder.getUnitAttr());
      return ContractOp::create(builder, loc, contract.getType(), i == 0 ? product : contract.getLhs(),
                                i == 1 ? product : contract.getRhs(), contract.getLhsMap(), contract.getRhsMap(),
                                contract.getReduced());
    }
    unsigned shift = *shiftOf(op, scale);
    Value term = op->getOperand(shift).getDefiningOp<ViewOp>().getX();
    Value moved = MulOp::create(builder, loc, term, scale.tensor);
    Value sides[2];
    sides[1 - shift] = scaled(op->getOperand(1 - shift), scale);
    sides[shift] = ViewOp::create(builder, loc, cast<RankedTensorType>(y.getType()), moved, scale.at);
    if (isa<AddOp>(op))
      return AddOp::create(builder, loc, sides[0], sides[1]);
    return SubOp::create(builder, loc, sides[0], sides[1]);
  }

  SteadyValues &steady;
  OpBuilder builder;
};

struct FoldScales : bigm::impl::FoldScalesBase<FoldScales> {
  void runOnOperation() override {
    for (func::FuncOp func : inferenceEntries(getOperation())) {
      SteadyValues steady(func);
      Folding folding(func, steady);
      SmallVector<MulOp> scales(func.getBody().front().getOps<MulOp>());
      for (MulOp mul : scales)
        folding.run(mul);
      // What is dead now would count as a reader (sink-scales).
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
        if (isOpTriviallyDead(&op))
          op.erase();
    }
  }
};
} // namespace
