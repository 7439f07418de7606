#include "Resize.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace bigm::image {
namespace {

/// OpenCV's INTER_NEAREST. Its step is one over the enlargement, which is not always the quotient the other way round: where a
/// position is a whole number, the last bit decides between two pixels.
void nearest(const Picture &p, int height, int width, uint8_t *out) {
  double across = 1 / (double(width) / p.width), down = 1 / (double(height) / p.height);
  std::vector<int> from(static_cast<size_t>(width));
  for (int x = 0; x < width; ++x)
    from[size_t(x)] = std::min(int(std::floor(x * across)), p.width - 1);
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < height; ++y, out += width) {
      int row = std::min(int(std::floor(y * down)), p.height - 1);
      const uint8_t *line = p.pixels.data() + (size_t(c) * p.height + row) * p.width;
      for (int x = 0; x < width; ++x)
        out[x] = line[from[size_t(x)]];
    }
}

// ---------------------------------------------------------------- weighted means of several pixels
/// For each output position the input positions first, first + 1, ... and their weights, all of one count.
struct Taps {
  int count = 0;
  std::vector<int> first;
  std::vector<float> weights;
};
Taps taps(const std::vector<std::vector<std::pair<int, double>>> &lists) {
  Taps t;
  for (auto &l : lists)
    t.count = std::max(t.count, l.back().first - l.front().first + 1);
  for (auto &l : lists) {
    t.first.push_back(l.front().first);
    size_t begin = t.weights.size();
    t.weights.resize(begin + size_t(t.count), 0);
    for (auto &[i, w] : l)
      t.weights[begin + size_t(i - l.front().first)] += float(w);
  }
  return t;
}

/// OpenCV's INTER_CUBIC: four pixels by Keys' kernel with a = -0.75, the edge's pixel going on.
Taps cubic(int in, int out) {
  constexpr double a = -0.75;
  auto kernel = [](double t) {
    t = std::fabs(t);
    return t <= 1 ? ((a + 2) * t - (a + 3)) * t * t + 1 : t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0.0;
  };
  std::vector<std::vector<std::pair<int, double>>> lists;
  double scale = double(in) / out;
  for (int o = 0; o < out; ++o) {
    double at = (o + 0.5) * scale - 0.5;
    int middle = int(std::floor(at));
    std::vector<std::pair<int, double>> list;
    for (int i = middle - 1; i <= middle + 2; ++i)
      list.emplace_back(std::clamp(i, 0, in - 1), kernel(at - i));
    lists.push_back(std::move(list));
  }
  return taps(lists);
}

/// OpenCV's INTER_AREA when shrinking: the mean of what lies under the output pixel.
Taps area(int in, int out) {
  std::vector<std::vector<std::pair<int, double>>> lists;
  double scale = double(in) / out;
  for (int o = 0; o < out; ++o) {
    double begin = o * scale, end = std::min(begin + scale, double(in));
    std::vector<std::pair<int, double>> list;
    for (int i = int(begin); i < in && i < end; ++i)
      list.emplace_back(i, (std::min(end, i + 1.0) - std::max(begin, double(i))) / (end - begin));
    lists.push_back(std::move(list));
  }
  return taps(lists);
}

/// Pillow's BILINEAR: a triangle as wide as the reduction, cut off at the edges.
Taps triangle(int in, int out) {
  std::vector<std::vector<std::pair<int, double>>> lists;
  double scale = double(in) / out, wide = std::max(scale, 1.0);
  for (int o = 0; o < out; ++o) {
    double centre = (o + 0.5) * scale;
    int begin = std::max(int(centre - wide + 0.5), 0), end = std::min(int(centre + wide + 0.5), in);
    std::vector<std::pair<int, double>> list;
    double sum = 0;
    for (int i = begin; i < end; ++i) {
      double w = std::max(0.0, 1 - std::fabs((i + 0.5 - centre) / wide));
      list.emplace_back(i, w);
      sum += w;
    }
    for (auto &[i, w] : list)
      w /= sum;
    lists.push_back(std::move(list));
  }
  return taps(lists);
}

