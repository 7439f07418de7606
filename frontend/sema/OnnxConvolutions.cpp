// Convolutions, each one contraction over affine indices, and pooling over windows. What both need of a node is
// `Window`.
#include "OnnxWindow.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {

Window::Window(NodeCall &c, const Val &x, std::vector<int64_t> kernel) : sizes(std::move(kernel)) {
  size_t n = sizes.size();
  if (x.rank() != n + 2)
    refuse("a window of " + std::to_string(n) + " dimensions over " + typeText(x));
  strides = c.integers("strides", std::vector<int64_t>(n, 1));
  dilations = c.integers("dilations", std::vector<int64_t>(n, 1));
  std::vector<int64_t> pads = c.integers("pads", std::vector<int64_t>(2 * n, 0));
  std::string mode = c.text("auto_pad", "NOTSET");
  if (strides.size() != n || dilations.size() != n || pads.size() != 2 * n)
    refuse("`strides`, `dilations` or `pads` of another length than the kernel");
  for (size_t i = 0; i < n; ++i) {
    if (strides[i] < 1 || dilations[i] < 1 || sizes[i] < 1)
      refuse("a kernel, stride or dilation below 1");
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      int64_t extent = (sizes[i] - 1) * dilations[i] + 1, total;
      if (auto in = x.shape[2 + i].constant()) {
        int64_t out = (*in + strides[i] - 1) / strides[i];
        total = std::max<int64_t>(0, (out - 1) * strides[i] + extent - *in);
      } else if (strides[i] == 1) {
        total = extent - 1;
      } else {
        refuse("`auto_pad` with a stride over " + x.shape[2 + i].str() + " elements");
      }
      pads[i] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      pads[n + i] = total - pads[i];
    } else if (mode == "VALID") {
      pads[i] = pads[n + i] = 0;
    }
  }
  low.assign(2, 0);
  high.assign(2, 0);
  low.insert(low.end(), pads.begin(), pads.begin() + int64_t(n));
  high.insert(high.end(), pads.begin() + int64_t(n), pads.end());
  none.assign(n + 2, 0);
}

Dim Window::out(const Dim &padded, size_t i) const {
  Dim room = padded - Dim((sizes[i] - 1) * dilations[i] + 1);
  if (auto n = room.constant(); n && *n < 0)
    refuse("a window of " + std::to_string(sizes[i]) + " over " + padded.str() + " elements");
  return room.floorDiv(strides[i]) + Dim(1);
}

std::vector<int64_t> kernelOf(Tensors &t, const Val &w) {
  std::vector<int64_t> sizes;
  for (size_t i = 2; i < w.rank(); ++i)
    sizes.push_back(t.number(w.shape[i], "the size of a kernel"));
  return sizes;
}

Val perChannel(Tensors &t, const Val &b, size_t rank) {
  std::vector<Dim> shape(rank - 1, Dim(1));
  shape[0] = product(b.shape);
  return t.reshape(b, shape);
}

