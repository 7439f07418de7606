// One drawn face and what is true about it.
#pragma once
#include "runtime/data/Picture.h"
#include <array>
#include <cstdint>
#include <vector>

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

inline constexpr int kSceneWidth = 320, kSceneHeight = 240, kMostFaces = 20;

/// Faces of several sizes on one picture, none of which hides another.
struct Scene {
  struct Face {
    int hair = 0, eyes = 0, nose = 0;
    double left = 0, top = 0, right = 0, bottom = 0; // of the head with its hair, without curls, bun and long hair; pixels
  };
  std::vector<Face> faces;
  data::Picture picture; // [3, kSceneHeight, kSceneWidth]
};

/// Scene number `index` of the set `seed`: none to kMostFaces faces, each number as likely.
Scene drawScene(uint64_t seed, uint64_t index);

} // namespace bigm::portraits
