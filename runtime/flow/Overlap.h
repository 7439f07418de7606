// How much boxes overlap.
#pragma once
#include <algorithm>

namespace bigm::flow {

/// Intersection over union of two boxes (left, top, right, bottom), 0 where they do not meet.
template <class T> T overlap(const T *a, const T *b) {
  T w = std::min(a[2], b[2]) - std::max(a[0], b[0]), h = std::min(a[3], b[3]) - std::max(a[1], b[1]);
  if (!(w > 0) || !(h > 0))
    return 0;
  T both = w * h;
  return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}

} // namespace bigm::flow
