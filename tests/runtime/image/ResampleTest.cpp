// Pictures resampled, fitted and cut, beside what OpenCV and Pillow make of the same.
#include "Pictures.h"
#include "runtime/data/Error.h"
#include "runtime/image/Image.h"
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <sys/resource.h>

using namespace bigm;
using test::expectNear;
using test::picture;
using image::Mode;

namespace {

TEST(Resample, GivesWhatTheOthersGive) {
  struct Case {
    Mode mode;
    int channels, h, w, height, width;
    std::vector<int> expected;
  };
  const Case cases[] = {
#include "Golden.inc"
  };
  for (const Case &c : cases) {
    std::vector<uint8_t> out(size_t(c.channels * c.height * c.width));
    image::resample(picture(c.channels, c.h, c.w), c.height, c.width, c.mode, out.data());
    expectNear(out, c.expected,
               testing::PrintToString(int(c.mode)) + ": " + std::to_string(c.h) + " x " + std::to_string(c.w) + " to " + std::to_string(c.height) + " x " + std::to_string(c.width));
  }
}

TEST(Resample, TheSameSizeChangesNothing) {
  data::Picture p = picture(3, 7, 5);
  for (Mode mode : {Mode::Bilinear, Mode::Nearest, Mode::Bicubic, Mode::Area, Mode::Antialiased}) {
    data::Bytes out(p.pixels.size());
    image::resample(p, 7, 5, mode, out.data());
    EXPECT_EQ(out, p.pixels);
  }
}

// Memory goes with the result, not with the picture's height times the result's width, 1.2 GB here.
TEST(Resample, ATallPictureTakesItsOwnMemory) {
  data::Picture p{1, 1000000, 1, data::Bytes(1000000, 9)};
  auto peak = [] { // kilobytes
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  for (Mode mode : {Mode::Bicubic, Mode::Area, Mode::Antialiased}) {
    std::vector<uint8_t> out(300 * 8);
    auto before = peak();
    image::resample(p, 8, 300, mode, out.data());
    EXPECT_LE(peak() - before, 300 << 10) << int(mode);
    EXPECT_THAT(out, testing::Each(9));
  }
}

TEST(Fit, LiesInTheMiddleAndSaysWhere) {
  data::Picture p{1, 8, 64, data::Bytes(8 * 64, 200)};
  std::vector<uint8_t> out(32 * 32);
  image::Placed at = image::fitInto(p, 32, 32, 7, out.data());
  EXPECT_EQ(at.scale, 0.5f);
  EXPECT_EQ(at.left, 0);
  EXPECT_EQ(at.top, 14);
  for (int y = 0; y < 32; ++y)
    EXPECT_EQ(out[size_t(y) * 32 + 5], y >= 14 && y < 18 ? 200 : 7) << y;
}

TEST(Cut, GivesWhatOpenCVGives) {
  struct Case {
    int channels, h, w;
    std::array<float, 4> box;
    int height, width;
    std::vector<int> expected;
  };
  static const Case cases[] = {
#include "GoldenCuts.inc"
  };
  for (const Case &c : cases) {
    data::Picture out = image::cut(picture(c.channels, c.h, c.w), c.box);
    EXPECT_EQ(out.height, c.height);
    EXPECT_EQ(out.width, c.width);
    expectNear(out.pixels, c.expected, "cut at " + std::to_string(c.box[0]));
  }
}

TEST(Cut, FarOutsideIsTheEdge) {
  data::Picture p = picture(1, 4, 4);
  for (float far : {1e3f, 1e9f, 3e38f / 4}) {
    data::Picture out = image::cut(p, {far, far, far + 3, far + 2});
    EXPECT_EQ(out.pixels.front(), p.pixels.back());
    out = image::cut(p, {-far, -far, -far + 3, -far + 2});
    EXPECT_EQ(out.pixels.back(), p.pixels.front());
  }
}
TEST(Cut, AnEmptyBoxIsOnePixel) {
  data::Picture out = image::cut(picture(3, 4, 4), {2, 2, 1, 0});
  EXPECT_EQ(out.width * out.height, 1);
}
TEST(Cut, fail_BoxesThatAreNone) {
  float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  EXPECT_THROW(image::cut(picture(1, 4, 4), {0, 0, nan, 1}), data::Error);
  EXPECT_THROW(image::cut(picture(1, 4, 4), {-infinite, 0, 3, 1}), data::Error);
  try {
    image::cut(picture(1, 4, 4), {0, 0, 1e6f, 1e6f});
    FAIL();
  } catch (const data::Error &e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("at most 64 million"));
  }
}

} // namespace
