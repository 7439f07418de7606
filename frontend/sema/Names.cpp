// What a name stands for: variables, letters, declarations of this and other files, members, constants.
#include "Checker.h"
#include "OtherNames.h"
#include <algorithm>
#include <cmath>

namespace bigm::sema {

/// The module of the library that declares the name; empty when none does.
static std::string libraryModuleOf(const std::string &name) {
  for (auto &module : libraryModules())
    for (const char *kind : {"fn ", "model ", "fit "})
      if (libraryModule(module)->find(std::string("\n") + kind + name + "(") != std::string::npos)
        return module;
  return "";
}
/// The same name in a module that is not used, what it is called elsewhere, or a name that is nearly the same.
static std::string hintForUnknown(const std::string &name, const std::vector<std::string> &visible) {
  if (std::string module = libraryModuleOf(name); !module.empty())
    return "it stands in the library: `use " + module + "`";
  if (OwnName own = ownNameOf(name); own.isName) {
    std::string module = std::find(visible.begin(), visible.end(), own.text) != visible.end() ? "" : libraryModuleOf(std::string(own.text));
    return "here it is `" + std::string(own.text) + "`" + (module.empty() ? "" : " of the library: `use " + module + "`");
  } else if (!own.text.empty())
    return "here it is " + std::string(own.text);
  std::string near = didYouMean(name, visible);
  return near.empty() ? "" : "did you mean `" + near + "`?";
}

Val Checker::evalRef(const ast::RefExpr &e, const ScopePtr &scope) {
  if (indexing)
    if (auto letter = letterValue(e.name))
      return *letter;
  if (const Scope::Binding *b = scope->find(e.name)) {
    if (b->tensor >= 0)
      return tensorValue(b->tensor);
    if (b->value.is(Val::Kind::Tensor) && b->value.function != serial)
      return fail(Diag::InputInInitialValue, e.range, {e.name});
    if (flow)
      if (auto from = spaceOf(e.name, scope))
        return lifted(b->value, *from, e.range);
    return b->value;
  }
  if (e.name == "true" || e.name == "false")
    return Val::of(e.name == "true");
  if (e.name == "none")
    return Val::none();
  if (e.name == "training")
    return Val::of(training_);
  if (Found f = findDecl(e.name, scope->module); f.decl)
    return declValue(f, e.range);
  if (e.name == "pi")
    return Val::of(M_PI);
  if (const Builtin *b = findBuiltin(e.name)) {
    auto c = std::make_shared<Callable>();
    c->kind = Callable::Kind::Builtin;
    c->builtin = b;
    return Val::of(std::move(c));
  }
  if (scope->module->incomplete)
    return {};
  return fail(Diag::UnknownName, e.range, {e.name}, hintForUnknown(e.name, visibleNames(scope)));
}

Val Checker::declValue(const Found &f, SourceRange where) {
  reached.insert(f.decl);
  switch (f.decl->kind) {
  case ast::Decl::Kind::Const: return evalConst(static_cast<const ast::ConstDecl &>(*f.decl), f.module);
  case ast::Decl::Kind::Model:
  case ast::Decl::Kind::Flow:
  case ast::Decl::Kind::Fn: {
    auto c = std::make_shared<Callable>();
    c->decl = static_cast<const ast::CallableDecl *>(f.decl);
    c->module = f.module;
    return Val::of(std::move(c));
  }
  case ast::Decl::Kind::Fit: {
    auto &fit = static_cast<const ast::FitDecl &>(*f.decl);
    if (fit.value)
      return fitValue(fit, f.module, where);
    return fail(Diag::FitUsedAsFunction, where, {f.decl->name.text},
                "write `fit name = " + f.decl->name.text + "(data.train.field)` and use `name`");
  }
  case ast::Decl::Kind::Instance:
  case ast::Decl::Kind::Train: {
    auto instance = f.decl->kind == ast::Decl::Kind::Train
                        ? trainInstance(static_cast<const ast::TrainDecl &>(*f.decl), f.module, where)
                        : sharedInstance(static_cast<const ast::InstanceDecl &>(*f.decl), f.module);
    if (!instance)
      return {};
    auto c = std::make_shared<Callable>();
    c->kind = Callable::Kind::Model;
    c->instance = instance;
    return Val::of(std::move(c));
  }
  default: return fail(Diag::NotAValue, where, {f.decl->name.text});
  }
}

Val Checker::evalConst(const ast::ConstDecl &d, Module *m) {
  auto known = constants.find(&d);
  if (known != constants.end())
    return known->second;
  if (!evaluatingConst.insert(&d).second)
    return fail(Diag::ConstOfItself, d.name.range, {d.name.text});
  reached.insert(&d);
  Val v;
  if (auto set = overridden("const." + d.name.text); set && m->name.empty()) {
    v = *set;
  } else {
    v = eval(*d.value, globalScope(m));
  }
  if (v.is(Val::Kind::Tokenizer) && v.text.empty()) {
    v.text = d.name.text;
    for (TokenizerProgram &t : program->tokenizers)
      if (t.name.empty())
        t.name = v.text;
  }
  if (d.type && !v.poison()) {
    Matching matching{std::make_shared<Scope>(*globalScope(m)), {}, {}, {}};
    v = bind(resolve(*d.type, globalScope(m), false), {v, d.value->range, "", d.value.get(), {}},
             {"const", d.name.text, false}, matching);
  }
  if (v.is(Val::Kind::Tensor))
    v = fail(Diag::ConstNotConstant, d.value->range, {d.name.text},
             "a `const` can be a number or a list of them, `[1, 2]`, of which `stack` makes a tensor where it is used");
  evaluatingConst.erase(&d);
  return constants[&d] = v;
}

Val Checker::evalMember(const ast::MemberExpr &e, const ScopePtr &scope) {
  if (auto field = dataMember(e, scope))
    return *field;
  Val base = eval(*e.base, scope);
  if (base.poison() || base.is(Val::Kind::Unknown))
    return base;
  if (base.is(Val::Kind::Record)) {
    if (const Val *field = base.field(e.member.text))
      return *field;
    std::string near = didYouMean(e.member.text, base.names), all;
    for (auto &n : base.names)
      all += (all.empty() ? "`" : ", `") + n + "`";
    return fail(Diag::NoSuchField, e.member.range, {e.member.text},
                near.empty() ? "it has " + all : "did you mean `" + near + "`?");
  }
  if ((base.is(Val::Kind::Elements) || base.is(Val::Kind::Perhaps)) && base.items[0].is(Val::Kind::Record))
    if (const Val *field = base.items[0].field(e.member.text)) { // of every element
      Val out = base;
      out.items = {*field};
      return out;
    }
  if (base.is(Val::Kind::Image))
    if (auto size = memberOfImage(base, e.member))
      return *size;
  if (base.is(Val::Kind::Tensor) && base.meaning == "box")
    if (auto part = memberOfBox(base, e.member))
      return *part;
  if (base.is(Val::Kind::Callable) && base.callable->kind == Callable::Kind::Model)
    return memberOfInstance(base.callable->instance, e.member);
  if (base.is(Val::Kind::Tokenizer) && e.member.text == "size") {
    if (base.integer.isConstant() && *base.integer.constant() > 0)
      return Val::of(base.integer);
    return fail(Diag::VocabularySizeOpen, e.range, {base.text}, "say `at_most: 10000` where `" + base.text + "` is declared; the size is then that");
  }
  return fail(Diag::NoMembers, e.member.range, {describe(base), e.member.text},
              base.is(Val::Kind::Tensor) && e.member.text == "shape" ? "its sizes are `size(x, axis)`, and the names of its type's dimensions" : "");
}

} // namespace bigm::sema
