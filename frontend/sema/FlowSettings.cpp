// Settings of flows: known when the program is checked, like those of models and functions, unless an `evaluate` fits one.
// A fitted setting is a persistent number: compiled code reads it, the training's end writes it (runtime/driver/FitSettings.h),
// and it stands in the weights beside everything else that was learned. As a setting of a host's step (`nms(score: ...)`) it is
// named there, `=verdict.score`, and read when the step runs.
#include "Flow.h"
#include <algorithm>
#include <cmath>
#include <sstream>

namespace bigm::sema {

void Checker::findSettingFits(Module &main) {
  for (auto &d : main.tree.decls) {
    auto *evaluate = ast::as<ast::EvaluateDecl>(d.get());
    for (size_t i = 0; evaluate && i < evaluate->subjects.size(); ++i)
      for (auto &c : evaluate->clauses) {
        if (c.keyword.text != "fit")
          continue;
        auto [at, added] = settingFits.emplace(source(evaluate->subjects[i]->range) + "." + c.name.text, c.name.range);
        if (!added) {
          Diagnostic &e = error(Diag::FitSettingTwice, c.name.range, {c.name.text});
          note(e, at->second, "first fitted here");
        }
      }
  }
}

std::optional<int> Checker::fittedSetting(const ast::CallableDecl &d, Module *m, const ast::Parameter &p) {
  std::string name = d.name.text + "." + p.name.text;
  if (!settingFits.count(name) || m != mainModule())
    return std::nullopt;
  auto known = fittedSettings.find(name);
  if (known == fittedSettings.end()) {
    Pattern type = resolve(*p.type, globalScope(m), false);
    if (type.kind != Pattern::Kind::Tensor || type.elem != Elem::F32 || !type.sizes.empty()) {
      if (type.kind != Pattern::Kind::Invalid)
        fail(Diag::FitSettingType, settingFits.at(name), {p.name.text, "`" + source(p.type->range) + "`"});
      return -1;
    }
    auto value = plainNumber(eval(*p.defaultValue, globalScope(m)), p.defaultValue->range, "`" + p.name.text + "`");
    if (!value)
      return -1;
    TensorDecl tensor{TensorDecl::Kind::Fit, name, {Elem::F32, {}, 0}, p.name.range};
    auto bytes = std::make_shared<float>(float(*value)); // until it is fitted
    tensor.initial = {bytes, {reinterpret_cast<const char *>(bytes.get()), sizeof(float)}};
    program->tensors.push_back(std::move(tensor));
    known = fittedSettings.emplace(name, int(program->tensors.size()) - 1).first;
  }
  return known->second;
}

ScopePtr Checker::bindFlowSettings(const ast::CallableDecl &d, Module *m, std::map<std::string, Given> given, SourceRange where) {
  Signature sig = signature(d);
  bool ok = true;
  for (auto *p : sig.settings) {
    const std::string &name = p->name.text;
    if (given.count(name))
      continue;
    auto fitted = p->defaultValue ? fittedSetting(d, m, *p) : std::nullopt; // it stands in the weights, whatever `--set` says
    ok &= !fitted || *fitted >= 0;
    if (auto set = m == mainModule() ? overridden("flow." + d.name.text + "." + name) : std::nullopt) {
      if (set->is(Val::Kind::String)) // a word of the setting's type
        set->kind = Val::Kind::Word;
      given[name] = {*set, p->name.range, "", nullptr, {}};
    } else if (!p->defaultValue) {
      fail(Diag::FlowSettingValue, p->name.range, {d.name.text, name}, "a flow is run by itself, so say one: `" + source(p->name.range) + ": " + source(p->type->range) + " = ...`");
      ok = false;
    } else if (fitted && *fitted >= 0) {
      Val value = tensorValue(*fitted);
      flow->fitted[value.tensor] = program->tensors[size_t(*fitted)].name;
      given[name] = {value, p->name.range, "", nullptr, {}};
    }
  }
  return ok ? bindSettings(d, m, sig.settings, given, where) : nullptr;
}

bool Checker::readSettingFit(const ast::Clause &c, const ast::CallableDecl &flow_, EvaluateProgram &out,
                             const std::map<std::string, std::string> &byText) {
  const std::string &setting = c.name.text;
  auto settings = signature(flow_).settings;
  if (std::none_of(settings.begin(), settings.end(), [&](auto *p) { return p->name.text == setting; })) {
    std::vector<std::string> names;
    for (auto *p : settings)
      names.push_back(p->name.text);
    std::string near = didYouMean(setting, names);
    fail(Diag::UnknownSetting, c.name.range, {flow_.name.text, setting}, near.empty() ? "" : "did you mean `" + near + "`?");
    return false;
  }
  if (out.split == "test") {
    fail(Diag::FitOnTest, c.range, {setting}, "fit it where it is not measured: `evaluate " + flow_.name.text + " on " + out.data + ".valid`");
    return false;
  }
  auto *call = ast::as<ast::CallExpr>(c.expressions.empty() ? nullptr : c.expressions[0].get());
  auto *goal = call ? ast::as<ast::RefExpr>(call->callee.get()) : nullptr;
  auto form = [&](SourceRange where) {
    fail(Diag::FitForm, where, {source(where), setting}, "for example `fit " + setting + " = least(cost, accuracy >= 0.99)`, or `most(accuracy)`, of what is reported");
    return false;
  };
  if (!goal || (goal->name != "least" && goal->name != "most"))
    return form(c.expressions.empty() ? c.range : c.expressions[0]->range);
  SettingFit fit;
  fit.name = setting;
  fit.tensor = flow_.name.text + "." + setting;
  fit.most = goal->name == "most";
  std::map<std::string, double *> numbers = {{"from", &fit.from}, {"to", &fit.to}};
  double steps = double(fit.steps);
  numbers["steps"] = &steps;
  for (auto &a : call->arguments) {
    if (auto number = numbers.find(a.name.text); number != numbers.end()) {
      auto n = plainNumber(eval(*a.value, globalScope(mainModule())), a.value->range, "`" + a.name.text + "`");
      if (!n)
        return false;
      *number->second = *n;
    } else if (!a.name.text.empty()) {
      fail(Diag::UnknownSetting, a.name.range, {goal->name, a.name.text}, "its settings are `from`, `to` and `steps`");
      return false;
    } else if (fit.metric.empty()) {
      auto metric = byText.find(source(a.value->range));
      if (metric == byText.end()) {
        std::string text = source(a.value->range);
        if (ast::as<ast::BinaryExpr>(a.value.get()))
          return form(a.value->range);
        fail(Diag::RequireUnknown, a.value->range, {text}, "add it: `report " + text + "`");
        return false;
      }
      fit.metric = metric->second;
    } else if (auto bound = readBound(*a.value, byText, "evaluate." + flow_.name.text + ".fit." + setting + ".")) {
      fit.bounds.push_back(std::move(*bound));
    } else {
      return false;
    }
  }
  if (fit.metric.empty())
    return form(c.expressions[0]->range);
  std::vector<std::string> asked = {fit.metric};
  for (auto &bound : fit.bounds)
    asked.push_back(bound.metric);
  for (auto &metric : out.metrics)
    if (metric.host.name == "milliseconds" && std::find(asked.begin(), asked.end(), metric.name) != asked.end()) {
      fail(Diag::FitByTime, c.expressions[0]->range, {metric.name}, "the share of records that take the dear way may say the same");
      return false;
    }
  constexpr double kMostSteps = 10000;
  if (!(fit.from < fit.to) || !std::isfinite(fit.to - fit.from) || steps < 1 || steps > kMostSteps || steps != std::floor(steps)) {
    auto text = [](double value) {
      std::ostringstream out;
      out << value;
      return out.str();
    };
    fail(Diag::FitRange, c.expressions[0]->range, {setting, text(fit.from), text(fit.to), text(steps)}, "`from` is below `to`, and `steps` a whole number from 1 to 10000");
    return false;
  }
  fit.steps = int64_t(steps);
  if (!overridden("flow." + fit.tensor)) // what `--set` says is not fitted
    out.fits.push_back(std::move(fit));
  return true;
}

} // namespace bigm::sema
