// The gradient of bigm.scan: a scan in the opposite direction.
#pragma once
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::bigm {

/// What autodiff lends: how to expand a gradient, and how to bring a function into its simplest form.
struct ScanCalculus {
  function_ref<LogicalResult(GradientOp)> expand;
  function_ref<LogicalResult(func::FuncOp)> simplify;
};

/// Emits at `builder` what computes, for each operand with `needed`, the gradient; an empty one is zero. `cotangents` has
/// a value for each result, empty where nothing depends on it. Gives the scan that is to replace `scan`, whose first
/// results are the same: it also keeps what the gradient needs.
FailureOr<ScanOp> differentiateScan(OpBuilder &builder, ScanOp scan, ArrayRef<Value> cotangents, ArrayRef<bool> needed,
                                SmallVectorImpl<Value> &gradients, const ScanCalculus &calculus);

} // namespace mlir::bigm
