// The attribute of nests that pass rows on to each other, for passes and backends.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::kernel {

/// Attribute of nests of a chain that pass rows on (backends/cpu/Bands.h): how many of the outermost dimensions in memory the
/// chain runs through, and how many rows of the result it keeps. With rows kept the result has no place in memory.
constexpr llvm::StringLiteral bandAttr("band");
/// Whether the result of the op lives only inside of the chain that the op belongs to.
inline bool passesOn(Operation *op) {
  auto band = op->getAttrOfType<DenseI64ArrayAttr>(bandAttr);
  return band && band[1] > 0;
}

} // namespace mlir::bigm::kernel
