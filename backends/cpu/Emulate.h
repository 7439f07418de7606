// Instructions of other processors in terms of those that every one has, so that tests run the code for a processor
// with AVX-512, VNNI, AVX512-BF16 or AMX on any machine. Slow, and for tests alone.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"

namespace mlir::bigm::cpu {

/// Replaces all calls of intrinsics in the kernels of `module`, which are not lowered to branches yet. Fails at an
/// intrinsic that it does not know.
LogicalResult emulateInstructions(ModuleOp module);

} // namespace mlir::bigm::cpu
