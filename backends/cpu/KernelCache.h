// Code of kernels by what they compute.
#pragma once
#include "backends/cpu/EmitNest.h"
#include <map>

namespace mlir::bigm::cpu {

/// The tensors that a nest reads, in the order in which it does.
SmallVector<Value> tensorsOf(kernel::NestOp nest);

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

  /// The kernel of the op, emitted before what `outer` emits next where it is new. The op gets the attribute `kernel`, its name.
  Kernel &of(kernel::NestOp nest, const Target &target, OpBuilder &outer);
  Kernel &of(kernel::AttendOp attend, const Target &target, OpBuilder &outer);
  /// Its function; another one, `_clear`, makes zeros first.
  const std::string &of(kernel::ScatterOp scatter, const Target &target, OpBuilder &outer);

private:
  std::string nameOf(const std::string &key) const;
};

} // namespace mlir::bigm::cpu
