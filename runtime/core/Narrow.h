// Weights that a program keeps in fewer bits than files do: bf16 and f16 rounded to the nearest, even among equals, or whole
// numbers of 8 bits with a scale for each channel (frontend/precision/Narrow.h says which tensors and why).
#pragma once
#include <cstdint>
#include <vector>

namespace bigm::rt {

uint16_t toBrain(float), toHalf(float);

/// How an f32 tensor is kept in fewer bits.
struct Narrowed {
  int32_t dtype = 0; // a bigm_dtype of 8 or 16 bits
  const std::vector<int64_t> &shape;
  int64_t axis = 0;               // of 8 bits: the dimension that its scales go along
  const float *balance = nullptr; // where there are some: factors along dimension `along`, that elements are divided by first
  int64_t along = 0;
};

/// The elements in fewer bits, and in `scales`, of 8 bits, one f32 for each channel: the largest magnitude over 127.
void narrow(const Narrowed &, const float *from, void *to, float *scales);

} // namespace bigm::rt
