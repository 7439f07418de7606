// One drawn face and what is true about it.
#pragma once
#include "runtime/data/Picture.h"
#include <array>
#include <cstdint>

namespace bigm::portraits {

inline constexpr int kSize = 48; // pixels on a side
inline constexpr std::array<const char *, 4> kHair = {"black", "brown", "blond", "red"};
inline constexpr std::array<const char *, 4> kEyes = {"blue", "brown", "green", "closed"};
inline constexpr std::array<const char *, 3> kNose = {"small", "long", "wide"};

struct Portrait {
  int hair = 0, eyes = 0, nose = 0; // indices into the lists above
  data::Picture picture;            // [3, 48, 48]
};

/// Portrait number `index` of the set `seed`. The same numbers give the same picture, whatever else is drawn.
Portrait draw(uint64_t seed, uint64_t index);

} // namespace bigm::portraits
