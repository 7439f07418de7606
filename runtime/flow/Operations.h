// The steps that lists, branches and images need. Each reads and writes slots as its comment says.
#pragma once
#include "Flow.h"

namespace bigm::flow {
using StepFunction = void(const Step &, Slots &, const Surroundings &);

/// How many elements each row outside has, of the list whose numbers stand in `slot`.
std::vector<int32_t> countsOf(const Step &, const Slots &, const std::string &slot);

// Spaces.cpp
StepFunction takeRows;  // numbers i32[N], x -> x of those rows; `name`: "texts" or "images"
StepFunction mergeRows; // numbers i32[A], a, numbers i32[B], b -> the rows of both, each at its number; `name` as above, or "tensors"
StepFunction rowsWhere; // bool[N] -> the numbers of the rows that have the value `holds`
StepFunction choose;    // numbers i32[N], key f32[N] -> numbers i32[M], positions i32[M]: of each row the `at_most` largest, first the largest
StepFunction flat;      // numbers i32[N], numbers i32[M] of lists in its elements -> which row outside each of the M belongs to, positions i32[M]
StepFunction unite;     // numbers i32[A], numbers i32[B] -> numbers i32[A + B]: of each row first those of A
StepFunction places;    // the same -> where each of A (or, with `second`, of B) stands there
StepFunction spread;    // numbers i32[N], numbers i32[M] of a list outside -> of each of N rows the elements that the row it belongs to has: numbers i32[K], positions i32[K]
StepFunction countRows; // numbers -> i32 of each row outside
StepFunction reduceRows; // numbers i32[M], x f32[M, ...] -> [N, ...]: `name` (sum, prod, mean, max, min) of what each row outside has
StepFunction elements;  // numbers i32[M] of a list, x [N, B, ...] -> [M, ...]: of each element the row of x at its place in its list
// Tokens.cpp
StepFunction tokens;        // text -> ids i32[N, T], length i32[N]
StepFunction pieces;        // texts of a list, numbers i32[M] -> ids i32[N, T], length i32[N], starts i32[N, B], length i32[N]
StepFunction elementTokens; // the same -> ids i32[N, B], length i32[N]
// Images.cpp
StepFunction pixels;  // image -> u8[N, channels, height, width]
StepFunction fitInto; // image -> u8[N, 3, height, width], scale f32[N], left f32[N], top f32[N]
StepFunction cut;     // image, box f32[N, 4] -> image
StepFunction warp;    // image, matrix f32[N, 2, 3] -> image
StepFunction blur;    // image -> image
StepFunction extent;  // image -> f32[N]: its `name`, "width" or "height"
// Detections.cpp
StepFunction suppress; // boxes f32[N, A, 4], scores f32[N, A] or [N, A, C] -> numbers i32[M], box f32[M, 4], score f32[M], perhaps label i32[M]
} // namespace bigm::flow
