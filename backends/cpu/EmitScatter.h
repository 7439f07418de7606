// The kernel of kernel.scatter: rows added into a table of zeros, the gradient of an embedding.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Kernel.h"
#include <string>

namespace mlir::bigm::cpu {

/// Sizes over the function's symbols.
struct Scatter {
  AffineExpr ids, rows, width; // of the list of ids, of the table, of one row of it in elements
  AffineExpr clearUnits, clearCost, units, cost; // of the two launches
};
Scatter planScatter(kernel::ScatterOp scatter, const Target &target);

/// 8-byte slots of its closure: pointers to updates, ids and table; numbers of ids and rows, elements of a row.
constexpr unsigned scatterSlots = 6;
/// Emits `name`_clear, which sets the table to zero, and `name`, which adds; each `void (closure, begin, end)`, for every
/// scatter of these element types.
void emitScatter(kernel::ScatterOp scatter, const Target &target, const std::string &name, ImplicitLocOpBuilder &b);

} // namespace mlir::bigm::cpu
