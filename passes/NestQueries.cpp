#include "passes/NestQueries.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

Cost kernel::costOf(NestOp nest) {
  Cost cost;
  for (Operation &op : nest.getBody().front().without_terminator()) {
    ++cost.ops;
    if (auto load = dyn_cast<LoadOp>(op)) {
      bool all = true;
      for (unsigned d = 0; d < nest.dims(); ++d)
        all &= load.getMap().isFunctionOfDim(d);
      cost.fullLoads += all && nest.dims() > 0;
      cost.dear |= !load.getAt().empty();
    } else if (!isa<arith::ConstantOp, IndexOp, TestOp>(op)) {
      ++cost.arithmetic;
      cost.dear |= isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::AbsIOp>(op);
      cost.dear |= isa<arith::DivFOp, arith::RemFOp, arith::DivSIOp, arith::RemSIOp>(op);
    }
  }
  cost.dear |= cost.arithmetic > 24;
  return cost;
}

LoadOp kernel::plainView(NestOp nest) {
  Block &body = nest.getBody().front();
  if (nest.reduces() || nest.getNumResults() != 1 || body.getOperations().size() != 2)
    return {};
  auto load = dyn_cast<LoadOp>(body.front());
  return load && !load.getInside() && load.getAt().empty() ? load : LoadOp();
}

bool kernel::isSamePoint(LoadOp load, NestOp consumer) {
  AffineMap map = load.getMap();
  if (load.getInside() || !load.getAt().empty() || map.getNumResults() != unsigned(consumer.getParallel()))
    return false;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getResult(i) != getAffineDimExpr(i, map.getContext()))
      return false;
  return true;
}

static SmallVector<AffineExpr> sameSymbols(unsigned count, MLIRContext *context) {
  SmallVector<AffineExpr> symbols;
  for (unsigned i = 0; i < count; ++i)
    symbols.push_back(getAffineSymbolExpr(i, context));
  return symbols;
}

AffineMap kernel::composed(AffineMap map, AffineMap at, unsigned symbols) {
  return simplifyAffineMap(map.replaceDimsAndSymbols(at.getResults(), sameSymbols(map.getNumSymbols(), map.getContext()),
                                                     at.getNumDims(), std::max(symbols, map.getNumSymbols())));
}
IntegerSet kernel::composed(IntegerSet set, AffineMap at) {
  return set.replaceDimsAndSymbols(at.getResults(), sameSymbols(set.getNumSymbols(), set.getContext()), at.getNumDims(),
                                   set.getNumSymbols());
}

bool kernel::hasDivision(AffineMap map) {
  bool found = false;
  for (AffineExpr expr : map.getResults())
    expr.walk([&](AffineExpr e) {
      found |= e.getKind() == AffineExprKind::FloorDiv || e.getKind() == AffineExprKind::Mod ||
               e.getKind() == AffineExprKind::CeilDiv;
    });
  return found;
}
