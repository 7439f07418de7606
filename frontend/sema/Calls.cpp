// Calls: which arguments are settings and which inputs, and the application of a body to them.
#include "Checker.h"

namespace bigm::sema {

static const ast::ScalarType *scalarType(const ast::Parameter &p) {
  return p.type && p.type->kind == ast::Type::Kind::Scalar ? static_cast<const ast::ScalarType *>(p.type.get()) : nullptr;
}

static bool isChoice(const ast::Parameter &p) {
  auto *s = scalarType(p);
  return s && !s->choices.empty();
}

static std::vector<std::string> namesOf(const std::vector<const ast::Parameter *> &list) {
  std::vector<std::string> names;
  for (auto *p : list)
    names.push_back(p->name.text);
  return names;
}

Signature Checker::signature(const ast::CallableDecl &d) const {
  Signature s;
  if (d.hasSettings) {
    for (auto &p : d.settings)
      s.settings.push_back(&p);
    for (auto &p : d.inputs)
      s.inputs.push_back(&p);
    return s;
  }
  for (auto &p : d.inputs) {
    auto *t = scalarType(p);
    // A flow takes texts, flags and classes, so of its parameters a default makes a setting.
    bool setting = p.defaultValue || (d.kind != ast::Decl::Kind::Flow && isChoice(p)) ||
                   (d.kind != ast::Decl::Kind::Flow && t && (t->name.text == "int" || t->name.text == "bool" || t->name.text == "schedule" ||
                          t->name.text == "text" || t->name.text == "fn"));
    (setting ? s.settings : s.inputs).push_back(&p);
  }
  return s;
}

bool Checker::fitsInput(const Val &v, const ast::Parameter &p) const {
  if (v.is(Val::Kind::Tensor) || v.is(Val::Kind::Record) || v.is(Val::Kind::List) || v.poison())
    return true;
  return v.numeric() && scalarType(p);
}

Args Checker::evalArguments(const std::vector<ast::Argument> &list, const ScopePtr &scope,
                            const ast::CallableDecl *callee) {
  Args out;
  Signature sig;
  if (callee)
    sig = signature(*callee);
  size_t position = 0;
  for (auto &a : list) {
    Given g;
    g.where = a.value->range;
    g.expr = a.value.get();
    g.name = a.name.text;
    g.named = a.name.range;
    if (a.label) {
      unsupported("an argument with a dotted name", a.label->range);
      out.push_back(g);
      continue;
    }
    // `precision(macro)`: a word of the setting that it fills.
    auto *ref = ast::as<ast::RefExpr>(a.value.get());
    const ast::Parameter *choice = nullptr;
    for (size_t i = 0; callee && ref && i < sig.settings.size(); ++i)
      if (isChoice(*sig.settings[i]) &&
          (!g.name.empty() ? sig.settings[i]->name.text == g.name
                           : i == position || (!callee->hasSettings && position < callee->inputs.size() && sig.settings[i] == &callee->inputs[position])))
        choice = sig.settings[i];
    if (g.name.empty())
      ++position;
    bool known = false;
    std::vector<std::string> words;
    if (choice)
      for (auto &c : scalarType(*choice)->choices) {
        words.push_back(c.text);
        known |= c.text == ref->name;
      }
    if (known) {
      g.value = Val::word(ref->name);
    } else if (choice && !scope->find(ref->name)) {
      std::string near = didYouMean(ref->name, words), all;
      for (auto &w : words)
        all += (all.empty() ? "`" : ", `") + w + "`";
      g.value = fail(Diag::NotAChoice, g.where, {ref->name, choice->name.text, all},
                     near.empty() ? "" : "did you mean `" + near + "`?");
    } else {
      std::string hint = std::move(nameHint); // the hint names the call's own instance, not one among its arguments
      nameHint.clear();
      g.value = eval(*a.value, scope);
      nameHint = std::move(hint);
      if (ref)
        if (const Scope::Binding *b = scope->find(ref->name))
          g.origin = b->where;
    }
    out.push_back(std::move(g));
  }
  return out;
}

Val Checker::evalCall(const ast::CallExpr &e, const ScopePtr &scope, const Given *piped) {
  if (!piped && isLetterCall(e, scope))
    return indexing ? reduceLetters(e, scope) : evalLetterCall(e, scope);
  Val callee = eval(*e.callee, scope);
  if (callee.is(Val::Kind::Tokenizer)) {
    // `vocabulary(line)`, `line |> vocabulary(at_most: 64)`: tokens by it.
    Args args = evalArguments(e.arguments, scope, nullptr);
    if (piped)
      args.insert(args.begin(), *piped);
    return apply(callee, args, e.range, source(e.callee->range));
  }
  const ast::CallableDecl *decl =
      callee.is(Val::Kind::Callable) && callee.callable->kind == Callable::Kind::Decl ? callee.callable->decl : nullptr;
  if (!piped) {
    Args args = evalArguments(e.arguments, scope, decl);
    return apply(callee, args, e.range, source(e.callee->range));
  }
  Args args = evalArguments(e.arguments, scope, decl);
  std::string text = source(e.callee->range);
  auto withInput = [&] {
    Args all = {*piped};
    all.insert(all.end(), args.begin(), args.end());
    return apply(callee, all, e.range, text);
  };
  if (callee.is(Val::Kind::Callable) && callee.callable->kind == Callable::Kind::Builtin)
    return withInput();
  if (decl && decl->kind != ast::Decl::Kind::Model) {
    // `x |> f(a)`: f(a) when that makes an instance, else f(x, a).
    Signature sig = signature(*decl);
    size_t inputs = 0;
    bool applies = false;
    for (auto &a : args) {
      bool named = false;
      for (auto *p : sig.inputs)
        named |= p->name.text == a.name;
      inputs += named || a.name.empty();
      applies |= named || (a.name.empty() && !sig.inputs.empty() && fitsInput(a.value, *sig.inputs[0]) &&
                           (a.value.is(Val::Kind::Tensor) || !decl->hasSettings || sig.settings.empty()));
    }
    if (sig.settings.empty() || (applies && inputs < sig.inputs.size()))
      return withInput();
  }
  Val f = apply(callee, args, e.range, text);
  return apply(f, {*piped}, e.range, source(e.range));
}

Val Checker::apply(const Val &f, const Args &args, SourceRange where, const std::string &text) {
  if (f.poison())
    return {};
  if (f.is(Val::Kind::Unknown))
    return {};
  if (f.is(Val::Kind::Tokenizer)) { // `line |> vocabulary`
    Args all = args;
    all.push_back(Given{f, where, "by", nullptr, {}});
    return callBuiltin(*findBuiltin("tokens"), all, where);
  }
  if (!f.is(Val::Kind::Callable)) {
    bool hidden = findBuiltin(text) || findDecl(text, mainModule()).decl;
    return fail(Diag::NotCallable, where, {text, describe(f)},
                hidden ? "the name `" + text + "` is given to a value here, which hides what is called so elsewhere: give it another name" : "");
  }
  if (depth > 200)
    return fail(Diag::CallsTooDeep, where, {text});
  const Callable &c = *f.callable;
  ++depth;
  auto run = [&]() -> Val {
    // A piped value with letters runs through functions as a plain tensor.
    bool letters = false;
    for (auto &a : args)
      letters |= a.value.indexed;
    if (letters && !(c.kind == Callable::Kind::Builtin && c.builtin->op != kWhole))
      return indexedCall([&](const Args &plain) { return apply(f, plain, where, text); }, args, where, text);
    switch (c.kind) {
    case Callable::Kind::Decl: return callDecl(*c.decl, c.module, args, where, false);
    case Callable::Kind::Bound:
      return c.decl->kind == ast::Decl::Kind::Flow ? applyFlow(*c.decl, c.module, args, c.settings, where)
                                                   : applyInputs(*c.decl, c.module, c.settings, args, where, nullptr);
    case Callable::Kind::Model: return applyModel(c.instance, args, where);
    case Callable::Kind::Builtin: return callBuiltin(*c.builtin, args, where);
    case Callable::Kind::Chain: {
      if (args.size() != 1 || !args[0].name.empty())
        return fail(Diag::ChainInputs, where);
      Given x = args[0];
      for (const Val &link : c.chain) {
        x.value = apply(link, {x}, where, text);
        x.where = where;
        x.expr = nullptr;
        x.origin = {};
        if (x.value.poison())
          return {};
      }
      return x.value;
    }
    case Callable::Kind::Constant: return c.constant;
    }
    return {};
  };
  Val out = run();
  --depth;
  return out;
}

Val Checker::callDecl(const ast::CallableDecl &d, Module *m, const Args &args, SourceRange where, bool) {
  reached.insert(&d);
  if (d.kind == ast::Decl::Kind::Flow)
    return applyFlow(d, m, args, nullptr, where);
  Signature sig = signature(d);
  bool isModel = d.kind == ast::Decl::Kind::Model;
  bool namedInput = false, tensors = false, poison = false;
  size_t positional = 0;
  const Given *first = nullptr;
  for (auto &a : args) {
    poison |= a.value.poison();
    tensors |= a.name.empty() && a.value.is(Val::Kind::Tensor);
    if (a.name.empty()) {
      if (!positional++)
        first = &a;
    } else {
      for (auto *p : sig.inputs)
        namedInput |= p->name.text == a.name;
    }
  }
  // Does the call run the body, or make an instance? Tensors run it; with two lists numbers are settings.
  bool applies;
  if (sig.inputs.empty())
    applies = true;
  else if (namedInput)
    applies = true;
  else if (!first)
    applies = false;
  else if (isModel || (d.hasSettings && !sig.settings.empty()))
    applies = fitsInput(first->value, *sig.inputs[0]) && !first->value.numeric();
  else
    applies = sig.settings.empty() || tensors || fitsInput(first->value, *sig.inputs[0]);
  // More arguments than inputs are meant as the parameters stand, settings among inputs.
  bool asWritten = applies && !d.hasSettings && positional > sig.inputs.size();

  std::map<std::string, Given> settings;
  Args inputs;
  size_t nextInput = 0, nextSetting = 0;
  bool ok = true;
  auto give = [&](const ast::Parameter &p, const Given &a) {
    auto [at, added] = settings.emplace(p.name.text, a);
    if (!added) {
      Diagnostic &e = error(Diag::SettingTwice, a.told(), {d.name.text, p.name.text});
      note(e, at->second.where, "first given here");
      ok = false;
    }
  };
  size_t place = 0;
  for (auto &a : args) {
    if (a.name.empty() && asWritten && place < d.inputs.size()) {
      const ast::Parameter &p = d.inputs[place++];
      if (std::find(sig.inputs.begin(), sig.inputs.end(), &p) != sig.inputs.end())
        inputs.push_back(a);
      else
        give(p, a);
      continue;
    }
    if (a.name.empty()) {
      if (applies && nextInput < sig.inputs.size()) {
        Given g = a;
        inputs.push_back(g);
        ++nextInput;
      } else if (nextSetting < sig.settings.size()) {
        give(*sig.settings[nextSetting++], a);
      } else {
        fail(Diag::TooManyArguments, a.where,
             {d.name.text, counted(applies ? sig.inputs.size() + sig.settings.size() : sig.settings.size(), "argument")});
        ok = false;
      }
      continue;
    }
    const ast::Parameter *setting = nullptr;
    bool input = false;
    for (auto *p : sig.settings)
      if (p->name.text == a.name)
        setting = p;
    for (auto *p : sig.inputs)
      input |= p->name.text == a.name;
    if (setting) {
      give(*setting, a);
    } else if (input) {
      inputs.push_back(a);
    } else {
      auto names = namesOf(sig.settings), more = namesOf(sig.inputs);
      names.insert(names.end(), more.begin(), more.end());
      std::string near = didYouMean(a.name, names), all;
      for (auto &n : namesOf(sig.settings))
        all += (all.empty() ? "`" : ", `") + n + "`";
      // The name stands before the value.
      fail(Diag::UnknownSetting, a.told(), {d.name.text, a.name},
           !near.empty() ? "did you mean `" + near + "`?" : all.empty() ? "it has no settings" : "its settings are " + all);
      ok = false;
    }
  }
  if (!ok || poison)
    return {};
  ScopePtr scope = bindSettings(d, m, sig.settings, settings, where);
  if (!scope)
    return {};
  auto callable = std::make_shared<Callable>();
  callable->decl = &d;
  callable->module = m;
  callable->settings = scope;
  if (isModel) {
    auto instance = makeInstance(d, m, scope, where);
    if (!instance)
      return {};
    if (applies && !sig.inputs.empty())
      return applyModel(instance, inputs, where);
    callable->kind = Callable::Kind::Model;
    callable->instance = instance;
    return Val::of(std::move(callable));
  }
  if (applies)
    return applyInputs(d, m, scope, inputs, where, nullptr);
  callable->kind = Callable::Kind::Bound;
  return Val::of(std::move(callable));
}

ScopePtr Checker::bindSettings(const ast::CallableDecl &d, Module *m, const std::vector<const ast::Parameter *> &list,
                               const std::map<std::string, Given> &given, SourceRange where) {
  auto scope = std::make_shared<Scope>();
  scope->parent = globalScope(m);
  scope->module = m;
  scope->callBorder = true;
  for (auto *p : list)
    if (auto *s = scalarType(*p))
      for (auto &c : s->choices)
        scope->names[c.text] = {Val::word(c.text), c.range};
  bool ok = true;
  Matching matching{scope, {}, {}, {}};
  for (auto *p : list) {
    Val v;
    auto g = given.find(p->name.text);
    if (g != given.end()) {
      // What is handed on may be nothing where nothing is what it would be if it were left out.
      v = g->second.value;
      if (!v.is(Val::Kind::None) || !p->defaultValue || !eval(*p->defaultValue, scope).is(Val::Kind::None))
        v = bind(resolve(*p->type, scope, true), g->second, {d.name.text, p->name.text, false}, matching);
      ok &= !v.poison();
    } else if (p->defaultValue) {
      v = eval(*p->defaultValue, scope);
      if (!v.poison() && !v.is(Val::Kind::None))
        v = bind(resolve(*p->type, scope, true), {v, p->defaultValue->range, "", p->defaultValue.get(), {}},
                 {d.name.text, p->name.text, false}, matching);
      ok &= !v.poison();
    } else {
      auto names = namesOf(list);
      fail(Diag::MissingSetting, where, {d.name.text, p->name.text, source(p->type->range)},
           "write `" + d.name.text + "(" + p->name.text + ": ...)`");
      ok = false;
    }
    scope->names[p->name.text] = {v, p->name.range};
  }
  ok &= settleDeferred(matching);
  publish(matching);
  return ok ? scope : nullptr;
}

static bool hasState(const ast::CallableDecl &d) {
  if (d.body)
    for (auto &s : d.body->statements)
      if (s->kind == ast::Stmt::Kind::Param)
        return true;
  return false;
}

Val Checker::applyInputs(const ast::CallableDecl &d, Module *m, const ScopePtr &settings, const Args &given,
                         SourceRange where, const std::shared_ptr<Instance> &instance) {
  Signature sig = signature(d);
  auto scope = std::make_shared<Scope>();
  scope->parent = settings;
  scope->module = m;
  scope->callBorder = true;
  Matching matching{scope, {}, {}, {}};
  std::vector<const Given *> slots(sig.inputs.size());
  size_t next = 0;
  bool ok = true;
  for (auto &a : given) {
    size_t slot = sig.inputs.size();
    if (a.name.empty()) {
      slot = next++;
    } else {
      for (size_t i = 0; i < sig.inputs.size(); ++i)
        if (sig.inputs[i]->name.text == a.name)
          slot = i;
      if (slot == sig.inputs.size()) {
        auto names = namesOf(sig.inputs);
        std::string near = didYouMean(a.name, names);
        fail(Diag::UnknownInput, a.told(), {d.name.text, a.name}, near.empty() ? "" : "did you mean `" + near + "`?");
        ok = false;
        continue;
      }
    }
    if (slot >= sig.inputs.size()) {
      fail(Diag::TooManyInputs, a.where, {d.name.text, counted(sig.inputs.size(), "input")});
      ok = false;
    } else if (slots[slot]) {
      fail(Diag::SettingTwice, a.told(), {d.name.text, sig.inputs[slot]->name.text});
      ok = false;
    } else {
      slots[slot] = &a;
    }
    ok &= !a.value.poison();
  }
  for (size_t i = 0; i < slots.size(); ++i)
    if (!slots[i] && !sig.inputs[i]->defaultValue && ok) {
      fail(Diag::MissingInput, where, {d.name.text, sig.inputs[i]->name.text, source(sig.inputs[i]->type->range)});
      ok = false;
    }
  if (!ok || !d.body)
    return {};
  for (const Given *slot : slots)
    if (slot && slot->value.is(Val::Kind::Unknown)) { // nothing is known of its shape: the body is checked alone
      reached.erase(&d);
      return Val::unknown();
    }
  bool fromLoss = pairs && !current && pairs->depth == calls.size();
  calls.push_back({where, d.name.text});
  for (size_t i = 0; i < slots.size(); ++i) {
    const ast::Parameter &p = *sig.inputs[i];
    Given arg;
    if (slots[i]) {
      arg = *slots[i];
    } else {
      arg.value = eval(*p.defaultValue, settings);
      arg.where = p.defaultValue->range;
    }
    // A mismatch is the caller's: it is told at the call, not inside.
    calls.pop_back();
    Val v = arg.value; // an input may be left out where its default is `none`
    if (!v.is(Val::Kind::None) || !p.defaultValue) {
      Pattern pattern = resolve(*p.type, scope, true);
      if (onnxModels.count(&d))
        anyBatch(pattern, v);
      v = bind(pattern, arg, {d.name.text, p.name.text, false}, matching);
    }
    calls.push_back({where, d.name.text});
    ok &= !v.poison();
    scope->names[p.name.text] = {v, p.name.range};
  }
  ok = settleDeferred(matching) && ok;
  publish(matching);
  if (!ok) {
    calls.pop_back();
    return {};
  }
  // What fits is how the instance is applied, should it be built by itself.
  auto isPlain = [](const Given &in) {
    return in.name.empty() && (in.value.is(Val::Kind::Tensor) || in.value.asNumber());
  };
  if (instance && instance->inputs.empty() && std::all_of(given.begin(), given.end(), isPlain))
    for (auto &in : given)
      instance->inputs.push_back(in.value);
  if (fromLoss && d.kind == ast::Decl::Kind::Fn)
    notePairs(sig, slots);

  // A fn owns no parameters; its states, if any, belong to whoever runs it.
  auto savedCurrent = current;
  Owner *savedOwner = owner;
  Owner inner;
  std::string savedScope = rec->scope;
  int savedIteration = iteration;
  if (!instance) {
    current = nullptr;
    iteration = 0;
    if (owner && hasState(d)) {
      inner.kind = owner->kind;
      inner.prefix = owner->prefix;
      if (owner->entered)
        inner.prefix += freshName(owner->used, d.name.text) + ".";
      inner.entered = true;
      owner->entered = true;
      owner = &inner;
    }
  } else {
    owner = nullptr;
  }
  IndexEnv *savedIndexing = indexing;
  indexing = nullptr;
  auto imported = onnxModels.find(&d);
  Val result = imported == onnxModels.end() ? evalBlock(*d.body, scope)
                                            : applyOnnx(*imported->second, instance, scope, where);
  indexing = savedIndexing;
  current = savedCurrent;
  owner = savedOwner;
  rec->scope = savedScope;
  iteration = savedIteration;

  if (!result.poison() && !result.is(Val::Kind::Unknown)) {
    SourceRange at = d.body->statements.empty() ? d.name.range : d.body->statements.back()->range;
    if (result.is(Val::Kind::None)) {
      result = fail(Diag::NoResult, at, {d.name.text},
                    "its last line must be a value; one that begins with `-` continues the line before, so write `(-x)`");
    } else if (d.result) {
      Matching out{scope, {}, {}, {}};
      result = bind(resolve(*d.result, scope, true), {result, at, "", nullptr, {}}, {d.name.text, "", true}, out);
      if (!settleDeferred(out))
        result = {};
    }
  }
  calls.pop_back();
  return result;
}

void Checker::notePairs(const Signature &sig, const std::vector<const Given *> &inputs) {
  std::vector<Val> tensors;
  for (auto *g : inputs)
    if (g && g->value.is(Val::Kind::Tensor))
      tensors.push_back(g->value);
  if (pairs->firstInputs.empty() && tensors.size() >= 2)
    pairs->firstInputs = {tensors[0], tensors[1]};
  for (auto &label : tensors) {
    if (label.label.empty())
      continue;
    bool known = false;
    for (auto &h : pairs->heads)
      known |= h.label == label.label;
    for (auto &logits : tensors)
      if (!known && logits.type.elem == Elem::F32 && logits.type.shape.size() == 2 &&
          logits.type.shape[1] == label.type.classes) {
        pairs->heads.push_back({label.label, logits});
        break;
      }
  }
}

} // namespace bigm::sema
