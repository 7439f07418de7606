// The lowerings of to-kernels that are an idea of their own.
#pragma once
#include "passes/NestBuilder.h"

namespace mlir::bigm::kernel {

/// The adjoint of a view as sums.
Value lowerFold(NestBuilder &b, FoldOp op);
/// Numbers in [0, 1) that hang on a seed and their places alone.
Value lowerRandom(NestBuilder &b, RandomOp op);
/// Whether attention, its gradient or attention over kept rows stays one op; otherwise it is its parts.
bool hasKernel(Operation *attention);
/// For such a one: a kernel for all its results.
SmallVector<Value> lowerAttention(NestBuilder &b, Operation *op);

} // namespace mlir::bigm::kernel
