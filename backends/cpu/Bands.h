// Bands: kernels that pass rows on to each other while these are near.
//
// A convolution of 1 x 1 that widens a picture writes megabytes, and the window that follows reads them again; together they are
// far beyond a core's own cache. A chain (Chains.h) cannot help: a window needs rows of its neighbours. So a band runs the
// kernels row by row of the last one's result. Whatever the next row needs and is not there is made first; rows wait in a buffer
// on the stack, and what several rows need (the halo of a window) moves to its front when it is full. A thread that begins
// somewhere makes the halo of its first row anew, from the same numbers by the same code: the results have the same bits for any
// number of threads. What passes between the kernels has no place in memory.
//
// The first six convolutions of MobileNetV2 on a picture of 224 x 224, one thread of Zen 3: 1.79 ms in six kernels, 1.50 in a band.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Band.h"

namespace mlir::bigm::cpu {

/// What `kernel::bandAttr` says: [dimensions, rows kept], besides the number in `kernel::chainAttr`. The dimensions are the
/// outermost of the result in memory; the band runs through them, the last of them is that of rows, and the kernel does one
/// row a call.
struct BandPart {
  unsigned dims = 0;
  int64_t kept = 0; // rows of the result that the buffer holds; 0 of the last kernel, whose result has a place in memory
};
std::optional<BandPart> bandOf(kernel::NestOp nest);
/// The dimensions of a nest that its band runs through, outermost first; none without a band.
SmallVector<unsigned> bandDims(kernel::NestOp nest);
/// Whether a tensor is passed on inside of a band: it has no place in memory.
bool isPassedOn(Value tensor);

/// Rows of what a kernel of a band reads from the one before: for its row r the rows [r * step + from, r * step + from + count).
struct RowWindow {
  int64_t step = 1, from = 0, count = 1;
};
/// Of `nest`, in `tensor`, which the kernel before it passes on. Rows count from the first of the margins.
std::optional<RowWindow> windowOf(kernel::NestOp nest, Value tensor);
/// Bytes from a row to the next in a tensor that is passed on.
int64_t rowBytes(kernel::NestOp maker);

/// Marks bands. Runs after padInPlace, and before panels are packed: their width is that of the block for one row.
void findBands(func::FuncOp func, const Target &target);
/// Puts the nests of each band beside each other; a band that lost one (work that depends on weights alone went away) is none.
/// Returns a number that no band has, nor has one after it.
int64_t gatherBands(func::FuncOp func, const Target &target);

} // namespace mlir::bigm::cpu
