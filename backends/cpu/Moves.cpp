#include "backends/cpu/Moves.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

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

bool cpu::turn(Schedule &s) {
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

bool cpu::pairUp(Schedule &s, unsigned lanes) {
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

void cpu::goInside(Schedule &s) {
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

void cpu::goOver(Schedule &s) {
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
