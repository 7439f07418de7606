// Pictures as 8-bit planes: PNG and JPEG in, PNG out, grey or colour, any size to any size.
#pragma once
#include "runtime/data/Bytes.h"
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bigm::data {

/// Pixels [channels, height, width], row-major; channels is 1 (grey) or 3 (red, green, blue; sRGB).
struct Picture {
  int channels = 0, height = 0, width = 0;
  Bytes pixels;
};

/// True when the bytes start as a PNG or a JPEG does.
bool looksLikePicture(std::span<const uint8_t> bytes);
/// Decodes PNG or JPEG. Transparency is laid on white; grey stays grey; 16 bits become 8; inks (CMYK) become red, green and
/// blue; a JPEG is turned as its Exif block says. Throws Error naming `file`
/// for another format, a cut or corrupt file, and for more than 64 million pixels.
Picture decodePicture(std::span<const uint8_t> bytes, const std::string &file);
Picture readPicture(const std::string &path);
/// A row of pixels, their 1 or 3 channels in turn, to a row of each plane. Planes are `area` bytes apart.
void toPlanes(const uint8_t *row, int channels, size_t pixels, uint8_t *to, size_t area);
/// Grey to colour by repeating, colour to grey by Rec. 601 luma (0.299 R + 0.587 G + 0.114 B, rounded).
Picture withChannels(Picture picture, int channels);
/// Each output pixel is the mean of the input under it when shrinking, bilinear when growing.
Picture resized(const Picture &picture, int height, int width);
/// A PNG file's bytes; `level` is zlib's, 1 fast to 9 small.
std::vector<uint8_t> encodePng(const Picture &picture, int level = 6);

} // namespace bigm::data
