#include "backends/cpu/Bands.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Place.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

std::optional<int64_t> cpu::constantOf(AffineExpr expr) {
  auto constant = dyn_cast<AffineConstantExpr>(expr);
  return constant ? std::optional(constant.getValue()) : std::nullopt;
}

int64_t cpu::guess(AffineExpr size) { return constantOf(size).value_or(128); }

static AffineExpr replaceDim(AffineExpr expr, unsigned dim, AffineExpr by) {
  return expr.replace(getAffineDimExpr(dim, expr.getContext()), by);
}

/// Whether the dimension stands under a division or a remainder.
static bool underDivision(AffineExpr expr, unsigned dim) {
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || !expr.isFunctionOfDim(dim))
    return false;
  if (expr.getKind() != AffineExprKind::Add && expr.getKind() != AffineExprKind::Mul)
    return true;
  return underDivision(binary.getLHS(), dim) || underDivision(binary.getRHS(), dim);
}

std::optional<AffineExpr> cpu::coefficientOf(AffineExpr expr, unsigned dim) {
  MLIRContext *context = expr.getContext();
  if (!expr.isFunctionOfDim(dim))
    return getAffineConstantExpr(0, context);
  if (underDivision(expr, dim))
    return std::nullopt;
  // The expression is linear: the difference between 1 and 0.
  return canonical(replaceDim(expr, dim, getAffineConstantExpr(1, context)) -
                   replaceDim(expr, dim, getAffineConstantExpr(0, context)));
}

