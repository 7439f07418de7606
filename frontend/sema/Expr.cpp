// Expressions and statements.
#include "Checker.h"
#include "OtherNames.h"
#include <algorithm>
#include <cmath>

namespace bigm::sema {

namespace {
/// Sets a place for what is recorded while it lives.
struct At {
  At(Recorder *rec, SourceRange where) : rec(rec) {
    if (rec) {
      saved = rec->where;
      rec->where = where;
    }
  }
  ~At() {
    if (rec)
      rec->where = saved;
  }
  Recorder *rec;
  SourceRange saved;
};
} // namespace

Val Checker::tensorVal(Value v) {
  Val out;
  out.kind = Val::Kind::Tensor;
  out.tensor = v;
  out.type = rec->type(v);
  out.function = serial;
  return out;
}

Val Checker::eval(const ast::Expr &e, const ScopePtr &scope) {
  At at(rec, e.range);
  switch (e.kind) {
  case ast::Expr::Kind::Number: return evalNumber(static_cast<const ast::NumberExpr &>(e));
  case ast::Expr::Kind::String: return Val::string(static_cast<const ast::StringExpr &>(e).value);
  case ast::Expr::Kind::Ref: return evalRef(static_cast<const ast::RefExpr &>(e), scope);
  case ast::Expr::Kind::Member: return evalMember(static_cast<const ast::MemberExpr &>(e), scope);
  case ast::Expr::Kind::Call: return evalCall(static_cast<const ast::CallExpr &>(e), scope, nullptr);
  case ast::Expr::Kind::Index:
    return indexing ? evalAccess(static_cast<const ast::IndexExpr &>(e), scope)
                    : evalIndex(static_cast<const ast::IndexExpr &>(e), scope);
  case ast::Expr::Kind::Unary: {
    auto &u = static_cast<const ast::UnaryExpr &>(e);
    bool negate = u.op == ast::UnaryExpr::Op::Negate;
    return pointwise(negate ? Op::Neg : Op::Not, {eval(*u.operand, scope)}, e.range, negate ? "-" : "not");
  }
  case ast::Expr::Kind::Binary: return evalBinary(static_cast<const ast::BinaryExpr &>(e), scope);
  case ast::Expr::Kind::List: {
    Val out;
    out.kind = Val::Kind::List;
    for (auto &item : static_cast<const ast::ListExpr &>(e).items) {
      out.items.push_back(eval(*item, scope));
      if (out.items.back().poison())
        return {};
    }
    return out;
  }
  case ast::Expr::Kind::Record: return evalRecord(static_cast<const ast::RecordExpr &>(e), scope);
  case ast::Expr::Kind::When: return evalWhen(static_cast<const ast::WhenExpr &>(e), scope);
  case ast::Expr::Kind::Repeat: return evalRepeat(static_cast<const ast::RepeatExpr &>(e), scope);
  case ast::Expr::Kind::For: return evalFor(static_cast<const ast::ForExpr &>(e), scope);
  case ast::Expr::Kind::Scan: return evalScan(static_cast<const ast::ScanExpr &>(e), scope);
  case ast::Expr::Kind::Range:
  case ast::Expr::Kind::All: return fail(Diag::IndexForm, e.range, {source(e.range)}, "inside index notation an index is arithmetic on letters");
  }
  return {};
}

Val Checker::evalNumber(const ast::NumberExpr &e) {
  static const std::map<std::string, double> units = {{"%", 0.01},  {"deg", M_PI / 180}, {"kHz", 1000}, {"Hz", 1},
                                                      {"ms", 1e-3}, {"s", 1},            {"us", 1e-6},  {"MHz", 1e6}};
  if (e.unit.empty())
    return e.isInteger ? Val::of(Dim(int64_t(e.value))) : Val::of(e.value);
  auto unit = units.find(e.unit);
  if (unit == units.end())
    return unsupported("unit `" + e.unit + "`", e.range);
  // Division keeps 10% and 28% the nearest doubles to 0.1 and 0.28.
  return Val::of(e.unit == "%" ? e.value / 100 : e.value * unit->second);
}

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

/// `[a, b, c] each x`: what each gives for x; `f each [x, y]`: what f gives for each.
Val Checker::evalEach(const ast::BinaryExpr &e, const ScopePtr &scope) {
  if (!e.right)
    return unsupported("`each` without a value behind it", e.opRange);
  Val left = eval(*e.left, scope), right = eval(*e.right, scope);
  if (left.poison() || right.poison())
    return {};
  auto callable = [](const Val &v) { return v.is(Val::Kind::Callable); };
  bool many = left.is(Val::Kind::List) && !left.items.empty() && std::all_of(left.items.begin(), left.items.end(), callable);
  if (!many && !(callable(left) && right.is(Val::Kind::List)))
    return fail(Diag::EachForm, e.range, {describe(left), describe(right)}, "for example `[small, large] each image`");
  Val out;
  out.kind = Val::Kind::List;
  auto *list = ast::as<ast::ListExpr>(many ? e.left.get() : e.right.get());
  size_t count = many ? left.items.size() : right.items.size();
  for (size_t i = 0; i < count; ++i) {
    const ast::Expr *own = list && i < list->items.size() ? list->items[i].get() : nullptr;
    SourceRange where = many && own ? own->range : e.left->range;
    Given x{many ? right : right.items[i], many || !own ? e.right->range : own->range, "", many ? e.right.get() : own, {}};
    At at(rec, where);
    Val v = apply(many ? left.items[i] : left, {x}, where, source(where));
    if (v.poison())
      return {};
    out.items.push_back(std::move(v));
  }
  return out;
}

Val Checker::evalBinary(const ast::BinaryExpr &e, const ScopePtr &scope) {
  using O = ast::BinaryExpr::Op;
  if (e.op == O::Pipe) {
    Given x{eval(*e.left, scope), e.left->range, "", e.left.get(), {}};
    if (auto *r = ast::as<ast::RefExpr>(e.left.get()))
      if (const Scope::Binding *b = scope->find(r->name))
        x.origin = b->where;
    At at(rec, e.right->range);
    if (auto *call = ast::as<ast::CallExpr>(e.right.get()))
      return evalCall(*call, scope, &x);
    Val f = eval(*e.right, scope);
    return apply(f, {x}, e.right->range, source(e.right->range));
  }
  if (e.op == O::Each)
    return evalEach(e, scope);
  if (e.op == O::To)
    return unsupported("`->`", e.opRange);
  Val l = eval(*e.left, scope);
  // `average == macro`: a word that only the other side knows.
  auto *word = ast::as<ast::RefExpr>(e.right.get());
  Val r = l.is(Val::Kind::Word) && word && !scope->find(word->name) ? Val::word(word->name) : eval(*e.right, scope);
  if (l.is(Val::Kind::Word) || r.is(Val::Kind::Word) || l.is(Val::Kind::None) || r.is(Val::Kind::None)) {
    if (l.poison() || r.poison())
      return {};
    if (l.is(Val::Kind::Unknown) || r.is(Val::Kind::Unknown))
      return Val::unknown();
    if ((e.op == O::Eq || e.op == O::Ne) && (l.kind == r.kind || l.is(Val::Kind::None) || r.is(Val::Kind::None)))
      return Val::of((l.kind == r.kind && l.text == r.text) == (e.op == O::Eq));
    return fail(Diag::CannotCombine, e.opRange, {source(e.opRange), describe(l), describe(r)});
  }
  static const std::map<O, Op> ops = {{O::Or, Op::Or},   {O::And, Op::And}, {O::Eq, Op::Eq},   {O::Ne, Op::Ne},
                                      {O::Lt, Op::Lt},   {O::Le, Op::Le},   {O::Gt, Op::Gt},   {O::Ge, Op::Ge},
                                      {O::Add, Op::Add}, {O::Sub, Op::Sub}, {O::Mul, Op::Mul}, {O::Div, Op::Div},
                                      {O::Pow, Op::Pow}};
  // The whole expression is the place, the operator the name.
  return pointwise(ops.at(e.op), {l, r}, e.opRange.valid() ? e.opRange : e.range, source(e.opRange));
}

Val Checker::evalRecord(const ast::RecordExpr &e, const ScopePtr &scope) {
  Val out;
  out.kind = Val::Kind::Record;
  bool ok = true;
  for (auto &f : e.fields) {
    if (out.field(f.name.text)) {
      fail(Diag::FieldTwice, f.name.range, {f.name.text});
      ok = false;
    }
    out.names.push_back(f.name.text);
    out.items.push_back(eval(*f.value, scope));
    ok &= !out.items.back().poison();
  }
  return ok ? out : Val{};
}

Val Checker::evalWhen(const ast::WhenExpr &e, const ScopePtr &scope) {
  Val c = eval(*e.condition, scope);
  auto branch = [&](const ast::Block &b, bool tensor) {
    auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->module = scope->module;
    inner->tensorBranch = tensor;
    return evalBlock(b, inner);
  };
  if (c.is(Val::Kind::Bool)) {
    if (c.boolean)
      return branch(*e.then, false);
    return e.otherwise ? branch(*e.otherwise, false) : Val::none();
  }
  if (c.poison() || c.is(Val::Kind::Unknown)) {
    // A model that is checked alone has symbols for its settings. Where they decide which branch counts, sizes may clash
    // in the other one; then the value is as little known as the condition.
    undecided += c.is(Val::Kind::Unknown) && generic;
    Val then = branch(*e.then, true);
    Val other = e.otherwise ? branch(*e.otherwise, true) : Val::none();
    undecided -= c.is(Val::Kind::Unknown) && generic;
    if (c.is(Val::Kind::Unknown) && !generic)
      return fail(Diag::ConditionNotKnown, e.condition->range);
    if (c.poison())
      return {};
    bool tensors = then.is(Val::Kind::Tensor) && other.is(Val::Kind::Tensor);
    if (e.otherwise && (then.poison() || other.poison() || (tensors && then.type.shape != other.type.shape)))
      return Val::unknown();
    return then.is(Val::Kind::None) ? other : then;
  }
  if (flow && scope->inFlow() && c.is(Val::Kind::Tensor) && c.type.elem == Elem::Bool)
    return evalFlowWhen(c, e, scope);
  if (!c.is(Val::Kind::Tensor) || c.type.elem != Elem::Bool)
    return fail(Diag::NotACondition, e.condition->range, {describe(c)});
  if (!e.otherwise)
    return fail(Diag::WhenNeedsElse, e.range);
  Val then = branch(*e.then, true), other = branch(*e.otherwise, true);
  return select(c, then, other, e.range);
}

Val Checker::evalRepeat(const ast::RepeatExpr &e, const ScopePtr &scope) {
  if (e.until)
    return unsupported("`repeat until`", e.range);
  Val count = eval(*e.count, scope);
  if (count.poison())
    return {};
  std::optional<int64_t> n;
  if (generic && !(count.asNumber())) {
    n = 1; // a symbolic count: one round shows what every round does
  } else {
    n = wholeNumber(count, e.count->range, "the count of `repeat`");
  }
  if (!n)
    return {};
  if (*n < 0 || *n > 10000)
    return fail(Diag::RepeatCount, e.count->range, {std::to_string(*n)});
  auto chain = std::make_shared<Callable>();
  chain->kind = Callable::Kind::Chain;
  Val last = Val::none();
  int outer = iteration;
  for (int64_t i = 1; i <= *n; ++i) {
    iteration = i;
    auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->module = scope->module;
    last = evalBlock(*e.body, inner);
    if (last.poison()) {
      iteration = outer;
      return {};
    }
    if (last.is(Val::Kind::Callable))
      chain->chain.push_back(last);
  }
  iteration = outer;
  return chain->chain.size() == size_t(*n) ? Val::of(std::move(chain)) : last;
}

Val Checker::evalBlock(const ast::Block &b, const ScopePtr &scope) {
  Val result = Val::none();
  for (size_t i = 0; i < b.statements.size(); ++i) {
    const ast::Stmt &s = *b.statements[i];
    bool last = i + 1 == b.statements.size();
    switch (s.kind) {
    case ast::Stmt::Kind::Assign: evalAssign(static_cast<const ast::AssignStmt &>(s), scope); break;
    case ast::Stmt::Kind::Param: declareParam(static_cast<const ast::ParamStmt &>(s), scope); break;
    case ast::Stmt::Kind::Result: {
      Val v = eval(*static_cast<const ast::ResultStmt &>(s).value, scope);
      if (last)
        result = v;
      else if (!v.poison() && !v.is(Val::Kind::None) && !v.is(Val::Kind::Unknown))
        fail(Diag::ValueNotUsed, s.range, {}, "give it a name, or remove it; only the last line of a block is its value");
      break;
    }
    case ast::Stmt::Kind::Yield:
      if (!last || !scope->yields)
        return fail(Diag::YieldPlace, s.range);
      result = eval(*static_cast<const ast::YieldStmt &>(s).value, scope);
      break;
    }
  }
  return result;
}

void Checker::evalAssign(const ast::AssignStmt &s, const ScopePtr &scope) {
  Val v;
  if (s.indexed) {
    v = evalIndexed(s, scope);
  } else {
    // `stem = Stem()`: the variable names the instance.
    if (auto *call = ast::as<ast::CallExpr>(s.value.get()))
      if (auto *callee = ast::as<ast::RefExpr>(call->callee.get()); callee && !scope->find(callee->name))
        if (Found f = findDecl(callee->name, scope->module); f.decl && f.decl->kind == ast::Decl::Kind::Model)
          nameHint = s.name.text;
    v = eval(*s.value, scope);
    nameHint.clear();
    if (s.type && !v.poison()) {
      auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      inner->module = scope->module;
      Matching m{inner, {}, {}, {}};
      Pattern p = resolve(*s.type, scope, true);
      v = bind(p, {v, s.value->range, "", s.value.get(), {}}, {s.name.text, s.name.text, true}, m);
      settleDeferred(m);
      publish(m);
      for (auto &[name, binding] : inner->names) // names that the annotation introduces stay known
        scope->names.emplace(name, binding);
    }
  }
  if (v.is(Val::Kind::None))
    v = fail(Diag::NothingToAssign, s.value->range, {s.name.text});
  assign(s.name, std::move(v), scope);
}

void Checker::assign(const ast::Name &name, Val value, const ScopePtr &scope) {
  bool branch = false;
  for (Scope *s = scope.get(); s; s = s->parent.get()) {
    auto found = s->names.find(name.text);
    if (found != s->names.end()) {
      Scope::Binding &b = found->second;
      if (b.tensor >= 0 || b.state) {
        if (!b.state) {
          fail(Diag::AssignToParam, name.range, {name.text}, "declare it `state` to change it in the program");
          return;
        }
        if (branch) {
          fail(Diag::AssignInTensorWhen, name.range, {name.text}, "give what is inside another name, and assign what the whole of it gives");
          return;
        }
        if (value.poison() || value.is(Val::Kind::Unknown))
          return;
        const TensorDecl &decl = program->tensors[b.tensor];
        if (value.is(Val::Kind::Tensor) && (value.type.shape != decl.type.shape || value.type.elem != decl.type.elem) &&
            !(value.type.shape.empty() && value.type.elem == decl.type.elem)) {
          Diagnostic &d = error(Diag::StateShape, name.range, {name.text, decl.type.str(), value.type.str()});
          note(d, decl.where, "declared here");
          return;
        }
        auto t = toTensor(value, decl.type.elem, name.range);
        if (!t)
          return;
        bool learns = current ? training_ : true;
        if (learns)
          rec->store(b.tensor, decl, rec->broadcast(*t, decl.type.shape));
        return;
      }
      if (branch) {
        fail(Diag::AssignInTensorWhen, name.range, {name.text}, "give what is inside another name, and assign what the whole of it gives");
        return;
      }
      b.value = std::move(value);
      b.where = name.range;
      return;
    }
    branch |= s->tensorBranch;
    if (s->callBorder)
      break;
  }
  scope->names[name.text] = {std::move(value), name.range};
}

std::optional<double> Checker::plainNumber(const Val &v, SourceRange where, const std::string &what) {
  if (auto n = v.asNumber())
    return n;
  if (!v.poison() && !v.is(Val::Kind::Unknown) && !(generic && (v.is(Val::Kind::Int) || v.is(Val::Kind::Tensor))))
    fail(Diag::NeedsNumber, where, {what, v.is(Val::Kind::Int) ? v.integer.str() : describe(v)});
  return std::nullopt;
}

std::optional<int64_t> Checker::wholeNumber(const Val &v, SourceRange where, const std::string &what) {
  auto n = plainNumber(v, where, what);
  if (!n)
    return std::nullopt;
  if (*n != std::floor(*n) || std::fabs(*n) > 9e15) {
    fail(Diag::NeedsWholeNumber, where, {what, source(where)});
    return std::nullopt;
  }
  return int64_t(*n);
}

} // namespace bigm::sema
