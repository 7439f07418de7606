#include "Manifest.h"
#include "Digest.h"
#include "frontend/PrintGraph.h"
#include <sstream>

namespace bigm::tool {
namespace {
using json = nlohmann::ordered_json;

json dim(const Dim &d) {
  if (auto value = d.constant())
    return *value;
  return d.str();
}
const char *kindName(TensorDecl::Kind kind) {
  switch (kind) {
  case TensorDecl::Kind::Param:
    return "param";
  case TensorDecl::Kind::State:
    return "state";
  case TensorDecl::Kind::Slot:
    return "slot";
  case TensorDecl::Kind::Metric:
    return "metric";
  case TensorDecl::Kind::Fit:
    return "fit";
  }
  return "param";
}
json describe(const Spec &spec) {
  json options = json::object();
  for (const auto &[key, value] : spec.options)
    std::visit([&, &key = key](const auto &v) { options[key] = v; }, value);
  return {{"name", spec.name}, {"strings", spec.strings}, {"options", options}};
}
json describe(const Field &field) {
  json j = {{"name", field.name}, {"kind", field.kind}};
  j.update(describeType(field.type));
  if (!field.labels.empty())
    j["labels"] = field.labels;
  if (!field.meaning.empty())
    j["meaning"] = field.meaning;
  if (field.missing)
    j["missing"] = *field.missing;
  for (const Field &part : field.parts)
    j["parts"].push_back(describe(part));
  return j;
}
json describe(const DataProgram &d) {
  json fields = json::array(), split = json::array(), host = json::array();
  for (const HostStep &s : d.host)
    host.push_back({{"op", s.op}, {"input", s.input}, {"tokenizer", s.tokenizer}, {"output", s.output}, {"outputs", s.outputs}, {"at_most", s.atMost},
                    {"length", s.length}, {"special", s.special}, {"each", s.each}, {"settings", describe(s.settings)}});
  for (const Field &f : d.fields)
    fields.push_back(describe(f));
  for (const auto &[name, share] : d.split)
    split.push_back({name, share});
  return {{"name", d.name},       {"from", describe(d.from)}, {"test", describe(d.test)},
          {"valid", describe(d.valid)}, {"in_order", d.inOrder}, {"host", host}, {"bucket", d.bucket},
          {"fields", fields},     {"split", split},           {"seed", d.seed},
          {"derived", d.derived}, {"prepare", d.prepare},     {"prepare_train", d.prepareTrain}};
}
json describe(const PhaseProgram &p) {
  return {{"name", p.name},
          {"epochs", p.epochs},
          {"steps", p.steps},
          {"batch", p.batch},
          {"step", p.step},
          {"estimate", p.estimate},
          {"start_from", p.startFrom},
          {"start_if_present", p.startIfPresent},
          {"own_schedule", p.ownSchedule},
          {"stop_metric", p.stopMetric},
          {"stop_compare", p.stopCompare},
          {"stop_value", p.stopValue},
          {"learned", p.learned},
          {"data", p.data},
          {"validates", p.validates},
          {"accumulate", p.accumulate},
          {"gather", p.gather},
          {"averaged", p.averaged},
          {"frozen", p.frozen},
          {"valid_step", p.validStep},
          {"valid_frozen", p.validFrozen}};
}
/// What a function computes, told by its operations; names of open sizes do not count.
std::string digestOf(const Function &function) {
  std::ostringstream out;
  print(out, function);
  std::string text = out.str();
  for (size_t i = 0; i < function.symbols.size(); ++i) {
    std::string fresh = "$" + std::to_string(i);
    const std::string &name = function.symbols[i];
    auto letter = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$'; };
    for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1))
      if ((at == 0 || !letter(text[at - 1])) && (at + name.size() == text.size() || !letter(text[at + name.size()])))
        text.replace(at, name.size(), fresh);
  }
  return sha256(text);
}
json describe(const TrainProgram &t) {
  json phases = json::array();
  for (const PhaseProgram &p : t.phases)
    phases.push_back(describe(p));
  return {{"name", t.name},       {"data", t.data},         {"init", t.init}, {"forward", t.forward},
          {"predict", t.predict}, {"validate", t.validate}, {"seed", t.seed}, {"phases", phases}};
}
json describe(const ModelSource &s) {
  json renames = json::array();
  for (const auto &[from, to] : s.renames)
    renames.push_back({from, to});
  return {{"name", s.name}, {"kind", s.kind}, {"path", s.path}, {"renames", renames}};
}
json describe(const GenerateProgram &g) {
  return {{"name", g.name}, {"prefill", g.prefill}, {"decode", g.decode}, {"ids", g.ids}, {"caches", g.caches}, {"positions", g.positions}};
}
json describe(const RequireProgram &r) { return {{"text", r.text}, {"metric", r.metric}, {"compare", r.compare}, {"value", r.value}}; }
json describe(const EvaluateProgram &e) {
  json metrics = json::array(), gates = json::array(), fits = json::array();
  for (const MetricProgram &m : e.metrics)
    metrics.push_back(m.host.name.empty() ? json{{"name", m.name}, {"output", m.output}} : json{{"name", m.name}, {"host", describe(m.host)}});
  for (const RequireProgram &r : e.requires_)
    gates.push_back(describe(r));
  for (const SettingFit &f : e.fits) {
    json bounds = json::array();
    for (const RequireProgram &b : f.bounds)
      bounds.push_back(describe(b));
    fits.push_back({{"name", f.name}, {"tensor", f.tensor}, {"metric", f.metric}, {"most", f.most}, {"bounds", bounds},
                    {"from", f.from}, {"to", f.to},         {"steps", f.steps}});
  }
  return {{"name", e.name},   {"train", e.train}, {"data", e.data},       {"split", e.split},
          {"begin", e.begin}, {"step", e.step},   {"flow", e.flow},       {"inputs", e.inputs},
          {"metrics", metrics}, {"requires", gates}, {"fits", fits}};
}
json describe(const RichType &type) {
  switch (type.kind) {
  case RichType::Kind::Text:
    return {{"kind", "text"}, {"slot", type.slot}, {"stream", type.stream}};
  case RichType::Kind::Record: {
    json fields = json::array();
    for (size_t i = 0; i < type.names.size(); ++i)
      fields.push_back({type.names[i], describe(type.fields[i])});
    return {{"kind", "record"}, {"fields", fields}};
  }
  case RichType::Kind::Image:
    return {{"kind", "image"}, {"slot", type.slot}};
  case RichType::Kind::List:
  case RichType::Kind::Optional:
    return {{"kind", type.kind == RichType::Kind::List ? "list" : "optional"}, {"slot", type.slot}, {"element", describe(type.fields[0])}};
  case RichType::Kind::Tensor:
    break;
  }
  json j = {{"kind", "tensor"}, {"slot", type.slot}};
  j.update(describeType(type.tensor));
  if (!type.labels.empty())
    j["labels"] = type.labels;
  if (!type.classesOf.empty())
    j["classes_of"] = type.classesOf;
  if (!type.meaning.empty())
    j["meaning"] = type.meaning;
  return j;
}
json describe(const FlowProgram &f) {
  json inputs = json::array(), steps = json::array();
  for (const auto &[name, type] : f.inputs)
    inputs.push_back({name, describe(type)});
  for (const FlowStep &s : f.steps)
    steps.push_back({{"op", s.op}, {"inputs", s.inputs}, {"outputs", s.outputs}, {"settings", describe(s.settings)}});
  return {{"name", f.name}, {"inputs", inputs}, {"steps", steps}, {"result", describe(f.result)}};
}
template <class List> json describeAll(const List &list) {
  json all = json::array();
  for (const auto &item : list)
    all.push_back(describe(item));
  return all;
}
} // namespace

