// Decides what is computed together.
//
// First producers are substituted into their consumers: a view, a pad or a constant always; arithmetic where computing it
// again costs less than writing it to memory and reading it back. Then nests over the same points become one: a
// pointwise nest joins the nest that feeds it (after a reduction or contraction it is the epilogue, applied while the
// values sit in registers), and nests that read the same tensors at the same points share the pass over memory.
//
// Afterwards every nest is one kernel. The operands of a contraction stay plain loads, because its kernel streams them.
// The two steps stand in SubstituteNests.cpp and JoinNests.cpp; here is their order.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/JoinNests.h"
#include "passes/NestQueries.h"
#include "passes/Passes.h"
#include "passes/SubstituteNests.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_FUSEKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// By how much a linear index grows with a dimension.
AffineExpr stepOf(AffineExpr index, unsigned dim) {
  AffineExpr d = getAffineDimExpr(dim, index.getContext());
  return index.replace(d, d + 1) - index;
}

/// Attention reads a part or another order of a tensor where it lies, as long as the elements of a head stay side by side.
bool readThrough(AttendOp attention, unsigned input) {
  auto producer = attention.getInputs()[input].getDefiningOp<NestOp>();
  LoadOp view = producer ? plainView(producer) : LoadOp();
  if (!view)
    return false;
  AffineMap own = cast<AffineMapAttr>(attention.getMaps()[input]).getValue();
  AffineMap map = composed(view.getMap(), own);
  if (hasDivision(map) || !llvm::all_of(map.getResults(), [](AffineExpr index) { return index.isPureAffine(); }))
    return false;
  if (map.getNumDims() == 4) {
    auto last = dyn_cast_or_null<AffineConstantExpr>(canonical(stepOf(map.getResults().back(), 3)));
    bool aside = last && last.getValue() == 1;
    for (AffineExpr index : map.getResults().drop_back())
      aside &= !index.isFunctionOfDim(3);
    if (!aside)
      return false;
  }
  SmallVector<Attribute> maps(attention.getMaps().getValue());
  maps[input] = AffineMapAttr::get(map);
  attention.setMapsAttr(ArrayAttr::get(attention.getContext(), maps));
  attention.getInputsMutable().slice(input, 1).assign(view.getTensor());
  return true;
}

struct FuseKernels : bigm::impl::FuseKernelsBase<FuseKernels> {
  void runOnOperation() override {
    Block &block = getOperation().getBody().front();
    for (AttendOp attention : block.getOps<AttendOp>())
      for (unsigned input = 0; input < attention.getInputs().size(); ++input)
        while (readThrough(attention, input)) {
        }
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto nest = dyn_cast<NestOp>(op); nest && !nest->use_empty())
        substituteEverywhere(nest);
    eraseUnused(block);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto nest = dyn_cast<NestOp>(op); nest && nest.getParallel() == 0 && !nest.reduces())
        moveUp(nest);
    // Neighbours first. What only makes new values of weights and states may join over any distance: these lie where the old ones
    // lay, so no memory waits longer.
    std::vector<NestOp> nests(block.getOps<NestOp>().begin(), block.getOps<NestOp>().end());
    joinWithin(nests, 40);
    std::vector<NestOp> updates = updatesOf(nests);
    joinWithin(updates, updates.size());
  }

  /// A number is computed as soon as what it depends on is there, so that no kernel waits for it: an optimiser's rate.
  static void moveUp(NestOp nest) {
    Operation *last = nullptr;
    nest->walk([&](LoadOp load) {
      Operation *source = load.getTensor().getDefiningOp();
      if (source && (!last || last->isBeforeInBlock(source)))
        last = source;
    });
    if (last)
      nest->moveAfter(last);
    else
      nest->moveBefore(nest->getBlock(), nest->getBlock()->begin());
  }

  /// Of nests in order, those whose results are read by nothing but the end of the function and by others of the kind.
  static std::vector<NestOp> updatesOf(ArrayRef<NestOp> nests) {
    std::vector<NestOp> updates;
    SmallPtrSet<Operation *, 16> readers; // those that may read an update
    for (NestOp nest : llvm::reverse(nests)) {
      bool isUpdate = llvm::all_of(nest->getUsers(), [&](Operation *user) {
        return isa<func::ReturnOp>(user) || (isa<LoadOp>(user) && readers.contains(user->getParentOfType<NestOp>()));
      });
      if (!isUpdate)
        continue;
      updates.push_back(nest);
      if (!nest.getContraction())
        readers.insert(nest);
    }
    std::reverse(updates.begin(), updates.end());
    return updates;
  }

  /// Each nest looks back over `distance` others for one to join; the joined one looks again.
  static void joinWithin(std::vector<NestOp> &nests, size_t distance) {
    for (size_t i = 1; i < nests.size();) {
      size_t back = 1;
      while (back <= std::min(i, distance) && obstacleToJoin(nests[i - back], nests[i]))
        ++back;
      if (back > std::min(i, distance)) {
        ++i;
        continue;
      }
      size_t at = placeOfJoined(nests[i - back], nests[i]) == nests[i] ? i - 1 : i - back;
      NestOp joined = join(nests[i - back], nests[i]);
      nests.erase(nests.begin() + i);
      nests.erase(nests.begin() + (i - back));
      nests.insert(nests.begin() + at, joined);
      i = std::max<size_t>(at, 1);
    }
  }
  static void eraseUnused(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if ((isKernel(&op) || isa<AliasOp>(op)) && op.use_empty())
        op.erase();
  }
};
} // namespace
