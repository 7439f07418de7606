#include "backends/cpu/PackOperands.h"
#include "backends/cpu/Bands.h"
#include "backends/cpu/ChooseBlock.h"
#include "backends/cpu/Contraction.h"
#include "backends/cpu/Tuning.h"
#include "backends/cpu/Winograd.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/InferenceEntries.h"
#include <numeric>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

LoadOp cpu::copiedBy(Value tensor) {
  auto nest = tensor.getDefiningOp<NestOp>();
  if (!nest || nest.reduces() || nest.getNumResults() != 1 || nest.getBody().front().getOperations().size() != 2)
    return {};
  auto load = dyn_cast<LoadOp>(nest.getBody().front().front());
  return load && !load.getInside() && load.getAt().empty() ? load : LoadOp();
}

bool cpu::isPlain(ArrayRef<AffineExpr> indices) {
  llvm::SmallDenseSet<AffineExpr> seen;
  return llvm::all_of(indices, [&](AffineExpr index) {
    return isa<AffineConstantExpr>(index) || (isa<AffineDimExpr>(index) && seen.insert(index).second);
  });
}

bool cpu::isSteady(LoadOp load) {
  LoadOp copy = copiedBy(load.getTensor());
  auto argument = dyn_cast<BlockArgument>(copy ? copy.getTensor() : load.getTensor());
  return argument && SteadyValues(load->getParentOfType<func::FuncOp>()).isSteadyTensor(argument);
}

Value cpu::behindCopy(LoadOp load, LoadOp copy, SmallVectorImpl<AffineExpr> &places) {
  if (!copy)
    return load.getTensor();
  SmallVector<AffineExpr> through;
  for (AffineExpr expr : copy.getMap().getResults())
    through.push_back(canonical(expr.replaceDims(places)));
  places = std::move(through);
  return copy.getTensor();
}

void cpu::eraseUnread(LoadOp copy) {
  if (copy)
    if (auto nest = copy->getParentOfType<NestOp>(); nest.use_empty())
      nest.erase();
}

namespace {
/// Below, an operand stays in the caches however its rows lie.
constexpr double leastElements = 16 * 1024;
/// Rows that must share a packed operand that is not packed anyway.
constexpr double leastRows = 16;
/// Rows from which on it does not matter that packing takes as long as some twelve of them.
constexpr double manyRows = 256;
/// Elements between two steps of the sum from which on rows are packed.
constexpr int64_t leastStride = 64;

/// A copy of what the load reads, in panels of `width` along dimension `dim` of the nest: [what all results share][panel]
/// [the rest, in the order in which it lies now][width]. Other indices stay as they are, windows too.
void packAlong(NestOp nest, LoadOp load, unsigned dim, int64_t width, unsigned symbols, bool columns) {
  MLIRContext *context = nest.getContext();
  LoadOp copy = copiedBy(load.getTensor());
  AffineExpr packed = getAffineDimExpr(dim, context);
  SmallVector<AffineExpr> extents = sizesOf(load.getTensor().getType()), sizes, at, places(extents.size());
  unsigned index = 0;
  auto add = [&](bool shared) {
    for (int64_t i : layoutOf(load.getTensor())) {
      AffineExpr expr = load.getMap().getResult(i);
      auto plain = dyn_cast<AffineDimExpr>(expr);
      bool isShared = plain && plain.getPosition() < nest.getParallel();
      if (isa<AffineConstantExpr>(expr))
        places[i] = expr; // the others are not read
      else if (expr == packed)
        index = i;
      else if (isShared == shared)
        places[i] = getAffineDimExpr(sizes.size(), context), sizes.push_back(extents[i]), at.push_back(expr);
    }
  };
  auto addPacked = [&](AffineExpr size, AffineExpr expr) {
    sizes.push_back(size);
    at.push_back(expr);
    return getAffineDimExpr(sizes.size() - 1, context);
  };
  add(true);
  AffineExpr panel = addPacked(canonical((nest.size(dim) + (width - 1)).floorDiv(width)), packed.floorDiv(width));
  add(false);
  AffineExpr lane = addPacked(getAffineConstantExpr(width, context), packed % width);
  places[index] = panel * width + lane;

  // Panels hold what the sum is kept in: 16-bit floats are widened once, here. Weights stay as narrow as they are kept: their
  // panels are made once, and read from memory by every call.
  OpBuilder builder(nest);
  Type element = nest.getBody().front().getTerminator()->getOperand(0).getType();
  if (columns && isSteady(load))
    element = load.getType();
  NestOp packing = createNest(builder, load.getLoc(), tensorType(sizes, symbols, element), sizes, symbols, sizes.size());
  if (Attribute key = nest->getAttr(blockKeyAttr))
    packing->setAttr(blockKeyAttr, key);
  OpBuilder inner = OpBuilder::atBlockEnd(&packing.getBody().front());
  Value source = behindCopy(load, copy, places);
  IntegerSetAttr inside;
  Value otherwise;
  if (auto size = constantOf(nest.size(dim)); !size || *size % width) {
    AffineExpr left = nest.size(dim) - 1 - (panel * width + lane);
    inside = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, left, false));
    otherwise = arith::ConstantOp::create(inner, load.getLoc(), inner.getZeroAttr(load.getType()));
  }
  Value value = LoadOp::create(inner, load.getLoc(), load.getType(), source, ValueRange(), otherwise,
                               AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, context)), inside);
  if (value.getType() != element)
    value = isa<IntegerType>(element) ? isUnsigned(load) ? arith::ExtUIOp::create(inner, load.getLoc(), element, value).getResult()
                                                         : arith::ExtSIOp::create(inner, load.getLoc(), element, value).getResult()
            : isa<IntegerType>(value.getType()) ? arith::SIToFPOp::create(inner, load.getLoc(), element, value).getResult()
                                              : arith::ExtFOp::create(inner, load.getLoc(), element, value).getResult();
  YieldOp::create(inner, load.getLoc(), value);

  if (load.getType() != element) {
    Operation *wide = *load->user_begin();
    load.getResult().setType(element);
    wide->getResult(0).replaceAllUsesWith(load.getResult());
    wide->erase();
  }
  load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), load.getMap().getNumSymbols(), at, context)));
  load.getTensorMutable().assign(packing.getResult(0));
  eraseUnread(copy);
}

