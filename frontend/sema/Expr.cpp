// Expressions.
#include "Checker.h"
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
