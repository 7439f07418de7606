// Windows and Fourier transforms. A transform is a product with sines and cosines of whole angles.
#include "OnnxNode.h"
#include <cmath>

namespace bigm::sema::onnx_import {
namespace {

/// a - b cos(2 pi i / n) + d cos(4 pi i / n)
Vals window(NodeCall &c, double a, double b, double d) {
  int64_t size = c.t.oneInt(c.x(), "`size`");
  double n = double(c.integer("periodic", 1) ? size : size - 1);
  if (size < 1 || size > (1 << 24))
    refuse("a window of " + std::to_string(size));
  Val angle = c.t.mul(c.t.iota({Dim(size)}, 0, Type::F32), 2 * std::numbers::pi / n);
  Val w = c.t.add(c.t.mul(c.t.unary(Op::Cos, angle), -b), a);
  if (d != 0)
    w = c.t.add(w, c.t.mul(c.t.unary(Op::Cos, c.t.mul(angle, 2)), d));
  return {c.t.cast(w, typeOf(c.integer("output_datatype", 1)))};
}
Vals hann(NodeCall &c) { return window(c, 0.5, 0.5, 0); }
Vals hamming(NodeCall &c) { return window(c, 25.0 / 46, 21.0 / 46, 0); }
Vals blackman(NodeCall &c) { return window(c, 0.42, 0.5, 0.08); }

/// Cosines and sines of 2 pi i k / n for i < rows, k < columns; the product is taken modulo n, so angles stay exact.
std::pair<Val, Val> circle(Tensors &t, const Dim &rows, const Dim &columns, const Dim &n, Type type) {
  std::vector<Dim> shape = {rows, columns};
  Val turn = t.pointwise(Op::Mod, {t.mul(t.iota(shape, 0, Type::I64), t.iota(shape, 1, Type::I64)), t.size(n, Type::I64)});
  Val angle = t.div(t.mul(t.cast(turn, Type::F64), 2 * std::numbers::pi), t.size(n, Type::F64));
  return {t.cast(t.unary(Op::Cos, angle), type), t.cast(t.unary(Op::Sin, angle), type)};
}

/// Transform along the dimension before the last; x [..., n, 1 or 2] -> [..., bins, 2].
Val transform(Tensors &t, const Val &x, const Dim &n, const Dim &bins, bool inverse, int64_t parts) {
  auto [cosine, sine] = circle(t, n, bins, n, x.type);
  size_t last = x.rank() - 1;
  auto part = [&](int64_t i) { return t.squeeze(t.slice(x, last, Dim(i), 1), {-1}); };
  Val real = part(0), re = t.matmul(real, cosine), im = t.matmul(real, sine);
  if (!inverse)
    im = t.unary(Op::Neg, im);
  if (parts == 2) {
    Val other = part(1), a = t.matmul(other, sine), b = t.matmul(other, cosine);
    re = inverse ? t.sub(re, a) : t.add(re, a);
    im = t.add(im, b);
  }
  if (inverse) {
    re = t.div(re, t.size(n, re.type));
    im = t.div(im, t.size(n, im.type));
  }
  return t.concat({t.unsqueeze(re, {-1}), t.unsqueeze(im, {-1})}, re.rank());
}

Vals dft(NodeCall &c) {
  Tensors &t = c.t;
  Val x = c.ranked(2);
  size_t last = x.rank() - 1;
  int64_t parts = t.number(x.shape[last], "the number of parts");
  int64_t axis = c.version >= 20 ? (c.has(2) ? t.oneInt(c.in[2], "`axis`") : -2) : c.integer("axis", 1);
  size_t d = size_t(axisOf(axis, x.rank()));
  bool inverse = c.integer("inverse", 0), oneSided = c.integer("onesided", 0);
  if (d == last || parts < 1 || parts > 2)
    refuse("a transform of " + typeText(x) + " along dimension " + std::to_string(d));
  Dim n = x.shape[d];
  // Of what is real one half says all: the inverse of one side takes so many bins.
  bool half = inverse && oneSided;
  Dim full = c.has(1) ? t.oneDim(c.in[1], "`dft_length`") : half ? Dim(2) * (n - Dim(1)) : n;
  Dim needed = half ? full.floorDiv(2) + Dim(1) : full;
  if (full.constant().value_or(1) < 1 || (half && parts != 2))
    refuse("a transform of " + typeText(x) + " of length " + full.str());
  if (n != needed) {
    std::vector<int64_t> low(x.rank(), 0), high = low, none = low;
    high[d] = t.number(needed - n, "what a transform's length adds to the size");
    x = t.pad(x, low, high, none, t.scalar(0, x.type));
  }
  if (half && full != needed) {
    // The other side is the conjugate mirror; the result is real.
    Val tail = t.slice(x, d, full - needed, full - needed, -1);
    Val re = t.slice(tail, last, 0, 1), im = t.unary(Op::Neg, t.slice(tail, last, 1, 1));
    x = t.concat({x, t.concat({re, im}, last)}, d);
  }
  n = full;
  std::vector<int64_t> order(x.rank());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = int64_t(i);
  std::swap(order[d], order[last - 1]);
  Val y = transform(t, t.transpose(x, order), n, oneSided && !inverse ? n.floorDiv(2) + Dim(1) : n, inverse, parts);
  y = t.transpose(y, order);
  if (inverse && oneSided)
    y = t.slice(y, last, 0, 1);
  return {y};
}

Vals stft(NodeCall &c) {
  Tensors &t = c.t;
  Val x = c.ranked(2, 3);
  int64_t step = t.oneInt(c.x(1), "`frame_step`");
  int64_t length = c.has(3)   ? t.oneInt(c.in[3], "`frame_length`")
                   : c.has(2) ? t.number(c.in[2].shape[0], "the window")
                              : 0;
  if (x.rank() == 2)
    x = t.unsqueeze(x, {-1});
  int64_t parts = t.number(x.shape[2], "the number of parts");
  if (length < 1)
    refuse("frames of " + std::to_string(length));
  Val frames = t.windows(t.transpose(x, {0, 2, 1}), {length}, {step}, {1}); // [N, parts, frames, length]
  if (c.has(2))
    frames = t.mul(frames, c.in[2]);
  frames = t.transpose(frames, {0, 2, 3, 1});
  bool oneSided = c.integer("onesided", 1) && parts == 1;
  return {transform(t, frames, length, oneSided ? length / 2 + 1 : length, false, parts)};
}

Vals melWeights(NodeCall &c) {
  int64_t bins = c.t.oneInt(c.x(0), "`num_mel_bins`"), length = c.t.oneInt(c.x(1), "`dft_length`");
  double rate = double(c.t.oneInt(c.x(2), "`sample_rate`"));
  double low = c.t.oneReal(c.x(3), "`lower_edge_hertz`"), high = c.t.oneReal(c.x(4), "`upper_edge_hertz`");
  int64_t rows = length / 2 + 1;
  if (bins < 1 || rows < 1 || bins * rows > (1 << 22) || rate <= 0)
    refuse("a table of " + std::to_string(rows) + " by " + std::to_string(bins));
  auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bins + 2; ++i) {
    double at = mel(low) + double(i) * (mel(high) - mel(low)) / double(bins + 2);
    edges.push_back(int64_t(std::floor(double(length + 1) * (700 * (std::pow(10, at / 2595) - 1)) / rate)));
  }
  std::vector<double> table(size_t(rows * bins), 0);
  for (int64_t i = 0; i < bins; ++i) {
    int64_t a = edges[i], m = edges[i + 1], b = edges[i + 2];
    auto set = [&](int64_t row, double value) {
      if (row >= 0 && row < rows)
        table[size_t(row * bins + i)] = value;
    };
    if (m == a)
      set(m, 1);
    for (int64_t j = a; m != a && j <= m; ++j)
      set(j, double(j - a) / double(m - a));
    for (int64_t j = m; b != m && j < b; ++j)
      set(j, double(b - j) / double(b - m));
  }
  return {c.t.cast(c.t.reals(table, {Dim(rows), Dim(bins)}), typeOf(c.integer("output_datatype", 1)))};
}

} // namespace

void addSignals(Table &t) {
  const Table mine = {{"HannWindow", hann}, {"HammingWindow", hamming}, {"BlackmanWindow", blackman}, {"DFT", dft},
                      {"STFT", stft}, {"MelWeightMatrix", melWeights}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
