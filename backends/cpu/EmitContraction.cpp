// Contractions whose first operand is broadcast: products of matrices, convolutions, and the gradients of both.
#include "backends/cpu/ContractionCode.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Rows of a block from which on it asks for the next panel while it sums.
constexpr unsigned leastRowsToFetch = 4;
} // namespace

SmallVector<Launch> ContractionEmitter::run(const std::string &name) {
  if (c.onTiles && c.splits == 1) {
    forUnits(name, 1, [&](Unit unit) {
      enter(unit, /*reads=*/false);
      passOnTiles();
    });
    return {{name, c.units, c.cost}};
  }
  if (c.splits == 1) {
    forUnits(name, 1, [&](Unit unit) {
      enter(unit);
      if (!c.chunk && !finishesDownColumns())
        return forBlocks([&](Tile tile) {
          fetchForEpilogue(tile);
          finish(tile, accumulate(tile, zeros(tile.rows, tile.columns.vectors)));
        });
      auto inChunks = [&] {
        Value memory = allocate(bytesOf(c.accumulators()));
        passOver(memory);
        finishUnit([&](Value index) { return loadVector(accumulatorPlace(memory, index)); });
      };
      if (!maybeOneRow())
        return inChunks();
      choose(isOneRow(), [&] { alongOneRow(); }, inChunks);
    });
    return {{name, c.units, c.cost}};
  }
  std::string parts = name + "_parts";
  forUnits(parts, c.splits, [&](Unit unit) {
    enter(unit, /*reads=*/!c.onTiles);
    Value memory = partsOf(c, unit.number, unit.split);
    c.onTiles ? passOnTiles(memory) : passOver(memory);
  });
  forUnits(name, 1, [&](Unit unit) {
    enter(unit, /*reads=*/false);
    finishUnit([&](Value index) {
      return sumOfParts(c, unit.number, index);
    });
  });
  return {{parts, c.units * int64_t(c.splits), c.cost}, {name, c.units, c.units * (c.accumulators() * c.splits)}};
}

void ContractionEmitter::enter(const Unit &of, bool reads) {
  unit = of;
  auto [rowBlock, columnBlock] = blocksOf(unit);
  int64_t most = int64_t(c.tile) * c.tiles;
  firstRow = e.mul(rowBlock, e.constant(most));
  auto known = constantOf(c.rowCount());
  rowsLeft = e.sub(e.evaluate(c.rowCount()), firstRow); // in this unit and behind it
  allTiles = known && *known % most == 0;
  tiles = allTiles ? e.constant(c.tiles)
                   : e.minimum(Value(arith::CeilDivUIOp::create(b, rowsLeft, e.constant(c.tile))), e.constant(c.tiles));
  firstPanel = e.mul(columnBlock, e.constant(c.panels));
  AffineExpr panelCount = (c.vectorSize + (c.width() - 1)).floorDiv(c.width());
  auto knownPanels = constantOf(canonical(panelCount));
  panels = knownPanels && *knownPanels % c.panels == 0
               ? e.constant(c.panels)
               : e.minimum(e.sub(e.evaluate(panelCount), firstPanel), e.constant(c.panels));
  bool places = reads && !c.packedRows;
  joined = epilogueJoinsRows();
  if (places || (!joined && c.rows.size() > 1))
    tabulateRows(places);
}

