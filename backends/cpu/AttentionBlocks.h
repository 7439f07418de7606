// What the kernels of attention are made of: blocks of products in registers, and matrices on the stack whose rows are
// `lanes` queries or keys abreast, one row for each element of a head or each position of the other side.
#pragma once
#include "backends/cpu/Attention.h"
#include "ir/Attention.h"

namespace mlir::bigm::cpu {

/// Scores below this are of hidden keys, which stand at `lowestScore`, or as low.
constexpr double hiddenBelow = -1e30;

class AttentionBlocks {
public:
  AttentionBlocks(Emitter &e, const AttentionPlan &plan);

protected:
  using Vectors = SmallVector<Value>;

  // Scalars and vectors.
  Value number(AffineExpr expr);
  Value real(double number);       // a splat
  Value least(Value a, Value b);   // of integers
  Value most(Value a, Value b);
  Value isBelow(Value a, Value b);
  Value fadd(Value a, Value b);
  Value fsub(Value a, Value b);
  Value fmul(Value a, Value b);
  Value fmax(Value a, Value b);
  Value scaled(Value x, double factor); // a number or a vector
  Value exp(Value x);
  Value readNumber(Value place); // f32
  Value readVector(Value place, Value mask = {});
  void write(Value value, Value place, Value mask = {});
  Value at(Value base, Value elements);
  Value at(Value base, int64_t elements) { return at(base, e.constant(elements)); }

  // Places.
  /// Memory of the function's own, in elements of f32.
  Value stack(int64_t elements);
  /// An input or result of head `h` of sequence `n`.
  struct Place {
    Value base, step; // of position 0, and from one position to the next
  };
  Place place(const AttentionTensor &tensor, Value n, Value h);
  /// What takes the place of a hidden score.
  Value hiddenScore();
  /// The bytes of the mask of sequence `n`, in elements of one byte.
  Place maskOf(Value n);
  Value at(Place place, Value position) { return at(place.base, e.mul(position, place.step)); }

  // Loops.
  void loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body);
  Vectors loop(Value from, Value to, int64_t step, ValueRange start,
               llvm::function_ref<Vectors(Value, ValueRange)> body);
  void when(Value condition, llvm::function_ref<void()> body);
  /// What `where` gives when the condition holds, else the values.
  Vectors choose(Value condition, const Vectors &otherwise, llvm::function_ref<Vectors()> where);
  /// Blocks of `plan.rows` among `count`; the last begins earlier and does some again. Single rows when there are fewer.
  void overRows(Value count, llvm::function_ref<void(Value row, unsigned rows)> body);
  /// The same with each row once.
  void overRowsOnce(Value count, llvm::function_ref<void(Value row, unsigned rows)> body);
  /// The elements of a head in blocks of nearly equal size.
  void overWidth(llvm::function_ref<void(Value first, unsigned rows)> body);

  /// sums[r][v] += a[r * rowStep + x * stepA] * b[x * stepB + v * lanes] over x below `count`. The last vector of b has
  /// the lanes of `mask`; `count` is a multiple of `together`, the terms of one step of the loop.
  Vectors multiply(Value a, Value rowStep, Value stepA, Value b, Value stepB, Value count, unsigned rows, Vectors sums,
                   Value mask = {}, unsigned together = 1);
  /// How many elements of a head one step of a loop over them takes.
  unsigned widthTogether() const;
  Vectors zeros(unsigned rows) { return Vectors(rows * attentionVectors, real(0)); }
  /// Row `row` of a matrix on the stack.
  Value rowOf(Value matrix, Value row) { return at(matrix, e.mul(row, e.constant(plan.lanes))); }
  void writeRows(Value matrix, Value row, const Vectors &values);
  /// Sets a matrix of one row for each element of a head to zero.
  void clear(Value matrix);

  /// matrix[d][lane] = scale * (element d of position first + lane); 0 in lanes from `count` on.
  void gather(Value matrix, Place from, Value first, Value count, double scale);
  /// The way back: (element d of position first + lane) = scale * matrix[d][lane] for lanes below `count`.
  void scatter(Value matrix, Place to, Value first, Value count, double scale);

  /// Goes through the lanes below `count` and `size` elements of each: by squares of registers, whose elements begin at
  /// `d` of the lanes from `lane` on, and one by one at the edges.
  void bySquares(Value count, Value size, llvm::function_ref<void(int64_t lane, Value d)> square,
                 llvm::function_ref<void(Value lane, Value d)> single);

  Emitter &e;
  const AttentionPlan &plan;
  ImplicitLocOpBuilder &b;
  int64_t registerLanes; // of one register
};

} // namespace mlir::bigm::cpu
