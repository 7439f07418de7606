// What the open sizes of a function must be for its operations to make sense: an index beyond a dimension, as `x[:, 3]` where only 2 are
// there, or a size below 0, as of a convolution over a picture smaller than its window. What holds for all sizes is left out.
#pragma once
#include "frontend/Graph.h"

namespace bigm {

struct Requirement {
  Dim notNegative;   // in the function's symbols
  SourceRange where; // of the operation; in the user's program when it stands in the library
};

/// All of the function, each once, in the order of the operations. Calls need symbols of at least 1 anyway.
std::vector<Requirement> requirementsOf(const Function &function);

} // namespace bigm
