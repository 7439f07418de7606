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

static Val textVal(const std::string &slot, bool stream) {
  Val v;
  v.kind = Val::Kind::Text;
  v.text = slot;
  v.stream = stream;
  return v;
}

static Val imageVal(const std::string &slot) {
  Val v;
  v.kind = Val::Kind::Image;
  v.text = slot;
  return v;
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

Val Checker::flowInput(const ast::Parameter &p, const ScopePtr &scope, RichType &type) {
  const std::string &name = p.name.text;
  type.slot = name;
  flow->names.insert(name);
  Pattern t = resolve(*p.type, scope, true);
  if (t.kind == Pattern::Kind::Invalid)
    return {};
  if (t.kind == Pattern::Kind::Text) {
    type.kind = RichType::Kind::Text;
    return textVal(name, false);
  }
  if (t.kind == Pattern::Kind::Image) {
    type.kind = RichType::Kind::Image;
    return imageVal(name);
  }
  if (t.kind != Pattern::Kind::Tensor)
    return fail(Diag::FlowInput, p.type->range, {name, "`" + source(p.type->range) + "`"},
                "a flow takes texts, images and tensors; settings stand in the models that it uses");
  for (auto &s : t.sizes)
    if (s.pack)
      return fail(Diag::FlowInput, p.type->range, {name, "of any rank"}, "write its dimensions out");
  Val one = symbolic(p, scope); // gives free sizes their names
  if (!one.is(Val::Kind::Tensor))
    return {};
  type.tensor = one.type;
  type.meaning = t.meaning;
  for (const Dim &d : one.type.shape) {
    std::vector<std::string> symbols;
    d.symbols(symbols);
    flow->sizes.insert(symbols.begin(), symbols.end());
  }
  TensorType batched = one.type;
  batched.shape.insert(batched.shape.begin(), flow->rows());
  // Under a name that no program can write: `symbolic` has taken the plain one for the single record.
  Val v = tensorVal(rec->input(name + "[]", batched, p.name.range));
  v.type = batched;
  v.meaning = t.meaning;
  flow->slots[v.tensor] = name;
  return v;
}

bool Checker::flowResult(const Val &given, const ast::Type *declared, const ScopePtr &scope, SourceRange where,
                         const std::string &name, RichType &type) {
  Val v = perRow(given, where);
  auto wrong = [&] {
    fail(Diag::FlowResult, where, {flow->name, declared ? "`" + source(declared->range) + "`" : "texts, images, tensors, records, lists or optional values of them",
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
    if (pattern && (pattern->kind != Pattern::Kind::Text || v.stream != stream))
      return wrong();
    type.kind = RichType::Kind::Text;
    type.slot = v.text;
    type.stream = v.stream;
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
    if (bind(*pattern, {one, where, "", nullptr, {}}, {flow->name, "", true}, matching).poison() || !settleDeferred(matching))
      return false;
    type.labels = pattern->choices;
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
    if (d.hasSettings)
      for (auto &p : d.settings) {
        unsupported("a flow with settings", p.name.range);
        ok = false;
      }
    for (auto &p : d.inputs) {
      out.inputs.emplace_back(p.name.text, RichType{});
      Val v = flowInput(p, scope, out.inputs.back().second);
      ok &= !v.poison();
      scope->names[p.name.text] = {v, p.name.range};
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

Val Checker::applyFlow(const ast::CallableDecl &d, Module *m, const Args &args, SourceRange where) {
  if (!flow)
    return fail(Diag::FlowOutsideFlow, where, {d.name.text});
  if (flow->depth > 20)
    return fail(Diag::CallsTooDeep, where, {d.name.text});
  auto scope = std::make_shared<Scope>();
  scope->parent = globalScope(m);
  scope->module = m;
  scope->callBorder = true;
  scope->space = flow->space;
  std::vector<const Given *> given(d.inputs.size());
  size_t next = 0;
  for (auto &a : args) {
    size_t i = 0;
    if (a.name.empty())
      i = next++;
    else
      while (i < d.inputs.size() && d.inputs[i].name.text != a.name)
        ++i;
    if (i >= d.inputs.size())
      return a.name.empty() ? fail(Diag::TooManyInputs, a.where, {d.name.text, std::to_string(d.inputs.size())})
                            : fail(Diag::UnknownInput, a.where, {d.name.text, a.name});
    given[i] = &a;
  }
  Matching matching{scope, {}, {}, {}};
  for (size_t i = 0; i < given.size(); ++i) {
    const ast::Parameter &p = d.inputs[i];
    if (!given[i])
      return fail(Diag::MissingInput, where, {d.name.text, p.name.text, source(p.type->range)});
    if (given[i]->value.poison())
      return {};
    Pattern pattern = resolve(*p.type, scope, true);
    if (pattern.kind == Pattern::Kind::Tensor)
      pattern.sizes.insert(pattern.sizes.begin(), Pattern::Size{false, flow->rows(), p.type->range});
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
