// Scans carry what somebody reads.
//
// A model that uses the last state alone has no use for what every step gives, and a gradient may keep what nothing reads
// in the end. Results that are stacked and not used are not made; of equal ones one is; rows and captures that a step
// does not read are not handed to it. States stay: they are what makes steps steps.
//
// Runs on a program in simplest form, after autodiff, from the outside in: what a scan hands out is known when its body's
// own scans are looked at. Leaves dead ops in the functions that scans stand in.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/ScanBodies.h"
#include "llvm/ADT/BitVector.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_PRUNESCANS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
struct PruneScans : bigm::impl::PruneScansBase<PruneScans> {
  void runOnOperation() override {
    separateBodies<ScanOp>(getOperation());
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (!func.isPrivate())
        visit(func);
  }

  void visit(func::FuncOp func) {
    for (auto scan : llvm::to_vector(func.getBody().front().getOps<ScanOp>())) {
      auto body = getOperation().lookupSymbol<func::FuncOp>(scan.getBodyAttr());
      if (failed(prune(scan, body)))
        return signalPassFailure();
      visit(body);
    }
  }

  LogicalResult prune(ScanOp scan, func::FuncOp body) {
    Block &block = body.getBody().front();
    Operation *ret = block.getTerminator();
    unsigned states = scan.getStarts().size(), rows = scan.getXs().size();
    for (unsigned i = states; i < ret->getNumOperands(); ++i)
      for (unsigned j = states; j < i; ++j)
        if (ret->getOperand(i) == ret->getOperand(j)) {
          scan.getResult(i).replaceAllUsesWith(scan.getResult(j));
          break;
        }
    llvm::BitVector results(ret->getNumOperands());
    for (unsigned i = states; i < results.size(); ++i)
      results[i] = scan.getResult(i).use_empty();
    ret->eraseOperands(results);
    if (failed(body.eraseResults(results)))
      return failure();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (&op != ret && op.use_empty() && isMemoryEffectFree(&op))
        op.erase();
    llvm::BitVector arguments(body.getNumArguments());
    for (unsigned i = states; i < arguments.size(); ++i)
      arguments[i] = body.getArgument(i).use_empty();
    if (failed(body.eraseArguments(arguments)))
      return failure();
    if (results.none() && arguments.none())
      return success();

    SmallVector<Value> xs, captures;
    for (unsigned i = states; i < arguments.size(); ++i)
      if (!arguments[i])
        (i < states + rows ? xs : captures).push_back(scan->getOperand(i));
    SmallVector<Type> types;
    for (unsigned i = 0; i < results.size(); ++i)
      if (!results[i])
        types.push_back(scan.getResult(i).getType());
    OpBuilder builder(scan);
    auto pruned = ScanOp::create(builder, scan.getLoc(), types, scan.getBody(), scan.getStarts(), xs, captures,
                                 scan.getSteps(), scan.getReverse());
    unsigned next = 0;
    for (unsigned i = 0; i < results.size(); ++i)
      if (!results[i])
        scan.getResult(i).replaceAllUsesWith(pruned.getResult(next++));
    scan.erase();
    return success();
  }
};
} // namespace
