// Operators that move, join, cut and repeat.
#include "OnnxFold.h"
#include "OnnxNode.h"
#include "Unify.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

Vals shape(NodeCall &c) {
  const std::vector<Dim> &dims = c.x().shape;
  int64_t rank = int64_t(dims.size());
  auto bound = [&](const char *name, int64_t otherwise) {
    int64_t i = c.integer(name, otherwise);
    return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
  };
  int64_t start = bound("start", 0), end = std::max(bound("end", rank), start);
  return {c.t.wholes({dims.begin() + start, dims.begin() + end})};
}
Vals size(NodeCall &c) { return {c.t.whole({product(c.x().shape)}, {})}; }

Vals reshape(NodeCall &c) {
  const Val &x = c.x();
  std::vector<Dim> to = c.t.dims(c.x(1), "the new shape");
  bool zeroIsZero = c.integer("allowzero", 0);
  for (size_t i = 0; i < to.size() && !zeroIsZero; ++i)
    if (to[i] == Dim(0)) {
      if (i >= x.rank())
        refuse("a 0 in the new shape where " + typeText(x) + " has no dimension");
      to[i] = x.shape[i];
    }
  for (size_t i = 0; i < to.size(); ++i)
    if (to[i] == Dim(-1)) {
      Dim rest = 1;
      for (size_t j = 0; j < to.size(); ++j)
        if (j != i)
          rest = rest * to[j];
      Dim total = product(x.shape);
      auto n = total.constant(), m = rest.constant();
      if (m && *m == 0)
        to[i] = 0;
      else if (auto q = divideExactly(total, rest))
        to[i] = *q;
      else if (m && *m > 0 && !n) // the run has to give sizes that divide
        to[i] = total.floorDiv(*m);
      else
        refuse("the -1 in the new shape of " + typeText(x) + " stands for no number: " + total.str() + " over " + rest.str(),
               x.rank() ? (i ? x.shape.front() : x.shape.back()) : Dim(1), i ? to.front() : to.back());
    }
  return {c.t.reshape(x, to)};
}

Vals flatten(NodeCall &c) {
  const Val &x = c.x();
  int64_t axis = c.integer("axis", 1);
  axis = axis == int64_t(x.rank()) ? axis : axisOf(axis, x.rank());
  return {c.t.reshape(
      x, {product({x.shape.begin(), x.shape.begin() + axis}), product({x.shape.begin() + axis, x.shape.end()})})};
}
Vals squeeze(NodeCall &c) {
  auto axes = c.integersOf("axes", 1);
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < c.x().rank(); ++i)
      if (c.x().shape[i] == Dim(1))
        axes->push_back(int64_t(i));
  }
  return {c.t.squeeze(c.x(), *axes)};
}
Vals unsqueeze(NodeCall &c) { return {c.t.unsqueeze(c.x(), c.integersOf("axes", 1).value_or(std::vector<int64_t>{}))}; }

Vals transpose(NodeCall &c) {
  std::vector<int64_t> order(c.x().rank());
  std::iota(order.rbegin(), order.rend(), 0);
  return {c.t.transpose(c.x(), c.integers("perm", order))};
}

Vals concat(NodeCall &c) {
  for (size_t i = 0; i < c.in.size(); ++i)
    c.x(i);
  return {c.t.concat(c.in, size_t(axisOf(c.integer("axis", 1), c.x().rank())))};
}

Vals expand(NodeCall &c) {
  const Val &x = c.x();
  Val to = c.t.wholes({});
  to.shape = c.t.dims(c.x(1), "the new shape");
  return {c.t.broadcast(x, broadcastShape({x, to}))};
}

Vals tile(NodeCall &c) {
  Val x = c.x();
  std::vector<Dim> times = c.t.dims(c.x(1), "`repeats`");
  if (times.size() != x.rank())
    refuse("`repeats` has another length than the rank");
  // [a, b] -> [n, a, m, b], repeated along the new ones.
  std::vector<Dim> wide, out;
  AffineIndices map;
  for (size_t i = 0; i < x.rank(); ++i) {
    wide.push_back(times[i]);
    wide.push_back(x.shape[i]);
    map.push_back(index(uint32_t(2 * i + 1)));
    out.push_back(times[i] * x.shape[i]);
  }
  return {c.t.reshape(c.t.view(x, wide, map), out)};
}

