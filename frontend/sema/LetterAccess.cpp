// An element in index notation: `x[n, 2 * i + a]` is a view, `x[n, ids[n, k], d]` looks up.
//
// What ids pick along several dimensions, or in each row along one of its own, is one gather: those dimensions become one,
// and places in it are counted from the ids.
#include "Letters.h"

namespace bigm::sema {

/// An index that begins at a place made of sizes: what it reads is looked up, and read from its first place there. The offset
/// that is left is no number where letters of open sizes count down beside others.
static Value lookedUp(Recorder &rec, Value x, size_t dim, AffineForm &form) {
  if (form.terms.size() == 1 && form.terms.begin()->second == -1) {
    Letter *l = form.terms.begin()->first;
    Value turned = rec.lookUp(x, dim, form.offset, *l->size, -1);
    form = {{{l, 1}}, 0};
    return turned;
  }
  Dim low = form.offset, span = 1, first = 0;
  for (auto &[l, c] : form.terms) {
    const Dim reach = Dim(std::abs(c)) * (*l->size - Dim(1));
    span = span + reach;
    if (c < 0) {
      low = low - reach;
      first = first + reach;
    }
  }
  form.offset = first;
  return rec.lookUp(x, dim, low, span, 1);
}

namespace {
/// One index of an access: letters, or an element of another tensor.
struct AccessIndex {
  std::optional<AffineForm> form;
  Val ids; // where there is no form
  /// The letter that it is, and nothing else.
  Letter *alone() const {
    return form && form->terms.size() == 1 && form->terms.begin()->second == 1 && form->offset == Dim(0) ? form->terms.begin()->first : nullptr;
  }
};
} // namespace

Val Checker::lookUpAll(Value table, const std::vector<size_t> &dims, const std::vector<Val> &ids, const std::vector<Letter *> &letters) {
  // What is looked up comes first and becomes one dimension, whose places are counted from the ids.
  const TensorType whole = rec->type(table);
  std::vector<Dim> rest, rows;
  AffineIndices toFront(whole.shape.size());
  for (size_t i = 0; i < dims.size(); ++i)
    toFront[dims[i]] = index(i);
  for (size_t i = 0; i < whole.shape.size(); ++i)
    if (std::find(dims.begin(), dims.end(), i) == dims.end()) {
      toFront[i] = index(dims.size() + rest.size());
      rest.push_back(whole.shape[i]);
    }
  std::vector<Dim> moved;
  for (size_t d : dims)
    moved.push_back(whole.shape[d]);
  moved.insert(moved.end(), rest.begin(), rest.end());
  Value from = rec->view(table, moved, toFront);
  Dim count = 1;
  for (size_t d : dims)
    count = count * whole.shape[d];
  std::vector<Dim> shape = sizes(letters);
  const TensorType line{Elem::I32, shape, 0};
  auto full = [&](const Dim &d) { return rec->broadcast(rec->dimension(d, Elem::I32), shape); };
  Value places = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    Value id = alignLetters(castTo(Elem::I32, ids[i], {}), letters).tensor;
    if (dims.size() > 1) {
      // An id that its dimension does not have would be a place of other rows: it counts as 0, and is refused where it is given.
      const TensorType truth{Elem::Bool, shape, 0};
      const Dim size = whole.shape[dims[i]];
      Value inside = rec->add(Op::And, {rec->add(Op::Ge, {id, full(0)}, truth), rec->add(Op::Lt, {id, full(size)}, truth)}, truth);
      id = rec->add(Op::Select, {inside, id, full(0)}, line, {{"below", std::vector<Dim>{size}}});
    }
    places = i ? rec->add(Op::Add, {rec->add(Op::Mul, {places, full(whole.shape[dims[i]])}, line), id}, line) : id;
  }
  rows = {count};
  rows.insert(rows.end(), rest.begin(), rest.end());
  shape.insert(shape.end(), rest.begin(), rest.end());
  return tensorVal(rec->add(Op::Gather, {rec->reshape(from, rows), places}, {whole.elem, shape, 0}));
}

Val Checker::evalAccess(const ast::IndexExpr &e, const ScopePtr &scope) {
  auto known = indexing->bases.find(&e);
  if (known == indexing->bases.end())
    return {};
  const Val base = known->second;
  std::vector<AccessIndex> indices(e.items.size());
  std::vector<Letter *> letters, looked; // all, and those of what is looked up
  for (size_t i = 0; i < e.items.size(); ++i) {
    AccessIndex &at = indices[i];
    at.form = indexing->affine(*e.items[i], scope);
    if (at.form) {
      for (auto &[l, c] : at.form->terms)
        letters.push_back(l);
      continue;
    }
    if (generic && indexing->symbolic)
      return Val::unknown();
    at.ids = eval(*e.items[i], scope);
    if (at.ids.poison() || at.ids.is(Val::Kind::Unknown))
      return at.ids;
    if (!at.ids.is(Val::Kind::Tensor) || (at.ids.type.elem != Elem::I32 && at.ids.type.elem != Elem::I64) ||
        (!at.ids.indexed && !at.ids.type.shape.empty()))
      return fail(Diag::IndexForm, e.items[i]->range, {source(e.items[i]->range)});
    looked.insert(looked.end(), at.ids.letters.begin(), at.ids.letters.end());
  }
  letters.insert(letters.end(), looked.begin(), looked.end());
  letters = sorted(letters);
  looked = sorted(looked);
  Value from = base.tensor;
  AffineIndices map;
  std::vector<size_t> dims, rest;
  std::vector<Val> ids;
  for (size_t i = 0; i < indices.size(); ++i) {
    // A letter that ids depend on as well is looked up with them: each row has ids of its own.
    Letter *alone = indices[i].alone();
    bool shared = alone && std::find(looked.begin(), looked.end(), alone) != looked.end();
    if (indices[i].form && !shared) {
      rest.push_back(i);
      continue;
    }
    dims.push_back(i);
    ids.push_back(shared ? *letterValue(alone->name) : indices[i].ids);
  }
  if (!dims.empty()) {
    from = lookUpAll(base.tensor, dims, ids, looked).tensor;
    for (Letter *l : looked)
      map.push_back(index(std::find(letters.begin(), letters.end(), l) - letters.begin()));
  }
  for (size_t i : rest) {
    AffineForm &form = *indices[i].form;
    if (!form.offset.isConstant())
      from = lookedUp(*rec, from, map.size(), form);
    if (!form.offset.isConstant()) // several letters, of which one counts down from a size that is not known
      return fail(Diag::IndexForm, e.items[i]->range, {source(e.items[i]->range)}, "turn the tensor around before, with `flip`");
    map.push_back(toIndex(form, letters));
  }
  Val out = tensorVal(rec->view(from, sizes(letters), map));
  out.type.classes = 0;
  out.indexed = true;
  out.letters = letters;
  return out;
}

} // namespace bigm::sema
