// Contractions whose first operand is broadcast: products of matrices, convolutions, and the gradients of both.
#include "backends/cpu/Block.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Epilogues up to this many ops are unrolled over the block; longer ones run in a loop over its rows in memory.
constexpr unsigned longestUnrolledEpilogue = 6;
/// Rows of a block from which on it asks for the next panel while it sums.
constexpr unsigned leastRowsToFetch = 4;

class ContractionEmitter : BlockCode {
public:
  ContractionEmitter(Emitter &e, const Contraction &c) : BlockCode(e, c) {}

  SmallVector<Launch> run(const std::string &name) {
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
        if (!c.chunk)
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

private:
  /// One block of the unit.
  struct Tile {
    Columns columns;
    Value panel;       // along the columns
    Value number;      // along the rows
    Value accumulator; // number of the first one in the memory of the unit
    unsigned rows;     // in registers; those that count may be fewer
  };

  // ---------------------------------------------------------------- the unit
  void enter(const Unit &of, bool reads = true) {
    unit = of;
    Value rowBlock = unit.inner, columnBlock = e.constant(0);
    if (constantOf(c.columnBlocks()) != 1) {
      Value blocks = e.evaluate(c.rowBlocks());
      rowBlock = arith::RemUIOp::create(b, unit.inner, blocks);
      columnBlock = arith::DivUIOp::create(b, unit.inner, blocks);
    }
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

  /// Tables of all rows of the unit: their places in the first operand, in elements from row 0, and the numbers of their
  /// loops where the epilogue needs these. Rows run through several loops as through one, so a block goes on in the next line
  /// of a picture and in the next picture. Places behind the last row are row 0, read and not used.
  void tabulateRows(bool places) {
    int64_t most = int64_t(c.tile) * c.tiles;
    Value count = allTiles ? e.constant(most) : e.mul(tiles, e.constant(c.tile));
    rowTable = places ? allocate(8 * most) : Value();
    digitTable = joined ? Value() : allocate(8 * most * int64_t(c.rows.size()));
    SmallVector<Value> counters;
    Value rest = firstRow;
    for (size_t i = c.rows.size(); i-- > 0;) {
      Value size = i ? e.evaluate(c.rows[i].size) : Value();
      counters.insert(counters.begin(), i ? Value(arith::RemUIOp::create(b, rest, size)) : rest);
      if (i)
        rest = arith::DivUIOp::create(b, rest, size);
    }
    auto over = scf::ForOp::create(b, e.constant(0), count, e.constant(1), counters);
    b.setInsertionPointToStart(over.getBody());
    Value offset = e.constant(0), row = over.getInductionVar();
    if (!joined)
      for (auto [i, counter] : llvm::enumerate(over.getRegionIterArgs()))
        e.storeRaw(counter, digitPlace(row, i), 8);
    SmallVector<Value> next(over.getRegionIterArgs().begin(), over.getRegionIterArgs().end());
    for (auto [loop, counter] : llvm::zip(c.rows, over.getRegionIterArgs()))
      if (places)
        offset = e.add(offset, e.mul(counter, e.evaluate(*coefficientOf(placeA, loop.dim))));
    Value carry = e.constant(1);
    for (size_t i = c.rows.size(); i-- > 0;) {
      next[i] = e.add(next[i], carry);
      if (i == 0)
        break;
      Value full = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, next[i], e.evaluate(c.rows[i].size));
      next[i] = arith::SelectOp::create(b, full, e.constant(0), next[i]);
      carry = arith::ExtUIOp::create(b, b.getI64Type(), full);
    }
    if (places) {
      if (!allTiles) {
        Value counts = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, row, rowsLeft);
        offset = arith::SelectOp::create(b, counts, offset, e.constant(0));
      }
      e.storeRaw(offset, e.elementPointer(rowTable, row, b.getI64Type()), 8);
    }
    if (!next.empty())
      scf::YieldOp::create(b, next);
    b.setInsertionPointAfter(over);
  }

