// What bigm.attention means by a hidden score and by its bias, for all who compute it or recognise it (BigmOps.td has the formulas).
#pragma once
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinTypes.h"
#include <limits>

namespace mlir::bigm {

/// The lowest finite number of f32.
inline constexpr double lowestScore = -double(std::numeric_limits<float>::max());
/// Below this the statistic of a row has lost the logarithm of its sum: its scores are hidden ones, or as low.
inline constexpr double lowStatistic = -1e6;

/// What takes the place of a hidden score: the lowest number that f32 and the element have, so that a query from which everything
/// is hidden weighs all keys alike; with `strict` -inf.
double hiddenScore(Type element, bool strict);

/// Where `from` is read over the dimensions of `over`, of which it has the sizes, or 1.
AffineMap broadcastMap(Type from, Type over);
/// Where a bias [N or 1, H or 1, T or 1, S] is read over (n, i, h, j), as queries and keys are.
AffineMap biasOverPositions(Type bias);

} // namespace mlir::bigm
