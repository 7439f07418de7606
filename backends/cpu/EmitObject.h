// From loops and vectors to machine code.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include <memory>

namespace mlir::bigm::cpu {

/// Lowers a module of LLVM functions over scf, arith, math and vector ops to the LLVM dialect, in place.
LogicalResult lowerToLlvmDialect(ModuleOp module, bool verify);

/// A module of one function of the LLVM dialect in LLVM's IR, optimised for the target. Several threads may do this for
/// functions of one module, each with a context of its own.
std::unique_ptr<llvm::Module> toLlvm(LLVM::LLVMFuncOp function, llvm::LLVMContext &context, const Target &target);

/// The module of what a library exports: the table of entries and the manifest (docs/abi.md, "Two layers").
std::unique_ptr<llvm::Module> exportsModule(llvm::LLVMContext &context, const Target &target, const std::string &stem,
                                            const std::vector<std::string> &entries, const std::string &manifest);

/// Object file or assembly text.
LogicalResult emitMachineCode(llvm::Module &module, const Target &target, bool assembly, std::string &out);

} // namespace mlir::bigm::cpu
