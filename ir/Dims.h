// Symbolic dimensions of tensor types.
//
// A type with dynamic dimensions carries an affine map `()[s0, ...] -> (size of each dimension)` over the symbols of the
// enclosing function. Sizes are kept in one normal form (a sum of integer multiples of products of symbols and floor
// divisions, in a fixed order), so that equal sizes are equal expressions and shapes compare as types do.
#pragma once
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinTypes.h"
#include <optional>

namespace mlir {
class AffineMap;
namespace bigm {

/// The normal form of a size.
AffineExpr canonical(AffineExpr size);
/// a - b when that is a number.
std::optional<int64_t> constantDifference(AffineExpr a, AffineExpr b);

/// Sizes of the dimensions, constants where static.
llvm::SmallVector<AffineExpr> sizesOf(Type type);
/// How many symbols the type's encoding is over; 0 without an encoding.
unsigned symbolCount(Type type);
/// The tensor type with these sizes over `symbols` symbols.
RankedTensorType tensorType(llvm::ArrayRef<AffineExpr> sizes, unsigned symbols, Type element);
/// The product of the sizes.
AffineExpr elementCount(Type type);

/// Same shape, other element type.
RankedTensorType withElement(Type type, Type element);
/// Without some dimensions (ascending).
RankedTensorType withoutDims(Type type, llvm::ArrayRef<int64_t> dims);
/// Same number of dimensions and equal sizes.
bool sameShape(Type a, Type b);
/// Why the type is no well-formed bigm tensor, or empty.
std::string malformed(Type type);

/// A linear expression: `coefficients[i]` times dimension i, plus `offset`.
struct Linear {
  llvm::SmallVector<int64_t> coefficients;
  int64_t offset = 0;
  /// The dimension when the expression is exactly one dimension.
  std::optional<unsigned> asDim() const;
  AffineExpr expr(MLIRContext *context) const;
};
/// Nothing when the expression is not linear in the dimensions or has symbols.
std::optional<Linear> linear(AffineExpr expr, unsigned dims);
/// All results of a map; nothing when one is not linear.
std::optional<llvm::SmallVector<Linear>> linear(AffineMap map);

} // namespace bigm
} // namespace mlir
