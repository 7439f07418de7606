// Computes cheap values again next to their late users, where that saves keeping them.
//
// The backward part of a step reads values that the forward part made long before, and each is memory that is live
// through both. The rule: a use is late when a contraction, reduction or other heavy op stands between it and the
// definition. A value is computed again when
//   - its op is a pointwise op of at most the cost of a division, or a broadcast or transpose;
//   - each of its operands is at hand at the late use without being kept for it: an argument, a small tensor, a
//     constant, something that a heavy op reads at that place or later, or something that can itself be computed again
//     (chains of at most `limit` ops);
//   - this holds for all its late uses, for otherwise the value is kept all the same.
// The copies stand right before their users, where fusion melts them in; the original then ends with its early users.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_RECOMPUTE
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
constexpr unsigned kCheap = 4;   // additions an element
constexpr int64_t kSmall = 4096; // elements of a tensor that is not worth a thought
constexpr int64_t kSymbol = 64;  // what a symbolic size counts as there

bool isLight(Operation *op) {
  return isa<Pointwise, ViewOp, ReshapeOp, ConstantOp, IotaOp, SizeOp, StopGradientOp>(op);
}

bool isCheap(Operation *op) {
  if (auto pointwise = dyn_cast<Pointwise>(op))
    return pointwise.elementCost() <= kCheap;
  if (auto view = dyn_cast<ViewOp>(op))
    return view.getMap().isProjectedPermutation(/*allowZeroInResults=*/true);
  return isa<ReshapeOp>(op);
}

bool isSmall(Value value) {
  SmallVector<AffineExpr> symbols;
  for (unsigned i = 0; i < symbolCount(value.getType()); ++i)
    symbols.push_back(getAffineConstantExpr(kSymbol, value.getContext()));
  auto count = dyn_cast<AffineConstantExpr>(elementCount(value.getType()).replaceDimsAndSymbols({}, symbols));
  return count && count.getValue() <= kSmall;
}

struct Recompute : bigm::impl::RecomputeBase<Recompute> {
  using RecomputeBase::RecomputeBase;

  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      runOnBlock(block);
  }

  void runOnBlock(Block &block) {
    order.clear();
    heavyBefore.clear();
    unsigned heavy = 0;
    for (Operation &op : block) {
      order[&op] = order.size();
      heavyBefore[&op] = heavy;
      heavy += !isLight(&op);
    }
    SmallVector<Operation *> candidates;
    for (Operation &op : block)
      if (isCheap(&op) && op.getNumResults() == 1 && !isSmall(op.getResult(0)))
        candidates.push_back(&op);
    for (Operation *op : candidates) {
      SmallVector<OpOperand *> late;
      bool all = true;
      for (OpOperand &use : op->getResult(0).getUses()) {
        Operation *user = use.getOwner();
        if (!order.count(user) || heavyBefore[user] == heavyBefore[op])
          continue;
        late.push_back(&use);
        all &= !user->hasTrait<OpTrait::IsTerminator>() && isLight(user) &&
               llvm::all_of(op->getOperands(), [&](Value v) { return atHand(v, order[user], limit - 1); });
      }
      // With late uses only, the op as such stands too early; a copy for each serves as well.
      if (late.empty() || !all)
        continue;
      for (OpOperand *use : late) {
        OpBuilder builder(use->getOwner());
        use->set(copy(builder, op, order[use->getOwner()]));
      }
      if (op->use_empty())
        dead.push_back(op);
    }
    for (Operation *op : llvm::reverse(dead))
      if (op->use_empty())
        op->erase();
    dead.clear();
  }

  /// Can be read at `place` without being kept for it.
  bool live(Value value, unsigned place) {
    Operation *op = value.getDefiningOp();
    if (!op || isSmall(value) || isa<ConstantOp, IotaOp>(op))
      return true;
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      auto it = order.find(user);
      return it != order.end() && it->second >= place && !isLight(user);
    });
  }
  bool atHand(Value value, unsigned place, unsigned depth) {
    if (live(value, place))
      return true;
    Operation *op = value.getDefiningOp();
    return depth > 0 && isCheap(op) &&
           llvm::all_of(op->getOperands(), [&](Value v) { return atHand(v, place, depth - 1); });
  }
  Value copy(OpBuilder &builder, Operation *op, unsigned place) {
    IRMapping mapping;
    for (Value operand : op->getOperands())
      if (!live(operand, place) && !mapping.contains(operand))
        mapping.map(operand, copy(builder, operand.getDefiningOp(), place));
    return builder.clone(*op, mapping)->getResult(0);
  }

  DenseMap<Operation *, unsigned> order, heavyBefore;
  SmallVector<Operation *> dead;
};
} // namespace
