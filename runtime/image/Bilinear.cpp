// Two pixels across, then two rows, in the fixed point of OpenCV's INTER_LINEAR.
//
// Across a row the pixels lie at places that no vector load fits. A load of 16 bytes holds what several neighbouring pixels of
// the result need, and a shuffle brings their pairs side by side for a multiply-add of pairs: eight pixels of the result from
// one load where the picture shrinks to no less than half, from two or four where it shrinks more. Whole numbers throughout,
// so every CPU gives the same bits. A row of the result is 16 bits wide: 255 at a weight of 2048, less 4 bits, just fits.
#include "Resize.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <emmintrin.h>
#include <tmmintrin.h>
#include <vector>

namespace bigm::image {
namespace {

constexpr int kOne = 2048; // a weight of 1

/// For each output position two input positions and their weights, which add up to kOne.
struct Linear {
  std::vector<int> first, second;
  std::vector<int16_t> weights; // of first and second, in turn
};
Linear linear(int in, int out) {
  Linear l;
  l.first.resize(size_t(out));
  l.second.resize(size_t(out));
  l.weights.resize(2 * size_t(out));
  double scale = double(in) / out;
  for (int o = 0; o < out; ++o) {
    float at = float((o + 0.5) * scale - 0.5);
    int first = int(std::floor(at));
    float share = at - float(first);
    if (first < 0) {
      first = 0;
      share = 0;
    }
    if (first >= in - 1) {
      first = in - 1;
      share = 0;
    }
    l.first[size_t(o)] = first;
    l.second[size_t(o)] = std::min(first + 1, in - 1);
    l.weights[2 * size_t(o)] = int16_t(std::lrint((1 - share) * kOne));
    l.weights[2 * size_t(o) + 1] = int16_t(std::lrint(share * kOne));
  }
  return l;
}

constexpr int kLanes = 8, kLoad = 16;

/// The loads and shuffles of eight output pixels at a time. The last eight may overlap those before.
struct Shuffles {
  int loads = 0; // for eight pixels; 0 where the pixels are too far apart, or fewer than eight
  struct Block {
    int x;                                            // of the first of the eight
    std::array<int, 4> from;                          // where each load begins
    alignas(16) std::array<uint8_t, 4 * kLoad> order; // for each load the bytes that it gives; 0x80 for none
  };
  std::vector<Block> blocks;
  int farthest = 0; // byte of a row that a load reaches, and one more
};
Shuffles shuffles(const Linear &l) {
  Shuffles s;
  int out = int(l.first.size());
  auto fit = [&](int loads) { // whether the pixels of a load lie in 16 bytes
    int each = kLanes / loads;
    for (int o = 0; o < out; ++o)
      if (l.second[size_t(std::min(o + each - 1, out - 1))] - l.first[size_t(o)] >= kLoad)
        return false;
    return true;
  };
  if (out < kLanes || !__builtin_cpu_supports("ssse3"))
    return s;
  for (int loads : {1, 2, 4})
    if (fit(loads)) {
      s.loads = loads;
      break;
    }
  if (!s.loads)
    return s;
  int each = kLanes / s.loads;
  for (int begin = 0; begin < out; begin += kLanes) {
    Shuffles::Block block{std::min(begin, out - kLanes), {}, {}};
    block.order.fill(0x80);
    for (int k = 0; k < kLanes; ++k) {
      int load = k / each, from = block.from[size_t(load)] = l.first[size_t(block.x + load * each)];
      uint8_t *order = block.order.data() + load * kLoad + 2 * k;
      order[0] = uint8_t(l.first[size_t(block.x + k)] - from);
      order[1] = uint8_t(l.second[size_t(block.x + k)] - from);
      s.farthest = std::max(s.farthest, from + kLoad);
    }
    s.blocks.push_back(block);
  }
  return s;
}

template <int Loads> __attribute__((target("ssse3"))) void acrossByShuffles(const uint8_t *from, const Linear &l, const Shuffles &s, int16_t *to) {
  const __m128i zero = _mm_setzero_si128();
  for (const Shuffles::Block &b : s.blocks) {
    __m128i pairs = zero;
    for (int k = 0; k < Loads; ++k) {
      __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + b.from[size_t(k)]));
      pairs = _mm_or_si128(pairs, _mm_shuffle_epi8(bytes, _mm_load_si128(reinterpret_cast<const __m128i *>(b.order.data() + k * kLoad))));
    }
    auto *weights = reinterpret_cast<const __m128i *>(l.weights.data() + 2 * b.x);
    __m128i low = _mm_madd_epi16(_mm_unpacklo_epi8(pairs, zero), _mm_loadu_si128(weights));
    __m128i high = _mm_madd_epi16(_mm_unpackhi_epi8(pairs, zero), _mm_loadu_si128(weights + 1));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(to + b.x), _mm_packs_epi32(_mm_srai_epi32(low, 4), _mm_srai_epi32(high, 4)));
  }
}

