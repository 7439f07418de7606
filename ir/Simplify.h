// What the canonical forms of the dialect are put together from.
#pragma once
#include <optional>

namespace mlir {
class RewritePatternSet;
class Type;
}

namespace mlir::bigm {

/// Contractions with the views, reshapes and padding around them (SimplifyContract.cpp).
void addContractionPatterns(RewritePatternSet &patterns);
/// Choices between two numbers (SimplifyChoices.cpp).
void addChoicePatterns(RewritePatternSet &patterns);

/// Rounded to what the element type can hold; nothing when the number has no exact meaning there.
std::optional<double> roundedTo(Type element, double number);

} // namespace mlir::bigm
