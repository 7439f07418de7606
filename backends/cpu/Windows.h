// Windows that reach over the edges of what they read: pools and other reductions without a second factor.
//
// Each step of such a window stands behind a guard, and a step outside adds nothing: it yields the neutral element. So loops of
// the window run over the steps that lie inside, and nothing is tested within. Along the vector loop, whose lanes leave the
// picture one after another, vectors in the middle have all of their windows inside; only those at the ends test their lanes.
#pragma once
#include "backends/cpu/Schedule.h"

namespace mlir::bigm::cpu {

/// The neutral element of a kind of reduction.
double identityOf(llvm::StringRef kind);

/// Constraints, each `>= 0`, that move along a reduction loop and along no other and not along the vector loop: where one of them
/// fails the body adds nothing.
llvm::SmallVector<AffineExpr> edgesOf(const Schedule &schedule, const Loop &reduced);

/// Where along the vector loop, over all steps of the window, no guard of the body fails that moves along both.
struct Middle {
  int64_t from, to;
  llvm::SmallVector<AffineExpr> constraints; // which hold there
};
/// Nothing where the loop is open, where no guard moves so, or where the middle has no whole vector.
std::optional<Middle> middleOf(const Schedule &schedule, const Loop &vector, unsigned lanes);

} // namespace mlir::bigm::cpu