void across(const uint8_t *from, const Linear &l, const Shuffles &s, int16_t *to) {
  switch (s.loads) {
  case 1: return acrossByShuffles<1>(from, l, s, to);
  case 2: return acrossByShuffles<2>(from, l, s, to);
  case 4: return acrossByShuffles<4>(from, l, s, to);
  }
  for (size_t x = 0; x < l.first.size(); ++x)
    to[x] = int16_t((from[l.first[x]] * l.weights[2 * x] + from[l.second[x]] * l.weights[2 * x + 1]) >> 4);
}

void between(const int16_t *upper, const int16_t *lower, int16_t near, int16_t far, int width, uint8_t *out) {
  const __m128i a = _mm_set1_epi16(near), b = _mm_set1_epi16(far), two = _mm_set1_epi16(2);
  int x = 0;
  for (; x + kLanes <= width; x += kLanes) {
    __m128i u = _mm_mulhi_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(upper + x)), a);
    __m128i v = _mm_mulhi_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(lower + x)), b);
    __m128i sum = _mm_srai_epi16(_mm_add_epi16(_mm_add_epi16(u, v), two), 2);
    _mm_storel_epi64(reinterpret_cast<__m128i *>(out + x), _mm_packus_epi16(sum, sum));
  }
  for (; x < width; ++x)
    out[x] = uint8_t((((near * upper[x]) >> 16) + ((far * lower[x]) >> 16) + 2) >> 2);
}

} // namespace

void bilinear(const Picture &p, int height, int width, uint8_t *out, const Spread &spread) {
  Linear columns = linear(p.width, width), lines = linear(p.height, height);
  Shuffles order = shuffles(columns);
  // Rows of all planes, in parts of some 16 thousand pixels; where two parts meet, rows of the picture are done twice.
  size_t all = size_t(p.channels) * size_t(height), part = std::max<size_t>(8, 16384 / size_t(width));
  spread((all + part - 1) / part, [&](size_t i) {
    const uint8_t *rim = p.pixels.data() + p.pixels.size();
    std::vector<int16_t> rows(2 * size_t(width));
    std::vector<uint8_t> last;               // a row that loads would reach beyond, and what they reach
    const uint8_t *held[2] = {rim, rim};     // input rows that stand in `rows`; `rim` is none
    auto row = [&](const uint8_t *from) -> const int16_t * {
      for (int slot : {0, 1})
        if (held[slot] == from)
          return rows.data() + size_t(slot) * size_t(width);
      int slot = held[0] == rim || (held[1] != rim && held[0] < held[1]) ? 0 : 1; // the upper one is done with
      held[slot] = from;
      if (rim - from < order.farthest) {
        last.assign(size_t(order.farthest), 0);
        std::memcpy(last.data(), from, size_t(p.width));
        from = last.data();
      }
      across(from, columns, order, rows.data() + size_t(slot) * size_t(width));
      return rows.data() + size_t(slot) * size_t(width);
    };
    for (size_t at = i * part; at < std::min((i + 1) * part, all); ++at) {
      size_t y = at % size_t(height);
      const uint8_t *plane = p.pixels.data() + at / size_t(height) * size_t(p.height) * size_t(p.width);
      const int16_t *upper = row(plane + size_t(lines.first[y]) * size_t(p.width)), *lower = row(plane + size_t(lines.second[y]) * size_t(p.width));
      between(upper, lower, lines.weights[2 * y], lines.weights[2 * y + 1], width, out + at * size_t(width));
    }
  });
}

} // namespace bigm::image
