// bigm-opt: the passes of bigmc alone, on IR text. For tests and for compiler engineers.
//
//   bigm-opt --autodiff --canonicalize model.mlir
#include "ir/Bigm.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"

int main(int argc, char **argv) {
  mlir::registerAllPasses();
  mlir::bigm::registerBigmPasses();
  mlir::PassPipelineRegistration<>("differentiate", "Simplify, expand gradients, simplify, recompute",
                                   mlir::bigm::addDifferentiate);
  mlir::DialectRegistry registry;
  registry.insert<mlir::bigm::BigmDialect, mlir::bigm::kernel::KernelDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "the passes of bigmc\n", registry));
}
