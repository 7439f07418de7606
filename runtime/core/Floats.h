// The narrow floating-point types as f32 (every value of theirs is one of its), and f32 as the decimal that it stands for.
#pragma once
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace bigm::rt {

/// IEEE 754 binary16.
inline float fromHalf(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  float value = float(mantissa) * 0x1p-24f; // subnormal
  return sign ? -value : value;
}
/// bfloat16: the upper half of an f32.
inline float fromBrain(uint16_t b) { return std::bit_cast<float>(uint32_t(b) << 16); }

/// The number that an f32 is written as: 0.992f is 0.992 and not 0.99199998, so that an accuracy of 9920 in 10000 passes a
/// gate of 0.992.
inline double plain(float value) {
  if (!std::isfinite(value))
    return value;
  char text[32];
  double out = value;
  std::from_chars(text, std::to_chars(text, text + sizeof text, value).ptr, out);
  return out;
}

} // namespace bigm::rt
