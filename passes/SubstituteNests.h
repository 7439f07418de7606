// Producers in the place of what reads them: first half of fuse-kernels.
//
// A view, a pad or a constant is always substituted; arithmetic where computing it again costs less than writing it to
// memory and reading it back.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::kernel {

/// Why the producer is not substituted into what reads it, in words for the user of `--explain`; null, and all its loads,
/// when it is.
const char *whyNotSubstituted(NestOp producer, SmallVectorImpl<LoadOp> &loads);

/// Substitutes the producer into all its consumers, and erases it, when that is possible and pays.
bool substituteEverywhere(NestOp producer);

} // namespace mlir::bigm::kernel
