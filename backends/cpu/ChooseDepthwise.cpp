// Choice of the block of a depthwise contraction: how much of a window's overlap stays in registers, and how far a unit goes.
#include "backends/cpu/ChooseBlock.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

namespace {
/// Steps of a window that lie in one block, their factors in registers.
constexpr int64_t longestWindow = 8;

/// Cycles of a block for one step of the sum: those of its multiplications, of its loads, two a cycle, and no fewer than the
/// four that an accumulator needs.
double cyclesOf(int64_t accumulators, double loads) {
  return std::max({4.0, double(accumulators) / 2, loads / 2});
}

/// The places that rows read along the innermost loop of the sum, all of it: fewer than rows times steps where windows overlap.
/// Nothing when that is not known, or the loop is long.
std::optional<int64_t> placesOfWindow(const Contraction &c, AffineExpr placeA, std::optional<unsigned> tiled, unsigned tile,
                                      ArrayRef<unsigned> unrolled) {
  auto steps = c.reduced.empty() ? std::nullopt : constantOf(c.reduced.back().size);
  if (!steps || *steps > longestWindow || (c.reduced.size() == 1 && c.splits > 1))
    return {};
  SmallVector<int64_t> places{0};
  auto spread = [&](unsigned dim, int64_t count) {
    auto step = coefficientOf(placeA, dim);
    auto by = step ? constantOf(*step) : std::nullopt;
    if (!by)
      return false;
    SmallVector<int64_t> more;
    for (int64_t place : places)
      for (int64_t i = 0; i < count; ++i)
        more.push_back(place + i * *by);
    places = more;
    return true;
  };
  bool fits = !tiled || spread(c.outer[*tiled].dim, tile);
  for (unsigned u : unrolled)
    fits = fits && spread(c.outer[u].dim, *constantOf(c.outer[u].size));
  if (!fits || stepOf(placeA, c.reduced.back().dim) == 0 || !spread(c.reduced.back().dim, *steps))
    return {};
  llvm::sort(places);
  return llvm::unique(places) - places.begin();
}
} // namespace

void cpu::chooseDepthwiseBlock(Contraction &c, AffineExpr placeA, AffineExpr placeB, const Target &target,
                               function_ref<bool(unsigned)> fitsWidth) {
  // The block with the best score among: one tiled loop of rows, and at most two short loops that lie whole in it.
  Candidate best;
  int64_t steps = c.reduced.empty() ? 1 : constantOf(c.reduced.back().size).value_or(1);
  for (unsigned vectors : {1u, 2u, 3u, 4u}) {
    if (!fitsWidth(vectors))
      continue;
    // Vectors of a are loaded one for each row, several ahead of their use.
    unsigned most = target.registers / 2 / vectors;
    auto consider = [&](int tiled, ArrayRef<unsigned> unrolled) {
      int64_t whole = 1;
      for (unsigned u : unrolled)
        whole *= *constantOf(c.outer[u].size);
      if (whole > most)
        return;
      SmallVector<unsigned> tiles = tiled < 0 ? SmallVector<unsigned>{1} : tilesOf(c.outer[tiled].size, most / whole);
      for (unsigned tile : tiles) {
        int64_t count = tiled < 0 ? 1 : guess(c.outer[tiled].size), last = count % tile;
        bool known = tiled < 0 || constantOf(c.outer[tiled].size);
        // A window holds its factors in registers, besides the sums and what is being multiplied.
        auto places = placesOfWindow(c, placeA, tiled < 0 ? std::nullopt : std::optional(unsigned(tiled)), tile, unrolled);
        bool window = places && *places < tile * whole * steps &&
                      (tile * whole + steps + 1) * vectors + 1 <= target.registers;
        double share = window ? double(*places) / double(tile * whole * steps) : 1; // of the loads of a
        auto cycles = [&](int64_t rows) {
          double loads = double(rows * whole * vectors) * share + vectors;
          return cyclesOf(rows * whole * vectors, loads);
        };
        // Rows left over at an edge: one short tile when their number is known, else by fours and ones.
        double edge = !last ? 0 : known ? cycles(last) : (last / 4) * cycles(4) + (last % 4) * cycles(1);
        double rowsUsed = double(count * whole * vectors) / 2 / ((count / tile) * cycles(tile) + edge);
        // An edge is more code; rows that lie far apart share no cache line and no page.
        double edges = 0.001 * unrolled.size() + (known ? 0 : 0.06) + (last ? 0.03 : 0);
        if (tiled >= 0 && stepOf(placeA, c.outer[tiled].dim) > 4096)
          edges += 0.02;
        double score = speedOf(tile * whole * vectors, target.registers - 4) * lanesUsed(c.vectorSize, vectors, target) * rowsUsed - edges;
        if (score > best.score + 1e-9)
          best = {score, tiled, tile, vectors, SmallVector<unsigned>(unrolled)}, c.window = window;
      }
    };
    consider(-1, {});
    SmallVector<unsigned> rows, shortRows;
    for (unsigned i = c.outer.size(); i-- > 0;)
      if (makesRows(c.outer[i], placeA, placeB)) {
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
      c.rows.push_back(loop);
    else if (llvm::is_contained(best.unrolled, unsigned(i)))
      c.unrolled.push_back(loop);
    else
      rest.push_back(loop);
  }
  c.outer = rest;
}

/// A unit goes along the columns of a tile: to find its place takes as long as a few blocks.
void cpu::chooseDepthwiseUnit(Contraction &c) {
  if (c.splits > 1)
    return;
  int64_t panels = llvm::divideCeil(guess(c.vectorSize), c.width());
  c.panels = unsigned(std::min<int64_t>(panels, mostPanels));
  while (c.panels > 1 && leastUnits(c) < 2 * enoughUnits)
    c.panels = llvm::divideCeil(c.panels, 2u);
  c.panels = llvm::divideCeil(panels, llvm::divideCeil(panels, c.panels));
}
