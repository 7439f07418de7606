// Which convolutions run by Winograd's filtering, and what one unit of work is.
#include "backends/cpu/Winograd.h"
#include "backends/cpu/Tuning.h"
#include "backends/cpu/PackOperands.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Tiles of a unit: enough for weights to be used often.
constexpr int64_t mostTiles = 48;
/// Bytes of what a unit transforms: they lie on the stack of whoever calls.
constexpr int64_t mostBytes = 512 << 10;
/// Columns for which a unit transforms its input; fewer, and the same would be transformed too often.
constexpr int64_t leastColumns = 128;

int64_t knownOrOne(AffineExpr size) {
  auto constant = constantOf(size);
  return constant ? *constant : 1; // one image; 56 x 56 or 7 x 7 are known where it counts
}

/// Bytes of what a unit transforms for one tile.
int64_t bytesOfTile(unsigned points, int64_t channels, bool whole, const Target &target) {
  return int64_t(points) * points * llvm::alignTo(channels, target.lanes) * (whole ? 2 : 4);
}
/// Rows of a block of so many registers abreast.
int64_t mostRowsOf(unsigned vectors, const Target &target) {
  return std::min(mostRows, (target.registers - 1 - vectors) / vectors);
}
int64_t mostTilesOf(unsigned points, int64_t channels, bool whole, const Target &target) {
  return std::min(mostTiles, std::min(mostBytes, target.ownBytes / 2) / bytesOfTile(points, channels, whole, target));
}

/// Weights up to which gradients to them go by tiles: their sums are kept for each position and each part of the sum.
constexpr int64_t mostWeights = 128 * 128;
/// Panels of two registers whose sums a unit of a gradient keeps in the second level cache; none when one is too many.
int64_t gradientPanels(int64_t channels, int64_t columns, const Target &target) {
  int64_t each = 36 * channels * 2 * target.lanes * 4;
  return std::min<int64_t>(target.ownBytes * 5 / 8 / each, llvm::divideCeil(columns, 2 * target.lanes));
}

/// Cycles of one image when one vector is multiplied and added in each: by the weights as they are (m is 1), or by filtering.
/// Weights that no cache keeps from call to call come from memory at about 5 bytes a cycle, and at 2 on machines with AMX,
/// where one core waits longer for its lines. Products of eight bits go in pairs of i16, not filtered in fours where the target has
/// the instruction.
double cyclesOf(unsigned m, int64_t height, int64_t width, int64_t channels, int64_t columns, bool whole, const Target &target) {
  int64_t points = m + 2;
  double tiles = double(llvm::divideCeil(height, m) * llvm::divideCeil(width, m));
  double vectors = double(llvm::divideCeil(columns, target.lanes));
  int64_t abreast = !whole ? 1 : m == 1 && target.bytes ? 4 : 2;
  double products = tiles * double(points * points * channels) * vectors * 1.3 / double(abreast);
  // Each line of a transform takes two operations a point and the reads and writes of its ends.
  double in = tiles * double(llvm::divideCeil(channels, target.lanes)) * double(points * points) * (whole ? 5 : 7);
  double out = tiles * vectors * double(points * points) * (whole ? 8 : 6);
  double bytes = double(points * points * channels * columns * (whole ? 4 / abreast : 4));
  double memory = bytes > double(8 << 20) ? bytes / (target.tiles ? 2 : 5) : bytes / (target.tiles ? 4 : 16);
  double compute = m == 1 ? products : products + in + out;
  return std::max(compute, memory) + 0.3 * std::min(compute, memory);
}

/// The same on the tile registers of AMX (PackTiles.cpp): products of pieces, windows packed for each place of the filter. Of
/// a gradient to the weights the rows are the windows' places and the sum is the picture.
double cyclesOnTiles(int64_t height, int64_t width, int64_t channels, int64_t columns, bool toWeights) {
  auto padded = [](int64_t size) { return double(llvm::alignTo(size, 32)); };
  double pixels = padded(height * width), places = padded(9 * channels), results = padded(columns);
  double products = pixels * places * results / 33, packing = pixels * places / (toWeights ? 0.7 : 1.2);
  double bytes = toWeights ? 0 : places * results * 4, memory = bytes > double(8 << 20) ? bytes / 2 : bytes / 4;
  return std::max(products + packing, memory) + 0.3 * std::min(products + packing, memory);
}

