// The entry of a function: one launch after the other.
#pragma once
#include "backends/cpu/EmitNest.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <map>

namespace mlir::bigm::cpu {

/// Kernels already emitted, by what they compute: equal nests of all functions share their code. A kernel's name is the
/// digest of that, of the target and of the compiler, so that the same name is the same code in every program.
struct KernelCache {
  std::string identity; // of target and compiler
  struct Kernel {
    SmallVector<Launch> launches;
    SmallVector<Slot> slots;        // Tensor slots by number in `result`
  };
  std::map<std::string, Kernel> kernels;
  DenseMap<std::pair<Type, Type>, std::string> scatters; // by the types of an element and of an id
};

/// Emits `name`, a bigm_entry (docs/abi.md) that runs the planned function. Returns the number of launches.
/// With `marks` it tells bigm_rt_mark the number of each kernel before that runs, and -1 at the end.
unsigned emitEntry(func::FuncOp func, const std::string &name, const Target &target, OpBuilder &builder,
                   KernelCache &cache, bool marks = false);

} // namespace mlir::bigm::cpu
