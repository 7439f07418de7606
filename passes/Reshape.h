// When a reshape is a view: no dimension of the operand is joined with another.
#pragma once
#include "mlir/IR/AffineExpr.h"
#include <optional>

namespace mlir::bigm {
/// For each dimension of the operand its index over the result's dimensions, when each group of dimensions that
/// correspond has at most one of the operand's that is not 1. Otherwise nothing: the index would need divisions.
std::optional<llvm::SmallVector<AffineExpr>> reshapeAsView(llvm::ArrayRef<AffineExpr> from,
                                                           llvm::ArrayRef<AffineExpr> to);
} // namespace mlir::bigm
