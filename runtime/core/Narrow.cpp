#include "Narrow.h"
#include "bigm/bigm.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace bigm::rt {

uint16_t toBrain(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t toHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000)
    return uint16_t(sign | 0x7e00);
  if (rest >= 0x47800000) // from 65536 on, infinity included
    return uint16_t(sign | 0x7c00);
  if (rest < 0x38800000) // below 2^-14 steps are 2^-24 wide
    return uint16_t(sign | uint32_t(std::nearbyint(std::bit_cast<float>(rest) * 0x1p24f)));
  rest += 0xfff + (rest >> 13 & 1); // a carry goes on into the exponent, up to infinity
  return uint16_t(sign | (rest - 0x38000000) >> 13);
}

void narrow(const Narrowed &how, const float *from, void *to, float *scales) {
  int64_t count = 1;
  for (int64_t size : how.shape)
    count *= size;
  if (!scales) {
    auto *out = static_cast<uint16_t *>(to);
    for (int64_t i = 0; i < count; ++i)
      out[i] = how.dtype == BIGM_F16 ? toHalf(from[i]) : toBrain(from[i]);
    return;
  }
  auto inner = [&](int64_t dim) {
    int64_t all = 1;
    for (size_t d = size_t(dim) + 1; d < how.shape.size(); ++d)
      all *= how.shape[d];
    return all;
  };
  const int64_t channels = how.shape[size_t(how.axis)], innerChannel = inner(how.axis);
  const int64_t factors = how.balance ? how.shape[size_t(how.along)] : 1, innerFactor = inner(how.along);
  auto element = [&](int64_t i) { return how.balance ? from[i] / how.balance[i / innerFactor % factors] : from[i]; };
  // The same arithmetic in the same order as the rewritten init functions have it.
  std::fill(scales, scales + channels, 0.f);
  for (int64_t i = 0; i < count; ++i) {
    float &most = scales[i / innerChannel % channels];
    most = std::max(most, std::abs(element(i)));
  }
  for (int64_t c = 0; c < channels; ++c)
    scales[c] *= 1.f / 127;
  auto *out = static_cast<int8_t *>(to);
  for (int64_t i = 0; i < count; ++i) {
    float steps = std::nearbyint(element(i) / std::max(scales[i / innerChannel % channels], 1e-30f));
    out[i] = int8_t(std::clamp(steps, -127.f, 127.f)); // a NaN is the smallest: nothing reads it as a number
  }
}

} // namespace bigm::rt
