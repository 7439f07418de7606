// Looking up and writing by index.
#include "OnnxNode.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

Vals gather(NodeCall &c) { return {c.t.take(c.x(0), c.x(1), size_t(axisOf(c.integer("axis", 0), c.x(0).rank())))}; }

/// Row-major position in `shape` of an index that has one element for each dimension.
Val position(Tensors &t, const Vals &index, const std::vector<Dim> &shape) {
  Val out = index[0];
  for (size_t d = 1; d < index.size(); ++d)
    out = t.add(t.mul(out, t.size(shape[d], Type::I64)), index[d]);
  return out;
}

/// Positions that `ids` along `axis`, and their own places along all others, mean in `shape`.
Val elementPositions(Tensors &t, const Val &ids, const std::vector<Dim> &shape, size_t axis) {
  Vals index;
  for (size_t d = 0; d < shape.size(); ++d)
    index.push_back(d == axis ? t.cast(t.nonNegative(ids, shape[d]), Type::I64) : t.iota(ids.shape, d, Type::I64));
  return position(t, index, shape);
}

Vals gatherElements(NodeCall &c) {
  const Val &x = c.x(0), &ids = c.x(1);
  if (!x.rank() || ids.rank() != x.rank())
    refuse("indices " + typeText(ids) + " for " + typeText(x));
  size_t axis = size_t(axisOf(c.integer("axis", 0), x.rank()));
  Val at = elementPositions(c.t, ids, x.shape, axis);
  return {c.t.gather(c.t.reshape(x, {product(x.shape)}), at)};
}

/// Rows that tuples of indices mean: [..., k] over the dimensions from `batch` on.
Val tuplePositions(Tensors &t, const Val &tuples, const std::vector<Dim> &shape, size_t batch) {
  if (!tuples.rank())
    refuse("an index that is one number");
  int64_t k = t.number(tuples.shape.back(), "the size of an index");
  if (k < 1 || batch + size_t(k) > shape.size())
    refuse("indices of " + std::to_string(k) + " dimensions");
  std::vector<Dim> outer(tuples.shape.begin(), tuples.shape.end() - 1);
  Vals index;
  for (size_t b = 0; b < batch; ++b)
    index.push_back(t.iota(outer, b, Type::I64));
  for (int64_t i = 0; i < k; ++i) {
    Val one = t.reshape(t.slice(tuples, tuples.rank() - 1, i, 1), outer);
    index.push_back(t.nonNegative(t.cast(one, Type::I64), shape[batch + size_t(i)]));
  }
  return position(t, index, shape);
}

Vals gatherNd(NodeCall &c) {
  const Val &x = c.x(0), &tuples = c.x(1);
  size_t batch = size_t(c.integer("batch_dims", 0));
  if (batch >= x.rank() || batch >= tuples.rank())
    refuse("`batch_dims` of " + std::to_string(batch));
  Val at = tuplePositions(c.t, tuples, x.shape, batch);
  size_t used = batch + size_t(*tuples.shape.back().constant());
  std::vector<Dim> rows = {product({x.shape.begin(), x.shape.begin() + int64_t(used)})};
  rows.insert(rows.end(), x.shape.begin() + int64_t(used), x.shape.end());
  return {c.t.gather(c.t.reshape(x, rows), at)};
}