/// Whether exactly one index of the load is the dimension, and no other moves with it.
bool standsAlone(LoadOp load, unsigned dim) {
  unsigned plain = 0, any = 0;
  for (AffineExpr index : load.getMap().getResults()) {
    plain += index == getAffineDimExpr(dim, load.getContext());
    any += index.isFunctionOfDim(dim);
  }
  return plain == 1 && any == 1;
}

/// Elements that the load reads and how often each is read again.
std::pair<double, double> elementsAndReuse(NestOp nest, LoadOp load) {
  double elements = 1, reuse = 1;
  for (unsigned d = 0; d < nest.dims(); ++d)
    (load.getMap().isFunctionOfDim(d) ? elements : reuse) *= guess(nest.size(d));
  return {elements, reuse};
}

constexpr int64_t lineBytes = 64;
/// Whether lines that lie `bytes` apart fall on so few sets of a cache that they take more than `ways` of its eight.
bool crowdSets(int64_t bytes, int64_t lines, int64_t cacheBytes, int64_t ways) {
  int64_t way = cacheBytes / 8;
  int64_t sets = std::min(way / lineBytes, way / std::gcd(way, bytes));
  return int64_t(llvm::divideCeil(lines, sets)) > ways;
}

/// Whether the columns may stay where they lie: few rows share them, all of them stay in the second level cache, and the lines of
/// one panel, two a step as they need not begin with one, in the first. 77 x 300 for 100 rows on one thread of Zen 3: 48 us in
/// place of 47 and 5 of packing.
bool stayNear(NestOp nest, const cpu::Contraction &plan, const Target &target) {
  LoadOp b = plan.b;
  auto [elements, reuse] = elementsAndReuse(nest, b);
  int64_t each = b.getType().getIntOrFloatBitWidth() / 8, width = plan.width() * each;
  if (plan.reduced.size() != 1 || copiedBy(b.getTensor()) || isSteady(b) || reuse >= manyRows || elements * each > target.ownBytes / 4)
    return false;
  auto steps = constantOf(plan.reduced.front().size);
  auto step = coefficientOf(plan.s.exprs.find(b)->second[0], plan.reduced.front().dim);
  auto apart = step ? constantOf(*step) : std::nullopt;
  if (!steps || !apart || b.getType() != nest.getBody().front().getTerminator()->getOperand(0).getType())
    return false;
  int64_t lines = *steps * (width / lineBytes + (*apart * each % lineBytes ? 1 : 0));
  return lines * lineBytes <= target.nearBytes * 3 / 4 && !crowdSets(*apart * each, lines, target.nearBytes, 6);
}

