// A scale in front of a contraction is applied behind it where it does not vary along the sum.
//
//   sum(k: (x[i, k] * s[i]) * w[k])  =  sum(k: x[i, k] * w[k]) * s[i]
//
// The operand of a contraction is read from memory as it lies there (fuse-kernels), so x * s would be written and read
// once; as an epilogue of the contraction the scale costs nothing. A softmax whose weights are used once divides by its sums so. Runs
// after differentiation: where the product is kept for the backward part it has another reader, and stays. So does what fold-scales
// put into weights, which costs nothing at all.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/InferenceEntries.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_SINKSCALES
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
struct SinkScales : bigm::impl::SinkScalesBase<SinkScales> {
  void runOnOperation() override {
    SmallVector<ContractOp> contractions(getOperation().getBody().front().getOps<ContractOp>());
    for (ContractOp contract : contractions)
      for (unsigned factor : {0u, 1u})
        while (sink(contract, factor))
          ;
    for (auto mul : getOperation().getBody().front().getOps<MulOp>())
      mul->removeAttr(foldedAttr);
  }

  /// Moves one scale of the factor behind the contraction; false when there is none that can move.
  static bool sink(ContractOp contract, unsigned factor) {
    auto mul = contract->getOperand(factor).getDefiningOp<MulOp>();
    if (!mul || mul->hasAttr(foldedAttr) || !mul->hasOneUse() || !isa<FloatType>(mul.getType().getElementType()))
      return false;
    AffineMap map = factor == 0 ? contract.getLhsMap() : contract.getRhsMap();
    unsigned rank = contract.getType().getRank();
    for (auto [x, by] : {std::pair(mul.getX(), mul.getY()), std::pair(mul.getY(), mul.getX())}) {
      auto view = by.getDefiningOp<ViewOp>();
      if (!view)
        continue;
      AffineMap at = view.getMap().compose(map);
      bool varies = false;
      for (unsigned d = rank; d < at.getNumDims(); ++d)
        varies |= at.isFunctionOfDim(d);
      if (varies || at.getNumDims() == rank)
        continue;
      OpBuilder builder(contract);
      builder.setInsertionPointAfter(contract);
      Value scale = ViewOp::create(builder, mul.getLoc(), contract.getType(), view.getX(),
                                   AffineMap::get(rank, 0, at.getResults(), builder.getContext()));
      auto scaled = MulOp::create(builder, mul.getLoc(), contract.getResult(), scale);
      contract.getResult().replaceAllUsesExcept(scaled, scaled);
      contract->setOperand(factor, x);
      mul.erase(); // or a second scale in front of it would seem to have another reader
      return true;
    }
    return false;
  }
};
} // namespace
