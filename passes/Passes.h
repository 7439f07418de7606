// The passes of bigmc. One record each in Passes.td, one file each beside it.
#pragma once
#include "mlir/Pass/Pass.h"
#include <memory>

namespace mlir {
class OpPassManager;
class RankedTensorType;
namespace func {
class FuncOp;
}
namespace bigm {
class BigmDialect;

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Whether the CPU has a kernel for attention of queries [N, T, H, D] of this type; otherwise it is its parts.
bool attentionHasKernel(RankedTensorType queries);

/// Canonical forms, common subexpressions, dead code: upstream passes in the order that the pipelines use between ours.
void addSimplify(OpPassManager &manager);
/// From the dialect as emitted to the dialect with gradients expanded: simplify, autodiff, simplify, sum-by-parts,
/// simplify, recompute.
void addDifferentiate(OpPassManager &manager);

} // namespace bigm
} // namespace mlir
