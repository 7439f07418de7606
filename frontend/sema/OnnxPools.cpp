// Pooling.
#include "OnnxWindow.h"
#include <algorithm>
#include <limits>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

/// With `ceil_mode` the last window may reach over the end, but must begin inside or in the padding at the front.
void roundUp(NodeCall &c, const Val &x, Window &w) {
  if (!c.integer("ceil_mode", 0))
    return;
  for (size_t i = 0; i < w.sizes.size(); ++i) {
    int64_t extent = (w.sizes[i] - 1) * w.dilations[i] + 1;
    if (!x.shape[2 + i].isConstant() && w.strides[i] <= extent - w.high[2 + i]) { // whatever the size, no window begins too late
      w.high[2 + i] += w.strides[i] - 1;
      continue;
    }
    int64_t in = c.t.number(x.shape[2 + i], "the size of what is pooled with `ceil_mode`");
    int64_t padded = in + w.low[2 + i] + w.high[2 + i];
    int64_t out = (padded - extent + w.strides[i] - 1) / w.strides[i] + 1;
    if ((out - 1) * w.strides[i] >= in + w.low[2 + i])
      --out;
    w.high[2 + i] += std::max<int64_t>(0, (out - 1) * w.strides[i] + extent - padded);
  }
}

std::vector<int64_t> lastDims(const Val &v, size_t count) {
  std::vector<int64_t> dims(count);
  std::iota(dims.begin(), dims.end(), int64_t(v.rank() - count));
  return dims;
}

Window windowOf(NodeCall &c) {
  Window w(c, c.ranked(3), c.integers("kernel_shape", {}));
  return w;
}

double lowest(Type type) {
  switch (type) {
  case Type::U8: case Type::U16: case Type::U32: return 0;
  case Type::I8: return -128;
  case Type::I32: return std::numeric_limits<int32_t>::min();
  default: return -std::numeric_limits<double>::infinity();
  }
}

Vals maxPool(NodeCall &c) {
  const Val &x = c.x();
  Window w = windowOf(c);
  roundUp(c, x, w);
  Val fill = c.t.scalar(lowest(x.type), x.type);
  Val windows = c.t.windows(c.t.pad(x, w.low, w.high, w.none, fill), w.sizes, w.strides, w.dilations);
  size_t n = w.sizes.size();
  Val y = c.t.reduce(Op::ReduceMax, windows, lastDims(windows, n), false);
  if (!c.wants(1))
    return {y};
  // Where the largest stands in its window, then in the operand.
  std::vector<Dim> joined(windows.shape.begin(), windows.shape.end() - int64_t(n));
  int64_t window = 1;
  for (int64_t s : w.sizes)
    window *= s;
  joined.push_back(window);
  Val at = c.t.argument(Op::ArgMax, c.t.reshape(windows, joined), joined.size() - 1);
  std::vector<Dim> out = y.shape, inStrides(n, Dim(1));
  bool columns = c.integer("storage_order", 0);
  Dim stride = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t i = columns ? k : n - 1 - k;
    inStrides[i] = stride;
    stride = stride * x.shape[2 + i];
  }
  Val place = c.t.scalar(0, Type::I64), rest = at;
  for (size_t i = n; i-- > 0;) {
    Val inWindow = c.t.pointwise(Op::Mod, {rest, c.t.scalar(double(w.sizes[i]), Type::I64)});
    rest = c.t.div(rest, double(w.sizes[i]));
    Val start = c.t.sub(c.t.mul(c.t.iota(out, 2 + i, Type::I64), double(w.strides[i])), double(w.low[2 + i]));
    Val along = c.t.add(start, c.t.mul(inWindow, double(w.dilations[i])));
    place = c.t.add(place, c.t.mul(along, c.t.size(inStrides[i], Type::I64)));
  }
  Val plane =
      c.t.add(c.t.mul(c.t.iota(out, 0, Type::I64), c.t.size(x.shape[1], Type::I64)), c.t.iota(out, 1, Type::I64));
  return {y, c.t.add(place, c.t.mul(plane, c.t.size(stride, Type::I64)))};
}

