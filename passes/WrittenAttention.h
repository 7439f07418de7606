// Attention as programs and exporters write it out, read backwards: from the weights to the scores, from the scores to the
// products of queries and keys.
#pragma once
#include "passes/ScoreTerms.h"

namespace mlir::bigm {

/// exp(scores - largest) / sum along `dim`.
struct Softmax {
  Value scores;
  unsigned dim;
  bool zeros = false; // a row of -inf alone gives 0, not NaN
};

/// Nothing where the weights are no softmax of one dimension.
std::optional<Softmax> softmaxOf(Value weights);

/// scale * factor * products, then the terms in the order in which they apply.
struct Scores {
  ContractOp products;
  double scale = 1;
  Value factor; // over the space of scores, the same for all keys
  SmallVector<ScoreTerm> terms;
};

/// Nothing where no product of queries and keys is found, or what was done to it is no term.
std::optional<Scores> scoresOf(Value scores, unsigned key);

} // namespace mlir::bigm
