// Chooses the products that run on the tile registers of AMX and packs their operands (Panels.h).
//
// sum(k: x[rows, k] * y[k, column]): rows and the sum may each be several dimensions of the nest, run through as one, and
// what the rows read may be windows. Other contractions of bf16 are widened to f32 as they are packed (PackOperands.cpp). On
// machines without AMX, products of pairs in vectors stand in (PackDots.cpp); on those that have it they run at the speed of
// f32.
#include "backends/cpu/Contraction.h"
#include "backends/cpu/PackOperands.h"
#include "backends/cpu/PadInPlace.h"
#include "backends/cpu/Panels.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/InferenceEntries.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Products below which packing and the configuration of the tiles cost more than they save.
constexpr double leastProducts = 256 * 1024;
/// Products a cycle of one core, as measured: with one piece, with f32 in vectors and in three pieces; and numbers packed.
constexpr double tilesSpeed = 400, vectorsSpeed = 27, packSpeed = 2.5;
constexpr int64_t width = Panels::width, lanes = Panels::lines;

struct Operand {
  LoadOp load;
  SmallVector<AffineExpr> indices; // in what is read in the end, copies seen through
  AffineExpr place;                // there, in elements
  bool throughCopy = true;
  bool joins = true;         // dimensions that memory moves through as through one
  SmallVector<unsigned> own; // dimensions of the nest, outermost first
  Panels panels;
  bool inVectors = true;     // packed by whole vectors
  bool whole = false;        // the panel holds numbers, not pieces
};

class Tiling {
public:
  Tiling(NestOp nest, unsigned symbols) : nest(nest), symbols(symbols) {}

  bool run() {
    if (!findProduct() || !pays())
      return false;
    columns.whole = columns.panels.pieces > 1 && isSteady(columns.load) && weightsComeFromMemory();
    for (Operand *operand : {&rows, &columns})
      pack(*operand);
    nest->setAttr(onTilesAttr, DenseI64ArrayAttr::get(nest.getContext(), {columnsNumber, rows.panels.pieces, columns.panels.pieces,
                                                                        columns.whole}));
    return true;
  }

private:
  AffineExpr dim(unsigned d) { return getAffineDimExpr(d, nest.getContext()); }
  AffineExpr number(int64_t value) { return getAffineConstantExpr(value, nest.getContext()); }

  static unsigned piecesOf(Type type) { return type.isF32() ? 3 : type.isBF16() || type.isInteger(8) ? 1 : 0; }

  bool findProduct() {
    Block &body = nest.getBody().front();
    SmallVector<LoadOp> loads(body.getOps<LoadOp>());
    if (nest.getKinds().size() != 1 || loads.size() != 2 || !body.getTerminator()->getOperand(0).getType().isF32())
      return false;
    for (LoadOp load : loads)
      if (load.getInside() || !load.getAt().empty() || !piecesOf(load.getType()))
        return false;
    s = prepare(nest);
    for (unsigned which : {1u, 0u}) {
      columnsNumber = which;
      for (bool rowsThrough : {true, false})
        for (bool columnsThrough : {true, false}) {
          rows = operand(loads[1 - which], rowsThrough), columns = operand(loads[which], columnsThrough);
          columns.panels.columns = true, sum.clear();
          if (sharesOut() && columns.own.size() == 1 && !rows.own.empty() && isPlain(columns.indices) &&
              strideOf(s.stores[0], columns.own.front()) == 1 && orderSum() && fits(rows) && fits(columns))
            return true;
        }
    }
    return false;
  }

  /// Whether zeros may come to lie around the tensor (PadInPlace.h): its strides change.
  static bool mayGetMargins(Value tensor) {
    return llvm::any_of(tensor.getUsers(), [](Operation *user) {
      auto reader = dyn_cast<LoadOp>(user);
      auto copy = reader ? reader->getParentOfType<NestOp>() : NestOp();
      return copy && copy.getNumResults() == 1 && paddedBy(copy.getResult(0)) == reader;
    });
  }
  /// With what it reads, seen through a copy that made it or as it lies.
  Operand operand(LoadOp load, bool throughCopy) {
    Operand result;
    result.load = load, result.throughCopy = throughCopy;
    result.indices.assign(load.getMap().getResults().begin(), load.getMap().getResults().end());
    Value source = load.getTensor();
    if (throughCopy)
      source = behindCopy(load, copiedBy(source), result.indices);
    result.joins = !mayGetMargins(source);
    result.place = number(0);
    for (auto [index, stride] : llvm::zip(result.indices, stridesOf(source)))
      result.place = result.place + index * stride;
    result.place = canonical(result.place);
    result.panels.pieces = piecesOf(load.getType());
    return result;
  }

