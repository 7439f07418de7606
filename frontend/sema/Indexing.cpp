// `x[0]`, `x[:, 1..3]`, `x[ids]`: parts of a tensor outside of index notation.
#include "Checker.h"

namespace bigm::sema {

Val Checker::evalIndex(const ast::IndexExpr &e, const ScopePtr &scope) {
  Val base = eval(*e.base, scope);
  if (base.poison() || base.is(Val::Kind::Unknown))
    return base;
  if (base.is(Val::Kind::List)) {
    if (e.items.size() != 1)
      return fail(Diag::CannotIndex, e.range, {"a list"}, "a list takes one index");
    auto n = wholeNumber(eval(*e.items[0], scope), e.items[0]->range, "the index of a list");
    if (!n)
      return {};
    int64_t at = *n < 0 ? *n + int64_t(base.items.size()) : *n;
    if (at < 0 || at >= int64_t(base.items.size()))
      return fail(Diag::IndexOutOfRange, e.items[0]->range, {std::to_string(*n), std::to_string(base.items.size())});
    return base.items[at];
  }
  if (!base.is(Val::Kind::Tensor))
    return fail(Diag::CannotIndex, e.base->range, {describe(base)});
  const std::vector<Dim> in = base.type.shape;
  if (e.items.size() > in.size())
    return fail(Diag::IndexCount, e.range, {base.type.str(), std::to_string(in.size()), std::to_string(e.items.size())});
  std::vector<Dim> shape;
  AffineIndices map;
  // What begins at a place that is no number is looked up, along an axis of what the map gives.
  struct LookedUp {
    size_t axis;
    Dim start, count;
    bool one; // an index, whose axis is gone
  };
  std::vector<LookedUp> later;
  for (size_t i = 0; i < in.size(); ++i) {
    const ast::Expr *item = i < e.items.size() ? e.items[i].get() : nullptr;
    if (!item || item->kind == ast::Expr::Kind::All) {
      map.push_back(index(shape.size()));
      shape.push_back(in[i]);
      continue;
    }
    // An end of a range, or an index: negative ones count from the end.
    auto position = [&](const ast::Expr &x, Dim &out) {
      Val v = eval(x, scope);
      if (!v.is(Val::Kind::Int)) {
        if (!v.poison() && !v.is(Val::Kind::Unknown))
          fail(Diag::NeedsWholeNumber, x.range, {"an index", source(x.range)});
        return false;
      }
      auto c = v.integer.constant();
      out = c && *c < 0 ? in[i] + v.integer : v.integer;
      return true;
    };
    if (auto *range = ast::as<ast::RangeExpr>(item)) {
      Dim first = 0, last = in[i];
      if ((range->first && !position(*range->first, first)) || (range->last && !position(*range->last, last)))
        return {};
      auto start = first.constant(), length = (last - first).constant(), room = (in[i] - last).constant();
      if ((start && *start < 0) || (length && *length < 1) || (room && *room < 0))
        return fail(Diag::SliceRange, item->range, {source(item->range), in[i].str()});
      if (!start && generic)
        return Val::unknown(); // how much of what size is left depends on the settings
      if (!start)
        later.push_back({shape.size(), first, last - first, false});
      map.push_back(index(shape.size(), 1, start.value_or(0)));
      shape.push_back(start ? last - first : in[i]);
      continue;
    }
    Val v = eval(*item, scope);
    if (v.poison() || v.is(Val::Kind::Unknown))
      return v;
    if (v.is(Val::Kind::Tensor) && (v.type.elem == Elem::I32 || v.type.elem == Elem::I64) && i == 0 && e.items.size() == 1) {
      std::vector<Dim> out = v.type.shape;
      out.insert(out.end(), in.begin() + 1, in.end());
      return tensorVal(rec->add(Op::Gather, {base.tensor, v.tensor}, {base.type.elem, out, 0}));
    }
    Dim at;
    if (!v.is(Val::Kind::Int))
      return fail(Diag::IndexForm, item->range, {source(item->range)});
    auto c = v.integer.constant();
    at = c && *c < 0 ? in[i] + v.integer : v.integer;
    auto offset = at.constant(), room = (in[i] - Dim(1) - at).constant();
    if ((offset && *offset < 0) || (room && *room < 0))
      return fail(Diag::IndexOutOfRange, item->range, {source(item->range), in[i].str()});
    if (offset) {
      map.push_back(index(0, 0, *offset));
      continue;
    }
    later.push_back({shape.size(), at, Dim(1), true});
    map.push_back(index(shape.size()));
    shape.push_back(in[i]);
  }
  Value found = rec->view(base.tensor, shape, map);
  // From behind, so that axes keep their places.
  for (auto l = later.rbegin(); l != later.rend(); ++l) {
    found = rec->lookUp(found, l->axis, l->start, l->count, 1);
    shape[l->axis] = l->count;
    if (l->one) {
      AffineIndices squeeze;
      for (size_t d = 0; d < shape.size(); ++d)
        squeeze.push_back(d == l->axis ? index(0, 0, 0) : index(d - (d > l->axis)));
      shape.erase(shape.begin() + int64_t(l->axis));
      found = rec->view(found, shape, squeeze);
    }
  }
  Val out = tensorVal(found);
  out.type.classes = base.type.classes;
  return out;
}

} // namespace bigm::sema