/// Values of an operand of eight bits.
std::pair<double, double> rangeOf(LoadOp load) {
  return isUnsigned(load) ? std::pair(0.0, 255.0) : std::pair(-128.0, 127.0);
}
/// Whether M x M^T fits in i16 for all squares x of values in a range.
bool fitsTransformed(const std::vector<std::vector<double>> &matrix, std::pair<double, double> range) {
  for (const auto &rows : matrix)
    for (const auto &columns : matrix) {
      double least = 0, most = 0;
      for (double row : rows)
        for (double column : columns) {
          auto [low, high] = std::minmax(row * column * range.first, row * column * range.second);
          least += low, most += high;
        }
      if (least < -32768 || most > 32767)
        return false;
    }
  return true;
}
/// Whether the results of eight bits are exact, whatever the numbers.
bool isExact(const Window &window, int64_t channels, const Filtering &filtering) {
  auto input = rangeOf(window.input), weights = rangeOf(window.weights);
  auto magnitude = [](std::pair<double, double> range) { return std::max(-range.first, range.second); };
  return fitsTransformed(filtering.b, input) && fitsTransformed(filtering.g, weights) &&
         magnitude(input) * magnitude(weights) * 9 * double(channels) < double(filtering.bound());
}
} // namespace

std::optional<Window> cpu::windowOf(NestOp nest) {
  if (!nest.getContraction() || nest.getKinds().size() != 1)
    return {};
  SmallVector<LoadOp> loads(nest.getBody().front().getOps<LoadOp>());
  if (loads.size() != 2 || !loads[0].getAt().empty() || !loads[1].getAt().empty())
    return {};
  size_t operations = nest.getBody().front().getOperations().size();
  auto isWhole = [](LoadOp load) {
    return load.getType().isInteger() && load.getType().getIntOrFloatBitWidth() <= 16 && load->hasOneUse() &&
           isa<arith::ExtSIOp, arith::ExtUIOp>(*load->user_begin());
  };
  bool whole = operations == 6 && llvm::all_of(loads, isWhole);
  if (!whole && !(operations == 4 && loads[0].getType().isF32() && loads[1].getType().isF32()))
    return {};
  auto isLong = [&](unsigned dim) { return constantOf(nest.size(dim)) != 1; };
  for (unsigned number : {0u, 1u}) {
    Window w;
    w.input = loads[number], w.weights = loads[1 - number], w.whole = whole;
    SmallVector<unsigned> windows, kept, summed, used;
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
      if (dims.size() == 2 && dims[0] < nest.getParallel() && reduced) {
        (windows.empty() ? w.axisY : w.axisX) = axis;
        (windows.empty() ? w.y : w.x) = dims[0];
        (windows.empty() ? w.ky : w.kx) = dims[1];
        windows.push_back(axis);
      } else if (dims.size() == 1 && constantOf(canonical(index - getAffineDimExpr(dims[0], nest.getContext())))) {
        (reduced ? summed : kept).push_back(dims[0]);
      } else {
        fits &= dims.empty();
      }
    }
    SmallVector<unsigned> columns;
    for (unsigned d = 0; d < nest.dims(); ++d)
      if (isLong(d) && !llvm::is_contained(used, d))
        columns.push_back(d);
    if (!fits || windows.size() != 2 || columns.size() != 1 || columns[0] >= nest.getParallel())
      continue;
    auto inWeights = [&](unsigned d) { return w.weights.getMap().isFunctionOfDim(d); };
    w.toWeights = constantOf(nest.size(w.ky)) != 3 || constantOf(nest.size(w.kx)) != 3;
    if (w.toWeights) { // what is summed are places of the picture, and what is kept those of the window
      std::swap(w.y, w.ky), std::swap(w.x, w.kx), std::swap(kept, summed);
      if (constantOf(nest.size(w.ky)) != 3 || constantOf(nest.size(w.kx)) != 3 ||
          !isOne(coefficientOf(w.input.getMap().getResult(w.axisY), w.y)) ||
          !isOne(coefficientOf(w.input.getMap().getResult(w.axisX), w.x)))
        continue;
    }
    if (summed.size() != 1)
      continue;
    w.images = kept, w.channel = summed[0], w.column = columns[0];
    // The other factor goes through the window and its channels, or through pictures.
    auto both = [&](unsigned a, unsigned b) { return inWeights(a) && inWeights(b); };
    auto neither = [&](unsigned a, unsigned b) { return !inWeights(a) && !inWeights(b); };
    bool goes = w.toWeights ? both(w.y, w.x) && neither(w.ky, w.kx) && !inWeights(w.channel) && llvm::all_of(w.images, inWeights)
                            : both(w.ky, w.kx) && neither(w.y, w.x) && inWeights(w.channel) && llvm::none_of(w.images, inWeights);
    if (!goes || !inWeights(w.column) || (w.whole && w.toWeights))
      continue;
    llvm::sort(w.images);
    return w;
  }
  return {};
}

