// The way of `resample` that most pictures go.
#pragma once
#include "Image.h"

namespace bigm::image {

/// Writes [channels, height, width] to `out`: OpenCV's INTER_LINEAR.
void bilinear(const Picture &picture, int height, int width, uint8_t *out, const Spread &spread);

} // namespace bigm::image
