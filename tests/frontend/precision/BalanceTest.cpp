// Ranges and balances of activations: by their effect on products that are done in eight bits here, in plain C++.
#include "frontend/precision/Balance.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace bigm {
namespace {

constexpr int64_t rows = 300, channels = 24, results = 17;

struct Case {
  std::vector<float> x = std::vector<float>(rows * channels), w = std::vector<float>(results * channels);
  /// Channel `wide` of x is `by` times as large as the others.
  Case(int64_t wide, float by) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < rows * channels; ++i)
      x[size_t(i)] = normal(random) * (i % channels == wide ? by : 1);
    for (float &value : w)
      value = normal(random);
  }
  std::vector<float> counts() const {
    const Bins &bins = channelBins;
    std::vector<float> all(size_t(countsOf(channels)));
    for (int64_t i = 0; i < rows * channels; ++i) {
      float value = x[size_t(i)];
      int bin = std::clamp(int(std::floor((std::log2(std::abs(value)) - bins.least) * bins.inOctave)), 0, bins.each - 1);
      ++all[size_t(i % channels * 2 * bins.each + (value < 0 ? bins.each - 1 - bin : bins.each + bin))];
    }
    return all;
  }
  std::vector<Multiplier> multipliers() const { return {{w, {results, channels}, 0, 1}}; }

  /// The products' error in eight bits, as a share of their own size (root mean squares).
  double error(const Range &range) const {
    auto factor = [&](int64_t k) { return range.balance.empty() ? 1.f : range.balance[size_t(k)]; };
    double off = 0, size = 0;
    for (int64_t o = 0; o < results; ++o) {
      float scale = 0;
      for (int64_t k = 0; k < channels; ++k)
        scale = std::max(scale, std::abs(w[size_t(o * channels + k)] / factor(k)) / 127);
      for (int64_t n = 0; n < rows; ++n) {
        double right = 0, narrow = 0;
        for (int64_t k = 0; k < channels; ++k) {
          float a = x[size_t(n * channels + k)], b = w[size_t(o * channels + k)];
          double q = std::clamp(std::nearbyint(a * factor(k) * range.inverse) + range.zero, 0.f, 255.f) - range.zero;
          right += double(a) * b;
          narrow += q * range.step * std::nearbyint(b / factor(k) / scale) * scale;
        }
        off += (narrow - right) * (narrow - right);
        size += right * right;
      }
    }
    return std::sqrt(off / size);
  }
};

TEST(Balance, WideChannelNoLongerCostsTheOthersTheirResolution) {
  Case c(5, 60);
  for (int64_t o = 0; o < results; ++o) // its weights are as small as it is wide: the others matter as much
    c.w[size_t(o * channels + 5)] /= 60;
  auto range = balancedRange(c.counts(), channels, c.multipliers());
  ASSERT_TRUE(range);
  ASSERT_EQ(range->balance.size(), size_t(channels));
  EXPECT_LT(range->balance[5], range->balance[4] / 10);
  Range plain = *range; // one step for all, as wide as what was seen
  plain.balance.clear();
  double most = 0;
  for (float value : c.x)
    most = std::max(most, double(std::abs(value)));
  plain.step = float(2 * most / 255), plain.inverse = 1 / plain.step, plain.zero = 128;
  EXPECT_LT(c.error(*range), 0.02);
  EXPECT_GT(c.error(plain), 5 * c.error(*range));
}

TEST(Balance, ChannelsOfOneSizeAreLeftAsTheyAre) {
  Case c(0, 1);
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1); // 300 of them reach as far in each channel
  for (float &value : c.x)
    value = uniform(random);
  for (float &value : c.w)
    value = value < 0 ? -1 : 1;
  auto range = balancedRange(c.counts(), channels, c.multipliers());
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->balance.empty());
  EXPECT_LT(c.error(*range), 0.02);
}

TEST(Balance, ZeroIsZeroWhereNothingIsNegative) {
  Case c(3, 20);
  for (float &value : c.x)
    value = std::max(value, 0.f);
  auto range = balancedRange(c.counts(), channels, c.multipliers());
  ASSERT_TRUE(range);
  EXPECT_EQ(range->zero, 0);
  EXPECT_LT(c.error(*range), 0.02);
}

TEST(Balance, ChannelThatIsAlwaysZeroAndWeightsOfZero) {
  Case c(3, 20);
  for (int64_t i = 0; i < rows; ++i)
    c.x[size_t(i * channels + 2)] = 0;
  for (int64_t o = 0; o < results; ++o)
    c.w[size_t(o * channels + 7)] = 0;
  auto range = balancedRange(c.counts(), channels, c.multipliers());
  ASSERT_TRUE(range);
  for (float factor : range->balance)
    EXPECT_TRUE(std::isfinite(factor) && factor > 0) << factor;
  EXPECT_LT(c.error(*range), 0.02);
  EXPECT_FALSE(balancedRange(std::vector<float>(size_t(countsOf(channels))), channels, c.multipliers()));
}

} // namespace
} // namespace bigm
