// The border of flows in a generated library: bigm/flow.h.
#include "Flow.h"
#include "Functions.h"
#include "Gather.h"
#include "bigm/flow.h"
#include "runtime/core/Failure.h"
#include "runtime/data/Error.h"
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace bigm;

struct bigm_flow {
  flow::Flow plan;
  flow::Functions functions;
  generate::Engines engines;
  std::string share;
  flow::Surroundings around;
  flow::Slots slots;
  std::optional<flow::Gather> given; // the record that comes next
  std::map<std::string, text::Tokenizer> tokenizers;
  std::string json;
  bool ran = false;

  bigm_flow(const bigm_module *module, bigm_model *model, bigm_context *context)
      : functions(module), engines(model, bigm_context_threads(context), 1) {}
};

namespace {

/// What the drivers and the loader throw becomes a status here, as what the core throws does there.
template <class Body> bigm_status guarded(Body &&body) noexcept {
  try {
    body();
    return BIGM_OK;
  } catch (const rt::Failure &e) {
    return rt::report(e.status, e.what());
  } catch (const data::Error &e) {
    return rt::report(BIGM_ERROR_ARGUMENT, e.what());
  } catch (const text::Error &e) {
    return rt::report(BIGM_ERROR_ARGUMENT, e.what());
  } catch (const std::bad_alloc &) {
    return rt::report(BIGM_ERROR_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    return rt::report(BIGM_ERROR_INTERNAL, e.what());
  } catch (...) {
    return rt::report(BIGM_ERROR_INTERNAL, "bug in bigm");
  }
}
[[noreturn]] void refuse(const std::string &why) { throw rt::Failure(BIGM_ERROR_ARGUMENT, why); }
void need(const void *pointer, const char *name) {
  if (!pointer)
    refuse(fmt::format("`{}` is NULL", name));
}

void give(bigm_flow &f, const char *name, data::Picture picture) {
  need(name, "input");
  f.given->at(name, flow::RichType::Kind::Image, "an image");
  f.given->give(name, {{}, std::make_shared<const data::Picture>(std::move(picture)), {}, {}});
}
template <class Map> auto &slotOf(const bigm_flow &f, Map &all, const char *slot) {
  need(slot, "slot");
  if (!f.ran)
    refuse(fmt::format("`{}` has not run since its last record was given", f.plan.name));
  auto found = all.find(slot);
  if (found == all.end())
    refuse(fmt::format("`{}` has no such slot `{}`", f.plan.name, slot));
  return found->second;
}
void within(int64_t row, int64_t rows) {
  if (row < 0 || row >= rows)
    refuse(fmt::format("there is no row {}; there are {}", row, rows));
}

const text::Tokenizer &tokenizerOf(bigm_flow &f, const std::string &name) {
  auto known = f.tokenizers.find(name);
  if (known == f.tokenizers.end()) {
    if (f.share.empty())
      refuse(fmt::format("`{}` needs the tokenizer `{}`: say where the library's share folder is", f.plan.name, name));
    known = f.tokenizers.emplace(name, text::Tokenizer::fromFile(f.share + "/tokenizer." + name + ".json")).first;
  }
  return known->second;
}

} // namespace

extern "C" {

bigm_status bigm_flow_create(const bigm_module *module, bigm_model *model, bigm_context *context, const char *name,
                             const char *share, bigm_flow **out) {
  return guarded([&] {
    need(module, "module"), need(model, "model"), need(context, "context"), need(name, "name"), need(out, "out");
    *out = nullptr;
    auto f = std::make_unique<bigm_flow>(module, model, context);
    uint64_t size = 0;
    const char *manifest = bigm_module_manifest(module, &size);
    std::string names;
    bool found = false;
    for (auto &plan : flow::flowsOf({manifest, size})) {
      names += (names.empty() ? "`" : ", `") + plan.name + "`";
      if (plan.name == name) {
        f->plan = std::move(plan);
        f->given.emplace(f->plan);
        found = true;
      }
    }
    if (!found)
      refuse(fmt::format("there is no flow `{}`; the library has {}", name, names.empty() ? "none" : names));
    f->share = share ? share : "";
    bigm_flow *self = f.get();
    self->around = flow::surroundingsOf(self->functions, model, context, self->engines);
    self->around.tokenizer = [self](const std::string &which) -> const text::Tokenizer & { return tokenizerOf(*self, which); };
    *out = f.release();
  });
}
void bigm_flow_destroy(bigm_flow *flow) { delete flow; }
void bigm_flow_clear(bigm_flow *flow) {
  if (!flow)
    return;
  flow->slots = {};
  flow->given->clear();
  flow->ran = false;
}

void bigm_flow_drop(bigm_flow *flow) {
  if (flow)
    flow->given->clear();
}

bigm_status bigm_flow_give_text(bigm_flow *f, const char *name, const char *text, uint64_t size) {
  return guarded([&] {
    need(f, "flow");
    if (size)
      need(text, "text");
    need(name, "input");
    f->given->at(name, flow::RichType::Kind::Text, "a text");
    f->given->give(name, {std::string(text ? text : "", size), nullptr, {}, {}});
  });
}
bigm_status bigm_flow_give_pixels(bigm_flow *f, const char *name, const uint8_t *pixels, int32_t height, int32_t width,
                                  int32_t channels, int64_t stride) {
  return guarded([&] {
    need(f, "flow"), need(pixels, "pixels");
    if (height < 1 || width < 1 || (channels != 1 && channels != 3))
      refuse(fmt::format("`{}`: a picture has at least one pixel and 1 or 3 channels, and here are {} x {} of {}", name ? name : "", height, width, channels));
    int64_t row = stride ? stride : int64_t(width) * channels;
    if (row < int64_t(width) * channels)
      refuse(fmt::format("`{}`: rows of {} bytes do not hold {} pixels", name ? name : "", row, width));
    size_t area = size_t(height) * size_t(width);
    data::Picture p{channels, height, width, data::Bytes(size_t(channels) * area)};
    for (int32_t y = 0; y < height; ++y)
      data::toPlanes(pixels + y * row, channels, size_t(width), p.pixels.data() + size_t(y) * size_t(width), area);
    give(*f, name, std::move(p));
  });
}
bigm_status bigm_flow_give_encoded(bigm_flow *f, const char *name, const void *bytes, uint64_t size) {
  return guarded([&] {
    need(f, "flow"), need(bytes, "bytes"), need(name, "input");
    give(*f, name, data::decodePicture({static_cast<const uint8_t *>(bytes), size_t(size)}, name));
  });
}
bigm_status bigm_flow_give_file(bigm_flow *f, const char *name, const char *path) {
  return guarded([&] {
    need(f, "flow"), need(path, "path");
    give(*f, name, data::readPicture(path));
  });
}
bigm_status bigm_flow_give_array(bigm_flow *f, const char *name, const void *data, const int64_t *sizes, int32_t rank) {
  return guarded([&] {
    need(f, "flow"), need(data, "data");
    need(name, "input");
    auto &type = f->given->at(name, flow::RichType::Kind::Tensor, "numbers");
    if (rank)
      need(sizes, "sizes");
    std::vector<int64_t> shape(sizes, sizes + (rank > 0 ? rank : 0));
    flow::expectSizes(name, type, shape);
    data::Tensor t(type.elem, shape);
    std::memcpy(t.bytes.data(), data, t.bytes.size());
    f->given->give(name, {{}, nullptr, std::move(t), {}});
  });
}
bigm_status bigm_flow_element(bigm_flow *f, const char *list) {
  return guarded([&] {
    need(f, "flow"), need(list, "list");
    f->given->element(list);
  });
}
bigm_status bigm_flow_record(bigm_flow *f) {
  return guarded([&] {
    need(f, "flow");
    std::vector<flow::Item> inputs = f->given->record();
    if (f->ran) // records of a new run
      bigm_flow_clear(f);
    flow::append(f->plan, std::move(inputs), f->slots);
  });
}

bigm_status bigm_flow_run(bigm_flow *f) {
  return guarded([&] {
    need(f, "flow");
    if (f->slots.records == 0)
      refuse(fmt::format("`{}` has no record to answer", f->plan.name));
    flow::run(f->plan, f->slots, f->around);
    f->ran = true;
  });
}
bigm_status bigm_flow_stream(bigm_flow *f, bigm_flow_listener listener, void *user) {
  return guarded([&] {
    need(f, "flow");
    if (!f->plan.result.stream)
      refuse(fmt::format("`{}` gives no `stream text`", f->plan.name));
    f->around.streamed = f->plan.result.slot;
    f->around.stream = nullptr;
    if (listener)
      f->around.stream = [listener, user](int64_t record, std::string_view piece) {
        return listener(user, record, piece.data(), piece.size()) != 0;
      };
  });
}
int64_t bigm_flow_records(const bigm_flow *f) { return f ? f->slots.records : 0; }

bigm_status bigm_flow_array(const bigm_flow *f, const char *slot, bigm_array *out) {
  return guarded([&] {
    need(f, "flow"), need(out, "out");
    const data::Tensor &t = slotOf(*f, f->slots.tensors, slot);
    *out = {t.bytes.data(), t.shape.data(), int32_t(t.elem), int32_t(t.shape.size())};
  });
}
bigm_status bigm_flow_text(const bigm_flow *f, const char *slot, int64_t row, const char **text, uint64_t *size) {
  return guarded([&] {
    need(f, "flow"), need(text, "text");
    auto &all = slotOf(*f, f->slots.texts, slot);
    within(row, int64_t(all.size()));
    *text = all[size_t(row)].c_str();
    if (size)
      *size = all[size_t(row)].size();
  });
}
bigm_status bigm_flow_image(const bigm_flow *f, const char *slot, int64_t row, const uint8_t **planes, int32_t *channels, int32_t *height,
                            int32_t *width) {
  return guarded([&] {
    need(f, "flow"), need(planes, "planes"), need(channels, "channels"), need(height, "height"), need(width, "width");
    auto &all = slotOf(*f, f->slots.images, slot);
    within(row, int64_t(all.size()));
    const data::Picture &p = *all[size_t(row)];
    *planes = p.pixels.data();
    *channels = p.channels;
    *height = p.height;
    *width = p.width;
  });
}
bigm_status bigm_flow_rows(const bigm_flow *f, const char *numbers, int64_t row, int64_t *first, int64_t *last) {
  return guarded([&] {
    need(f, "flow"), need(first, "first"), need(last, "last");
    slotOf(*f, f->slots.tensors, numbers);
    auto [a, b] = flow::rowsBelow(f->slots, numbers, row);
    *first = a;
    *last = b;
  });
}
bigm_status bigm_flow_json(bigm_flow *f, int64_t record, const char **text) {
  return guarded([&] {
    need(f, "flow"), need(text, "text");
    if (!f->ran)
      refuse(fmt::format("`{}` has not run since its last record was given", f->plan.name));
    within(record, f->slots.records);
    f->json = flow::result(f->plan, f->slots, record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    *text = f->json.c_str();
  });
}

} // extern "C"
