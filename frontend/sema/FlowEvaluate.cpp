// `evaluate` of a flow: its answers for the records of a split beside what their fields say.
//
// Answers are rich values (lists of boxes, labels, what may be missing), so these metrics are the runtime's
// (runtime/driver/FlowMetrics.h): a metric here is a name, the paths of what it compares, and settings. The flow is given
// fields of its inputs' names, or those that a line `found = flow(field)` names.
#include "Checker.h"
#include <algorithm>

namespace bigm::sema {
namespace {

/// What a metric compares.
enum class Takes { Boxes, Labels, Numbers, Threshold, Number, Optional, Nothing };
struct FlowMetric {
  const char *name;
  Takes takes;
  std::map<std::string, double> settings; // numbers, with what they are when left out
  bool same = false;                      // takes `same: [part, ...]`
};
const FlowMetric kMetrics[] = {
    {"average_precision", Takes::Boxes, {{"iou", 0.5}}},
    {"coco_average_precision", Takes::Boxes, {}},
    {"precision", Takes::Boxes, {{"iou", 0.5}, {"score", 0}}, true},
    {"recall", Takes::Boxes, {{"iou", 0.5}, {"score", 0}}, true},
    {"f1", Takes::Boxes, {{"iou", 0.5}, {"score", 0}}, true},
    {"count_error", Takes::Boxes, {{"score", 0}}},
    {"accuracy", Takes::Labels, {}},
    {"mean_absolute_error", Takes::Numbers, {}},
    {"threshold", Takes::Threshold, {{"accuracy", 0.99}}},
    {"mean", Takes::Number, {}},
    {"share", Takes::Optional, {}},
    {"milliseconds", Takes::Nothing, {}},
};

RichType richType(const Field &f) {
  RichType type;
  if (f.kind == "text") {
    type.kind = RichType::Kind::Text;
  } else if (f.kind == "photo") {
    type.kind = RichType::Kind::Image;
  } else if (f.kind == "list") {
    type.kind = RichType::Kind::List;
    type.fields.emplace_back();
    type.fields[0].kind = RichType::Kind::Record;
    for (const Field &part : f.parts) {
      type.fields[0].names.push_back(part.name);
      type.fields[0].fields.push_back(richType(part));
    }
  } else {
    type.tensor = f.type;
    type.labels = f.labels;
    type.meaning = f.meaning;
  }
  return type;
}

bool isLabel(const RichType &t) { return t.kind == RichType::Kind::Tensor && t.tensor.classes != Dim(0) && t.tensor.shape.empty(); }
bool isBox(const RichType &t) {
  return t.kind == RichType::Kind::Tensor && t.tensor.elem == Elem::F32 && t.tensor.shape == std::vector<Dim>{Dim(int64_t(4))};
}
bool isScalar(const RichType &t) { return t.kind == RichType::Kind::Tensor && t.tensor.shape.empty() && t.tensor.classes == Dim(0); }
const RichType *part(const RichType &record, const std::string &name) {
  for (size_t i = 0; i < record.names.size(); ++i)
    if (record.names[i] == name)
      return &record.fields[i];
  return nullptr;
}
/// Whether a field can be a flow's input: of one kind; of a list each part that the flow takes.
bool givesInput(const RichType &field, const RichType &input) {
  if (field.kind != input.kind)
    return false;
  switch (input.kind) {
  case RichType::Kind::Tensor:
    return field.tensor.elem == input.tensor.elem && field.tensor.shape.size() == input.tensor.shape.size();
  case RichType::Kind::Text: return true;
  case RichType::Kind::List: return givesInput(field.fields[0], input.fields[0]);
  case RichType::Kind::Record:
    for (size_t i = 0; i < input.names.size(); ++i) {
      const RichType *given = part(field, input.names[i]);
      if (!given || !givesInput(*given, input.fields[i]))
        return false;
    }
    return true;
  default: return false;
  }
}
/// What stands behind a value that may be missing.
const RichType &present(const RichType &t) { return t.kind == RichType::Kind::Optional ? t.fields[0] : t; }

std::string typeText(const RichType &t) {
  switch (t.kind) {
  case RichType::Kind::Text: return "text";
  case RichType::Kind::Image: return "image";
  case RichType::Kind::List: return "list<" + typeText(t.fields[0]) + ">";
  case RichType::Kind::Optional: return typeText(t.fields[0]) + "?";
  case RichType::Kind::Record: {
    std::string text = "{ ";
    for (size_t i = 0; i < t.names.size(); ++i)
      text += (i ? ", " : "") + t.names[i] + ": " + typeText(t.fields[i]);
    return text + " }";
  }
  case RichType::Kind::Tensor: break;
  }
  if (!t.meaning.empty())
    return t.meaning;
  return isLabel(t) ? "label[" + t.tensor.classes.str() + "]" : t.tensor.shape.empty() ? std::string(name(t.tensor.elem)) : t.tensor.str();
}

/// Names of a record's parts of a kind.
std::vector<std::string> partsOf(const RichType &record, bool (*is)(const RichType &)) {
  std::vector<std::string> names;
  if (record.kind == RichType::Kind::Record)
    for (size_t i = 0; i < record.names.size(); ++i)
      if (is(present(record.fields[i])))
        names.push_back(record.names[i]);
  return names;
}
} // namespace

/// One `evaluate FLOW on DATA.split` while it is read.
struct Checker::FlowEvaluation {
  Checker &k;
  const ast::EvaluateDecl &decl;
  const FlowProgram &flow;
  const ast::CallableDecl &flowDecl;
  DataSet &set;
  EvaluateProgram &out;
  std::map<std::string, const ast::Expr *> lets = {};