uint8_t level(float v) { return uint8_t(std::clamp(std::lrint(v), 0l, 255l)); }

/// Rows first, then columns. `between` rounds to whole levels after the rows, as Pillow does. Each row of the picture is added
/// to the rows of the result that it lies under, so memory does not grow with the picture's height.
void separable(const Picture &p, int height, int width, const Taps &across, const Taps &down, bool between, uint8_t *out) {
  std::vector<float> narrow(static_cast<size_t>(width)), sums(size_t(height) * width);
  for (int c = 0; c < p.channels; ++c) {
    const uint8_t *plane = p.pixels.data() + size_t(c) * p.height * p.width;
    std::fill(sums.begin(), sums.end(), 0.f);
    int above = 0; // rows of the result before this one are done; where they begin does not decrease
    for (int y = 0; y < p.height; ++y) {
      const uint8_t *from = plane + size_t(y) * p.width;
      for (int x = 0; x < width; ++x) {
        const float *w = across.weights.data() + size_t(x) * across.count;
        float sum = 0;
        for (int k = 0, n = std::min(across.count, p.width - across.first[size_t(x)]); k < n; ++k)
          sum += w[k] * from[across.first[size_t(x)] + k];
        narrow[size_t(x)] = between ? float(level(sum)) : sum;
      }
      while (above < height && down.first[size_t(above)] + down.count <= y)
        ++above;
      for (int o = above; o < height && down.first[size_t(o)] <= y; ++o) {
        float w = down.weights[size_t(o) * down.count + size_t(y - down.first[size_t(o)])];
        float *to = sums.data() + size_t(o) * width;
        for (int x = 0; x < width; ++x)
          to[x] += w * narrow[size_t(x)];
      }
    }
    for (float sum : sums)
      *out++ = level(sum);
  }
}

} // namespace

std::optional<Mode> modeNamed(std::string_view name) {
  static constexpr std::pair<std::string_view, Mode> modes[] = {{"bilinear", Mode::Bilinear}, {"nearest", Mode::Nearest},
                                                               {"bicubic", Mode::Bicubic},   {"area", Mode::Area},
                                                               {"antialiased", Mode::Antialiased}};
  for (auto &[n, mode] : modes)
    if (n == name)
      return mode;
  return std::nullopt;
}

void resample(const Picture &p, int height, int width, Mode mode, uint8_t *out, const Spread &spread) {
  if (p.height == height && p.width == width) {
    std::memcpy(out, p.pixels.data(), p.pixels.size());
    return;
  }
  bool shrinks = p.height >= height && p.width >= width;
  switch (mode) {
  case Mode::Nearest: return nearest(p, height, width, out);
  case Mode::Bicubic: return separable(p, height, width, cubic(p.width, width), cubic(p.height, height), false, out);
  case Mode::Antialiased: return separable(p, height, width, triangle(p.width, width), triangle(p.height, height), true, out);
  case Mode::Area:
    if (shrinks)
      return separable(p, height, width, area(p.width, width), area(p.height, height), false, out);
    return bilinear(p, height, width, out, spread);
  case Mode::Bilinear: return bilinear(p, height, width, out, spread);
  }
}

Placed fitInto(const Picture &p, int height, int width, uint8_t value, uint8_t *out, const Spread &spread) {
  double scale = std::min(double(width) / p.width, double(height) / p.height);
  int w = std::clamp(int(std::lround(p.width * scale)), 1, width), h = std::clamp(int(std::lround(p.height * scale)), 1, height);
  int left = (width - w) / 2, top = (height - h) / 2;
  std::vector<uint8_t> small(size_t(p.channels) * h * w);
  resample(p, h, w, Mode::Bilinear, small.data(), spread);
  std::memset(out, value, size_t(p.channels) * height * width);
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < h; ++y)
      std::memcpy(out + (size_t(c) * height + top + y) * width + left, small.data() + (size_t(c) * h + y) * w, size_t(w));
  return {float(scale), float(left), float(top)};
}

} // namespace bigm::image
