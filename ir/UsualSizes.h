// What a function mostly gets.
#pragma once
#include "llvm/ADT/StringRef.h"

namespace mlir::bigm::attrs {
/// On a function: of each of its symbols (`bigm.symbols`) the size that calls mostly have; 0 where that is not known. Any other size is as
/// right; memory is planned for these.
constexpr llvm::StringLiteral usual("bigm.usual_sizes");
} // namespace mlir::bigm::attrs
