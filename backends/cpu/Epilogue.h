// How the epilogue of a contraction is run.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::cpu {

/// Whether the epilogue is short enough to be unrolled over the registers of a block: a bias, a residual, an activation without
/// exp and its like. Longer ones run in a loop over the block's rows in memory.
bool unrollsEpilogue(kernel::NestOp nest);

} // namespace mlir::bigm::cpu
