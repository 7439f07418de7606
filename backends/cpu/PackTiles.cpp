// Panels for the tile registers of AMX.
//
// A product of bf16 in f32 is 16 times as fast there as in vectors (one core: 3 TFLOP/s), if a register is filled by 16
// reads of one line each. So both operands are packed: the rows as [row / 32][sum / 32][32][32], two tiles a step of the
// sum, the columns as [column / 32][sum / 32][2][16 pairs of the sum][16][2], for the instruction adds products of pairs.
// Panels end in zeros; no block has an edge but where it is written. Other contractions of bf16 are widened to f32 as they
// are packed (PackOperands.cpp). On machines without AMX, products of pairs in vectors
// stand in (PackDots.cpp); on those that have it they run at the speed of f32.
#include "backends/cpu/Contraction.h"
#include "backends/cpu/PackOperands.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Products below which packing and the configuration of the tiles cost more than they save, and the least rows and columns.
constexpr double leastProducts = 256 * 1024;
constexpr int64_t leastRows = 16, leastColumns = 16;

struct Product {
  LoadOp rowsOf, columnsOf;
  SmallVector<unsigned> rows; // dimensions of the nest, outermost first
  unsigned column = 0, sum = 0;
  unsigned columnsNumber = 0; // which of the nest's loads
};

/// sum(k: x[rows..., k] * y[k, column]) over bf16, whatever the order of indices.
std::optional<Product> productOf(NestOp nest) {
  Block &body = nest.getBody().front();
  SmallVector<LoadOp> loads(body.getOps<LoadOp>());
  if (nest.getKinds().size() != 1 || nest.dims() != nest.getParallel() + 1 || loads.size() != 2 ||
      !body.getTerminator()->getOperand(0).getType().isF32())
    return {};
  Product product;
  product.sum = nest.getParallel();
  for (LoadOp load : loads) {
    if (load.getInside() || !load.getAt().empty() || !load.getType().isBF16() ||
        !load.getMap().isFunctionOfDim(product.sum))
      return {};
    llvm::SmallDenseSet<AffineExpr> seen;
    for (AffineExpr index : load.getMap().getResults())
      if (!isa<AffineConstantExpr>(index) && (!isa<AffineDimExpr>(index) || !seen.insert(index).second))
        return {};
  }
  Schedule s = prepare(nest);
  for (unsigned number : {1u, 0u}) {
    LoadOp columns = loads[number], rows = loads[1 - number];
    SmallVector<unsigned> own, others;
    for (unsigned d = 0; d < nest.getParallel(); ++d) {
      bool inColumns = columns.getMap().isFunctionOfDim(d), inRows = rows.getMap().isFunctionOfDim(d);
      if (inColumns == inRows && constantOf(nest.size(d)) != 1)
        return {};
      if (inColumns != inRows)
        (inColumns ? own : others).push_back(d);
    }
    if (own.size() != 1 || others.empty())
      continue;
    auto step = coefficientOf(s.stores[0], own.front());
    if (!step || constantOf(*step) != 1)
      continue;
    product.columnsOf = columns, product.rowsOf = rows, product.rows = others, product.column = own.front();
    product.columnsNumber = number;
    return product;
  }
  return {};
}

} // namespace

Value cpu::packBy(NestOp nest, LoadOp load, ArrayRef<AffineExpr> sizes, ArrayRef<AffineExpr> dims,
                  ArrayRef<AffineExpr> inside, unsigned symbols) {
  OpBuilder builder(nest);
  Type element = load.getType();
  NestOp packing = createNest(builder, load.getLoc(), tensorType(sizes, symbols, element), sizes, symbols, sizes.size());
  OpBuilder inner = OpBuilder::atBlockEnd(&packing.getBody().front());
  SmallVector<AffineExpr> places;
  for (AffineExpr index : load.getMap().getResults())
    places.push_back(index.replaceDims(dims));
  LoadOp copy = copiedBy(load.getTensor());
  Value source = behindCopy(load, copy, places);
  IntegerSetAttr guard;
  Value zero;
  if (!inside.empty()) {
    SmallVector<bool> equal(inside.size(), false);
    guard = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, inside, equal));
    zero = arith::ConstantOp::create(inner, load.getLoc(), inner.getZeroAttr(element));
  }
  auto map = AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, nest.getContext()));
  Value value = LoadOp::create(inner, load.getLoc(), element, source, ValueRange(), zero, map, guard);
  YieldOp::create(inner, load.getLoc(), value);
  load.getTensorMutable().assign(packing.getResult(0));
  eraseUnread(copy);
  return packing.getResult(0);
}

