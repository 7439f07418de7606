// What fusion asks of one nest, or of one place where a nest is read.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::kernel {

constexpr unsigned longestBody = 300; // ops; beyond, registers spill and code grows

/// What one pass through a nest's body takes.
struct Cost {
  unsigned arithmetic = 0, fullLoads = 0, ops = 0; // fullLoads: those that read another element at every point
  bool dear = false;                               // divides, has an exp or its like, reads at computed places
};
Cost costOf(NestOp nest);

/// The only op of the body when it is a load without guard; null otherwise.
LoadOp plainView(NestOp nest);
/// Whether the load reads at each point of the consumer the element of that point.
bool isSamePoint(LoadOp load, NestOp consumer);

/// The places of `map` where its dimensions are those that `at` gives, over `symbols` symbols or as many as `map` has.
AffineMap composed(AffineMap map, AffineMap at, unsigned symbols = 0);
IntegerSet composed(IntegerSet set, AffineMap at);
bool hasDivision(AffineMap map);

} // namespace mlir::bigm::kernel
