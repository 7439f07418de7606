// Choice of the block of a product: which loop runs in vectors, which rows stand in registers, how many blocks are one unit
// of work, and how much of the sum one pass covers.
#include "backends/cpu/ChooseBlock.h"
#include "backends/cpu/Tuning.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

int64_t cpu::stepOf(AffineExpr expr, unsigned dim) {
  auto step = coefficientOf(expr, dim);
  auto value = step ? constantOf(*step) : std::nullopt;
  return value ? *value : int64_t(1) << 40;
}

SmallVector<unsigned> cpu::tilesOf(AffineExpr size, unsigned most) {
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

double cpu::speedOf(unsigned accumulators, unsigned most) {
  double share = double(accumulators) / most;
  return accumulators < 8 ? 1 : share >= 0.75 ? 1 : share >= 0.6 ? 0.96 : share >= 0.4 ? 0.92 : 0.88;
}

double cpu::lanesUsed(AffineExpr columns, unsigned vectors, const Target &target) {
  int64_t size = guess(columns), registersLong = llvm::divideCeil(size, target.lanes);
  if (registersLong % vectors && registersLong > vectors) // the rest runs in fewer registers
    return double(size) / (registersLong * target.lanes) * 0.95;
  return double(size) / (llvm::alignTo(registersLong, vectors) * target.lanes);
}

int64_t cpu::leastUnits(const Contraction &c) {
  AffineExpr units = c.rowBlocks() * c.columnBlocks();
  for (const Loop &loop : c.outer)
    units = units * loop.size;
  SmallVector<AffineExpr> ones(NestOp(c.s.nest).symbols(), getAffineConstantExpr(1, units.getContext()));
  auto constant = constantOf(canonical(units.replaceSymbols(ones)));
  return constant ? *constant : 1;
}

double cpu::products(const Contraction &c) {
  double count = double(guess(c.vectorSize));
  for (const auto &loops : {c.outer, c.rows, c.reduced, c.unrolled})
    for (const Loop &loop : loops)
      count *= guess(loop.size);
  return count;
}
void cpu::countUnits(Contraction &c) {
  c.inner = canonical(c.rowBlocks() * c.columnBlocks());
  c.units = c.inner;
  for (const Loop &loop : c.outer)
    c.units = c.units * loop.size;
  c.units = canonical(c.units);
}

namespace {
/// Rows from which on a block asks for at most 11 bytes of a panel a cycle, on two units that multiply and add.
constexpr unsigned leastRowsFromAfar = 6;
/// Rows and panels of one unit: enough for what a unit fetches to be used often, few enough for its sums to stay near, and
/// for the rows that its epilogues touch, each on a page of its own, to be about as many as the first level of the TLB holds.
constexpr unsigned mostRowsOfUnit = 96;
/// Units for each core: the last of them are short enough, and what a unit does once, such as to find its rows, is done seldom.
constexpr int64_t unitsOfCore = 8;

/// The width of the panels in which a load lies along a dimension, 0 when it does not.
int64_t panelsOf(LoadOp load, unsigned dim) {
  ArrayRef<AffineExpr> indices = load.getMap().getResults();
  if (load->hasAttr(wordPanels))
    indices = indices.drop_back();
  AffineExpr index = indices.size() ? indices.back() : AffineExpr();
  auto binary = dyn_cast_or_null<AffineBinaryOpExpr>(index);
  if (!binary || index.getKind() != AffineExprKind::Mod ||
      binary.getLHS() != getAffineDimExpr(dim, load.getContext()) || !constantOf(binary.getRHS()))
    return 0;
  return *constantOf(binary.getRHS());
}

/// A sum of products over `by`, which divides a factor of each; null where it divides none.
AffineExpr partOf(AffineExpr expr, int64_t by) {
  if (auto constant = constantOf(expr))
    return *constant % by ? AffineExpr() : getAffineConstantExpr(*constant / by, expr.getContext());
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || (expr.getKind() != AffineExprKind::Add && expr.getKind() != AffineExprKind::Mul))
    return {};
  AffineExpr left = partOf(binary.getLHS(), by), right = partOf(binary.getRHS(), by);
  if (expr.getKind() == AffineExprKind::Add)
    return left && right ? left + right : AffineExpr();
  return right ? binary.getLHS() * right : left ? left * binary.getRHS() : AffineExpr();
}

class Planner {
public:
  Planner(NestOp nest, const Target &target) : nest(nest), target(target) {}

  std::optional<Contraction> plan() {
    c.s = prepare(nest);
    choice = choiceOf(nest);
    if (nest->hasAttr(onDotsAttr))
      stepByWords();
    if (!findOperands() || !chooseVectors())
      return std::nullopt;
    c.reduced = c.s.reduced;
    llvm::stable_sort(c.reduced, [&](const Loop &x, const Loop &y) {
      return stepOf(c.s.exprs[c.b][0], x.dim) > stepOf(c.s.exprs[c.b][0], y.dim);
    });
    joinLoops(c.s, c.outer);
    joinLoops(c.s, c.reduced);
    placeA = c.s.exprs[c.a][0], placeB = c.s.exprs[c.b][0];
    if (c.vectorsOfA)
      chooseDepthwiseBlock(c, placeA, placeB, target, [this](unsigned vectors) { return fitsWidth(vectors); });
    else
      chooseBlock();
    c.cost = c.s.cost;
    chooseSplits();
    c.vectorsOfA ? chooseDepthwiseUnit(c) : chooseUnit();
    countUnits(c);
    return c;
  }

private:
  /// The two loads, with places that are linear in every dimension: at the first column of a panel they are.
  bool findOperands() {
    loads.assign(nest.getBody().front().getOps<LoadOp>().begin(), nest.getBody().front().getOps<LoadOp>().end());
    if (loads.size() != 2 || loads[0].getInside() || loads[1].getInside())
      return false;
    element = nest.getBody().front().getTerminator()->getOperand(0).getType();
    if (!element.isF32() && !element.isF64() && !element.isInteger(32))
      return false;
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
          return false;
      }
    if (c.onDots)
      for (LoadOp load : loads)
        if (AffineExpr &place = c.s.exprs[load][0]; !(place = partOf(place, elementsInWord(load))))
          return false;
    return true;
  }

  /// From here on a step of the sum is a word, a pair of bf16 or four of eight bits, and the operands are arrays of words.
  void stepByWords() {
    c.onDots = true;
    unsigned dim = nest->getAttrOfType<IntegerAttr>(onDotsAttr).getInt();
    AffineExpr k = getAffineDimExpr(dim, nest.getContext());
    int64_t each = 1;
    for (LoadOp load : nest.getBody().front().getOps<LoadOp>()) {
      AffineExpr &place = c.s.exprs[load][0];
      each = elementsInWord(load);
      place = canonical(place.replace(k, k * each));
    }
    for (Loop &loop : c.s.reduced)
      if (loop.dim == dim)
        loop.size = canonical((loop.size + (each - 1)).floorDiv(each));
  }

  bool isContiguous(LoadOp load, unsigned dim) {
    if (load->hasAttr(rowPanels))
      return false;
    return inPanels ? load == inPanels && dim == panelDim : stepOf(c.s.exprs[load][0], dim) == 1;
  }

  bool chooseVectors() {
    // Along a dimension in which one operand is contiguous and the other does not move.
    int vector = -1, which = 0;
    for (auto [i, loop] : llvm::enumerate(c.s.outer))
      for (int operand : {0, 1})
        if (isContiguous(loads[operand], loop.dim) && stepOf(c.s.exprs[loads[1 - operand]][0], loop.dim) == 0) {
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
      return false;
    c.a = loads[1 - which], c.b = loads[which];
    c.lanes = target.lanes, c.packed = bool(inPanels), c.packedRows = panelRows != 0;
    c.vectorDim = c.s.outer[vector].dim;
    c.vectorSize = c.s.outer[vector].size;
    c.outer = c.s.outer;
    c.outer.erase(c.outer.begin() + vector);
    return true;
  }

  bool fitsWidth(unsigned vectors) {
    return c.packed ? vectors * target.lanes == panelWidth
                    : vectors <= llvm::divideCeil(guess(c.vectorSize), target.lanes);
  }

  int64_t sumLength() {
    int64_t length = 1;
    for (const Loop &loop : c.reduced)
      length *= constantOf(loop.size).value_or(int64_t(1) << 20);
    return length;
  }
  /// Steps of the sum that are one chunk. A block of enough rows multiplies so long by one panel's step that the next comes
  /// from the second level cache in time: what a unit reads must stay there. Else the panel must stay in the first level.
  int64_t mostSteps(unsigned vectors, unsigned tile) {
    if (choice.steps)
      return choice.steps;
    int64_t each = element.getIntOrFloatBitWidth() / 8, bytes = int64_t(vectors) * target.lanes * each;
    int64_t near = target.nearBytes * 3 / 4 / bytes;
    int64_t own = tile >= leastRowsFromAfar ? target.ownBytes / (bytes + mostRowsOfUnit * each) : 0;
    return std::max<int64_t>({64, near, own});
  }
  /// A sum that is a little too long for that is one all the same.
  bool staysWhole(unsigned vectors, unsigned tile) {
    if (choice.steps)
      return sumLength() <= choice.steps;
    return sumLength() <= mostSteps(vectors, tile) * (vectors <= 2 ? 7 : 4) / 4;
  }
  /// What a block loses by writing its sums to memory, as a rule the second level cache, and reading them again once a
  /// chunk: ten steps' time.
  double chunksCost(unsigned vectors, unsigned tile) {
    return staysWhole(vectors, tile) ? 1 : 1 / (1 + 10.0 / double(mostSteps(vectors, tile)));
  }

  /// All loops of rows are run through as one, so that only the last block of all has rows that do not count.
  void chooseBlock() {
    SmallVector<Loop> rest;
    for (const Loop &loop : c.outer)
      (makesRows(loop, placeA, placeB) && (!panelRows || loop.dim == rowDim) ? c.rows : rest).push_back(loop);
    int64_t rows = 1, known = 1;
    for (const Loop &loop : c.rows)
      rows *= guess(loop.size), known *= constantOf(loop.size).value_or(1);
    bool open = !constantOf(c.rowCount());
    Candidate best;
    for (unsigned vectors : {1u, 2u, 3u, 4u}) {
      if (!fitsWidth(vectors))
        continue;
      unsigned most = (target.registers - 2 - vectors) / vectors;
      if (target.registers - vectors - 1 >= 4 * vectors) // a broadcast needs one more, not two
        most = std::max(most, (target.registers - 1 - vectors) / vectors);
      most = std::min(most, mostRows);
      if (panelRows > most)
        continue;
      for (unsigned tile = panelRows ? panelRows : 1; tile <= (panelRows ? panelRows : most); ++tile) {
        if (vectors == choice.vectors && tile == choice.rows) {
          best = {1e300, 0, tile, vectors, {}};
          break;
        }
        // No block takes less than the four cycles that an accumulator needs.
        double cycles = std::max(4.0, tile * vectors / 2.0);
        int64_t count = open ? 128 * known : rows;
        double rowsUsed = double(count * vectors) / 2 / (llvm::divideCeil(count, tile) * cycles);
        // With one vector abreast each broadcast serves one multiplication: the loads are as many as those.
        double loads = vectors == 1 ? 0.85 : 1;
        double score = speedOf(tile * vectors, target.registers - 4) * lanesUsed(c.vectorSize, vectors, target) * rowsUsed * loads;
        score *= chunksCost(vectors, tile);
        if (score > best.score + 1e-9)
          best = {score, 0, tile, vectors, {}};
      }
    }
    c.vectors = best.vectors, c.tile = best.tile;
    c.outer = rest;
  }

  /// Few results of long sums (gradients to the weights of convolutions): parts of the sum side by side.
  void chooseSplits() {
    double results = guess(c.vectorSize) * double(c.unrolledRows()), sum = 1;
    for (const Loop &loop : c.reduced)
      sum *= guess(loop.size);
    for (const auto &loops : {c.outer, c.rows})
      for (const Loop &loop : loops)
        results *= guess(loop.size);
    bool known = llvm::all_of(c.outer, [](const Loop &loop) { return bool(constantOf(loop.size)); }) &&
                 llvm::all_of(c.rows, [](const Loop &loop) { return bool(constantOf(loop.size)); }) &&
                 constantOf(c.vectorSize);
    if (known && results <= 256 * 1024 && sum >= 4096 && !c.reduced.empty() &&
        (!constantOf(c.reduced.front().size) || *constantOf(c.reduced.front().size) >= 16))
      c.splits = 32;
  }

  void chooseUnit() {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    // Of the sum: the loops whose product fits lie whole in a chunk, the next one out is cut.
    int64_t most = mostSteps(c.vectors, c.tile), inside = 1;
    if (staysWhole(c.vectors, c.tile))
      most = sumLength();
    int depth = int(c.reduced.size()) - 1;
    for (; depth >= 0; --depth) {
      auto size = constantOf(c.reduced[depth].size);
      if (!size || *size * inside > most)
        break;
      inside *= *size;
    }
    int64_t length = inside; // steps of the sum in one pass
    if (depth >= 0) {
      int64_t each = std::max<int64_t>(1, most / inside);
      if (auto size = constantOf(c.reduced[depth].size)) // chunks of equal size
        each = llvm::divideCeil(*size, llvm::divideCeil(*size, each));
      c.chunkDepth = depth, c.chunk = each;
      length = each * inside;
    }

    int64_t rows = 1;
    bool open = false;
    for (const Loop &loop : c.rows)
      rows *= constantOf(loop.size).value_or(1), open |= !constantOf(loop.size);
    int64_t tilesOf1 = llvm::divideCeil(rows, c.tile);
    int64_t panels = llvm::divideCeil(guess(c.vectorSize), c.width());
    // Both pass over the second level cache together; what is summed so far takes some of it too.
    int64_t tiles = target.ownBytes / 3 / std::max<int64_t>(1, int64_t(c.tile) * length * bytes);
    tiles = std::clamp<int64_t>(tiles, 4, std::max(8u, mostRowsOfUnit / c.tile));
    if (choice.rowBlocks)
      tiles = choice.rowBlocks;
    if (!open)
      tiles = llvm::divideCeil(tilesOf1, llvm::divideCeil(tilesOf1, tiles));
    c.tiles = tiles;
    if (c.chunk && (!open && tilesOf1 == 1 && c.splits == 1)) // nothing would be used twice
      c.chunk = 0;
    int64_t own = target.ownBytes / 8 / (int64_t(c.tiles) * c.tile * c.width() * bytes);
    c.panels = std::clamp<int64_t>(std::min<int64_t>(own, panels), 1, mostPanels);
    if (choice.columnBlocks)
      c.panels = choice.columnBlocks;
    c.panels = llvm::divideCeil(panels, llvm::divideCeil(panels, c.panels));

    // Enough units for several cores, at batch 1 too.
    if (c.splits > 1) {
      while (c.splits > 2 && leastUnits(c) * c.splits >= 2 * enoughUnits)
        c.splits /= 2;
      if (leastUnits(c) >= enoughUnits)
        c.splits = 1;
      return;
    }
    int64_t want = std::min<int64_t>({enoughUnits, unitsOfCore * target.cores, int64_t(products(c) / leastWork)});
    if (choice.rowBlocks || choice.columnBlocks) { // sums of a chunk wait on the stack
      while (c.tiles * c.panels > 1 && int64_t(c.tiles) * c.panels * c.tile * c.width() * bytes > target.ownBytes / 2) {
        unsigned &larger = c.tiles > c.panels ? c.tiles : c.panels;
        larger = llvm::divideCeil(larger, 2u);
      }
      return;
    }
    while (c.panels > 1 && leastUnits(c) < want)
      c.panels = llvm::divideCeil(c.panels, 2u);
    while (c.tiles > 4 && tilesOf1 >= c.tiles && leastUnits(c) < want)
      c.tiles = llvm::divideCeil(c.tiles, 2u);
  }

  NestOp nest;
  const Target &target;
  Contraction c;
  BlockChoice choice;
  SmallVector<LoadOp> loads;
  LoadOp inPanels;
  unsigned panelDim = 0, rowDim = 0;
  int64_t panelWidth = 0, panelRows = 0;
  Type element;
  AffineExpr placeA, placeB;
};
} // namespace

std::optional<Contraction> cpu::planBlocks(NestOp nest, const Target &target) { return Planner(nest, target).plan(); }
