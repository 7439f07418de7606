// Computes cheap values again next to their late users, where that saves keeping them.
//
// The backward part of a step reads values that the forward part made long before, and each is memory that is live
// through both. The rule: a use is late when a contraction, reduction or other heavy op stands between it and the
// definition. A value is computed again when
//   - its op is pointwise and costs less than the memory that keeping it moves, or a broadcast or transpose;
//   - each of its operands is at hand at the late use without being kept for it: an argument, a small tensor, a
//     constant, something that is read at that place or later anyway, or something that can itself be computed again
//     (chains of at most `limit` ops);
//   - this holds for all its late uses, for otherwise the value is kept all the same.
// The copies stand right before their users, where fusion melts them in; the original then ends with its early users.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_RECOMPUTE
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
constexpr unsigned kCheap = 4;   // additions an element
constexpr unsigned kFair = 24;   // the same, where what it needs is kept anyway: a core does as many while memory moves 12 bytes
constexpr int64_t kSmall = 4096; // elements of a tensor that is not worth a thought
constexpr int64_t kSymbol = 64;  // what a symbolic size counts as there

bool isLight(Operation *op) {
  return isa<Pointwise, ViewOp, ReshapeOp, ConstantOp, IotaOp, SizeOp, StopGradientOp>(op);
}

bool isCheap(Operation *op, unsigned most = kCheap) {
  if (auto pointwise = dyn_cast<Pointwise>(op))
    return pointwise.elementCost() <= most;
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
    repeated.clear();
    heavyBefore.clear();
    unsigned heavy = 0;
    for (Operation &op : block) {
      heavyBefore[&op] = heavy;
      heavy += !isLight(&op);
    }
    SmallVector<Operation *> candidates;
    for (Operation &op : block)
      if (isCheap(&op, kFair) && op.getNumResults() == 1 && !isSmall(op.getResult(0)))
        candidates.push_back(&op);
    for (Operation *op : candidates) {
      SmallVector<OpOperand *> late;
      bool all = true;
      for (OpOperand &use : op->getResult(0).getUses()) {
        Operation *user = use.getOwner();
        if (!heavyBefore.count(user) || heavyBefore[user] == heavyBefore[op])
          continue;
        late.push_back(&use);
        all &= !user->hasTrait<OpTrait::IsTerminator>() && isLight(user) &&
               llvm::all_of(op->getOperands(), [&](Value v) { return atHand(v, heavyBefore[user], limit - 1); });
      }
      // With late uses only, the op as such stands too early; a copy for each serves as well.
      if (late.empty() || !all)
        continue;
      for (OpOperand *use : late) {
        OpBuilder builder(use->getOwner());
        use->set(copy(builder, op, heavyBefore[use->getOwner()], false));
        repeated.insert({op, heavyBefore[use->getOwner()]});
      }
      if (op->use_empty())
        dead.push_back(op);
    }
    for (Operation *op : llvm::reverse(dead))
      if (op->use_empty())
        op->erase();
    dead.clear();
  }

  /// Can be read behind so many heavy ops without being kept for it. What has a user there is kept for that: had it been
  /// computed again, which is decided in the order of the program, the user would read the copy.
  bool live(Value value, unsigned place) {
    Operation *op = value.getDefiningOp();
    if (!op || isSmall(value) || isa<ConstantOp, IotaOp>(op))
      return true;
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      auto it = heavyBefore.find(user);
      return it != heavyBefore.end() && it->second >= place;
    });
  }
  bool atHand(Value value, unsigned place, unsigned depth) {
    if (live(value, place))
      return true;
    Operation *op = value.getDefiningOp();
    return depth > 0 && (isCheap(op) || repeated.contains({op, place})) &&
           llvm::all_of(op->getOperands(), [&](Value v) { return atHand(v, place, depth - 1); });
  }
  /// Computes it again. Fusion computes what is cheap wherever it is read; anything else, and what leads to it, is marked, or it
  /// would be found equal to the original.
  Value copy(OpBuilder &builder, Operation *op, unsigned place, bool marked) {
    IRMapping mapping;
    marked |= !isCheap(op);
    for (Value operand : op->getOperands())
      if (!live(operand, place) && !mapping.contains(operand))
        mapping.map(operand, copy(builder, operand.getDefiningOp(), place, marked));
    Operation *again = builder.clone(*op, mapping);
    if (marked)
      again->setAttr(attrs::again, builder.getI64IntegerAttr(place));
    return again->getResult(0);
  }

  DenseMap<Operation *, unsigned> heavyBefore; // heavy ops in front of it; copies have no entry
  DenseSet<std::pair<Operation *, unsigned>> repeated; // what is computed again, and behind how many heavy ops
  SmallVector<Operation *> dead;
};
} // namespace
