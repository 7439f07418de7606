#include "Flow.h"
#include "Operations.h"
#include "Rows.h"
#include "Write.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <numeric>
#include <nlohmann/json.hpp>

namespace bigm::flow {
using data::fail;
using json = nlohmann::ordered_json;

namespace {

RichType richType(const json &j) {
  RichType type;
  const std::string kind = j.at("kind");
  if (kind == "record") {
    type.kind = RichType::Kind::Record;
    for (auto &field : j.at("fields")) {
      type.names.push_back(field.at(0));
      type.fields.push_back(richType(field.at(1)));
    }
    return type;
  }
  type.slot = j.at("slot");
  if (kind == "list" || kind == "optional") {
    type.kind = kind == "list" ? RichType::Kind::List : RichType::Kind::Optional;
    type.fields.push_back(richType(j.at("element")));
    return type;
  }
  if (kind == "image") {
    type.kind = RichType::Kind::Image;
    return type;
  }
  if (kind == "text") {
    type.kind = RichType::Kind::Text;
    type.stream = j.value("stream", false);
    return type;
  }
  auto elem = data::elemNamed(j.at("dtype").get<std::string>());
  if (!elem || kind != "tensor")
    throw std::runtime_error("bug in bigmc: a flow has a value of an unknown kind");
  type.elem = *elem;
  for (auto &size : j.at("shape"))
    type.shape.push_back(size.is_string() ? size.get<std::string>() : size.dump());
  type.label = j.contains("classes");
  if (type.label && j["classes"].is_number())
    type.classes = j["classes"].get<int64_t>();
  type.labels = j.value("labels", std::vector<std::string>{});
  type.classesOf = j.value("classes_of", "");
  type.meaning = j.value("meaning", "");
  return type;
}

Step step(const json &j) {
  Step s;
  s.op = j.at("op");
  s.inputs = j.at("inputs").get<std::vector<std::string>>();
  s.outputs = j.at("outputs").get<std::vector<std::string>>();
  const json &settings = j.at("settings");
  s.name = settings.value("name", "");
  s.strings = settings.value("strings", std::vector<std::string>{});
  const json options = settings.value("options", json::object()); // named: a loop keeps no temporary alive
  for (auto &[key, value] : options.items())
    if (value.is_string())
      s.options[key] = value.get<std::string>();
    else
      s.options[key] = value.get<double>();
  return s;
}

// Rows of a list or branch go through a function in parts, so that memory does not grow with what was found and what a call
// touches stays in a core's cache: activations are many times as large as what is given, so a part is given little. Measured
// on 112 x 112 crops through a small network: 4 at once take two thirds of the time of 64. Small rows come in more, as the
// weights are then what a call reads.
constexpr int64_t kBytesAtOnce = 160 << 10, kFewestAtOnce = 4, kMostAtOnce = 64;

int64_t rowBytes(const data::Tensor &t) { return t.shape[0] ? int64_t(t.bytes.size()) / t.shape[0] : 0; }

int64_t rowsAtOnce(const Step &s, const Slots &slots) {
  int64_t each = 1;
  for (auto &name : s.strings)
    each += rowBytes(slots.tensors.at(name));
  return std::clamp(kBytesAtOnce / each, kFewestAtOnce, kMostAtOnce);
}

/// Several parts are a multiple of four, so that two or four threads have as much to do. The number of threads does not decide:
/// how many rows a call has may change the last bit of a sum.
int64_t partsOf(int64_t rows, int64_t atOnce) {
  int64_t parts = (rows + atOnce - 1) / atOnce;
  return parts < 2 ? 1 : std::min(rows, (parts + 3) / 4 * 4);
}

data::Tensor rowsOf(const data::Tensor &t, int64_t begin, int64_t end) {
  std::vector<int64_t> shape = t.shape;
  shape[0] = end - begin;
  data::Tensor out(t.elem, std::move(shape));
  std::memcpy(out.bytes.data(), t.bytes.data() + begin * rowBytes(t), out.bytes.size());
  return out;
}

void callFunction(const Step &s, Slots &slots, const Surroundings &around) {
  data::Batch batch;
  auto rows = s.options.find("rows");
  batch.size = rows == s.options.end() ? slots.records : slots.tensors.at(std::get<std::string>(rows->second)).shape.at(0);
  if (batch.size == 0) {
    for (auto &[name, tensor] : around.none(s.name))
      slots.tensors[name] = std::move(tensor);
    return;
  }
  const int64_t all = batch.size;
  const int64_t parts = rows == s.options.end() ? 1 : partsOf(all, rowsAtOnce(s, slots));
  bool whole = parts == 1;
  for (auto &name : s.inputs)
    if (whole || std::find(s.strings.begin(), s.strings.end(), name) == s.strings.end())
      batch.fields.emplace(name, slots.tensors.at(name));
  if (whole) {
    auto values = around.call(s.name, batch);
    for (auto &name : s.outputs)
      slots.tensors[name] = std::move(values.at(name));
    return;
  }
  std::mutex making; // of the outputs, whose sizes the first part to be done says
  std::map<std::string, data::Tensor> made;
  auto doPart = [&](size_t part, const Caller &call) {
    int64_t begin = int64_t(part) * all / parts, end = (int64_t(part) + 1) * all / parts;
    data::Batch own = batch;
    own.size = end - begin;
    for (auto &name : s.strings)
      own.fields[name] = rowsOf(slots.tensors.at(name), begin, end);
    auto values = call(s.name, own);
    for (auto &name : s.outputs) {
      const data::Tensor &piece = values.at(name);
      data::Tensor *to = nullptr;
      {
        std::lock_guard lock(making);
        to = &made[name];
        if (to->shape.empty()) {
          std::vector<int64_t> shape = piece.shape;
          shape[0] = all;
          *to = data::Tensor(piece.elem, std::move(shape));
        }
      }
      if (!std::equal(piece.shape.begin() + 1, piece.shape.end(), to->shape.begin() + 1, to->shape.end()))
        throw std::runtime_error("bug in bigmc: parts of `" + name + "` differ in shape");
      std::memcpy(to->bytes.data() + begin * rowBytes(*to), piece.bytes.data(), piece.bytes.size());
    }
  };
  if (around.inParts)
    around.inParts(size_t(parts), doPart);
  else
    for (int64_t part = 0; part < parts; ++part)
      doPart(size_t(part), around.call);
  for (auto &[name, value] : made)
    slots.tensors[name] = std::move(value);
}

/// What a step of this name does.
using Run = void (*)(const Step &, Slots &, const Surroundings &);
const std::map<std::string, Run> &operations() {
  static const std::map<std::string, Run> table = {
      {"call", callFunction}, {"tokens", tokens}, {"pieces", pieces}, {"element_tokens", elementTokens}, {"elements", elements}, {"generate", write}, {"take", takeRows},  {"merge", mergeRows},
      {"where", rowsWhere},   {"choose", choose}, {"flat", flat},      {"union", unite},    {"places", places},
      {"count", countRows},   {"reduce", reduceRows},   {"pixels", pixels}, {"cut", cut},        {"extent", extent},  {"warp", warp},
      {"blur", blur},         {"spread", spread}, {"nms", suppress},   {"fit_into", fitInto}};
  return table;
}

} // namespace

double Step::number(const char *setting, double otherwise) const {
  auto found = options.find(setting);
  return found == options.end() ? otherwise : std::get<double>(found->second);
}

std::vector<Flow> flowsOf(std::string_view manifest) {
  const json all = json::parse(manifest);
  std::vector<Flow> flows;
  for (auto &j : all.value("flows", json::array())) {
    Flow f;
    f.name = j.at("name");
    for (auto &input : j.at("inputs"))
      f.inputs.emplace_back(input.at(0).get<std::string>(), richType(input.at(1)));
    for (auto &s : j.at("steps"))
      f.steps.push_back(step(s));
    f.result = richType(j.at("result"));
    flows.push_back(std::move(f));
  }
  return flows;
}

void run(const Step &step, Slots &slots, const Surroundings &surroundings) {
  auto operation = operations().find(step.op);
  if (operation == operations().end())
    throw std::runtime_error("bug in bigmc: there is no step `" + step.op + "`");
  auto fitted = [](const auto &option) {
    auto *text = std::get_if<std::string>(&option.second);
    return text && text->starts_with('=');
  };
  if (std::none_of(step.options.begin(), step.options.end(), fitted))
    return operation->second(step, slots, surroundings);
  Step settled = step;
  for (auto &option : settled.options)
    if (fitted(option))
      option.second = surroundings.setting(std::get<std::string>(option.second).substr(1));
  operation->second(settled, slots, surroundings);
}

void run(const Flow &flow, Slots &slots, const Surroundings &surroundings) {
  data::Tensor &records = slots.tensors[".records"] = data::Tensor(data::Elem::I32, {slots.records});
  std::iota(records.as<int32_t>(), records.as<int32_t>() + slots.records, 0);
  for (const Step &s : flow.steps) {
    auto start = std::chrono::steady_clock::now();
    run(s, slots, surroundings);
    if (surroundings.timed)
      surroundings.timed(s, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
}

} // namespace bigm::flow
