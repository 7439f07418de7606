// Portraits side by side, with what a model said about each below it.
#pragma once
#include "runtime/data/Picture.h"
#include <string>
#include <vector>

namespace bigm::portraits {

struct Exhibit {
  data::Picture picture;
  struct Line {
    std::string text;
    int verdict = 0; // 1 right (green), -1 wrong (red), 0 not known (black)
  };
  std::vector<Line> lines;
};

/// A grid on white, each portrait enlarged to 144 pixels on a side.
data::Picture gallery(const std::vector<Exhibit> &exhibits, int columns);

} // namespace bigm::portraits
