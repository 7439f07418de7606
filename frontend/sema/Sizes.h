// Names of open sizes: which ones types and functions have, and which arguments tell them.
#pragma once
#include "frontend/Graph.h"
#include <functional>

namespace bigm {

/// Adds the names in the type's sizes that are not there yet.
void symbolsOf(const TensorType &type, std::vector<std::string> &names);
/// The symbols of all types and bodies of a function, those of arguments first.
std::vector<std::string> symbolsOf(const Function &function);

/// Sizes are read from the shapes of arguments: the arguments, by number, that must come along for all `used` names to be told,
/// where types whose names are `told` do. `candidate` gives the type of one of `count` that may, null for one that may not.
std::vector<size_t> argumentsForSizes(const std::vector<std::string> &used, const std::vector<std::string> &told, size_t count,
                                      const std::function<const TensorType *(size_t)> &candidate);

} // namespace bigm