namespace {
/// Every expression of the schedule.
template <class Visit> void forEachExpr(Schedule &schedule, Visit visit) {
  schedule.nest->walk([&](Operation *op) {
    if (auto it = schedule.exprs.find(op); it != schedule.exprs.end())
      for (AffineExpr &expr : it->second)
        visit(expr);
  });
  for (AffineExpr &expr : schedule.stores)
    visit(expr);
}

AffineExpr linearPlace(ArrayRef<AffineExpr> indices, ArrayRef<AffineExpr> strides, MLIRContext *context) {
  AffineExpr place = getAffineConstantExpr(0, context);
  for (auto [index, stride] : llvm::zip(indices, strides))
    place = place + index * stride;
  return canonical(place);
}

/// Joins loop `a` with the loop `b` inside it where every expression moves through both as through one. Then `a` is 0
/// everywhere and `b` has the product of the sizes.
bool join(Schedule &schedule, Loop &a, Loop &b) {
  bool fits = true;
  forEachExpr(schedule, [&](AffineExpr &expr) {
    if (!fits)
      return;
    auto x = coefficientOf(expr, a.dim), y = coefficientOf(expr, b.dim);
    fits = x && y && canonical(*x) == canonical(*y * b.size);
  });
  if (!fits)
    return false;
  AffineExpr zero = getAffineConstantExpr(0, a.size.getContext());
  forEachExpr(schedule, [&](AffineExpr &expr) { expr = replaceDim(expr, a.dim, zero); });
  b.size = canonical(a.size * b.size);
  SmallVector<unsigned, 2> joined(a.joined);
  joined.push_back(a.dim);
  joined.append(b.joined.begin(), b.joined.end());
  b.joined = joined;
  return true;
}

double operationCost(NestOp nest) {
  double cost = 0;
  nest.getBody().walk([&](Operation *op) {
    cost += isa<math::ExpOp, math::LogOp, math::TanhOp, math::ErfOp, math::PowFOp, math::SinOp, math::CosOp, math::AtanOp>(op)
                ? 15
                                                                                                                  : 1;
  });
  return cost;
}
/// What one element costs with vectors over `loop`: gathers and scatters are dear, and so are idle lanes.
double vectorCost(Schedule &schedule, const Loop &loop, unsigned lanes, bool reduced) {
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

} // namespace

void cpu::joinLoops(Schedule &schedule, SmallVectorImpl<Loop> &loops) {
  for (size_t i = loops.size(); i-- > 1;)
    if (join(schedule, loops[i - 1], loops[i]))
      loops.erase(loops.begin() + (i - 1));
}

unsigned Schedule::accumulatorBytes(const Target &target) const { return target.lanes * 8; }

AffineExpr Schedule::scratchBytes(const Target &target) const {
  if (splits == 1)
    return getAffineConstantExpr(0, nest.getContext());
  unsigned registers = 0; // argmax and argmin keep a value and an index
  for (Attribute kind : NestOp(nest).getKinds())
    registers += cast<StringAttr>(kind).getValue().starts_with("arg") ? 2 : 1;
  return canonical(units * int64_t(splits * vectors * registers * accumulatorBytes(target)));
}

AffineExpr cpu::placeOf(LoadOp load) {
  return linearPlace(load.getMap().getResults(), stridesOf(load.getTensor()), load.getContext());
}
AffineExpr cpu::placeOf(NestOp nest, unsigned result) {
  SmallVector<AffineExpr> dims;
  auto margins = nest->getAttrOfType<DenseI64ArrayAttr>(marginsAttr);
  for (unsigned i = 0; i < nest.getParallel(); ++i)
    dims.push_back(getAffineDimExpr(i, nest.getContext()) + (margins ? margins[2 * i] : 0));
  return linearPlace(dims, stridesOf(nest.getResult(result)), nest.getContext());
}

Schedule cpu::prepare(NestOp nest) {
  Schedule s;
  s.nest = nest;
  MLIRContext *context = nest.getContext();

  nest->walk([&](Operation *op) {
    SmallVector<AffineExpr> exprs;
    auto constraints = [&](IntegerSet set) {
      for (AffineExpr expr : set.getConstraints())
        exprs.push_back(canonical(expr));
    };
    if (auto load = dyn_cast<LoadOp>(op)) {
      exprs.push_back(placeOf(load));
      if (load.getInside())
        constraints(*load.getInside());
    } else if (auto index = dyn_cast<IndexOp>(op)) {
      exprs.push_back(canonical(index.getMap().getResult(0)));
    } else if (auto test = dyn_cast<TestOp>(op)) {
      constraints(test.getSet());
    } else {
      return;
    }
    s.exprs[op] = exprs;
  });
  for (unsigned i = 0; i < nest.getNumResults(); ++i)
    s.stores.push_back(placeOf(nest, i));
  SmallVector<unsigned> ofBand = bandDims(nest);

  // Loops in the order of the result in memory; loops of size 1 vanish, and those that a band runs through (Bands.h).
  AffineExpr volume = getAffineConstantExpr(1, context);
  auto add = [&](unsigned dim, SmallVectorImpl<Loop> &loops) {
    AffineExpr size = nest.size(dim);
    bool single = constantOf(size) == 1 || llvm::is_contained(ofBand, dim);
    if (!single)
      volume = volume * size;
    if (single)
      forEachExpr(s, [&](AffineExpr &expr) { expr = replaceDim(expr, dim, getAffineConstantExpr(0, context)); });
    else
      loops.push_back({dim, size});
  };
  for (int64_t dim : nest.layout(0))
    add(dim, s.outer);
  for (unsigned dim = nest.getParallel(); dim < nest.dims(); ++dim)
    add(dim, s.reduced);
  forEachExpr(s, [](AffineExpr &expr) { expr = canonical(expr); });
  s.cost = canonical(volume * int64_t(operationCost(nest)));
  return s;
}

AffineExpr Schedule::turnedSize() const {
  AffineExpr size = getAffineConstantExpr(1, NestOp(nest).getContext());
  for (const Loop &loop : turned)
    size = size * loop.size;
  return canonical(size);
}

bool cpu::isTurned(const Schedule &s, LoadOp load) {
  auto step = coefficientOf(s.exprs.find(load)->second[0], s.vector->dim);
  return !step || (constantOf(*step) != 0 && constantOf(*step) != 1);
}

/// Loops along which the place moves without a gap, outermost first.
static SmallVector<Loop> runOf(AffineExpr place, ArrayRef<Loop> loops, const Loop &without) {
  SmallVector<Loop> run;
  AffineExpr want = getAffineConstantExpr(1, place.getContext());
  for (bool found = true; found;) {
    found = false;
    for (const Loop &loop : loops) {
      auto step = coefficientOf(place, loop.dim);
      if (loop.dim == without.dim || !step || canonical(*step) != want)
        continue;
      run.insert(run.begin(), loop);
      want = canonical(want * loop.size);
      found = true;
      break;
    }
  }
  return run;
}

/// A pointwise nest that writes along one loop and reads along others: decides to turn square blocks in registers, when
/// all its other loads run along what is written.
static bool turn(Schedule &s) {
  NestOp nest = s.nest;
  if (nest.reduces())
    return false;
  for (const Loop &loop : s.outer) {
    if (!llvm::all_of(s.stores, [&](AffineExpr store) {
          auto step = coefficientOf(store, loop.dim);
          return step && constantOf(*step) == 1;
        }))
      continue;
    s.vector = loop;
    bool fits = true;
    unsigned count = 0;
    SmallVector<Loop> run;
    nest->walk([&](LoadOp load) {
      if (!fits || !load.getAt().empty() || isa<IntegerType>(load.getType()))
        return void(fits = false);
      ArrayRef<AffineExpr> exprs = s.exprs[load];
      if (!isTurned(s, load))
        return;
      SmallVector<Loop> own = runOf(exprs[0], s.outer, loop);
      bool same = run.empty() || (own.size() == run.size() && llvm::all_of(llvm::zip(own, run), [](auto pair) {
                                    return std::get<0>(pair).dim == std::get<1>(pair).dim;
                                  }));
      run = own;
      // A guard may not vary within what one vector reads, and zeros stand for what it forbids.
      for (AffineExpr guard : exprs.drop_front())
        for (const Loop &turned : own)
          same &= !guard.isFunctionOfDim(turned.dim);
      if (load.getInside())
        same &= matchPattern(load.getOtherwise(), m_PosZeroFloat());
      same &= bool(coefficientOf(exprs[0], loop.dim));
      fits = same && !own.empty() && ++count <= 2;
    });
    auto size = constantOf(loop.size);
    if (fits && count && (!size || *size >= 4)) {
      s.turned = run;
      if (auto length = constantOf(s.turnedSize()); !length || *length >= 4) {
        llvm::erase_if(s.outer, [&](const Loop &o) {
          return o.dim == loop.dim || llvm::any_of(run, [&](const Loop &t) { return t.dim == o.dim; });
        });
        return true;
      }
    }
    s.vector.reset();
    s.turned.clear();
  }
  return false;
}

/// A nest that writes pairs and reads vectors for each half: decides to interleave them in registers.
static bool pairUp(Schedule &s, unsigned lanes) {
  NestOp nest = s.nest;
  if (nest.reduces() || s.stores.size() != 1 || isa<IntegerType>(cast<RankedTensorType>(nest.getResult(0).getType()).getElementType()))
    return false;
  auto writes = [&](const Loop &loop, int64_t step) {
    auto own = coefficientOf(s.stores[0], loop.dim);
    return own && constantOf(*own) == step;
  };
  auto pair = llvm::find_if(s.outer, [&](const Loop &loop) { return constantOf(loop.size) == 2 && writes(loop, 1); });
  auto vector = llvm::find_if(s.outer, [&](const Loop &loop) {
    auto size = constantOf(loop.size);
    return size && *size % lanes == 0 && *size <= 8 * lanes && writes(loop, 2);
  });
  if (pair == s.outer.end() || vector == s.outer.end())
    return false;
  bool fits = true;
  nest->walk([&](LoadOp load) {
    auto step = coefficientOf(s.exprs[load][0], vector->dim);
    fits &= load.getAt().empty() && step && (constantOf(*step) == 0 || constantOf(*step) == 1);
  });
  if (!fits)
    return false;
  s.pair = *pair, s.vector = *vector;
  llvm::erase_if(s.outer, [&](const Loop &loop) { return loop.dim == s.pair->dim || loop.dim == s.vector->dim; });
  return true;
}

/// Elements that one unit of a copy of short runs moves, which makes finding its place cheap. Where runs lie side by side in what
/// is read, a unit takes a square: so many elements side by side, of so many lines of memory, as the first level cache keeps.
static constexpr int64_t elementsOfCopy = 2048, sideBySide = 512, linesOfCopy = 8;

/// A copy of runs too short to be units of their own: decides which loops a unit goes through.
static void goInside(Schedule &s) {
  NestOp nest = s.nest;
  auto size = s.vector && !s.vectorReduced ? constantOf(s.vector->size) : std::nullopt;
  if (nest.reduces() || !size || *size * 4 > elementsOfCopy || s.outer.size() < 2)
    return;
  LoadOp load;
  for (Operation &op : nest.getBody().front()) {
    if (!isa<LoadOp, YieldOp, arith::ConstantOp, arith::ExtFOp, arith::SIToFPOp, arith::ExtSIOp, arith::ExtUIOp>(op))
      return;
    if (auto own = dyn_cast<LoadOp>(op))
      load = own;
  }
  Loop along = s.outer.pop_back_val();
  auto across = llvm::find_if(s.outer, [&](const Loop &loop) {
    auto step = load ? coefficientOf(s.exprs[load][0], loop.dim) : std::nullopt;
    return step && constantOf(*step) == *size;
  });
  if (across == s.outer.end()) {
    s.inside = {{along, elementsOfCopy / *size}};
    return;
  }
  s.inside = {{*across, std::max<int64_t>(1, sideBySide / *size)}, {along, linesOfCopy}};
  s.outer.erase(across);
}

/// Results of one place of what is read, many times over and far apart, such as the positions of weights that Winograd's filtering
/// transforms: decides that a unit makes all of them, so that what it reads comes from the first level cache after the first.
static void goOver(Schedule &s) {
  constexpr int64_t lineBytes = 64, leastElements = 16 * 1024, mostInUnit = 64;
  NestOp nest = s.nest;
  auto size = s.vector && !s.vectorReduced ? constantOf(s.vector->size) : std::nullopt;
  if (nest.reduces() || !size || *size > elementsOfCopy || !s.inside.empty() ||
      !llvm::all_of(nest.getResultTypes(), [&](Type type) { // whole lines are written
        return *size * cast<RankedTensorType>(type).getElementTypeBitWidth() / 8 % lineBytes == 0;
      }))
    return;
  SmallVector<AffineExpr> places; // in what is large
  nest->walk([&](LoadOp load) {
    if (guess(canonical(elementCount(load.getTensor().getType()))) >= leastElements || !load.getAt().empty())
      places.push_back(s.exprs[load][0]);
  });
  auto isRead = [&](const Loop &loop) {
    return llvm::any_of(places, [&](AffineExpr place) { return place.isFunctionOfDim(loop.dim); });
  };
  if (places.empty() || s.outer.size() < 2)
    return;
  // Loops that nothing is read along, outside of one along which something is.
  int64_t all = 1;
  bool readInside = false;
  for (size_t i = s.outer.size(); i-- > 1;) {
    auto count = constantOf(s.outer[i].size);
    readInside |= isRead(s.outer[i]);
    if (isRead(s.outer[i]) || !readInside || !count || all * *count > mostInUnit)
      continue;
    all *= *count;
    s.inside.insert(s.inside.begin(), {s.outer[i], *count});
  }
  llvm::erase_if(s.outer, [&](const Loop &loop) {
    return llvm::any_of(s.inside, [&](const Schedule::Inside &each) { return each.loop.dim == loop.dim; });
  });
}

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
      s.block = getAffineConstantExpr(s.vectors * target.lanes, nest.getContext());
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
