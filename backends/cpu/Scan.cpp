#include "backends/cpu/Scan.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "passes/SymbolicArena.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

func::FuncOp cpu::bodyOf(kernel::ScanOp scan) {
  return scan->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(scan.getBodyAttr());
}

SmallVector<func::FuncOp> cpu::bodiesFirst(ModuleOp module) {
  SmallVector<func::FuncOp> order;
  llvm::DenseSet<Operation *> seen;
  auto visit = [&](auto &self, func::FuncOp func) -> void {
    if (!seen.insert(func).second)
      return;
    for (auto scan : func.getBody().front().getOps<kernel::ScanOp>())
      self(self, bodyOf(scan));
    order.push_back(func);
  };
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isPrivate()) // a body that no scan has is left out
      visit(visit, func);
  return order;
}

static AffineExpr aligned(AffineExpr bytes) { return (bytes + 63).floorDiv(64) * 64; }

SmallVector<AffineExpr> cpu::stateOffsets(kernel::ScanOp scan) {
  MLIRContext *context = scan.getContext();
  AffineExpr end = getAffineConstantExpr(0, context);
  for (const BytesTerm &term : termsOf(bodyOf(scan), arenaAttr)) {
    AffineExpr bytes = getAffineConstantExpr(term.bytes, context);
    for (unsigned symbol : term.of)
      bytes = bytes * getAffineSymbolExpr(symbol, context);
    end = end + bytes;
  }
  SmallVector<AffineExpr> offsets;
  for (Value start : scan.getStarts()) {
    offsets.push_back(canonical(end));
    end = end + aligned(elementCount(start.getType()) * kernel::elementBytes(start.getType()));
  }
  offsets.push_back(canonical(end));
  return offsets;
}

void cpu::askForScratch(func::FuncOp func) {
  for (auto scan : func.getBody().front().getOps<kernel::ScanOp>())
    scan->setAttr("scratch_bytes",
                  AffineMapAttr::get(AffineMap::get(0, symbolCount(func), stateOffsets(scan).back())));
}
