// Pictures that tests of images make up, and how near they must be to what others make of them.
#pragma once
#include "runtime/image/Image.h"
#include <cmath>
#include <gtest/gtest.h>

namespace bigm::test {

inline data::Picture picture(int channels, int height, int width) {
  data::Picture p{channels, height, width, {}};
  for (int c = 0; c < channels; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        p.pixels.push_back(uint8_t((c * 67 + y * 31 + x * 47 + x * y * 13) % 256));
  return p;
}

/// Within one level.
template <class Pixels> void expectNear(const Pixels &ours, const std::vector<int> &theirs, const std::string &what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i)
    ASSERT_LE(std::abs(int(ours[i]) - theirs[i]), 1) << what << ", number " << i << ": " << int(ours[i]) << " and " << theirs[i];
}

} // namespace bigm::test
