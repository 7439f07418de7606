// Bilinear resampling by loads and shuffles, beside the same sums one by one, for sizes that take every way through it.
#include "Pictures.h"
#include "runtime/image/Image.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace bigm;

namespace {

/// OpenCV's INTER_LINEAR, as it is defined.
std::vector<uint8_t> plain(const data::Picture &p, int height, int width) {
  struct At {
    int first, second, near, far;
  };
  auto at = [](int o, int in, int out) {
    float place = float((o + 0.5) * (double(in) / out) - 0.5);
    int first = int(std::floor(place));
    float share = place - float(first);
    if (first < 0)
      first = 0, share = 0;
    if (first >= in - 1)
      first = in - 1, share = 0;
    return At{first, std::min(first + 1, in - 1), int(std::lrint((1 - share) * 2048)), int(std::lrint(share * 2048))};
  };
  std::vector<uint8_t> out;
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        At row = at(y, p.height, height), column = at(x, p.width, width);
        auto across = [&](int line) {
          const uint8_t *from = p.pixels.data() + (size_t(c) * size_t(p.height) + size_t(line)) * size_t(p.width);
          return (from[column.first] * column.near + from[column.second] * column.far) >> 4;
        };
        out.push_back(uint8_t((((row.near * across(row.first)) >> 16) + ((row.far * across(row.second)) >> 16) + 2) >> 2));
      }
  return out;
}

TEST(Bilinear, GivesTheSameBitsHoweverFarPixelsLieApart) {
  const int sizes[][4] = {{5, 3, 7, 11},   {40, 44, 48, 48},  {17, 64, 9, 32},  {33, 100, 20, 29}, {64, 300, 21, 61},
                          {9, 512, 9, 24}, {12, 900, 12, 20}, {1, 1, 3, 9},     {2, 16, 5, 8},     {130, 15, 200, 16},
                          {7, 5, 3, 8},    {3, 200, 400, 90}};
  for (auto &[h, w, height, width] : sizes)
    for (int channels : {1, 3}) {
      data::Picture p = test::picture(channels, h, w);
      std::vector<uint8_t> out(size_t(channels * height * width)), spread(out.size());
      image::resample(p, height, width, image::Mode::Bilinear, out.data());
      EXPECT_EQ(out, plain(p, height, width)) << h << " x " << w << " to " << height << " x " << width;
      // Parts of the work in any order.
      image::resample(p, height, width, image::Mode::Bilinear, spread.data(), [](size_t count, auto &body) {
        for (size_t i = count; i-- > 0;)
          body(i);
      });
      EXPECT_EQ(spread, out);
    }
}

} // namespace
