// Resizing.
//
// Along one dimension each result is a weighted sum of a few neighbours, whose places and weights are formulas of its
// index; dimensions go one after the other. Everything is gather, multiply and add, so gradients flow.
#include "OnnxExact.h"
#include "OnnxSampling.h"
#include <algorithm>
#include <cmath>

namespace bigm::sema::onnx_import {

std::array<Val, 4> cubicWeights(Tensors &t, const Val &part, double a) {
  auto near = [&](const Val &s) { return t.add(t.mul(t.mul(t.sub(t.mul(s, a + 2), a + 3), s), s), 1); };
  auto far = [&](const Val &s) { return t.mul(t.sub(t.mul(t.add(t.mul(t.sub(s, 5), s), 8), s), 4), a); };
  Val back = t.sub(t.scalar(1, part.type), part);
  return {far(t.add(part, 1)), near(part), near(back), far(t.add(back, 1))};
}

namespace {

/// Elements along one dimension that a file may ask for, and those whose places and weights are tables that the importer makes:
/// a file of a hundred bytes may ask for gigabytes of them. Beyond, the run computes them, in f32.
constexpr int64_t kMostSize = int64_t(1) << 24, kMostInTables = int64_t(1) << 19;

struct Resizing {
  std::string mode, coordinates, nearest;
  double cubic = -0.75, outside = 0;
  bool excludeOutside = false, antialias = false;
};

/// Known weights of one dimension: row i holds the taps of result i as (place, weight), places perhaps outside.
struct Taps {
  std::vector<std::vector<std::pair<int64_t, double>>> rows;
  std::vector<bool> beyond; // results that lie outside the region: the fill
};

double cubicWeight(double x, double a) {
  x = std::fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

Taps tapsOf(const Resizing &r, int64_t in, int64_t out, double scale, double first, double last) {
  Taps t;
  t.beyond.assign(size_t(out), false);
  for (int64_t i = 0; i < out; ++i) {
    double x = double(i), width = double(out), original;
    if (r.coordinates == "half_pixel")
      original = (x + 0.5) / scale - 0.5;
    else if (r.coordinates == "pytorch_half_pixel")
      original = width > 1 ? (x + 0.5) / scale - 0.5 : 0;
    else if (r.coordinates == "align_corners")
      original = width > 1 ? x * double(in - 1) / (scale * double(in) - 1) : 0;
    else if (r.coordinates == "asymmetric" || r.coordinates == "tf_half_pixel_for_nn")
      original = (x + (r.coordinates == "asymmetric" ? 0 : 0.5)) / scale;
    else if (r.coordinates == "half_pixel_symmetric") {
      double exact = scale * double(in), adjust = width / exact;
      original = double(in) / 2 * (1 - adjust) + (x + 0.5) / scale - 0.5;
    } else if (r.coordinates == "tf_crop_and_resize") {
      original = width > 1 ? first * double(in - 1) + x * (last - first) * double(in - 1) / (width - 1)
                           : 0.5 * (first + last) * double(in - 1);
      t.beyond[size_t(i)] = original < 0 || original > double(in - 1);
    } else {
      refuse("the coordinates `" + r.coordinates + "`");
    }
    std::vector<std::pair<int64_t, double>> taps;
    if (r.mode == "nearest") {
      double at = r.nearest == "round_prefer_floor" ? std::ceil(original - 0.5)
                  : r.nearest == "round_prefer_ceil" ? std::floor(original + 0.5)
                  : r.nearest == "floor"             ? std::floor(original)
                                                     : std::ceil(original);
      taps.push_back({int64_t(at), 1});
    } else {
      double support = r.mode == "cubic" ? 2 : 1, shrink = r.antialias ? std::min(scale, 1.0) : 1;
      if (r.mode != "cubic" && r.mode != "linear")
        refuse("the mode `" + r.mode + "`");
      auto from = int64_t(std::floor(original - support / shrink)) + 1,
           to = int64_t(std::ceil(original + support / shrink)) - 1;
      if (r.mode == "linear" && shrink == 1) { // two neighbours, also where one has no weight
        from = int64_t(std::floor(original));
        to = from + 1;
      }
      double sum = 0;
      for (int64_t k = from; k <= to; ++k) {
        double d = (double(k) - original) * shrink,
               w = r.mode == "cubic" ? cubicWeight(d, r.cubic) : std::max(0.0, 1 - std::fabs(d));
        if (r.excludeOutside && (k < 0 || k >= in))
          w = 0;
        sum += w;
        if (w != 0)
          taps.push_back({k, w});
      }
      if ((r.excludeOutside || r.antialias) && sum != 0)
        for (auto &tap : taps)
          tap.second /= sum;
    }
    for (auto &tap : taps)
      tap.first = std::clamp<int64_t>(tap.first, 0, in - 1);
    t.rows.push_back(std::move(taps));
  }
  return t;
}

/// A vector along one dimension of a tensor of that rank.
Val along(Tensors &t, const Val &v, size_t dim, size_t rank) {
  std::vector<Dim> shape(rank, Dim(1));
  shape[dim] = v.shape[0];
  return t.reshape(v, shape);
}

Val resizeDim(Tensors &t, const Val &x, size_t dim, const Resizing &r, int64_t out, double scale, double first,
              double last) {
  int64_t in = t.number(x.shape[dim], "the size of what is resized");
  Taps taps = tapsOf(r, in, out, scale, first, last);
  size_t most = 0;
  for (auto &row : taps.rows)
    most = std::max(most, row.size());
  // Repeating each element so many times needs no look-up.
  if (r.mode == "nearest" && out % in == 0) {
    bool repeats = true;
    for (int64_t i = 0; i < out; ++i)
      repeats &= taps.rows[size_t(i)][0].first == i / (out / in) && !taps.beyond[size_t(i)];
    if (repeats) {
      std::vector<Dim> wide = x.shape, joined = x.shape;
      wide.insert(wide.begin() + int64_t(dim) + 1, Dim(out / in));
      joined[dim] = out;
      AffineIndices map;
      for (size_t d = 0; d < x.rank(); ++d)
        map.push_back(index(uint32_t(d > dim ? d + 1 : d)));
      return t.reshape(t.view(x, wide, map), joined);
    }
  }
  Val sum;
  for (size_t k = 0; k < most; ++k) {
    std::vector<Dim> ids;
    std::vector<double> weights;
    bool plain = true;
    for (auto &row : taps.rows) {
      ids.push_back(k < row.size() ? row[k].first : row.empty() ? 0 : row.back().first);
      weights.push_back(k < row.size() ? row[k].second : 0);
      plain &= weights.back() == 1;
    }
    Val part = t.take(x, t.wholes(ids), dim);
    if (!plain)
      part = t.mul(part, along(t, t.reals(weights, {Dim(out)}, x.type), dim, x.rank()));
    sum = sum.some() ? t.add(sum, part) : part;
  }
  if (std::find(taps.beyond.begin(), taps.beyond.end(), true) != taps.beyond.end()) {
    std::vector<Dim> flags(taps.beyond.begin(), taps.beyond.end());
    sum = t.select(along(t, t.whole(flags, {Dim(out)}, Type::Bool), dim, x.rank()), t.scalar(r.outside, x.type), sum);
  }
  return sum;
}

/// The same where a size is known to the run alone: places and weights are computed there. `scale` is 0 where it follows from
/// the sizes.
Val resizeOpen(Tensors &t, const Val &x, size_t dim, const Resizing &r, const Dim &out, double scale) {
  if (r.antialias || r.excludeOutside)
    refuse("smoothing, or weights that leave out what lies outside, along a dimension whose size is not known");
  const Dim &in = x.shape[dim];
  Type type = x.type == Type::F64 ? Type::F64 : Type::F32;
  Val i = t.iota({out}, 0, type), n = t.size(in, type), m = t.size(out, type), one = t.scalar(1, type);
  Val step = scale ? t.scalar(1 / scale, type) : t.div(n, m), at;
  if (r.coordinates == "half_pixel" || r.coordinates == "pytorch_half_pixel" || r.coordinates == "tf_half_pixel_for_nn")
    at = t.mul(t.add(i, 0.5), step);
  else if (r.coordinates == "asymmetric")
    at = t.mul(i, step);
  else if (r.coordinates == "align_corners")
    at = t.mul(i, t.div(t.sub(n, one), t.max(t.sub(m, one), 1)));
  else
    refuse("the coordinates `" + r.coordinates + "` along a dimension whose size is not known");
  if (r.coordinates.ends_with("half_pixel"))
    at = t.sub(at, 0.5);
  if (r.coordinates == "pytorch_half_pixel")
    at = t.select(t.compare(Op::Gt, m, 1), at, t.scalar(0, type));
  auto row = [&](const Val &place) {
    return t.take(x, t.cast(t.pointwise(Op::Min, {t.max(place, 0), t.sub(n, one)}), Type::I64), dim);
  };
  if (r.mode == "nearest")
    return row(r.nearest == "floor"               ? t.unary(Op::Floor, at)
               : r.nearest == "ceil"              ? t.unary(Op::Ceil, at)
               : r.nearest == "round_prefer_ceil" ? t.unary(Op::Floor, t.add(at, 0.5))
                                                  : t.unary(Op::Ceil, t.sub(at, 0.5)));
  if (r.mode != "linear" && r.mode != "cubic")
    refuse("the mode `" + r.mode + "`");
  Val low = t.unary(Op::Floor, at), part = t.sub(at, low);
  std::vector<std::pair<int, Val>> taps = {{0, t.sub(one, part)}, {1, part}};
  if (r.mode == "cubic") {
    taps.clear();
    auto weights = cubicWeights(t, part, r.cubic);
    for (int k = 0; k < 4; ++k)
      taps.push_back({k - 1, weights[size_t(k)]});
  }
  Val sum;
  for (auto &[offset, weight] : taps) {
    Val piece = t.mul(row(t.add(low, offset)), along(t, t.cast(weight, x.type), dim, x.rank()));
    sum = sum.some() ? t.add(sum, piece) : piece;
  }
  return sum;
}

/// A size times a factor, rounded down, where that can be said of a size that is not known.
Dim scaled(Tensors &t, const Dim &size, double scale) {
  Val one = t.mul(t.size(size, Type::F32), scale);
  if (!one.ratios || scale <= 0)
    refuse("a factor of " + std::to_string(scale) + " along a dimension whose size is not known");
  return wholeOf(*one.ratios)[0];
}

Vals resize(NodeCall &c) {
  Val x = c.x();
  Type type = x.type;
  size_t rank = x.rank();
  Resizing r;
  r.mode = c.text("mode", "nearest");
  r.coordinates = c.text("coordinate_transformation_mode", "half_pixel");
  r.nearest = c.text("nearest_mode", "round_prefer_floor");
  r.cubic = c.real("cubic_coeff_a", -0.75);
  r.outside = c.real("extrapolation_value", 0);
  r.excludeOutside = c.integer("exclude_outside", 0);
  r.antialias = c.integer("antialias", 0);
  size_t scaleAt = 2, sizeAt = 3, roiAt = 1;
  if (c.node.op == "Upsample" || c.version < 11) {
    scaleAt = 1;
    sizeAt = roiAt = 9;
    r.coordinates = "asymmetric";
    r.nearest = "floor";
    if (r.mode == "bilinear")
      r.mode = "linear";
  }
  std::vector<int64_t> axes = c.integers("axes", {});
  if (axes.empty())
    for (size_t i = 0; i < rank; ++i)
      axes.push_back(int64_t(i));
  std::vector<double> scales = c.has(scaleAt) ? c.t.doubles(c.in[scaleAt], "`scales`") : std::vector<double>();
  if (c.node.op == "Upsample" && c.attribute("scales"))
    for (float s : c.attribute("scales")->reals)
      scales.push_back(s);
  std::vector<Dim> sizes = c.has(sizeAt) ? c.t.dims(c.in[sizeAt], "`sizes`") : std::vector<Dim>();
  std::vector<double> roi = c.has(roiAt) && r.coordinates == "tf_crop_and_resize" ? c.t.doubles(c.in[roiAt], "`roi`")
                                                                                  : std::vector<double>();
  if (scales.size() != axes.size() && sizes.size() != axes.size())
    refuse("`scales` or `sizes` of another length than the axes");
  for (int64_t axis : axes)
    if (x.shape[axisOf(axis, rank)] == Dim(0))
      refuse("what has no elements along dimension " + std::to_string(axisOf(axis, rank)));
  // From a product with a scale, which the file may say to be anything.
  auto whole = [](double size) -> int64_t {
    if (!(size >= 1 && size <= double(kMostSize)))
      refuse("a size of " + std::to_string(size));
    return int64_t(size);
  };
  std::string policy = c.text("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch" && !sizes.empty()) {
    double scale = 0;
    for (size_t i = 0; i < axes.size(); ++i) {
      double s = double(c.t.number(sizes[i], "a size")) / double(c.t.number(x.shape[axisOf(axes[i], rank)], "a size"));
      scale = i == 0 ? s : policy == "not_larger" ? std::min(scale, s) : std::max(scale, s);
    }
    scales.assign(axes.size(), scale);
    for (size_t i = 0; i < axes.size(); ++i)
      sizes[i] = whole(std::floor(scale * double(*x.shape[axisOf(axes[i], rank)].constant()) + 0.5));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    size_t d = size_t(axisOf(axes[i], rank));
    if ((!sizes.empty() && sizes[i] == x.shape[d]) || (sizes.empty() && scales[i] == 1))
      if (r.coordinates != "tf_crop_and_resize")
        continue;
    if (!x.shape[d].isConstant()) {
      // Whole repeats along a dimension whose size is not known.
      double s = sizes.empty() ? scales[i] : 0;
      if (r.mode == "nearest" && s >= 1 && s == std::floor(s) && (r.coordinates != "align_corners")) {
        std::vector<Dim> wide = x.shape, joined = x.shape;
        wide.insert(wide.begin() + int64_t(d) + 1, Dim(int64_t(s)));
        joined[d] = x.shape[d] * Dim(int64_t(s));
        AffineIndices map;
        for (size_t k = 0; k < rank; ++k)
          map.push_back(index(uint32_t(k > d ? k + 1 : k)));
        x = c.t.reshape(c.t.view(x, wide, map), joined);
        continue;
      }
    }
    if (!x.shape[d].isConstant() || (!sizes.empty() && !sizes[i].isConstant())) {
      Val wide = isFloat(type) || r.mode == "nearest" ? x : c.t.cast(x, Type::F32);
      Dim size = sizes.empty() ? scaled(c.t, x.shape[d], scales[i]) : sizes[i];
      x = c.t.cast(resizeOpen(c.t, wide, d, r, size, scales.empty() ? 0 : scales[i]), type);
      continue;
    }
    int64_t in = c.t.number(x.shape[d], "the size of what is resized");
    int64_t out = sizes.empty() ? whole(std::floor(double(in) * scales[i])) : c.t.number(sizes[i], "a size");
    if (out < 1 || out > kMostSize)
      refuse("a size of " + std::to_string(out));
    double scale = scales.empty() ? double(out) / double(in) : scales[i];
    double first = roi.size() == 2 * axes.size() ? roi[i] : 0,
           last = roi.size() == 2 * axes.size() ? roi[axes.size() + i] : 1;
    Val wide = isFloat(type) || r.mode == "nearest" ? x : c.t.cast(x, Type::F32);
    x = c.t.cast(out > kMostInTables ? resizeOpen(c.t, wide, d, r, Dim(out), scale) : resizeDim(c.t, wide, d, r, out, scale, first, last), type);
  }
  return {x};
}

} // namespace

void addResize(Table &t) {
  const Table mine = {{"Resize", resize}, {"Upsample", resize}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
