#include "Image.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace bigm::image {

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
  // Weights in 16 bits of fraction: all positions of the patch lie equally between pixels.
  auto fixed = [](double w) { return uint32_t(std::lrint(w * 65536)); };
  uint32_t w00 = fixed((1 - a) * (1 - b)), w01 = fixed(a * (1 - b)), w10 = fixed((1 - a) * b), w11 = fixed(a * b);
  Picture out{p.channels, height, width, std::vector<uint8_t>(size_t(p.channels) * height * width)};
  int inside = std::clamp(-xi, 0, width), end = std::clamp(p.width - 1 - xi, inside, width); // columns with both neighbours
  uint8_t *to = out.pixels.data();
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < height; ++y, to += width) {
      const uint8_t *plane = p.pixels.data() + size_t(c) * p.height * p.width;
      const uint8_t *upper = plane + size_t(std::clamp(yi + y, 0, p.height - 1)) * p.width;
      const uint8_t *lower = plane + size_t(std::clamp(yi + y + 1, 0, p.height - 1)) * p.width;
      auto edge = [&](int x) {
        int k = std::clamp(xi + x, 0, p.width - 1), l = std::clamp(xi + x + 1, 0, p.width - 1);
        to[x] = uint8_t((upper[k] * w00 + upper[l] * w01 + lower[k] * w10 + lower[l] * w11 + 32768) >> 16);
      };
      for (int x = 0; x < inside; ++x)
        edge(x);
      for (int x = inside; x < end; ++x)
        to[x] = uint8_t((upper[xi + x] * w00 + upper[xi + x + 1] * w01 + lower[xi + x] * w10 + lower[xi + x + 1] * w11 + 32768) >> 16);
      for (int x = end; x < width; ++x)
        edge(x);
    }
  return out;
}

} // namespace bigm::image