Vals averagePool(NodeCall &c) {
  const Val &x = c.x();
  Window w = windowOf(c), counted = w;
  roundUp(c, x, w);
  Val zero = c.t.scalar(0, x.type);
  auto sums = [&](const Val &padded) {
    Val windows = c.t.windows(padded, w.sizes, w.strides, w.dilations);
    return c.t.sum(windows, lastDims(windows, w.sizes.size()), false);
  };
  Val total = sums(c.t.pad(x, w.low, w.high, w.none, zero));
  bool all = c.integer("count_include_pad", 0), padded = false, reaches = false;
  int64_t window = 1;
  for (size_t i = 0; i < w.sizes.size(); ++i) {
    window *= w.sizes[i];
    padded |= counted.low[2 + i] || counted.high[2 + i];
    reaches |= w.high[2 + i] != counted.high[2 + i];
  }
  if ((all || !padded) && !reaches)
    return {c.t.div(total, double(window))};
  // How many elements of the operand each window holds; with `count_include_pad` those of the padding as well.
  std::vector<Dim> plane = {1, 1};
  plane.insert(plane.end(), x.shape.begin() + 2, x.shape.end());
  Val ones = c.t.recorded(c.t.rec.constant(1, {*elemOf(x.type), plane, 0}), x.type);
  std::vector<int64_t> high = w.high;
  if (all) {
    ones = c.t.pad(ones, counted.low, counted.high, w.none, c.t.scalar(1, x.type));
    for (size_t i = 0; i < high.size(); ++i)
      high[i] -= counted.high[i];
    ones = c.t.pad(ones, w.none, high, w.none, zero);
  } else {
    ones = c.t.pad(ones, w.low, w.high, w.none, zero);
  }
  return {c.t.div(total, sums(ones))};
}

Vals lpPool(NodeCall &c) {
  const Val &x = c.x();
  Window w = windowOf(c);
  roundUp(c, x, w);
  double p = double(c.integer("p", 2));
  Val windows = c.t.windows(c.t.pad(x, w.low, w.high, w.none, c.t.scalar(0, x.type)), w.sizes, w.strides, w.dilations);
  Val power = c.t.pointwise(Op::Pow, {c.t.unary(Op::Abs, windows), c.t.scalar(p, x.type)});
  Val sum = c.t.sum(power, lastDims(windows, w.sizes.size()), false);
  return {c.t.pointwise(Op::Pow, {sum, c.t.scalar(1 / p, x.type)})};
}

std::vector<int64_t> spatial(const Val &x) {
  if (x.rank() < 3)
    refuse("pooling over " + typeText(x));
  return lastDims(x, x.rank() - 2);
}
Vals globalMax(NodeCall &c) { return {c.t.reduce(Op::ReduceMax, c.x(), spatial(c.x()), true)}; }
Vals globalAverage(NodeCall &c) { return {c.t.mean(c.x(), spatial(c.x()), true)}; }
Vals globalLp(NodeCall &c) {
  double p = double(c.integer("p", 2));
  Val power = c.t.pointwise(Op::Pow, {c.t.unary(Op::Abs, c.x()), c.t.scalar(p, c.x().type)});
  return {c.t.pointwise(Op::Pow, {c.t.sum(power, spatial(c.x()), true), c.t.scalar(1 / p, c.x().type)})};
}

Vals maxUnpool(NodeCall &c) {
  const Val &x = c.ranked(3), &at = c.x(1);
  std::vector<Dim> shape;
  std::vector<Dim> inner = {x.shape[0], x.shape[1]};
  auto kernel = c.integers("kernel_shape", {});
  size_t n = kernel.size();
  if (x.rank() != n + 2)
    refuse("a kernel of " + std::to_string(n) + " dimensions over " + typeText(x));
  auto strides = c.integers("strides", std::vector<int64_t>(n, 1)),
       pads = c.integers("pads", std::vector<int64_t>(2 * n, 0));
  if (strides.size() != n || pads.size() != 2 * n)
    refuse("`strides` or `pads` of another length than the kernel");
  for (size_t i = 0; i < n; ++i)
    inner.push_back((x.shape[2 + i] - Dim(1)) * Dim(strides[i]) - Dim(pads[i] + pads[n + i]) + Dim(kernel[i]));
  shape = c.has(2) ? c.t.dims(c.in[2], "`output_shape`") : inner;
  Val ids = at;
  if (shape != inner) {
    // The places count in the operand that was pooled: taken apart there, put together here.
    Val rest = at, place = c.t.scalar(0, Type::I64);
    Dim stride = 1;
    for (size_t i = x.rank(); i-- > 0;) {
      Val size = c.t.size(inner[i], Type::I64), along = c.t.pointwise(Op::Mod, {rest, size});
      rest = c.t.div(rest, size);
      place = c.t.add(place, c.t.mul(along, c.t.size(stride, Type::I64)));
      stride = stride * shape[i];
    }
    ids = place;
  }
  Val flat = c.t.scatterAdd(c.t.reshape(x, {product(x.shape)}), c.t.reshape(ids, {product(x.shape)}), product(shape));
  return {c.t.reshape(flat, shape)};
}

} // namespace

void addPools(Table &t) {
  const Table mine = {
      {"MaxPool", maxPool}, {"AveragePool", averagePool}, {"LpPool", lpPool}, {"GlobalMaxPool", globalMax},
      {"GlobalAveragePool", globalAverage}, {"GlobalLpPool", globalLp}, {"MaxUnpool", maxUnpool},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
