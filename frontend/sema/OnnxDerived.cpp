// What several operators share, written over the primitives of OnnxTensors.h.
#include "OnnxTensors.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {

Val Tensors::mean(const Val &v, std::vector<int64_t> dims, bool keep) {
  Dim count = 1;
  for (int64_t d : dims)
    count = count * v.shape[d];
  return div(sum(v, std::move(dims), keep), size(count, v.type));
}

Val Tensors::transpose(const Val &v, const std::vector<int64_t> &order) {
  if (order.size() != v.rank())
    refuse("an order of " + std::to_string(order.size()) + " dimensions for " + typeText(v));
  AffineIndices map(v.rank());
  std::vector<Dim> shape;
  std::vector<bool> seen(v.rank());
  for (size_t i = 0; i < order.size(); ++i) {
    int64_t from = axisOf(order[i], v.rank());
    if (seen[from])
      refuse("dimension " + std::to_string(from) + " twice in the order");
    seen[from] = true;
    shape.push_back(v.shape[from]);
    map[from] = index(i);
  }
  return view(v, shape, map);
}

Val Tensors::slice(const Val &v, size_t dim, const Dim &start, const Dim &count, int64_t step) {
  if (dim >= v.rank())
    refuse("a tensor of rank " + std::to_string(v.rank()) + " where dimension " + std::to_string(dim) + " is cut");
  if (start == Dim(0) && count == v.shape[dim] && step == 1)
    return v;
  std::vector<Dim> shape = v.shape;
  shape[dim] = count;
  if (auto from = start.constant()) {
    AffineIndices map = identityMap(v.rank());
    map[dim] = index(dim, step, *from);
    return view(v, shape, map);
  }
  return recorded(rec.lookUp(use(v), dim, start, count, step), v.type);
}

Val Tensors::unsqueeze(const Val &v, std::vector<int64_t> dims) {
  size_t rank = v.rank() + dims.size();
  for (int64_t &d : dims)
    d = axisOf(d, rank);
  std::sort(dims.begin(), dims.end());
  std::vector<Dim> shape = v.shape;
  for (int64_t d : dims) {
    if (d > int64_t(shape.size()))
      refuse("an axis twice");
    shape.insert(shape.begin() + d, Dim(1));
  }
  return reshape(v, shape);
}

Val Tensors::squeeze(const Val &v, const std::vector<int64_t> &dims) {
  std::vector<Dim> shape;
  std::vector<bool> gone(v.rank());
  for (int64_t d : dims)
    gone[axisOf(d, v.rank())] = true;
  for (size_t i = 0; i < v.rank(); ++i) {
    if (!gone[i])
      shape.push_back(v.shape[i]);
    else if (v.shape[i] != Dim(1))
      refuse("dimension " + std::to_string(i) + " of " + typeText(v) + " is not 1");
  }
  return reshape(v, shape);
}

Val Tensors::windows(const Val &v, const std::vector<int64_t> &sizes, const std::vector<int64_t> &strides,
                     const std::vector<int64_t> &dilations) {
  size_t count = sizes.size(), rank = v.rank();
  std::vector<Dim> shape = v.shape;
  AffineIndices map = identityMap(rank);
  for (size_t i = 0; i < count; ++i) {
    size_t d = rank - count + i;
    if (sizes[i] < 1 || strides[i] < 1 || dilations[i] < 1)
      refuse("a window of size, stride or dilation below 1");
    Dim room = v.shape[d] - Dim(1 + (sizes[i] - 1) * dilations[i]);
    if (auto n = room.constant(); n && *n < 0)
      refuse("a window of " + std::to_string(sizes[i]) + " over " + v.shape[d].str() + " elements");
    shape[d] = room.floorDiv(strides[i]) + Dim(1);
    shape.push_back(sizes[i]);
    map[d].terms = {{uint32_t(d), strides[i]}, {uint32_t(rank + i), dilations[i]}};
    map[d].offset = 0;
  }
  return view(v, shape, map);
}

Val Tensors::matmul(const Val &x, const Val &y) {
  if (!x.rank() || !y.rank())
    refuse("a scalar as a factor of a matrix product");
  Val a = x.rank() == 1 ? unsqueeze(x, {0}) : x, b = y.rank() == 1 ? unsqueeze(y, {1}) : y;
  size_t ra = a.rank(), rb = b.rank();
  if (a.shape[ra - 1] != b.shape[rb - 2])
    refuse(typeText(x) + " and " + typeText(y) + " do not multiply", a.shape[ra - 1], b.shape[rb - 2]);
  Val leadA = a, leadB = b;
  leadA.shape.resize(ra - 2);
  leadB.shape.resize(rb - 2);
  std::vector<Dim> shape = broadcastShape({leadA, leadB});
  size_t batch = shape.size();
  AffineIndices mapA, mapB;
  for (size_t i = 0; i + 2 < ra; ++i)
    mapA.push_back(a.shape[i] == shape[batch - (ra - 2) + i] ? index(batch - (ra - 2) + i) : index(0, 0));
  for (size_t i = 0; i + 2 < rb; ++i)
    mapB.push_back(b.shape[i] == shape[batch - (rb - 2) + i] ? index(batch - (rb - 2) + i) : index(0, 0));
  mapA.push_back(index(batch));
  mapA.push_back(index(batch + 2));
  mapB.push_back(index(batch + 2));
  mapB.push_back(index(batch + 1));
  shape.push_back(a.shape[ra - 2]);
  shape.push_back(b.shape[rb - 1]);
  Val out = contract(a, b, mapA, mapB, shape, {a.shape[ra - 1]});
  if (y.rank() == 1)
    out = squeeze(out, {-1});
  if (x.rank() == 1)
    out = squeeze(out, {y.rank() == 1 ? -1 : -2});
  return out;
}

