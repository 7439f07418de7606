// Where the first NaN came from: a step's forward part, with a look at each value.
#pragma once
#include "Graph.h"

namespace bigm {

/// What a function with looks at its values tells.
struct Trace {
  Function function; // arguments as before; outputs "finite.I" and "number.I" for look I: f32[], 1 when all elements are
  std::vector<Node> looks; // the operations looked at, in order
};

/// The operations that `output` needs, each with two outputs: whether all its elements are finite, and whether none is a
/// NaN. Constants, indices, random and integer values are not looked at. Nothing is updated.
Trace traceOf(const Function &function, const std::string &output);

} // namespace bigm
