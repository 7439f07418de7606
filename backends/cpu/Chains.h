// Chains: kernels that run one after the other on a slice of their results before the next slice begins.
//
// Where consecutive nests move alike through their outermost dimensions (all rows in a normalisation), and each reads of
// the others' results only the slice that it works on, one parallel loop runs over the slices and calls the kernels in
// turn. What passes between them stays in the caches of one core, and threads meet once instead of after every kernel.
// The kernels are the same as without.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Kernel.h"

namespace mlir::bigm::cpu {

/// What `kernel::chainAttr` says: [number, outer dimensions that make a slice, slices at a time]. The nests of a chain
/// stand beside each other, with no other op between them but aliases.
struct ChainPart {
  int64_t number = 0;
  unsigned dims = 0;   // outermost of the nest's units
  int64_t together = 1; // slices that every kernel does before the next one begins
};
std::optional<ChainPart> chainOf(kernel::NestOp nest);

/// Marks chains, with numbers from `first` on. Runs before places are planned: what passes along a chain is alive during all of it.
void findChains(func::FuncOp func, const Target &target, int64_t first);

/// Number of slices of a nest, and of its units in each.
struct Slices {
  AffineExpr count, units;
};
Slices slicesOf(kernel::NestOp nest, unsigned dims, const Target &target);

} // namespace mlir::bigm::cpu
