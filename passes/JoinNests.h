// Nests over the same points as one: second half of fuse-kernels.
//
// A pointwise nest joins the nest that feeds it (after a reduction or contraction it is the epilogue, applied while the
// values sit in registers), and nests that read the same tensors at the same points share the pass over memory.
// Everywhere both nests stand in one block, `earlier` first.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::kernel {

/// Why `later` may not join `earlier`, in words for the user of `--explain`; null when it may.
const char *obstacleToJoin(NestOp earlier, NestOp later);

/// Where the joined nest can stand: at the earlier one when all that the later one reads is there, or at the later
/// one when nothing needs the earlier one before. Null when neither.
NestOp placeOfJoined(NestOp earlier, NestOp later);

/// The nest that computes what both did and anyone else reads, instead of both. Only where nothing is in the way.
NestOp join(NestOp earlier, NestOp later);

} // namespace mlir::bigm::kernel
