// Along rows, then along columns. The kernel is as wide as OpenCV makes it for pictures of 8 bits: 3 sigma to each side.
#include "Image.h"
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

Picture blur(const Picture &p, double sigma) {
  if (!(sigma >= 0.1 && sigma <= 100))
    data::fail("a blur of {} pixels; expected 0.1 to 100", sigma);
  std::vector<float> kernel = kernelOf(sigma);
  int reach = int(kernel.size()) / 2;
  Picture out{p.channels, p.height, p.width, std::vector<uint8_t>(p.pixels.size())};
  size_t plane = size_t(p.height) * p.width;
  std::vector<float> rows(plane), wide(size_t(p.width + 2 * reach)), sum(static_cast<size_t>(p.width));
  for (int c = 0; c < p.channels; ++c) {
    for (int y = 0; y < p.height; ++y) {
      const uint8_t *row = p.pixels.data() + size_t(c) * plane + size_t(y) * p.width;
      for (int x = -reach; x < p.width + reach; ++x)
        wide[size_t(x + reach)] = row[mirrored(x, p.width)];
      float *to = rows.data() + size_t(y) * p.width;
      std::fill_n(to, p.width, 0.0f);
      for (size_t k = 0; k < kernel.size(); ++k)
        for (int x = 0; x < p.width; ++x)
          to[x] += kernel[k] * wide[size_t(x) + k];
    }
    for (int y = 0; y < p.height; ++y) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int k = -reach; k <= reach; ++k) {
        const float *row = rows.data() + size_t(mirrored(y + k, p.height)) * p.width;
        for (int x = 0; x < p.width; ++x)
          sum[size_t(x)] += kernel[size_t(k + reach)] * row[x];
      }
      uint8_t *to = out.pixels.data() + size_t(c) * plane + size_t(y) * p.width;
      for (int x = 0; x < p.width; ++x)
        to[x] = uint8_t(std::clamp(sum[size_t(x)] + 0.5f, 0.0f, 255.0f));
    }
  }
  return out;
}

} // namespace bigm::image
