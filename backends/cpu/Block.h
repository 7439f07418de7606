// The block of accumulators that the kernels of contractions share: zeroed, carried by the loops of the sum, stored
// through the nest's epilogue.
#pragma once
#include "backends/cpu/Contraction.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir::bigm::cpu {

/// The columns of a block.
struct Columns {
  Value begin;              // i64
  unsigned vectors = 1;     // registers abreast
  SmallVector<Value> masks; // for each register; null where full
  unsigned last = 0;        // lanes of the one under a mask, where they are known
};

class BlockCode {
protected:
  BlockCode(Emitter &e, const Contraction &c);
  virtual ~BlockCode() = default;

  /// Zeros for `rows` x `vectors` accumulators.
  SmallVector<Value> zeros(unsigned rows, unsigned vectors);
  /// Emits `each` for a full block of columns, or for what is left at the edge: fewer registers, the last under a mask.
  void byColumns(Value begin, llvm::function_ref<void(const Columns &)> each);

  /// The loops of the sum from `depth` on. `a` and `b` point at the block's first elements, rows are `rowOffsets` elements
  /// from `a`. The outermost of the loops runs from `from` to `to` where these are given. Returns the new sums, rows x
  /// vectors; of several chains, which take turns at the steps of the innermost loop, one after another.
  SmallVector<Value> reduce(size_t depth, const Columns &columns, Value a, Value b, ArrayRef<Value> rowOffsets,
                            SmallVector<Value> sums, Value from = {}, Value to = {});
  /// Chains of sums side by side that keep the units for multiplication busy, where one has so few accumulators that each step
  /// would wait for the one before: a power of 2.
  unsigned chainsOf(unsigned accumulators) const;
  /// The sums of all chains, in pairs.
  SmallVector<Value> joinChains(SmallVector<Value> sums, unsigned chains);
  /// The pointer moved on by `index` iterations of one loop of the sum.
  Value advance(Value base, AffineExpr place, unsigned dim, Value index, Type inMemory);

  /// Evaluates the epilogue for register `j` of one row, whose place is in `dims`, and stores what it yields.
  void store(ArrayRef<Value> dims, const Columns &columns, unsigned j, Value sum);

  void choose(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  Value atMost(Value x, Value y);
  /// Loop from `from` to `to` by `step`; the builder stands behind it afterwards.
  void loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body);
  /// The place of an accumulator in memory where sums wait.
  Value accumulatorPlace(Value memory, Value index);

  /// Opens the function `name` with a loop over its units. `place` gets the numbers of outer iterations; what is inside
  /// of these is the number that `each` gets. With `splits` the part of the first loop of the sum is in `split`.
  struct Unit {
    SmallVector<Value> dims; // by dimension of the nest; null where no outer loop is
    Value number, inner;     // of all units, and inside of one outer iteration
    Value split, from, to;   // null when the sum is not split
  };
  void forUnits(const std::string &name, unsigned splits, llvm::function_ref<void(Unit)> each);
  /// The block of rows and the block of columns of a unit. Units next to each other, which run on one core, share the larger
  /// operand: a core has the results of the kernel before for as much of it as it can.
  std::pair<Value, Value> blocksOf(const Unit &unit);
  /// An operation on the tile registers of AMX, by the name of LLVM's intrinsic.
  void tileOp(StringRef name, ArrayRef<int> registers, ArrayRef<Value> operands = {});
  /// Partial sums of a unit in scratch memory.
  Value partsOf(const Contraction &of, Value unit, Value split);
  /// All parts of one accumulator, in order.
  Value sumOfParts(const Contraction &of, Value unit, Value index);
  /// One step of the sum: a row of `b`, and an element of `a` for each of its rows.
  virtual SmallVector<Value> step(const Columns &columns, Value a, Value b, ArrayRef<Value> rowOffsets, ArrayRef<Value> sums);

  Value addProduct(Value sum, Value x, Value y);
  /// What a step reads of an operand: a vector for each register of the columns.
  SmallVector<Value> loadVectors(kernel::LoadOp of, const Columns &columns, Value base, bool padded = false);

  /// Memory of the function's frame: bounded by the plan, whatever the sizes.
  Value allocate(int64_t bytes);
  /// A register of sums from memory.
  Value loadVector(Value place);

  Emitter &e;
  const Contraction &c;
  ImplicitLocOpBuilder &b;
  kernel::NestOp nest;
  unsigned lanes;
  Type element, elementA, elementB; // of the sum, and of the operands in memory
  Type partOfWord;                  // of an operand that is read in words: what a word has two or four of
  AffineExpr placeA, placeB;
  Block *entry = nullptr; // of the open function
  /// What a step asks for, as an address less that of its vectors divided by 2^spread(); null: it asks for nothing.
  Value ahead;
  /// A step asks for the bytes of its vectors divided by this power of 2: all blocks of a panel together for a panel, each step
  /// for a line at most. 0 where the rows are walked through in strides: they miss the first level cache themselves, and to ask
  /// for lines all the time would hold them up (ResNet-50's 3 x 3 with steps of 2: 3.0 ms became 11).
  unsigned spread() const;

private:
  /// Two units of four cycles each.
  static constexpr unsigned busyAccumulators = 8;
  /// Panels that are read once are one run of memory. What lies `farther` on is asked for: across pages, which the hardware
  /// would not.
  void askFarther(Value place, unsigned steps);
  static constexpr int64_t farther = 2048;
  /// Eight registers of 16 rows of 64 bytes each.
  void configureTiles();
  Value widened(kernel::LoadOp of, Value value);
  /// A vector of words as the instructions that add up their products take it: one value, or pairs of i16 in two.
  using Word = SmallVector<Value, 2>;
  /// Whether the target has an instruction for words of u8 and i8.
  bool multipliesBytes();
  Word wordOf(kernel::LoadOp of, Value value);
  /// Adds the products of two vectors of words, word by word.
  Value addWords(Value sum, const Word &x, const Word &y);
};

} // namespace mlir::bigm::cpu
