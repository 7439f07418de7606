// libpng and libjpeg behind two functions. Both libraries leave by longjmp on error, so what must be destroyed lives
// outside the function that calls setjmp.
#include "Picture.h"
#include "Error.h"
#include "Files.h"
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <emmintrin.h>
#include <png.h>
#include <tmmintrin.h>
// libjpeg's header wants FILE declared before it.
#include <jerror.h>
#include <jpeglib.h>

namespace bigm::data {
namespace {

constexpr uint64_t kMostPixels = 64'000'000;

void checkSize(uint64_t width, uint64_t height, const std::string &file) {
  if (width == 0 || height == 0)
    fail("{}: the picture is empty ({} x {})", file, width, height);
  if (width > kMostPixels || height > kMostPixels || width * height > kMostPixels)
    fail("{}: the picture has {} x {} pixels; at most {} million are read", file, width, height, kMostPixels / 1000000);
}

/// Which bytes of load l go to plane c; 0x80 for none.
struct Thirds {
  alignas(16) uint8_t order[3][3][16];
  constexpr Thirds() : order{} {
    for (int c = 0; c < 3; ++c)
      for (int l = 0; l < 3; ++l)
        for (int k = 0; k < 16; ++k) {
          int byte = 3 * k + c - 16 * l;
          order[c][l][k] = byte >= 0 && byte < 16 ? uint8_t(byte) : 0x80;
        }
  }
};
constexpr Thirds kThirds;

/// Sixteen pixels of red, green and blue in turn to three planes: each plane takes its bytes out of three loads.
__attribute__((target("ssse3"))) void planesBySixteen(const uint8_t *from, size_t pixels, uint8_t *red, uint8_t *green, uint8_t *blue) {
  uint8_t *planes[3] = {red, green, blue};
  for (size_t i = 0; i < pixels; i += 16) {
    __m128i load[3];
    for (int l = 0; l < 3; ++l)
      load[l] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + 3 * i + 16 * size_t(l)));
    for (int c = 0; c < 3; ++c) {
      __m128i all = _mm_setzero_si128();
      for (int l = 0; l < 3; ++l)
        all = _mm_or_si128(all, _mm_shuffle_epi8(load[l], _mm_load_si128(reinterpret_cast<const __m128i *>(kThirds.order[c][l]))));
      _mm_storeu_si128(reinterpret_cast<__m128i *>(planes[c] + i), all);
    }
  }
}

} // namespace

void toPlanes(const uint8_t *row, int channels, size_t pixels, uint8_t *to, size_t area) {
  size_t done = 0;
  if (channels == 1) {
    std::memcpy(to, row, pixels);
    return;
  }
  if (__builtin_cpu_supports("ssse3")) {
    done = pixels / 16 * 16;
    planesBySixteen(row, done, to, to + area, to + 2 * area);
  }
  for (size_t i = done; i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c)
      to[c * area + i] = row[3 * i + c];
}

