// What a contraction does with its sums: the nest's epilogue, from registers or from memory.
#include "backends/cpu/ContractionCode.h"
#include "backends/cpu/ChooseBlock.h"
#include "backends/cpu/Epilogue.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

bool cpu::unrollsEpilogue(NestOp nest) {
  // A scale, a shift and a clamp from both sides are eight: with constants in two registers twelve accumulators stay in theirs.
  constexpr int longest = 8;
  int length = 0;
  for (Operation &op : nest.getFinish().front())
    if (!isa<arith::ConstantOp, YieldOp>(op))
      length += isa<math::ExpOp, math::LogOp, math::TanhOp, math::ErfOp, math::PowFOp, math::SinOp, math::CosOp, math::AtanOp>(op) ? longest + 1 : 1;
  return length <= longest;
}

bool ContractionEmitter::epilogueJoinsRows() {
  auto joins = [&](AffineExpr expr) {
    for (size_t i = 1; i < c.rows.size(); ++i) {
      auto x = coefficientOf(expr, c.rows[i - 1].dim), y = coefficientOf(expr, c.rows[i].dim);
      if (!x || !y || canonical(*x) != canonical(*y * c.rows[i].size))
        return false;
    }
    return true;
  };
  bool all = llvm::all_of(c.s.stores, joins);
  nest.getFinish().walk([&](Operation *op) {
    if (auto it = c.s.exprs.find(op); it != c.s.exprs.end())
      all &= llvm::all_of(it->second, joins);
  });
  return all;
}

SmallVector<Value> ContractionEmitter::dimsOf(Value row) {
  SmallVector<Value> dims = unit.dims;
  for (size_t i = c.rows.size(); i-- > 0;) {
    if (!joined && c.rows.size() > 1)
      dims[c.rows[i].dim] = e.load(b.getI64Type(), digitPlace(row, i), 8);
    else
      dims[c.rows[i].dim] = i + 1 == c.rows.size() ? e.add(firstRow, row) : e.constant(0);
  }
  return dims;
}

void ContractionEmitter::fetchForEpilogue(const Tile &tile) {
  SmallVector<std::pair<Slot, AffineExpr>> reads;
  nest.getFinish().walk([&](LoadOp load) {
    AffineExpr place = c.s.exprs.find(load)->second[0];
    auto step = load.getAt().empty() && !load.getInside() ? coefficientOf(place, c.vectorDim) : std::nullopt;
    if (step && constantOf(*step) == 1 &&
        llvm::any_of(c.rows, [&](const Loop &loop) { return place.isFunctionOfDim(loop.dim); }))
      reads.push_back({{Slot::Tensor, load.getTensor(), 0, {}}, place});
  });
  if (reads.empty())
    return;
  for (auto [i, place] : llvm::enumerate(c.s.stores))
    reads.push_back({{Slot::Result, {}, unsigned(i), {}}, place});
  Value tileRow = e.mul(tile.number, e.constant(c.tile));
  for (unsigned i = 0; i < tile.rows; ++i) {
    SmallVector<Value> dims = dimsOf(e.add(tileRow, e.constant(i)));
    dims[c.vectorDim] = tile.columns.begin;
    for (auto &[slot, place] : reads) {
      Type tensor = slot.kind == Slot::Tensor ? slot.tensor.getType() : nest.getResult(slot.result).getType();
      Value at = e.elementPointer(e.pointer(slot), e.mul(e.evaluate(place, dims), e.constant(elementBytes(tensor))),
                                  b.getI8Type());
      LLVM::Prefetch::create(b, at, /*rw=*/slot.kind == Slot::Result, /*hint=*/3, /*cache=*/1);
    }
  }
}

void ContractionEmitter::finish(const Tile &tile, const SmallVector<Value> &sums) {
  Value tileRow = e.mul(tile.number, e.constant(c.tile));
  unsigned vectors = tile.columns.vectors;
  auto inRegisters = [&] {
    for (unsigned i = 0; i < tile.rows; ++i) {
      SmallVector<Value> dims = dimsOf(e.add(tileRow, e.constant(i)));
      for (unsigned j = 0; j < vectors; ++j)
        store(dims, tile.columns, j, sums[i * vectors + j]);
    }
  };
  auto inMemory = [&] {
    Value memory = allocate(bytesOf(int64_t(c.tile) * c.vectors));
    for (auto [i, sum] : llvm::enumerate(sums))
      e.storeRaw(sum, accumulatorPlace(memory, e.constant(int64_t(i / vectors * c.vectors + i % vectors))), alignment());
    finishRows(tile, [&](Value index) { return loadVector(accumulatorPlace(memory, e.sub(index, tile.accumulator))); });
  };
  if (!unrollsEpilogue(nest))
    return inMemory();
  auto known = constantOf(c.rowCount());
  if (tile.rows == 1 || (known && *known % c.tile == 0))
    return inRegisters();
  choose(atMost(e.add(tileRow, e.constant(c.tile)), rowsLeft), inRegisters, inMemory);
}

