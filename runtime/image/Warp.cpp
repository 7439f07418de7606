#include "Image.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cmath>

namespace bigm::image {

Picture warp(const Picture &p, const std::array<float, 6> &matrix, int height, int width, uint8_t fill) {
  for (float m : matrix)
    if (!std::isfinite(m))
      data::fail("the matrix of a warp is not finite");
  Picture out{p.channels, height, width, std::vector<uint8_t>(size_t(p.channels) * height * width, fill)};
  size_t from = size_t(p.height) * p.width, to = size_t(height) * width;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      double u = double(matrix[0]) * (x + 0.5) + double(matrix[1]) * (y + 0.5) + matrix[2];
      double v = double(matrix[3]) * (x + 0.5) + double(matrix[4]) * (y + 0.5) + matrix[5];
      if (!(u >= 0 && u < p.width && v >= 0 && v < p.height))
        continue;
      u -= 0.5, v -= 0.5;
      int left = int(std::floor(u)), above = int(std::floor(v));
      double a = u - left, b = v - above;
      int x0 = std::max(left, 0), x1 = std::min(left + 1, p.width - 1), y0 = std::max(above, 0), y1 = std::min(above + 1, p.height - 1);
      for (int c = 0; c < p.channels; ++c) {
        const uint8_t *plane = p.pixels.data() + size_t(c) * from;
        const uint8_t *upper = plane + size_t(y0) * p.width, *lower = plane + size_t(y1) * p.width;
        double value = (upper[x0] * (1 - a) + upper[x1] * a) * (1 - b) + (lower[x0] * (1 - a) + lower[x1] * a) * b;
        out.pixels[size_t(c) * to + size_t(y) * width + x] = uint8_t(value + 0.5);
      }
    }
  return out;
}

} // namespace bigm::image