json describeType(const TensorType &type) {
  json shape = json::array();
  for (const Dim &d : type.shape)
    shape.push_back(dim(d));
  json j = {{"dtype", name(type.elem)}, {"shape", shape}};
  if (type.classes != Dim(0))
    j["classes"] = dim(type.classes);
  return j;
}

json manifestOf(const Program &program, const ManifestFacts &facts) {
  json m = {{"bigm", 1},
            {"name", program.name},
            {"source_sha256", facts.sourceSha256},
            {"compiler", facts.compiler},
            {"target", nullptr},
            {"needs", nullptr}};
  m["tensors"] = json::array();
  for (const TensorDecl &t : program.tensors) {
    json j = {{"name", t.name}, {"kind", kindName(t.kind)}};
    j.update(describeType(t.type));
    if (t.narrowed)
      j["narrowed"] = true;
    if (!t.values.empty())
      j["values"] = t.values;
    if (t.scales >= 0)
      j.update({{"scales", t.scales}, {"axis", t.axis}});
    if (t.balance >= 0)
      j.update({{"balance", t.balance}, {"along", t.along}});
    m["tensors"].push_back(j);
  }
  m["functions"] = json::array();
  m["data"] = describeAll(program.data);
  m["tokenizers"] = json::array();
  for (const TokenizerProgram &t : program.tokenizers)
    m["tokenizers"].push_back({{"name", t.name}, {"kind", t.kind}, {"file", t.file}, {"data", t.data}, {"split", t.split}, {"field", t.field},
                               {"at_least", t.atLeast}, {"at_most", t.atMost}, {"unknown", t.unknown}, {"lower", t.lower}, {"elements", t.elements}});
  m["fits"] = json::array();
  for (const FitProgram &f : program.fits)
    m["fits"].push_back({{"name", f.name}, {"data", f.data}, {"split", f.split}, {"begin", f.begin}, {"step", f.step}});
  m["trains"] = describeAll(program.trains);
  for (size_t i = 0; i < program.trains.size(); ++i)
    for (const Function &f : program.functions)
      if (f.name == program.trains[i].forward)
        m["trains"][i]["digest"] = digestOf(f);
  m["evaluates"] = describeAll(program.evaluates);
  if (!program.sources.empty())
    m["sources"] = describeAll(program.sources);
  if (!program.generates.empty())
    m["generates"] = describeAll(program.generates);
  if (!program.flows.empty())
    m["flows"] = describeAll(program.flows);
  m["deploys"] = json::array();
  for (const DeployProgram &d : program.deploys)
    m["deploys"].push_back(
        {{"train", d.train}, {"targets", d.targets}, {"precision", d.precision}, {"keep", d.keep}, {"calibrate", d.data.empty() ? "" : d.data + "." + d.split}, {"version", d.version}});
  return m;
}

} // namespace bigm::tool
