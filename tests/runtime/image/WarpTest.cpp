// Pictures warped and blurred, beside what Pillow and OpenCV make of the same.
#include "Pictures.h"
#include "runtime/data/Error.h"
#include "runtime/image/Image.h"
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

using namespace bigm;
using test::expectNear;
using test::picture;

namespace {

TEST(Warp, GivesWhatPillowGives) {
  struct Case {
    int channels, h, w;
    std::array<float, 6> matrix;
    int height, width;
    std::vector<int> expected;
  };
  const Case cases[] = {
#include "GoldenWarps.inc"
  };
  for (const Case &c : cases) {
    data::Picture out = image::warp(picture(c.channels, c.h, c.w), c.matrix, c.height, c.width, 9);
    EXPECT_EQ(out.height, c.height);
    EXPECT_EQ(out.width, c.width);
    expectNear(out.pixels, c.expected, "the warp by " + std::to_string(c.matrix[0]));
  }
}

// Turned and larger than any vector, in parts of any order: within one level of the same sums one by one.
TEST(Warp, IsWhatItIsDefinedToBe) {
  data::Picture p = picture(3, 70, 90);
  const std::array<float, 6> m = {0.83f, 0.31f, -7.3f, -0.29f, 0.91f, 21.7f};
  int height = 301, width = 133;
  data::Picture out = image::warp(p, m, height, width, 7), parts = image::warp(p, m, height, width, 7, [](size_t count, auto &body) {
    for (size_t i = count; i-- > 0;)
      body(i);
  });
  EXPECT_EQ(out.pixels, parts.pixels);
  std::vector<int> expected;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        double u = double(m[0]) * (x + 0.5) + double(m[1]) * (y + 0.5) + m[2], v = double(m[3]) * (x + 0.5) + double(m[4]) * (y + 0.5) + m[5];
        if (!(u >= 0 && u < p.width && v >= 0 && v < p.height)) {
          expected.push_back(7);
          continue;
        }
        int left = int(std::floor(u - 0.5)), above = int(std::floor(v - 0.5));
        double a = u - 0.5 - left, b = v - 0.5 - above;
        auto pixel = [&](int row, int column) {
          return p.pixels[size_t((c * p.height + std::clamp(row, 0, p.height - 1)) * p.width + std::clamp(column, 0, p.width - 1))];
        };
        expected.push_back(int((pixel(above, left) * (1 - a) + pixel(above, left + 1) * a) * (1 - b) +
                               (pixel(above + 1, left) * (1 - a) + pixel(above + 1, left + 1) * a) * b + 0.5));
      }
  expectNear(out.pixels, expected, "the warp");
}

TEST(Warp, TheIdentityChangesNothing) {
  data::Picture p = picture(3, 5, 4);
  EXPECT_EQ(image::warp(p, {1, 0, 0, 0, 1, 0}, 5, 4, 0).pixels, p.pixels);
}

TEST(Warp, FarOutsideIsTheFill) {
  for (float far : {100.0f, 3e38f, -3e38f})
    EXPECT_THAT(image::warp(picture(1, 4, 4), {1, 0, far, 0, 1, 0}, 2, 3, 77).pixels, testing::Each(77));
}

TEST(Warp, fail_AMatrixThatIsNone) {
  EXPECT_THROW(image::warp(picture(1, 4, 4), {1, 0, 0, std::numeric_limits<float>::quiet_NaN(), 1, 0}, 2, 2, 0), data::Error);
}

TEST(Blur, GivesWhatOpenCVGives) {
  struct Case {
    int channels, h, w;
    double sigma;
    std::vector<int> expected;
  };
  const Case cases[] = {
#include "GoldenBlurs.inc"
  };
  for (const Case &c : cases)
    expectNear(image::blur(picture(c.channels, c.h, c.w), c.sigma).pixels, c.expected, "the blur by " + std::to_string(c.sigma));
}

TEST(Blur, GivesTheSameBitsInParts) {
  data::Picture p = picture(3, 211, 157);
  data::Picture parts = image::blur(p, 4, [](size_t count, auto &body) {
    for (size_t i = count; i-- > 0;)
      body(i);
  });
  EXPECT_EQ(image::blur(p, 4).pixels, parts.pixels);
}

TEST(Blur, ABlurFarWiderThanThePictureIsItsMean) {
  data::Picture p{1, 1, 2, {0, 200}};
  for (uint8_t v : image::blur(p, 100).pixels)
    EXPECT_NEAR(v, 100, 1);
  p = {1, 1, 1, {42}};
  EXPECT_EQ(image::blur(p, 100).pixels, (data::Bytes{42}));
}

} // namespace
