// Panels for the tile registers of AMX, and the pieces in which f32 goes through them.
//
// The tiles multiply bf16 and sum in f32, one core at about 3 TFLOP/s, 16 times the speed of its f32 vectors. An f32 number
// is exactly the sum of three bf16: its upper 8 bits of significand, the next 8, the last 8. Of the nine products of two
// such sums the six largest are summed; what is left out is below 2^-21 of a product, less than the sums of f32 lose
// themselves. Six products of tiles for one of vectors leave a factor of 2.4 (the idea: Henry, Tang and Heinecke, Leveraging
// the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations, 2019). bf16 and int8 are one piece.
//
// Two things differ from sums of f32 vectors: a factor that is infinite gives NaN, since its later pieces are; and numbers
// below 2^-126 count as zeros.
#pragma once
#include "backends/cpu/EmitNest.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace mlir::bigm::cpu {

/// One operand in panels of 32: rows as [row / 32][sum / 32][piece][32][32], two tiles of 16 rows a piece; columns as
/// [column / 32][sum / 32][piece][2][16 pairs of the sum][16][2], since the instruction adds products of pairs. Panels end
/// in zeros. Weights of f32 that come from memory in every call lie whole, as [sum / 128][column / 32][128][32], in the order
/// in which a unit reads them, and are cut into pieces then: a third less to read.
struct Panels {
  bool columns = false;
  bool alongSum = false; // memory runs along the sum, not along rows or columns
  unsigned pieces = 1;

  static constexpr int64_t width = 32;                      // each way, of one step
  static constexpr int64_t lines = 16, lineBytes = 64;      // of a tile: rows, or pairs of the sum
  static constexpr int64_t tileBytes = lines * lineBytes;
  static constexpr int64_t pieceBytes = 2 * tileBytes;
  int64_t stepBytes() const { return pieces * pieceBytes; }
  /// Products of tiles for one of numbers: of pieces i and j, counted from the largest, those where i + j is a piece's number.
  static int64_t productsOf(int64_t rowPieces, int64_t columnPieces) {
    int64_t count = 0;
    for (int64_t i = 0; i < rowPieces; ++i)
      count += std::min(columnPieces, std::max(rowPieces, columnPieces) - i);
    return count;
  }

  /// Of columns that lie whole: steps of one panel that lie together.
  static constexpr int64_t stepsTogether = 4;

  /// Of the nest that packs: as an attribute.
  static constexpr llvm::StringLiteral attr{"panels"};
  void setOn(kernel::NestOp nest) const;
  static std::optional<Panels> of(kernel::NestOp nest);

  /// A unit of the nest that packs is so many blocks of 32 by 32 that lie side by side in memory.
  static constexpr int64_t blocksOfUnit = 4;
  AffineExpr units(kernel::NestOp nest) const;
  static constexpr int64_t operationsOfBlock = 2 * width * width; // two a number: whole vectors are cut
};

/// The pieces of f32 numbers, each in the upper half of a word.
llvm::SmallVector<Value> piecesOf(ImplicitLocOpBuilder &builder, Value numbers, unsigned pieces);
/// Words of two: the pieces of numbers at even places of the sum below those at odd ones.
llvm::SmallVector<Value> inPairs(ImplicitLocOpBuilder &builder, llvm::ArrayRef<Value> even, llvm::ArrayRef<Value> odd);

/// A nest that packs a panel.
llvm::SmallVector<Launch> emitPanels(Emitter &emitter, const Panels &panels, const std::string &name);

} // namespace mlir::bigm::cpu
