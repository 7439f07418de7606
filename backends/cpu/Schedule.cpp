#include "backends/cpu/Moves.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Pieces.h"
#include "backends/cpu/Windows.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

unsigned Schedule::accumulatorBytes(const Target &target) const { return target.lanes * 8; }

AffineExpr Schedule::scratchBytes(const Target &target) const {
  if (splits == 1)
    return getAffineConstantExpr(0, nest.getContext());
  unsigned registers = 0; // argmax and argmin keep a value and an index
  for (Attribute kind : NestOp(nest).getKinds())
    registers += cast<StringAttr>(kind).getValue().starts_with("arg") ? 2 : 1;
  return canonical(units * int64_t(splits * vectors * registers * accumulatorBytes(target)));
}

AffineExpr Schedule::turnedSize() const {
  AffineExpr size = getAffineConstantExpr(1, NestOp(nest).getContext());
  for (const Loop &loop : turned)
    size = size * loop.size;
  return canonical(size);
}

/// What one element costs with vectors over `loop`: gathers and scatters are dear, and so are idle lanes.
static double vectorCost(Schedule &schedule, const Loop &loop, unsigned lanes, bool reduced) {
  double cost = reduced ? 0.5 : 0;
  auto touch = [&](AffineExpr place, bool computed, double dear, bool store) {
    auto step = coefficientOf(place, loop.dim);
    auto value = step ? constantOf(*step) : std::nullopt;
    bool contiguous = value && (*value == 1 || (*value == 0 && !store)) && !computed;
    cost += contiguous ? 1 : dear * lanes;
  };
  schedule.nest->walk([&](LoadOp load) {
    touch(schedule.exprs[load][0], !load.getAt().empty(), 2, false);
  });
  // Stores happen once after a reduction.
  for (AffineExpr store : schedule.stores)
    if (!reduced)
      touch(store, false, schedule.nest.reduces() ? 0.5 : 2, true);
  cost += operationCost(schedule.nest) * 0.25;
  if (auto size = constantOf(loop.size))
    cost *= double(llvm::alignTo(*size, lanes)) / *size;
  return cost;
}

/// Rows of windows that are units: as many at least, as long at most.
static constexpr int64_t leastRows = 16, longestRow = 4096;

Schedule cpu::schedule(NestOp nest, const Target &target) {
  Schedule s = prepare(nest);
  AffineExpr one = getAffineConstantExpr(1, nest.getContext());
  if (auto panels = Panels::of(nest)) {
    s.outer.clear(), s.block = one;
    s.inner = s.units = panels->units(nest);
    s.cost = canonical(nest.size(0) * nest.size(1) * Panels::operationsOfBlock);
    return s;
  }

  // Reduction loops go along the memory of the largest operand: the smallest step innermost.
  LoadOp main;
  nest.getBody().walk([&](LoadOp load) {
    if (!main || load.getTensor().getType().getRank() > main.getTensor().getType().getRank())
      main = load;
  });
  auto step = [&](const Loop &loop) -> int64_t {
    auto c = main ? coefficientOf(s.exprs[main][0], loop.dim) : std::nullopt;
    if (!c)
      return 0;
    auto value = constantOf(*c);
    return value ? *value : std::numeric_limits<int64_t>::max();
  };
  llvm::stable_sort(s.reduced, [&](const Loop &a, const Loop &b) { return step(a) > step(b); });
  joinLoops(s, s.outer);
  joinLoops(s, s.reduced);

  if (pairUp(s, target.lanes)) {
    s.block = one, s.inner = one, s.units = one;
    if (!s.outer.empty())
      s.inner = (s.outer.back().size + (Schedule::pairsBlock - 1)).floorDiv(Schedule::pairsBlock);
    for (const Loop &loop : s.outer)
      s.units = s.units * (loop.dim == s.outer.back().dim ? s.inner : loop.size);
    s.units = canonical(s.units);
    return s;
  }
  if (turn(s)) {
    s.block = getAffineConstantExpr(Schedule::turnedBlock, nest.getContext());
    s.inner = (s.vector->size + s.block - 1).floorDiv(Schedule::turnedBlock) *
              (s.turnedSize() + s.block - 1).floorDiv(Schedule::turnedBlock);
    s.units = s.inner;
    for (const Loop &loop : s.outer)
      s.units = s.units * loop.size;
    s.units = canonical(s.units);
    return s;
  }

  // The vector loop: whatever reads and writes best; the innermost of the result among equals.
  double best = 1e30;
  int choice = -1;
  auto consider = [&](SmallVectorImpl<Loop> &loops, bool reduced) {
    for (int i = int(loops.size()) - 1; i >= 0; --i)
      if (double cost = vectorCost(s, loops[i], target.lanes, reduced); cost < best)
        best = cost, choice = i, s.vectorReduced = reduced;
  };
  consider(s.outer, false);
  consider(s.reduced, true);
  if (choice >= 0) {
    SmallVectorImpl<Loop> &loops = s.vectorReduced ? s.reduced : s.outer;
    s.vector = loops[choice];
    loops.erase(loops.begin() + choice);
  }

  s.units = one, s.inner = one;
  goInside(s);
  goOver(s);
  for (const Schedule::Inside &each : s.inside)
    s.inner = s.inner * each.blocks();
  s.units = s.inner;
  for (const Loop &loop : s.outer)
    s.units = s.units * loop.size;
  s.block = one;
  if (s.vector && !s.vectorReduced) {
    auto size = constantOf(s.vector->size);
    if (nest.reduces()) {
      if (size)
        while (s.vectors < 4 && *size >= int64_t(2 * s.vectors * target.lanes))
          s.vectors *= 2;
      for (int64_t turn : turnsAlong(s, *s.vector))
        while (s.vectors > 1 && turn % (int64_t(s.vectors) * target.lanes))
          s.vectors /= 2;
      s.block = getAffineConstantExpr(s.vectors * target.lanes, nest.getContext());
      auto rows = constantOf(s.units);
      s.wholeRows = size && *size <= longestRow && (!rows || *rows >= leastRows) && middleOf(s, *s.vector, target.lanes);
      if (s.wholeRows)
        s.block = s.vector->size;
    } else {
      s.block = size && *size <= 4096 ? s.vector->size : getAffineConstantExpr(2048, nest.getContext());
    }
    AffineExpr blocks = (s.vector->size + s.block - 1).floorDiv(*constantOf(s.block));
    s.inner = s.inner * blocks;
    s.units = s.units * blocks;
  }
  s.units = canonical(s.units);

  // Few results of a long sum: parts of it run side by side. Their number depends on nothing but the nest.
  if (nest.reduces()) {
    auto units = constantOf(s.units), work = constantOf(s.cost);
    Loop first = s.reduced.empty() ? (s.vectorReduced ? *s.vector : Loop{0, one}) : s.reduced.front();
    auto size = constantOf(first.size);
    if (units && *units < 16 && (!work || *work > 200000) && (!size || *size >= 8))
      s.splits = 32;
  }
  return s;
}