  /// Each parallel dimension is of one operand; the rows' in the order of the result in memory.
  bool sharesOut() {
    for (int64_t d : nest.layout(0)) {
      bool inColumns = columns.place.isFunctionOfDim(d), inRows = rows.place.isFunctionOfDim(d);
      if (constantOf(nest.size(d)) == 1)
        continue;
      if (inColumns == inRows)
        return false;
      (inColumns ? columns : rows).own.push_back(d);
    }
    return true;
  }
  std::optional<int64_t> strideOf(AffineExpr place, unsigned d) {
    auto step = coefficientOf(place, d);
    return step ? constantOf(*step) : std::nullopt;
  }

  /// The sum's dimensions, that along which an operand lies innermost.
  bool orderSum() {
    for (unsigned d = nest.getParallel(); d < nest.dims(); ++d)
      if (constantOf(nest.size(d)) != 1) {
        if (!columns.place.isFunctionOfDim(d) || !rows.place.isFunctionOfDim(d))
          return false;
        sum.push_back(d);
      }
    if (sum.empty())
      return false;
    auto inner = llvm::find_if(sum, [&](unsigned d) { return strideOf(rows.place, d) == 1; });
    if (inner == sum.end())
      inner = llvm::find_if(sum, [&](unsigned d) { return strideOf(columns.place, d) == 1; });
    if (inner != sum.end())
      std::rotate(inner, inner + 1, sum.end());
    return true;
  }

  /// Whether the operand's memory moves through both dimensions as through one.
  bool joins(const Operand &operand, unsigned outer, unsigned inner) {
    if (!operand.joins)
      return false;
    auto x = coefficientOf(operand.place, outer), y = coefficientOf(operand.place, inner);
    return x && y && canonical(*x) == canonical(*y * nest.size(inner));
  }
  /// Dimensions that are run through as one: an index among all is divided by the sizes of those that do not join.
  bool isClosed(const Operand &operand, ArrayRef<unsigned> dims) {
    for (size_t i = 1; i < dims.size(); ++i)
      if (!joins(operand, dims[i - 1], dims[i]) && !constantOf(nest.size(dims[i])))
        return false;
    return true;
  }
  AffineExpr sizeOf(ArrayRef<unsigned> dims) {
    AffineExpr size = number(1);
    for (unsigned d : dims)
      size = size * nest.size(d);
    return canonical(size);
  }

  /// Whether vectors can be read along the operand's memory. What is packed once may be read otherwise.
  bool fits(Operand &operand) {
    if (!isClosed(operand, sum) || !isClosed(operand, operand.own))
      return false;
    auto runs = [&](ArrayRef<unsigned> dims) {
      if (strideOf(operand.place, dims.back()) != 1)
        return false;
      for (size_t i = dims.size() - 1; i > 0; --i) { // vectors may run on where dimensions join
        if (auto size = constantOf(nest.size(dims[i])); size && *size % lanes == 0)
          return true;
        if (!joins(operand, dims[i - 1], dims[i]))
          return false;
      }
      return true;
    };
    operand.panels.alongSum = runs(sum);
    operand.inVectors = operand.panels.alongSum || runs(operand.own);
    return operand.inVectors || (!operand.throughCopy && isSteady(operand.load));
  }

  /// Counted in cycles. An open size may be 1; two of them, as inputs and their lengths, are many rows, but where sequences
  /// go on from what a cache holds, a row each.
  bool pays() {
    auto padded = [](int64_t size) { return double(llvm::alignTo(size, width)); };
    AffineExpr rowCount = sizeOf(rows.own), columnCount = sizeOf(columns.own), length = sizeOf(sum);
    bool narrow = rows.panels.pieces == 1 && columns.panels.pieces == 1;
    auto size = [&](AffineExpr expr) {
      SmallVector<AffineExpr> ones(nest.symbols(), number(1));
      return narrow || (isManyOpen(expr) && !goesOn()) ? guess(expr)
                                                        : constantOf(canonical(expr.replaceSymbols(ones))).value_or(1);
    };
    double m = size(rowCount), n = size(columnCount), k = size(length);
    if (m < lanes || n < lanes || k < width || m * n * k < leastProducts)
      return false;
    if (narrow)
      return true;
    int64_t products = Panels::productsOf(rows.panels.pieces, columns.panels.pieces);
    double onTiles = padded(m) * padded(n) * padded(k) * double(products) / tilesSpeed +
                     (padded(m) + padded(n)) * padded(k) / packSpeed;
    return onTiles < 0.75 * m * n * k / vectorsSpeed;
  }
  /// Whether the function's weights are too many for the caches of a core.
  bool weightsComeFromMemory() {
    auto func = nest->getParentOfType<func::FuncOp>();
    SteadyValues steady(func);
    double bytes = 0;
    for (BlockArgument argument : func.getArguments())
      if (steady.isSteadyTensor(argument))
        if (auto count = constantOf(elementCount(argument.getType())))
          bytes += double(*count) * double(elementBytes(argument.getType()));
    return bytes > double(4 << 20);
  }
  bool isManyOpen(AffineExpr size) {
    unsigned open = 0;
    for (unsigned i = 0; i < nest.symbols(); ++i)
      open += size.isFunctionOfSymbol(i);
    return open > 1;
  }
  bool goesOn() {
    bool cached = false;
    nest->getParentOfType<func::FuncOp>().walk([&](AttendOp attend) { cached |= attend.getCached(); });
    return cached;
  }

