// What the open sizes of a function must be for its operations to make sense: an index beyond a dimension, as `x[:, 3]` where only 2 are
// there, or a size below 0, as of a convolution over a picture smaller than its window. What holds for all sizes is left out.
#pragma once
#include "frontend/Graph.h"

namespace bigm {

struct Requirement {
  Dim notNegative;   // in the function's symbols
  SourceRange where; // of the operation; in the user's program when it stands in the library
};

/// Input `input` (of Function::args) picks rows of a table that has `rows` of them, by the operation at `where`.
struct IdBound {
  size_t input;
  int64_t rows;
  SourceRange where;
};

/// Inputs whose elements are ids as they stand, with the smallest of the tables that they pick rows of. Where the program
/// computes ids there is none: the code holds those in the table.
std::vector<IdBound> idBoundsOf(const Function &function);

/// All of the function, each once, in the order of the operations. Calls need symbols of at least 1 anyway.
std::vector<Requirement> requirementsOf(const Function &function);

} // namespace bigm
