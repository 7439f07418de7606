// jpeglib wants FILE declared before it.
#include <cstdio>
#include <jpeglib.h>
#include <zlib.h>
#include "Files.h"

using namespace bigm::data;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

/// A JPEG of so many samples a pixel, `sample(y, i)` being number i of row y; `tune` may change how it is written.
template <class Sample, class Tune>
std::vector<uint8_t> compressed(int height, int width, int samples, J_COLOR_SPACE space, Sample sample, Tune tune) {
  jpeg_compress_struct j{};
  jpeg_error_mgr errors{};
  j.err = jpeg_std_error(&errors);
  jpeg_create_compress(&j);
  unsigned char *bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&j, &bytes, &size);
  j.image_width = JDIMENSION(width);
  j.image_height = JDIMENSION(height);
  j.input_components = samples;
  j.in_color_space = space;
  jpeg_set_defaults(&j);
  tune(j);
  jpeg_start_compress(&j, TRUE);
  std::vector<uint8_t> row(size_t(width) * size_t(samples));
  for (int y = 0; y < height; ++y) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = sample(size_t(y), i);
    JSAMPROW p = row.data();
    jpeg_write_scanlines(&j, &p, 1);
  }
  jpeg_finish_compress(&j);
  std::vector<uint8_t> out(bytes, bytes + size);
  jpeg_destroy_compress(&j);
  free(bytes);
  return out;
}
std::vector<uint8_t> jpeg(int height, int width, uint8_t value) {
  return compressed(height, width, 3, JCS_RGB, [&](size_t y, size_t i) { return uint8_t(value + (i * 37 + y * 91) % 20); },
                    [](jpeg_compress_struct &) {});
}
std::string errorOf(const std::vector<uint8_t> &bytes) {
  try {
    decodePicture(bytes, "p");
    return "";
  } catch (const Error &e) {
    return e.what();
  }
}

} // namespace

TEST(Picture, pngRoundTrip) {
  for (int channels : {1, 3}) {
    Picture p{channels, 3, 5, {}};
    for (int i = 0; i < channels * 15; ++i)
      p.pixels.push_back(uint8_t(i * 11));
    for (int level : {1, 9}) {
      Picture q = decodePicture(encodePng(p, level), "p");
      EXPECT_EQ(q.channels, channels);
      EXPECT_EQ(q.height, 3);
      EXPECT_EQ(q.width, 5);
      EXPECT_EQ(q.pixels, p.pixels);
    }
  }
}

TEST(Picture, jpegHasThePlanesInOrder) {
  Picture p = decodePicture(jpeg(9, 17, 100), "p");
  EXPECT_EQ(p.channels, 3);
  EXPECT_EQ(p.height, 9);
  EXPECT_EQ(p.width, 17);
  EXPECT_THAT(p.pixels, Each(testing::AllOf(testing::Ge(80), testing::Le(140))));
}

TEST(Picture, rowsBecomePlanes) {
  for (size_t pixels = 1; pixels < 70; ++pixels)
    for (int channels : {1, 3}) {
      std::vector<uint8_t> row, to(3 * 80, 7), expected = to;
      for (size_t i = 0; i < pixels; ++i)
        for (int c = 0; c < channels; ++c) {
          row.push_back(uint8_t(i * 5 + size_t(c) * 91));
          expected[size_t(c) * 80 + i] = row.back();
        }
      toPlanes(row.data(), channels, pixels, to.data(), 80);
      EXPECT_EQ(to, expected) << pixels << " pixels of " << channels;
    }
}

TEST(Picture, greyAndColour) {
  Picture colour{3, 1, 2, {255, 0, 0, 0, 0, 255}}; // red, blue
  EXPECT_THAT(withChannels(colour, 1).pixels, ElementsAre(76, 29)); // 0.299 and 0.114 of 255
  EXPECT_THAT(withChannels(Picture{1, 1, 2, {4, 9}}, 3).pixels, ElementsAre(4, 9, 4, 9, 4, 9));
}

