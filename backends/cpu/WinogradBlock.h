// What the kernels of Winograd's filtering share: tiles of pictures read whole or at an edge, and transforms in registers.
#pragma once
#include "backends/cpu/Block.h"
#include "backends/cpu/Winograd.h"

namespace mlir::bigm::cpu {

class WinogradCode : protected BlockCode {
protected:
  using Matrix = std::vector<std::vector<double>>;

  WinogradCode(Emitter &e, const Contraction &c, const Window &window, const Filtering &filtering);

  /// The first place of a tile, in the dimensions of the nest; tiles run through pictures, lines of tiles, and these.
  SmallVector<Value> dimsOf(Value tile);

  /// A tensor of which squares of `side` x `side` pixels are transformed, `channels` numbers each, side by side.
  struct Picture {
    mutable kernel::LoadOp load;
    AffineExpr place;       // in elements
    unsigned axisY, axisX;  // of the tensor
    unsigned stepY, stepX;  // dimensions of the nest that go through the square
    int64_t side, channels; // of the square
    Value edge;             // memory for a square at an edge
    Value left = {};        // channels that there are, where they may be fewer; null: all
  };
  /// Elements that hold a pixel's channels in whole vectors.
  int64_t lineOf(int64_t channels) { return llvm::alignTo(channels, channelsAbreast); }
  /// Transforms the square at `dims` by `matrix` from both sides to `to`, where positions lie `position` elements apart. What
  /// lies outside of the picture is 0. The elements of `to` are those of `transformed`.
  void transform(const Picture &picture, ArrayRef<Value> dims, const Matrix &matrix, Value to, int64_t position);

  /// M x, M having the points as rows: the rows of p and -p differ in the signs of every other element.
  SmallVector<Value> timesRows(const Matrix &matrix, ArrayRef<Value> x);
  /// M x, M having the points as columns: powers of p and -p differ in sign or not at all.
  SmallVector<Value> timesColumns(const Matrix &matrix, ArrayRef<Value> x);
  /// M x M^T of points x points vectors, `at` says where each lies; the results go to `to`, a row after the other.
  void transformBack(const Matrix &matrix, llvm::function_ref<Value(int64_t)> at, Value to);

  /// Adds up `count` steps of a block: from each to the next `a` moves on by `stepA` elements and `b` by `stepB`; rows of `a`
  /// lie `apart`.
  SmallVector<Value> multiply(Value count, Value a, int64_t stepA, int64_t apart, Value b, int64_t stepB,
                              SmallVector<Value> sums);
  Value allocateElements(int64_t elements, Type type) { return allocate(elements * type.getIntOrFloatBitWidth() / 8); }

  Window window;
  Filtering filtering;
  int64_t points;
  Type transformed;        // elements of pictures in the kernel: f32, or i16 for those of eight bits
  int64_t channelsAbreast; // in a register of these

private:
  Value both(Value x, Value y);
  Value isInside(const Picture &picture, Value from, int64_t count, unsigned axis);
  /// As they lie in the picture.
  Value loadChannels(const Picture &picture, Value from, Value channel);
  Value sum(ArrayRef<double> factors, ArrayRef<Value> values);
  Value wholeSum(ArrayRef<double> factors, ArrayRef<Value> values);
  Value add(Value x, Value y);
  Value subtract(Value x, Value y);
};

} // namespace mlir::bigm::cpu
