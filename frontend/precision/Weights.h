// What the nodes of a function say about a weight that they read.
#pragma once
#include "frontend/Graph.h"
#include <optional>

namespace bigm {

/// The dimension of the weight that is a dimension of the node's result: the channels. Nothing when the node says none.
std::optional<int> channelsOf(const Function &, const Node &, Value weight);

} // namespace bigm