/// Where the second factor of a gradient to weights is indexed by its own dimensions alone, the axes of the picture.
std::optional<std::pair<unsigned, unsigned>> cpu::axesOf(const Window &window) {
  std::optional<unsigned> axes[2];
  for (auto [axis, index] : llvm::enumerate(LoadOp(window.weights).getMap().getResults())) {
    if (isa<AffineConstantExpr>(index))
      continue;
    auto dim = dyn_cast<AffineDimExpr>(index);
    if (!dim)
      return {};
    if (dim.getPosition() == window.y)
      axes[0] = axis;
    if (dim.getPosition() == window.x)
      axes[1] = axis;
  }
  return axes[0] && axes[1] ? std::optional(std::pair(*axes[0], *axes[1])) : std::nullopt;
}

/// Marks a gradient to weights.
static bool markGradient(NestOp nest, const Window &window, const Target &target, unsigned symbols) {
  Schedule s = prepare(nest);
  LoadOp input = window.input, results = window.weights;
  if (!isOne(coefficientOf(s.exprs[input][0], window.channel)) || !isOne(coefficientOf(s.exprs[results][0], window.column)) ||
      !axesOf(window))
    return false;
  int64_t channels = *constantOf(nest.size(window.channel)), columns = *constantOf(nest.size(window.column));
  int64_t height = knownOrOne(nest.size(window.y)), width = knownOrOne(nest.size(window.x));
  if (channels * columns > mostWeights || gradientPanels(channels, columns, target) == 0)
    return false;
  // In products of a channel with a register of columns, for one picture of sixteen.
  int64_t tiles = llvm::divideCeil(height, 4) * llvm::divideCeil(width, 4), vectors = llvm::divideCeil(columns, target.lanes);
  int64_t chunks = llvm::divideCeil(columns, gradientPanels(channels, columns, target) * 2 * target.lanes);
  double direct = double(height * width * 9 * channels * vectors) * 1.2;
  double transforms = double(tiles) * 36 * 7 * double(chunks * llvm::divideCeil(channels, target.lanes) + vectors);
  double products = double(tiles) * 36 * double(channels * vectors) * 1.35, sums = 108.0 * double(channels * vectors);
  if (!choiceOf(nest).winograd && (transforms + products + sums > 0.85 * direct ||
      (target.tiles && cyclesOnTiles(height, width, channels, columns, true) < transforms + products + sums)))
    return false;
  readBehindPadding(nest, window, symbols);
  nest->setAttr(winogradAttr, IntegerAttr::get(IntegerType::get(nest.getContext(), 64), 4));
  return true;
}

bool cpu::packWinograd(NestOp nest, const Target &target, unsigned symbols) {
  auto window = windowOf(nest);
  int64_t chosen = choiceOf(nest).winograd;
  if (chosen == 1 || !window || window->input.getInside() || window->weights.getInside() || !constantOf(nest.size(window->channel)) ||
      !constantOf(nest.size(window->column)) || *constantOf(nest.size(window->channel)) < 8 ||
      *constantOf(nest.size(window->column)) < int64_t(target.lanes))
    return false;
  if (window->toWeights)
    return markGradient(nest, *window, target, symbols);
  Schedule s = prepare(nest);
  if (!isOne(coefficientOf(s.exprs[window->input][0], window->channel)) ||
      !llvm::all_of(s.stores, [&](AffineExpr store) { return isOne(coefficientOf(store, window->column)); }))
    return false;
  int64_t channels = *constantOf(nest.size(window->channel)), columns = *constantOf(nest.size(window->column));
  int64_t height = knownOrOne(nest.size(window->y)), width = knownOrOne(nest.size(window->x));
  bool whole = window->whole;
  if (whole && (window->input.getType().getIntOrFloatBitWidth() != 8 || window->weights.getType().getIntOrFloatBitWidth() != 8 ||
                channels % (2 * target.lanes) || !isSteady(window->weights)))
    return false;
  unsigned best = 1;
  double least = 0.85 * cyclesOf(1, height, width, channels, columns, whole, target);
  for (unsigned m : {2u, 4u}) {
    if (mostTilesOf(m + 2, channels, whole, target) < 4 || (whole && !isExact(*window, channels, Filtering(m, 3, true))))
      continue;
    if (double cycles = cyclesOf(m, height, width, channels, columns, whole, target); chosen ? m == chosen : cycles < least)
      best = m, least = cycles;
  }
  if (best == 1 || (target.tiles && !whole && !chosen && cyclesOnTiles(height, width, channels, columns, false) < least))
    return false;
  int64_t abreast = std::min<int64_t>(2, llvm::divideCeil(columns, target.lanes));
  goForward(nest, *window, symbols);
  readBehindPadding(nest, *window, symbols);
  transformWeights(nest, *window, Filtering(best, 3, whole), abreast * target.lanes, symbols);
  nest->setAttr(winogradAttr, IntegerAttr::get(IntegerType::get(nest.getContext(), 64), best));
  return true;
}

