// Convolutions over three dimensions by filtering in two of them: one step of the window's third dimension after the other, each a
// convolution of 3 x 3 that adds to what those before it gave.
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "passes/NestBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// A step at a time is a pass over the results, which longer windows do not make up for.
constexpr int64_t longestDepth = 5;

/// Lets a nest sum over one place of a dimension alone.
void fixDim(NestOp nest, unsigned dim, int64_t place) {
  MLIRContext *context = nest.getContext();
  SmallVector<AffineExpr> sizes(nest.getSizes().getResults());
  sizes[dim] = getAffineConstantExpr(1, context);
  nest.setSizesAttr(AffineMapAttr::get(AffineMap::get(0, nest.symbols(), sizes, context)));
  for (auto load : nest.getBody().front().getOps<LoadOp>())
    load.setMapAttr(AffineMapAttr::get(
        load.getMap().replace(getAffineDimExpr(dim, context), getAffineConstantExpr(place, context), nest.dims(), load.getMap().getNumSymbols())));
}

/// Adds another nest's result, of the same place, to what the nest has summed.
void addTo(NestOp nest, Value before) {
  Block &finish = nest.getFinish().front();
  NestBuilder b(nest.getContext(), nest.symbols());
  b.loc = nest.getLoc();
  b.builder.setInsertionPointToStart(&finish);
  BlockArgument sum = finish.getArgument(0);
  auto both = arith::AddFOp::create(b.builder, b.loc, sum, b.loadSame(before, nest.dims()));
  sum.replaceAllUsesExcept(both, both);
}

/// A nest that sums as another one does, over one place of a dimension, and gives the sum itself.
NestOp partOf(NestOp nest, unsigned dim, int64_t place) {
  OpBuilder builder(nest);
  SmallVector<AffineExpr> sizes(nest.getSizes().getResults().take_front(nest.getParallel()));
  Type type = tensorType(sizes, nest.symbols(), builder.getF32Type());
  auto part = NestOp::create(builder, nest.getLoc(), TypeRange(type), nest.getSizes(), nest.getParallel(), nest.getKinds(), true);
  IRMapping mapping;
  nest.getBody().cloneInto(&part.getBody(), mapping);
  Block &finish = part.getFinish().emplaceBlock();
  BlockArgument sum = finish.addArgument(builder.getF32Type(), nest.getLoc());
  builder.setInsertionPointToEnd(&finish);
  YieldOp::create(builder, nest.getLoc(), sum);
  setLayout(part, 0, nest.layout(0));
  fixDim(part, dim, place);
  return part;
}
} // namespace

bool cpu::packDeepWinograd(NestOp nest, const Target &target, unsigned symbols) {
  if (windowOf(nest) || nest.getKinds().size() != 1)
    return false;
  for (unsigned dim = nest.getParallel(); dim < nest.dims(); ++dim) {
    int64_t steps = constantOf(nest.size(dim)).value_or(0);
    if (steps < 2 || steps > longestDepth)
      continue;
    NestOp part = partOf(nest, dim, 0);
    auto window = windowOf(part);
    if (!window || window->toWeights || window->whole || !packWinograd(part, target, symbols)) {
      part.erase();
      continue;
    }
    for (int64_t step = 1; step < steps; ++step) {
      Value before = part.getResult(0);
      part = step + 1 == steps ? nest : partOf(nest, dim, step);
      if (part == nest)
        fixDim(nest, dim, step);
      addTo(part, before);
      packWinograd(part, target, symbols);
    }
    return true;
  }
  return false;
}