  /// Something that a metric compares: a path into the answer or into the record.
  struct Place {
    bool answer = false;
    std::string path; // "" is the whole answer
    RichType type;
  };

  /// A field of the records, or one that is derived from them.
  std::optional<Field> field(const std::string &name) const {
    const DataProgram &data = k.program->data[set.index];
    for (const Field &f : data.fields)
      if (f.name == name)
        return f;
    auto derived = set.batch.find(name);
    if (std::find(data.derived.begin(), data.derived.end(), name) == data.derived.end() || derived == set.batch.end())
      return std::nullopt;
    Field f;
    f.name = name;
    f.type = derived->second;
    f.type.shape.erase(f.type.shape.begin());
    f.kind = f.type.classes != Dim(0) ? "label" : "tensor";
    return f;
  }

  std::optional<Place> resolve(const ast::Expr &e, int depth = 0) {
    if (auto *ref = ast::as<ast::RefExpr>(&e)) {
      if (auto let = lets.find(ref->name); let != lets.end() && depth < 20)
        return resolve(*let->second, depth + 1);
      if (auto f = field(ref->name))
        return Place{false, f->name, richType(*f)};
    }
    if (auto *call = ast::as<ast::CallExpr>(&e))
      if (auto *callee = ast::as<ast::RefExpr>(call->callee.get()); callee && callee->name == flow.name) {
        if (!bindInputs(*call))
          return std::nullopt;
        return Place{true, "", flow.result};
      }
    if (auto *m = ast::as<ast::MemberExpr>(&e)) {
      auto base = resolve(*m->base, depth + 1);
      if (!base)
        return std::nullopt;
      const RichType &record = present(base->type);
      const RichType *inner = record.kind == RichType::Kind::Record ? part(record, m->member.text) : nullptr;
      if (inner) {
        Place found{base->answer, base->path.empty() ? m->member.text : base->path + "." + m->member.text, *inner};
        if (base->type.kind == RichType::Kind::Optional && inner->kind != RichType::Kind::Optional) { // missing with its record
          found.type = RichType{};
          found.type.kind = RichType::Kind::Optional;
          found.type.fields = {*inner};
        }
        return found;
      }
      std::string near = didYouMean(m->member.text, record.names);
      k.fail(Diag::FlowEvaluateMember, m->member.range, {typeText(base->type), m->member.text}, near.empty() ? "" : "did you mean `" + near + "`?");
      return std::nullopt;
    }
    k.fail(Diag::FlowEvaluateValue, e.range, {k.source(e.range)}, "name the answer, `found = " + flow.name + "(...)`, a part of it, or a field of the data");
    return std::nullopt;
  }

