// Scans on the CPU: the body is an entry of its own, and the entry that it belongs to calls it step by step.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Kernel.h"

namespace mlir::bigm::cpu {

/// The functions of a module and the bodies of their scans, the bodies of scans before the functions that they stand in.
SmallVector<func::FuncOp> bodiesFirst(ModuleOp module);
/// The function that a scan runs at each step.
func::FuncOp bodyOf(kernel::ScanOp scan);

/// Where a scan's scratch memory begins to hold the second place of each state; what the body needs comes first. With
/// the end behind. The body is planned.
SmallVector<AffineExpr> stateOffsets(kernel::ScanOp scan);

/// Sets the bytes of scratch memory that the scans of a function need, whose bodies are planned.
void askForScratch(func::FuncOp func);

} // namespace mlir::bigm::cpu
