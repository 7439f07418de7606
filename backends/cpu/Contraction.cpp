// Choice of the block: which loop runs in vectors, which rows stand in registers, in what order units go.
#include "backends/cpu/Contraction.h"
#include "ir/Dims.h"
#include <numeric>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

unsigned Contraction::unrolledRows() const {
  unsigned rows = 1;
  for (const Loop &loop : unrolled)
    rows *= *constantOf(loop.size);
  return rows;
}

AffineExpr Contraction::vectorBlocks() const {
  int64_t width = int64_t(vectors) * lanes;
  return (vectorSize + (width - 1)).floorDiv(width);
}

AffineExpr Contraction::scratchBytes(const Target &target) const {
  if (splits == 1)
    return getAffineConstantExpr(0, NestOp(s.nest).getContext());
  return canonical(units * int64_t(splits * rows() * vectors * s.accumulatorBytes(target)));
}

namespace {
/// Elements of the vector operand that every tile of rows may pass over again, and those of one group of its panels: half
/// of a second level cache of 2 MiB.
constexpr double elementsNear = 64 * 1024, elementsInGroup = 192 * 1024;

int64_t guess(AffineExpr size) {
  auto constant = constantOf(size);
  return constant ? *constant : 128;
}
/// Coefficient as a number; symbolic ones count as large.
int64_t stepOf(AffineExpr expr, unsigned dim) {
  auto step = coefficientOf(expr, dim);
  auto value = step ? constantOf(*step) : std::nullopt;
  return value ? *value : int64_t(1) << 40;
}

/// The width of the panels in which a load lies along a dimension, 0 when it does not.
int64_t panelsOf(LoadOp load, unsigned dim) {
  AffineExpr index = load.getMap().getNumResults() ? load.getMap().getResults().back() : AffineExpr();
  auto binary = dyn_cast_or_null<AffineBinaryOpExpr>(index);
  if (!binary || index.getKind() != AffineExprKind::Mod ||
      binary.getLHS() != getAffineDimExpr(dim, load.getContext()) || !constantOf(binary.getRHS()))
    return 0;
  return *constantOf(binary.getRHS());
}

/// Rows that one tile of a loop may have: all from half of `most` on; what is left at the end costs, so that a divisor wins
/// among equals.
SmallVector<unsigned> tilesOf(AffineExpr size, unsigned most) {
  auto known = constantOf(size);
  if (!known)
    return {most};
  if (*known <= most)
    return {unsigned(*known)};
  SmallVector<unsigned> tiles;
  for (unsigned tile = most; tile * 2 > most; --tile)
    tiles.push_back(tile);
  return tiles;
}

struct Choice {
  double score = 0;
  int tiled = -1;
  unsigned tile = 1, vectors = 1;
  SmallVector<unsigned> unrolled;
};

/// How well a block of so many accumulators hides its loads behind the arithmetic: per step of the sum the vectors of b
/// come from the second level cache, and the smaller the block the more often. At 1024^3 8x2 of AVX-512 reached 0.80 of the
/// peak and 6x4 0.84. Fewer than 8 leave the two units of four cycles each idle, which the count of cycles says.
double speedOf(unsigned accumulators, unsigned most) {
  double share = double(accumulators) / most;
  return accumulators < 8 ? 1 : share >= 0.75 ? 1 : share >= 0.6 ? 0.96 : share >= 0.4 ? 0.92 : 0.88;
}
} // namespace

