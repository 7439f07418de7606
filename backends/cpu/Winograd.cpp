// Which convolutions run by Winograd's filtering, how their weights are transformed, and what one unit of work is.
#include "backends/cpu/Winograd.h"
#include "backends/cpu/PackOperands.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Rows of a block, as for other contractions, and tiles of a unit: enough for weights to be used often.
constexpr int64_t mostRows = 12, mostTiles = 48;
/// Columns for which a unit transforms its input; fewer, and the same would be transformed too often.
constexpr int64_t leastColumns = 128;
/// Units that keep the cores of a common machine busy, and the multiplications below which one is not worth handing out.
constexpr int64_t enoughUnits = 32, leastWork = 128 * 1024;

int64_t guess(AffineExpr size) {
  auto constant = constantOf(size);
  return constant ? *constant : 1; // one image; 56 x 56 or 7 x 7 are known where it counts
}
bool isOne(std::optional<AffineExpr> coefficient) { return coefficient && constantOf(*coefficient) == 1; }

/// Bytes of what a unit transforms for one tile.
int64_t bytesOfTile(unsigned points, int64_t channels, const Target &target) {
  return int64_t(points) * points * llvm::alignTo(channels, target.lanes) * 4;
}
int64_t mostTilesOf(unsigned points, int64_t channels, const Target &target) {
  return std::min(mostTiles, target.ownBytes / 2 / bytesOfTile(points, channels, target));
}

/// Cycles of one image when one vector is multiplied and added in each: by the weights as they are (m is 1), or by filtering.
/// Weights that no cache keeps from call to call come from memory at about 5 bytes a cycle.
double cyclesOf(unsigned m, int64_t height, int64_t width, int64_t channels, int64_t columns, const Target &target) {
  int64_t points = m + 2;
  double tiles = double(llvm::divideCeil(height, m) * llvm::divideCeil(width, m));
  double vectors = double(llvm::divideCeil(columns, target.lanes));
  double products = tiles * double(points * points * channels) * vectors * 1.3;
  // Each line of a transform takes two operations a point and the reads and writes of its ends.
  double in = tiles * double(llvm::divideCeil(channels, target.lanes)) * double(points * points) * 7;
  double out = tiles * vectors * double(points * points) * 6;
  double bytes = double(points * points * channels * columns * 4);
  double memory = bytes > double(8 << 20) ? bytes / 5 : bytes / 16;
  double compute = m == 1 ? products : products + in + out;
  return std::max(compute, memory) + 0.3 * std::min(compute, memory);
}

/// The number that each index of a dimension has, as a chain of choices.
Value choiceOf(OpBuilder &b, Location loc, unsigned dim, unsigned dims, unsigned symbols, ArrayRef<double> numbers) {
  auto constant = [&](double number) {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(number))).getResult();
  };
  Value value = constant(numbers.back());
  for (size_t i = numbers.size() - 1; i-- > 0;) {
    AffineExpr here = getAffineDimExpr(dim, b.getContext()) - int64_t(i);
    Value is = TestOp::create(b, loc, b.getI1Type(), IntegerSetAttr::get(IntegerSet::get(dims, symbols, here, true)));
    value = arith::SelectOp::create(b, loc, is, constant(numbers[i]), value);
  }
  return value;
}

