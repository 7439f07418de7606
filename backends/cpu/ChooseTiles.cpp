// The plan of a product on tile registers: what the blocks are is given by the panels that its operands were packed in
// (PackTiles.cpp), what is left to choose is the unit and the chunk.
#include "backends/cpu/ChooseBlock.h"
#include "backends/cpu/Panels.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

/// Blocks of one unit each way, on tiles: what they sum in chunks, 4 KB each, and a chunk of their operands stay in the second
/// level cache.
static constexpr int64_t mostTiles = 8;

Contraction cpu::planTiles(NestOp nest, const Target &target) {
  Contraction c;
  c.s = prepare(nest);
  SmallVector<LoadOp> loads(nest.getBody().front().getOps<LoadOp>());
  ArrayRef<int64_t> how = nest->getAttrOfType<DenseI64ArrayAttr>(onTilesAttr).asArrayRef();
  c.a = loads[1 - how[0]], c.b = loads[how[0]], c.piecesA = how[1], c.piecesB = how[2], c.wholeB = how[3];
  c.onTiles = true, c.lanes = target.lanes, c.vectors = 32 / target.lanes, c.tile = 32;
  c.cost = c.s.cost;
  for (const Loop &loop : c.s.outer)
    if (LoadOp(c.b).getMap().isFunctionOfDim(loop.dim))
      c.vectorDim = loop.dim, c.vectorSize = loop.size;
    else
      c.rows.push_back(loop);
  AffineExpr length = getAffineConstantExpr(1, nest.getContext());
  for (const Loop &loop : c.s.reduced)
    length = length * loop.size;
  AffineExpr steps = canonical((length + 31).floorDiv(32));
  c.reduced = {{c.s.reduced.front().dim, steps}};
  // A panel's chunk of columns stays in half of the first level cache while all rows of the unit pass over it.
  int64_t near = std::max<int64_t>(2, target.nearBytes / 2 / (c.piecesB * Panels::pieceBytes));
  if (c.wholeB)
    near = Panels::stepsTogether;
  auto known = constantOf(c.rowCount()), knownSteps = constantOf(steps);
  if (c.wholeB)
    c.chunk = knownSteps && *knownSteps <= near ? 0 : near;
  else if (!knownSteps || *knownSteps * 2 > near * 3)
    c.chunk = knownSteps ? llvm::divideCeil(*knownSteps, llvm::divideCeil(*knownSteps, near)) : near;
  int64_t tiles = llvm::divideCeil(known ? *known : int64_t(1) << 20, 32), panels = llvm::divideCeil(guess(c.vectorSize), 32);
  c.tiles = std::min<int64_t>(mostTiles, tiles), c.panels = std::min<int64_t>(mostTiles, panels);
  // A block of tiles does in one cycle what takes one of registers sixteen, or as many fewer as it multiplies pieces. Two
  // units for each core, no more: what a unit fetches is used the more often the larger it is.
  double speed = 16.0 / double(Panels::productsOf(c.piecesA, c.piecesB));
  int64_t want = std::min<int64_t>(2 * target.cores, int64_t(products(c) / (speed * leastWork)));
  while (leastUnits(c) < want && (c.panels > 1 || (c.tiles > 1 && known))) {
    unsigned &larger = c.panels > 1 && (c.panels >= c.tiles || !known) ? c.panels : c.tiles;
    larger = llvm::divideCeil(larger, 2u);
  }
  // Few results of long sums: parts of the sum side by side.
  if (known && !c.wholeB && constantOf(c.vectorSize) && leastUnits(c) < 8 && (!knownSteps || *knownSteps >= 8 * near))
    for (c.splits = 2; leastUnits(c) * c.splits < 8;)
      c.splits *= 2;
  countUnits(c);
  return c;
}
