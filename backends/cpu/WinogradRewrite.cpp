// How a convolution that runs by Winograd's filtering is written down: its weights transformed in a nest of their own, its window
// read forwards, and its input from where zeros were put around it.
#include "backends/cpu/PackOperands.h"
#include "backends/cpu/PadInPlace.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <numeric>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

Filtering::Filtering(unsigned m, unsigned r, bool whole) : m(m), size(m + r - 1), pairs(whole ? 1 : (size - 2) / 2) {
  struct Point {
    double u, v; // u / v
  };
  std::vector<Point> points = {{0, 1}, {1, 1}, {-1, 1}};
  if (size == 6 && whole)
    points.insert(points.end(), {{2, 1}, {-1, 2}});
  else if (size == 6) // with points 1 and 2 the sums of 4 x 4 results lose three digits; with these they lose one
    points = {{0, 1}, {0.75, 1}, {-0.75, 1}, {1.5, 1}, {-1.5, 1}};
  points.push_back({1, 0});
  a.assign(m, std::vector<double>(size)), g.assign(size, std::vector<double>(r)), b.assign(size, std::vector<double>(size));
  auto power = [](double base, unsigned times) {
    double result = 1;
    while (times--)
      result *= base;
    return result;
  };
  // Row j of B^T is the product of (v x - u) over all other points, infinity counting as 1; its value at point j is the norm.
  std::vector<double> norms(size, 1);
  double scale = 1;
  for (unsigned j = 0; j < size; ++j) {
    std::vector<double> product = {1};
    for (unsigned l = 0; l < size; ++l) {
      Point other = points[l];
      if (l == j)
        continue;
      norms[j] *= other.v == 0 ? points[j].v : points[j].u * other.v - points[j].v * other.u;
      if (other.v == 0)
        continue;
      product.push_back(0);
      for (size_t i = product.size(); i-- > 0;)
        product[i] = (i ? other.v * product[i - 1] : 0) - other.u * product[i];
    }
    std::copy(product.begin(), product.end(), b[j].begin());
    if (whole)
      scale = double(std::lcm(int64_t(scale), int64_t(norms[j])));
  }
  for (unsigned j = 0; j < size; ++j) {
    for (unsigned i = 0; i < m; ++i)
      a[i][j] = power(points[j].u, i) * power(points[j].v, m - 1 - i);
    for (unsigned i = 0; i < r; ++i)
      g[j][i] = power(points[j].u, i) * power(points[j].v, r - 1 - i) * scale / norms[j];
  }
  auto odd = uint32_t(scale * scale);
  while (odd % 2 == 0)
    odd /= 2, ++shift;
  uint32_t found = odd; // Newton's steps double its correct bits, of which odd * odd = 1 modulo 8 gives three
  for (int step = 0; step < 4; ++step)
    found *= 2 - odd * found;
  inverse = int32_t(found);
}

namespace {
/// Arithmetic of the weights' type: f32, or i32 for those of eight bits.
struct Arithmetic {
  OpBuilder &b;
  Location loc;
  Type type;
  bool isWhole() const { return type.isInteger(); }
  Value constant(double value) {
    return isWhole() ? Value(arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(int32_t(value))))
                     : Value(arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(value))));
  }
  Value product(Value x, Value y) {
    return isWhole() ? Value(arith::MulIOp::create(b, loc, x, y)) : Value(arith::MulFOp::create(b, loc, x, y));
  }
  Value sum(Value x, Value y) {
    return isWhole() ? Value(arith::AddIOp::create(b, loc, x, y)) : Value(arith::AddFOp::create(b, loc, x, y));
  }
};
} // namespace

/// G as a tensor: read from there its numbers cost a load each, in an expression a choice among all.
static Value tableOf(OpBuilder &builder, Location loc, const Filtering &filtering, unsigned symbols, Type element) {
  MLIRContext *context = builder.getContext();
  SmallVector<AffineExpr> sizes = {getAffineConstantExpr(filtering.size, context), getAffineConstantExpr(3, context)};
  NestOp table = createNest(builder, loc, tensorType(sizes, symbols, element), sizes, symbols, 2);
  OpBuilder b = OpBuilder::atBlockEnd(&table.getBody().front());
  Arithmetic arithmetic{b, loc, element};
  AffineExpr index = getAffineDimExpr(0, context) * 3 + getAffineDimExpr(1, context);
  Value value;
  for (unsigned i = 0; i < 3 * filtering.size; ++i) {
    Value number = arithmetic.constant(filtering.g[i / 3][i % 3]);
    if (!value) {
      value = number;
      continue;
    }
    Value here = TestOp::create(b, loc, b.getI1Type(),
                                IntegerSetAttr::get(IntegerSet::get(2, symbols, index - int64_t(i), true)));
    value = arith::SelectOp::create(b, loc, here, number, value);
  }
  YieldOp::create(b, loc, value);
  return table.getResult(0);
}