/// G g G^T, from the weights as the nest reads them.
void transformWeights(NestOp nest, const Window &window, const Filtering &filtering, int64_t width, unsigned symbols) {
  LoadOp load = window.weights;
  MLIRContext *context = nest.getContext();
  auto d = [&](unsigned i) { return getAffineDimExpr(i, context); };
  auto number = [&](int64_t value) { return getAffineConstantExpr(value, context); };
  AffineExpr columns = nest.size(window.column), channels = nest.size(window.channel);
  SmallVector<AffineExpr> sizes = {canonical((columns + (width - 1)).floorDiv(width)), number(filtering.size),
                                   number(filtering.size), channels, number(width)};
  OpBuilder builder(nest);
  Location loc = load.getLoc();
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
      SmallVector<double> numbers;
      for (const auto &row : filtering.g)
        numbers.push_back(row[k]);
      values.push_back(choiceOf(b, loc, dim, sizes.size(), symbols, numbers));
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

/// A gradient goes through its window backwards: its sum may as well be taken in the other order.
void goForward(NestOp nest, const Window &window, unsigned symbols) {
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

/// The load of a nest that only puts zeros around a tensor.
LoadOp paddedBy(Value tensor) {
  auto nest = tensor.getDefiningOp<NestOp>();
  if (!nest || nest.reduces() || nest.getNumResults() != 1)
    return {};
  auto yield = cast<YieldOp>(nest.getBody().front().getTerminator());
  auto load = yield.getValues().front().getDefiningOp<LoadOp>();
  if (!load || !load.getInside() || !load.getAt().empty() || !matchPattern(load.getOtherwise(), m_PosZeroFloat()))
    return {};
  // The guard must be the bounds of what is read, no less.
  SmallVector<AffineExpr> sizes = sizesOf(load.getTensor().getType());
  for (auto [i, constraint] : llvm::enumerate(load.getInside()->getConstraints())) {
    bool known = !load.getInside()->isEq(i) &&
                 llvm::any_of(llvm::zip(load.getMap().getResults(), sizes), [&](auto pair) {
                   auto [index, size] = pair;
                   return canonical(constraint) == canonical(index) ||
                          canonical(constraint) == canonical(size - 1 - index);
                 });
    if (!known)
      return {};
  }
  return load;
}

/// The kernel finds what lies outside of its input by itself, so a copy with zeros around it is not needed.
void readBehindPadding(NestOp nest, LoadOp input, unsigned channel, unsigned symbols) {
  LoadOp padding = paddedBy(input.getTensor());
  if (!padding)
    return;
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
  if (!isOne(coefficientOf(prepare(nest).exprs[input][0], channel))) { // channels would not lie side by side
    input.setMapAttr(AffineMapAttr::get(before));
    input.getTensorMutable().assign(padded.getResult(0));
  } else if (padded.use_empty()) {
    padded.erase();
  }
}
} // namespace

Filtering::Filtering(unsigned m) : m(m), size(m + 2), pairs(m / 2) {
  // With points 1 and 2 the sums of 4 x 4 results lose three digits; with these they lose one.
  std::vector<double> points = {0};
  for (double p : m == 2 ? std::vector<double>{1} : std::vector<double>{0.75, 1.5})
    points.insert(points.end(), {p, -p});
  a.assign(m, std::vector<double>(size)), g.assign(size, std::vector<double>(3)), b.assign(size, std::vector<double>(size));
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
    for (unsigned i = 0; i < std::max(m, 3u); ++i, power *= points[j]) {
      if (i < m)
        a[i][j] = power;
      if (i < 3)
        g[j][i] = power / norm;
    }
  }
  b.back() = all, a.back().back() = 1, g.back().back() = 1;
}

std::optional<Window> cpu::windowOf(NestOp nest) {
  if (!nest.getContraction() || nest.getNumResults() != 1 || nest.getBody().front().getOperations().size() != 4)
    return {};
  SmallVector<LoadOp> loads(nest.getBody().front().getOps<LoadOp>());
  if (loads.size() != 2 || !loads[0].getType().isF32() || !loads[1].getType().isF32() || !loads[0].getAt().empty() ||
      !loads[1].getAt().empty())
    return {};
  auto isLong = [&](unsigned dim) { return constantOf(nest.size(dim)) != 1; };
  for (unsigned number : {0u, 1u}) {
    Window w;
    w.input = loads[number], w.weights = loads[1 - number];
    SmallVector<unsigned> windows, channels, used;
    bool fits = true;
    for (auto [axis, index] : llvm::enumerate(w.input.getMap().getResults())) {
      SmallVector<unsigned> dims;
      for (unsigned d = 0; d < nest.dims(); ++d)
        if (index.isFunctionOfDim(d) && isLong(d))
          dims.push_back(d);
      for (unsigned d : dims) {
        auto step = coefficientOf(index, d);
        bool backward = d >= nest.getParallel() && step && constantOf(*step) == -1;
        fits &= (isOne(step) || backward) && !llvm::is_contained(used, d);
      }
      used.append(dims.begin(), dims.end());
      bool reduced = !dims.empty() && dims.back() >= nest.getParallel();
      if (dims.size() == 2 && dims[0] < nest.getParallel() && reduced && constantOf(nest.size(dims[1])) == 3) {
        (windows.empty() ? w.axisY : w.axisX) = axis;
        (windows.empty() ? w.y : w.x) = dims[0];
        (windows.empty() ? w.ky : w.kx) = dims[1];
        windows.push_back(axis);
      } else if (dims.size() == 1 && index == getAffineDimExpr(dims[0], nest.getContext())) {
        (reduced ? channels : w.images).push_back(dims[0]);
      } else {
        fits &= dims.empty();
      }
    }
    SmallVector<unsigned> columns;
    for (unsigned d = 0; d < nest.dims(); ++d)
      if (isLong(d) && !llvm::is_contained(used, d))
        columns.push_back(d);
    if (!fits || windows.size() != 2 || channels.size() != 1 || columns.size() != 1 || columns[0] >= nest.getParallel())
      continue;
    w.channel = channels[0], w.column = columns[0];
    auto inWeights = [&](unsigned d) { return w.weights.getMap().isFunctionOfDim(d); };
    if (inWeights(w.y) || inWeights(w.x) || llvm::any_of(w.images, inWeights) || !inWeights(w.ky) || !inWeights(w.kx) ||
        !inWeights(w.channel) || !inWeights(w.column))
      continue;
    llvm::sort(w.images);
    return w;
  }
  return {};
}

