// Kernel functions of one nest.
#pragma once
#include "backends/cpu/Emitter.h"

namespace mlir::bigm::cpu {

/// A function of a kernel and how often it is due: `units` calls' worth of range, of `cost` operations in all.
struct Launch {
  std::string function;
  AffineExpr units, cost;
};

/// Emits the functions of a nest under names that begin with `name`, into the module of the emitter's builder.
llvm::SmallVector<Launch> emitNest(Emitter &emitter, const std::string &name);

/// The same for a nest that turns memory: it reads along other loops than it writes.
llvm::SmallVector<Launch> emitTurned(Emitter &emitter, const std::string &name);

/// The same for a nest that writes pairs of what it reads from two places.
llvm::SmallVector<Launch> emitPairs(Emitter &emitter, const std::string &name);

/// As many vectors as each has lanes, turned: element j of vector i becomes element i of vector j.
llvm::SmallVector<Value> turnSquare(ImplicitLocOpBuilder &builder, llvm::SmallVector<Value> square);

} // namespace mlir::bigm::cpu
