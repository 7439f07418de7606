// Pictures warped and blurred, beside what Pillow and OpenCV make of the same.
#include "Pictures.h"
#include "runtime/data/Error.h"
#include "runtime/image/Image.h"
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

TEST(Blur, ABlurFarWiderThanThePictureIsItsMean) {
  data::Picture p{1, 1, 2, {0, 200}};
  for (uint8_t v : image::blur(p, 100).pixels)
    EXPECT_NEAR(v, 100, 1);
  p = {1, 1, 1, {42}};
  EXPECT_EQ(image::blur(p, 100).pixels, (std::vector<uint8_t>{42}));
}

} // namespace