/// Rows of `x` [V, ...] combined with `updates` where `at` says. Sums and products come from adding (of logarithms
/// would lose signs, so products are refused); the others need each row to be written once, as ONNX demands of plain
/// writing.
Val scatter(Tensors &t, const Val &x, const Val &at, const Val &updates, const std::string &how) {
  Val flatAt = t.reshape(at, {product(at.shape)});
  std::vector<Dim> rows = {product(at.shape)};
  rows.insert(rows.end(), x.shape.begin() + 1, x.shape.end());
  bool boolean = x.type == Type::Bool;
  Val flat = t.reshape(boolean ? t.cast(updates, Type::I32) : updates, rows), base = boolean ? t.cast(x, Type::I32) : x;
  Val sum = t.scatterAdd(flat, flatAt, x.shape[0]);
  if (how == "add")
    return t.add(base, sum);
  if (how == "none") {
    Val ones = t.recorded(t.rec.constant(1, {Elem::I32, {rows[0]}, 0}), Type::I32);
    Val written = t.compare(Op::Gt, t.scatterAdd(ones, flatAt, x.shape[0]), 0);
    std::vector<Dim> wide(x.rank(), Dim(1));
    wide[0] = x.shape[0];
    Val out = t.select(t.reshape(written, wide), sum, base);
    return boolean ? t.cast(out, Type::Bool) : out;
  }
  if (how != "mul" && how != "max" && how != "min")
    refuse("the reduction `" + how + "`");
  // Update by update: [K, ...] against all rows. K x V comparisons, reduced at once.
  std::vector<Dim> square = {rows[0], x.shape[0]};
  Val hit = t.pointwise(Op::Eq, {t.unsqueeze(t.cast(flatAt, Type::I64), {1}), t.iota(square, 1, Type::I64)});
  std::vector<Dim> wide(x.rank() + 1, Dim(1));
  wide[0] = rows[0];
  wide[1] = x.shape[0];
  Val neutral = how == "mul" ? t.recorded(t.rec.constant(1, {*elemOf(base.type), {}, 0}), base.type) : Val();
  Op op = how == "mul" ? Op::ReduceProd : how == "max" ? Op::ReduceMax : Op::ReduceMin;
  Val own = how == "mul" ? neutral : t.unsqueeze(base, {0});
  Val chosen = t.select(t.reshape(hit, wide), t.unsqueeze(flat, {1}), own);
  Val combined = t.reduce(op, chosen, {0}, false);
  return t.pointwise(how == "mul" ? Op::Mul : how == "max" ? Op::Max : Op::Min, {base, combined});
}

Vals scatterElements(NodeCall &c) {
  const Val &x = c.x(0), &ids = c.x(1), &updates = c.x(2);
  if (x.rank() && ids.rank() == x.rank() && updates.rank() == x.rank())
    for (size_t d = 0; d < x.rank(); ++d)
      if (ids.shape[d] != updates.shape[d])
        refuse("indices " + typeText(ids) + " and updates " + typeText(updates), ids.shape[d], updates.shape[d]);
  if (!x.rank() || ids.rank() != x.rank() || updates.rank() != x.rank())
    refuse("indices " + typeText(ids) + " and updates " + typeText(updates) + " for " + typeText(x));
  size_t axis = size_t(axisOf(c.integer("axis", 0), x.rank()));
  Val at = elementPositions(c.t, ids, x.shape, axis);
  Val flat = scatter(c.t, c.t.reshape(x, {product(x.shape)}), at, updates, c.text("reduction", "none"));
  return {c.t.reshape(flat, x.shape)};
}

Vals scatterNd(NodeCall &c) {
  const Val &x = c.x(0), &tuples = c.x(1);
  Val at = tuplePositions(c.t, tuples, x.shape, 0);
  int64_t k = *tuples.shape.back().constant();
  std::vector<Dim> rows = {product({x.shape.begin(), x.shape.begin() + k})};
  rows.insert(rows.end(), x.shape.begin() + k, x.shape.end());
  return {c.t.reshape(scatter(c.t, c.t.reshape(x, rows), at, c.x(2), c.text("reduction", "none")), x.shape)};
}

Vals tensorScatter(NodeCall &c) {
  // Writes `update` into `cache` along one axis from a place for each batch, around the end when circular.
  const Val &cache = c.ranked(2), &update = c.x(1);
  if (update.rank() != cache.rank())
    refuse("an update " + typeText(update) + " of " + typeText(cache));
  size_t axis = size_t(axisOf(c.integer("axis", -2), cache.rank()));
  bool circular = c.text("mode", "linear") == "circular";
  Vals index;
  for (size_t d = 0; d < cache.rank(); ++d) {
    Val i = c.t.iota(update.shape, d, Type::I64);
    if (d == axis) {
      if (c.has(2)) {
        std::vector<Dim> wide(cache.rank(), Dim(1));
        wide[0] = update.shape[0];
        i = c.t.add(i, c.t.reshape(c.t.cast(c.in[2], Type::I64), wide));
      }
      if (circular)
        i = c.t.pointwise(Op::Mod, {i, c.t.size(cache.shape[d], Type::I64)});
    }
    index.push_back(i);
  }
  Val at = position(c.t, index, cache.shape);
  Val flat = scatter(c.t, c.t.reshape(cache, {product(cache.shape)}), at, update, "none");
  return {c.t.reshape(flat, cache.shape)};
}

