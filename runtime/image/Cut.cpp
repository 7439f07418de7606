#include "Image.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cmath>
#include <emmintrin.h>
#include <vector>

namespace bigm::image {

static constexpr int kBits = 14;

Picture cut(const Picture &p, const std::array<float, 4> &box) {
  auto [left, top, right, bottom] = box;
  if (!std::isfinite(left) || !std::isfinite(top) || !std::isfinite(right) || !std::isfinite(bottom))
    data::fail("a box to cut out is not finite: {}, {}, {}, {}", left, top, right, bottom);
  double wide = std::max(std::round(double(right) - left), 1.0), high = std::max(std::round(double(bottom) - top), 1.0);
  if (wide * high > 64e6)
    data::fail("a box to cut out has {} x {} pixels; at most 64 million are cut", wide, high);
  int width = int(wide), height = int(high);
  // Positions far outside show the edge alone; whole numbers that large need not be told apart.
  auto begin = [](float low, float up, int size, int limit) {
    return std::clamp((double(low) + up) / 2 - (size - 1) * 0.5, -2.0 * size - 4, double(limit) + size + 4);
  };
  double x0 = begin(left, right, width, p.width), y0 = begin(top, bottom, height, p.height);
  int xi = int(std::floor(x0)), yi = int(std::floor(y0));
  double a = x0 - xi, b = y0 - yi;
  // All positions of the patch lie equally between pixels. Weights in 14 bits of fraction are factors of a multiply-add of pairs.
  auto fixed = [](double w) { return int(std::lrint(w * (1 << kBits))); };
  int w00 = fixed((1 - a) * (1 - b)), w01 = fixed(a * (1 - b)), w10 = fixed((1 - a) * b), w11 = fixed(a * b);
  auto pair = [](int first, int second) { return _mm_set1_epi32(first | second << 16); };
  const __m128i zero = _mm_setzero_si128(), half = _mm_set1_epi32(1 << (kBits - 1)), above = pair(w00, w01), below = pair(w10, w11);
  Picture out{p.channels, height, width, data::Bytes(size_t(p.channels) * height * width)};
  int inside = std::clamp(-xi, 0, width), end = std::clamp(p.width - 1 - xi, inside, width); // columns with both neighbours
  uint8_t *to = out.pixels.data();
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < height; ++y, to += width) {
      const uint8_t *plane = p.pixels.data() + size_t(c) * p.height * p.width;
      const uint8_t *upper = plane + size_t(std::clamp(yi + y, 0, p.height - 1)) * p.width;
      const uint8_t *lower = plane + size_t(std::clamp(yi + y + 1, 0, p.height - 1)) * p.width;
      auto edge = [&](int x) {
        int k = std::clamp(xi + x, 0, p.width - 1), l = std::clamp(xi + x + 1, 0, p.width - 1);
        to[x] = uint8_t((upper[k] * w00 + upper[l] * w01 + lower[k] * w10 + lower[l] * w11 + (1 << (kBits - 1))) >> kBits);
      };
      auto eight = [](const uint8_t *from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(from)); };
      int x = 0;
      for (; x < inside; ++x)
        edge(x);
      for (; x + 8 <= end; x += 8) {
        __m128i u = _mm_unpacklo_epi8(eight(upper + xi + x), eight(upper + xi + x + 1));
        __m128i v = _mm_unpacklo_epi8(eight(lower + xi + x), eight(lower + xi + x + 1));
        __m128i low = _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi8(u, zero), above), _mm_madd_epi16(_mm_unpacklo_epi8(v, zero), below));
        __m128i high = _mm_add_epi32(_mm_madd_epi16(_mm_unpackhi_epi8(u, zero), above), _mm_madd_epi16(_mm_unpackhi_epi8(v, zero), below));
        __m128i words = _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(low, half), kBits), _mm_srai_epi32(_mm_add_epi32(high, half), kBits));
        _mm_storel_epi64(reinterpret_cast<__m128i *>(to + x), _mm_packus_epi16(words, words));
      }
      for (; x < width; ++x)
        edge(x);
    }
  return out;
}

} // namespace bigm::image
