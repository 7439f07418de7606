#include "backends/cpu/Pieces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

/// The code of a nest once for each piece: so many pieces, and so many operations in all of them, at most.
static constexpr unsigned mostPieces = 64, mostOperations = 4000;

namespace {
struct Line {
  int64_t step, start; // step * d + start
};
} // namespace

/// The constraint as a line over one dimension.
static std::optional<Line> lineAlong(AffineExpr constraint, unsigned dim) {
  if (!constraint.isFunctionOfDim(dim))
    return {};
  auto step = coefficientOf(constraint, dim);
  auto number = step ? constantOf(*step) : std::nullopt;
  auto start = constantOf(constraint.replace(getAffineDimExpr(dim, constraint.getContext()), getAffineConstantExpr(0, constraint.getContext())));
  if (!number || *number == 0 || !start)
    return {};
  return Line{*number, *start};
}

std::optional<bool> cpu::holdsWithin(AffineExpr constraint, bool equality, const Within &within) {
  auto line = lineAlong(constraint, within.dim);
  if (!line)
    return {};
  int64_t first = line->step * within.from + line->start, last = line->step * (within.to - 1) + line->start;
  int64_t least = std::min(first, last), most = std::max(first, last);
  if (equality)
    return least == 0 && most == 0 ? std::optional(true) : least > 0 || most < 0 ? std::optional(false) : std::nullopt;
  return least >= 0 ? std::optional(true) : most < 0 ? std::optional(false) : std::nullopt;
}

/// Calls `each` with the constraints of every guard of the body.
template <class Each> static void forGuards(const Schedule &schedule, Each each) {
  for (Operation &op : NestOp(schedule.nest).getBody().front()) {
    auto it = schedule.exprs.find(&op);
    auto load = dyn_cast<LoadOp>(op);
    if (it == schedule.exprs.end() || (!isa<TestOp>(op) && !(load && load.getInside())))
      continue;
    IntegerSet set = load ? *load.getInside() : cast<TestOp>(op).getSet();
    each(op, set, ArrayRef<AffineExpr>(it->second).drop_front(load ? 1 : 0));
  }
}

SmallVector<int64_t> cpu::turnsAlong(const Schedule &schedule, const Loop &loop) {
  SmallVector<int64_t> turns;
  auto size = constantOf(loop.size);
  forGuards(schedule, [&](Operation &, IntegerSet set, ArrayRef<AffineExpr> constraints) {
    for (auto [i, constraint] : llvm::enumerate(constraints))
      if (auto line = lineAlong(constraint, loop.dim)) {
        int64_t at = line->step > 0 ? llvm::divideCeilSigned(-line->start, line->step)
                                    : llvm::divideFloorSigned(line->start, -line->step) + 1;
        turns.push_back(at);
        if (set.isEq(i))
          turns.push_back(line->step > 0 ? at + 1 : at - 1);
      }
  });
  llvm::sort(turns);
  turns.erase(llvm::unique(turns), turns.end());
  llvm::erase_if(turns, [&](int64_t at) { return at <= 0 || (size && at >= *size); });
  size_t operations = NestOp(schedule.nest).getBody().front().getOperations().size();
  if (turns.size() + 1 > mostPieces || (turns.size() + 1) * operations > mostOperations)
    turns.clear();
  return turns;
}

std::optional<Loop> cpu::outerInPieces(const Schedule &schedule) {
  std::optional<Loop> best;
  size_t most = 0;
  for (const Loop &loop : schedule.outer) {
    // Where one part lies inside of a margin, nothing is computed in vain but the margin.
    bool parts = false;
    std::optional<SmallVector<AffineExpr>> first;
    forGuards(schedule, [&](Operation &op, IntegerSet, ArrayRef<AffineExpr> constraints) {
      SmallVector<AffineExpr> own;
      llvm::copy_if(constraints, std::back_inserter(own), [&](AffineExpr expr) { return bool(lineAlong(expr, loop.dim)); });
      if (own.empty() || !isa<LoadOp>(op))
        return;
      if (first && *first != own)
        parts = true;
      first = own;
    });
    size_t turns = parts ? turnsAlong(schedule, loop).size() : 0;
    if (turns > most)
      most = turns, best = loop;
  }
  return best;
}