Val Tensors::softmax(const Val &v, int64_t dim, bool log) {
  Val shifted = sub(v, reduce(Op::ReduceMax, v, {dim}, true)), e = unary(Op::Exp, shifted), s = sum(e, {dim}, true);
  return log ? sub(shifted, unary(Op::Log, s)) : div(e, s);
}

Val Tensors::nonNegative(const Val &ids, const Dim &size) {
  if (ids.known) {
    bool all = true;
    for (const Number &n : *ids.known)
      all &= n.whole.constant().value_or(-1) >= 0;
    if (all)
      return ids;
  }
  return select(compare(Op::Lt, ids, 0), add(ids, this->size(size, ids.type)), ids);
}

Val Tensors::take(const Val &v, const Val &indices, size_t dim) {
  if (dim >= v.rank())
    refuse("a tensor of rank " + std::to_string(v.rank()) + " whose dimension " + std::to_string(dim) + " is looked up");
  Val ids = nonNegative(indices, v.shape[dim]);
  // One known row, or known rows in steps, are a view.
  if (ids.known && ids.known->size() >= 1 && ids.rank() <= 1) {
    auto first = (*ids.known)[0].whole.constant();
    auto second = ids.known->size() > 1 ? (*ids.known)[1].whole.constant() : first;
    bool steps = first && second;
    int64_t step = steps && ids.known->size() > 1 ? *second - *first : 1;
    for (size_t i = 0; steps && i < ids.known->size(); ++i)
      steps = (*ids.known)[i].whole == Dim(*first + int64_t(i) * step);
    if (auto n = v.shape[dim].constant(); n && steps)
      for (const Number &id : *ids.known)
        if (auto i = id.whole.constant(); *i >= *n)
          refuse("index " + std::to_string(*i) + " of " + std::to_string(*n));
    if (steps && (v.shape[dim].isConstant() || *first == 0)) {
      Val rows = slice(v, dim, *first, Dim(int64_t(ids.known->size())), step);
      return ids.rank() == 0 ? squeeze(rows, {int64_t(dim)}) : rows;
    }
  }
  std::vector<int64_t> order(v.rank());
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin(), order.begin() + dim, order.begin() + dim + 1);
  Val rows = gather(dim ? transpose(v, order) : v, ids);
  if (!dim)
    return rows;
  // The ids' dimensions go where `dim` was.
  std::vector<int64_t> back;
  size_t n = ids.rank();
  for (size_t i = 0; i < dim; ++i)
    back.push_back(int64_t(n + i));
  for (size_t i = 0; i < n; ++i)
    back.push_back(int64_t(i));
  for (size_t i = dim + 1; i < v.rank(); ++i)
    back.push_back(int64_t(n + i - 1));
  return transpose(rows, back);
}

Val Tensors::flip(const Val &v, size_t dim) {
  return slice(v, dim, v.shape[dim] - Dim(1), v.shape[dim], -1);
}

// By doubling: after step k each element holds the last 2^k (Hillis and Steele 1986). A symbolic size has no number of
// steps; its sums are a product with a triangle of ones.
Val Tensors::cumulative(Op op, const Val &v, size_t dim) {
  auto n = v.shape[dim].constant();
  if (!n) {
    if (op != Op::Add)
      refuse("products along a dimension whose size is not known");
    std::vector<Dim> square = {v.shape[dim], v.shape[dim]};
    Val ones = cast(pointwise(Op::Le, {iota(square, 0, Type::I32), iota(square, 1, Type::I32)}), v.type);
    std::vector<int64_t> order(v.rank());
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[dim], order.back());
    return transpose(matmul(transpose(v, order), ones), order);
  }
  if (v.known && *n > 0) { // so that the sums are
    Vals sums;
    for (int64_t i = 0; i < *n; ++i) {
      Val own = slice(v, dim, i, 1);
      sums.push_back(sums.empty() ? own : pointwise(op, {sums.back(), own}));
    }
    return concat(sums, dim);
  }
  Val out = v;
  std::vector<int64_t> none(v.rank(), 0);
  for (int64_t by = 1; by < *n; by *= 2) {
    std::vector<int64_t> low = none, high = none;
    low[dim] = by;
    high[dim] = -by;
    out = pointwise(op, {out, pad(out, low, high, none, scalar(op == Op::Add ? 0 : 1, v.type))});
  }
  return out;
}

} // namespace bigm::sema::onnx_import