/// Panels of an operand that is read through an index of several dimensions, such as the phase and the step of a window, where each
/// of its elements is read for few of them: [parallel dimensions][panel][those of the sum][width], the sum as it goes through the rows.
void packByDims(NestOp nest, LoadOp load, unsigned column, int64_t width, AffineExpr rows, unsigned symbols) {
  AffineMap map = load.getMap();
  auto [elements, reuse] = elementsAndReuse(nest, load);
  auto kept = constantOf(elementCount(load.getTensor().getType()));
  if (!standsAlone(load, column) || !kept || elements > 2.0 * double(*kept) || elements < leastElements || (!isSteady(load) && reuse < leastRows))
    return;
  SmallVector<AffineExpr> sizes, at, dims(nest.dims(), getAffineConstantExpr(0, nest.getContext())), inside;
  auto add = [&](AffineExpr size, AffineExpr index) {
    sizes.push_back(canonical(size)), at.push_back(index);
    return getAffineDimExpr(sizes.size() - 1, nest.getContext());
  };
  auto addAll = [&](unsigned from, unsigned to) {
    SmallVector<unsigned> order = llvm::to_vector(llvm::seq(from, to));
    llvm::sort(order, [&](unsigned x, unsigned y) { return std::pair(-stepOf(rows, x), x) < std::pair(-stepOf(rows, y), y); });
    for (unsigned d : order)
      if (d != column && map.isFunctionOfDim(d))
        dims[d] = add(nest.size(d), getAffineDimExpr(d, nest.getContext()));
  };
  AffineExpr own = getAffineDimExpr(column, nest.getContext()), count = nest.size(column);
  addAll(0, nest.getParallel());
  AffineExpr panel = add((count + (width - 1)).floorDiv(width), own.floorDiv(width));
  addAll(nest.getParallel(), nest.dims());
  dims[column] = panel * width + add(getAffineConstantExpr(width, nest.getContext()), own % width);
  if (auto known = constantOf(count); !known || *known % width)
    inside.push_back(count - 1 - dims[column]);
  packBy(nest, load, sizes, dims, inside, symbols);
  load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), map.getNumSymbols(), at, nest.getContext())));
}

void packColumns(NestOp nest, const Target &target, unsigned symbols) {
  auto plan = planContraction(nest, target);
  if (!plan || plan->packed || plan->vectorsOfA)
    return;
  LoadOp b = plan->b;
  if (isPassedOn(b.getTensor()))
    return;
  int64_t width = int64_t(plan->vectors) * target.lanes;
  if (auto size = constantOf(plan->vectorSize); size && *size <= width)
    return; // one panel
  if (!llvm::all_of(b.getMap().getResults(), [](AffineExpr index) { return isa<AffineDimExpr, AffineConstantExpr>(index); }))
    return packByDims(nest, b, plan->vectorDim, width, plan->s.exprs.find(plan->a)->second[0], symbols);
  if (stayNear(nest, *plan, target))
    return;
  auto [elements, reuse] = elementsAndReuse(nest, b);
  if (standsAlone(b, plan->vectorDim) && elements >= leastElements && (copiedBy(b.getTensor()) || reuse >= leastRows))
    packAlong(nest, b, plan->vectorDim, width, symbols, true);
}

