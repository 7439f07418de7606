// Where the elements of a nest lie.
#pragma once
#include "passes/Kernel.h"

namespace mlir::bigm::cpu {

/// The linear place of what a load reads and of a result's element, in elements, over the nest's dimensions.
AffineExpr placeOf(kernel::LoadOp load);
AffineExpr placeOf(kernel::NestOp nest, unsigned result);

} // namespace mlir::bigm::cpu
