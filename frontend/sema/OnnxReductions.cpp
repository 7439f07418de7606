// Sums and their kin over dimensions, arg-max, running sums, the best k.
#include "OnnxNode.h"
#include <algorithm>
#include <limits>

namespace bigm::sema::onnx_import {
namespace {

/// `axes` became an operand in version 13 for ReduceSum and in 18 for the others; both are read wherever they stand.
std::optional<std::vector<int64_t>> axesFor(NodeCall &c) {
  auto given = c.integersOf("axes", 1);
  std::vector<int64_t> axes;
  if (given && !given->empty()) {
    for (int64_t a : *given)
      axes.push_back(axisOf(a, c.x().rank()));
    std::sort(axes.begin(), axes.end());
    if (std::adjacent_find(axes.begin(), axes.end()) != axes.end())
      refuse("an axis twice");
    return axes;
  }
  if (c.integer("noop_with_empty_axes", 0))
    return std::nullopt;
  for (size_t i = 0; i < c.x().rank(); ++i)
    axes.push_back(int64_t(i));
  return axes;
}

/// before -> reduced -> after. Without axes only the pointwise parts are applied.
template <class Before, class After> Vals reduced(NodeCall &c, Op op, Before before, After after) {
  Val x = before(c.x());
  auto axes = axesFor(c);
  return {after(axes ? c.t.reduce(op, x, *axes, c.integer("keepdims", 1)) : x)};
}
Val plain(const Val &x) { return x; }

template <Op op> Vals simple(NodeCall &c) { return reduced(c, op, plain, plain); }
Vals mean(NodeCall &c) {
  auto axes = axesFor(c);
  return {axes ? c.t.mean(c.x(), *axes, c.integer("keepdims", 1)) : c.x()};
}
Vals l1(NodeCall &c) {
  return reduced(c, Op::ReduceSum, [&](const Val &x) { return c.t.unary(Op::Abs, x); }, plain);
}
Val root(Tensors &t, const Val &x) {
  return isFloat(x.type) ? t.unary(Op::Sqrt, x) : t.cast(t.unary(Op::Sqrt, t.cast(x, Type::F64)), x.type);
}
Vals l2(NodeCall &c) {
  return reduced(
      c, Op::ReduceSum, [&](const Val &x) { return c.t.mul(x, x); }, [&](const Val &x) { return root(c.t, x); });
}
Vals sumSquare(NodeCall &c) {
  return reduced(c, Op::ReduceSum, [&](const Val &x) { return c.t.mul(x, x); }, plain);
}
Vals logSum(NodeCall &c) {
  return reduced(c, Op::ReduceSum, plain, [&](const Val &x) { return c.t.unary(Op::Log, x); });
}
Vals logSumExp(NodeCall &c) {
  const Val &x = c.x();
  auto axes = axesFor(c);
  if (!axes)
    return {x};
  bool keep = c.integer("keepdims", 1);
  // Shifted by the largest, where that is finite.
  Val top = c.t.reduce(Op::ReduceMax, x, *axes, true);
  Val finite = c.t.compare(Op::Lt, c.t.unary(Op::Abs, top), std::numeric_limits<double>::infinity());
  top = c.t.select(finite, top, c.t.scalar(0, x.type));
  Val sum = c.t.sum(c.t.unary(Op::Exp, c.t.sub(x, top)), *axes, true);
  Val out = c.t.add(c.t.unary(Op::Log, sum), top);
  return {keep ? out : c.t.squeeze(out, *axes)};
}

template <Op op> Vals argument(NodeCall &c) {
  const Val &x = c.x();
  size_t dim = size_t(axisOf(c.integer("axis", 0), x.rank()));
  Val at;
  if (c.integer("select_last_index", 0)) {
    at = c.t.argument(op, c.t.flip(x, dim), dim);
    at = c.t.sub(c.t.size(x.shape[dim] - Dim(1), Type::I64), at);
  } else {
    at = c.t.argument(op, x, dim);
  }
  return {c.integer("keepdims", 1) ? c.t.unsqueeze(at, {int64_t(dim)}) : at};
}

template <Op op> Vals running(NodeCall &c) {
  Val x = c.x();
  size_t dim = size_t(axisOf(c.t.oneInt(c.x(1), "`axis`"), x.rank()));
  bool reverse = c.integer("reverse", 0);
  if (reverse)
    x = c.t.flip(x, dim);
  Val out = c.t.cumulative(op, x, dim);
  if (c.integer("exclusive", 0)) {
    std::vector<int64_t> low(x.rank(), 0), high = low, none = low;
    low[dim] = 1;
    high[dim] = -1;
    out = c.t.pad(out, low, high, none, c.t.scalar(op == Op::Add ? 0 : 1, x.type));
  }
  return {reverse ? c.t.flip(out, dim) : out};
}

// The place of each element is the number of those that come before it: larger ones, and equal ones with a smaller
// index. n^2 comparisons, which fuse into one reduction; the k best are then looked up by their places.
Vals topK(NodeCall &c) {
  Val x = c.x();
  const Dim k = c.version < 10 ? Dim(c.integer("k", 0)) : c.t.oneDim(c.x(1), "`k`");
  int64_t dim = axisOf(c.integer("axis", -1), x.rank()), last = int64_t(x.rank()) - 1;
  bool largest = c.integer("largest", 1);
  std::vector<int64_t> order(x.rank());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = int64_t(i);
  std::swap(order[dim], order[last]);
  x = c.t.transpose(x, order);
  Dim n = x.shape[last];
  if (auto size = n.constant(), most = k.constant(); (most && *most < 0) || (size && most && *most > *size))
    refuse("the best " + k.str() + " of " + n.str());
  if (k == Dim(0))
    refuse("the best 0");
  Val values, ids;
  if (k == Dim(1)) {
    ids = c.t.unsqueeze(c.t.argument(largest ? Op::ArgMax : Op::ArgMin, x, size_t(last)), {-1});
    values = c.t.reduce(largest ? Op::ReduceMax : Op::ReduceMin, x, {last}, true);
  } else {
    std::vector<Dim> square = {n, n};
    Val mine = c.t.unsqueeze(x, {-1}), other = c.t.unsqueeze(x, {-2});
    Val earlier = c.t.pointwise(Op::Lt, {c.t.iota(square, 1, Type::I32), c.t.iota(square, 0, Type::I32)});
    Val before = c.t.pointwise(Op::Or, {c.t.pointwise(largest ? Op::Gt : Op::Lt, {other, mine}),
                                        c.t.pointwise(Op::And, {c.t.pointwise(Op::Eq, {other, mine}), earlier})});
    Val place = c.t.sum(c.t.cast(before, Type::I32), {last + 1}, false);
    std::vector<Dim> table = {k, n};
    Val hit = c.t.pointwise(Op::Eq, {c.t.unsqueeze(place, {-2}), c.t.iota(table, 0, Type::I32)}); // [..., k, n]
    ids = c.t.sum(c.t.mul(c.t.cast(hit, Type::I64), c.t.iota(table, 1, Type::I64)), {-1 + int64_t(hit.rank())}, false);
    Val zero = c.t.scalar(0, x.type);
    values = c.t.sum(c.t.select(hit, c.t.unsqueeze(x, {-2}), zero), {-1 + int64_t(hit.rank())}, false);
  }
  return {c.t.transpose(values, order), c.t.transpose(ids, order)};
}

} // namespace

void addReductions(Table &t) {
  const Table mine = {
      {"ReduceSum", simple<Op::ReduceSum>}, {"ReduceMax", simple<Op::ReduceMax>}, {"ReduceMin", simple<Op::ReduceMin>},
      {"ReduceProd", simple<Op::ReduceProd>}, {"ReduceMean", mean}, {"ReduceL1", l1}, {"ReduceL2", l2},
      {"ReduceSumSquare", sumSquare}, {"ReduceLogSum", logSum}, {"ReduceLogSumExp", logSumExp},
      {"ArgMax", argument<Op::ArgMax>}, {"ArgMin", argument<Op::ArgMin>}, {"CumSum", running<Op::Add>},
      {"CumProd", running<Op::Mul>}, {"TopK", topK},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
