// The pieces of a nest within which its guards do not change.
//
// What was joined or cut along a dimension reads each of its parts behind a guard, `d >= 128 and d < 256`. Evaluated at every
// element, all parts are computed everywhere and most are thrown away. Between the places where some guard turns, all are known:
// code for such a piece reads and computes one part alone.
#pragma once
#include "backends/cpu/Schedule.h"

namespace mlir::bigm::cpu {

/// What is known of a dimension where code is emitted: it lies in [from, to).
struct Within {
  unsigned dim = 0;
  int64_t from = 0, to = 0;
  static constexpr int64_t farthest = int64_t(1) << 40; // beyond every size
};

/// What a constraint is throughout a piece; nothing where it changes or depends on more.
std::optional<bool> holdsWithin(AffineExpr constraint, bool equality, const Within &within);

/// Places in (0, size) where a guard of the nest's body turns that depends on this loop's dimension alone, in order; none where
/// they are too many to be worth their code.
llvm::SmallVector<int64_t> turnsAlong(const Schedule &schedule, const Loop &loop);

/// The loop of `outer` along which a pointwise nest runs in pieces: the one with most of them, and where different parts are read.
std::optional<Loop> outerInPieces(const Schedule &schedule);

} // namespace mlir::bigm::cpu
