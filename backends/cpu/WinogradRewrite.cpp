// How a convolution that runs by Winograd's filtering is written down: its weights transformed in a nest of their own, its window
// read forwards, and its input from where zeros were put around it.
#include "backends/cpu/PackOperands.h"
#include "backends/cpu/PadInPlace.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

Filtering::Filtering(unsigned m, unsigned r) : m(m), size(m + r - 1), pairs((size - 2) / 2) {
  // With points 1 and 2 the sums of 4 x 4 results lose three digits; with these they lose one.
  std::vector<double> points = {0};
  for (double p : size == 4 ? std::vector<double>{1} : std::vector<double>{0.75, 1.5})
    points.insert(points.end(), {p, -p});
  a.assign(m, std::vector<double>(size)), g.assign(size, std::vector<double>(r)), b.assign(size, std::vector<double>(size));
  auto timesRoot = [](std::vector<double> polynomial, double root) { // times (x - root), coefficients upwards
    polynomial.push_back(0);
    for (size_t i = polynomial.size(); i-- > 0;)
      polynomial[i] = (i ? polynomial[i - 1] : 0) - root * polynomial[i];
    return polynomial;
  };
  std::vector<double> all = {1};
  for (size_t j = 0; j < points.size(); ++j) {
    double norm = 1;
    std::vector<double> others = {1};
    for (size_t l = 0; l < points.size(); ++l)
      if (l != j)
        norm *= points[j] - points[l], others = timesRoot(others, points[l]);
    std::copy(others.begin(), others.end(), b[j].begin());
    all = timesRoot(all, points[j]);
    double power = 1;
    for (unsigned i = 0; i < std::max(m, r); ++i, power *= points[j]) {
      if (i < m)
        a[i][j] = power;
      if (i < r)
        g[j][i] = power / norm;
    }
  }
  b.back() = all, a.back().back() = 1, g.back().back() = 1;
}

/// G as a tensor: read from there its numbers cost a load each, in an expression a choice among all.
static Value tableOf(OpBuilder &builder, Location loc, const Filtering &filtering, unsigned symbols) {
  MLIRContext *context = builder.getContext();
  SmallVector<AffineExpr> sizes = {getAffineConstantExpr(filtering.size, context), getAffineConstantExpr(3, context)};
  NestOp table = createNest(builder, loc, tensorType(sizes, symbols, builder.getF32Type()), sizes, symbols, 2);
  OpBuilder b = OpBuilder::atBlockEnd(&table.getBody().front());
  AffineExpr index = getAffineDimExpr(0, context) * 3 + getAffineDimExpr(1, context);
  Value value;
  for (unsigned i = 0; i < 3 * filtering.size; ++i) {
    Value number = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(filtering.g[i / 3][i % 3])));
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
  OpBuilder builder(nest);
  Location loc = load.getLoc();
  Value table = tableOf(builder, loc, filtering, symbols);
  NestOp transform = createNest(builder, loc, tensorType(sizes, symbols, builder.getF32Type()), sizes, symbols, sizes.size());
  OpBuilder b = OpBuilder::atBlockEnd(&transform.getBody().front());

  AffineExpr column = d(0) * width + d(4);
  IntegerSetAttr inside;
  Value zero;
  if (*constantOf(columns) % width) {
    inside = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, columns - 1 - column, false));
    zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  }
  auto weight = [&](int64_t i, int64_t j) -> Value {
    SmallVector<AffineExpr> dims(nest.dims(), number(0)), places;
    dims[window.column] = column, dims[window.channel] = d(3), dims[window.ky] = number(i), dims[window.kx] = number(j);
    for (AffineExpr index : load.getMap().getResults())
      places.push_back(canonical(index.replaceDims(dims)));
    return LoadOp::create(b, loc, b.getF32Type(), load.getTensor(), ValueRange(), zero,
                          AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, context)), inside);
  };
  auto factors = [&](unsigned dim) {
    SmallVector<Value> values;
    for (int k = 0; k < 3; ++k) {
      AffineMap place = AffineMap::get(sizes.size(), symbols, {d(dim), number(k)}, context);
      values.push_back(LoadOp::create(b, loc, b.getF32Type(), table, ValueRange(), Value(), AffineMapAttr::get(place),
                                      IntegerSetAttr()));
    }
    return values;
  };
  auto sum = [&](ArrayRef<Value> x, ArrayRef<Value> y) {
    Value all;
    for (auto [p, q] : llvm::zip(x, y)) {
      Value product = arith::MulFOp::create(b, loc, p, q);
      all = all ? Value(arith::AddFOp::create(b, loc, all, product)) : product;
    }
    return all;
  };
  SmallVector<Value> byRow = factors(1), byColumn = factors(2), rows;
  for (int j = 0; j < 3; ++j)
    rows.push_back(sum(byRow, {weight(0, j), weight(1, j), weight(2, j)}));
  YieldOp::create(b, loc, sum(byColumn, rows));

  AffineExpr k = d(window.column);
  load.setMapAttr(AffineMapAttr::get(AffineMap::get(
      nest.dims(), symbols, {k.floorDiv(width), d(window.ky), d(window.kx), d(window.channel), k % width}, context)));
  load.getTensorMutable().assign(transform.getResult(0));
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
