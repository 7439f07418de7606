// Bodies of scans, of either dialect.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::bigm {

/// Gives every scan a body that no other has, by copies where needed, so that passes may change bodies.
template <class Scan> void separateBodies(ModuleOp module) {
  llvm::DenseSet<Operation *> claimed;
  SmallVector<func::FuncOp> work(module.getOps<func::FuncOp>());
  for (size_t i = 0; i < work.size(); ++i) { // copies join at the end: their scans share bodies with the original's
    if (work[i].isExternal())
      continue;
    for (Scan scan : work[i].getBody().front().getOps<Scan>()) {
      auto body = module.lookupSymbol<func::FuncOp>(scan.getBodyAttr());
      if (claimed.insert(body).second)
        continue;
      body = body.clone();
      SymbolTable(module).insert(body); // renames it
      scan.setBody(body.getName());
      claimed.insert(body);
      work.push_back(body);
    }
  }
}

} // namespace mlir::bigm