  /// Says where in `dims` of the nest the number `index` of all of `own` stands. Of dimensions that join the inner one counts
  /// on, past its size, and the outer one stays 0: that is the same place in memory.
  void spread(const Operand &operand, SmallVectorImpl<AffineExpr> &dims, ArrayRef<unsigned> own, AffineExpr index) {
    for (size_t i = own.size(); i-- > 0;) {
      unsigned inner = own[i];
      dims[inner] = index;
      AffineExpr size = nest.size(own[i]);
      for (; i > 0 && joins(operand, own[i - 1], own[i]); --i) {
        dims[own[i - 1]] = number(0);
        size = size * nest.size(own[i - 1]);
      }
      if (i == 0)
        break;
      dims[inner] = index % canonical(size);
      index = index.floorDiv(canonical(size));
    }
  }
  AffineExpr joined(ArrayRef<unsigned> own) {
    AffineExpr index = number(0);
    for (unsigned d : own)
      index = index * nest.size(d) + dim(d);
    return index;
  }

  void pack(Operand &operand) {
    AffineExpr count = sizeOf(operand.own), length = sizeOf(sum);
    auto panels = [&](AffineExpr size) { return canonical((size + (width - 1)).floorDiv(width)); };
    SmallVector<AffineExpr> sizes{panels(count), panels(length), number(operand.panels.pieces)}, at;
    AffineExpr place, step, own = joined(operand.own), k = joined(sum);
    at = {own.floorDiv(width), k.floorDiv(width), number(0)};
    if (operand.whole) {
      int64_t together = Panels::stepsTogether * width;
      sizes = {canonical((length + (together - 1)).floorDiv(together)), sizes[0], number(together), number(width)};
      place = dim(1) * width + dim(3), step = dim(0) * together + dim(2);
      at = {k.floorDiv(together), own.floorDiv(width), k % together, own % width};
    } else if (operand.panels.columns) {
      sizes.append({number(2), number(16), number(16), number(2)});
      place = dim(0) * width + dim(3) * 16 + dim(5), step = dim(1) * width + dim(4) * 2 + dim(6);
      at.append({(own % width).floorDiv(16), (k % width).floorDiv(2), own % 16, k % 2});
    } else {
      sizes.append({number(width), number(width)});
      place = dim(0) * width + dim(3), step = dim(1) * width + dim(4);
      at.append({own % width, k % width});
    }
    SmallVector<AffineExpr> dims(nest.dims(), number(0)), inside;
    spread(operand, dims, operand.own, place), spread(operand, dims, sum, step);
    for (auto [size, index] : {std::pair(count, place), std::pair(length, step)})
      if (auto known = constantOf(size); !known || *known % (operand.whole ? Panels::stepsTogether * width : width))
        inside.push_back(size - 1 - index);
    MLIRContext *context = nest.getContext();
    if (operand.whole) {
      packBy(nest, operand.load, sizes, dims, inside, symbols, {}, {}, operand.throughCopy);
      operand.load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, context)));
      return;
    }
    Type narrow = BFloat16Type::get(context);
    auto convert = [&](OpBuilder &builder, Value value) { return pieceOf(builder, value, operand.panels.pieces, sizes.size()); };
    Value packed = packBy(nest, operand.load, sizes, dims, inside, symbols, narrow, convert, operand.throughCopy);
    if (operand.inVectors)
      operand.panels.setOn(cast<NestOp>(packed.getDefiningOp()));
    operand.load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, context)));
    widen(operand.load, narrow);
  }

  /// The piece by the number in dimension 2 of the panel; what is left of the number after those before it.
  Value pieceOf(OpBuilder &builder, Value value, unsigned pieces, unsigned dims) {
    Location loc = value.getLoc();
    Type f32 = builder.getF32Type(), i32 = builder.getI32Type(), narrow = builder.getBF16Type();
    if (value.getType() == narrow)
      return value;
    if (isa<IntegerType>(value.getType()))
      value = arith::SIToFPOp::create(builder, loc, f32, value);
    Value chosen = value;
    if (pieces > 1) {
      Value mask = arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(int32_t(0xFFFF0000)));
      Value number = IndexOp::create(builder, loc, builder.getI64Type(),
                                     AffineMap::get(dims, symbols, dim(2)));
      for (unsigned i = 0; i < pieces; ++i) {
        Value bits = arith::BitcastOp::create(builder, loc, i32, value);
        Value piece = arith::BitcastOp::create(builder, loc, f32, arith::AndIOp::create(builder, loc, bits, mask).getResult());
        Value index = arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(i));
        Value is = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, number, index);
        chosen = i ? arith::SelectOp::create(builder, loc, is, piece, chosen).getResult() : piece;
        if (i + 1 < pieces)
          value = arith::SubFOp::create(builder, loc, value, piece);
      }
    }
    return arith::TruncFOp::create(builder, loc, narrow, chosen);
  }

  /// The load gives bf16 from now on, which the body widens.
  void widen(LoadOp load, Type narrow) {
    Type f32 = Float32Type::get(nest.getContext());
    if (load.getType() == narrow)
      return;
    Value wide = load.getResult();
    Operation *wider = nullptr;
    if (!load.getType().isF32())
      wider = *load->user_begin(), wide = wider->getResult(0);
    OpBuilder builder(nest.getContext());
    builder.setInsertionPointAfter(wider ? wider : load.getOperation());
    load.getResult().setType(narrow);
    auto extended = arith::ExtFOp::create(builder, load.getLoc(), f32, load.getResult());
    wide.replaceAllUsesExcept(extended.getResult(), extended);
    if (wider)
      wider->erase();
  }

  NestOp nest;
  unsigned symbols;
  Schedule s;
  Operand rows, columns;
  int64_t columnsNumber = 0;
  SmallVector<unsigned> sum;
};
} // namespace

