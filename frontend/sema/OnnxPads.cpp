// Padding: with a number, or with copies of what lies inside.
#include "OnnxNode.h"
#include <algorithm>

namespace bigm::sema::onnx_import {
namespace {

/// More on one side than anyone needs; sums of such numbers and sizes stay in range.
constexpr int64_t kMostPadding = 1'000'000'000;

Vals pad(NodeCall &c) {
  Val x = c.x();
  auto given = c.version < 11 ? std::optional(c.integers("pads", c.integers("paddings", {}))) : c.integersOf("pads", 1);
  std::vector<int64_t> axes;
  if (c.has(3))
    axes = c.t.ints(c.in[3], "`axes`");
  else
    for (size_t i = 0; i < x.rank(); ++i)
      axes.push_back(int64_t(i));
  if (!given || given->size() != 2 * axes.size())
    refuse("`pads` has another length than twice the rank");
  for (int64_t n : *given)
    if (n < -kMostPadding || n > kMostPadding)
      refuse("a padding of " + std::to_string(n));
  std::vector<int64_t> low(x.rank(), 0), high = low, none = low;
  for (size_t i = 0; i < axes.size(); ++i) {
    low[axisOf(axes[i], x.rank())] = (*given)[i];
    high[axisOf(axes[i], x.rank())] = (*given)[axes.size() + i];
  }
  std::string mode = c.text("mode", "constant");
  if (mode == "constant") {
    Val fill = c.has(2) ? c.t.reshape(c.in[2], {}) : c.t.scalar(c.version < 11 ? c.real("value", 0) : 0, x.type);
    return {c.t.pad(x, low, high, none, fill)};
  }
  // Crops first; then each side gets copies of what lies inside.
  std::vector<int64_t> cropLow(x.rank()), cropHigh(x.rank());
  for (size_t i = 0; i < x.rank(); ++i) {
    cropLow[i] = std::min<int64_t>(low[i], 0);
    cropHigh[i] = std::min<int64_t>(high[i], 0);
    low[i] = std::max<int64_t>(low[i], 0);
    high[i] = std::max<int64_t>(high[i], 0);
  }
  x = c.t.pad(x, cropLow, cropHigh, none, c.t.scalar(0, x.type));
  for (size_t d = 0; d < x.rank(); ++d) {
    if (!low[d] && !high[d])
      continue;
    const Dim n = x.shape[d];
    Vals parts;
    if (mode == "edge") {
      std::vector<Dim> shape = x.shape;
      auto repeated = [&](const Dim &at, int64_t times) {
        Val edge = c.t.slice(x, d, at, 1);
        shape[d] = times;
        return c.t.broadcast(edge, shape);
      };
      if (low[d])
        parts.push_back(repeated(0, low[d]));
      parts.push_back(x);
      if (high[d])
        parts.push_back(repeated(n - Dim(1), high[d]));
    } else if (mode == "reflect" || mode == "wrap") {
      bool around = mode == "wrap";
      auto size = n.constant();
      int64_t most = size ? *size - !around : INT64_MAX; // sizes of a name are taken to be large enough
      if (most < 1)
        refuse("nothing to copy from");
      if (low[d] > most || high[d] > most) { // more than once forth and back
        int64_t period = around ? *size : 2 * (*size - 1), start = (period - low[d] % period) % period;
        Val i = c.t.iota({Dim(*size) + Dim(low[d]) + Dim(high[d])}, 0, Type::I64);
        Val at = c.t.pointwise(Op::Mod, {c.t.add(i, double(start)), c.t.scalar(double(period), Type::I64)});
        Val back = c.t.sub(c.t.scalar(double(period), Type::I64), at);
        x = c.t.take(x, c.t.select(c.t.compare(Op::Lt, at, double(*size)), at, back), d);
        continue;
      }
      if (low[d])
        parts.push_back(around ? c.t.slice(x, d, n - Dim(low[d]), Dim(low[d])) : c.t.slice(x, d, Dim(low[d]), Dim(low[d]), -1));
      parts.push_back(x);
      if (high[d])
        parts.push_back(around ? c.t.slice(x, d, 0, Dim(high[d])) : c.t.slice(x, d, n - Dim(2), Dim(high[d]), -1));
    } else {
      refuse("the mode `" + mode + "`");
    }
    x = c.t.concat(parts, d);
  }
  return {x};
}

Vals centerCropPad(NodeCall &c) {
  Val x = c.x();
  std::vector<int64_t> to = c.t.ints(c.x(1), "`shape`"), axes = c.integers("axes", {});
  if (axes.empty())
    for (size_t i = 0; i < x.rank(); ++i)
      axes.push_back(int64_t(i));
  if (to.size() != axes.size())
    refuse("`shape` and `axes` of different lengths");
  std::vector<int64_t> low(x.rank(), 0), high = low, none = low;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (to[i] < 0 || to[i] > kMostPadding)
      refuse("a size of " + std::to_string(to[i]));
    int64_t d = axisOf(axes[i], x.rank()), n = c.t.number(x.shape[d], "the size"), more = to[i] - n;
    low[d] = more >= 0 ? more / 2 : -((-more) / 2);
    high[d] = more - low[d];
  }
  return {c.t.pad(x, low, high, none, c.t.scalar(0, x.type))};
}

} // namespace

void addPads(Table &t) {
  const Table mine = {{"Pad", pad}, {"CenterCropPad", centerCropPad}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