/// Parts of the sum over all tiles, whatever the number of threads.
static constexpr unsigned gradientSplits = 16;

static Contraction planGradient(NestOp nest, const Window &window, const Target &target) {
  Contraction c;
  c.s = prepare(nest);
  c.winograd = 4, c.positions = 36;
  c.a = window.input, c.b = window.weights;
  c.lanes = target.lanes, c.vectors = 2;
  c.vectorDim = window.column, c.vectorSize = nest.size(window.column);
  for (unsigned dim : window.images)
    c.rows.push_back({dim, nest.size(dim)});
  for (unsigned dim : {window.y, window.x})
    c.rows.push_back({dim, canonical((nest.size(dim) + 3).floorDiv(4))});
  int64_t channels = *constantOf(nest.size(window.channel));
  int64_t rows = mostRowsOf(c.vectors, target);
  c.tiles = unsigned(llvm::divideCeil(channels, rows)), c.tile = unsigned(llvm::divideCeil(channels, c.tiles));
  c.panels = unsigned(gradientPanels(channels, *constantOf(c.vectorSize), target));
  c.reduced = {{window.y, c.rowCount()}}; // all tiles
  c.splits = gradientSplits;
  c.cost = c.s.cost;
  c.inner = c.units = canonical(c.columnBlocks());
  return c;
}

Contraction cpu::planWinograd(NestOp nest, const Target &target) {
  Window window = *windowOf(nest);
  if (window.toWeights)
    return planGradient(nest, window, target);
  Contraction c;
  c.s = prepare(nest);
  c.winograd = unsigned(nest->getAttrOfType<IntegerAttr>(winogradAttr).getInt());
  unsigned points = c.winograd + 2;
  c.a = window.input, c.b = window.weights;
  c.lanes = target.lanes, c.packed = true, c.onDots = window.whole;
  c.vectorDim = window.column, c.vectorSize = nest.size(window.column);
  c.vectors = unsigned(*constantOf(cast<AffineBinaryOpExpr>(window.weights.getMap().getResult(4)).getRHS()) / target.lanes);
  int64_t known = 1;
  for (unsigned dim : window.images) {
    c.rows.push_back({dim, nest.size(dim)});
    known *= knownOrOne(nest.size(dim));
  }
  for (unsigned dim : {window.y, window.x})
    c.rows.push_back({dim, canonical((nest.size(dim) + (c.winograd - 1)).floorDiv(c.winograd))});
  int64_t tiles = known * knownOrOne(c.rows[c.rows.size() - 2].size) * knownOrOne(c.rows.back().size);
  int64_t channels = *constantOf(nest.size(window.channel));

  // Few tiles that do not count, few passes over the weights.
  int64_t most = mostTilesOf(points, channels, window.whole, target);
  int64_t rows = mostRowsOf(c.vectors, target);
  double least = 1e300;
  BlockChoice choice = choiceOf(nest);
  for (int64_t tile = 1; tile <= std::min(rows, most); ++tile)
    for (int64_t blocks = 1; blocks * tile <= most; ++blocks) {
      double units = double(llvm::divideCeil(tiles, tile * blocks));
      double cycles = units * (double(blocks) * (std::max(4.0, double(tile * c.vectors) / 2) + 0.5) + 2);
      bool chosen = tile == choice.rows && blocks == choice.rowBlocks;
      if (chosen)
        cycles = 0;
      if (cycles < least - 1e-9)
        least = cycles, c.tile = unsigned(tile), c.tiles = unsigned(blocks);
    }
  int64_t panels = llvm::divideCeil(*constantOf(c.vectorSize), c.width());
  int64_t units = llvm::divideCeil(tiles, int64_t(c.tile) * c.tiles);
  int64_t want = std::min<int64_t>(enoughUnits, tiles * points * points * channels * *constantOf(c.vectorSize) / leastWork);
  c.panels = unsigned(choice.columnBlocks ? std::min(choice.columnBlocks, panels) : panels);
  while (!choice.columnBlocks && c.panels > 1 && units * int64_t(llvm::divideCeil(panels, c.panels)) < want &&
         int64_t(llvm::divideCeil(c.panels, 2u)) * c.width() >= leastColumns)
    c.panels = llvm::divideCeil(c.panels, 2u);
  c.cost = c.s.cost;
  c.inner = canonical(c.rowBlocks() * c.columnBlocks());
  c.units = c.inner;
  return c;
}
