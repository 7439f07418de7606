// `flow`: wiring over rich values.
//
// A flow's body is evaluated like any other, once, for a whole batch: a text stands for the texts of all records, and every
// tensor has the records as its first dimension, as in `derive`. Operations on tensors are recorded into one function;
// what the host does with texts is a list of steps beside it. At the end the function is cut where steps stand between its
// operations (FlowCut.cpp). The runtime does the steps in order (runtime/flow).
#include "Flow.h"
#include <algorithm>

namespace bigm::sema {

std::string Checker::FlowBuild::freshSlot(const std::string &base) {
  std::string slot = base;
  for (int n = 2; !names.insert(slot).second; ++n)
    slot = base + "." + std::to_string(n);
  return slot;
}

std::string Checker::FlowBuild::freshSize(const std::string &base) {
  std::string name = base;
  for (int n = 2; !sizes.insert(name).second; ++n)
    name = base + std::to_string(n);
  return name;
}

std::string Checker::slotOf(const Val &v) {
  if (v.is(Val::Kind::Text) || v.is(Val::Kind::Image))
    return v.text;
  auto known = flow->slots.find(v.tensor);
  if (known != flow->slots.end())
    return known->second;
  std::string slot = flow->freshSlot("tensor");
  flow->slots[v.tensor] = slot;
  rec->output(slot, v.tensor);
  return slot;
}

std::vector<Val> Checker::hostStep(const std::string &op, const std::vector<Val> &inputs, Spec settings,
                                   const std::vector<RichType> &outputs, SourceRange where) {
  if (!flow)
    return loaderStep(op, inputs[0], std::move(settings), outputs, where);
  FlowStep step;
  step.op = op;
  step.settings = std::move(settings);
  for (const Val &v : inputs)
    step.inputs.push_back(slotOf(v));
  std::vector<Val> values;
  for (const RichType &o : outputs) {
    std::string slot = flow->freshSlot(o.slot);
    step.outputs.push_back(slot);
    flow->slotSpace[slot] = flow->space;
    if (o.kind == RichType::Kind::Text || o.kind == RichType::Kind::Image) {
      values.push_back(o.kind == RichType::Kind::Text ? textVal(slot, o.stream) : imageVal(slot));
      continue;
    }
    TensorType type = o.tensor;
    type.shape.insert(type.shape.begin(), flow->rows());
    Val v = tensorVal(rec->input(slot, type, where));
    v.type = type;
    v.meaning = o.meaning;
    flow->slots[v.tensor] = slot;
    values.push_back(v);
  }
  flow->steps.push_back(std::move(step));
  return values;
}

bool Checker::flowResult(const Val &given, const ast::Type *declared, const ScopePtr &scope, SourceRange where,
                         const std::string &name, RichType &type) {
  Val v = perRow(given, where);
  auto wrong = [&] {
    std::string part = name.substr(std::min(name.size(), name.find('.') + 1));
    fail(Diag::FlowResult, where, {name == "result" ? "`" + flow->name + "`" : "`" + part + "` of `" + flow->name + "`", declared ? "`" + source(declared->range) + "`" : "texts, images, tensors, records, lists or optional values of them",
                                   describe(v)});
    return false;
  };
  if (v.poison())
    return false;
  if (declared && declared->kind == ast::Type::Kind::Record) {
    if (!v.is(Val::Kind::Record))
      return wrong();
    auto &record = static_cast<const ast::RecordType &>(*declared);
    type.kind = RichType::Kind::Record;
    bool ok = true;
    for (auto &f : record.fields) {
      const Val *field = v.field(f.name.text);
      if (!field) {
        fail(Diag::MissingField, where, {flow->name, f.name.text});
        ok = false;
        continue;
      }
      type.names.push_back(f.name.text);
      type.fields.emplace_back();
      ok &= flowResult(*field, f.type.get(), scope, where, name + "." + f.name.text, type.fields.back());
    }
    for (auto &given : v.names)
      if (std::none_of(record.fields.begin(), record.fields.end(), [&](auto &f) { return f.name.text == given; })) {
        fail(Diag::ExtraField, where, {flow->name, given});
        ok = false;
      }
    return ok;
  }
  if (!declared && v.is(Val::Kind::Record)) {
    type.kind = RichType::Kind::Record;
    type.names = v.names;
    bool ok = true;
    for (size_t i = 0; i < v.items.size(); ++i) {
      type.fields.emplace_back();
      ok &= flowResult(v.items[i], nullptr, scope, where, name + "." + v.names[i], type.fields.back());
    }
    return ok;
  }
  bool list = declared && declared->kind == ast::Type::Kind::List, maybe = declared && declared->kind == ast::Type::Kind::Optional;
  if (v.is(Val::Kind::Elements) || v.is(Val::Kind::Perhaps)) {
    bool elements = v.is(Val::Kind::Elements);
    if (declared && !(elements ? list : maybe))
      return wrong();
    if (flow->spaces[v.space].outside != flow->space)
      return wrong();
    type.kind = elements ? RichType::Kind::List : RichType::Kind::Optional;
    type.slot = flow->spaces[v.space].slot;
    type.fields.emplace_back();
    const ast::Type *inner = list    ? static_cast<const ast::ListType *>(declared)->element.get()
                             : maybe ? static_cast<const ast::OptionalType *>(declared)->element.get()
                                     : nullptr;
    Within within(*this, v.space);
    return flowResult(v.items[0], inner, scope, where, name, type.fields[0]);
  }
  if (list || maybe)
    return wrong();
  bool stream = declared && declared->kind == ast::Type::Kind::Stream;
  const ast::Type *inner = stream ? static_cast<const ast::StreamType &>(*declared).element.get() : declared;
  std::optional<Pattern> pattern;
  if (inner)
    pattern = resolve(*inner, scope, true);
  if (pattern && pattern->kind == Pattern::Kind::Invalid)
    return false;
  if (v.is(Val::Kind::Text)) {
    if (pattern && (pattern->kind != Pattern::Kind::Text || (stream && !v.stream)))
      return wrong();
    type.kind = RichType::Kind::Text;
    type.slot = v.text;
    type.stream = pattern ? stream : v.stream; // a text that is wanted whole is waited for
    return true;
  }
  if (v.is(Val::Kind::Image)) {
    if (pattern && pattern->kind != Pattern::Kind::Image)
      return wrong();
    type.kind = RichType::Kind::Image;
    type.slot = v.text;
    return true;
  }
  if (!v.is(Val::Kind::Tensor) || stream)
    return wrong();
  if (v.type.shape.empty() || v.type.shape[0] != flow->rows()) {
    fail(Diag::FlowNotBatched, where, {flow->name, describe(v)}, "its first dimension is that of the records");
    return false;
  }
  Val one = v;
  one.type.shape.erase(one.type.shape.begin());
  if (pattern && pattern->kind == Pattern::Kind::Choice) { // label{cat, dog}
    pattern->kind = Pattern::Kind::Tensor;
    pattern->elem = Elem::I32;
    pattern->isLabel = true;
    pattern->classes = Dim(int64_t(pattern->choices.size()));
  }
  if (pattern && pattern->kind == Pattern::Kind::Bool) // alone it is a setting's type as well
    pattern->kind = Pattern::Kind::Tensor;
  if (pattern) {
    Matching matching{scope, {}, {}, {}};
    if (pattern->kind != Pattern::Kind::Tensor)
      return wrong();
    const Val bound = bind(*pattern, {one, where, "", nullptr, {}}, {flow->name, "", true}, matching);
    if (bound.poison() || !settleDeferred(matching))
      return false;
    if (pattern->isLabel)
      one.type.classes = bound.type.classes;
    type.labels = pattern->choices;
    type.classesOf = pattern->classesOf;
  }
  type.meaning = pattern && !pattern->meaning.empty() ? pattern->meaning : v.meaning;
  type.tensor = one.type;
  auto known = flow->slots.find(v.tensor);
  if (known == flow->slots.end()) {
    type.slot = flow->freshSlot(name);
    flow->slots[v.tensor] = type.slot;
    rec->output(type.slot, v.tensor);
  } else {
    type.slot = known->second;
  }
  return true;
}

void Checker::checkFlow(const ast::CallableDecl &d, Module *m) {
  reached.insert(&d);
  FlowProgram out;
  out.name = d.name.text;
  FlowBuild made;
  made.name = d.name.text;
  made.spaces.push_back({Dim::symbol("records"), 0, {}, ""});
  made.sizes.insert("records");
  bool ok = true;
  std::optional<Function> whole;
  build(d.name.text + ".flow", [&] {
    flow = &made;
    auto scope = std::make_shared<Scope>();
    scope->parent = globalScope(m);
    scope->module = m;
    scope->callBorder = true;
    scope->space = 0;
    if (ScopePtr settings = bindFlowSettings(d, m, {}, d.name.range))
      scope->parent = settings;
    else
      ok = false;
    for (auto *p : signature(d).inputs)
      reserveSlots(p->name.text, *p->type);
    for (auto *p : signature(d).inputs) {
      out.inputs.emplace_back(p->name.text, RichType{});
      Val v = flowInput(p->name.text, *p->type, p->name.range, scope, out.inputs.back().second);
      ok &= !v.poison();
      scope->names[p->name.text] = {v, p->name.range};
    }
    calls.push_back({d.name.range, d.name.text});
    Val result = ok ? evalBlock(*d.body, scope) : Val{};
    calls.pop_back();
    SourceRange at = d.body->statements.empty() ? d.name.range : d.body->statements.back()->range;
    if (ok && result.is(Val::Kind::None)) {
      fail(Diag::NoResult, at, {d.name.text}, "its last line must be a value");
      ok = false;
    }
    ok = ok && flowResult(result, d.result.get(), scope, at, "result", out.result);
    if (ok)
      whole = rec->finish(program->tensors);
    flow = nullptr;
  }, false);
  if (!ok || !whole)
    return;
  for (Arg &a : whole->args)
    if (a.role == Role::Input && a.name.ends_with("[]"))
      a.name.resize(a.name.size() - 2);
  out.steps = made.cut(*whole, *program);
  program->flows.push_back(std::move(out));
}

Val Checker::applyFlow(const ast::CallableDecl &d, Module *m, const Args &args, ScopePtr settings, SourceRange where) {
  if (!flow)
    return fail(Diag::FlowOutsideFlow, where, {d.name.text});
  if (flow->depth > 20)
    return fail(Diag::CallsTooDeep, where, {d.name.text});
  Signature sig = signature(d);
  std::map<std::string, Given> set;
  std::vector<const Given *> given(sig.inputs.size());
  size_t next = 0;
  bool inputs = sig.inputs.empty();
  for (auto &a : args) {
    bool setting = std::any_of(sig.settings.begin(), sig.settings.end(), [&](auto *p) { return p->name.text == a.name; });
    if (setting && !settings) {
      if (!set.emplace(a.name, a).second)
        return fail(Diag::SettingTwice, a.told(), {d.name.text, a.name});
      continue;
    }
    size_t i = 0;
    if (a.name.empty())
      i = next++;
    else
      while (i < sig.inputs.size() && sig.inputs[i]->name.text != a.name)
        ++i;
    if (i >= sig.inputs.size()) {
      if (!a.name.empty())
        return fail(Diag::UnknownInput, a.told(), {d.name.text, a.name});
      return sig.settings.empty() ? fail(Diag::TooManyInputs, a.where, {d.name.text, counted(sig.inputs.size(), "input")})
                                  : fail(Diag::FlowSettingByName, a.where, {d.name.text, counted(sig.inputs.size(), "input")},
                                         "write `" + sig.settings[0]->name.text + ": " + source(a.where) + "`");
    }
    if (given[i])
      return fail(Diag::SettingTwice, a.told(), {d.name.text, sig.inputs[i]->name.text});
    given[i] = &a;
    inputs = true;
  }
  if (!settings)
    settings = bindFlowSettings(d, m, std::move(set), where);
  if (!settings)
    return {};
  if (!inputs) { // `photo |> found(score: 0.4)`
    auto bound = std::make_shared<Callable>();
    bound->kind = Callable::Kind::Bound;
    bound->decl = &d;
    bound->module = m;
    bound->settings = settings;
    return Val::of(std::move(bound));
  }
  auto scope = std::make_shared<Scope>();
  scope->parent = settings;
  scope->module = m;
  scope->callBorder = true;
  scope->space = flow->space;
  Matching matching{scope, {}, {}, {}};
  // What a record holds has one row for each row of its space.
  std::function<void(Pattern &, const Val &, size_t)> withRows = [&](Pattern &pattern, const Val &v, size_t space) {
    if (pattern.kind == Pattern::Kind::Tensor)
      pattern.sizes.insert(pattern.sizes.begin(), Pattern::Size{false, flow->spaces[space].rows, pattern.where});
    for (size_t i = 0; i < pattern.fields.size(); ++i)
      if (const Val *field = pattern.kind == Pattern::Kind::Record ? v.field(pattern.names[i]) : !v.items.empty() ? &v.items[0] : nullptr)
        withRows(pattern.fields[i], *field, v.is(Val::Kind::Elements) || v.is(Val::Kind::Perhaps) ? v.space : space);
  };
  for (size_t i = 0; i < given.size(); ++i) {
    const ast::Parameter &p = *sig.inputs[i];
    if (!given[i])
      return fail(Diag::MissingInput, where, {d.name.text, p.name.text, source(p.type->range)});
    if (given[i]->value.poison())
      return {};
    Pattern pattern = resolve(*p.type, scope, true);
    withRows(pattern, given[i]->value, flow->space);
    Val v = bind(pattern, *given[i], {d.name.text, p.name.text, false}, matching);
    if (v.poison())
      return {};
    scope->names[p.name.text] = {v, p.name.range};
  }
  if (!settleDeferred(matching))
    return {};
  publish(matching);
  ++flow->depth;
  calls.push_back({where, d.name.text});
  Val result = evalBlock(*d.body, scope);
  calls.pop_back();
  --flow->depth;
  return result;
}

} // namespace bigm::sema
