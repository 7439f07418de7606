// Warp and resize against plain loops and against numbers computed by Pillow (inputs/pillow.txt says how).
#include "bigm/kernels.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sstream>
#include <string>
#include <vector>

static std::vector<float> noise(size_t count, float scale) {
  std::mt19937 random(7);
  std::vector<float> values(count);
  for (float &value : values)
    value = float(random() % 1000) / 1000 * scale;
  return values;
}

// ------------------------------------------------------------------------------------------------- warp
static std::vector<float> plainWarp(const std::vector<float> &image, const std::vector<float> &matrix, int n, int c, int h,
                                    int w, int outH, int outW, float fill) {
  std::vector<float> out;
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < c; ++k)
      for (int y = 0; y < outH; ++y)
        for (int x = 0; x < outW; ++x) {
          const float *m = &matrix[size_t(6 * i)];
          double sx = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2] - 0.5, sy = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5] - 0.5;
          int x0 = int(std::floor(sx)), y0 = int(std::floor(sy));
          auto at = [&](int yy, int xx) {
            return yy < 0 || yy >= h || xx < 0 || xx >= w ? fill : image[size_t(((i * c + k) * h + yy) * w + xx)];
          };
          double ax = sx - x0, ay = sy - y0;
          out.push_back(float((1 - ay) * ((1 - ax) * at(y0, x0) + ax * at(y0, x0 + 1)) +
                              ay * ((1 - ax) * at(y0 + 1, x0) + ax * at(y0 + 1, x0 + 1))));
        }
  return out;
}

TEST(Warp, AgreesWithPlainLoops) {
  for (auto [h, w, outH, outW] : {std::array{28, 28, 28, 28}, {5, 3, 4, 7}, {1, 1, 3, 3}, {17, 40, 9, 33}}) {
    int n = 3, c = 2;
    auto image = noise(size_t(n * c * h * w), 1);
    // Turned by 20 degrees, mirrored and shifted, and shrunk so that the borders are seen.
    std::vector<float> matrix = {0.94f, -0.34f, 3, 0.34f, 0.94f, -2, -1, 0, float(w), 0, 1, 0.25f, 1.7f, 0, -4, 0, 1.7f, -4};
    std::vector<float> out(size_t(n * c * outH * outW));
    bigm_rt_warp_f32(nullptr, image.data(), matrix.data(), out.data(), n, c, h, w, outH, outW, 0.25f);
    auto expected = plainWarp(image, matrix, n, c, h, w, outH, outW, 0.25f);
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_NEAR(out[i], expected[i], 2e-5) << i << " of " << h << "x" << w;
  }
}
TEST(Warp, TheIdentityKeepsBits) {
  auto image = noise(28 * 28, 1);
  std::vector<float> out(28 * 28), matrix = {1, 0, 0, 0, 1, 0};
  bigm_rt_warp_f32(nullptr, image.data(), matrix.data(), out.data(), 1, 1, 28, 28, 28, 28, 0);
  EXPECT_EQ(out, image);
}
TEST(Warp, PlacesFarOutsideAreTheFill) {
  auto image = noise(9, 1);
  for (float far : {1e30f, -1e30f, INFINITY, -INFINITY, NAN}) {
    std::vector<float> out(20, -1), matrix = {1, 0, far, 0, 1, far};
    bigm_rt_warp_f32(nullptr, image.data(), matrix.data(), out.data(), 1, 1, 3, 3, 4, 5, 0.5f);
    for (float value : out)
      EXPECT_TRUE(std::isnan(far) || value == 0.5f) << far;
  }
}

