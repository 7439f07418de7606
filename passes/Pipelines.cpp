// The stretches of the pipeline that are made of several passes.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;

void bigm::addSimplify(OpPassManager &manager) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void bigm::addDifferentiate(OpPassManager &manager) {
  addSimplify(manager);
  manager.addNestedPass<func::FuncOp>(createFuseAttention());
  manager.addPass(createAutodiff());
  addSimplify(manager);
  manager.addNestedPass<func::FuncOp>(createSumByParts());
  addSimplify(manager);
  manager.addPass(createPruneScans());
  addSimplify(manager);
  manager.addPass(createSymbolDCEPass()); // steps of scans that were replaced
  manager.addNestedPass<func::FuncOp>(createRecompute());
}
