// A program whose weights are kept in fewer bits: what `precision` in a `deploy` asks for.
//
// bf16, f16: a weight is rounded once, where it is stored. int8: each channel of a result (each row of a table) has a scale, the
// largest of its magnitudes over 127, and a weight is a whole number from -127 to 127 times that. Both are decoded as they
// are read: functions compute with f32 as before, and what they gain is that they read a half or a quarter of the bytes.
// Weights of one dimension (biases, norms) stay as they are: they are few.
//
// The rewriting is one of typed programs, so every backend sees the same: a cast and, behind it, a product with the scale of
// the channel. Functions that make initial weights round them too; those that train are gone, because steps of training are
// smaller than the steps between the numbers that are left.
#pragma once
#include "frontend/precision/Activations.h"
#include <vector>

namespace bigm {

/// The weights that the deploys ship (keptBy in Kept.h says which and how), kept so in all functions. Products whose activations
/// have a range are done in whole numbers (Activations.h), and the ranges are tensors beside the weights.
Program narrowed(const Program &, const std::vector<DeployProgram> &, const Ranges &ranges = {});

} // namespace bigm