  Value digitPlace(Value row, size_t loop) {
    Value index = e.add(e.mul(row, e.constant(int64_t(c.rows.size()))), e.constant(int64_t(loop)));
    return e.elementPointer(digitTable, index, b.getI64Type());
  }

  /// All blocks of the unit, a panel of columns after the other; `before` opens each panel.
  void forBlocks(llvm::function_ref<void(Tile)> each, llvm::function_ref<void(Value)> before = {}) {
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
  bool maybeOneRow() { return c.tile > 1 && !c.onTiles && !constantOf(c.rowCount()) && least() <= 1; }
  Value isOneRow() { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rowsLeft, e.constant(1)); }

  /// The unit's only row, all of the sum at once: nothing is used twice, so that chunks would only break up the run of
  /// memory in which the panels lie.
  void alongOneRow() {
    loopOrOnce(panels, [&](Value panel) {
      Value begin = e.mul(e.add(firstPanel, panel), e.constant(c.width()));
      byColumns(begin, [&](const Columns &columns) {
        Tile tile{columns, panel, e.constant(0), e.constant(0), 1};
        finish(tile, accumulate(tile, zeros(1, columns.vectors)));
      });
    });
  }
  void loopOrOnce(Value count, llvm::function_ref<void(Value)> body) {
    if (matchPattern(count, m_One()))
      return body(e.constant(0));
    loop(e.constant(0), count, 1, body);
  }
  /// Rows when every open size is 1.
  int64_t least() {
    SmallVector<AffineExpr> ones(nest.symbols(), b.getAffineConstantExpr(1));
    return constantOf(canonical(c.rowCount().replaceSymbols(ones))).value_or(1);
  }