namespace {

Picture decodePng(std::span<const uint8_t> bytes, const std::string &file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  struct Free {
    png_image *image;
    ~Free() { png_image_free(image); }
  } free{&image};
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
    fail("{}: not a readable PNG file: {}", file, image.message);
  checkSize(image.width, image.height, file);
  // Without this libpng takes 16 bits for linear light where no chunk says otherwise, and makes all shades brighter. Hardly
  // anyone writes such files, and OpenCV reads none: it takes the upper 8 bits, within one level of this.
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  image.format = image.format & PNG_FORMAT_FLAG_COLOR ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  int channels = image.format == PNG_FORMAT_RGB ? 3 : 1;
  // The pixels' data must be at least the 1:1032 of the best deflate; a header that promises more is a lie that would
  // cost memory.
  uint64_t size = uint64_t(image.width) * image.height * channels;
  if (size / 8 / 1100 > bytes.size() + 100)
    fail("{}: the PNG header promises {} x {} pixels and the file has {} bytes", file, image.width, image.height,
         bytes.size());
  Bytes rows(size);
  png_color white{255, 255, 255};
  if (!png_image_finish_read(&image, &white, rows.data(), 0, nullptr))
    fail("{}: corrupt PNG data: {}", file, image.message);
  Picture out{channels, int(image.height), int(image.width), Bytes(size)};
  size_t area = size_t(image.height) * image.width;
  for (size_t y = 0; y < image.height; ++y)
    toPlanes(rows.data() + y * image.width * size_t(channels), channels, image.width, out.pixels.data() + y * image.width, area);
  return out;
}

/// How a camera was held, 1 to 8 as Exif counts; 0 where the block does not say. (Exif 2.3: tag 0x0112 of the first list of a
/// TIFF structure.) Nothing in it is believed.
int exifOrientation(std::span<const uint8_t> block) {
  static constexpr uint8_t head[] = {'E', 'x', 'i', 'f', 0, 0};
  if (block.size() < 14 || !std::equal(head, head + 6, block.begin()))
    return 0;
  std::span<const uint8_t> tiff = block.subspan(6);
  bool little = tiff[0] == 'I';
  auto number = [&](size_t at, size_t bytes) -> uint64_t {
    uint64_t value = 0;
    if (at + bytes > tiff.size())
      return 0;
    for (size_t i = 0; i < bytes; ++i)
      value |= uint64_t(tiff[at + i]) << (8 * (little ? i : bytes - 1 - i));
    return value;
  };
  uint64_t list = number(4, 4);
  if (list + 2 > tiff.size())
    return 0;
  for (uint64_t i = 0, count = number(list, 2); i < count && list + 2 + 12 * (i + 1) <= tiff.size(); ++i)
    if (uint64_t entry = list + 2 + 12 * i; number(entry, 2) == 0x0112) {
      uint64_t value = number(entry + 8, 2);
      return value >= 1 && value <= 8 ? int(value) : 0;
    }
  return 0;
}

/// Turned and mirrored as the orientation says, so that up is up.
Picture upright(Picture picture, int orientation) {
  if (orientation <= 1)
    return picture;
  bool swapped = orientation >= 5; // rows become columns
  int height = swapped ? picture.width : picture.height, width = swapped ? picture.height : picture.width;
  Picture out{picture.channels, height, width, Bytes(picture.pixels.size())};
  uint8_t *to = out.pixels.data();
  for (int c = 0; c < picture.channels; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        int row = swapped ? x : y, column = swapped ? y : x;
        if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
          row = picture.height - 1 - row;
        if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
          column = picture.width - 1 - column;
        *to++ = picture.pixels[(size_t(c) * picture.height + row) * picture.width + column];
      }
  return out;
}

struct JpegErrors {
  jpeg_error_mgr base;
  jmp_buf back;
  char text[JMSG_LENGTH_MAX];
};

/// Inks to red, green and blue, in place. Adobe writes them upside down: 255 is none.
void withoutInks(std::vector<uint8_t> &row, bool inverted) {
  for (size_t i = 0; i < row.size() / 4; ++i)
    for (size_t c = 0; c < 3; ++c) {
      unsigned ink = row[4 * i + c], black = row[4 * i + 3];
      if (!inverted) {
        ink = 255 - ink;
        black = 255 - black;
      }
      row[3 * i + c] = uint8_t((ink * black + 127) / 255);
    }
}

/// The part that may be left by longjmp: holds nothing with a destructor. Returns false with errors->text set. `row` has room
/// for the decoder.
bool readJpeg(jpeg_decompress_struct &jpeg, JpegErrors &errors, std::span<const uint8_t> bytes, std::vector<uint8_t> &row, Picture &out,
              int &orientation) {
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = [](j_common_ptr info) {
    auto *e = reinterpret_cast<JpegErrors *>(info->err);
    info->err->format_message(info, e->text);
    longjmp(e->back, 1);
  };
  // libjpeg fills what is missing with grey and only warns; a cut picture is an error here. Harmless oddities are not.
  errors.base.emit_message = [](j_common_ptr info, int level) {
    int code = info->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM)
      info->err->error_exit(info);
  };
  errors.base.output_message = [](j_common_ptr) {};
  if (setjmp(errors.back))
    return false;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&jpeg, TRUE);
  for (jpeg_saved_marker_ptr m = jpeg.marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1)
      if (int found = exifOrientation({m->data, m->data_length}))
        orientation = found;
  if (uint64_t(jpeg.image_width) * jpeg.image_height > kMostPixels) {
    std::snprintf(errors.text, sizeof errors.text, "more than %d million pixels", int(kMostPixels / 1000000));
    return false;
  }
  // libjpeg makes no red, green and blue of inks; `withoutInks` does.
  jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  out.channels = std::min(jpeg.output_components, 3);
  out.height = int(jpeg.output_height);
  out.width = int(jpeg.output_width);
  size_t area = size_t(out.height) * size_t(out.width);
  out.pixels.resize(area * size_t(out.channels));
  row.resize(size_t(out.width) * size_t(jpeg.output_components));
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t *to = out.pixels.data() + size_t(jpeg.output_scanline) * size_t(out.width);
    JSAMPROW line = row.data();
    jpeg_read_scanlines(&jpeg, &line, 1);
    if (jpeg.output_components == 4)
      withoutInks(row, jpeg.saw_Adobe_marker);
    toPlanes(row.data(), out.channels, size_t(out.width), to, area);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

Picture decodeJpeg(std::span<const uint8_t> bytes, const std::string &file) {
  jpeg_decompress_struct jpeg{};
  JpegErrors errors{};
  std::vector<uint8_t> row;
  Picture out;
  int orientation = 1;
  bool good = readJpeg(jpeg, errors, bytes, row, out, orientation);
  jpeg_destroy_decompress(&jpeg);
  if (!good)
    fail("{}: corrupt JPEG data: {}", file, errors.text);
  return upright(std::move(out), orientation);
}

constexpr uint8_t kPng[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
bool startsAsPng(std::span<const uint8_t> b) { return b.size() >= 8 && std::equal(kPng, kPng + 8, b.begin()); }
bool startsAsJpeg(std::span<const uint8_t> b) { return b.size() >= 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff; }

} // namespace

