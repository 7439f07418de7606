// The typed program as text: `bigmc emit --stage types`.
#pragma once
#include "Graph.h"
#include <iosfwd>

namespace bigm {

/// One operation a line, with types and the path of the model instance it came from.
void print(std::ostream &out, const Function &);
/// Tensors, functions, and what the drivers read. `only` keeps the functions whose name starts with it; empty keeps all.
void print(std::ostream &out, const Program &, const std::string &only = "");

} // namespace bigm
