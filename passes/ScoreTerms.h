// What is added to the scores of attention, or hides some of them: recognised, made as small as what it varies along, and
// put in the form that bigm.attention takes.
#pragma once
#include "ir/Bigm.h"
#include <set>

namespace mlir::bigm {

/// A value read over the space of scores: `map` says where.
struct Placed {
  Value value;
  AffineMap map;
};

/// One step from the products of queries and keys to the scores.
struct ScoreTerm {
  /// added(s) = s + factor * value, or with `hides` number where `value` (bools) is not `shown`, else s.
  Value value;
  double number = 1;
  bool hides = false, shown = true;
};

/// The space of scores: which of its dimensions are sequences, heads, queries and keys.
struct ScoreSpace {
  RankedTensorType type;
  SmallVector<unsigned> batch; // the first is N, the others together are H
  unsigned query, key;
  unsigned symbols;

  AffineExpr size(unsigned dim) const { return sizesOf(type)[dim]; }
  /// All of `batch` but N.
  ArrayRef<unsigned> headDims() const { return ArrayRef(batch).drop_front(batch.empty() ? 0 : 1); }
  AffineExpr heads() const;
  /// [N, heads..., T, S], and its places in this space.
  SmallVector<unsigned> order() const;
};

/// What all terms come to.
struct ScoreForm {
  bool causal = false, strict = false;
  Value mask, bias; // of bigm.attention
  bool mayBeInfinite = false; // all scores of a row may be -inf
};

/// Nothing when they come to no form that means the same, rows included from which every key is hidden.
std::optional<ScoreForm> formOf(OpBuilder &builder, Location loc, const ScoreSpace &space, ArrayRef<ScoreTerm> terms);

/// The dimensions of the space along which it varies.
std::set<unsigned> varies(const Placed &placed, const ScoreSpace &space);

} // namespace mlir::bigm
