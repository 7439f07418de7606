// The register-blocked kernel of contractions.
//
// out[rows, vectors] += a[rows] (broadcast) * b[vectors]: one block of accumulators serves products of matrices, batched
// ones, convolutions and their gradients; only the places of a and b differ. The accumulators are carried by the
// reduction loops, so they never leave registers. A block of 14 rows x 2 vectors of AVX-512 runs near the peak; 16 x 2
// spills.
#pragma once
#include "backends/cpu/EmitNest.h"

namespace mlir::bigm::cpu {

struct Contraction {
  Schedule s;              // exprs and stores; its loops are not used
  mutable kernel::LoadOp a, b; // broadcast and vector operand
  bool vectorsOfA = false; // a runs along the vector dimension too (depthwise): it is loaded in vectors, not broadcast
  unsigned vectorDim = 0;
  AffineExpr vectorSize;
  unsigned lanes = 1;
  unsigned vectors = 1;    // abreast
  bool packed = false;     // b lies in panels of `vectors` registers (PackOperands.h)
  llvm::SmallVector<Loop> outer;    // parallel loops, outermost first, each unit one iteration
  std::optional<Loop> tiled;        // parallel loop cut into tiles of `tile` rows
  unsigned tile = 1;
  bool packedRows = false;          // a lies in panels of `tile` rows
  llvm::SmallVector<Loop> unrolled; // short parallel loops that lie whole in a block
  llvm::SmallVector<Loop> reduced;  // outermost first
  unsigned group = 0; // order of units: the vector operand is too large to be read for every tile, so that this many of its
                      // panels at a time serve all tiles from the second level cache; 0 when all of it does
  unsigned splits = 1;              // parts of the first reduction loop
  AffineExpr inner;                 // units in one iteration of all loops of `outer`, when there is no group
  AffineExpr units;                 // without splits
  AffineExpr cost;

  AffineExpr vectorBlocks() const; // registers abreast fill this many
  unsigned unrolledRows() const;
  unsigned rows() const { return tile * unrolledRows(); }
  AffineExpr scratchBytes(const Target &target) const;
};

/// Attribute of a load: its panels hold rows of a block, not columns.
constexpr const char *rowPanels = "row_panels";

/// The plan for a nest that is marked as a contraction; nothing when it has no dimension to run vectors along: then it
/// runs as any reduction.
std::optional<Contraction> planContraction(kernel::NestOp nest, const Target &target);

llvm::SmallVector<Launch> emitContraction(Emitter &emitter, const Contraction &plan, const std::string &name);

} // namespace mlir::bigm::cpu