void ContractionEmitter::tabulateRows(bool places) {
  int64_t most = int64_t(c.tile) * c.tiles;
  Value count = allTiles ? e.constant(most) : e.mul(tiles, e.constant(c.tile)), zero = e.constant(0);
  Value counting = allTiles ? count : e.minimum(count, rowsLeft);
  rowTable = places ? allocate(8 * most) : Value();
  digitTable = joined ? Value() : allocate(8 * most * int64_t(c.rows.size()));
  auto write = [&](Value row, ArrayRef<Value> digits, Value place) {
    if (!joined)
      for (auto [i, digit] : llvm::enumerate(digits))
        e.storeRaw(digit, digitPlace(row, i), 8);
    if (places)
      e.storeRaw(place, e.elementPointer(rowTable, row, b.getI64Type()), 8);
  };
  SmallVector<Value> steps; // in the first operand
  for (const Loop &loop : c.rows)
    steps.push_back(places ? e.evaluate(*coefficientOf(placeA, loop.dim)) : zero);
  // The rows of one line, from `row` on, the first with these digits.
  auto writeLine = [&](Value row, ArrayRef<Value> digits, Value length) {
    Value place = zero;
    for (auto [digit, step] : llvm::zip(digits, steps))
      place = e.add(place, e.mul(digit, step));
    loop(zero, length, 1, [&](Value i) {
      SmallVector<Value> at(digits);
      at.back() = e.add(at.back(), i);
      write(e.add(row, i), at, e.add(place, e.mul(i, steps.back())));
    });
  };
  if (c.rows.empty()) {
    counting = zero; // one row, that of the operand
  } else if (c.rows.size() == 1) {
    writeLine(zero, {firstRow}, counting);
  } else {
    SmallVector<Value> digits(c.rows.size());
    Value rest = firstRow;
    for (size_t i = c.rows.size(); i-- > 1;)
      digits[i] = e.digit(rest, c.rows[i].size);
    digits[0] = rest;
    Value width = e.evaluate(c.rows.back().size);
    Value lines = arith::CeilDivUIOp::create(b, e.add(digits.back(), counting), width);
    SmallVector<Value> start(digits);
    start.push_back(zero);
    auto over = scf::ForOp::create(b, zero, lines, e.constant(1), start);
    b.setInsertionPointToStart(over.getBody());
    SmallVector<Value> now(over.getRegionIterArgs().begin(), over.getRegionIterArgs().end());
    Value row = now.pop_back_val();
    Value length = e.minimum(e.sub(width, now.back()), e.sub(counting, row));
    writeLine(row, now, length);
    now.back() = zero;
    Value carry = e.constant(1);
    for (size_t i = c.rows.size() - 1; i-- > 0;) {
      now[i] = e.add(now[i], carry);
      if (i == 0)
        break;
      Value full = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, now[i], e.evaluate(c.rows[i].size));
      now[i] = arith::SelectOp::create(b, full, zero, now[i]);
      carry = arith::ExtUIOp::create(b, b.getI64Type(), full);
    }
    now.push_back(e.add(row, length));
    scf::YieldOp::create(b, now);
    b.setInsertionPointAfter(over);
  }
  if (!allTiles || c.rows.empty())
    loop(counting, count, 1, [&](Value row) { write(row, SmallVector<Value>(c.rows.size(), zero), zero); });
}

Value ContractionEmitter::digitPlace(Value row, size_t loop) {
  Value index = e.add(e.mul(row, e.constant(int64_t(c.rows.size()))), e.constant(int64_t(loop)));
  return e.elementPointer(digitTable, index, b.getI64Type());
}

void ContractionEmitter::forBlocks(llvm::function_ref<void(Tile)> each, llvm::function_ref<void(Value)> before) {
  loopOrOnce(panels, [&](Value panel) {
    if (before)
      before(panel);
    Value begin = e.mul(e.add(firstPanel, panel), e.constant(c.width()));
    byColumns(begin, [&](const Columns &columns) {
      loopOrOnce(tiles, [&](Value number) {
        Value accumulator = e.mul(e.add(e.mul(panel, e.constant(c.tiles)), number),
                                  e.constant(int64_t(c.tile) * c.vectors));
        Tile tile{columns, panel, number, accumulator, c.tile};
        // A batch of one is common, and its one row is not worth a whole block.
        if (!maybeOneRow())
          return each(tile);
        Tile single = tile;
        single.rows = 1;
        choose(isOneRow(), [&] { each(single); }, [&] { each(tile); });
      });
    });
  });
}

void ContractionEmitter::alongOneRow() {
  loopOrOnce(panels, [&](Value panel) {
    Value begin = e.mul(e.add(firstPanel, panel), e.constant(c.width()));
    byColumns(begin, [&](const Columns &columns) {
      Tile tile{columns, panel, e.constant(0), e.constant(0), 1};
      finish(tile, accumulate(tile, zeros(1, columns.vectors)));
    });
  });
}

void ContractionEmitter::loopOrOnce(Value count, llvm::function_ref<void(Value)> body) {
  if (matchPattern(count, m_One()))
    return body(e.constant(0));
  loop(e.constant(0), count, 1, body);
}

int64_t ContractionEmitter::least() {
  SmallVector<AffineExpr> ones(nest.symbols(), b.getAffineConstantExpr(1));
  return constantOf(canonical(c.rowCount().replaceSymbols(ones))).value_or(1);
}

void ContractionEmitter::passOver(Value memory) {
  Value zero = zeros(1, 1).front();
  loop(e.constant(0), e.constant(c.accumulators()), 1,
       [&](Value i) { e.storeRaw(zero, accumulatorPlace(memory, i), alignment()); });
  forChunks(0, [&] {
    forBlocks([&](Tile tile) {
      SmallVector<Value> sums;
      auto place = [&](size_t i) {
        size_t row = i / tile.columns.vectors, j = i % tile.columns.vectors;
        return accumulatorPlace(memory, e.add(tile.accumulator, e.constant(int64_t(row * c.vectors + j))));
      };
      for (size_t i = 0; i < tile.rows * tile.columns.vectors; ++i)
        sums.push_back(loadVector(place(i)));
      for (auto [i, sum] : llvm::enumerate(accumulate(tile, sums)))
        e.storeRaw(sum, place(i), alignment());
    });
  });
}