// ------------------------------------------------------------------------------------------------- resize
/// Sum over all pixels of the weight of each, straight from the definition in kernels.h, without antialias.
static std::vector<float> plainResize(const std::vector<float> &image, int planes, int h, int w, int outH, int outW, int mode) {
  auto filter = [&](double d) {
    d = std::fabs(d);
    if (mode == BIGM_RESIZE_BILINEAR)
      return std::max(0.0, 1 - d);
    return d < 1 ? 1.25 * d * d * d - 2.25 * d * d + 1 : d < 2 ? -0.75 * (d * d * d - 5 * d * d + 8 * d - 4) : 0.0;
  };
  std::vector<float> out;
  for (int p = 0; p < planes; ++p)
    for (int y = 0; y < outH; ++y)
      for (int x = 0; x < outW; ++x) {
        double cy = (y + 0.5) * h / outH - 0.5, cx = (x + 0.5) * w / outW - 0.5, sum = 0;
        for (int i = int(cy) - 3; i <= int(cy) + 3; ++i)
          for (int j = int(cx) - 3; j <= int(cx) + 3; ++j)
            sum += filter(i - cy) * filter(j - cx) * image[size_t((p * h + std::clamp(i, 0, h - 1)) * w + std::clamp(j, 0, w - 1))];
        out.push_back(float(sum));
      }
  return out;
}

TEST(Resize, WithoutAntialiasAgreesWithPlainLoops) {
  for (int mode : {BIGM_RESIZE_BILINEAR, BIGM_RESIZE_BICUBIC})
    for (auto [h, w, outH, outW] : {std::array{28, 28, 32, 32}, {7, 5, 3, 11}, {1, 1, 4, 4}, {33, 17, 16, 40}}) {
      auto image = noise(size_t(6 * h * w), 1);
      std::vector<float> out(size_t(6 * outH * outW));
      bigm_rt_resize_f32(nullptr, image.data(), out.data(), 2, 3, h, w, outH, outW, mode, 0);
      auto expected = plainResize(image, 6, h, w, outH, outW, mode);
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_NEAR(out[i], expected[i], 2e-5) << i << " mode " << mode << " " << h << "x" << w;
    }
}
TEST(Resize, SameSizeKeepsBits) {
  auto image = noise(9 * 11, 1);
  for (int mode = 0; mode < 4; ++mode)
    for (int antialias : {0, 1}) {
      std::vector<float> out(image.size());
      bigm_rt_resize_f32(nullptr, image.data(), out.data(), 1, 1, 9, 11, 9, 11, mode, antialias);
      EXPECT_EQ(out, image) << mode;
    }
}
TEST(Resize, AreaIsTheMean) {
  auto image = noise(8 * 12, 1);
  std::vector<float> out(4 * 4);
  bigm_rt_resize_f32(nullptr, image.data(), out.data(), 1, 1, 8, 12, 4, 4, BIGM_RESIZE_AREA, 0);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x) {
      float sum = 0;
      for (int i = 0; i < 6; ++i)
        sum += image[size_t((2 * y + i / 3) * 12 + 3 * x + i % 3)];
      EXPECT_NEAR(out[size_t(4 * y + x)], sum / 6, 1e-6);
    }
}

/// Each case of the file: mode, sizes, then Pillow's output; the input is 19x23 pixels, 64 + (37*y*y + 11*x*y + 53*x) mod
/// 128: far enough from 0 and 255 that Pillow does not clip a cubic's overshoot between its two passes, as we do not.
TEST(Resize, AgreesWithPillowWithinOneLevel) {
  const int h = 19, w = 23;
  std::vector<float> image;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      image.push_back(float(64 + (37 * y * y + 11 * x * y + 53 * x) % 128));
  const char *source = std::getenv("BIGM_SOURCE");
  std::ifstream file(std::string(source ? source : BIGM_TEST_SOURCE) + "/tests/runtime/inputs/pillow.txt");
  ASSERT_TRUE(file);
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    std::istringstream words(line);
    int mode, outH, outW;
    words >> mode >> outH >> outW;
    std::vector<float> out(size_t(outH * outW));
    bigm_rt_resize_f32(nullptr, image.data(), out.data(), 1, 1, h, w, outH, outW, mode, 1);
    for (size_t i = 0; i < out.size(); ++i) {
      int expected;
      ASSERT_TRUE(words >> expected);
      float level = std::clamp(std::round(out[i]), 0.0f, 255.0f);
      EXPECT_LE(std::fabs(level - float(expected)), 1) << "mode " << mode << ", pixel " << i << " of " << outH << "x" << outW;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 16);
}

TEST(ImageKernels, TheOlderCpusKernelsPassTheSameTests) {
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  EXPECT_EQ(std::system(("BIGM_CPU=x86-64-v2 '" + self + "' --gtest_filter='Warp.*:Resize.*' > /dev/null").c_str()), 0);
}
