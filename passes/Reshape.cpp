#include "passes/Reshape.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;

/// A number that orders products of sizes: symbols stand for large, different numbers.
static double magnitude(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return double(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return 1e4 + 977 * symbol.getPosition();
  auto binary = cast<AffineBinaryOpExpr>(expr);
  double left = magnitude(binary.getLHS()), right = magnitude(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return left + right;
  case AffineExprKind::Mul:
    return left * right;
  case AffineExprKind::FloorDiv:
    return left / right;
  default:
    return right;
  }
}

static bool isOne(AffineExpr size) {
  auto constant = dyn_cast<AffineConstantExpr>(size);
  return constant && constant.getValue() == 1;
}

std::optional<SmallVector<AffineExpr>> bigm::reshapeAsView(ArrayRef<AffineExpr> from, ArrayRef<AffineExpr> to) {
  if (from.empty())
    return SmallVector<AffineExpr>();
  MLIRContext *context = from[0].getContext();
  AffineExpr one = getAffineConstantExpr(1, context), zero = getAffineConstantExpr(0, context);
  SmallVector<AffineExpr> indices(from.size(), zero);
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // The smallest group of equal products.
    size_t firstFrom = i, firstTo = j;
    AffineExpr left = one, right = one;
    if (i < from.size())
      left = canonical(from[i++]);
    while (left != right) {
      bool growLeft = magnitude(left) < magnitude(right);
      if (growLeft ? i == from.size() : j == to.size())
        return std::nullopt;
      AffineExpr &side = growLeft ? left : right;
      side = canonical(side * (growLeft ? from[i++] : to[j++]));
    }
    if (i == from.size()) // what is left of the result are ones
      j = to.size();
    int only = -1;
    for (size_t k = firstFrom; k < i; ++k)
      if (!isOne(from[k])) {
        if (only >= 0)
          return std::nullopt;
        only = int(k);
      }
    if (only < 0)
      continue;
    AffineExpr index = zero;
    for (size_t k = firstTo; k < j; ++k)
      index = isOne(to[k]) ? index : index * to[k] + getAffineDimExpr(k, context);
    indices[only] = canonical(index);
  }
  return indices;
}
