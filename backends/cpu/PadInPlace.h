// Zeros around a tensor where it lies.
//
// A window that reaches beyond its picture reads a copy with zeros around it (to-kernels). Where another nest makes the
// picture, that nest may as well write it into the middle of the larger tensor: the copy is gone, and what remains of it is
// to fill the margins. In MobileNetV2 the copies were 7 % of a call. An input has no maker: its copy writes the middle itself, with
// no test for each element, and as it does the same in each row, a band may begin with it (MobileNetV2, one thread of Zen 3: 2 %).
#pragma once
#include "backends/cpu/EmitNest.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::bigm::cpu {

/// The load of a nest that only puts zeros around a tensor, when the tensor is the result of one.
kernel::LoadOp paddedBy(Value tensor);

/// Runs after transformOperands, which reads behind some of these copies, and before plan-memory.
void padInPlace(func::FuncOp func);

/// The launch that fills the margins of a nest's result, in a function of that name.
Launch emitMargins(Emitter &emitter, const std::string &name);

} // namespace mlir::bigm::cpu