/// Rows of the other operand, when the sum walks through it in long strides: gradients to weights. Also where rows lie
/// a multiple of a page apart and crowd each other out.
void packRows(NestOp nest, const Target &target, unsigned symbols) {
  auto plan = planContraction(nest, target);
  if (!plan || plan->packedRows || plan->vectorsOfA || plan->rows.size() != 1 || plan->reduced.empty() || plan->tile < 4)
    return;
  LoadOp a = plan->a;
  if (isPassedOn(a.getTensor()))
    return;
  unsigned dim = plan->rows.front().dim;
  if (plan->rows.front().size != nest.size(dim) || !standsAlone(a, dim))
    return;
  auto step = coefficientOf(plan->s.exprs.find(a)->second[0], plan->reduced.back().dim);
  auto stride = step ? constantOf(*step) : std::nullopt;
  auto [elements, reuse] = elementsAndReuse(nest, a);
  auto apart = coefficientOf(plan->s.exprs.find(a)->second[0], dim);
  auto between = apart ? constantOf(*apart) : std::nullopt;
  int64_t bytes = between ? *between * (a.getType().getIntOrFloatBitWidth() / 8) : 0;
  // Rows that take more ways of a set of the second level cache than the other operand can spare are fetched again for every
  // block. In the first level they fall in one set, which the second makes good in time. (Zen 4, one product of 1024^3: 1 %
  // faster with rows where they lie; of 2048^3: 9 % slower.)
  bool apartByPages = bytes && bytes % 4096 == 0 && crowdSets(bytes, int64_t(plan->tiles) * plan->tile, target.ownBytes, 3);
  if (stride && *stride < leastStride && !apartByPages && a.getType().getIntOrFloatBitWidth() >= 32)
    return; // narrower ones would be widened again for every block
  if (elements >= leastElements && reuse >= 2.0 * plan->vectors * target.lanes)
    packAlong(nest, a, dim, plan->tile, symbols, false), a->setAttr(rowPanels, UnitAttr::get(a.getContext()));
}
/// A copy of what the load reads with one axis outermost, the others in the order in which they lie.
void bringForward(NestOp nest, LoadOp load, unsigned axis, unsigned symbols) {
  MLIRContext *context = nest.getContext();
  SmallVector<AffineExpr> extents = sizesOf(load.getTensor().getType()), sizes, at, places(extents.size());
  SmallVector<int64_t> order = {int64_t(axis)};
  llvm::copy_if(layoutOf(load.getTensor()), std::back_inserter(order), [&](int64_t i) { return i != int64_t(axis); });
  for (int64_t i : order) {
    AffineExpr expr = load.getMap().getResult(i);
    if (isa<AffineConstantExpr>(expr)) {
      places[i] = expr;
      continue;
    }
    places[i] = getAffineDimExpr(sizes.size(), context);
    sizes.push_back(extents[i]), at.push_back(expr);
  }
  packAt(nest, load, sizes, places, {}, symbols);
  load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), load.getMap().getNumSymbols(), at, context)));
}

/// The picture of a gradient to the weights of a convolution: rows are channels and places of the window, the sum goes along
/// the picture, and where channels lie side by side each of its steps reads a line of memory for each place, of which the few
/// channels of a unit use little. With channels outermost all places of a channel share their lines.
void turnPicture(NestOp nest, const Target &target, unsigned symbols) {
  auto plan = planContraction(nest, target);
  if (!plan || plan->packedRows || plan->vectorsOfA || plan->rows.size() < 2 || plan->reduced.empty() || plan->tile < 4)
    return;
  LoadOp a = plan->a;
  if (isPassedOn(a.getTensor()))
    return;
  AffineExpr place = plan->s.exprs.find(a)->second[0];
  auto stepAlong = [&](unsigned dim) {
    auto step = coefficientOf(place, dim);
    return step ? constantOf(*step) : std::nullopt;
  };
  auto [elements, reuse] = elementsAndReuse(nest, a);
  if (stepAlong(plan->reduced.back().dim).value_or(leastStride) < leastStride || elements < leastElements ||
      reuse < 2.0 * plan->vectors * target.lanes)
    return;
  for (const Loop &row : ArrayRef(plan->rows).drop_back())
    for (auto [axis, index] : llvm::enumerate(a.getMap().getResults()))
      if (index == getAffineDimExpr(row.dim, nest.getContext()) && stepAlong(row.dim) == 1 && standsAlone(a, row.dim))
        return bringForward(nest, a, axis, symbols);
}
} // namespace

void cpu::transformOperands(func::FuncOp func, const Target &target) {
  unsigned symbols = symbolCount(func);
  for (NestOp nest : llvm::to_vector(func.getBody().front().getOps<NestOp>()))
    if (nest.getContraction() && !packWinograd(nest, target, symbols) && !packDeepWinograd(nest, target, symbols) && !(target.tiles && packTiles(nest, symbols)))
      packDots(nest, target, symbols);
}

void cpu::packOperands(func::FuncOp func, const Target &target) {
  unsigned symbols = symbolCount(func);
  for (NestOp nest : llvm::to_vector(func.getBody().front().getOps<NestOp>())) {
    if (!nest.getContraction() || nest->hasAttr(winogradAttr) || nest->hasAttr(onTilesAttr) || nest->hasAttr(onDotsAttr))
      continue;
    packColumns(nest, target, symbols);
    packRows(nest, target, symbols);
    turnPicture(nest, target, symbols);
  }
}