void ContractionEmitter::finishRows(const Tile &tile, llvm::function_ref<Value(Value)> sumAt) {
  Value tileRow = e.mul(tile.number, e.constant(c.tile));
  auto known = constantOf(c.rowCount());
  Value count = e.constant(tile.rows);
  if (tile.rows > 1 && !(known && *known % c.tile == 0))
    count = e.minimum(e.sub(rowsLeft, tileRow), count);
  loopOrOnce(count, [&](Value row) {
    SmallVector<Value> dims = dimsOf(e.add(tileRow, row));
    Value accumulator = e.add(tile.accumulator, e.mul(row, e.constant(c.vectors)));
    for (unsigned j = 0; j < tile.columns.vectors; ++j)
      store(dims, tile.columns, j, sumAt(e.add(accumulator, e.constant(j))));
  });
}

bool ContractionEmitter::finishesDownColumns() {
  return !c.rows.empty() && !c.onTiles && joined && llvm::all_of(c.s.stores, [&](AffineExpr place) {
    return stepOf(place, c.rows.back().dim) == 1 && stepOf(place, c.vectorDim) != 1;
  });
}

void ContractionEmitter::finishDownColumns(llvm::function_ref<Value(Value)> sumAt) {
  int64_t most = int64_t(c.tile) * c.tiles, line = llvm::alignTo(most, lanes); // of one column
  unsigned size = element.getIntOrFloatBitWidth() / 8;
  Value turned = allocate(line * c.panels * c.width() * size);
  Value rows = allTiles ? e.constant(most) : e.minimum(rowsLeft, e.constant(most));
  auto place = [&](Value column, Value row) {
    return e.elementPointer(turned, e.add(e.mul(column, e.constant(line)), row), element);
  };
  loop(e.constant(0), panels, 1, [&](Value panel) {
    loop(e.constant(0), rows, lanes, [&](Value row) {
      for (unsigned j = 0; j < c.vectors; ++j) {
        SmallVector<Value> square;
        for (unsigned i = 0; i < lanes; ++i) {
          // Behind the last row stand sums that do not count.
          Value at = e.minimum(e.add(row, e.constant(i)), e.constant(most - 1));
          square.push_back(sumAt(e.add(e.mul(e.add(e.mul(panel, e.constant(most)), at), e.constant(c.vectors)), e.constant(j))));
        }
        Value first = e.add(e.mul(panel, e.constant(c.width())), e.constant(int64_t(j) * lanes));
        for (auto [i, column] : llvm::enumerate(turnSquare(b, square)))
          e.storeRaw(column, place(e.add(first, e.constant(i)), row), alignment());
      }
    });
  });
  Value begin = e.mul(firstPanel, e.constant(c.width()));
  Value columns = e.minimum(e.sub(e.evaluate(c.vectorSize), begin), e.mul(panels, e.constant(c.width())));
  Point point;
  point.vectorDim = c.rows.back().dim;
  auto finishAt = [&](Value column, Value row, Value mask) {
    point.dims = dimsOf(row), point.mask = mask;
    point.dims[c.vectorDim] = e.add(begin, column);
    SmallVector<Value> results = e.emitBlock(nest.getFinish().front(), point, loadVector(place(column, row)));
    for (auto [r, value] : llvm::enumerate(results))
      e.store(r, value, point);
  };
  Value whole = e.mul(arith::DivUIOp::create(b, rows, e.constant(lanes)), e.constant(lanes));
  loop(e.constant(0), columns, 1, [&](Value column) {
    loop(e.constant(0), whole, lanes, [&](Value row) { finishAt(column, row, {}); });
    if (allTiles && most % lanes == 0)
      return;
    auto rest = scf::IfOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::ult, whole, rows), /*withElse=*/false);
    b.setInsertionPointToStart(rest.thenBlock());
    finishAt(column, whole, e.maskBelow(e.sub(rows, whole)));
    b.setInsertionPointAfter(rest);
  });
}

void ContractionEmitter::finishUnit(llvm::function_ref<Value(Value)> sumAt) {
  if (finishesDownColumns())
    return finishDownColumns(sumAt);
  int64_t most = int64_t(c.tile) * c.tiles;
  loopOrOnce(allTiles ? e.constant(most) : e.minimum(rowsLeft, e.constant(most)), [&](Value row) {
    SmallVector<Value> dims = dimsOf(row);
    loopOrOnce(panels, [&](Value panel) {
      Value accumulator = e.mul(e.add(e.mul(panel, e.constant(most)), row), e.constant(c.vectors));
      byColumns(e.mul(e.add(firstPanel, panel), e.constant(c.width())), [&](const Columns &columns) {
        for (unsigned j = 0; j < columns.vectors; ++j)
          store(dims, columns, j, sumAt(e.add(accumulator, e.constant(j))));
      });
    });
  });
}