bool cpu::packWinograd(NestOp nest, const Target &target, unsigned symbols) {
  auto window = windowOf(nest);
  if (!window || window->input.getInside() || window->weights.getInside() || !constantOf(nest.size(window->channel)) ||
      !constantOf(nest.size(window->column)))
    return false;
  Schedule s = prepare(nest);
  if (!isOne(coefficientOf(s.exprs[window->input][0], window->channel)) ||
      !isOne(coefficientOf(s.stores[0], window->column)))
    return false;
  int64_t channels = *constantOf(nest.size(window->channel)), columns = *constantOf(nest.size(window->column));
  int64_t height = guess(nest.size(window->y)), width = guess(nest.size(window->x));
  if (channels < 8 || columns < int64_t(target.lanes))
    return false;
  unsigned best = 1;
  double least = 0.85 * cyclesOf(1, height, width, channels, columns, target);
  for (unsigned m : {2u, 4u}) {
    if (mostTilesOf(m + 2, channels, target) < 4)
      continue;
    if (double cycles = cyclesOf(m, height, width, channels, columns, target); cycles < least)
      best = m, least = cycles;
  }
  if (best == 1)
    return false;
  int64_t abreast = std::min<int64_t>(2, llvm::divideCeil(columns, target.lanes));
  goForward(nest, *window, symbols);
  readBehindPadding(nest, window->input, window->channel, symbols);
  transformWeights(nest, *window, Filtering(best), abreast * target.lanes, symbols);
  nest->setAttr(winogradAttr, IntegerAttr::get(IntegerType::get(nest.getContext(), 64), best));
  return true;
}

Contraction cpu::planWinograd(NestOp nest, const Target &target) {
  Window window = *windowOf(nest);
  Contraction c;
  c.s = prepare(nest);
  c.winograd = unsigned(nest->getAttrOfType<IntegerAttr>(winogradAttr).getInt());
  unsigned points = c.winograd + 2;
  c.a = window.input, c.b = window.weights;
  c.lanes = target.lanes, c.packed = true;
  c.vectorDim = window.column, c.vectorSize = nest.size(window.column);
  c.vectors = unsigned(*constantOf(cast<AffineBinaryOpExpr>(window.weights.getMap().getResults().back()).getRHS()) / target.lanes);
  int64_t known = 1;
  for (unsigned dim : window.images) {
    c.rows.push_back({dim, nest.size(dim)});
    known *= guess(nest.size(dim));
  }
  for (unsigned dim : {window.y, window.x})
    c.rows.push_back({dim, canonical((nest.size(dim) + (c.winograd - 1)).floorDiv(c.winograd))});
  int64_t tiles = known * guess(c.rows[c.rows.size() - 2].size) * guess(c.rows.back().size);
  int64_t channels = *constantOf(nest.size(window.channel));

  // Few tiles that do not count, few passes over the weights.
  int64_t most = mostTilesOf(points, channels, target);
  int64_t rows = std::min<int64_t>(mostRows, (target.registers - 1 - c.vectors) / c.vectors);
  double least = 1e300;
  for (int64_t tile = 1; tile <= std::min(rows, most); ++tile)
    for (int64_t blocks = 1; blocks * tile <= most; ++blocks) {
      double units = double(llvm::divideCeil(tiles, tile * blocks));
      double cycles = units * (double(blocks) * (std::max(4.0, double(tile * c.vectors) / 2) + 0.5) + 2);
      if (cycles < least - 1e-9)
        least = cycles, c.tile = unsigned(tile), c.tiles = unsigned(blocks);
    }
  int64_t panels = llvm::divideCeil(*constantOf(c.vectorSize), c.width());
  int64_t units = llvm::divideCeil(tiles, int64_t(c.tile) * c.tiles);
  int64_t want = std::min<int64_t>(enoughUnits, tiles * points * points * channels * *constantOf(c.vectorSize) / leastWork);
  c.panels = unsigned(panels);
  while (c.panels > 1 && units * llvm::divideCeil(panels, c.panels) < want &&
         llvm::divideCeil(c.panels, 2u) * c.width() >= leastColumns)
    c.panels = llvm::divideCeil(c.panels, 2u);
  c.cost = c.s.cost;
  c.inner = canonical(c.rowBlocks() * c.columnBlocks());
  c.units = c.inner;
  return c;
}
