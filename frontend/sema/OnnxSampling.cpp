// Sampling at places between elements that the data say.
#include "OnnxSampling.h"
#include <algorithm>
#include <functional>

namespace bigm::sema::onnx_import {
namespace {

/// Along one dimension: places in a grid to places between elements, by the rule for what lies outside.
struct Grid {
  std::string padding;
  bool corners;
  Tensors &t;

  /// [-1, 1] to [0, size - 1], or to [-0.5, size - 0.5].
  Val place(const Val &x, const Dim &size) const {
    Val n = t.size(size, x.type);
    return corners ? t.mul(t.mul(t.add(x, 1), 0.5), t.sub(n, 1)) : t.mul(t.sub(t.mul(t.add(x, 1), n), 1), 0.5);
  }
  /// Reflected at the borders until inside.
  Val reflected(const Val &x, const Dim &size) const {
    double low = corners ? 0 : -0.5;
    Val span = corners ? t.sub(t.size(size, x.type), 1) : t.size(size, x.type);
    Val far = t.unary(Op::Abs, t.sub(x, low)), rest = t.pointwise(Op::Mod, {far, span});
    Val turns = t.unary(Op::Floor, t.div(far, span)), odd = t.pointwise(Op::Mod, {turns, t.scalar(2, x.type)});
    Val back = t.sub(span, rest);
    return t.add(t.select(t.compare(Op::Gt, odd, 0.5), back, rest), low);
  }
};

Vals gridSample(NodeCall &c) {
  const Val &x = c.ranked(3, 5), &grid = c.x(1);
  size_t n = x.rank() - 2;
  std::string mode = c.text("mode", "linear");
  mode = mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode;
  Grid g{c.text("padding_mode", "zeros"), c.integer("align_corners", 0) != 0, c.t};
  if (x.rank() < 3 || grid.rank() != x.rank() || grid.shape.back() != Dim(int64_t(n)) || (mode == "cubic" && n != 2))
    refuse("a grid " + typeText(grid) + " over " + typeText(x));
  Tensors &t = c.t;
  Val rows = pictureRows(t, x);
  std::vector<Dim> outer(grid.shape.begin(), grid.shape.end() - 1);
  std::vector<Taps> taps(n);
  for (size_t d = 0; d < n; ++d) {
    // The last number of the grid is about the first spatial dimension.
    Val at = t.reshape(t.slice(grid, grid.rank() - 1, Dim(int64_t(n - 1 - d)), 1), outer);
    at = g.place(at, x.shape[2 + d]);
    if (g.padding == "border" && mode != "cubic")
      at = clamped(t, at, x.shape[2 + d]);
    else if (g.padding == "reflection" && mode != "cubic")
      at = clamped(t, g.reflected(at, x.shape[2 + d]), x.shape[2 + d]);
    if (mode == "nearest") {
      taps[d] = {{t.unary(Op::Round, at), Val()}};
      continue;
    }
    if (mode == "linear") {
      taps[d] = linearTaps(t, at);
    } else if (mode == "cubic") {
      Val low = t.unary(Op::Floor, at);
      auto weights = cubicWeights(t, t.sub(at, low), -0.75);
      for (int k = 0; k < 4; ++k) {
        Val place = t.add(low, k - 1);
        if (g.padding == "reflection")
          place = t.unary(Op::Round, g.reflected(place, x.shape[2 + d]));
        taps[d].push_back({place, weights[size_t(k)]});
      }
    } else {
      refuse("the mode `" + mode + "`");
    }
  }
  Val sum = sampled(t, rows, {{x.shape.begin() + 2, x.shape.end()}, taps, t.iota(outer, 0, Type::I64), g.padding == "zeros"});
  std::vector<int64_t> back = {0, int64_t(n + 1)};
  for (size_t i = 0; i < n; ++i)
    back.push_back(int64_t(1 + i));
  return {t.transpose(sum, back)};
}

Vals affineGrid(NodeCall &c) {
  const Val &theta = c.x(0);
  std::vector<Dim> size = c.t.dims(c.x(1), "`size`");
  bool corners = c.integer("align_corners", 0);
  size_t n = size.size() < 4 ? 0 : size.size() - 2;
  if (!n || theta.rank() != 3)
    refuse("a grid of " + std::to_string(n) + " dimensions");
  Tensors &t = c.t;
  std::vector<Dim> shape = {size[0]};
  shape.insert(shape.end(), size.begin() + 2, size.end());
  Vals base;
  for (size_t k = 0; k < n; ++k) { // x first
    size_t d = n - 1 - k;
    Val i = t.iota(shape, 1 + d, theta.type), count = t.size(size[2 + d], theta.type);
    base.push_back(t.unsqueeze(corners ? t.sub(t.div(t.mul(i, 2), t.sub(count, 1)), 1)
                                       : t.sub(t.div(t.add(t.mul(i, 2), 1), count), 1), {-1}));
  }
  base.push_back(t.broadcast(t.scalar(1, theta.type), base[0].shape));
  Val points = t.concat(base, n + 1);
  points = t.reshape(points, {size[0], product({size.begin() + 2, size.end()}), Dim(int64_t(n + 1))});
  Val grid = t.matmul(points, t.transpose(theta, {0, 2, 1}));
  shape.push_back(int64_t(n));
  return {t.reshape(grid, shape)};
}

} // namespace

Val clamped(Tensors &t, const Val &x, const Dim &size) {
  return t.pointwise(Op::Min, {t.max(x, 0), t.sub(t.size(size, x.type), 1)});
}

Taps linearTaps(Tensors &t, const Val &place) {
  Val low = t.unary(Op::Floor, place), part = t.sub(place, low);
  return {{low, t.sub(t.scalar(1, part.type), part)}, {t.add(low, 1), part}};
}

Val pictureRows(Tensors &t, const Val &pictures) {
  std::vector<int64_t> order = {0};
  for (size_t i = 2; i < pictures.rank(); ++i)
    order.push_back(int64_t(i));
  order.push_back(1);
  Val rows = t.transpose(pictures, order);
  return t.reshape(rows, {product({rows.shape.begin(), rows.shape.end() - 1}), rows.shape.back()});
}

void eachTap(Tensors &t, const Val &rows, const Between &between, const std::function<void(const Val &)> &visit) {
  size_t n = between.taps.size();
  std::vector<size_t> choice(n, 0);
  for (bool more = true; more;) {
    Val at = between.picture, weight, inside;
    for (size_t d = 0; d < n; ++d) {
      auto &[place, w] = between.taps[d][choice[d]];
      Val safe = clamped(t, place, between.sizes[d]);
      if (between.zeros) {
        Val here = t.pointwise(Op::Eq, {safe, place});
        inside = inside.some() ? t.pointwise(Op::And, {inside, here}) : here;
      }
      at = t.add(t.mul(at, t.size(between.sizes[d], Type::I64)), t.cast(safe, Type::I64));
      if (w.some())
        weight = weight.some() ? t.mul(weight, w) : w;
    }
    Val row = t.gather(rows, at);
    if (weight.some())
      row = t.mul(row, t.cast(t.unsqueeze(weight, {-1}), rows.type));
    if (inside.some())
      row = t.select(t.unsqueeze(inside, {-1}), row, t.scalar(0, rows.type));
    visit(row);
    more = false;
    for (size_t d = 0; d < n && !more; ++d) {
      more = ++choice[d] < between.taps[d].size();
      if (!more)
        choice[d] = 0;
    }
  }
}

Val sampled(Tensors &t, const Val &rows, const Between &between) {
  Val sum;
  eachTap(t, rows, between, [&](const Val &row) { sum = sum.some() ? t.add(sum, row) : row; });
  return sum;
}

void addSampling(Table &t) {
  const Table mine = {{"GridSample", gridSample}, {"AffineGrid", affineGrid}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