bool cpu::packTiles(NestOp nest, unsigned symbols) {
  auto product = productOf(nest);
  if (!product)
    return false;
  MLIRContext *context = nest.getContext();
  auto d = [&](unsigned i) { return getAffineDimExpr(i, context); };
  auto number = [&](int64_t value) { return getAffineConstantExpr(value, context); };
  AffineExpr rowCount = number(1), row = number(0);
  for (unsigned dim : product->rows) {
    if (dim != product->rows.front() && !constantOf(nest.size(dim)))
      return false; // places would be divided by an open size
    rowCount = canonical(rowCount * nest.size(dim));
    row = row * nest.size(dim) + d(dim);
  }
  AffineExpr columnCount = nest.size(product->column), sum = nest.size(product->sum);
  if (guess(rowCount) < leastRows || guess(columnCount) < leastColumns || guess(sum) < 32 ||
      double(guess(rowCount)) * guess(columnCount) * guess(sum) < leastProducts)
    return false;
  auto ceil32 = [](AffineExpr size) { return canonical((size + 31).floorDiv(32)); };
  auto left = [&](SmallVector<AffineExpr> &inside, AffineExpr size, AffineExpr at) {
    if (auto known = constantOf(size); !known || *known % 32)
      inside.push_back(size - 1 - at);
  };

  // [row / 32][sum / 32][32][32]
  SmallVector<AffineExpr> dims(nest.dims(), number(0)), inside;
  AffineExpr place = d(0) * 32 + d(2), step = d(1) * 32 + d(3), rest = place;
  for (unsigned dim : llvm::reverse(product->rows)) {
    bool last = dim == product->rows.front();
    dims[dim] = last ? rest : rest % nest.size(dim);
    rest = rest.floorDiv(nest.size(dim));
  }
  dims[product->sum] = step;
  left(inside, rowCount, place), left(inside, sum, step);
  packBy(nest, product->rowsOf, {ceil32(rowCount), ceil32(sum), number(32), number(32)}, dims, inside, symbols);
  AffineExpr k = d(product->sum), column = d(product->column);
  product->rowsOf.setMapAttr(AffineMapAttr::get(AffineMap::get(
      nest.dims(), symbols, {row.floorDiv(32), k.floorDiv(32), row % 32, k % 32}, context)));

  // [column / 32][sum / 32][2][16][16][2]
  dims.assign(nest.dims(), number(0)), inside.clear();
  place = d(0) * 32 + d(2) * 16 + d(4), step = d(1) * 32 + d(3) * 2 + d(5);
  dims[product->column] = place, dims[product->sum] = step;
  left(inside, columnCount, place), left(inside, sum, step);
  packBy(nest, product->columnsOf, {ceil32(columnCount), ceil32(sum), number(2), number(16), number(16), number(2)}, dims,
       inside, symbols);
  product->columnsOf.setMapAttr(AffineMapAttr::get(
      AffineMap::get(nest.dims(), symbols,
                     {column.floorDiv(32), k.floorDiv(32), (column % 32).floorDiv(16), (k % 32).floorDiv(2), column % 16,
                      k % 2},
                     context)));
  nest->setAttr(onTilesAttr, IntegerAttr::get(IntegerType::get(context, 64), product->columnsNumber));
  return true;
}
