// Any bytes through the decoders of pictures: what comes out has the size that it says, and a hundredth of a second's work on it
// stays inside.
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  namespace d = bigm::data;
  d::Picture picture;
  try {
    picture = d::decodePicture({data, size}, "fuzz");
  } catch (const d::Error &) {
    return 0;
  }
  if ((picture.channels != 1 && picture.channels != 3) || picture.width < 1 || picture.height < 1 ||
      picture.pixels.size() != size_t(picture.channels) * size_t(picture.width) * size_t(picture.height))
    std::abort();
  if (picture.pixels.size() > 1 << 20)
    return 0;
  picture = d::withChannels(std::move(picture), 3);
  if (d::resized(picture, 7, 5).pixels.size() != 3 * 7 * 5)
    std::abort();
  d::Picture again = d::decodePicture(d::encodePng(picture, 1), "again");
  if (d::withChannels(std::move(again), 3).pixels != picture.pixels)
    std::abort();
  return 0;
}
