// Sums of products on the tile registers of AMX.
#include "backends/cpu/ContractionCode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

static constexpr int64_t lines = Panels::lines, lineBytes = Panels::lineBytes, tileBytes = Panels::tileBytes;

void ContractionEmitter::passOnTiles(Value parts) {
  AffineExpr steps = c.reduced.front().size;
  bool whole = !c.chunk && !parts;
  Value memory = parts ? parts : allocate(bytesOf(whole ? int64_t(c.tile) * c.vectors : c.accumulators()));
  auto blockOf = [&](const Tile &tile) {
    return accumulatorPlace(memory, whole ? e.constant(0) : tile.accumulator);
  };
  auto finishBlock = [&](const Tile &tile) {
    finishRows(tile, [&](Value index) {
      return loadVector(accumulatorPlace(memory, whole ? e.sub(index, tile.accumulator) : index));
    });
  };
  auto zero = [&] {
    for (int i = 0; i < 4; ++i)
      tileOp("llvm.x86.tilezero", {i}, {});
  };
  auto sumsOf = [&](StringRef name, Value block) {
    for (int i = 0; i < 4; ++i)
      tileOp(name, {i}, {bytesFrom(block, e.constant(i / 2 * 16 * 128 + i % 2 * 64)), e.constant(128)});
  };
  Value from = parts ? unit.from : e.constant(0), to = parts ? unit.to : e.evaluate(steps);
  if (c.wholeB)
    cutColumns = allocate((c.chunk ? c.chunk : *constantOf(steps)) * c.piecesB * Panels::pieceBytes);
  auto chunk = [&](Value begin, Value end) {
    auto cut = [&](Value panel) {
      if (c.wholeB)
        cutPanel(panel, begin, end);
    };
    forBlocks([&](Tile tile) {
      Value block = blockOf(tile);
      if (whole)
        zero();
      else
        choose(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, begin, from), zero,
               [&] { sumsOf("llvm.x86.tileloadd64", block); });
      multiplyOnTiles(tile, begin, end);
      sumsOf("llvm.x86.tilestored64", block);
      if (whole)
        finishBlock(tile);
      else if (!parts)
        choose(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, end, to), [&] { finishBlock(tile); }, [] {});
    }, cut);
  };
  if (!c.chunk && !parts)
    return chunk(from, to);
  if (parts) // none of the sum may be left for this part
    choose(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, from, to), [&] {
      Value none = zeros(1, 1).front();
      loop(e.constant(0), e.constant(c.accumulators()), 1,
           [&](Value i) { e.storeRaw(none, accumulatorPlace(memory, i), alignment()); });
    }, [] {});
  loop(from, to, c.chunk ? c.chunk : int64_t(1) << 40,
       [&](Value at) { chunk(at, c.chunk ? e.minimum(e.add(at, e.constant(c.chunk)), to) : to); });
}