  bool bindInput(size_t i, const std::string &name, SourceRange where) {
    const auto &[input, type] = flow.inputs[i];
    auto f = field(name);
    if (!f) {
      const DataProgram &data = k.program->data[set.index];
      std::vector<std::string> names;
      for (const Field &one : data.fields)
        names.push_back(one.name);
      const std::string near = didYouMean(name, names);
      names.insert(names.end(), data.derived.begin(), data.derived.end());
      k.fail(Diag::FlowEvaluateInput, where, {flow.name, input, data.name, name},
             near.empty() ? "say what it is given: `found = " + flow.name + "(field)`"
                          : "did you mean `" + near + "`?");
      return false;
    }
    RichType given = richType(*f);
    bool picture = type.kind == RichType::Kind::Image && (f->kind == "photo" || f->kind == "image");
    if (!picture && !givesInput(given, type)) {
      k.fail(Diag::FlowEvaluateKind, where, {flow.name, input, typeText(type), name, typeText(given)});
      return false;
    }
    for (auto &[known, from] : out.inputs)
      if (known == input) {
        if (from != name)
          k.fail(Diag::FlowEvaluateTwice, where, {flow.name, input, from, name});
        return from == name;
      }
    out.inputs.emplace_back(input, name);
    return true;
  }

  bool bindInputs(const ast::CallExpr &call) {
    size_t position = 0;
    for (auto &a : call.arguments) {
      size_t i = a.name.text.empty() ? position++ : 0;
      while (!a.name.text.empty() && i < flow.inputs.size() && flow.inputs[i].first != a.name.text)
        ++i;
      if (i >= flow.inputs.size()) {
        if (a.name.text.empty())
          k.fail(Diag::TooManyInputs, a.value->range, {flow.name, counted(flow.inputs.size(), "input")});
        else
          k.fail(Diag::UnknownInput, a.name.range, {flow.name, a.name.text}, "a flow is measured with its settings as they are declared, fitted or `--set`");
        return false;
      }
      auto *ref = ast::as<ast::RefExpr>(a.value.get());
      if (!bindInput(i, ref ? ref->name : k.source(a.value->range), a.value->range))
        return false;
    }
    return true;
  }

  /// The settings of a metric's call; positional arguments are places.
  bool readArguments(const FlowMetric &metric, const ast::CallExpr *call, std::vector<std::pair<Place, SourceRange>> &places, Spec &spec) {
    for (auto &[setting, value] : metric.settings)
      spec.options[setting] = value;
    bool ok = true;
    static const std::vector<ast::Argument> none;
    for (auto &a : call ? call->arguments : none) {
      if (a.name.text.empty()) {
        auto place = resolve(*a.value);
        ok &= place.has_value();
        if (place)
          places.emplace_back(std::move(*place), a.value->range);
      } else if (a.name.text == "same" && metric.same) {
        auto *list = ast::as<ast::ListExpr>(a.value.get());
        std::string names;
        for (size_t i = 0; list && i < list->items.size(); ++i)
          names += (names.empty() ? "" : ",") + k.source(list->items[i]->range);
        spec.options["same"] = list ? names : k.source(a.value->range);
      } else if (metric.settings.count(a.name.text)) {
        auto n = k.plainNumber(k.eval(*a.value, k.globalScope(k.mainModule())), a.value->range, "`" + a.name.text + "`");
        ok &= n.has_value();
        if (n && (*n < 0 || *n > 1)) {
          k.fail(Diag::ArgumentKind, a.value->range, {metric.name, a.name.text, "a number from 0 to 1", k.source(a.value->range)});
          ok = false;
        }
        spec.options[a.name.text] = n.value_or(0);
      } else {
        std::vector<std::string> known;
        for (auto &[setting, value] : metric.settings)
          known.push_back(setting);
        if (metric.same)
          known.push_back("same");
        std::string near = didYouMean(a.name.text, known);
        k.fail(Diag::UnknownSetting, a.name.range, {metric.name, a.name.text}, near.empty() ? "" : "did you mean `" + near + "`?");
        ok = false;
      }
    }
    return ok;
  }

