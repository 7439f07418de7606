// Pictures as 8-bit planes: PNG and JPEG in, PNG out, grey or colour, any size to any size.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bigm::data {

/// Pixels [channels, height, width], row-major; channels is 1 (grey) or 3 (red, green, blue; sRGB).
struct Picture {
  int channels = 0, height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

/// True when the bytes start as a PNG or a JPEG does.
bool looksLikePicture(std::span<const uint8_t> bytes);
/// Decodes PNG or JPEG. Transparency is laid on white; grey stays grey; 16 bits become 8; inks (CMYK) become red, green and
/// blue; a JPEG is turned as its Exif block says. Throws Error naming `file`
/// for another format, a cut or corrupt file, and for more than 64 million pixels.
Picture decodePicture(std::span<const uint8_t> bytes, const std::string &file);
Picture readPicture(const std::string &path);
/// Grey to colour by repeating, colour to grey by Rec. 601 luma (0.299 R + 0.587 G + 0.114 B, rounded).
Picture withChannels(Picture picture, int channels);
/// Each output pixel is the mean of the input under it when shrinking, bilinear when growing.
Picture resized(const Picture &picture, int height, int width);
/// A PNG file's bytes; `level` is zlib's, 1 fast to 9 small.
std::vector<uint8_t> encodePng(const Picture &picture, int level = 6);

} // namespace bigm::data
