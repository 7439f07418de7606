#include "Flow.h"
#include "runtime/data/Error.h"
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
  type.labels = j.value("labels", std::vector<std::string>{});
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
  const json none = json::object();
  for (auto &[key, value] : settings.value("options", none).items())
    if (value.is_string())
      s.options[key] = value.get<std::string>();
    else
      s.options[key] = value.get<double>();
  return s;
}

void callFunction(const Step &s, Slots &slots, const Call &call) {
  data::Batch batch;
  batch.size = slots.records;
  for (auto &name : s.inputs)
    batch.fields.emplace(name, slots.tensors.at(name));
  auto values = call(s.name, batch);
  for (auto &name : s.outputs)
    slots.tensors[name] = std::move(values.at(name));
}

/// What a step of this name does.
using Run = void (*)(const Step &, Slots &, const Call &);
const std::map<std::string, Run> &operations() {
  static const std::map<std::string, Run> table = {{"call", callFunction}};
  return table;
}

} // namespace

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

void run(const Flow &flow, Slots &slots, const Call &call) {
  for (const Step &s : flow.steps) {
    auto operation = operations().find(s.op);
    if (operation == operations().end())
      throw std::runtime_error("bug in bigmc: the flow `" + flow.name + "` has the unknown step `" + s.op + "`");
    operation->second(s, slots, call);
  }
}

} // namespace bigm::flow