  bool wrong(const FlowMetric &metric, SourceRange where, const char *expected, const std::string &seen) {
    k.fail(Diag::FlowMetricArgument, where, {metric.name, expected, seen});
    return false;
  }

  /// Which parts of the elements are boxes, scores and classes.
  bool readBoxes(const FlowMetric &metric, const std::vector<std::pair<Place, SourceRange>> &places, SourceRange where, Spec &spec) {
    const char *expected = "a list of the answer and a list of the data, each of records with one box";
    if (places.size() != 2)
      return wrong(metric, where, expected, std::to_string(places.size()) + " values");
    std::vector<std::string> labels[2];
    for (size_t i = 0; i < 2; ++i) {
      auto &[place, range] = places[i];
      bool list = place.type.kind == RichType::Kind::List && place.answer == (i == 0);
      auto boxes = list ? partsOf(place.type.fields[0], isBox) : std::vector<std::string>{};
      if (boxes.size() != 1)
        return wrong(metric, range, expected, typeText(place.type));
      spec.options[i ? "true_box" : "box"] = boxes[0];
      labels[i] = partsOf(place.type.fields[0], isLabel);
    }
    const RichType &found = places[0].first.type.fields[0], &truth = places[1].first.type.fields[0];
    auto scores = partsOf(found, [](const RichType &t) { return isScalar(t) && (t.meaning == "score"); });
    if (scores.empty())
      if (const RichType *named = part(found, "score"); named && isScalar(*named))
        scores = {"score"};
    if (scores.size() == 1)
      spec.options["by"] = scores[0];
    else if (!metric.same && std::string(metric.name) != "count_error")
      return wrong(metric, places[0].second, "a list whose records have one score", typeText(places[0].first.type));
    if (!metric.same && labels[0].size() == 1 && labels[1].size() == 1) {
      spec.options["label"] = labels[0][0];
      spec.options["true_label"] = labels[1][0];
    }
    // The parts that must agree, of the same name on both sides.
    std::string same = std::holds_alternative<std::string>(spec.options["same"]) ? std::get<std::string>(spec.options["same"]) : "";
    spec.options.erase("same");
    for (size_t begin = 0; begin < same.size();) {
      size_t end = std::min(same.find(',', begin), same.size());
      std::string name = same.substr(begin, end - begin);
      begin = end + 1;
      const RichType *a = part(found, name), *b = part(truth, name);
      if (!a || !b || !isLabel(present(*a)) || !isLabel(present(*b)))
        return wrong(metric, where, "under `same` classes that both lists have under that name", "`" + name + "`");
    }
    if (!same.empty())
      spec.options["same"] = same;
    return true;
  }

