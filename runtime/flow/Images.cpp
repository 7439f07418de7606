#include "Operations.h"
#include "runtime/data/Error.h"
#include "runtime/image/Image.h"
#include <functional>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

namespace bigm::flow {
namespace {

void onThreads(int threads, size_t count, const std::function<void(size_t)> &body) {
  tbb::task_arena arena(threads > 0 ? threads : int(tbb::task_arena::automatic));
  arena.execute([&] { tbb::parallel_for(size_t(0), count, body); });
}

/// Calls `use` with each row's number, on several threads where there are several rows, and with what spreads the work of a row
/// where there is one. Rows do not know of each other, so the results do not depend on how they are dealt out.
template <class Use> void eachRow(size_t rows, const Surroundings &around, Use use) {
  int threads = around.threads;
  if (rows < 2 || threads == 1) {
    image::Spread spread = image::inTurn;
    if (threads != 1)
      spread = [threads](size_t count, const std::function<void(size_t)> &body) { count < 2 ? image::inTurn(count, body) : onThreads(threads, count, body); };
    for (size_t i = 0; i < rows; ++i)
      use(i, spread);
    return;
  }
  onThreads(threads, rows, [&](size_t i) { use(i, image::inTurn); });
}
/// The same with the row's picture, in as many channels as asked.
template <class Use> void eachPicture(const Images &images, int channels, const Surroundings &around, Use use) {
  eachRow(images.size(), around, [&](size_t i, const image::Spread &spread) {
    if (images[i]->channels == channels)
      use(i, *images[i], spread);
    else
      use(i, data::withChannels(*images[i], channels), spread);
  });
}

} // namespace

void pixels(const Step &s, Slots &slots, const Surroundings &around) {
  const Images &images = slots.images.at(s.inputs[0]);
  int channels = int(s.number("channels", 3)), height = int(s.number("height", 1)), width = int(s.number("width", 1));
  image::Mode mode = image::modeNamed(s.name).value();
  data::Tensor out(data::Elem::U8, {int64_t(images.size()), channels, height, width});
  size_t each = size_t(channels) * size_t(height) * size_t(width);
  eachPicture(images, channels, around, [&](size_t i, const data::Picture &p, const image::Spread &spread) {
    image::resample(p, height, width, mode, out.as<uint8_t>() + i * each, spread);
  });
  slots.tensors[s.outputs[0]] = std::move(out);
}

void fitInto(const Step &s, Slots &slots, const Surroundings &around) {
  const Images &images = slots.images.at(s.inputs[0]);
  int height = int(s.number("height", 1)), width = int(s.number("width", 1));
  int64_t n = int64_t(images.size());
  data::Tensor out(data::Elem::U8, {n, 3, height, width}), scale(data::Elem::F32, {n}), left = scale, top = scale;
  size_t each = 3 * size_t(height) * size_t(width);
  eachPicture(images, 3, around, [&](size_t i, const data::Picture &p, const image::Spread &spread) {
    image::Placed at = image::fitInto(p, height, width, uint8_t(s.number("value", 0)), out.as<uint8_t>() + i * each, spread);
    scale.as<float>()[i] = at.scale;
    left.as<float>()[i] = at.left;
    top.as<float>()[i] = at.top;
  });
  slots.tensors[s.outputs[0]] = std::move(out);
  slots.tensors[s.outputs[1]] = std::move(scale);
  slots.tensors[s.outputs[2]] = std::move(left);
  slots.tensors[s.outputs[3]] = std::move(top);
}

void cut(const Step &s, Slots &slots, const Surroundings &around) {
  const Images &images = slots.images.at(s.inputs[0]);
  const float *boxes = slots.tensors.at(s.inputs[1]).as<float>();
  Images out(images.size());
  constexpr double kMost = 256e6; // of all rows together: a box may be far larger than what it is cut from
  double pixels = 0;
  for (size_t i = 0; i < images.size(); ++i)
    if (double area = (double(boxes[4 * i + 2]) - boxes[4 * i]) * (double(boxes[4 * i + 3]) - boxes[4 * i + 1]); area > 0)
      pixels += area;
  if (pixels > kMost)
    data::fail("what is to be cut out of {} has {:.0f} million pixels; at most {:.0f} million are cut at a time",
               images.size() == 1 ? "an image" : fmt::format("{} images", images.size()), pixels / 1e6, kMost / 1e6);
  eachRow(images.size(), around, [&](size_t i, const image::Spread &) {
    const float *b = boxes + 4 * i;
    out[i] = std::make_shared<data::Picture>(image::cut(*images[i], {b[0], b[1], b[2], b[3]}));
  });
  slots.images[s.outputs[0]] = std::move(out);
}

void warp(const Step &s, Slots &slots, const Surroundings &around) {
  const Images &images = slots.images.at(s.inputs[0]);
  const float *matrices = slots.tensors.at(s.inputs[1]).as<float>();
  int height = int(s.number("height", 1)), width = int(s.number("width", 1));
  constexpr double kMost = 256e6; // pixels of all rows together
  if (double pixels = double(images.size()) * height * width; pixels > kMost)
    data::fail("{} images to warp have {:.0f} million pixels together; at most {:.0f} million are made at a time", images.size(), pixels / 1e6, kMost / 1e6);
  Images out(images.size());
  eachRow(images.size(), around, [&](size_t i, const image::Spread &spread) {
    const float *m = matrices + 6 * i;
    out[i] = std::make_shared<data::Picture>(image::warp(*images[i], {m[0], m[1], m[2], m[3], m[4], m[5]}, height, width, uint8_t(s.number("fill", 0)), spread));
  });
  slots.images[s.outputs[0]] = std::move(out);
}

void blur(const Step &s, Slots &slots, const Surroundings &around) {
  const Images &images = slots.images.at(s.inputs[0]);
  Images out(images.size());
  eachRow(images.size(), around, [&](size_t i, const image::Spread &spread) {
    out[i] = std::make_shared<data::Picture>(image::blur(*images[i], s.number("sigma", 1), spread));
  });
  slots.images[s.outputs[0]] = std::move(out);
}

void extent(const Step &s, Slots &slots, const Surroundings &) {
  const Images &images = slots.images.at(s.inputs[0]);
  data::Tensor out(data::Elem::F32, {int64_t(images.size())});
  for (size_t i = 0; i < images.size(); ++i)
    out.as<float>()[i] = float(s.name == "width" ? images[i]->width : images[i]->height);
  slots.tensors[s.outputs[0]] = std::move(out);
}

} // namespace bigm::flow
