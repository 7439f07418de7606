#include "Program.h"
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace bigm::driver {
namespace {
using nlohmann::json;

[[noreturn]] void broken(const std::string &what) { throw std::runtime_error("bug in bigmc: manifest: " + what); }

data::Elem elemOf(const json &j) {
  auto elem = data::elemNamed(j.at("dtype").get<std::string>());
  if (!elem)
    broken("unknown dtype " + j.at("dtype").dump());
  return *elem;
}
std::string text(const json &j, const char *key) {
  auto it = j.find(key);
  return it == j.end() || it->is_null() ? "" : it->get<std::string>();
}
template <class T> std::vector<T> list(const json &j, const char *key) {
  auto it = j.find(key);
  return it == j.end() || it->is_null() ? std::vector<T>() : it->get<std::vector<T>>();
}
int64_t constantSize(const json &d) {
  if (d.is_number_integer())
    return d.get<int64_t>();
  return sizeOf(d.get<std::string>(), {}, {});
}
std::vector<int64_t> constantShape(const json &j) {
  std::vector<int64_t> shape;
  for (auto &d : j.at("shape"))
    shape.push_back(constantSize(d));
  return shape;
}

data::SourceSpec spec(const json &j) {
  data::SourceSpec s;
  if (!j.is_object())
    return s;
  s.name = text(j, "name");
  s.strings = list<std::string>(j, "strings");
  if (j.contains("options"))
    for (auto &[key, value] : j["options"].items()) {
      if (value.is_string())
        s.options[key] = value.get<std::string>();
      else
        s.options[key] = value.get<double>();
    }
  return s;
}

ArgInfo arg(const json &j) {
  ArgInfo a;
  a.name = text(j, "name");
  a.role = text(j, "role");
  a.access = text(j, "access");
  a.tensor = j.value("tensor", -1);
  a.classes = j.contains("classes") ? constantSize(j["classes"]) : 0;
  a.labels = list<std::string>(j, "labels");
  if (a.role != "tensor" && a.role != "prepared") {
    a.elem = elemOf(j);
    for (auto &d : j.at("shape"))
      a.shape.push_back(d.is_string() ? d.get<std::string>() : std::to_string(d.get<int64_t>()));
  }
  return a;
}

data::Field fieldOf(const json &f) {
  data::Field field;
  field.name = text(f, "name");
  field.kind = text(f, "kind");
  field.elem = elemOf(f);
  field.shape = constantShape(f);
  field.classes = f.contains("classes") ? constantSize(f["classes"]) : 0;
  field.labels = list<std::string>(f, "labels");
  if (field.classes == 0 && !field.labels.empty())
    field.classes = int64_t(field.labels.size());
  field.meaning = text(f, "meaning");
  if (f.contains("missing"))
    field.missing = text(f, "missing");
  for (auto &part : f.value("parts", json::array()))
    field.parts.push_back(fieldOf(part));
  return field;
}

DataProgram dataProgram(const json &j) {
  DataProgram d;
  d.name = text(j, "name");
  d.from = spec(j.value("from", json()));
  d.test = spec(j.value("test", json()));
  d.valid = spec(j.value("valid", json()));
  d.inOrder = j.value("in_order", false);
  d.bucket = text(j, "bucket");
  for (auto &s : j.value("host", json::array()))
    d.host.push_back({text(s, "input"), text(s, "tokenizer"), text(s, "output"), s.value("at_most", int64_t(0)),
                      s.value("length", int64_t(0)), s.value("special", true), s.value("each", false), text(s, "op"), list<std::string>(s, "outputs"),
                      spec(s.value("settings", json()))});
  d.derived = list<std::string>(j, "derived");
  for (auto &f : j.at("fields")) {
    data::Field field = fieldOf(f);
    if (std::find(d.derived.begin(), d.derived.end(), field.name) == d.derived.end())
      d.fields.push_back(std::move(field));
  }
  if (j.contains("split"))
    for (auto &part : j["split"])
      d.split.emplace_back(part.at(0).get<std::string>(), part.at(1).get<double>());
  d.seed = j.value("seed", uint64_t(0));
  d.prepare = text(j, "prepare");
  d.prepareTrain = text(j, "prepare_train");
  return d;
}

RequireProgram requireProgram(const json &j) { return {text(j, "text"), text(j, "metric"), text(j, "compare"), j.value("value", 0.0)}; }

SettingFit settingFit(const json &j) {
  SettingFit f{text(j, "name"), text(j, "tensor"), text(j, "metric"), j.value("most", false), {}, j.value("from", 0.0), j.value("to", 1.0), j.value("steps", int64_t(1))};
  for (auto &bound : j.value("bounds", json::array()))
    f.bounds.push_back(requireProgram(bound));
  return f;
}

PhaseProgram phaseProgram(const json &j) {
  PhaseProgram p;
  p.name = text(j, "name");
  p.step = text(j, "step");
  p.estimate = j.value("estimate", "");
  p.startFrom = text(j, "start_from");
  p.epochs = j.value("epochs", 1.0);
  p.steps = j.value("steps", int64_t(0));
  p.batch = j.value("batch", int64_t(0));
  p.startIfPresent = j.value("start_if_present", false);
  p.ownSchedule = j.value("own_schedule", false);
  p.stopMetric = text(j, "stop_metric");
  p.stopCompare = text(j, "stop_compare");
  p.stopValue = j.value("stop_value", 0.0);
  p.learned = list<std::string>(j, "learned");
  p.data = list<std::string>(j, "data");
  p.validates = list<std::string>(j, "validates");
  p.accumulate = j.value("accumulate", int64_t(1));
  p.gather = text(j, "gather");
  p.averaged = list<std::string>(j, "averaged");
  p.frozen = text(j, "frozen");
  p.validStep = text(j, "valid_step");
  p.validFrozen = text(j, "valid_frozen");
  return p;
}

} // namespace

Program parseProgram(std::string_view manifest) {
  try {
    json j = json::parse(manifest);
    Program p;
    p.name = text(j, "name");
    p.sourceSha256 = text(j, "source_sha256");
    p.compiler = text(j, "compiler");
    p.target = text(j, "target");
    for (auto &t : j.at("tensors"))
      p.tensors.push_back({text(t, "name"), text(t, "kind"), elemOf(t), constantShape(t), t.value("narrowed", false),
                           t.value("scales", -1), t.value("axis", 0), t.value("balance", -1), t.value("along", 0), t.contains("values")});
    for (auto &f : j.at("functions")) {
      FunctionInfo info{text(f, "name"), list<std::string>(f, "symbols"), {}};
      for (auto &a : f.at("args"))
        info.args.push_back(arg(a));
      p.functions.push_back(std::move(info));
    }
    for (auto &d : j.value("data", json::array()))
      p.data.push_back(dataProgram(d));
    for (auto &t : j.value("tokenizers", json::array()))
      p.tokenizers.push_back({text(t, "name"), text(t, "kind"), text(t, "file"), text(t, "data"), text(t, "split"), text(t, "field"),
                              t.value("at_least", int64_t(1)), t.value("at_most", int64_t(0)), t.value("unknown", false), t.value("lower", false), t.value("elements", false)});
    for (auto &f : j.value("fits", json::array()))
      p.fits.push_back({text(f, "name"), text(f, "data"), text(f, "split"), text(f, "begin"), text(f, "step")});
    for (auto &t : j.value("trains", json::array())) {
      TrainProgram train{text(t, "name"),    text(t, "data"),     text(t, "init"),           text(t, "forward"),
                         text(t, "predict"), text(t, "validate"), t.value("seed", uint64_t(0)), {}};
      for (auto &phase : t.at("phases"))
        train.phases.push_back(phaseProgram(phase));
      for (auto &phase : train.phases)
        if (phase.data.empty())
          phase.data = {train.data};
      if (train.phases.empty()) {
        p.models.push_back(train.name);
        continue;
      }
      p.trains.push_back(std::move(train));
    }
    for (auto &e : j.value("evaluates", json::array())) {
      EvaluateProgram evaluate{text(e, "name"),  text(e, "train"), text(e, "data"), text(e, "split"),
                               text(e, "begin"), text(e, "step"),  {},              {},
                               text(e, "flow"),  {}};
      for (auto &input : e.value("inputs", json::array()))
        evaluate.inputs.emplace_back(input.at(0).get<std::string>(), input.at(1).get<std::string>());
      for (auto &m : e.value("metrics", json::array()))
        evaluate.metrics.push_back({text(m, "name"), text(m, "output"), spec(m.value("host", json()))});
      for (auto &r : e.value("requires", json::array()))
        evaluate.requires_.push_back(requireProgram(r));
      for (auto &f : e.value("fits", json::array()))
        evaluate.fits.push_back(settingFit(f));
      p.evaluates.push_back(std::move(evaluate));
    }
    for (auto &s : j.value("sources", json::array())) {
      ModelSource source{text(s, "name"), text(s, "kind"), text(s, "path"), {}};
      for (auto &rule : s.value("renames", json::array()))
        source.renames.emplace_back(rule.at(0).get<std::string>(), rule.at(1).get<std::string>());
      p.sources.push_back(std::move(source));
    }
    return p;
  } catch (const json::exception &e) {
    broken(e.what());
  }
}

namespace {
template <class T> const T *named(const std::vector<T> &list, const std::string &name) {
  for (auto &item : list)
    if (item.name == name)
      return &item;
  return nullptr;
}
} // namespace

const FunctionInfo &Program::function(const std::string &name) const {
  if (auto *f = named(functions, name))
    return *f;
  broken("there is no function `" + name + "`");
}
const DataProgram &Program::dataNamed(const std::string &name) const {
  if (auto *d = named(data, name))
    return *d;
  broken("there is no data `" + name + "`");
}
const TrainProgram *Program::train(const std::string &name) const { return named(trains, name); }
bool RequireProgram::holds(double seen) const {
  if (compare == ">=")
    return seen >= value;
  if (compare == "<=")
    return seen <= value;
  if (compare == ">")
    return seen > value;
  if (compare == "<")
    return seen < value;
  throw std::runtime_error("bug in bigmc: a bound compares with `" + compare + "`");
}

const EvaluateProgram *Program::evaluate(const std::string &name) const { return named(evaluates, name); }

namespace {

/// Recursive descent over Dim::str()'s grammar.
struct SizeReader {
  const std::string &text;
  const std::vector<std::string> &symbols;
  const std::vector<int64_t> &values;
  size_t at = 0;

  void skip() {
    while (at < text.size() && text[at] == ' ')
      ++at;
  }
  bool take(char c) {
    skip();
    if (at < text.size() && text[at] == c)
      return ++at, true;
    return false;
  }
  int64_t sum() {
    int64_t v = term();
    for (;;)
      if (take('+'))
        v += term();
      else if (take('-'))
        v -= term();
      else
        return v;
  }
  int64_t term() {
    int64_t v = factor();
    for (;;)
      if (take('*'))
        v *= factor();
      else if (take('/')) {
        int64_t by = factor();
        if (by <= 0)
          broken("division by " + std::to_string(by) + " in `" + text + "`");
        v = v >= 0 ? v / by : -((-v + by - 1) / by);
      } else
        return v;
  }
  int64_t factor() {
    if (take('-'))
      return -factor();
    if (take('(')) {
      int64_t v = sum();
      if (!take(')'))
        broken("`" + text + "` is no size");
      return v;
    }
    skip();
    int64_t v = 0;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), v);
    if (error == std::errc()) {
      at = size_t(end - text.data());
      return v;
    }
    size_t begin = at;
    while (at < text.size() && !std::strchr("+-*/() ", text[at]))
      ++at;
    std::string symbol = text.substr(begin, at - begin);
    for (size_t i = 0; i < symbols.size(); ++i)
      if (symbols[i] == symbol)
        return values[i];
    broken("the size `" + text + "` has the unknown symbol `" + symbol + "`");
  }
};

} // namespace

int64_t sizeOf(const std::string &expression, const std::vector<std::string> &symbols,
               const std::vector<int64_t> &values) {
  SizeReader reader{expression, symbols, values};
  int64_t v = reader.sum();
  reader.skip();
  if (reader.at != expression.size())
    broken("`" + expression + "` is no size");
  return v;
}

} // namespace bigm::driver
