// Slices of the batch: what treats the elements of a batch each for itself runs for a few of them at a time.
//
// A network over a whole batch writes every activation of all elements before the next layer reads the first: megabytes that have
// left the caches by then. Where nothing passes from one element to another, the entry may as well run for one slice of the batch
// after the other, and slices on several threads at once: each in scratch memory of its own, whose size no longer follows the
// batch, and threads meet once a call instead of after every kernel. The entry is the same code, called with a smaller size and
// other addresses (runtime/core/Slices.h); here is decided whether that is right and pays.
//
// A batch of long sequences gains as well: a slice is a few of them, which one core takes through all layers.
//
// Landmarks of face-api (examples/faces), one thread of Zen 3: 1.45 ms a face in a call of 1, 2.00 in a call of 50.
#pragma once
#include "backends/cpu/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/SymbolicArena.h"
#include <optional>
#include <vector>

namespace mlir::bigm::cpu {

/// A slice reads weights again. It has the fewest elements that make up for these, which depends on the other sizes of a call.
struct BatchSlices {
  unsigned symbol = 0; // of the function: the size of the batch
  int64_t weights = 1; // bytes
  /// What an element makes up for, in bytes: a polynomial in the other symbols.
  std::vector<BytesTerm> pays;

  /// The fewest elements of a slice, for sizes of all symbols: at least two (runtime/core/Manifest.h says why).
  int64_t each(ArrayRef<int64_t> sizes) const;
};

/// Of a planned function. Every input and output with the symbol in its shape has the batch outermost, and persistent tensors are
/// read alone.
std::optional<BatchSlices> batchSlicesOf(func::FuncOp func, const Target &target);

} // namespace mlir::bigm::cpu
