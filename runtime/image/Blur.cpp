// Along columns, then along rows, one row of the result at a time. The kernel is as wide as OpenCV makes it for pictures of 8 bits: 3 sigma to each side.
#include "Image.h"
#include "bigm/picture_kernels.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace bigm::image {
namespace {

std::vector<float> kernelOf(double sigma) {
  int size = int(std::lrint(sigma * 6 + 1)) | 1;
  std::vector<double> weights;
  for (int i = -(size / 2); i <= size / 2; ++i)
    weights.push_back(std::exp(-i * i / (2 * sigma * sigma)));
  double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<float> kernel;
  for (double w : weights)
    kernel.push_back(float(w / sum));
  return kernel;
}

/// Place k of a row of `size`, mirrored at its ends about the middle of the outermost pixel, however far out it is.
int mirrored(int k, int size) {
  if (size == 1)
    return 0;
  int period = 2 * (size - 1);
  k = std::abs(k) % period;
  return k < size ? k : period - k;
}

} // namespace

Picture blur(const Picture &p, double sigma, const Spread &spread) {
  if (!(sigma >= 0.1 && sigma <= 100))
    data::fail("a blur of {} pixels; expected 0.1 to 100", sigma);
  const std::vector<float> kernel = kernelOf(sigma);
  int taps = int(kernel.size()), reach = taps / 2;
  // The rows that row y is made of begin at place y; columns beyond the left edge, then those beyond the right one.
  std::vector<int32_t> rows(size_t(p.height + 2 * reach)), columns(size_t(2 * reach));
  for (int y = 0; y < p.height + 2 * reach; ++y)
    rows[size_t(y)] = mirrored(y - reach, p.height);
  for (int i = 0; i < reach; ++i) {
    columns[size_t(i)] = mirrored(i - reach, p.width);
    columns[size_t(reach + i)] = mirrored(p.width + i, p.width);
  }
  Picture out{p.channels, p.height, p.width, data::Bytes(p.pixels.size())};
  size_t high = size_t(p.height), wide = size_t(p.width), band = std::max<size_t>(1, 32768 / (wide * size_t(taps)));
  spread(size_t(p.channels) * ((high + band - 1) / band), [&](size_t i) {
    size_t bands = (high + band - 1) / band, plane = i / bands * high * wide, begin = i % bands * band;
    std::vector<float> scratch(wide + size_t(taps) - 1 + BIGM_PICTURE_BLUR_SLACK);
    for (size_t y = begin; y < std::min(begin + band, high); ++y)
      bigm_picture_blur_row(p.pixels.data() + plane, p.height, p.width, rows.data() + y, columns.data(), kernel.data(), taps, scratch.data(),
                            out.pixels.data() + plane + y * wide);
  });
  return out;
}

} // namespace bigm::image
