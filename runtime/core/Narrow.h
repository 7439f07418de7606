// Weights that a program keeps in fewer bits than files do: bf16 and f16 rounded to the nearest, even among equals, or whole
// numbers of 8 bits with a scale for each channel (frontend/precision/Narrow.h says which tensors and why).
#pragma once
#include "Manifest.h"

namespace bigm::rt {

uint16_t toBrain(float), toHalf(float);

/// The elements of an f32 tensor as `decl` keeps them, and in `scales`, where it has such, one f32 for each channel: the largest
/// magnitude over 127. Sizes are those of `decl`.
void narrow(const TensorDecl &decl, const float *from, void *to, float *scales);

/// The same for elements `dtype` (a bigm_dtype of 8 or 16 bits) and channels along `axis` of `shape`.
void narrow(int32_t dtype, const std::vector<int64_t> &shape, int64_t axis, const float *from, void *to, float *scales);

} // namespace bigm::rt
