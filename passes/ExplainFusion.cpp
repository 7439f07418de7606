// Says of every nest why it is apart from those that it reads, by asking again what fuse-kernels asked.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/JoinNests.h"
#include "passes/Passes.h"
#include "passes/SubstituteNests.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_EXPLAINFUSION
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// The last contraction before this one that reads a tensor of it, computed before: heads over one trunk.
NestOp productOfTheSame(NestOp nest) {
  NestOp last;
  if (!nest.getContraction())
    return last;
  for (LoadOp load : nest.getBody().front().getOps<LoadOp>()) {
    if (!load.getTensor().getDefiningOp())
      continue; // weights and inputs are there in any case
    for (Operation *user : load.getTensor().getUsers()) {
      auto other = user->getParentOfType<NestOp>();
      if (other && other != nest && other.getContraction() && user->getBlock() == &other.getBody().front() &&
          other->getBlock() == nest->getBlock() && other->isBeforeInBlock(nest) && (!last || last->isBeforeInBlock(other)))
        last = other;
    }
  }
  return last;
}

struct ExplainFusion : bigm::impl::ExplainFusionBase<ExplainFusion> {
  void runOnOperation() override {
    Builder builder(&getContext());
    getOperation().walk([&](NestOp nest) {
      SmallVector<Attribute> apart;
      SmallPtrSet<Operation *, 8> seen;
      nest->walk([&](LoadOp load) {
        auto producer = load.getTensor().getDefiningOp<NestOp>();
        if (!producer || !seen.insert(producer).second)
          return;
        SmallVector<LoadOp> loads;
        const char *reason = whyNotSubstituted(producer, loads);
        // What is no producer to substitute could still have been joined.
        if (const char *other = obstacleToJoin(producer, nest); producer.reduces() && other)
          reason = other;
        apart.push_back(builder.getArrayAttr(
            {LocationAttr(producer.getLoc()), builder.getStringAttr(reason ? reason : "more than 40 kernels between")}));
      });
      if (NestOp sibling = productOfTheSame(nest))
        apart.push_back(builder.getArrayAttr({LocationAttr(sibling.getLoc()), builder.getStringAttr("both read the same, and each is a product of its own")}));
      if (!apart.empty())
        nest->setAttr("apart", builder.getArrayAttr(apart));
    });
  }
};
} // namespace
