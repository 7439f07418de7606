// What a caller of a Halide kernel needs: which variant this CPU takes, and buffers.
#pragma once
#include <HalideRuntime.h>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace bigm::halide {

/// BIGM_CPU=x86-64-v2 in the environment holds a newer CPU to the older kernels, to get an older machine's bits.
inline bool takesV3() {
  const char *held = std::getenv("BIGM_CPU");
  return !(held && std::strcmp(held, "x86-64-v2") == 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

/// A dense buffer of floats or ints for a kernel to read or write.
template <int Rank> struct Buffer : halide_buffer_t {
  halide_dimension_t dims[Rank];
  /// Extents from the innermost; the outermost dimension may begin at `first` of a larger picture.
  Buffer(const void *data, halide_type_t elem, const int64_t (&extents)[Rank], const int64_t (&strides)[Rank]) : halide_buffer_t{} {
    for (int i = 0; i < Rank; ++i)
      dims[i] = {0, int32_t(extents[i]), int32_t(strides[i]), 0};
    host = const_cast<uint8_t *>(static_cast<const uint8_t *>(data));
    type = elem;
    dimensions = Rank;
    dim = dims;
  }
};
constexpr halide_type_t f32{halide_type_float, 32, 1}, f64{halide_type_float, 64, 1}, i32{halide_type_int, 32, 1}, u8{halide_type_uint, 8, 1};

} // namespace bigm::halide
