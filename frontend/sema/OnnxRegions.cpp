// Pictures read at places that the data say: regions of interest, and convolutions whose windows are bent.
//
// A bin of a region is the mean (or the largest) of samples in it. Of a fixed number of samples each reads the elements
// around it. Where the region's size decides their number, what a bin makes of a row of the picture is a weight for each
// element of the row, and so for columns: two products with the picture, whatever the number of samples.
#include "OnnxSampling.h"
#include "OnnxWindow.h"

namespace bigm::sema::onnx_import {
namespace {

/// Along one dimension of the picture: bins of each region [R].
struct Bins {
  Tensors &t;
  Val start, size; // of the first bin; of each
  int64_t count;
  Dim extent; // of the picture

  /// Where a sample counts: inside, or less than an element beside.
  Val counts(const Val &place) const {
    Val low = t.compare(Op::Ge, place, -1), high = t.pointwise(Op::Le, {place, t.size(extent, place.type)});
    return t.pointwise(Op::And, {low, high});
  }
  /// The elements around `samples` places a bin, [R, count * samples] in all.
  Taps taps(int64_t samples) const {
    std::vector<Dim> shape = {start.shape[0], count * samples};
    Val i = t.add(t.iota(shape, 1, start.type), 0.5);
    Val place = t.add(t.unsqueeze(start, {1}), t.mul(t.div(i, double(samples)), t.unsqueeze(size, {1})));
    Taps taps = linearTaps(t, clamped(t, place, extent));
    for (auto &[at, weight] : taps)
      weight = t.select(counts(place), weight, t.scalar(0, weight.type));
    return taps;
  }
  /// How many samples a region of this size gets.
  Val samples() const { return t.unary(Op::Ceil, size); }
  /// [R, count, extent]: what each element adds to the sum over a bin's samples. They lie more than half an element
  /// apart, or there is one; so of those that count there are at most twice as many as elements, and these are taken one
  /// after the other from the first.
  Val weights() const {
    auto wide = [&](const Val &v) { return t.unsqueeze(v, {1, 2, 3}); };
    std::vector<Dim> shape = {start.shape[0], count, Dim(4) + extent * Dim(2), 1};
    Val n = wide(samples()), step = t.div(wide(size), t.max(n, 1));
    Val from = t.add(wide(start), t.mul(t.iota({start.shape[0], count, 1, 1}, 1, start.type), wide(size)));
    Val before = t.div(t.sub(t.scalar(-1, from.type), from), t.max(step, 1e-6));
    Val first = t.max(t.unary(Op::Floor, t.sub(before, 0.5)), 0);
    Val i = t.add(first, t.iota(shape, 2, start.type));
    Val place = t.add(from, t.mul(t.add(i, 0.5), step));
    Val valid = t.pointwise(Op::And, {counts(place), t.pointwise(Op::Lt, {i, n})});
    Val element = t.iota({1, 1, 1, extent}, 3, start.type);
    Val near = t.max(t.sub(t.scalar(1, from.type), t.unary(Op::Abs, t.sub(clamped(t, place, extent), element))), 0);
    return t.sum(t.select(valid, near, t.scalar(0, near.type)), {2}, false);
  }
};

Val meanOverRegions(Tensors &t, const Val &x, const Val &picture, const Bins &rows, const Bins &columns) {
  const Dim &regions = rows.start.shape[0];
  bool one = x.shape[0] == Dim(1);
  Val own = one ? t.reshape(x, {x.shape[1], x.shape[2], x.shape[3]}) : t.gather(x, picture);
  // [r, c, p, w] = sum(h: [r, c, h, w] * [r, p, h]), then [r, c, p, q] = sum(w: that * [r, q, w])
  AffineIndices picked = {index(0), index(1), index(4), index(3)};
  if (one)
    picked.erase(picked.begin());
  Val half = t.contract(own, t.cast(rows.weights(), x.type), picked, {index(0), index(2), index(4)},
                        {regions, x.shape[1], rows.count, x.shape[3]}, {x.shape[2]});
  Val sum = t.contract(half, t.cast(columns.weights(), x.type), {index(0), index(1), index(2), index(4)}, {index(0), index(3), index(4)},
                       {regions, x.shape[1], rows.count, columns.count}, {x.shape[3]});
  Val samples = t.max(t.mul(rows.samples(), columns.samples()), 1);
  return t.div(sum, t.cast(t.unsqueeze(samples, {1, 2, 3}), sum.type));
}

Vals roiAlign(NodeCall &c) {
  const Val &x = c.ranked(4, 4), &regions = c.x(1), &ids = c.x(2);
  if (regions.rank() != 2 || regions.shape[1] != Dim(4) || ids.rank() != 1 || !isFloat(x.type) || !isFloat(regions.type))
    refuse("regions " + typeText(regions) + " in pictures " + typeText(ids) + " of " + typeText(x));
  if (ids.shape[0] != regions.shape[0])
    refuse("regions " + typeText(regions) + " in pictures " + typeText(ids), ids.shape[0], regions.shape[0]);
  int64_t height = c.integer("output_height", 1), width = c.integer("output_width", 1), ratio = c.integer("sampling_ratio", 0);
  std::string mode = c.text("mode", "avg");
  bool half = c.version >= 16 && c.text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  if (height < 1 || width < 1 || ratio < 0 || ratio > 64 || height > 4096 || width > 4096)
    refuse("bins or samples that are none or too many");
  if (mode != "avg" && mode != "max")
    refuse("the mode `" + mode + "`");
  Tensors &t = c.t;
  Val places = t.mul(t.cast(regions, regions.type == Type::F64 ? Type::F64 : Type::F32), c.real("spatial_scale", 1));
  if (half)
    places = t.sub(places, 0.5);
  auto bins = [&](int64_t first, int64_t count, const Dim &extent) {
    Val low = t.squeeze(t.slice(places, 1, first, 1), {1}), high = t.squeeze(t.slice(places, 1, first + 2, 1), {1});
    Val size = t.sub(high, low);
    return Bins{t, low, t.div(half ? size : t.max(size, 1), double(count)), count, extent};
  };
  Bins rows = bins(1, height, x.shape[2]), columns = bins(0, width, x.shape[3]);
  Val picture = clamped(t, t.cast(ids, Type::I64), x.shape[0]);
  if (!ratio) {
    if (mode == "max")
      refuse("the largest of as many samples as the data decide (`sampling_ratio` 0); a fixed `sampling_ratio` can be had");
    return {meanOverRegions(t, x, picture, rows, columns)};
  }
  Taps vertical = rows.taps(ratio), horizontal = columns.taps(ratio);
  for (auto &[at, weight] : vertical)
    at = t.unsqueeze(at, {2}), weight = t.unsqueeze(weight, {2});
  for (auto &[at, weight] : horizontal)
    at = t.unsqueeze(at, {1}), weight = t.unsqueeze(weight, {1});
  Between between{{x.shape[2], x.shape[3]}, {vertical, horizontal}, t.unsqueeze(picture, {1, 2}), false};
  Val samples;
  // The largest is over the weighted elements, not over their sums: that is what ONNX's reference does.
  eachTap(t, pictureRows(t, x), between, [&](const Val &row) {
    samples = !samples.some() ? row : t.pointwise(mode == "max" ? Op::Max : Op::Add, {samples, row});
  });
  samples = t.reshape(samples, {regions.shape[0], height, ratio, width, ratio, x.shape[1]});
  Val y = mode == "max" ? t.reduce(Op::ReduceMax, samples, {2, 4}, false) : t.mean(samples, {2, 4}, false);
  return {t.transpose(y, {0, 3, 1, 2})};
}

// Zhu, Hu, Lin, Dai: Deformable ConvNets v2. Each element of each window is read beside its place by an offset, and
// weighted by a mask.
Vals deformConv(NodeCall &c) {
  const Val &x = c.ranked(3, 5), &w = c.x(1), &offset = c.x(2);
  if (w.rank() != x.rank() || offset.rank() != x.rank() || !isFloat(x.type) || !isFloat(offset.type))
    refuse("weights " + typeText(w) + " and offsets " + typeText(offset) + " over " + typeText(x));
  Tensors &t = c.t;
  size_t n = x.rank() - 2;
  std::vector<int64_t> kernel = kernelOf(t, w);
  Window window(c, x, kernel);
  int64_t groups = c.integer("group", 1), bends = c.integer("offset_group", 1);
  auto channels = x.shape[1].constant();
  if (groups < 1 || bends < 1 || !channels || *channels % bends || x.shape[1] != w.shape[1] * Dim(groups))
    refuse("weights " + typeText(w) + " in " + std::to_string(groups) + " groups and " + std::to_string(bends) +
           " of offsets over " + typeText(x));
  // [N, bends, kernel..., places...]
  std::vector<Dim> shape = {x.shape[0], bends}, places;
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  for (size_t i = 0; i < n; ++i)
    places.push_back(window.out(x.shape[2 + i] + Dim(window.low[2 + i] + window.high[2 + i]), i));
  shape.insert(shape.end(), places.begin(), places.end());
  std::vector<Dim> split = shape;
  split.insert(split.begin() + 2 + int64_t(n), Dim(int64_t(n)));
  Val moved = t.reshape(offset, split);
  Between between;
  between.sizes.assign(x.shape.begin() + 2, x.shape.end());
  between.zeros = true;
  between.picture = t.add(t.mul(t.iota(shape, 0, Type::I64), double(bends)), t.iota(shape, 1, Type::I64));
  for (size_t i = 0; i < n; ++i) {
    Val at = t.squeeze(t.slice(moved, 2 + n, int64_t(i), 1), {int64_t(2 + n)});
    at = t.add(at, t.mul(t.iota(shape, 2 + i, at.type), double(window.dilations[i])));
    at = t.add(at, t.mul(t.iota(shape, 2 + n + i, at.type), double(window.strides[i])));
    between.taps.push_back(linearTaps(t, t.sub(at, double(window.low[2 + i]))));
  }
  std::vector<Dim> pictures = {x.shape[0] * Dim(bends), *channels / bends};
  pictures.insert(pictures.end(), between.sizes.begin(), between.sizes.end());
  Val read = sampled(t, pictureRows(t, t.reshape(x, pictures)), between); // [N, bends, kernel..., places..., C / bends]
  if (c.has(4))
    read = t.mul(read, t.unsqueeze(t.reshape(c.in[4], shape), {-1}));
  std::vector<int64_t> order = {0, 1, int64_t(2 + 2 * n)};
  for (size_t i = 0; i < 2 * n; ++i)
    order.push_back(int64_t(2 + i));
  std::vector<Dim> joined = {x.shape[0], groups, w.shape[1]}, kernels = {groups, w.shape[0].floorDiv(groups)};
  joined.insert(joined.end(), shape.begin() + 2, shape.end());
  kernels.insert(kernels.end(), w.shape.begin() + 1, w.shape.end());
  // [n, g, o, p...] = sum(c, k...: read[n, g, c, k..., p...] * w[g, o, c, k...])
  std::vector<Dim> result = {x.shape[0], groups, kernels[1]}, reduced = {w.shape[1]};
  result.insert(result.end(), places.begin(), places.end());
  reduced.insert(reduced.end(), kernel.begin(), kernel.end());
  AffineIndices left = {index(0), index(1), index(uint32_t(3 + n))}, right = {index(1), index(2), index(uint32_t(3 + n))};
  for (size_t i = 0; i < n; ++i) {
    left.push_back(index(uint32_t(4 + n + i)));
    right.push_back(index(uint32_t(4 + n + i)));
  }
  for (size_t i = 0; i < n; ++i)
    left.push_back(index(uint32_t(3 + i)));
  Val y = t.contract(t.reshape(t.transpose(read, order), joined), t.reshape(w, kernels), left, right, result, reduced);
  std::vector<Dim> whole = {x.shape[0], w.shape[0]};
  whole.insert(whole.end(), places.begin(), places.end());
  y = t.reshape(y, whole);
  return {c.has(3) ? t.add(y, perChannel(t, c.in[3], y.rank())) : y};
}

} // namespace

void addRegions(Table &t) {
  const Table mine = {{"RoiAlign", roiAlign}, {"DeformConv", deformConv}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
