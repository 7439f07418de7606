// Choice of the block: which loop runs in vectors, which rows stand in registers, in what order units go.
#include "backends/cpu/Contraction.h"
#include "ir/Dims.h"

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

AffineExpr Contraction::scratchBytes(const Target &target) const {
  if (splits == 1)
    return getAffineConstantExpr(0, NestOp(s.nest).getContext());
  return canonical(units * int64_t(splits * rows() * vectors * s.accumulatorBytes(target)));
}

namespace {
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

/// Rows of one tile of a loop, at most `most`: a divisor when a good one exists, else equal parts.
unsigned tileOf(AffineExpr size, unsigned most) {
  auto known = constantOf(size);
  if (!known)
    return most;
  if (*known <= most)
    return *known;
  for (unsigned tile = most; tile * 2 > most; --tile)
    if (*known % tile == 0)
      return tile;
  unsigned parts = (*known + most - 1) / most;
  return (*known + parts - 1) / parts;
}

struct Choice {
  double score = 0;
  int tiled = -1;
  unsigned tile = 1, vectors = 1;
  SmallVector<unsigned> unrolled;
};

/// How well a block of so many accumulators hides its loads behind the arithmetic (12x2, 14x2 and 6x4 measured alike);
/// fewer than 8 leave the two units of four cycles each idle, which the count of cycles says.
double speedOf(unsigned accumulators) {
  return accumulators >= 20 ? 1 : accumulators >= 12 ? 0.95 : accumulators >= 8 ? 0.9 : 1;
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
  Type element = loads[0].getType();
  if (!element.isF32() && !element.isF64())
    return std::nullopt;
  // Panels: at the first column of each, the place is linear in the column.
  LoadOp inPanels;
  unsigned panelDim = 0;
  int64_t panelWidth = 0;
  for (LoadOp load : loads)
    for (unsigned d = 0; d < nest.dims(); ++d) {
      AffineExpr &place = c.s.exprs[load][0];
      if (int64_t width = panelsOf(load, d)) {
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
  if (vector < 0)
    return std::nullopt;
  c.a = loads[1 - which], c.b = loads[which];
  c.lanes = target.lanes, c.packed = bool(inPanels);
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
    unsigned most = (target.registers - 2 - vectors) / vectors;
    double lanesUsed = double(size) / (llvm::alignTo(registersLong, vectors) * lanes);
    if (registersLong % vectors && registersLong > vectors) // the rest runs in fewer registers
      lanesUsed = double(size) / (registersLong * lanes) * 0.95;
    auto consider = [&](int tiled, ArrayRef<unsigned> unrolled) {
      int64_t whole = 1;
      for (unsigned u : unrolled)
        whole *= *constantOf(c.outer[u].size);
      if (whole > most)
        return;
      unsigned tile = tiled < 0 ? 1 : tileOf(c.outer[tiled].size, most / whole);
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
      // With one vector abreast each broadcast serves one multiplication: the loads are as many as those.
      double loads = vectors == 1 ? 0.85 : 1;
      double score = speedOf(tile * whole * vectors) * lanesUsed * rowsUsed * loads - edges;
      if (score > best.score + 1e-9)
        best = {score, tiled, tile, vectors, SmallVector<unsigned>(unrolled)};
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

  MLIRContext *context = nest.getContext();
  c.units = getAffineConstantExpr(1, context);
  for (const Loop &loop : c.outer)
    c.units = c.units * loop.size;
  int64_t width = int64_t(c.vectors) * lanes;
  c.units = c.units * (c.vectorSize + (width - 1)).floorDiv(width);
  if (c.tiled)
    c.units = c.units * (c.tiled->size + (c.tile - 1)).floorDiv(c.tile);
  c.units = canonical(c.units);
  c.cost = c.s.cost;

  double elementsB = guess(c.vectorSize), results = guess(c.vectorSize) * double(c.rows()), sum = 1;
  for (const Loop &loop : c.reduced)
    elementsB *= guess(loop.size), sum *= guess(loop.size);
  for (const Loop &loop : c.outer)
    results *= guess(loop.size);
  if (c.tiled)
    results *= double(guess(c.tiled->size)) / c.tile;
  c.vectorOutermost = elementsB > 64 * 1024;
  // Few results of long sums (gradients to the weights of convolutions): parts of the sum side by side, each small
  // enough for the operands to stay in the second level cache while all blocks pass over them.
  if (constantOf(c.units) && results <= 256 * 1024 && sum >= 4096 && !c.reduced.empty() &&
      (!constantOf(c.reduced.front().size) || *constantOf(c.reduced.front().size) >= 16))
    c.splits = 32;
  return c;
}