/// Where an index that counts from either end stands in [low, high] + size * (0 or 1).
Dim clampIndex(NodeCall &c, const Dim &i, const Dim &size, int64_t low, int64_t beyond) {
  auto n = i.constant(), s = size.constant();
  if (n && s)
    return Dim(std::clamp<int64_t>(*n < 0 ? *n + *s : *n, low, *s + beyond));
  constexpr int64_t everything = 1 << 29; // exporters write 2^31 - 1 and 10^9, and no tensor is as large as that
  if (n && *n > everything)
    return size + Dim(beyond);
  if (n && *n < -everything)
    return Dim(low);
  if (n)
    return *n < 0 ? size + Dim(*n) : Dim(*n); // sizes of a name are taken to be large enough
  if (atLeast(Dim(-1), i))
    return size + i;
  if (atLeast(Dim(0), i))
    refuse("whether the index " + i.str() + " is 0 or counts from the end depends on the size");
  Dim over = i - size;
  if (auto o = over.constant(); o && *o > beyond)
    return size + Dim(beyond);
  return i;
}

Vals slice(NodeCall &c) {
  Val x = c.x();
  std::vector<Dim> starts, ends;
  std::vector<int64_t> axes, steps;
  if (c.version < 10) {
    for (int64_t i : c.integers("starts", {}))
      starts.push_back(i);
    for (int64_t i : c.integers("ends", {}))
      ends.push_back(i);
    axes = c.integers("axes", {});
  } else {
    starts = c.t.dims(c.x(1), "`starts`");
    ends = c.t.dims(c.x(2), "`ends`");
    axes = c.has(3) ? c.t.ints(c.in[3], "`axes`") : axes;
    steps = c.has(4) ? c.t.ints(c.in[4], "`steps`") : steps;
  }
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i)
      axes.push_back(int64_t(i));
  steps.resize(axes.size(), 1);
  if (starts.size() != axes.size() || ends.size() != axes.size())
    refuse("`starts`, `ends` and `axes` of different lengths");
  for (size_t i = 0; i < axes.size(); ++i) {
    size_t d = size_t(axisOf(axes[i], x.rank()));
    int64_t step = steps[i];
    if (step == 0)
      refuse("a step of 0");
    const Dim &n = x.shape[d];
    Dim start = clampIndex(c, starts[i], n, 0, step < 0 ? -1 : 0),
        end = clampIndex(c, ends[i], n, step < 0 ? -1 : 0, 0);
    Dim count =
        step > 0 ? (end - start + Dim(step - 1)).floorDiv(step) : (start - end + Dim(-step - 1)).floorDiv(-step);
    if (auto k = count.constant(); k && *k < 0)
      count = 0;
    if (count == Dim(0)) {
      std::vector<Dim> none = x.shape;
      none[d] = 0;
      x = c.t.recorded(c.t.rec.constant(0, {*elemOf(x.type), none, 0}), x.type);
      continue;
    }
    if (auto s = start.constant(); s && !n.isConstant() && step < 0)
      refuse("a slice backwards along a dimension whose size is not known");
    x = c.t.slice(x, d, start, count, step);
  }
  return {x};
}

