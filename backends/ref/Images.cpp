// Warp and resize, from the definitions in runtime/include/bigm/kernels.h.
#include "backends/ref/Ref.h"
#include "llvm/ADT/StringRef.h"
#include <cmath>

namespace mlir::bigm::ref {

Tensor warp(const Tensor &image, const Tensor &matrix, std::vector<int64_t> shape, double fill) {
  int64_t channels = shape[1], height = shape[2], width = shape[3], h = image.shape[2], w = image.shape[3];
  Tensor out{shape, {}};
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) {
          const double *m = &matrix.data[n * 6];
          auto pixel = [&](int64_t row, int64_t column) {
            bool inside = row >= 0 && row < h && column >= 0 && column < w;
            return inside ? image.data[((n * channels + c) * h + row) * w + column] : fill;
          };
          // In coordinates where the centre of pixel (row, column) is (row, column).
          double u = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2] - 0.5;
          double v = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5] - 0.5;
          // Far outside, where the integers would overflow, every pixel is fill.
          if (!(std::abs(u) < 1e9 && std::abs(v) < 1e9)) {
            out.data.push_back(fill);
            continue;
          }
          int64_t left = std::floor(u), top = std::floor(v);
          double a = u - left, b = v - top;
          out.data.push_back((1 - b) * ((1 - a) * pixel(top, left) + a * pixel(top, left + 1)) +
                             b * ((1 - a) * pixel(top + 1, left) + a * pixel(top + 1, left + 1)));
        }
  return out;
}

static double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }
/// Keys' cubic convolution kernel (IEEE Trans. ASSP, 1981).
static double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

std::map<int64_t, double> resizeWeights(int64_t in, int64_t out, int64_t o, StringRef mode, bool antialias) {
  std::map<int64_t, double> result;
  double scale = double(in) / double(out), centre = (o + 0.5) * scale;
  if (mode == "nearest") {
    result[std::min<int64_t>(in - 1, std::floor(centre))] = 1;
    return result;
  }
  bool area = mode == "area";
  bool filtered = antialias || area; // weights outside are left out and the rest sum to 1; otherwise edges repeat
  double stretch = filtered ? std::max(scale, 1.0) : 1;
  double support = stretch * (area ? 0.5 : mode == "bilinear" ? 1 : 2);
  double total = 0;
  for (int64_t i = std::floor(centre - support) - 1; i <= std::ceil(centre + support) + 1; ++i) {
    double distance = (i + 0.5 - centre) / stretch;
    double weight = area ? (distance > -0.5 && distance <= 0.5)
                         : mode == "bilinear" ? triangle(distance) : cubic(distance, antialias ? -0.5 : -0.75);
    if (filtered && (i < 0 || i >= in))
      continue;
    result[std::clamp<int64_t>(i, 0, in - 1)] += weight;
    total += weight;
  }
  for (auto &[i, weight] : result)
    weight /= total;
  return result;
}

Tensor resize(const Tensor &image, std::vector<int64_t> shape, StringRef mode, bool antialias) {
  int64_t h = image.shape[2], w = image.shape[3];
  Tensor out{shape, {}};
  for (int64_t plane = 0; plane < shape[0] * shape[1]; ++plane)
    for (int64_t y = 0; y < shape[2]; ++y)
      for (int64_t x = 0; x < shape[3]; ++x) {
        double sum = 0;
        for (auto [row, a] : resizeWeights(h, shape[2], y, mode, antialias))
          for (auto [column, b] : resizeWeights(w, shape[3], x, mode, antialias))
            sum += a * b * image.data[(plane * h + row) * w + column];
        out.data.push_back(sum);
      }
  return out;
}

} // namespace mlir::bigm::ref
