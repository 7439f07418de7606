// Pictures on their way into a model: resampled, fitted, cut; and results drawn onto them.
//
// Positions are those of OpenCV: pixel k of a row has its centre at k for `cut`, and at k + 0.5 of a scale that begins at
// the picture's edge for the resamplings.
#pragma once
#include "runtime/data/Picture.h"
#include <array>
#include <functional>
#include <optional>
#include <string_view>

namespace bigm::image {
using data::Picture;

/// Calls `body` with every number below `count`, perhaps on several threads. What a call does does not depend on the others.
using Spread = std::function<void(size_t count, const std::function<void(size_t)> &body)>;
/// One after the other.
inline void inTurn(size_t count, const std::function<void(size_t)> &body) {
  for (size_t i = 0; i < count; ++i)
    body(i);
}

/// How pixels between pixels are found. The first four give what OpenCV's resize gives (INTER_LINEAR, _NEAREST, _CUBIC,
/// _AREA), `Antialiased` what Pillow's resize with BILINEAR does: the filter grows with the reduction, so that nothing is
/// skipped. All within one level of 255.
enum class Mode { Bilinear, Nearest, Bicubic, Area, Antialiased };
std::optional<Mode> modeNamed(std::string_view name);

/// Writes [channels, height, width] to `out`, which has room for it. Channels are those of the picture.
void resample(const Picture &picture, int height, int width, Mode mode, uint8_t *out, const Spread &spread = inTurn);

/// How a picture lies in a frame: point p of the picture is at p * scale + (left, top).
struct Placed {
  float scale, left, top;
};
/// As large as goes without changing its shape, in the middle, the rest filled with `value`: [channels, height, width].
Placed fitInto(const Picture &picture, int height, int width, uint8_t value, uint8_t *out, const Spread &spread = inTurn);

/// The patch of (right - left) x (bottom - top) pixels, to the nearest whole numbers and at least one each, whose middle is
/// that of the box, as OpenCV's getRectSubPix gives it: bilinear between pixels, the edge's pixels going on outside. Throws data::Error for a box that
/// is not finite or has more than 64 million pixels.
Picture cut(const Picture &picture, const std::array<float, 4> &box);

/// A picture of height x width through an affine map: the place (x, y) of the new picture shows the place (m0 x + m1 y + m2,
/// m3 x + m4 y + m5) of the old one, the middle of the first pixel being at (0.5, 0.5). Bilinear between pixels; what lies
/// outside of the old picture is `fill`. What Pillow's Image.transform with AFFINE and BILINEAR gives, within one level.
/// Throws data::Error for a matrix that is not finite.
Picture warp(const Picture &picture, const std::array<float, 6> &matrix, int height, int width, uint8_t fill, const Spread &spread = inTurn);

/// Blurred by a Gaussian of `sigma` pixels, mirrored at the edges: what OpenCV's GaussianBlur gives for pictures of 8 bits
/// with a kernel of its own size, within one level. Throws data::Error for a sigma that is not from 0.1 to 100.
Picture blur(const Picture &picture, double sigma, const Spread &spread = inTurn);

} // namespace bigm::image
