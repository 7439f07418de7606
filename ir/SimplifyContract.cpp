// Canonical forms of contractions: they read through the views, reshapes and padding around them, so that the indexing maps
// say everything that a kernel has to know.
#include "ir/Bigm.h"
#include "ir/Formula.h"
#include "ir/Simplify.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// A contraction reads through the views that feed it.
struct ContractOfView : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().getDefiningOp<ViewOp>(), rhs = op.getRhs().getDefiningOp<ViewOp>();
    if (!lhs && !rhs)
      return rewriter.notifyMatchFailure(op, "no factor is a view");
    rewriter.modifyOpInPlace(op, [&] {
      if (lhs) {
        op.setLhsMap(lhs.getMap().compose(op.getLhsMap()));
        op.getLhsMutable().assign(lhs.getX());
      }
      if (rhs) {
        op.setRhsMap(rhs.getMap().compose(op.getRhsMap()));
        op.getRhsMutable().assign(rhs.getX());
      }
    });
    return success();
  }
};

/// A contraction whose rows were merged for it and are split behind it (a linear layer over [N, T, D]) runs over them
/// as they are: what follows is then over its own points and can be its epilogue.
struct ContractOfMergedRows : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto contract = op.getX().getDefiningOp<ContractOp>();
    if (!contract || !contract->hasOneUse())
      return rewriter.notifyMatchFailure(op, "operand is no contraction with one use");
    SmallVector<AffineExpr> merged = sizesOf(contract.getType()), sizes = sizesOf(op.getType());
    // The dimensions of the result that each of the contraction is split into: [start[p], start[p + 1]).
    SmallVector<unsigned> start{0};
    for (AffineExpr size : merged) {
      unsigned next = start.back();
      AffineExpr product = rewriter.getAffineConstantExpr(1);
      do {
        if (next == sizes.size())
          return rewriter.notifyMatchFailure(op, "does more than split dimensions");
        product = product * sizes[next++];
      } while (canonical(product) != canonical(size));
      start.push_back(next);
    }
    if (start.back() != sizes.size())
      return rewriter.notifyMatchFailure(op, "does more than split dimensions");
    unsigned rank = sizes.size(), reduced = contract.getReduced().getNumResults();
    SmallVector<AffineExpr> renamed; // of the contraction's dimensions; null where split
    for (unsigned p = 0; p < merged.size(); ++p)
      renamed.push_back(start[p + 1] - start[p] == 1 ? rewriter.getAffineDimExpr(start[p]) : AffineExpr());
    for (unsigned i = 0; i < reduced; ++i)
      renamed.push_back(rewriter.getAffineDimExpr(rank + i));

    Value factors[2];
    RankedTensorType types[2];
    AffineMap maps[2];
    for (unsigned i : {0u, 1u}) {
      Value factor = contract->getOperand(i);
      AffineMap map = i == 0 ? contract.getLhsMap() : contract.getRhsMap();
      SmallVector<AffineExpr> own = sizesOf(factor.getType()), split, indices;
      bool changed = false;
      for (auto [j, index] : llvm::enumerate(map.getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(index);
        if (dim && !renamed[dim.getPosition()]) {
          unsigned p = dim.getPosition();
          if (canonical(own[j]) != canonical(merged[p]))
            return rewriter.notifyMatchFailure(op, "a factor has more rows than are read");
          for (unsigned d = start[p]; d < start[p + 1]; ++d) {
            split.push_back(sizes[d]);
            indices.push_back(rewriter.getAffineDimExpr(d));
          }
          changed = true;
          continue;
        }
        for (unsigned p = 0; p < merged.size(); ++p)
          if (!renamed[p] && index.isFunctionOfDim(p))
            return rewriter.notifyMatchFailure(op, "a split dimension stands in a window");
        SmallVector<AffineExpr> replacements = renamed;
        for (AffineExpr &replacement : replacements)
          if (!replacement)
            replacement = rewriter.getAffineConstantExpr(0);
        split.push_back(own[j]);
        indices.push_back(index.replaceDims(replacements));
      }
      if (changed) {
        auto type = tensorType(split, symbolCount(factor.getType()), cast<RankedTensorType>(factor.getType()).getElementType());
        // One reshape gives way to another, or to none.
        auto reshape = factor.getDefiningOp<ReshapeOp>();
        if (!reshape)
          return rewriter.notifyMatchFailure(op, "no rows of a factor were merged");
        types[i] = type;
        factor = reshape.getX();
      }
      factors[i] = factor;
      maps[i] = AffineMap::get(rank + reduced, 0, indices, getContext());
    }
    for (unsigned i : {0u, 1u})
      if (types[i] && factors[i].getType() != types[i])
        factors[i] = ReshapeOp::create(rewriter, op.getLoc(), types[i], factors[i]);
    rewriter.replaceOpWithNewOp<ContractOp>(op, op.getType(), factors[0], factors[1], maps[0], maps[1],
                                            contract.getReduced());
    return success();
  }
};