Value cpu::packBy(NestOp nest, LoadOp load, ArrayRef<AffineExpr> sizes, ArrayRef<AffineExpr> dims, ArrayRef<AffineExpr> inside,
                  unsigned symbols, Type element, llvm::function_ref<Value(OpBuilder &, Value)> convert, bool throughCopy) {
  SmallVector<AffineExpr> places;
  for (AffineExpr index : load.getMap().getResults())
    places.push_back(index.replaceDims(dims));
  return packAt(nest, load, sizes, std::move(places), inside, symbols, element, convert, throughCopy);
}

Value cpu::packAt(NestOp nest, LoadOp load, ArrayRef<AffineExpr> sizes, SmallVector<AffineExpr> places, ArrayRef<AffineExpr> inside,
                  unsigned symbols, Type element, llvm::function_ref<Value(OpBuilder &, Value)> convert, bool throughCopy) {
  OpBuilder builder(nest);
  Type type = load.getType();
  NestOp packing = createNest(builder, load.getLoc(), tensorType(sizes, symbols, element ? element : type), sizes, symbols,
                              sizes.size());
  OpBuilder inner = OpBuilder::atBlockEnd(&packing.getBody().front());
  LoadOp copy = throughCopy ? copiedBy(load.getTensor()) : LoadOp();
  Value source = behindCopy(load, copy, places);
  IntegerSetAttr guard;
  Value zero;
  if (!inside.empty()) {
    SmallVector<bool> equal(inside.size(), false);
    guard = IntegerSetAttr::get(IntegerSet::get(sizes.size(), symbols, inside, equal));
    zero = arith::ConstantOp::create(inner, load.getLoc(), inner.getZeroAttr(type));
  }
  auto map = AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, nest.getContext()));
  Value value = LoadOp::create(inner, load.getLoc(), type, source, ValueRange(), zero, map, guard);
  YieldOp::create(inner, load.getLoc(), convert ? convert(inner, value) : value);
  load.getTensorMutable().assign(packing.getResult(0));
  eraseUnread(copy);
  return packing.getResult(0);
}

bool cpu::packTiles(NestOp nest, unsigned symbols) { return Tiling(nest, symbols).run(); }
