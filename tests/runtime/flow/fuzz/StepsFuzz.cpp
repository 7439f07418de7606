// Any numbers as boxes, scores and rows through the steps of flows: lists stay in order, numbers of rows inside, pictures whole.
#include "runtime/data/Error.h"
#include "runtime/flow/Flow.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace {
using namespace bigm;

class Input {
public:
  Input(const uint8_t *data, size_t size) : at(data), end(data + size) {}
  uint8_t byte() { return at < end ? *at++ : 0; }
  /// Often a small number, sometimes any bits at all: NaN, infinities, what overflows.
  float number() {
    if (byte() < 200)
      return float(int8_t(byte()));
    uint32_t bits = uint32_t(byte()) << 24 | uint32_t(byte()) << 16 | uint32_t(byte()) << 8 | byte();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  data::Tensor floats(std::vector<int64_t> shape) {
    data::Tensor t(data::Elem::F32, std::move(shape));
    for (int64_t i = 0; i < t.count(); ++i)
      t.as<float>()[i] = number();
    return t;
  }

private:
  const uint8_t *at, *end;
};

void run(flow::Slots &slots, const char *op, std::vector<std::string> inputs, std::vector<std::string> outputs,
         std::map<std::string, std::variant<double, std::string>> options = {}, const char *name = "") {
  flow::Step step;
  step.op = op;
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  step.options = std::move(options);
  step.name = name;
  flow::Surroundings around;
  around.threads = 1;
  flow::run(step, slots, around);
}

/// Numbers of rows: ascending, and below `rows`.
void expectNumbers(const data::Tensor &t, int64_t rows) {
  const int32_t *n = t.as<int32_t>();
  if (!std::is_sorted(n, n + t.count()) || (t.count() && (n[0] < 0 || n[t.count() - 1] >= rows)))
    std::abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input in(data, size);
  flow::Slots slots;
  slots.records = 1 + in.byte() % 4;
  int64_t anchors = 1 + in.byte() % 12, classes = in.byte() % 3;
  slots.tensors["boxes"] = in.floats({slots.records, anchors, 4});
  slots.tensors["scores"] = in.floats(classes ? std::vector<int64_t>{slots.records, anchors, classes} : std::vector<int64_t>{slots.records, anchors});
  for (int64_t r = 0; r < slots.records; ++r) {
    data::Picture p{in.byte() % 2 ? 3 : 1, 1 + in.byte() % 20, 1 + in.byte() % 20, {}};
    p.pixels.assign(size_t(p.channels * p.height * p.width), in.byte());
    slots.images["photo"].push_back(std::make_shared<const data::Picture>(std::move(p)));
  }
  std::vector<std::string> found = {"of", "box", "score"};
  if (classes)
    found.push_back("label");
  static const char *const modes[] = {"bilinear", "nearest", "bicubic", "area", "antialiased"};
  try {
    run(slots, "nms", {"boxes", "scores"}, found,
        {{"score", double(in.number())}, {"iou", in.byte() / 255.0}, {"at_most", double(1 + in.byte() % 8)}, {"soft", in.byte() % 2 ? in.byte() / 64.0 : 0}});
    expectNumbers(slots.tensors["of"], slots.records);
    run(slots, "choose", {"of", "score"}, {"few", "position"}, {{"at_most", double(in.byte() % 4)}});
    expectNumbers(slots.tensors["few"], slots.records);
    run(slots, "union", {"of", "few"}, {"all"});
    run(slots, "places", {"of", "few"}, {"first"});
    run(slots, "places", {"of", "few"}, {"second"}, {{"second", 1.0}});
    expectNumbers(slots.tensors["all"], slots.records);
    run(slots, "count", {"of"}, {"count"});
    run(slots, "spread", {"of", "few"}, {"each.of", "each.position"});
    expectNumbers(slots.tensors["each.of"], slots.tensors["of"].count());
    run(slots, "flat", {"of", "each.of"}, {"flat.of", "flat.position"});
    expectNumbers(slots.tensors["flat.of"], slots.records);
    expectNumbers(slots.tensors["flat.position"], slots.tensors["each.of"].count());
    slots.tensors["matrix"] = in.floats({slots.records, 2, 3});
    run(slots, "warp", {"photo", "matrix"}, {"warped"}, {{"height", 1.0 + in.byte() % 9}, {"width", 1.0 + in.byte() % 9}, {"fill", double(in.byte())}});
    run(slots, "blur", {"warped"}, {"blurred"}, {{"sigma", 0.1 + in.byte() / 10.0}});
    run(slots, "take", {"of", "photo"}, {"each"}, {}, "images");
    run(slots, "extent", {"each"}, {"width"}, {}, "width");
    double pixels = 0; // what is large takes long, and shows nothing else
    const float *box = slots.tensors["box"].as<float>();
    for (int64_t i = 0; i < slots.tensors["of"].count(); ++i)
      pixels += (double(box[4 * i + 2]) - box[4 * i] + 2) * (double(box[4 * i + 3]) - box[4 * i + 1] + 2);
    if (pixels > 1e5 && pixels < 256e6)
      return 0;
    run(slots, "cut", {"each", "box"}, {"cut"});
    run(slots, "pixels", {"cut"}, {"pixels"}, {{"height", 1.0 + in.byte() % 9}, {"width", 1.0 + in.byte() % 9}, {"channels", in.byte() % 2 ? 3.0 : 1.0}}, modes[in.byte() % 5]);
    run(slots, "fit_into", {"photo"}, {"fit", "scale", "left", "top"}, {{"height", 1.0 + in.byte() % 9}, {"width", 1.0 + in.byte() % 9}, {"value", double(in.byte())}});
    if (slots.tensors["pixels"].shape[0] != slots.tensors["of"].count())
      std::abort();
  } catch (const data::Error &) {
    // a box that cannot be cut, or a map that is none, told as such
  }
  return 0;
}
