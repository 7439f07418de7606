// Functions of f32 as polynomials that run in vectors. What upstream has of these costs half as much again, which counts where
// they stand in the epilogue of a product or between the two of attention.
#pragma once
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::bigm::cpu {

/// Patterns for exp, tanh and erf of f32, numbers and vectors of them.
void addApproximations(RewritePatternSet &patterns);

/// e^x for the weights of attention, whose x are at most 0 but for rounding: within 3e-7 of itself, 0 below 2^-126.
Value expOfWeight(ImplicitLocOpBuilder &b, Value x);

} // namespace mlir::bigm::cpu