/// A slice, stride or transpose of a contraction computes only the part that is read.
struct ViewOfContract : OpRewritePattern<ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ViewOp op, PatternRewriter &rewriter) const override {
    auto contract = op.getX().getDefiningOp<ContractOp>();
    if (!contract || !contract->hasOneUse())
      return rewriter.notifyMatchFailure(op, "operand is no contraction with one use");
    unsigned rank = op.getType().getRank(), reduced = contract.getReduced().getNumResults();
    SmallVector<unsigned> uses(rank, 0);
    SmallVector<Linear> indices = *linear(op.getMap());
    for (const Linear &index : indices)
      for (auto [dim, coefficient] : llvm::enumerate(index.coefficients))
        uses[dim] += coefficient != 0;
    if (llvm::any_of(uses, [](unsigned n) { return n != 1; }))
      return rewriter.notifyMatchFailure(op, "reads an element more than once");
    SmallVector<AffineExpr> inner(op.getMap().getResults());
    for (unsigned i = 0; i < reduced; ++i)
      inner.push_back(rewriter.getAffineDimExpr(rank + i));
    auto whole = AffineMap::get(rank + reduced, 0, inner, getContext());
    rewriter.replaceOpWithNewOp<ContractOp>(op, op.getType(), contract.getLhs(), contract.getRhs(),
                                            contract.getLhsMap().compose(whole), contract.getRhsMap().compose(whole),
                                            contract.getReduced());
    return success();
  }
};

/// A contraction does without padding that it does not read.
struct TrimPad : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    if (succeeded(trim(op, op.getLhsMutable(), op.getLhsMap(), true, rewriter)) ||
        succeeded(trim(op, op.getRhsMutable(), op.getRhsMap(), false, rewriter)))
      return success();
    return rewriter.notifyMatchFailure(op, "no factor is a pad with unread edges");
  }

  LogicalResult trim(ContractOp op, OpOperand &factor, AffineMap map, bool left, PatternRewriter &rewriter) const {
    auto pad = factor.get().getDefiningOp<PadOp>();
    if (!pad || !pad->hasOneUse() || op.getLhs() == op.getRhs())
      return failure();
    SmallVector<AffineExpr> sizes = op.iterationSizes(), padded = sizesOf(pad.getType());
    SmallVector<int64_t> low(pad.getLow()), high(pad.getHigh());
    SmallVector<AffineExpr> exprs;
    bool changed = false;
    SmallVector<Linear> indices = *linear(map);
    for (auto [i, index] : llvm::enumerate(indices)) {
      AffineExpr least = rewriter.getAffineConstantExpr(index.offset), most = least;
      for (auto [dim, coefficient] : llvm::enumerate(index.coefficients))
        (coefficient < 0 ? least : most) = (coefficient < 0 ? least : most) + (sizes[dim] - 1) * coefficient;
      auto first = dyn_cast<AffineConstantExpr>(canonical(least));
      std::optional<int64_t> rest = constantDifference(padded[i] - 1, most);
      int64_t before = std::clamp<int64_t>(first ? first.getValue() : 0, 0, std::max<int64_t>(0, low[i]));
      int64_t after = std::clamp<int64_t>(rest.value_or(0), 0, std::max<int64_t>(0, high[i]));
      low[i] -= before;
      high[i] -= after;
      padded[i] = padded[i] - before - after;
      exprs.push_back(map.getResult(i) - before);
      changed |= before || after;
    }
    if (!changed)
      return failure();
    auto type = tensorType(padded, symbolCount(pad.getType()), pad.getType().getElementType());
    Value fresh = PadOp::create(rewriter, pad.getLoc(), type, pad.getX(), pad.getValue(), low, high, pad.getInterior());
    rewriter.modifyOpInPlace(op, [&] {
      factor.set(fresh);
      auto shifted = AffineMap::get(map.getNumDims(), 0, exprs, getContext());
      left ? op.setLhsMap(shifted) : op.setRhsMap(shifted);
    });
    return success();
  }
};
} // namespace

void mlir::bigm::addContractionPatterns(RewritePatternSet &patterns) {
  patterns.add<ContractOfView, ContractOfMergedRows, ViewOfContract, TrimPad>(patterns.getContext());
}
