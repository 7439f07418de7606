// How one nest runs: loop order, which loop is vectors, what is cut for threads. Decided from the nest and the target
// alone, so that code, scratch memory and the entry that launches the code agree.
#pragma once
#include "backends/cpu/Target.h"
#include "passes/Kernel.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::bigm::cpu {

struct Loop {
  unsigned dim;    // of the nest: expressions name it so
  AffineExpr size; // after joining
  llvm::SmallVector<unsigned, 2> joined = {}; // further dimensions that it runs through, outermost first, `dim` after them
};

struct Schedule {
  mutable kernel::NestOp nest; // a handle: its methods are not const
  /// The nest's expressions over its dimensions, after joining loops: for a load the linear place in elements, then the
  /// constraints of its guard; for an index the expression; for a test its constraints.
  llvm::DenseMap<Operation *, llvm::SmallVector<AffineExpr>> exprs;
  llvm::SmallVector<AffineExpr> stores; // the linear place of each result
  llvm::SmallVector<Loop> outer;        // parallel loops but the vector one, outermost first
  llvm::SmallVector<Loop> reduced;      // reduction loops but the vector one, outermost first
  std::optional<Loop> vector;           // no vector loop: scalar code
  bool vectorReduced = false;           // the vector loop is a reduction, combined across lanes at the end
  /// A nest that turns memory: it reads along these loops (outermost first, one contiguous run together) and writes
  /// along `vector`. Square blocks are turned in registers.
  llvm::SmallVector<Loop> turned;
  /// A nest that writes pairs: a loop of two whose halves come from two places. `vector` is written two elements apart, and
  /// its size is a multiple of the lanes; the innermost of `outer` is cut in blocks.
  std::optional<Loop> pair;
  static constexpr int64_t pairsBlock = 64; // iterations of it in one unit
  /// A copy whose vector loop is short, such as one into panels: loops that each unit goes through itself, so many iterations of
  /// each, outermost first. They are not in `outer`.
  struct Inside {
    Loop loop;
    int64_t block;
    AffineExpr blocks() const { return (loop.size + (block - 1)).floorDiv(block); }
  };
  llvm::SmallVector<Inside> inside;
  unsigned vectors = 1;                 // registers abreast in one block of a parallel vector loop of a reduction
  bool wholeRows = false;               // of a reduction whose guards move along the vector loop: a unit is all of it (Windows.h)
  static constexpr int64_t turnedBlock = 64; // elements each way of one unit of a nest that turns memory
  /// The product of the sizes of `turned`.
  AffineExpr turnedSize() const;
  AffineExpr block;                     // elements of the vector loop in one unit of parallel work
  unsigned splits = 1;                  // parts of the first reduction loop, combined in order afterwards
  AffineExpr inner;                     // units in one iteration of all loops of `outer`
  AffineExpr units;                     // of parallel work, without splits
  AffineExpr cost;                      // operations of the whole nest, roughly

  /// Bytes of scratch memory for the partial results of splits; 0 without.
  AffineExpr scratchBytes(const Target &target) const;
  /// Bytes of one accumulator register in scratch memory.
  unsigned accumulatorBytes(const Target &target) const;
};

Schedule schedule(kernel::NestOp nest, const Target &target);

/// Whether a load of a nest that turns memory is read along the loops `turned` rather than along the vector loop.
bool isTurned(const Schedule &schedule, kernel::LoadOp load);

/// The expressions and loops of a nest, loops of size 1 gone and nothing decided yet.
Schedule prepare(kernel::NestOp nest);
/// Joins neighbours among the loops where every expression moves through both as through one.
void joinLoops(Schedule &schedule, llvm::SmallVectorImpl<Loop> &loops);

/// Coefficient of a dimension when the expression is linear in it.
std::optional<AffineExpr> coefficientOf(AffineExpr expr, unsigned dim);
/// The number that an expression is.
std::optional<int64_t> constantOf(AffineExpr expr);
/// The size, or 128 for an open one: what plans count with.
int64_t guess(AffineExpr size);
/// Operations for one point of the nest, roughly; what is a polynomial counts as 15.
double operationCost(kernel::NestOp nest);

} // namespace mlir::bigm::cpu