  bool readMetric(const ast::Expr &e, const std::string &name, std::map<std::string, std::string> &byText) {
    auto *call = ast::as<ast::CallExpr>(&e);
    auto *callee = ast::as<ast::RefExpr>(call ? call->callee.get() : &e);
    auto metric = std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](auto &m) { return callee && callee->name == m.name; });
    if (metric == std::end(kMetrics)) {
      std::vector<std::string> names;
      std::string all;
      for (auto &m : kMetrics) {
        names.push_back(m.name);
        all += (all.empty() ? "`" : ", `") + std::string(m.name) + "`";
      }
      std::string near = callee ? didYouMean(callee->name, names) : "";
      k.fail(Diag::FlowMetricUnknown, call ? call->callee->range : e.range, {k.source(call ? call->callee->range : e.range)},
             near.empty() ? "these are " + all : "did you mean `" + near + "`?");
      return false;
    }
    MetricProgram m;
    m.name = name.empty() ? metric->name : name;
    for (auto &known : out.metrics)
      if (known.name == m.name) {
        k.fail(Diag::MetricTwice, e.range, {m.name}, "name it: `report other = " + k.source(e.range) + "`");
        return false;
      }
    m.host.name = metric->name;
    std::vector<std::pair<Place, SourceRange>> places;
    if (!readArguments(*metric, call, places, m.host))
      return false;
    auto only = [&](auto &&fits, const char *expected) {
      if (places.size() != 1 || !places[0].first.answer || !fits(places[0].first.type))
        return wrong(*metric, e.range, expected, places.empty() ? "nothing" : typeText(places[0].first.type));
      return true;
    };
    bool ok = true;
    switch (metric->takes) {
    case Takes::Boxes: ok = readBoxes(*metric, places, e.range, m.host); break;
    case Takes::Labels: {
      auto equal = [](const RichType &a, const RichType &b) {
        return a.kind == RichType::Kind::Text ? b.kind == RichType::Kind::Text : isLabel(a) && isLabel(b) && (a.labels == b.labels || a.labels.empty() || b.labels.empty());
      };
      if (places.size() != 2 || !places[0].first.answer || places[1].first.answer || !equal(present(places[0].first.type), places[1].first.type))
        ok = wrong(*metric, e.range, "a class of the answer with one of the data, or a text with a text",
                   places.size() == 2 ? typeText(places[0].first.type) + " and " + typeText(places[1].first.type) : std::to_string(places.size()) + " values");
      break;
    }
    case Takes::Numbers:
      if (places.size() != 2 || !places[0].first.answer || places[1].first.answer || !isScalar(present(places[0].first.type)) || !isScalar(places[1].first.type))
        ok = wrong(*metric, e.range, "a number of the answer and one of the data",
                   places.size() == 2 ? typeText(places[0].first.type) + " and " + typeText(places[1].first.type) : std::to_string(places.size()) + " values");
      break;
    case Takes::Threshold:
      if (places.size() != 3 || !places[0].first.answer || !places[1].first.answer || places[2].first.answer || !isScalar(present(places[0].first.type)) ||
          !isLabel(present(places[1].first.type)) || !isLabel(places[2].first.type))
        ok = wrong(*metric, e.range, "how sure the answer is, its class, and the true one", std::to_string(places.size()) + " values");
      break;
    case Takes::Number:
      ok = only([](const RichType &t) { return isScalar(present(t)); }, "a number of the answer");
      break;
    case Takes::Optional:
      ok = only([](const RichType &t) { return t.kind == RichType::Kind::Optional || (isScalar(t) && t.tensor.elem == Elem::Bool); }, "a value of the answer that may be missing, or a bool");
      break;
    case Takes::Nothing: break;
    }
    if (!ok)
      return false;
    for (auto &[place, range] : places)
      m.host.strings.push_back(place.path);
    byText[k.source(e.range)] = m.name;
    byText[m.name] = m.name;
    out.metrics.push_back(std::move(m));
    return true;
  }

  bool read() {
    std::map<std::string, std::string> byText;
    bool ok = true;
    for (auto &c : decl.clauses)
      if (c.let)
        lets[c.name.text] = c.let->value.get();
    for (auto &c : decl.clauses)
      for (size_t i = 0; c.keyword.text == "report" && i < c.expressions.size(); ++i)
        ok &= readMetric(*c.expressions[i], i < c.names.size() ? c.names[i].text : "", byText);
    for (size_t i = 0; ok && i < flow.inputs.size(); ++i) {
      const std::string &input = flow.inputs[i].first;
      if (std::none_of(out.inputs.begin(), out.inputs.end(), [&](auto &bound) { return bound.first == input; }))
        ok &= bindInput(i, input, decl.subjects[0]->range);
    }
    if (ok)
      k.readRequires(decl, out, byText);
    for (auto &c : decl.clauses)
      if (ok && c.keyword.text == "fit")
        ok = k.readSettingFit(c, flowDecl, out, byText);
    return ok;
  }
};

void Checker::checkFlowEvaluate(const ast::EvaluateDecl &d, const ast::CallableDecl &flow, DataSet &set, const std::string &split) {
  auto program_ = std::find_if(program->flows.begin(), program->flows.end(), [&](auto &f) { return f.name == flow.name.text; });
  if (program_ == program->flows.end() || !set.ok)
    return; // it has an error of its own
  EvaluateProgram out;
  out.flow = flow.name.text;
  out.name = flow.name.text;
  out.data = program->data[set.index].name;
  out.split = split;
  for (auto &e : program->evaluates)
    if (e.name == out.name)
      out.name = flow.name.text + "." + split;
  if (FlowEvaluation{*this, d, *program_, flow, set, out}.read())
    program->evaluates.push_back(std::move(out));
}

} // namespace bigm::sema