Vals split(NodeCall &c) {
  const Val &x = c.x();
  size_t d = size_t(axisOf(c.integer("axis", 0), x.rank()));
  std::vector<Dim> sizes;
  if (c.version >= 13 && c.has(1)) {
    sizes = c.t.dims(c.in[1], "`split`");
  } else if (c.attribute("split")) {
    for (int64_t i : c.integers("split", {}))
      sizes.push_back(i);
  } else {
    int64_t parts = c.integer("num_outputs", int64_t(c.node.outputs.size()));
    if (parts < 1)
      refuse("a split into " + std::to_string(parts));
    if (auto n = x.shape[d].constant()) {
      int64_t each = (*n + parts - 1) / parts;
      for (int64_t i = 0; i < parts; ++i)
        sizes.push_back(std::min(each, std::max<int64_t>(0, *n - i * each)));
    } else {
      sizes.assign(size_t(parts), x.shape[d].floorDiv(parts));
    }
  }
  Vals out;
  Dim at = 0;
  for (const Dim &size : sizes) {
    if (size == Dim(0)) {
      std::vector<Dim> none = x.shape;
      none[d] = 0;
      out.push_back(c.t.recorded(c.t.rec.constant(0, {*elemOf(x.type), none, 0}), x.type));
    } else {
      out.push_back(c.t.slice(x, d, at, size));
    }
    at = at + size;
  }
  if (at != x.shape[d])
    refuse("the parts are " + at.str() + " together and " + typeText(x) + " has " + x.shape[d].str(), at, x.shape[d]);
  return out;
}

Vals depthToSpace(NodeCall &c) {
  const Val &x = c.x();
  int64_t b = c.integer("blocksize", 0);
  if (x.rank() != 4 || b < 1 || b > 65536)
    refuse("a blocksize of " + std::to_string(b) + " over " + typeText(x));
  Dim n = x.shape[0], d = x.shape[1].floorDiv(b * b), h = x.shape[2], w = x.shape[3];
  bool crd = c.text("mode", "DCR") == "CRD";
  Val parts = c.t.reshape(x, crd ? std::vector<Dim>{n, d, b, b, h, w} : std::vector<Dim>{n, b, b, d, h, w});
  parts = c.t.transpose(parts, crd ? std::vector<int64_t>{0, 1, 4, 2, 5, 3} : std::vector<int64_t>{0, 3, 4, 1, 5, 2});
  return {c.t.reshape(parts, {n, d, h * Dim(b), w * Dim(b)})};
}
Vals spaceToDepth(NodeCall &c) {
  const Val &x = c.x();
  int64_t b = c.integer("blocksize", 0);
  if (x.rank() != 4 || b < 1)
    refuse("a blocksize of " + std::to_string(b) + " over " + typeText(x));
  Dim n = x.shape[0], d = x.shape[1], h = x.shape[2].floorDiv(b), w = x.shape[3].floorDiv(b);
  Val parts = c.t.transpose(c.t.reshape(x, {n, d, h, b, w, b}),
                            c.text("mode", "DCR") == "CRD" ? std::vector<int64_t>{0, 1, 3, 5, 2, 4}
                                                           : std::vector<int64_t>{0, 3, 5, 1, 2, 4});
  return {c.t.reshape(parts, {n, d * Dim(b * b), h, w})};
}

Vals trilu(NodeCall &c) {
  const Val &x = c.ranked(2);
  Val k = c.has(1) ? c.t.reshape(c.in[1], {}) : c.t.scalar(0, Type::I64);
  std::vector<Dim> square = {x.shape[x.rank() - 2], x.shape[x.rank() - 1]};
  Val row = c.t.add(c.t.iota(square, 0, Type::I64), k), column = c.t.iota(square, 1, Type::I64);
  Val keep = c.t.pointwise(c.integer("upper", 1) ? Op::Ge : Op::Le, {column, row});
  Val zero = c.t.scalar(0, x.type);
  if (x.type == Type::Bool)
    return {c.t.pointwise(Op::And, {keep, x})};
  return {c.t.select(keep, x, zero)};
}

