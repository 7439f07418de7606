// Offsets in an arena for buffers whose lifetimes are known.
#pragma once
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <optional>

namespace mlir::bigm {

/// A buffer alive from op `first` to op `last`, both included. Sizes and offsets in one unit, bytes or multiples.
struct Lifetime {
  int64_t bytes = 0;
  int first = 0, last = 0;
  int64_t offset = 0;
};

/// The most bytes that are alive at one time: no plan can need less.
int64_t liveBound(ArrayRef<Lifetime> buffers);

/// Gives every buffer an offset at which it meets none that lives at the same time, and returns the end of the last.
/// Dynamic storage allocation is NP-hard; this is first fit in several orders, then local search: of what reaches
/// highest, one buffer moves to the front of the order as long as that helps. The same input gives the same plan.
int64_t assignOffsets(MutableArrayRef<Lifetime> buffers);

/// The lowest offset at which the buffer meets none of those that have theirs and ends at `end` or before; nothing: there is none.
std::optional<int64_t> gapFor(ArrayRef<Lifetime> placed, const Lifetime &buffer, int64_t end);

} // namespace mlir::bigm
