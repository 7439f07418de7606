// Written types: looking up their names.
#include "Checker.h"
#include "OtherNames.h"
#include <cmath>

namespace bigm::sema {

static const std::map<std::string, Elem> &elements() {
  static const std::map<std::string, Elem> table = {
      {"f32", Elem::F32}, {"f64", Elem::F64}, {"bf16", Elem::BF16}, {"f16", Elem::F16}, {"i64", Elem::I64},
      {"i32", Elem::I32}, {"u8", Elem::U8},   {"i8", Elem::I8},     {"bool", Elem::Bool}};
  return table;
}

std::string Pattern::str() const {
  if (kind == Kind::Int)
    return "int";
  if (kind == Kind::Bool)
    return "bool";
  if (kind != Kind::Tensor)
    return "?";
  std::string out = isLabel ? "label" : bigm::name(elem);
  if (isLabel && classes)
    out += "[" + asWritten(classes->str()) + "]";
  if (sizes.empty())
    return out;
  out += "[";
  for (size_t i = 0; i < sizes.size(); ++i)
    out += (i ? ", " : "") + (sizes[i].pack ? std::string("...") : asWritten(sizes[i].dim.str()));
  return out + "]";
}

std::optional<Dim> Checker::resolveDim(const ast::Expr &e, const ScopePtr &scope, bool mayBeFree) {
  if (auto *n = ast::as<ast::NumberExpr>(&e)) {
    if (n->isInteger && n->unit.empty())
      return Dim(int64_t(n->value));
  } else if (auto *r = ast::as<ast::RefExpr>(&e)) {
    if (const Scope::Binding *b = scope->find(r->name)) {
      if (b->value.is(Val::Kind::Int))
        return b->value.integer;
      if (b->value.poison() || b->value.is(Val::Kind::Unknown))
        return std::nullopt;
      if (auto n = b->value.asNumber(); n && *n == std::floor(*n))
        return Dim(int64_t(*n));
      if (!mayBeFree) {
        fail(Diag::DimensionNotInt, e.range, {r->name, describe(b->value)});
        return std::nullopt;
      }
    }
    if (Found f = findDecl(r->name, scope->module); f.decl && f.decl->kind == ast::Decl::Kind::Const) {
      Val v = evalConst(static_cast<const ast::ConstDecl &>(*f.decl), f.module);
      if (v.is(Val::Kind::Int))
        return v.integer;
      if (!v.poison())
        fail(Diag::DimensionNotInt, e.range, {r->name, describe(v)});
      return std::nullopt;
    }
    if (mayBeFree)
      return Dim::symbol(freeName(r->name));
    std::vector<std::string> names;
    for (const Scope *s = scope.get(); s; s = s->parent.get())
      for (auto &[name, binding] : s->names)
        if (binding.value.is(Val::Kind::Int))
          names.push_back(name);
    std::string near = didYouMean(r->name, names);
    fail(Diag::UnknownDimension, e.range, {r->name}, near.empty() ? "" : "did you mean `" + near + "`?");
    return std::nullopt;
  } else if (auto *b = ast::as<ast::BinaryExpr>(&e)) {
    using O = ast::BinaryExpr::Op;
    if (b->op == O::Add || b->op == O::Sub || b->op == O::Mul || b->op == O::Div) {
      auto l = resolveDim(*b->left, scope, mayBeFree), r = resolveDim(*b->right, scope, mayBeFree);
      if (!l || !r)
        return std::nullopt;
      if (b->op == O::Add)
        return *l + *r;
      if (b->op == O::Sub)
        return *l - *r;
      if (b->op == O::Mul)
        return *l * *r;
      if (auto by = r->constant(); by && *by > 0)
        return l->floorDiv(*by);
      if (auto q = divideExactly(*l, *r))
        return q;
      if (!generic || r->isConstant())
        fail(Diag::DimensionDivision, e.range, {asWritten(r->str())});
      return std::nullopt;
    }
  } else if (ast::as<ast::MemberExpr>(&e) || ast::as<ast::CallExpr>(&e)) {
    Val v = eval(e, scope);
    if (v.is(Val::Kind::Int))
      return v.integer;
    if (v.poison() || v.is(Val::Kind::Unknown))
      return std::nullopt;
  }
  fail(Diag::DimensionForm, e.range, {source(e.range)}, "a dimension is a number, a name, or arithmetic on them");
  return std::nullopt;
}

Pattern Checker::resolve(const ast::Type &type, const ScopePtr &scope, bool mayBeFree) {
  Pattern p;
  p.where = type.range;
  auto scalar = [&](const ast::ScalarType &s) {
    const std::string &n = s.name.text;
    auto element = elements().find(n);
    if (n == "label") {
      if (!s.choices.empty() && !s.classes) {
        p.kind = Pattern::Kind::Choice;
        for (auto &c : s.choices)
          p.choices.push_back(c.text);
        return;
      }
      p.kind = Pattern::Kind::Tensor;
      p.elem = Elem::I32;
      p.isLabel = true;
      if (s.classes && !classesOfField(*s.classes, scope, p)) {
        p.classes = resolveDim(*s.classes, scope, mayBeFree);
        if (!p.classes)
          p.kind = Pattern::Kind::Invalid;
      }
    } else if (n == "bool") {
      p.kind = Pattern::Kind::Bool;
      p.elem = Elem::Bool;
    } else if (element != elements().end()) {
      p.kind = Pattern::Kind::Tensor;
      p.elem = element->second;
    } else if (n == "int") {
      p.kind = Pattern::Kind::Int;
    } else if (n == "schedule" || n == "fn") {
      p.kind = Pattern::Kind::Schedule;
    } else if (n == "any") {
      p.kind = Pattern::Kind::Any;
    } else if (n == "text") {
      p.kind = Pattern::Kind::Text;
    } else if (n == "image") {
      p.kind = Pattern::Kind::Image;
    } else if (n == "box" || n == "point" || n == "score") { // numbers that say what they mean
      p.kind = Pattern::Kind::Tensor;
      p.elem = Elem::F32;
      p.meaning = n;
      if (n != "score")
        p.sizes.push_back({false, Dim(int64_t(n == "box" ? 4 : 2)), s.range});
    } else if (n == "audio" || n == "span" || n == "id" || n == "video") {
      unsupported("type `" + n + "`", s.range);
    } else {
      std::vector<std::string> names = {"label", "int", "schedule", "text", "image", "box", "point", "score"};
      for (auto &[name, e] : elements())
        names.push_back(name);
      std::string own(ownTypeOf(n)), near = own.empty() ? didYouMean(n, names) : "";
      fail(Diag::UnknownType, s.name.range, {n},
           !own.empty() ? "here it is `" + own + "`" : near.empty() ? "" : "did you mean `" + near + "`?");
    }
  };
  switch (type.kind) {
  case ast::Type::Kind::Scalar:
    scalar(static_cast<const ast::ScalarType &>(type));
    break;
  case ast::Type::Kind::Tensor: {
    auto &t = static_cast<const ast::TensorType &>(type);
    scalar(*t.element);
    if (p.kind == Pattern::Kind::Bool)
      p.kind = Pattern::Kind::Tensor;
    if (p.kind == Pattern::Kind::Choice) { // label{a, b}[N]
      p.kind = Pattern::Kind::Tensor;
      p.elem = Elem::I32;
      p.isLabel = true;
      p.classes = Dim(int64_t(p.choices.size()));
    }
    if (p.kind != Pattern::Kind::Tensor) {
      if (p.kind != Pattern::Kind::Invalid)
        fail(Diag::NotAnElement, t.element->range, {t.element->name.text});
      p.kind = Pattern::Kind::Invalid;
      break;
    }
    int packs = 0;
    std::vector<Pattern::Size> own = std::move(p.sizes); // `point[68]` is f32[68, 2]
    p.sizes.clear();
    for (auto &d : t.dims) {
      Pattern::Size size;
      size.pack = d.pack;
      size.where = d.range;
      if (d.pack) {
        if (++packs == 2)
          fail(Diag::TwoPacks, d.range);
      } else if (auto dim = resolveDim(*d.size, scope, mayBeFree)) {
        size.dim = *dim;
      } else {
        p.kind = Pattern::Kind::Invalid;
      }
      p.sizes.push_back(std::move(size));
    }
    p.sizes.insert(p.sizes.end(), own.begin(), own.end());
    break;
  }
  case ast::Type::Kind::List:
    p.kind = Pattern::Kind::List;
    p.fields.push_back(resolve(*static_cast<const ast::ListType &>(type).element, scope, mayBeFree));
    break;
  case ast::Type::Kind::Record:
    p.kind = Pattern::Kind::Record;
    for (auto &f : static_cast<const ast::RecordType &>(type).fields) {
      p.names.push_back(f.name.text);
      p.fields.push_back(resolve(*f.type, scope, mayBeFree));
    }
    break;
  case ast::Type::Kind::Optional:
    p.kind = Pattern::Kind::Optional;
    p.fields.push_back(resolve(*static_cast<const ast::OptionalType &>(type).element, scope, mayBeFree));
    break;
  case ast::Type::Kind::Stream:
    unsupported("stream", type.range);
    break;
  }
  return p;
}

std::optional<TensorType> Checker::concrete(const Pattern &p, SourceRange where) {
  if (p.kind == Pattern::Kind::Invalid)
    return std::nullopt;
  if (p.kind != Pattern::Kind::Tensor) {
    fail(Diag::NotATensorType, where, {source(p.where)});
    return std::nullopt;
  }
  TensorType t;
  t.elem = p.elem;
  if (p.classes)
    t.classes = *p.classes;
  for (auto &s : p.sizes)
    if (!s.pack)
      t.shape.push_back(s.dim);
  return t;
}

} // namespace bigm::sema
