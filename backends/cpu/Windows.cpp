#include "backends/cpu/Windows.h"
#include "ir/Dims.h"
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

double cpu::identityOf(StringRef kind) {
  double infinity = std::numeric_limits<double>::infinity();
  return kind.ends_with("max") ? -infinity : kind.ends_with("min") ? infinity : kind == "prod" ? 1 : 0;
}

/// The inequalities of a load's or a test's guard.
static SmallVector<AffineExpr> inequalitiesOf(const Schedule &schedule, Operation &op) {
  auto it = schedule.exprs.find(&op);
  auto load = dyn_cast<LoadOp>(op);
  auto test = dyn_cast<TestOp>(op);
  if (it == schedule.exprs.end() || (!test && !(load && load.getInside())))
    return {};
  IntegerSet set = load ? *load.getInside() : test.getSet();
  SmallVector<AffineExpr> result;
  for (auto [i, constraint] : llvm::enumerate(ArrayRef(it->second).drop_front(load ? 1 : 0)))
    if (!set.isEq(i))
      result.push_back(constraint);
  return result;
}

/// Whether the body yields neutral elements where the constraint fails.
static bool addsNothing(const Schedule &schedule, AffineExpr constraint) {
  NestOp nest = schedule.nest;
  auto stands = [&](Operation *guard) { return llvm::is_contained(inequalitiesOf(schedule, *guard), constraint); };
  std::function<bool(Value, double)> isNeutral = [&](Value value, double identity) -> bool {
    Operation *op = value.getDefiningOp();
    if (auto constant = dyn_cast_or_null<arith::ConstantOp>(op))
      return constant.getValue() == formula::element(value.getType(), identity);
    if (auto load = dyn_cast_or_null<LoadOp>(op))
      return load.getInside() && stands(load) && load.getOtherwise() && isNeutral(load.getOtherwise(), identity);
    if (auto select = dyn_cast_or_null<arith::SelectOp>(op)) {
      auto test = select.getCondition().getDefiningOp<TestOp>();
      return isNeutral(select.getFalseValue(), identity) &&
             ((test && stands(test)) || isNeutral(select.getTrueValue(), identity));
    }
    return false;
  };
  for (auto [value, kind] : llvm::zip(nest.getBody().front().getTerminator()->getOperands(), nest.getKinds()))
    if (!isNeutral(value, identityOf(cast<StringAttr>(kind).getValue())))
      return false;
  return true;
}

SmallVector<AffineExpr> cpu::edgesOf(const Schedule &schedule, const Loop &reduced) {
  SmallVector<AffineExpr> edges;
  auto moves = [](AffineExpr expr, const Loop &loop) { return expr.isFunctionOfDim(loop.dim); };
  for (Operation &op : NestOp(schedule.nest).getBody().front())
    for (AffineExpr constraint : inequalitiesOf(schedule, op)) {
      auto step = coefficientOf(constraint, reduced.dim);
      auto known = step ? constantOf(*step) : std::nullopt;
      bool others = llvm::any_of(schedule.reduced, [&](const Loop &loop) { return loop.dim != reduced.dim && moves(constraint, loop); });
      if (known && *known != 0 && !others && !(schedule.vector && moves(constraint, *schedule.vector)) &&
          !llvm::is_contained(edges, constraint) && addsNothing(schedule, constraint))
        edges.push_back(constraint);
    }
  return edges;
}

std::optional<Middle> cpu::middleOf(const Schedule &schedule, const Loop &vector, unsigned lanes) {
  auto size = constantOf(vector.size);
  if (!size)
    return {};
  Middle middle{0, *size, {}};
  for (Operation &op : NestOp(schedule.nest).getBody().front())
    for (AffineExpr constraint : inequalitiesOf(schedule, op)) {
      if (!constraint.isFunctionOfDim(vector.dim) || llvm::is_contained(middle.constraints, constraint))
        continue;
      AffineExpr least = constraint; // over all steps
      for (const Loop &loop : schedule.reduced) {
        auto step = coefficientOf(least, loop.dim);
        auto known = step ? constantOf(*step) : std::nullopt;
        auto steps = constantOf(loop.size);
        if (!known || !steps)
          return {};
        least = canonical(least.replace(getAffineDimExpr(loop.dim, least.getContext()), getAffineConstantExpr(*known < 0 ? *steps - 1 : 0, least.getContext())));
      }
      auto step = coefficientOf(least, vector.dim);
      auto known = step ? constantOf(*step) : std::nullopt;
      auto start = constantOf(canonical(least.replace(getAffineDimExpr(vector.dim, least.getContext()), getAffineConstantExpr(0, least.getContext()))));
      if (!known || *known == 0 || !start)
        return {};
      if (*known > 0)
        middle.from = std::max(middle.from, llvm::divideCeilSigned(-*start, *known));
      else
        middle.to = std::min(middle.to, llvm::divideFloorSigned(*start, -*known) + 1);
      middle.constraints.push_back(constraint);
    }
  middle.from = int64_t(llvm::alignTo(middle.from, lanes));
  if (middle.constraints.empty() || middle.to - middle.from < int64_t(lanes))
    return {};
  middle.to -= (middle.to - middle.from) % lanes;
  return middle;
}
