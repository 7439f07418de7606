#include "Image.h"
#include "bigm/picture_kernels.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cmath>

namespace bigm::image {

Picture warp(const Picture &p, const std::array<float, 6> &matrix, int height, int width, uint8_t fill, const Spread &spread) {
  for (float m : matrix)
    if (!std::isfinite(m))
      data::fail("the matrix of a warp is not finite");
  Picture out{p.channels, height, width, data::Bytes(size_t(p.channels) * height * width)};
  double places[6];
  std::copy(matrix.begin(), matrix.end(), places);
  int64_t rows = std::max<int64_t>(1, 16384 / width);
  spread(size_t((height + rows - 1) / rows), [&](size_t band) {
    int64_t begin = int64_t(band) * rows, end = std::min<int64_t>(begin + rows, height);
    bigm_picture_warp(p.pixels.data(), p.channels, p.height, p.width, places, fill, out.pixels.data(), height, width, begin, end);
  });
  return out;
}

} // namespace bigm::image
