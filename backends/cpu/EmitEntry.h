// The entry of a function: one launch after the other.
#pragma once
#include "backends/cpu/KernelCache.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::bigm::cpu {

/// Emits `name`, a bigm_entry (docs/abi.md) that runs the planned function. Returns the number of launches.
/// With `marks` it tells bigm_rt_mark the number of each kernel before that runs, and -1 at the end.
unsigned emitEntry(func::FuncOp func, const std::string &name, const Target &target, OpBuilder &builder,
                   KernelCache &cache, bool marks = false);

} // namespace mlir::bigm::cpu
