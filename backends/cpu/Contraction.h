// The register-blocked kernel of contractions.
//
// out[rows, vectors] += a[rows] (broadcast) * b[vectors]: one block of accumulators serves products of matrices, batched
// ones, convolutions and their gradients; only the places of a and b differ. The accumulators are carried by the
// reduction loops, so they never leave registers. A block of 6 rows x 2 vectors of AVX2 runs at 92 % of the peak.
//
// Around the block stand loops in the order of Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication,
// 2008), for the same reason: a unit of work is `tiles` blocks of rows by `panels` blocks of columns, and passes over it
// once for each chunk of the sum, short enough for the chunk of all tiles and of a panel to stay in the second level cache
// while all panels go over it, and where blocks have few rows, that of a panel in the first while all tiles do. What is
// summed so far waits on the stack.
#pragma once
#include "backends/cpu/EmitNest.h"

namespace mlir::bigm::cpu {

struct Contraction {
  Schedule s;                  // exprs and stores; its loops are not used
  mutable kernel::LoadOp a, b; // broadcast and vector operand
  bool vectorsOfA = false;     // a runs along the vector dimension too (depthwise): it is loaded in vectors, not broadcast
  bool onTiles = false;        // both lie in panels for AMX (Panels.h): blocks are 32 x 32, a step of the sum is 32
  unsigned piecesA = 1, piecesB = 1; // of a number in them
  bool wholeB = false;               // numbers of b lie whole and are cut into pieces as a unit reads them
  unsigned winograd = 0;       // the side of a tile, by Winograd's filtering (Winograd.h): `rows` run through tiles
  unsigned positions = 1;      // of its transform, when sums of all of them wait in scratch memory
  bool onDots = false;         // both are read in words, pairs of bf16 or four of eight bits (PackDots.cpp), a step of the sum each
  unsigned vectorDim = 0;
  AffineExpr vectorSize;
  unsigned lanes = 1;
  unsigned vectors = 1;             // abreast
  bool packed = false;              // b lies in panels of `vectors` registers (PackOperands.h)
  llvm::SmallVector<Loop> outer;    // parallel loops, outermost first, each unit one iteration
  llvm::SmallVector<Loop> rows;     // parallel loops that make the rows, run through as one, outermost first; one at most
                                    // with vectorsOfA and with packedRows
  unsigned tile = 1;                // rows of a block
  bool packedRows = false;          // a lies in panels of `tile` rows
  llvm::SmallVector<Loop> unrolled; // with vectorsOfA: short parallel loops that lie whole in a block
  bool window = false;              // with vectorsOfA: the innermost loop of the sum is one step, which loads once what rows share
  llvm::SmallVector<Loop> reduced;  // outermost first
  unsigned tiles = 1, panels = 1;   // blocks of one unit, along rows and along columns
  unsigned chunkDepth = 0;          // loop of the sum that is cut in chunks
  int64_t chunk = 0;                // iterations of it that are one chunk; 0 when the sum is one
  unsigned splits = 1;              // parts of the first reduction loop
  AffineExpr inner;                 // units in one iteration of all loops of `outer`
  AffineExpr units;                 // without splits
  AffineExpr cost;

  int64_t width() const { return int64_t(vectors) * lanes; }
  AffineExpr rowCount() const; // of all loops of `rows`
  AffineExpr rowBlocks() const, columnBlocks() const; // of units
  unsigned unrolledRows() const;
  /// Steps of the sum in one pass; open sizes count as long.
  int64_t stepsOfPass() const;
  /// Accumulators of one unit.
  int64_t accumulators() const { return int64_t(tiles) * panels * tile * unrolledRows() * vectors * positions; }
  /// Bytes of one in scratch memory.
  int64_t accumulatorBytes() const;
  AffineExpr scratchBytes() const;
};

/// Rows of a block. The places of twelve do not all fit the scalar registers, but to read two of them again costs a port
/// that stands idle half the time.
constexpr unsigned mostRows = 12;
/// Units that keep the cores of a common machine busy, and the multiplications below which a unit is not worth handing out.
constexpr int64_t enoughUnits = 32, leastWork = 128 * 1024;

/// Attribute of a load: its panels hold rows of a block, not columns.
constexpr const char *rowPanels = "row_panels";
/// Attribute of a contraction whose operands lie in panels for AMX (Panels.h): which load is that of the columns, the
/// pieces of rows and of columns, and whether the columns' numbers lie whole.
constexpr const char *onTilesAttr = "on_tiles";
/// Attribute of a contraction of bf16 or of eight bits whose operands are read in words: the dimension of the sum along which the
/// steps of a word are one.
constexpr const char *onDotsAttr = "on_dots";
/// Attribute of a load whose last index is the place in a word, and the one before it that in a panel of columns.
constexpr const char *wordPanels = "word_panels";
/// Elements of an operand in a word of 32 bits.
inline int64_t elementsInWord(kernel::LoadOp load) { return 32 / load.getType().getIntOrFloatBitWidth(); }
/// Whether an operand of eight bits is widened without a sign.
bool isUnsigned(kernel::LoadOp load);

/// The plan for a nest that is marked as a contraction; nothing when it has no dimension to run vectors along: then it
/// runs as any reduction.
std::optional<Contraction> planContraction(kernel::NestOp nest, const Target &target);

llvm::SmallVector<Launch> emitContraction(Emitter &emitter, const Contraction &plan, const std::string &name);
/// The same for one with vectorsOfA.
llvm::SmallVector<Launch> emitDepthwise(Emitter &emitter, const Contraction &plan, const std::string &name);

} // namespace mlir::bigm::cpu
