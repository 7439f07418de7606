// Values of a call against the types of a signature: what fits, which names of dimensions that fixes, and how a misfit is said.
#include "Checker.h"
#include <cmath>

namespace bigm::sema {

static std::string ordinal(size_t i, size_t rank) {
  static const char *names[] = {"first", "second", "third", "fourth", "fifth", "sixth"};
  if (i + 1 == rank && rank > 1)
    return "last";
  return i < 6 ? names[i] : std::to_string(i + 1) + "th";
}

/// What `...` is worth stands in the scope; a type inside a body may use it.
static void expandPack(Pattern &p, const std::vector<Dim> &pack) {
  std::vector<Pattern::Size> out;
  for (auto &s : p.sizes) {
    if (!s.pack) {
      out.push_back(s);
      continue;
    }
    for (const Dim &d : pack) {
      Pattern::Size one;
      one.dim = d;
      one.where = s.where;
      out.push_back(one);
    }
  }
  p.sizes = std::move(out);
}

static bool isWhole(Elem e) { return e == Elem::I64 || e == Elem::I32 || e == Elem::U8 || e == Elem::I8; }

void Checker::bindTensor(const Pattern &declared, const TensorType &actual, const Given &arg, const Target &target,
                         Matching &m, bool &ok) {
  Pattern p = declared;
  auto shown = [&] {
    Pattern q = p;
    for (auto &s : q.sizes)
      s.dim = sema::apply(s.dim, m.bindings);
    if (q.classes)
      q.classes = sema::apply(*q.classes, m.bindings);
    return q.str();
  };
  auto classesHint = [&] {
    const std::string classes = p.classes ? asWritten(sema::apply(*p.classes, m.bindings).str()) : "10";
    return "whole numbers are classes where their type says so: declare the field `label[" + classes +
           "]`, or name the value first: `class: label[" + classes + "][...] = ...`";
  };
  auto explain = [&](Diagnostic &d, const Dim *dim) {
    note(d, arg.where, (arg.expr && arg.expr->kind == ast::Expr::Kind::Ref ? "`" + source(arg.where) + "`" : "this") +
                           " is " + actual.str());
    if (arg.origin.valid()) {
      auto place = sources.place(arg.origin.file, arg.origin.begin);
      note(d, arg.origin, "from line " + std::to_string(place.line));
    }
    std::vector<std::string> symbols;
    if (dim)
      dim->symbols(symbols);
    for (auto &s : symbols)
      if (isFree(s))
        if (auto by = m.fixedBy.find(s.substr(1)); by != m.fixedBy.end() && by->second.first.begin != arg.where.begin)
          note(d, by->second.first, "`" + s.substr(1) + "` is " + m.bindings.at(s.substr(1)).str() + " from " +
                                        by->second.second);
  };
  auto mismatch = [&](const Dim *dim) -> Diagnostic & {
    ok = false;
    Diagnostic &d = target.isResult
                        ? error(Diag::ResultShape, arg.where, {target.callee, shown(), actual.str()})
                        : error(Diag::ArgumentShape, arg.where, {target.callee, target.parameter, shown(), actual.str()});
    if (target.isResult)
      note(d, p.where, "declared here");
    else
      explain(d, dim);
    return d;
  };
  if (p.elem != actual.elem) {
    Diagnostic &d = mismatch(nullptr);
    if (p.elem == Elem::F32 && actual.classes != Dim(0))
      d.hint = "of classes `one_hot(...)` makes rows of 0 and 1, and `f32(...)` their numbers";
    else if (p.isLabel)
      d.hint = classesHint();
    else if ((p.elem == Elem::F32 && actual.elem != Elem::Bool) || (isWhole(p.elem) && (isWhole(actual.elem) || actual.elem == Elem::Bool)))
      d.hint = "write `" + std::string(name(p.elem)) + "(" + (arg.where.valid() ? source(arg.where) : std::string("...")) + ")` to convert it";
    return;
  }
  bool hasPack = false;
  for (auto &s : p.sizes)
    hasPack |= s.pack;
  if (hasPack) {
    size_t fixed = p.sizes.size() - 1;
    if (const std::vector<Dim> *pack = m.scope->findPack()) {
      expandPack(p, *pack);
    } else if (actual.shape.size() >= fixed) {
      size_t at = 0;
      while (!p.sizes[at].pack)
        ++at;
      std::vector<Dim> dims(actual.shape.begin() + at, actual.shape.begin() + at + (actual.shape.size() - fixed));
      m.scope->pack = dims;
      expandPack(p, dims);
    }
  }
  if (p.sizes.size() != actual.shape.size()) {
    mismatch(nullptr);
    return;
  }
  auto one = [&](const Dim &d, const Dim &is, size_t position, bool classes) {
    Bindings before = m.bindings;
    Match match = unify(d, is, m.bindings);
    if (match == Match::Bound)
      for (auto &[name, value] : m.bindings)
        if (!before.count(name))
          m.fixedBy[name] = {arg.where, "`" + source(arg.where) + "`"};
    if (match == Match::Deferred)
      m.deferred.push_back({d, is, arg.where, target, position, p.sizes.size(), actual.str()});
    if (match != Match::Different || !ok)
      return;
    if (target.isResult) {
      mismatch(&d);
      return;
    }
    ok = false;
    std::string expected = asWritten(sema::apply(d, m.bindings).str());
    Diagnostic &e = classes ? error(Diag::ArgumentClasses, arg.where, {target.callee, target.parameter, expected, is.str()})
                            : error(Diag::ArgumentDimension, arg.where,
                                    {target.callee, ordinal(position, p.sizes.size()), target.parameter, expected, is.str()});
    explain(e, &d);
  };
  for (size_t i = 0; i < p.sizes.size(); ++i)
    one(p.sizes[i].dim, actual.shape[i], i, false);
  if (p.isLabel) {
    if (actual.classes == Dim(0) && target.isResult && p.classes && !hasFree(sema::apply(*p.classes, m.bindings))) { // numbers are classes where a type that is written says so
    } else if (actual.classes == Dim(0)) {
      mismatch(nullptr).hint = classesHint();
    } else if (p.classes) {
      one(*p.classes, actual.classes, 0, true);
    }
  }
}

Val Checker::bind(const Pattern &p, const Given &arg, const Target &target, Matching &m) {
  const Val &v = arg.value;
  using K = Pattern::Kind;
  if (v.poison() || p.kind == K::Invalid)
    return {};
  if (v.is(Val::Kind::Unknown) || p.kind == K::Any)
    return v;
  auto wrong = [&](const std::string &needs) {
    if (target.isResult)
      return fail(Diag::ResultKind, arg.where, {target.callee, needs, describe(v)});
    return fail(Diag::ArgumentKind, arg.where, {target.callee, target.parameter, needs, describe(v)});
  };
  switch (p.kind) {
  case K::Int:
    if (v.is(Val::Kind::Int))
      return v;
    if (v.is(Val::Kind::Number) && v.number == std::floor(v.number))
      return Val::of(Dim(int64_t(v.number)));
    return wrong("a whole number");
  case K::Bool:
    if (v.is(Val::Kind::Bool))
      return v;
    if (v.is(Val::Kind::Tensor) && v.type.elem == Elem::Bool && v.type.shape.empty())
      return v;
    return wrong("`true` or `false`");
  case K::Choice: {
    std::string list;
    for (auto &c : p.choices) {
      list += (list.empty() ? "`" : ", `") + c + "`";
      if (v.is(Val::Kind::Word) && v.text == c)
        return v;
    }
    return wrong("one of " + list);
  }
  case K::Text:
    if (v.is(Val::Kind::Text) && v.stream) { // waited for
      Val whole = v;
      whole.stream = false;
      return whole;
    }
    return v.is(Val::Kind::String) || v.is(Val::Kind::Text) ? v : wrong("a text");
  case K::Image:
    return v.is(Val::Kind::Image) ? v : wrong("an image");
  case K::Optional: {
    if (!v.is(Val::Kind::Perhaps))
      return wrong("a value that may be missing");
    Val out = v;
    Given one = arg;
    one.value = v.items[0];
    out.items[0] = bind(p.fields[0], one, target, m);
    return out.items[0].poison() ? Val{} : out;
  }
  case K::Schedule: {
    if (v.is(Val::Kind::Callable))
      return v;
    if (!v.numeric() && !v.is(Val::Kind::Tensor))
      return wrong("a number or a schedule");
    auto c = std::make_shared<Callable>();
    c->kind = Callable::Kind::Constant;
    c->constant = v;
    return Val::of(std::move(c));
  }
  case K::List: {
    if (!v.is(Val::Kind::List) && !v.is(Val::Kind::Elements))
      return wrong("a list");
    Val out = v;
    for (auto &item : out.items) {
      Given one = arg;
      one.value = item;
      item = bind(p.fields[0], one, target, m);
      if (item.poison())
        return {};
    }
    return out;
  }
  case K::Record: {
    if (!v.is(Val::Kind::Record))
      return wrong("a record");
    Val out = v;
    for (size_t i = 0; i < p.names.size(); ++i) {
      const Val *field = v.field(p.names[i]);
      if (!field)
        return fail(Diag::MissingField, arg.where, {target.callee, p.names[i]});
      Given one = arg;
      one.value = *field;
      Val bound = bind(p.fields[i], one, target, m);
      if (bound.poison())
        return {};
      for (size_t j = 0; j < out.names.size(); ++j)
        if (out.names[j] == p.names[i])
          out.items[j] = bound;
    }
    for (size_t i = 0; i < v.names.size(); ++i)
      if (std::find(p.names.begin(), p.names.end(), v.names[i]) == p.names.end()) {
        std::string near = didYouMean(v.names[i], p.names);
        return fail(Diag::ExtraField, arg.where, {target.callee, v.names[i]},
                    near.empty() ? "" : "did you mean `" + near + "`?");
      }
    return out;
  }
  case K::Tensor: {
    bool isFloat = p.elem == Elem::F32 || p.elem == Elem::F64 || p.elem == Elem::BF16 || p.elem == Elem::F16;
    if (v.numeric()) {
      bool scalarLike = true;
      for (auto &s : p.sizes)
        scalarLike &= s.pack;
      if (scalarLike && !p.isLabel && (isFloat || v.is(Val::Kind::Int))) {
        if (p.sizes.empty() && !target.isResult)
          return v; // stays a number until it meets a tensor
        if (const std::vector<Dim> *pack = m.scope->findPack(); !p.sizes.empty() && pack && !pack->empty() && !target.isResult)
          return wrong("a tensor, " + p.str());
        if (!p.sizes.empty() && !target.isResult)
          m.scope->pack = std::vector<Dim>{};
        if (target.isResult && !p.sizes.empty())
          if (const std::vector<Dim> *pack = m.scope->findPack()) { // a constant function
            if (auto t = toTensor(v, p.elem, arg.where))
              return tensorVal(rec->broadcast(*t, *pack));
            return {};
          }
        if (p.sizes.empty())
          return v;
        if (auto t = toTensor(v, p.elem, arg.where))
          return tensorVal(*t);
        return {};
      }
      return wrong("a tensor, " + source(p.where));
    }
    if (!v.is(Val::Kind::Tensor))
      return wrong("a tensor, " + source(p.where));
    bool ok = true;
    bindTensor(p, v.type, arg, target, m, ok);
    if (!ok)
      return {};
    Val out = v;
    if (!p.isLabel)
      out.type.classes = 0;
    else if (out.type.classes == Dim(0))
      out.type.classes = sema::apply(*p.classes, m.bindings);
    if (!p.meaning.empty())
      out.meaning = p.meaning;
    return out;
  }
  default:
    return {};
  }
}

bool Checker::settleDeferred(Matching &m) {
  bool ok = true;
  for (auto &d : m.deferred) {
    Match match = unify(d.declared, d.actual, m.bindings);
    if (match == Match::Different) {
      ok = false;
      fail(Diag::ArgumentDimension, d.where,
           {d.target.callee, ordinal(d.position, d.rank), d.target.parameter,
            asWritten(sema::apply(d.declared, m.bindings).str()), d.actual.str()});
    } else if (match == Match::Deferred) {
      // A signature that is checked alone meets its own names: `A * B` is `A * B`.
      bool itself = generic && d.declared.substitute([](const std::string &s) -> std::optional<Dim> {
        return isFree(s) ? std::optional<Dim>(Dim::symbol(s.substr(1))) : std::nullopt;
      }) == d.actual;
      if (itself) {
        std::vector<std::string> symbols;
        d.declared.symbols(symbols);
        for (auto &s : symbols)
          if (isFree(s))
            m.bindings.emplace(s.substr(1), Dim::symbol(s.substr(1)));
        continue;
      }
      ok = false;
      fail(Diag::CannotSolve, d.where,
           {asWritten(d.declared.str()), d.actual.str(), d.target.callee},
           "use each name of a dimension alone somewhere in the signature, or make it a setting");
    }
  }
  m.deferred.clear();
  return ok;
}

void Checker::publish(const Matching &m) {
  for (auto &[name, dim] : m.bindings) {
    auto by = m.fixedBy.find(name);
    if (!m.scope->names.count(name))
      m.scope->names[name] = {Val::of(dim), by == m.fixedBy.end() ? SourceRange{} : by->second.first};
  }
}

} // namespace bigm::sema
