#include "backends/cpu/PackOperands.h"
#include "backends/cpu/Contraction.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Below, an operand stays in the caches however its rows lie.
constexpr double leastElements = 16 * 1024;
/// Rows that must share a packed operand that is not packed anyway.
constexpr double leastRows = 16;

double guess(AffineExpr size) {
  auto constant = constantOf(size);
  return constant ? double(*constant) : 128;
}

/// The nest that only copies, when the tensor is the result of one.
LoadOp copiedBy(Value tensor) {
  auto nest = tensor.getDefiningOp<NestOp>();
  if (!nest || nest.reduces() || nest.getNumResults() != 1 || nest.getBody().front().getOperations().size() != 2)
    return {};
  auto load = dyn_cast<LoadOp>(nest.getBody().front().front());
  return load && !load.getInside() && load.getAt().empty() ? load : LoadOp();
}

bool pays(NestOp nest, const cpu::Contraction &c, LoadOp b, bool copied) {
  int64_t width = int64_t(c.vectors) * c.lanes;
  if (auto size = constantOf(c.vectorSize); size && *size <= width)
    return false; // one panel
  double elements = 1, rows = 1;
  for (unsigned d = 0; d < nest.dims(); ++d)
    if (b.getMap().isFunctionOfDim(d))
      elements *= guess(nest.size(d));
    else
      rows *= guess(nest.size(d));
  return elements >= leastElements && (copied || rows >= leastRows);
}

void pack(NestOp nest, const Target &target, unsigned symbols) {
  auto plan = planContraction(nest, target);
  if (!plan || plan->packed)
    return;
  LoadOp b = plan->b;
  LoadOp copy = copiedBy(b.getTensor());
  if (!pays(nest, *plan, b, bool(copy)))
    return;
  for (AffineExpr index : b.getMap().getResults())
    if (!isa<AffineDimExpr, AffineConstantExpr>(index))
      return;

  // Dimensions of the packed tensor: those that the results share, the panels, the sum in the order in which it lies
  // now, the columns of a panel. `at` is the packed place in terms of the contraction's dimensions.
  MLIRContext *context = nest.getContext();
  int64_t width = int64_t(plan->vectors) * target.lanes;
  AffineExpr column = getAffineDimExpr(plan->vectorDim, context), columns = nest.size(plan->vectorDim);
  SmallVector<AffineExpr> sizes, at, places(b.getMap().getNumResults(), getAffineConstantExpr(0, context));
  auto add = [&](bool reduced) {
    for (int64_t i : layoutOf(b.getTensor())) {
      AffineExpr index = b.getMap().getResult(i);
      auto dim = dyn_cast<AffineDimExpr>(index);
      if (!dim) {
        places[i] = index;
      } else if (dim != column && (dim.getPosition() >= nest.getParallel()) == reduced) {
        places[i] = getAffineDimExpr(sizes.size(), context);
        sizes.push_back(nest.size(dim.getPosition()));
        at.push_back(dim);
      }
    }
  };
  add(false);
  AffineExpr panel = getAffineDimExpr(sizes.size(), context);
  sizes.push_back(canonical((columns + (width - 1)).floorDiv(width)));
  at.push_back(column.floorDiv(width));
  add(true);
  AffineExpr lane = getAffineDimExpr(sizes.size(), context);
  sizes.push_back(getAffineConstantExpr(width, context));
  at.push_back(column % width);
  for (auto [i, index] : llvm::enumerate(b.getMap().getResults()))
    if (index == column)
      places[i] = panel * width + lane;

  OpBuilder builder(nest);
  Type element = cast<RankedTensorType>(b.getTensor().getType()).getElementType();
  NestOp packing = createNest(builder, b.getLoc(), tensorType(sizes, symbols, element), sizes, symbols, sizes.size());
  OpBuilder inner = OpBuilder::atBlockEnd(&packing.getBody().front());
  Value source = b.getTensor();
  if (copy) {
    source = copy.getTensor();
    SmallVector<AffineExpr> through;
    for (AffineExpr index : copy.getMap().getResults())
      through.push_back(canonical(index.replaceDims(places)));
    places = through;
  }
  IntegerSetAttr inside;
  Value otherwise;
  if (auto size = constantOf(columns); !size || *size % width) {
    AffineExpr left = columns - 1 - (panel * width + lane);
    inside = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, left, false));
    otherwise = arith::ConstantOp::create(inner, b.getLoc(), inner.getZeroAttr(b.getType()));
  }
  Value value = LoadOp::create(inner, b.getLoc(), b.getType(), source, ValueRange(), otherwise,
                               AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, context)), inside);
  YieldOp::create(inner, b.getLoc(), value);

  b.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), b.getMap().getNumSymbols(), at, context)));
  b.getTensorMutable().assign(packing.getResult(0));
  if (copy)
    if (auto unused = copy->getParentOfType<NestOp>(); unused.use_empty())
      unused.erase();
}
} // namespace

void cpu::packOperands(func::FuncOp func, const Target &target) {
  auto names = func->getAttrOfType<ArrayAttr>(attrs::symbols);
  SmallVector<NestOp> nests(func.getBody().front().getOps<NestOp>());
  for (NestOp nest : nests)
    if (nest.getContraction())
      pack(nest, target, names ? names.size() : 0);
}
