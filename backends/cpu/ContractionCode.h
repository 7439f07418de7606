// The code of one contraction whose first operand is broadcast, or that runs on tiles: its units, their sums, and the
// epilogue. One class in three files, as its parts work on the same unit.
#pragma once
#include "backends/cpu/Block.h"
#include "backends/cpu/Panels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::bigm::cpu {

class ContractionEmitter : BlockCode {
public:
  ContractionEmitter(Emitter &e, const Contraction &c) : BlockCode(e, c) {}

  SmallVector<Launch> run(const std::string &name);

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
  void enter(const Unit &of, bool reads = true);

  /// Tables of all rows of the unit: their places in the first operand, in elements from row 0, and the numbers of their
  /// loops where the epilogue needs these. Rows run through several loops as through one, so a block goes on in the next line
  /// of a picture and in the next picture. Places behind the last row are row 0, read and not used.
  void tabulateRows(bool places);

  Value digitPlace(Value row, size_t loop);

  /// All blocks of the unit, a panel of columns after the other; `before` opens each panel.
  void forBlocks(llvm::function_ref<void(Tile)> each, llvm::function_ref<void(Value)> before = {});
  bool maybeOneRow() { return c.tile > 1 && !c.onTiles && !constantOf(c.rowCount()) && least() <= 1; }
  /// Of the whole product, not what a unit has left: one row is summed in another order than blocks, and how rows come to
  /// units must not show in the bits, since parts of a batch run by themselves.
  Value isOneRow() { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, e.evaluate(c.rowCount()), e.constant(1)); }

  /// The only row, all of the sum at once: nothing is used twice, so that chunks would only break up the run of
  /// memory in which the panels lie.
  void alongOneRow();
  void loopOrOnce(Value count, llvm::function_ref<void(Value)> body);
  /// Rows when every open size is 1.
  int64_t least();

  // ---------------------------------------------------------------- the sum
  /// Adds up the sums of all blocks in memory, a chunk of the sum after the other.
  void passOver(Value memory);
  void forChunks(unsigned depth, llvm::function_ref<void()> body);

  /// The block's part of the sum in this chunk.
  SmallVector<Value> accumulate(const Tile &tile, SmallVector<Value> sums);

  /// What comes after a panel, as `ahead` says it: the same step of the next panel, or of the first one in the next chunk. All
  /// blocks of a panel together ask for it. Null where a block does too little for a step to hide a line, or would fetch nothing
  /// of use. `second` is where the block's first step reads its vectors.
  Value nextPanel(const Tile &tile, Value second);

  // ---------------------------------------------------------------- on tiles (EmitTiles.cpp)
  /// The same on the tile registers of AMX (Intel SDM vol. 1, chapter 18): a block of 32 x 32 sums is four tiles of 16 rows
  /// of 64 bytes, and a step of 32 products reads two tiles of each operand, for each of their pieces. Registers 0 to 3 sum,
  /// 4 and 5 hold rows, 6 and 7 columns. Panels end in zeros, so every block is whole. Sums leave by way of memory: `parts`,
  /// or the frame, from where the epilogue takes them.
  void passOnTiles(Value parts = {});

  /// Adds to the tiles the products of the steps from `from` to `to`.
  void multiplyOnTiles(const Tile &tile, Value from, Value to);
  static constexpr int64_t wholeBytes = Panels::width * Panels::width * 4; // of a step of columns that lie whole
  Value cutColumns; // pieces of a panel's chunk

  /// Where step 0 of a panel would lie, were all steps side by side with those of the chunk that begins at `chunk`.
  Value wholeColumns(Value panel, Value chunk);
  /// Cuts the columns' numbers of a chunk into pieces, for all rows of the unit.
  void cutPanel(Value panel, Value from, Value to);
  Value bytesFrom(Value base, Value bytes) { return e.elementPointer(base, bytes, b.getI8Type()); }

  // ---------------------------------------------------------------- epilogue (EmitEpilogue.cpp)
  /// Whether everything that the epilogue touches runs through the rows as through one loop.
  bool epilogueJoinsRows();
  /// The dimensions of the nest at a row of the unit.
  SmallVector<Value> dimsOf(Value row);

  /// Asks for what the epilogue of a block reads that is as large as the result, and for the places of the result: line
  /// by line they come from far, in no order that the hardware would foresee, and meanwhile the block sums.
  void fetchForEpilogue(const Tile &tile);

  void finish(const Tile &tile, const SmallVector<Value> &sums);

  /// The epilogue for the rows of a tile that count, a row after the other; `sumAt` says the sum by its accumulator.
  void finishRows(const Tile &tile, llvm::function_ref<Value(Value)> sumAt);

  /// The epilogue for all rows of the unit that count, along each row.
  void finishUnit(llvm::function_ref<Value(Value)> sumAt);
  /// Whether results lie side by side along the rows and not along the columns, as those of a gradient to the weights of a
  /// convolution do: the lanes of a register would each go to a page of its own.
  bool finishesDownColumns();
  /// The same for all columns of the unit, down each column: the sums are turned first.
  void finishDownColumns(llvm::function_ref<Value(Value)> sumAt);

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

} // namespace mlir::bigm::cpu