void ContractionEmitter::multiplyOnTiles(const Tile &tile, Value from, Value to) {
  Value steps = e.evaluate(c.reduced.front().size);
  int64_t rowBytes = c.piecesA * Panels::pieceBytes, columnBytes = c.piecesB * Panels::pieceBytes;
  auto panelOf = [&](LoadOp load, Value panel, int64_t bytes) {
    return bytesFrom(e.pointer({Slot::Tensor, load.getTensor(), 0, {}}), e.mul(e.mul(panel, steps), e.constant(bytes)));
  };
  Value firstBlock = arith::DivUIOp::create(b, firstRow, e.constant(c.tile));
  Value rows = panelOf(c.a, e.add(firstBlock, tile.number), rowBytes);
  Value columns = c.wholeB ? bytesFrom(cutColumns, e.mul(from, e.constant(-columnBytes)))
                           : panelOf(c.b, e.add(firstPanel, tile.panel), columnBytes);
  // What comes after the last step: the rows of the next block.
  Value nextRows = bytesFrom(rows, e.mul(e.add(steps, from), e.constant(rowBytes)));
  // While all rows pass over a panel of columns, they ask for the next one, each for its part.
  int64_t inMemory = c.wholeB ? wholeBytes : columnBytes, asks = llvm::divideCeil(inMemory / lineBytes, int64_t(c.tiles));
  // Behind the unit's last comes the first one in the next chunk.
  Value number = e.add(tile.panel, e.constant(1));
  Value isLastPanel = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, number, panels);
  Value nextPanel = e.add(firstPanel, arith::SelectOp::create(b, isLastPanel, e.constant(0), number));
  Value nextFrom = arith::SelectOp::create(b, isLastPanel, to, from);
  Value nextColumns = c.wholeB ? wholeColumns(nextPanel, nextFrom) : panelOf(c.b, nextPanel, inMemory);
  nextColumns = bytesFrom(nextColumns, e.mul(e.sub(nextFrom, from), e.constant(inMemory)));
  nextColumns = bytesFrom(nextColumns, e.mul(tile.number, e.constant(asks * lineBytes)));
  loop(from, to, 1, [&](Value step) {
    Value row = bytesFrom(rows, e.mul(step, e.constant(rowBytes))), column = bytesFrom(columns, e.mul(step, e.constant(columnBytes)));
    Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, e.add(step, e.constant(1)), to);
    Value nextRow = arith::SelectOp::create(b, isLast, nextRows, bytesFrom(row, e.constant(rowBytes)));
    Value nextColumn = bytesFrom(nextColumns, e.mul(step, e.constant(inMemory)));
    for (int64_t line = 0; line < asks; ++line)
      LLVM::Prefetch::create(b, bytesFrom(nextColumn, e.constant(line * lineBytes)), /*rw=*/0, /*hint=*/2, /*cache=*/1);
    int64_t asked = 0, products = 4 * Panels::productsOf(c.piecesA, c.piecesB);
    int atA = -1, atB = -1; // the pieces in registers
    auto load = [&](int &at, int piece, int registers, Value base) {
      if (at == piece)
        return;
      at = piece;
      for (int i = 0; i < 2; ++i)
        tileOp("llvm.x86.tileloadd64", {registers + i},
               {bytesFrom(base, e.constant(piece * Panels::pieceBytes + i * tileBytes)), e.constant(64)});
    };
    // Those of the largest product first; each next one takes one other piece where it can.
    int most = int(std::max(c.piecesA, c.piecesB));
    for (int i = 0; i < int(c.piecesA); ++i)
      for (int n = 0, count = std::min<int>(c.piecesB, most - i); n < count; ++n) {
        int j = i % 2 ? count - 1 - n : n;
        load(atA, i, 4, row), load(atB, j, 6, column);
        for (int t = 0; t < 4; ++t) {
          tileOp("llvm.x86.tdpbf16ps", {t, 4 + t / 2, 6 + t % 2}, {});
          for (int64_t upTo = asked + rowBytes / products; asked < std::min(upTo, rowBytes); asked += lineBytes)
            LLVM::Prefetch::create(b, bytesFrom(nextRow, e.constant(asked)), /*rw=*/0, /*hint=*/3, /*cache=*/1);
        }
      }
  });
}

Value ContractionEmitter::wholeColumns(Value panel, Value chunk) {
  Value panels = e.evaluate((c.vectorSize + (Panels::width - 1)).floorDiv(Panels::width));
  Value together = arith::DivUIOp::create(b, chunk, e.constant(Panels::stepsTogether));
  Value before = e.mul(e.add(e.mul(together, panels), panel), e.constant(Panels::stepsTogether));
  return bytesFrom(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}),
                   e.mul(e.sub(before, chunk), e.constant(wholeBytes)));
}

void ContractionEmitter::cutPanel(Value panel, Value from, Value to) {
  Value source = wholeColumns(e.add(firstPanel, panel), from);
  int64_t rowBytes = Panels::width * 4;
  // Pairs of the sum are lines of a piece, and come to lie a piece's half, 16 of them, after the other.
  loop(from, to, 1, [&](Value step) {
    Value first = bytesFrom(source, e.mul(step, e.constant(wholeBytes)));
    Value target = bytesFrom(cutColumns, e.mul(e.sub(step, from), e.constant(c.piecesB * Panels::pieceBytes)));
    loop(e.constant(0), e.constant(lines), 1, [&](Value pair) {
      Value place = bytesFrom(first, e.mul(pair, e.constant(2 * rowBytes)));
      Value line = bytesFrom(target, e.mul(pair, e.constant(lineBytes)));
      for (int64_t half : {0, 1}) {
        auto read = [&](int64_t row) {
          return piecesOf(b, e.load(e.vectorOf(b.getF32Type()), bytesFrom(place, e.constant(row * rowBytes + half * lineBytes)), lineBytes),
                          c.piecesB);
        };
        for (auto [piece, words] : llvm::enumerate(inPairs(b, read(0), read(1))))
          e.storeRaw(words, bytesFrom(line, e.constant(int64_t(piece) * Panels::pieceBytes + half * tileBytes)), lineBytes);
      }
    });
  });
}