std::optional<Contraction> cpu::planContraction(NestOp nest, const Target &target) {
  if (!nest.getContraction() || nest.getKinds().size() != 1)
    return std::nullopt;
  Contraction c;
  c.s = prepare(nest);
  SmallVector<LoadOp> loads(nest.getBody().front().getOps<LoadOp>());
  if (loads.size() != 2 || loads[0].getInside() || loads[1].getInside())
    return std::nullopt;
  Type element = nest.getBody().front().getTerminator()->getOperand(0).getType();
  if (!element.isF32() && !element.isF64())
    return std::nullopt;
  // Panels: at the first column of each, the place is linear in the column.
  LoadOp inPanels;
  unsigned panelDim = 0, rowDim = 0;
  int64_t panelWidth = 0, panelRows = 0;
  for (LoadOp load : loads)
    for (unsigned d = 0; d < nest.dims(); ++d) {
      AffineExpr &place = c.s.exprs[load][0];
      if (int64_t width = panelsOf(load, d)) {
        if (load->hasAttr(rowPanels))
          rowDim = d, panelRows = width;
        else
          inPanels = load, panelDim = d, panelWidth = width;
        AffineExpr column = getAffineDimExpr(d, nest.getContext());
        AffineExpr first = canonical(place.replace(column, getAffineConstantExpr(0, nest.getContext())));
        AffineExpr second = place.replace(column, getAffineConstantExpr(width, nest.getContext()));
        place = canonical(first + column * canonical(second - first).floorDiv(width));
      }
      if (!load.getAt().empty() || !coefficientOf(place, d))
        return std::nullopt;
    }
  auto isContiguous = [&](LoadOp load, unsigned dim) {
    if (load->hasAttr(rowPanels))
      return false;
    return inPanels ? load == inPanels && dim == panelDim : stepOf(c.s.exprs[load][0], dim) == 1;
  };

  // Vectors run along a dimension in which one operand is contiguous and the other does not move.
  int vector = -1, which = 0;
  for (auto [i, loop] : llvm::enumerate(c.s.outer))
    for (int operand : {0, 1})
      if (isContiguous(loads[operand], loop.dim) &&
          stepOf(c.s.exprs[loads[1 - operand]][0], loop.dim) == 0) {
        auto better = [&](const Loop &x, const Loop &y) {
          bool storesX = stepOf(c.s.stores[0], x.dim) == 1, storesY = stepOf(c.s.stores[0], y.dim) == 1;
          bool longX = guess(x.size) >= 8, longY = guess(y.size) >= 8;
          return std::tuple(longX, storesX, guess(x.size)) > std::tuple(longY, storesY, guess(y.size));
        };
        if (vector < 0 || better(loop, c.s.outer[vector]))
          vector = int(i), which = operand;
      }
  // Else along one in which both are, when one of them has rows of its own.
  for (auto [i, loop] : llvm::enumerate(c.s.outer))
    if (vector < 0 && isContiguous(loads[0], loop.dim) && isContiguous(loads[1], loop.dim))
      for (int operand : {0, 1})
        for (const Loop &row : c.s.outer)
          if (stepOf(c.s.exprs[loads[operand]][0], row.dim) == 0 &&
              stepOf(c.s.exprs[loads[1 - operand]][0], row.dim) != 0 && guess(row.size) > 1)
            vector = int(i), which = operand, c.vectorsOfA = true;
  if (vector < 0)
    return std::nullopt;
  c.a = loads[1 - which], c.b = loads[which];
  c.lanes = target.lanes, c.packed = bool(inPanels), c.packedRows = panelRows != 0;
  c.vectorDim = c.s.outer[vector].dim;
  c.vectorSize = c.s.outer[vector].size;
  c.outer = c.s.outer;
  c.outer.erase(c.outer.begin() + vector);
  c.reduced = c.s.reduced;
  llvm::stable_sort(c.reduced, [&](const Loop &x, const Loop &y) {
    return stepOf(c.s.exprs[c.b][0], x.dim) > stepOf(c.s.exprs[c.b][0], y.dim);
  });
  joinLoops(c.s, c.outer);
  joinLoops(c.s, c.reduced);
  AffineExpr placeA = c.s.exprs[c.a][0], placeB = c.s.exprs[c.b][0];

  // The block with the best score among: one tiled loop of rows, and at most two short loops that lie whole in it.
  Choice best;
  auto lanes = target.lanes;
  int64_t size = guess(c.vectorSize), registersLong = (size + lanes - 1) / lanes;
  auto isRow = [&](const Loop &loop) {
    return stepOf(placeA, loop.dim) != 0 && stepOf(placeB, loop.dim) == 0;
  };
  for (unsigned vectors : {1u, 2u, 3u, 4u}) {
    if (c.packed ? vectors * lanes != panelWidth : vectors > registersLong)
      continue;
    // Vectors of a are loaded one for each row, several ahead of their use.
    unsigned most = c.vectorsOfA ? target.registers / 2 / vectors : (target.registers - 2 - vectors) / vectors;
    double lanesUsed = double(size) / (llvm::alignTo(registersLong, vectors) * lanes);
    if (registersLong % vectors && registersLong > vectors) // the rest runs in fewer registers
      lanesUsed = double(size) / (registersLong * lanes) * 0.95;
    auto consider = [&](int tiled, ArrayRef<unsigned> unrolled) {
      int64_t whole = 1;
      for (unsigned u : unrolled)
        whole *= *constantOf(c.outer[u].size);
      if (whole > most || (panelRows && (tiled < 0 || c.outer[tiled].dim != rowDim || panelRows * whole > most)))
        return;
      SmallVector<unsigned> tiles = tiled < 0 ? SmallVector<unsigned>{1} : tilesOf(c.outer[tiled].size, most / whole);
      if (panelRows)
        tiles = {unsigned(panelRows)};
      for (unsigned tile : tiles) {
      int64_t count = tiled < 0 ? 1 : guess(c.outer[tiled].size), last = count % tile;
      bool known = tiled < 0 || constantOf(c.outer[tiled].size);
      // Rows left over at an edge: one short tile when their number is known, else by fours and ones. No block takes
      // less than the four cycles that an accumulator needs.
      auto cycles = [&](int64_t rows) { return std::max(4.0, double(rows * whole * vectors) / 2); };
      double edge = !last ? 0 : known ? cycles(last) : (last / 4) * cycles(4) + (last % 4) * cycles(1);
      double rowsUsed = double(count * whole * vectors) / 2 / ((count / tile) * cycles(tile) + edge);
      // An edge is more code; rows that lie far apart share no cache line and no page.
      double edges = 0.001 * unrolled.size() + (known ? 0 : 0.06) + (last ? 0.03 : 0);
      if (tiled >= 0 && stepOf(placeA, c.outer[tiled].dim) > 4096)
        edges += 0.02;
      // Rows a multiple of a page apart fall in the same sets of the first level cache, and it has few ways.
      if (tiled >= 0 && !panelRows) {
        int64_t apart = stepOf(placeA, c.outer[tiled].dim) * (element.getIntOrFloatBitWidth() / 8);
        int64_t sets = std::max<int64_t>(1, 4096 / std::gcd<int64_t>(apart, 4096) );
        if (apart >= 1024 && tile > 8 * sets)
          edges += 0.3;
      }
      // With one vector abreast each broadcast serves one multiplication: the loads are as many as those.
      double loads = vectors == 1 ? 0.85 : 1;
      double score = speedOf(tile * whole * vectors, target.registers - 4) * lanesUsed * rowsUsed * loads - edges;
      if (score > best.score + 1e-9)
        best = {score, tiled, tile, vectors, SmallVector<unsigned>(unrolled)};
      }
    };
    consider(-1, {});
    SmallVector<unsigned> rows, shortRows;
    for (unsigned i = c.outer.size(); i-- > 0;)
      if (isRow(c.outer[i])) {
        rows.push_back(i);
        if (constantOf(c.outer[i].size) && *constantOf(c.outer[i].size) <= 8)
          shortRows.push_back(i);
      }
    for (unsigned tiled : rows) {
      consider(tiled, {});
      for (unsigned u : shortRows)
        if (u != tiled) {
          consider(tiled, {u});
          for (unsigned w : shortRows)
            if (w < u && w != tiled)
              consider(tiled, {u, w});
        }
    }
  }
  c.vectors = best.vectors;
  c.tile = best.tile;
  SmallVector<Loop> rest;
  for (auto [i, loop] : llvm::enumerate(c.outer)) {
    if (int(i) == best.tiled)
      c.tiled = loop;
    else if (llvm::is_contained(best.unrolled, unsigned(i)))
      c.unrolled.push_back(loop);
    else
      rest.push_back(loop);
  }
  c.outer = rest;

  double panel = double(c.vectors * lanes), elementsB = guess(c.vectorSize);
  for (const Loop &loop : c.reduced)
    panel *= guess(loop.size), elementsB *= guess(loop.size);
  if (elementsB > elementsNear) {
    auto blocks = constantOf(canonical(c.vectorBlocks()));
    c.group = unsigned(std::max(1.0, elementsInGroup / panel));
    if (blocks) // groups of equal size
      c.group = llvm::divideCeil(*blocks, llvm::divideCeil(*blocks, c.group));
  }

  MLIRContext *context = nest.getContext();
  c.inner = c.vectorBlocks();
  if (c.group)
    c.inner = (c.inner + (c.group - 1)).floorDiv(c.group) * c.group;
  if (c.tiled)
    c.inner = c.inner * (c.tiled->size + (c.tile - 1)).floorDiv(c.tile);
  c.units = c.inner;
  for (const Loop &loop : c.outer)
    c.units = c.units * loop.size;
  c.units = canonical(c.units);
  c.cost = c.s.cost;

  double results = guess(c.vectorSize) * double(c.rows()), sum = 1;
  for (const Loop &loop : c.reduced)
    sum *= guess(loop.size);
  for (const Loop &loop : c.outer)
    results *= guess(loop.size);
  if (c.tiled)
    results *= double(guess(c.tiled->size)) / c.tile;
  // Few results of long sums (gradients to the weights of convolutions): parts of the sum side by side, each small
  // enough for the operands to stay in the second level cache while all blocks pass over them.
  if (constantOf(c.units) && results <= 256 * 1024 && sum >= 4096 && !c.reduced.empty() &&
      (!constantOf(c.reduced.front().size) || *constantOf(c.reduced.front().size) >= 16))
    c.splits = 32;
  return c;
}