namespace {

/// y[n, g, o, p...] = sum(c, k...: x[n, g, c, p * stride + k * dilation] * w[g, o, c, k...])
Val convolve(Tensors &t, const Val &padded, const Val &w, const Window &window, int64_t groups) {
  size_t n = window.sizes.size();
  if (groups < 1 || padded.shape[1] != w.shape[1] * Dim(groups))
    refuse("weights " + typeText(w) + " in " + std::to_string(groups) + " groups over " + typeText(padded));
  std::vector<Dim> spatial, reduced = {w.shape[1]};
  for (size_t i = 0; i < n; ++i) {
    spatial.push_back(window.out(padded.shape[2 + i], i));
    reduced.push_back(window.sizes[i]);
  }
  Val x = padded, k = w;
  size_t g = groups > 1; // whether there is a dimension for groups
  std::vector<Dim> shape = {x.shape[0]};
  if (g) {
    std::vector<Dim> split = {x.shape[0], groups, w.shape[1]}, kernels = {groups, w.shape[0].floorDiv(groups)};
    split.insert(split.end(), x.shape.begin() + 2, x.shape.end());
    kernels.insert(kernels.end(), w.shape.begin() + 1, w.shape.end());
    x = t.reshape(x, split);
    k = t.reshape(w, kernels);
    shape.push_back(groups);
  }
  shape.push_back(k.shape[g]);
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  uint32_t channel = uint32_t(shape.size());
  AffineIndices left = {index(0)}, right;
  if (g) {
    left.push_back(index(1));
    right.push_back(index(1));
  }
  left.push_back(index(channel));
  right.push_back(index(uint32_t(1 + g)));
  right.push_back(index(channel));
  for (size_t i = 0; i < n; ++i) {
    AffineIndex at;
    at.terms = {{uint32_t(2 + g + i), window.strides[i]}, {uint32_t(channel + 1 + i), window.dilations[i]}};
    left.push_back(at);
    right.push_back(index(uint32_t(channel + 1 + i)));
  }
  Val y = t.contract(x, k, left, right, shape, reduced);
  if (g) {
    std::vector<Dim> joined = {x.shape[0], w.shape[0]};
    joined.insert(joined.end(), spatial.begin(), spatial.end());
    y = t.reshape(y, joined);
  }
  return y;
}

Vals conv(NodeCall &c) {
  const Val &x = c.x(0), &w = c.x(1);
  if (x.rank() < 3 || w.rank() != x.rank())
    refuse("weights " + typeText(w) + " over " + typeText(x));
  Window window(c, x, kernelOf(c.t, w));
  Val y = convolve(c.t, c.t.pad(x, window.low, window.high, window.none, c.t.scalar(0, x.type)), w, window,
                   c.integer("group", 1));
  if (c.has(2))
    y = c.t.add(y, perChannel(c.t, c.in[2], y.rank()));
  return {y};
}

// The adjoint of a convolution: zeros between the elements, then the convolution with the flipped kernel.
Vals convTranspose(NodeCall &c) {
  const Val &x = c.x(0), &w = c.x(1); // w: [C, M / groups, k...]
  if (x.rank() < 3 || w.rank() != x.rank())
    refuse("weights " + typeText(w) + " over " + typeText(x));
  size_t n = x.rank() - 2;
  std::vector<int64_t> ones(n, 1), zeros(n, 0), kernel = kernelOf(c.t, w);
  auto strides = c.integers("strides", ones), dilations = c.integers("dilations", ones),
       extra = c.integers("output_padding", zeros);
  auto pads = c.integers("pads", std::vector<int64_t>(2 * n, 0)), wanted = c.integers("output_shape", {});
  if (strides.size() != n || dilations.size() != n || extra.size() != n || pads.size() != 2 * n)
    refuse("`strides`, `dilations`, `output_padding` or `pads` of another length than the kernel");
  if (wanted.size() == n + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  std::string mode = c.text("auto_pad", "NOTSET");
  int64_t groups = c.integer("group", 1);
  std::vector<int64_t> low = {0, 0}, high = {0, 0}, interior = {0, 0};
  for (size_t i = 0; i < n; ++i) {
    int64_t extent = (kernel[i] - 1) * dilations[i] + 1;
    bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    if (wanted.size() == n || same) {
      int64_t in = c.t.number(x.shape[2 + i], "the size"), out = wanted.size() == n ? wanted[i] : in * strides[i];
      int64_t total = strides[i] * (in - 1) + extra[i] + extent - out;
      bool upper = mode == "SAME_UPPER";
      int64_t half = total >= 0 ? total / 2 : -((1 - total) / 2); // toward the smaller, also below zero
      pads[i] = upper ? half : total - half;
      pads[n + i] = total - pads[i];
    } else if (mode == "VALID") {
      pads[i] = pads[n + i] = 0;
    }
    low.push_back(extent - 1 - pads[i]);
    high.push_back(extent - 1 - pads[n + i] + extra[i]);
    interior.push_back(strides[i] - 1);
  }
  Val spread = c.t.pad(x, low, high, interior, c.t.scalar(0, x.type));
  // [C, M/g, k] -> [M, C/g, flipped k]
  Val flipped = w;
  for (size_t i = 0; i < n; ++i)
    flipped = c.t.flip(flipped, 2 + i);
  std::vector<Dim> split = {groups, w.shape[0].floorDiv(groups), w.shape[1]},
                   joined = {w.shape[1] * Dim(groups), split[1]};
  std::vector<int64_t> order = {0, 2, 1};
  for (size_t i = 0; i < n; ++i) {
    split.push_back(w.shape[2 + i]);
    joined.push_back(w.shape[2 + i]);
    order.push_back(int64_t(3 + i));
  }
  Val k = c.t.reshape(c.t.transpose(c.t.reshape(flipped, split), order), joined);
  Window window(kernel, ones, dilations);
  Val y = convolve(c.t, spread, k, window, groups);
  if (c.has(2))
    y = c.t.add(y, perChannel(c.t, c.in[2], y.rank()));
  return {y};
}

/// Operands in int32, less their zero points.
Val centred(NodeCall &c, size_t operand, size_t zero, bool perRow) {
  Val x = c.t.cast(c.x(operand), Type::I32);
  if (!c.has(zero))
    return x;
  Val z = c.t.cast(c.in[zero], Type::I32);
  if (z.rank() == 1 && z.shape[0] != Dim(1) && perRow) {
    std::vector<Dim> shape(x.rank(), Dim(1));
    shape[0] = z.shape[0];
    z = c.t.reshape(z, shape);
  } else if (z.rank() == 1 && z.shape[0] == Dim(1)) {
    z = c.t.reshape(z, {});
  }
  return c.t.sub(x, z);
}

Val integerConvolution(NodeCall &c, size_t x, size_t xZero, size_t w, size_t wZero) {
  Val left = centred(c, x, xZero, false), right = centred(c, w, wZero, true);
  if (left.rank() < 3 || right.rank() != left.rank())
    refuse("weights " + typeText(right) + " over " + typeText(left));
  Window window(c, left, kernelOf(c.t, right));
  return convolve(c.t, c.t.pad(left, window.low, window.high, window.none, c.t.scalar(0, Type::I32)), right, window,
                  c.integer("group", 1));
}

Vals convInteger(NodeCall &c) { return {integerConvolution(c, 0, 2, 1, 3)}; }

Vals quantizedConv(NodeCall &c) {
  // x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias
  Val sum = integerConvolution(c, 0, 2, 3, 5);
  if (c.has(8))
    sum = c.t.add(sum, perChannel(c.t, c.in[8], sum.rank()));
  Val scale = c.t.div(c.t.mul(c.x(1), c.x(4)), c.x(6));
  if (product(scale.shape) != Dim(1))
    scale = perChannel(c.t, scale, sum.rank());
  else
    scale = c.t.reshape(scale, {});
  Val y = c.t.unary(Op::Round, c.t.mul(c.t.cast(sum, Type::F32), scale));
  const Val &zero = c.x(7);
  y = c.t.add(y, c.t.reshape(c.t.cast(zero, Type::F32), {}));
  bool sign = zero.type == Type::I8;
  return {c.t.cast(c.t.min(c.t.max(y, sign ? -128 : 0), sign ? 127 : 255), zero.type)};
}

} // namespace

void addConvolutions(Table &t) {
  const Table mine = {{"Conv", conv}, {"ConvTranspose", convTranspose}, {"ConvInteger", convInteger},
                      {"QLinearConv", quantizedConv}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
