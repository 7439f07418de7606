// From loops and vectors to machine code.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include <memory>

namespace mlir::bigm::cpu {

/// Lowers a module of LLVM functions over scf, arith, math and vector ops to the LLVM dialect, in place.
LogicalResult lowerToLlvmDialect(ModuleOp module, bool verify);

/// The module in LLVM's IR, optimised for the target. Exports the entries table and the manifest.
std::unique_ptr<llvm::Module> toLlvm(ModuleOp module, llvm::LLVMContext &context, const Target &target,
                                     const std::string &stem, const std::vector<std::string> &entries,
                                     const std::string &manifest);

/// Object file or assembly text.
LogicalResult emitMachineCode(llvm::Module &module, const Target &target, bool assembly, std::string &out);

} // namespace mlir::bigm::cpu
