// Looks at pictures with the library that bigmc makes of portraits.bigm.
//   portraits-app WEIGHTS PICTURE.png...
#include <chrono>
#include <cstdio>
#include <cstring>
#include <png.h>
#include <portraits.hpp>

/// Adds a 48 x 48 colour picture to `batch`, plane by plane as the program's field `picture` is laid out.
static bool readPicture(const char *path, std::vector<uint8_t> &batch) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path) || image.width != 48 || image.height != 48)
    return false;
  image.format = PNG_FORMAT_RGB;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr))
    return false;
  for (int channel = 0; channel < 3; ++channel)
    for (int i = 0; i < 48 * 48; ++i)
      batch.push_back(pixels[i * 3 + channel]);
  return true;
}

int main(int argc, char **argv) try {
  static const char *const hair[] = {"black", "brown", "blond", "red"};
  static const char *const eyes[] = {"blue", "brown", "green", "closed"};
  static const char *const nose[] = {"small", "long", "wide"};
  if (argc < 3) {
    std::fprintf(stderr, "usage: portraits-app WEIGHTS PICTURE.png...\n");
    return 2;
  }
  std::vector<uint8_t> pictures;
  for (int i = 2; i < argc; ++i)
    if (!readPicture(argv[i], pictures)) {
      std::fprintf(stderr, "portraits-app: `%s` is not a PNG of 48 x 48 pixels\n", argv[i]);
      return 1;
    }
  auto start = std::chrono::steady_clock::now();
  portraits::Model model(argv[1]);
  auto seen = model.predict(pictures); // all pictures in one call
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  for (int i = 2; i < argc; ++i)
    std::printf("%s: %s hair, %s eyes, %s nose\n", argv[i], hair[seen.hair[i - 2]], eyes[seen.eyes[i - 2]],
                nose[seen.nose[i - 2]]);
  std::printf("opened the model and looked at %d pictures in %.1f ms\n", argc - 2, ms);
  return 0;
} catch (const bigm::Error &error) {
  std::fprintf(stderr, "portraits-app: %s\n", error.what());
  return 1;
}