void cpu::transformWeights(NestOp nest, const Window &window, const Filtering &filtering, int64_t width, unsigned symbols) {
  LoadOp load = window.weights;
  MLIRContext *context = nest.getContext();
  auto d = [&](unsigned i) { return getAffineDimExpr(i, context); };
  auto number = [&](int64_t value) { return getAffineConstantExpr(value, context); };
  AffineExpr columns = nest.size(window.column), channels = nest.size(window.channel);
  SmallVector<AffineExpr> sizes = {canonical((columns + (width - 1)).floorDiv(width)), number(filtering.size),
                                   number(filtering.size), channels, number(width)};
  AffineExpr channel = d(3);
  if (window.whole) // pairs of channels
    sizes[3] = canonical(channels.floorDiv(2)), sizes.push_back(number(2)), channel = d(3) * 2 + d(5);
  OpBuilder builder(nest);
  Location loc = load.getLoc();
  Type element = window.whole ? builder.getI32Type() : load.getType(), stored = window.whole ? builder.getI16Type() : element;
  Value table = tableOf(builder, loc, filtering, symbols, element);
  NestOp transform = createNest(builder, loc, tensorType(sizes, symbols, stored), sizes, symbols, sizes.size());
  OpBuilder b = OpBuilder::atBlockEnd(&transform.getBody().front());
  Arithmetic arithmetic{b, loc, element};

  AffineExpr column = d(0) * width + d(4);
  IntegerSetAttr inside;
  Value zero;
  if (*constantOf(columns) % width) {
    inside = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, columns - 1 - column, false));
    zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(load.getType()));
  }
  auto weight = [&](int64_t i, int64_t j) -> Value {
    SmallVector<AffineExpr> dims(nest.dims(), number(0)), places;
    dims[window.column] = column, dims[window.channel] = channel, dims[window.ky] = number(i), dims[window.kx] = number(j);
    for (AffineExpr index : load.getMap().getResults())
      places.push_back(canonical(index.replaceDims(dims)));
    Value value = LoadOp::create(b, loc, load.getType(), load.getTensor(), ValueRange(), zero,
                                 AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, context)), inside);
    if (!window.whole)
      return value;
    return isUnsigned(load) ? Value(arith::ExtUIOp::create(b, loc, element, value)) : Value(arith::ExtSIOp::create(b, loc, element, value));
  };
  auto factors = [&](unsigned dim) {
    SmallVector<Value> values;
    for (int k = 0; k < 3; ++k) {
      AffineMap place = AffineMap::get(sizes.size(), symbols, {d(dim), number(k)}, context);
      values.push_back(LoadOp::create(b, loc, element, table, ValueRange(), Value(), AffineMapAttr::get(place),
                                      IntegerSetAttr()));
    }
    return values;
  };
  auto sum = [&](ArrayRef<Value> x, ArrayRef<Value> y) {
    Value all;
    for (auto [p, q] : llvm::zip(x, y)) {
      Value product = arithmetic.product(p, q);
      all = all ? arithmetic.sum(all, product) : product;
    }
    return all;
  };
  SmallVector<Value> byRow = factors(1), byColumn = factors(2), rows;
  for (int j = 0; j < 3; ++j)
    rows.push_back(sum(byRow, {weight(0, j), weight(1, j), weight(2, j)}));
  Value made = sum(byColumn, rows);
  YieldOp::create(b, loc, window.whole ? Value(arith::TruncIOp::create(b, loc, stored, made)) : made);

  AffineExpr k = d(window.column), c = d(window.channel);
  SmallVector<AffineExpr> places = {k.floorDiv(width), d(window.ky), d(window.kx), c, k % width};
  if (window.whole)
    places[3] = c.floorDiv(2), places.push_back(c % 2);
  load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, places, context)));
  load.getTensorMutable().assign(transform.getResult(0));
  if (!window.whole)
    return;
  Operation *widened = *load->user_begin();
  load.getResult().setType(stored);
  OpBuilder behind(widened);
  widened->replaceAllUsesWith(arith::ExtSIOp::create(behind, loc, element, load.getResult()));
  widened->erase();
}

void cpu::goForward(NestOp nest, const Window &window, unsigned symbols) {
  for (auto [dim, axis] : {std::pair(window.ky, window.axisY), std::pair(window.kx, window.axisX)}) {
    if (isOne(coefficientOf(LoadOp(window.input).getMap().getResult(axis), dim)))
      continue;
    AffineExpr own = getAffineDimExpr(dim, nest.getContext());
    for (LoadOp load : {window.input, window.weights}) {
      SmallVector<AffineExpr> places;
      for (AffineExpr index : load.getMap().getResults())
        places.push_back(canonical(index.replace(own, 2 - own)));
      load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, places, nest.getContext())));
    }
  }
}

void cpu::readBehindPadding(NestOp nest, const Window &window, unsigned symbols) {
  LoadOp input = window.input, padding = paddedBy(input.getTensor());
  if (!padding)
    return;
  SmallVector<AffineExpr> inside = sizesOf(padding.getTensor().getType()), outside = sizesOf(input.getTensor().getType());
  for (auto [axis, index] : llvm::enumerate(padding.getMap().getResults()))
    if (axis != window.axisY && axis != window.axisX &&
        (index != getAffineDimExpr(axis, nest.getContext()) || canonical(inside[axis]) != canonical(outside[axis])))
      return; // zeros along other axes the kernel does not find
  SmallVector<AffineExpr> places;
  for (AffineExpr index : padding.getMap().getResults())
    places.push_back(canonical(index.replaceDims(input.getMap().getResults())));
  for (AffineExpr place : places) // as they must be for what follows
    for (unsigned dim = 0; dim < nest.dims(); ++dim)
      if (!coefficientOf(place, dim))
        return;
  auto padded = cast<NestOp>(padding->getParentOp());
  AffineMap before = input.getMap();
  input.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, places, nest.getContext())));
  input.getTensorMutable().assign(padding.getTensor());
  if (!isOne(coefficientOf(prepare(nest).exprs[input][0], window.channel))) { // channels would not lie side by side
    input.setMapAttr(AffineMapAttr::get(before));
    input.getTensorMutable().assign(padded.getResult(0));
  } else if (padded.use_empty()) {
    padded.erase();
  }
}