  // ---------------------------------------------------------------- the sum
  /// Adds up the sums of all blocks in memory, a chunk of the sum after the other.
  void passOver(Value memory) {
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
  void forChunks(unsigned depth, llvm::function_ref<void()> body) {
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

  /// The block's part of the sum in this chunk.
  SmallVector<Value> accumulate(const Tile &tile, SmallVector<Value> sums) {
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
    ahead = nextPanel(tile);
    return reduce(outsideChunk.size(), tile.columns, first, second, offsets, sums, chunkFrom, chunkTo);
  }

  /// How far ahead of the place in a panel lies what comes after it, in elements: the same step of the next panel, or of
  /// the first one in the next chunk. A block asks for one line a step, so that as many blocks as the panel has registers
  /// fetch it whole. Null where a block does too little for a step to hide a line, or would fetch nothing of use.
  Value nextPanel(const Tile &tile) {
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
    Value line = arith::RemUIOp::create(b, tile.number, e.constant(c.vectors));
    return e.add(next, e.mul(line, e.constant(lanes)));
  }

  /// The same on the tile registers of AMX (Intel SDM vol. 1, chapter 18): a block of 32 x 32 sums is four tiles of 16 rows
  /// of 64 bytes, and a step of 32 products reads two tiles of each operand, for each of their pieces. Registers 0 to 3 sum,
  /// 4 and 5 hold rows, 6 and 7 columns. Panels end in zeros, so every block is whole. Sums leave by way of memory: `parts`,
  /// or the frame, from where the epilogue takes them.
  void passOnTiles(Value parts = {}) {
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

  /// Adds to the tiles the products of the steps from `from` to `to`.
  void multiplyOnTiles(const Tile &tile, Value from, Value to) {
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
    int64_t inMemory = c.wholeB ? wholeBytes : columnBytes, lines = llvm::divideCeil(inMemory / lineBytes, int64_t(c.tiles));
    // Behind the unit's last comes the first one in the next chunk.
    Value number = e.add(tile.panel, e.constant(1));
    Value isLastPanel = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, number, panels);
    Value nextPanel = e.add(firstPanel, arith::SelectOp::create(b, isLastPanel, e.constant(0), number));
    Value nextFrom = arith::SelectOp::create(b, isLastPanel, to, from);
    Value nextColumns = c.wholeB ? wholeColumns(nextPanel, nextFrom) : panelOf(c.b, nextPanel, inMemory);
    nextColumns = bytesFrom(nextColumns, e.mul(e.sub(nextFrom, from), e.constant(inMemory)));
    nextColumns = bytesFrom(nextColumns, e.mul(tile.number, e.constant(lines * lineBytes)));
    loop(from, to, 1, [&](Value step) {
      Value row = bytesFrom(rows, e.mul(step, e.constant(rowBytes))), column = bytesFrom(columns, e.mul(step, e.constant(columnBytes)));
      Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, e.add(step, e.constant(1)), to);
      Value nextRow = arith::SelectOp::create(b, isLast, nextRows, bytesFrom(row, e.constant(rowBytes)));
      Value nextColumn = bytesFrom(nextColumns, e.mul(step, e.constant(inMemory)));
      for (int64_t line = 0; line < lines; ++line)
        LLVM::Prefetch::create(b, bytesFrom(nextColumn, e.constant(line * lineBytes)), /*rw=*/0, /*hint=*/2, /*cache=*/1);
      int64_t asked = 0, products = 4 * productsOfPieces();
      int atA = -1, atB = -1; // the pieces in registers
      auto load = [&](int &at, int piece, int registers, Value base) {
        if (at == piece)
          return;
        at = piece;
        for (int i = 0; i < 2; ++i)
          tileOp("llvm.x86.tileloadd64", {registers + i},
                 {bytesFrom(base, e.constant(piece * Panels::pieceBytes + 1024 * i)), e.constant(64)});
      };
      // Those of the largest product first; each next one takes one other piece where it can.
      int most = int(std::max(c.piecesA, c.piecesB));
      for (int i = 0; i < int(c.piecesA); ++i)
        for (int n = 0, count = std::min<int>(c.piecesB, most - i); n < count; ++n) {
          int j = i % 2 ? count - 1 - n : n;
          load(atA, i, 4, row), load(atB, j, 6, column);
          for (int t = 0; t < 4; ++t)
          {
            tileOp("llvm.x86.tdpbf16ps", {t, 4 + t / 2, 6 + t % 2}, {});
            for (int64_t upTo = asked + rowBytes / products; asked < std::min(upTo, rowBytes); asked += lineBytes)
              LLVM::Prefetch::create(b, bytesFrom(nextRow, e.constant(asked)), /*rw=*/0, /*hint=*/3, /*cache=*/1);
          }
        }
    });
  }
  static constexpr int64_t lineBytes = 64, wholeBytes = 32 * 32 * 4; // the latter of a step of columns
  Value cutColumns; // pieces of a panel's chunk

  /// Where step 0 of a panel would lie, were all steps side by side with those of the chunk that begins at `chunk`.
  Value wholeColumns(Value panel, Value chunk) {
    Value panels = e.evaluate((c.vectorSize + 31).floorDiv(32));
    Value together = arith::DivUIOp::create(b, chunk, e.constant(Panels::stepsTogether));
    Value before = e.mul(e.add(e.mul(together, panels), panel), e.constant(Panels::stepsTogether));
    return bytesFrom(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}),
                     e.mul(e.sub(before, chunk), e.constant(wholeBytes)));
  }
  /// Cuts the columns' numbers of a chunk into pieces, for all rows of the unit.
  void cutPanel(Value panel, Value from, Value to) {
    Value source = wholeColumns(e.add(firstPanel, panel), from);
    int64_t pairBytes = 2 * 32 * 4, halfBytes = 1024;
    // Pairs of the sum are lines of a piece, and come to lie a piece's half, 16 of them, after the other.
    loop(from, to, 1, [&](Value step) {
      Value first = bytesFrom(source, e.mul(step, e.constant(wholeBytes)));
      Value target = bytesFrom(cutColumns, e.mul(e.sub(step, from), e.constant(c.piecesB * Panels::pieceBytes)));
      loop(e.constant(0), e.constant(16), 1, [&](Value pair) {
        Value place = bytesFrom(first, e.mul(pair, e.constant(pairBytes)));
        Value line = bytesFrom(target, e.mul(pair, e.constant(lineBytes)));
        for (int64_t half : {0, 1}) {
          auto read = [&](int64_t row) {
            return piecesOf(b, e.load(e.vectorOf(b.getF32Type()), bytesFrom(place, e.constant(row * 128 + half * 64)), 64),
                            c.piecesB);
          };
          for (auto [piece, words] : llvm::enumerate(inPairs(b, read(0), read(1))))
            e.storeRaw(words, bytesFrom(line, e.constant(int64_t(piece) * Panels::pieceBytes + half * halfBytes)), 64);
        }
      });
    });
  }
  int64_t productsOfPieces() { return c.piecesA == c.piecesB && c.piecesA > 1 ? 6 : std::max(c.piecesA, c.piecesB); }
  Value bytesFrom(Value base, Value bytes) { return e.elementPointer(base, bytes, b.getI8Type()); }

  // ---------------------------------------------------------------- epilogue
  /// Whether everything that the epilogue touches runs through the rows as through one loop.
  bool epilogueJoinsRows() {
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
  /// The dimensions of the nest at a row of the unit.
  SmallVector<Value> dimsOf(Value row) {
    SmallVector<Value> dims = unit.dims;
    for (size_t i = c.rows.size(); i-- > 0;) {
      if (!joined && c.rows.size() > 1)
        dims[c.rows[i].dim] = e.load(b.getI64Type(), digitPlace(row, i), 8);
      else
        dims[c.rows[i].dim] = i + 1 == c.rows.size() ? e.add(firstRow, row) : e.constant(0);
    }
    return dims;
  }

  /// Asks for what the epilogue of a block reads that is as large as the result, and for the places of the result: line
  /// by line they come from far, in no order that the hardware would foresee, and meanwhile the block sums.
  void fetchForEpilogue(const Tile &tile) {
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

  void finish(const Tile &tile, const SmallVector<Value> &sums) {
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
    if (llvm::range_size(nest.getFinish().front()) > longestUnrolledEpilogue)
      return inMemory();
    auto known = constantOf(c.rowCount());
    if (tile.rows == 1 || (known && *known % c.tile == 0))
      return inRegisters();
    choose(atMost(e.add(tileRow, e.constant(c.tile)), rowsLeft), inRegisters, inMemory);
  }

  /// The epilogue for the rows of a tile that count, a row after the other; `sumAt` says the sum by its accumulator.
  void finishRows(const Tile &tile, llvm::function_ref<Value(Value)> sumAt) {
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

  /// The epilogue for all rows of the unit that count, along each row.
  void finishUnit(llvm::function_ref<Value(Value)> sumAt) {
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

  // ---------------------------------------------------------------- memory
  unsigned alignment() { return element.getIntOrFloatBitWidth() / 8; }
  int64_t bytesOf(int64_t accumulators) { return accumulators * c.accumulatorBytes(); }

  Unit unit;
  Value firstRow, rowsLeft, tiles; // of the unit; blocks along its rows
  bool allTiles = false;           // every unit has all its rows
  Value firstPanel, panels;
  bool joined = true; // everything that the epilogue touches runs through the rows as through one loop
  Value rowTable, digitTable;
  SmallVector<Value> outsideChunk; // numbers of iterations of the loops around the chunk
  Value chunkFrom, chunkTo;
};
} // namespace

SmallVector<Launch> cpu::emitContraction(Emitter &emitter, const Contraction &plan, const std::string &name) {
  if (plan.winograd)
    return emitWinograd(emitter, plan, name);
  return plan.vectorsOfA ? emitDepthwise(emitter, plan, name) : ContractionEmitter(emitter, plan).run(name);
}
