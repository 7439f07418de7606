// What causal attention adds to its scores by positions: a window, slopes over distances (ALiBi), a table of distances (T5).
//
// Over whole sequences such a bias compares positions with positions. Of a few queries over kept rows it is the same
// operations again, with the positions of these queries along one dimension and those of the keys along another; each value is
// followed from the bias down with what its dimensions run along.
#pragma once
#include "Incremental.h"
#include "Recorder.h"
#include <optional>
#include <variant>

namespace bigm::sema {

/// The operand of causal attention that is added to its scores; nothing where there is none.
std::optional<Value> positionBias(const Node &attention);
/// By node, whether only such biases need it.
std::vector<bool> neededByBiasAlone(const Function &function);

/// Queries and keys that a bias is made for.
struct BiasPlaces {
  Dim batch, queries, keys;
  Value query, key; // i32[batch, queries], i32[batch, keys]: their positions
};

/// The bias f32[N, H or 1, queries, keys] in `rec`, of a function whose positions are `length`; the operation that stands in the way
/// where it follows from something else than positions and parameters.
std::variant<Value, Refusal> makePositionBias(const Function &function, const std::vector<TensorDecl> &tensors,
                                              const std::string &length, Value bias, const BiasPlaces &places, Recorder &rec);
/// The refusal alone.
std::optional<Refusal> refusedPositionBias(const Function &function, const std::string &length, Value bias);

} // namespace bigm::sema