TEST(Picture, resizingKeepsMeansAndConstants) {
  Picture p{1, 4, 4, {0, 0, 8, 8, 0, 0, 8, 8, 4, 4, 2, 2, 4, 4, 2, 2}};
  EXPECT_THAT(resized(p, 2, 2).pixels, ElementsAre(0, 8, 4, 2));
  EXPECT_THAT(resized(Picture{1, 3, 5, Bytes(15, 77)}, 7, 2).pixels, Each(77));
  EXPECT_THAT(resized(Picture{1, 1, 1, {9}}, 3, 3).pixels, Each(9));
}

TEST(Picture, fail_damage) {
  auto png = encodePng({1, 40, 40, Bytes(1600, 9)}), good = png;
  png.resize(png.size() / 2);
  EXPECT_THAT(errorOf(png), HasSubstr("p: "));
  png = good;
  png[png.size() / 2] ^= 0x55;
  EXPECT_THAT(errorOf(png), HasSubstr("PNG"));
  auto photo = jpeg(64, 64, 50);
  photo.resize(photo.size() / 2);
  EXPECT_THAT(errorOf(photo), HasSubstr("p: corrupt JPEG data"));
  EXPECT_THAT(errorOf({}), HasSubstr("the file is empty"));
  EXPECT_THAT(errorOf({'G', 'I', 'F', '8', '9', 'a', 0, 0}), HasSubstr("expected a PNG or JPEG"));
}

TEST(Picture, fail_headerPromisesAGigapixel) {
  auto png = encodePng({1, 4, 4, Bytes(16, 9)});
  png[16] = 0x7f; // width
  EXPECT_THAT(errorOf(png), HasSubstr("p: "));
}

TEST(Picture, everyCutOfAFileIsAnErrorAndNoCrash) {
  for (auto &whole : {encodePng({3, 7, 9, Bytes(189, 33)}), jpeg(16, 16, 90)})
    for (size_t size = 0; size + 12 < whole.size(); ++size)
      EXPECT_NE(errorOf({whole.begin(), whole.begin() + long(size)}), "") << size;
}

namespace {

/// The JPEG with an Exif block behind its first two bytes; `value` is its orientation, in either order of bytes.
std::vector<uint8_t> withOrientation(std::vector<uint8_t> photo, uint8_t value, bool little) {
  std::vector<uint8_t> block = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
  if (little)
    block.insert(block.end(), {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0});
  else
    block.insert(block.end(), {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0});
  photo.insert(photo.begin() + 2, block.begin(), block.end());
  return photo;
}
uint8_t at(const Picture &p, int c, int y, int x) { return p.pixels[(size_t(c) * size_t(p.height) + size_t(y)) * size_t(p.width) + size_t(x)]; }

} // namespace

TEST(Picture, aPhotoIsTurnedAsItsCameraWasHeld) {
  auto photo = jpeg(5, 9, 50);
  const Picture flat = decodePicture(photo, "p");
  const int h = flat.height, w = flat.width;
  for (bool little : {true, false})
    for (uint8_t orientation = 0; orientation <= 9; ++orientation) {
      Picture p = decodePicture(withOrientation(photo, orientation, little), "p");
      bool swapped = orientation >= 5 && orientation <= 8;
      ASSERT_EQ(p.height, swapped ? w : h) << int(orientation);
      ASSERT_EQ(p.width, swapped ? h : w) << int(orientation);
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          // Where the stored pixel (y, x) is shown.
          std::pair<int, int> shown[] = {{y, x}, {y, x}, {y, w - 1 - x}, {h - 1 - y, w - 1 - x}, {h - 1 - y, x},
                                         {x, y}, {x, h - 1 - y}, {w - 1 - x, h - 1 - y}, {w - 1 - x, y}, {y, x}};
          ASSERT_EQ(at(p, 1, shown[orientation].first, shown[orientation].second), at(flat, 1, y, x)) << int(orientation);
        }
    }
}

TEST(Picture, anExifBlockThatLiesIsPassedOver) {
  auto photo = withOrientation(jpeg(4, 4, 50), 6, true);
  for (size_t i = 6; i < 36; ++i) // every byte of the block in turn
    for (uint8_t value : {0x00, 0x7f, 0xff}) {
      auto bad = photo;
      bad[i] = value;
      EXPECT_NO_THROW(decodePicture(bad, "p")) << i;
    }
}

