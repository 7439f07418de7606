// Plans of contractions, one file each (ChooseBlock.cpp, ChooseTiles.cpp, ChooseDepthwise.cpp), and what they share.
#pragma once
#include "backends/cpu/Contraction.h"
#include "backends/cpu/Target.h"

namespace mlir::bigm::cpu {

/// Panels of one unit; why so many is said at the rows of a unit.
constexpr unsigned mostPanels = 16;

/// A block that was tried; the best score wins.
struct Candidate {
  double score = 0;
  int tiled = -1; // which loop of rows
  unsigned tile = 1, vectors = 1;
  llvm::SmallVector<unsigned> unrolled; // loops that lie whole in it
};

/// Coefficient as a number; symbolic ones count as large.
int64_t stepOf(AffineExpr expr, unsigned dim);
/// Whether a loop moves the first operand alone.
inline bool makesRows(const Loop &loop, AffineExpr placeA, AffineExpr placeB) {
  return stepOf(placeA, loop.dim) != 0 && stepOf(placeB, loop.dim) == 0;
}
/// Rows that one tile of a loop may have: all from half of `most` on; what is left at the end costs, so that a divisor wins
/// among equals.
llvm::SmallVector<unsigned> tilesOf(AffineExpr size, unsigned most);
/// How well a block of so many accumulators hides its loads behind the arithmetic: the smaller, the more loads a step.
/// Fewer than 8 leave the two units of four cycles each idle, which the count of cycles says.
double speedOf(unsigned accumulators, unsigned most);
/// The share of lanes that count, and the block's width against that of the columns.
double lanesUsed(AffineExpr columns, unsigned vectors, const Target &target);
/// Units when every open size is 1.
int64_t leastUnits(const Contraction &c);
/// Multiplications in all.
double products(const Contraction &c);
/// Sets `inner` and `units`, which follow from the blocks of a unit and the loops around.
void countUnits(Contraction &c);

/// Nothing where no dimension can run in vectors.
std::optional<Contraction> planBlocks(kernel::NestOp nest, const Target &target);
/// For one whose operands lie in panels for AMX: what moves only the first makes the rows.
Contraction planTiles(kernel::NestOp nest, const Target &target);

/// Blocks of a contraction whose operands both run along the vector: a is loaded in vectors. Its outer loops become rows and
/// unrolled ones; `fitsWidth` says whether so many vectors may stand abreast.
void chooseDepthwiseBlock(Contraction &c, AffineExpr placeA, AffineExpr placeB, const Target &target,
                          llvm::function_ref<bool(unsigned)> fitsWidth);
void chooseDepthwiseUnit(Contraction &c);

} // namespace mlir::bigm::cpu