Vals reverseSequence(NodeCall &c) {
  const Val &x = c.ranked(2);
  size_t batch = size_t(axisOf(c.integer("batch_axis", 1), x.rank())),
         time = size_t(axisOf(c.integer("time_axis", 0), x.rank()));
  if (batch == time || c.x(1).shape != std::vector<Dim>{x.shape[batch]})
    refuse("lengths " + typeText(c.x(1)) + " for " + typeText(x));
  std::vector<Dim> shape = {x.shape[time], x.shape[batch]};
  Val t = c.t.iota(shape, 0, Type::I64), length = c.t.cast(c.x(1), Type::I64);
  Val from = c.t.select(c.t.pointwise(Op::Lt, {t, length}), c.t.sub(c.t.sub(length, t), 1), t);
  from = c.t.add(c.t.mul(from, c.t.size(x.shape[batch], Type::I64)), c.t.iota(shape, 1, Type::I64));
  std::vector<int64_t> order = {int64_t(time), int64_t(batch)};
  for (size_t i = 0; i < x.rank(); ++i)
    if (i != time && i != batch)
      order.push_back(int64_t(i));
  Val front = c.t.transpose(x, order);
  std::vector<Dim> flat = {shape[0] * shape[1]};
  flat.insert(flat.end(), front.shape.begin() + 2, front.shape.end());
  Val rows = c.t.gather(c.t.reshape(front, flat), from);
  std::vector<int64_t> back(x.rank());
  for (size_t i = 0; i < order.size(); ++i)
    back[size_t(order[i])] = int64_t(i);
  return {c.t.transpose(rows, back)};
}

Vals columnsToImage(NodeCall &c) {
  // [N, C * k, L] adds up to [N, C, image]: the adjoint of windows, by a fold.
  const Val &x = c.ranked(3, 3);
  std::vector<int64_t> image = c.t.ints(c.x(1), "`image_shape`"), block = c.t.ints(c.x(2), "`block_shape`");
  size_t n = image.size();
  std::vector<int64_t> ones(n, 1), zeros(2 * n, 0);
  auto strides = c.integers("strides", ones), dilations = c.integers("dilations", ones),
       pads = c.integers("pads", zeros);
  if (!n || block.size() != n || strides.size() != n || dilations.size() != n || pads.size() != 2 * n)
    refuse("`image_shape`, `block_shape`, `strides`, `dilations` or `pads` of different lengths");
  for (size_t i = 0; i < n; ++i)
    if (block[i] < 1 || strides[i] < 1 || dilations[i] < 1 || block[i] > 65536 || image[i] < 1)
      refuse("a block, stride or dilation below 1");
  int64_t size = 1;
  std::vector<Dim> result = {x.shape[0]};
  for (size_t i = 0; i < n; ++i)
    if (__builtin_mul_overflow(size, block[i], &size))
      refuse("blocks that no memory holds");
  Dim channels = x.shape[1].floorDiv(size);
  std::vector<Dim> split = {x.shape[0], channels};
  result.push_back(channels);
  AffineIndices map = {index(0), index(1)};
  for (size_t i = 0; i < n; ++i)
    split.push_back(block[i]);
  std::vector<int64_t> low = {0, 0}, high = low, none(n + 2, 0);
  for (size_t i = 0; i < n; ++i) {
    int64_t padded = image[i] + pads[i] + pads[n + i],
            count = (padded - 1 - (block[i] - 1) * dilations[i]) / strides[i] + 1;
    split.push_back(count);
    result.push_back(padded);
    AffineIndex at;
    at.terms = {{uint32_t(2 + i), dilations[i]}, {uint32_t(2 + n + i), strides[i]}};
    map.push_back(at);
    low.push_back(-pads[i]);
    high.push_back(-pads[n + i]);
  }
  Val parts = c.t.reshape(x, split);
  Val sum = c.t.recorded(c.t.rec.add(Op::Fold, {c.t.use(parts)}, {*elemOf(x.type), result, 0}, {{"map", map}}), x.type);
  return {c.t.pad(sum, low, high, none, c.t.scalar(0, x.type))};
}

} // namespace

void addShapes(Table &t) {
  const Table mine = {
      {"Shape", shape},
      {"Size", size},
      {"Reshape", reshape},
      {"Flatten", flatten},
      {"Squeeze", squeeze},
      {"Unsqueeze", unsqueeze},
      {"Transpose", transpose},
      {"Concat", concat},
      {"Expand", expand},
      {"Tile", tile},
      {"Slice", slice},
      {"Split", split},
      {"DepthToSpace", depthToSpace},
      {"SpaceToDepth", spaceToDepth},
      {"Trilu", trilu},
      {"ReverseSequence", reverseSequence},
      {"Col2Im", columnsToImage},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
