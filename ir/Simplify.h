// What the canonical forms of the dialect are put together from.
#pragma once

namespace mlir {
class RewritePatternSet;
}

namespace mlir::bigm {

/// Contractions with the views, reshapes and padding around them (SimplifyContract.cpp).
void addContractionPatterns(RewritePatternSet &patterns);

} // namespace mlir::bigm