Vals oneHot(NodeCall &c) {
  const Val &given = c.x(0);
  Dim depth = c.t.oneDim(c.t.cast(c.x(1), Type::I64), "`depth`");
  const Val &values = c.x(2);
  if (values.shape != std::vector<Dim>{2})
    refuse("values " + typeText(values));
  size_t axis = size_t(axisOf(c.integer("axis", -1), given.rank() + 1));
  Val ids = c.t.nonNegative(c.t.cast(given, Type::I64), depth);
  std::vector<Dim> shape = given.shape;
  shape.insert(shape.begin() + int64_t(axis), depth);
  Val hit = c.t.pointwise(Op::Eq, {c.t.unsqueeze(ids, {int64_t(axis)}), c.t.iota(shape, axis, Type::I64)});
  Val off = c.t.reshape(c.t.slice(values, 0, 0, 1), {}), on = c.t.reshape(c.t.slice(values, 0, 1, 1), {});
  return {c.t.select(hit, on, off)};
}

/// Where known elements are not zero. What the run decides has no size that could be known.
Vals nonZero(NodeCall &c) {
  const Val &x = c.x();
  if (!x.known)
    throw Refusal{"how many elements are not zero decides the size of the result, and the run decides that", true};
  std::vector<int64_t> sizes;
  for (const Dim &d : x.shape)
    sizes.push_back(c.t.number(d, "the size"));
  std::vector<std::vector<Dim>> found(std::max<size_t>(sizes.size(), 1));
  for (size_t i = 0; i < x.known->size(); ++i) {
    const Number &n = (*x.known)[i];
    if (isFloat(x.type) ? n.real == 0 : c.t.number(n.whole, "an element") == 0)
      continue;
    int64_t rest = int64_t(i);
    for (size_t d = sizes.size(); d-- > 0; rest /= sizes[d])
      found[d].push_back(rest % sizes[d]);
  }
  std::vector<Dim> all;
  for (auto &row : found)
    all.insert(all.end(), row.begin(), row.end());
  return {c.t.whole(all, {Dim(int64_t(sizes.size())), Dim(int64_t(found[0].size()))})};
}

/// What has as many results as the data decide.
Vals open(NodeCall &c) {
  refuse("how many results there are the run decides, and no size of what follows could be known; end the file before it");
}

Vals compress(NodeCall &c) {
  const Val &condition = c.x(1);
  if (!condition.known)
    throw Refusal{"how many elements are kept decides the size of the result, and the run decides that", true};
  Val x = c.x(0);
  size_t axis = 0;
  if (c.attribute("axis"))
    axis = size_t(axisOf(c.integer("axis", 0), x.rank()));
  else
    x = c.t.reshape(x, {product(x.shape)});
  std::vector<Dim> ids;
  for (size_t i = 0; i < condition.known->size(); ++i)
    if (c.t.number((*condition.known)[i].whole, "a condition"))
      ids.push_back(int64_t(i));
  if (ids.empty())
    refuse("nothing is kept");
  return {c.t.take(x, c.t.wholes(ids), axis)};
}

} // namespace

void addLookups(Table &t) {
  const Table mine = {
      {"Gather", gather},
      {"GatherElements", gatherElements},
      {"GatherND", gatherNd},
      {"ScatterElements", scatterElements},
      {"Scatter", scatterElements},
      {"ScatterND", scatterNd},
      {"TensorScatter", tensorScatter},
      {"OneHot", oneHot},
      {"NonZero", nonZero},
      {"Compress", compress},
      {"NonMaxSuppression", open},
      {"Unique", open},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
