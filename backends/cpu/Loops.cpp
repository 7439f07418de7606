// A nest's loops and places before anything is decided: places in memory as expressions over the loops, and loops that are
// walked through as one.
#include "backends/cpu/Bands.h"
#include "backends/cpu/Place.h"
#include "backends/cpu/Schedule.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Math/IR/Math.h"

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
} // namespace

double cpu::operationCost(NestOp nest) {
  double cost = 0;
  nest.getBody().walk([&](Operation *op) {
    cost += isa<math::ExpOp, math::LogOp, math::TanhOp, math::ErfOp, math::PowFOp, math::SinOp, math::CosOp, math::AtanOp>(op)
                ? 15
                                                                                                                  : 1;
  });
  return cost;
}

void cpu::joinLoops(Schedule &schedule, SmallVectorImpl<Loop> &loops) {
  for (size_t i = loops.size(); i-- > 1;)
    if (join(schedule, loops[i - 1], loops[i]))
      loops.erase(loops.begin() + (i - 1));
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
