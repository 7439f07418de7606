// What is the same at every step of a scan is done once, before the first.
//
// A kernel of a step that reads captures alone (copies of weights into the layout that a contraction wants, their panels)
// moves in front of the scan; the step takes its result as one more capture, in the layout that was chosen for it. Inner
// scans come first, so that what they hand out can move on.
//
// Runs after choose-layout and packing, which make these kernels, and before hoist-prepare, which takes those that read
// weights alone out of the call.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"
#include "passes/ScanBodies.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_HOISTINVARIANT
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// A table that few numbers spread to is cheaper to compute than to read; symbolic sizes count as large.
constexpr int64_t growth = 4;

struct HoistInvariant : bigm::impl::HoistInvariantBase<HoistInvariant> {
  void runOnOperation() override {
    separateBodies<kernel::ScanOp>(getOperation());
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (!func.isPrivate())
        visit(func);
  }

  void visit(func::FuncOp func) {
    for (auto scan : llvm::to_vector(func.getBody().front().getOps<kernel::ScanOp>())) {
      auto body = getOperation().lookupSymbol<func::FuncOp>(scan.getBodyAttr());
      visit(body);
      hoist(scan, body);
    }
  }

  void hoist(kernel::ScanOp scan, func::FuncOp body) {
    unsigned varying = scan.getStarts().size() + scan.getXs().size();
    llvm::DenseSet<Operation *> moved;
    auto isKnown = [&](Value value) {
      Value root = rootOf(value);
      if (auto argument = dyn_cast<BlockArgument>(root))
        return argument.getArgNumber() >= varying;
      return moved.contains(root.getDefiningOp());
    };
    IRMapping values; // of the body -> in front of the scan
    for (auto [i, capture] : llvm::enumerate(scan.getCaptures()))
      values.map(body.getArgument(varying + i), capture);
    OpBuilder builder(scan);
    Block &block = body.getBody().front();
    for (Operation &op : block) {
      if (auto alias = dyn_cast<AliasOp>(op); alias && isKnown(alias.getResult())) {
        builder.clone(op, values);
        continue;
      }
      auto nest = dyn_cast<NestOp>(op);
      if (!nest)
        continue;
      bool fits = llvm::none_of(nest->getUsers(), llvm::IsaPred<func::ReturnOp>), reads = false;
      int64_t from = 0, to = 0;
      auto count = [](Type type) {
        auto tensor = cast<RankedTensorType>(type);
        return tensor.hasStaticShape() ? tensor.getNumElements() : int64_t(1) << 20;
      };
      nest->walk([&](LoadOp load) {
        reads = true;
        fits &= isKnown(load.getTensor());
        from += count(load.getTensor().getType());
      });
      for (Type type : nest.getResultTypes())
        to += count(type);
      if (!fits || !reads || to > growth * from)
        continue;
      moved.insert(nest);
      builder.clone(op, values);
    }
    for (Operation &op : block) {
      if (!moved.contains(&op))
        continue;
      for (Value result : op.getResults()) {
        if (!isNeeded(result, moved))
          continue;
        unsigned index = body.getNumArguments();
        auto layout = DenseI64ArrayAttr::get(&getContext(), layoutOf(result));
        NamedAttribute about(StringAttr::get(&getContext(), layoutAttr), layout);
        if (failed(body.insertArgument(index, result.getType(), DictionaryAttr::get(&getContext(), about),
                                       result.getLoc())))
          return signalPassFailure();
        result.replaceUsesWithIf(body.getArgument(index), [&](OpOperand &use) {
          return !moved.contains(use.getOwner()->getParentOp());
        });
        scan.getCapturesMutable().append(values.lookup(result));
      }
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if ((moved.contains(&op) || isa<AliasOp>(op)) && op.use_empty())
        op.erase();
  }

  /// Whether something that stays reads the value, perhaps under another shape.
  static bool isNeeded(Value value, const llvm::DenseSet<Operation *> &moved) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (auto alias = dyn_cast<AliasOp>(user))
        return isNeeded(alias.getResult(), moved);
      return !moved.contains(user->getParentOp());
    });
  }
};
} // namespace