void ContractionEmitter::forChunks(unsigned depth, llvm::function_ref<void()> body) {
  Value from = depth == 0 && unit.from ? unit.from : e.constant(0);
  if (!c.chunk) {
    chunkFrom = unit.from, chunkTo = unit.to;
    return body();
  }
  const Loop &reduced = c.reduced[depth];
  Value to = depth == 0 && unit.to ? unit.to : e.evaluate(reduced.size);
  loop(from, to, depth < c.chunkDepth ? 1 : c.chunk, [&](Value i) {
    if (depth < c.chunkDepth) {
      outsideChunk.push_back(i);
      forChunks(depth + 1, body);
      outsideChunk.pop_back();
      return;
    }
    chunkFrom = i, chunkTo = e.minimum(e.add(i, e.constant(c.chunk)), to);
    body();
  });
}

SmallVector<Value> ContractionEmitter::accumulate(const Tile &tile, SmallVector<Value> sums) {
  SmallVector<Value> dims = unit.dims;
  for (Value &dim : dims)
    if (!dim)
      dim = e.constant(0);
  dims[c.vectorDim] = tile.columns.begin;
  SmallVector<Value> offsets;
  Value tileRow = e.mul(tile.number, e.constant(c.tile));
  for (unsigned i = 0; i < tile.rows; ++i)
    offsets.push_back(c.packedRows ? e.constant(i)
                                   : e.load(b.getI64Type(),
                                            e.elementPointer(rowTable, e.add(tileRow, e.constant(i)), b.getI64Type()), 8));
  if (c.packedRows)
    dims[c.rows.front().dim] = e.add(firstRow, tileRow);
  Value first = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.a).getTensor(), 0, {}}), e.evaluate(placeA, dims),
                                 elementA);
  Value second = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}), e.evaluate(placeB, dims),
                                  elementB);
  for (auto [loop, i] : llvm::zip(c.reduced, outsideChunk)) {
    first = advance(first, placeA, loop.dim, i, elementA);
    second = advance(second, placeB, loop.dim, i, elementB);
  }
  ahead = nextPanel(tile, second);
  unsigned chains = chainsOf(sums.size());
  sums.append(zeros((chains - 1) * tile.rows, tile.columns.vectors));
  return joinChains(reduce(outsideChunk.size(), tile.columns, first, second, offsets, sums, chunkFrom, chunkTo), chains);
}

Value ContractionEmitter::nextPanel(const Tile &tile, Value second) {
  if (!c.packed || tile.rows < leastRowsToFetch || c.tiles < 2)
    return {};
  auto stride = coefficientOf(placeB, c.vectorDim);
  Value next = e.mul(e.evaluate(*stride), e.constant(c.width()));
  if (c.chunk) {
    Value chunk = e.mul(e.evaluate(*coefficientOf(placeB, c.reduced[c.chunkDepth].dim)), e.constant(c.chunk));
    Value back = e.sub(chunk, e.mul(next, tile.panel));
    Value last = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, e.add(tile.panel, e.constant(1)), panels);
    next = arith::SelectOp::create(b, last, back, next);
  }
  int64_t elementBytes = elementB.getIntOrFloatBitWidth() / 8;
  next = e.mul(next, e.constant(elementBytes));
  if (!spread()) {
    // One line each by the first blocks; the others ask for what they read, which costs no more than the load.
    Value fetches = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, tile.number,
                                          e.constant(llvm::divideCeil(c.width() * elementBytes, 64)));
    next = e.add(next, e.mul(tile.number, e.constant(64)));
    return arith::SelectOp::create(b, fetches, next, e.constant(0));
  }
  // Each block asks for its part, so that memory is asked all the time and not for a whole panel during the first block: a step
  // moves on by the share of its vectors' bytes that `spread` says, and a block begins where the one before it ended.
  Value start = LLVM::PtrToIntOp::create(b, b.getI64Type(), second), shift = e.constant(spread());
  Value steps = e.constant(c.chunk ? c.chunk : 1);
  for (unsigned depth = c.chunk ? c.chunkDepth + 1 : 0; depth < c.reduced.size(); ++depth)
    steps = e.mul(steps, e.evaluate(c.reduced[depth].size));
  Value part = e.mul(e.mul(tile.number, steps), e.constant(c.width() * elementBytes));
  next = e.add(next, arith::ShRUIOp::create(b, part, shift));
  return e.add(start, e.sub(next, arith::ShRUIOp::create(b, start, shift)));
}

SmallVector<Launch> cpu::emitContraction(Emitter &emitter, const Contraction &plan, const std::string &name) {
  if (plan.winograd)
    return emitWinograd(emitter, plan, name);
  return plan.vectorsOfA ? emitDepthwise(emitter, plan, name) : ContractionEmitter(emitter, plan).run(name);
}