TEST(Picture, inksBecomeColours) {
  // Every fourth sample in turn: no cyan, all magenta, no yellow, no black; inks are stored upside down.
  auto photo = compressed(8, 8, 4, JCS_CMYK, [](size_t, size_t i) { return uint8_t(i % 4 == 1 ? 0 : 255); }, [](jpeg_compress_struct &j) {
    jpeg_set_colorspace(&j, JCS_CMYK);
    j.write_Adobe_marker = TRUE;
    jpeg_set_quality(&j, 100, TRUE);
  });
  Picture p = decodePicture(photo, "p");
  ASSERT_EQ(p.channels, 3);
  EXPECT_NEAR(at(p, 0, 4, 4), 255, 2);
  EXPECT_NEAR(at(p, 1, 4, 4), 0, 2);
  EXPECT_NEAR(at(p, 2, 4, 4), 255, 2);
}

namespace {

/// A PNG file of these header fields; `raw` are its rows, each behind its filter's byte.
std::vector<uint8_t> png(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour, const std::vector<uint8_t> &raw,
                         const std::vector<uint8_t> &palette = {}) {
  std::vector<uint8_t> out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  auto number = [](std::vector<uint8_t> &to, uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8)
      to.push_back(uint8_t(n >> shift));
  };
  auto chunk = [&](std::string_view type, const std::vector<uint8_t> &bytes) {
    std::vector<uint8_t> body(type.begin(), type.end());
    body.insert(body.end(), bytes.begin(), bytes.end());
    number(out, uint32_t(bytes.size()));
    out.insert(out.end(), body.begin(), body.end());
    number(out, uint32_t(crc32(0, body.data(), uInt(body.size()))));
  };
  std::vector<uint8_t> header;
  number(header, width);
  number(header, height);
  header.insert(header.end(), {depth, colour, 0, 0, 0});
  chunk("IHDR", header);
  if (!palette.empty())
    chunk("PLTE", palette);
  std::vector<uint8_t> packed(compressBound(raw.size()));
  uLongf size = packed.size();
  compress(packed.data(), &size, raw.data(), raw.size());
  packed.resize(size);
  chunk("IDAT", packed);
  chunk("IEND", {});
  return out;
}

} // namespace

TEST(Picture, sixteenBitsBecomeTheNearestOfEight) {
  Picture grey = decodePicture(png(4, 1, 16, 0, {0, 0, 0, 16, 0, 128, 0, 255, 255}), "p");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_THAT(grey.pixels, ElementsAre(0, 16, 128, 255));
  Picture colour = decodePicture(png(1, 1, 16, 2, {0, 16, 0, 128, 0, 240, 0}), "p");
  EXPECT_EQ(colour.channels, 3);
  EXPECT_THAT(colour.pixels, ElementsAre(16, 128, 239));
}

TEST(Picture, whatIsTransparentIsWhite) {
  Picture grey = decodePicture(png(3, 1, 8, 4, {0, 10, 255, 200, 255, 10, 0}), "p");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_THAT(grey.pixels, ElementsAre(10, 200, 255));
  Picture colour = decodePicture(png(2, 1, 8, 6, {0, 1, 2, 3, 255, 1, 2, 3, 0}), "p");
  EXPECT_THAT(colour.pixels, ElementsAre(1, 255, 2, 255, 3, 255));
}

TEST(Picture, aPaletteIsItsColours) {
  Picture p = decodePicture(png(2, 1, 8, 3, {0, 0, 1}, {1, 2, 3, 200, 100, 50}), "p");
  EXPECT_EQ(p.channels, 3);
  EXPECT_THAT(p.pixels, ElementsAre(1, 200, 2, 100, 3, 50));
}

TEST(Picture, fail_sizesBeyondWhatIsRead) {
  EXPECT_THAT(errorOf(png(30000, 30000, 8, 0, std::vector<uint8_t>(100))), HasSubstr("30000 x 30000 pixels; at most 64 million"));
  auto photo = jpeg(16, 16, 90); // the frame's header: ff c0, two bytes of length, depth, height, width
  const uint8_t mark[] = {0xff, 0xc0};
  auto frame = std::search(photo.begin(), photo.end(), mark, mark + 2);
  ASSERT_NE(frame, photo.end());
  for (int at : {5, 7}) {
    frame[at] = 30000 >> 8;
    frame[at + 1] = 30000 & 255;
  }
  EXPECT_THAT(errorOf(photo), HasSubstr("more than 64 million pixels"));
}