bool looksLikePicture(std::span<const uint8_t> bytes) { return startsAsPng(bytes) || startsAsJpeg(bytes); }

Picture decodePicture(std::span<const uint8_t> bytes, const std::string &file) {
  if (startsAsPng(bytes))
    return decodePng(bytes, file);
  if (startsAsJpeg(bytes))
    return decodeJpeg(bytes, file);
  if (bytes.empty())
    fail("{}: the file is empty; expected a PNG or JPEG picture", file);
  fail("{}: expected a PNG or JPEG picture, and the file starts as neither", file);
}

Picture readPicture(const std::string &path) {
  return decodePicture(InputFile(path).readAll(uint64_t(512) << 20), path);
}

Picture withChannels(Picture picture, int channels) {
  if (picture.channels == channels)
    return picture;
  size_t area = size_t(picture.height) * picture.width;
  Picture out{channels, picture.height, picture.width, Bytes(area * channels)};
  if (channels == 3) {
    for (int c = 0; c < 3; ++c)
      std::copy_n(picture.pixels.begin(), area, out.pixels.begin() + c * area);
  } else {
    const uint8_t *r = picture.pixels.data(), *g = r + area, *b = g + area;
    for (size_t i = 0; i < area; ++i)
      out.pixels[i] = uint8_t((299 * r[i] + 587 * g[i] + 114 * b[i] + 500) / 1000);
  }
  return out;
}

namespace {

/// For each output position, the input positions it is a weighted mean of.
struct Taps {
  std::vector<int> first;
  std::vector<std::vector<float>> weights;
};
Taps tapsFor(int in, int out) {
  Taps taps;
  double scale = double(in) / out;
  for (int o = 0; o < out; ++o) {
    std::vector<float> w;
    int first;
    if (scale > 1) { // the box of input pixels under this output pixel
      double begin = o * scale, end = begin + scale;
      first = int(begin);
      for (int i = first; i < in && i < end; ++i)
        w.push_back(float((std::min(end, i + 1.0) - std::max(begin, double(i))) / scale));
    } else { // the two nearest pixel centres
      double centre = std::clamp((o + 0.5) * scale - 0.5, 0.0, in - 1.0);
      first = std::min(int(centre), std::max(in - 2, 0));
      w.push_back(float(1 - (centre - first)));
      if (in > 1)
        w.push_back(float(centre - first));
    }
    taps.first.push_back(first);
    taps.weights.push_back(std::move(w));
  }
  return taps;
}

} // namespace

Picture resized(const Picture &picture, int height, int width) {
  if (picture.height == height && picture.width == width)
    return picture;
  Taps across = tapsFor(picture.width, width), down = tapsFor(picture.height, height);
  Picture out{picture.channels, height, width, Bytes(size_t(picture.channels) * height * width)};
  std::vector<float> narrow(size_t(picture.height) * width);
  for (int c = 0; c < picture.channels; ++c) {
    const uint8_t *plane = picture.pixels.data() + size_t(c) * picture.height * picture.width;
    for (int y = 0; y < picture.height; ++y)
      for (int x = 0; x < width; ++x) {
        float sum = 0;
        for (size_t k = 0; k < across.weights[x].size(); ++k)
          sum += across.weights[x][k] * plane[size_t(y) * picture.width + across.first[x] + k];
        narrow[size_t(y) * width + x] = sum;
      }
    uint8_t *to = out.pixels.data() + size_t(c) * height * width;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        float sum = 0;
        for (size_t k = 0; k < down.weights[y].size(); ++k)
          sum += down.weights[y][k] * narrow[(size_t(down.first[y]) + k) * width + x];
        to[size_t(y) * width + x] = uint8_t(std::clamp(std::lround(sum), 0l, 255l));
      }
  }
  return out;
}

namespace {

/// The part that may be left by longjmp.
bool writePng(png_structp png, png_infop info, const Picture &picture, int level, std::vector<uint8_t> &row) {
  if (setjmp(png_jmpbuf(png)))
    return false;
  png_set_IHDR(png, info, png_uint_32(picture.width), png_uint_32(picture.height), 8,
               picture.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, level);
  if (level <= 1)
    png_set_filter(png, 0, PNG_FILTER_SUB);
  png_write_info(png, info);
  size_t area = size_t(picture.height) * picture.width;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x)
      for (int c = 0; c < picture.channels; ++c)
        row[size_t(x) * picture.channels + c] = picture.pixels[c * area + size_t(y) * picture.width + x];
    png_write_row(png, row.data());
  }
  png_write_end(png, nullptr);
  return true;
}

} // namespace

std::vector<uint8_t> encodePng(const Picture &picture, int level) {
  std::vector<uint8_t> bytes, row(size_t(picture.width) * picture.channels);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info)
    fail("not enough memory to write a PNG");
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, png_size_t size) {
        auto *out = static_cast<std::vector<uint8_t> *>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + size);
      },
      [](png_structp) {});
  bool good = writePng(png, info, picture, level, row);
  png_destroy_write_struct(&png, &info);
  if (!good)
    fail("a picture of {} x {} could not be written as PNG", picture.width, picture.height);
  return bytes;
}

} // namespace bigm::data
