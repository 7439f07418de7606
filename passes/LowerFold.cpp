// A fold, the adjoint of a view, as sums: every element of the result looks for those of the operand that reach it, so that
// nothing is written twice and threads share nothing.
#include "passes/LowerOps.h"
#include <limits>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

static int64_t extentGuess(AffineExpr size) {
  auto constant = dyn_cast<AffineConstantExpr>(size);
  return constant ? constant.getValue() : std::numeric_limits<int64_t>::max();
}
/// Windows that tile, `c*p + q` with q < c: the dimension q, else -1.
static int tiles(const Linear &place, int pivot, ArrayRef<AffineExpr> sizes, ArrayRef<unsigned> users) {
  if (pivot < 0 || place.offset != 0)
    return -1;
  int other = -1;
  for (unsigned j = 0; j < sizes.size(); ++j)
    if (place.coefficients[j] && int(j) != pivot) {
      if (other >= 0)
        return -1;
      other = j;
    }
  bool exact = other >= 0 && place.coefficients[other] == 1 && users[other] == 1 &&
               extentGuess(sizes[other]) == place.coefficients[pivot] && place.coefficients[pivot] > 1;
  return exact ? other : -1;
}

/// The adjoint of a view. For each dimension of the result one dimension of x (the pivot) follows from the place and
/// the other dimensions of x, over which the nest sums; places that no element reaches fail the guard.
Value kernel::lowerFold(NestBuilder &b, FoldOp op) {
  SmallVector<AffineExpr> from = sizesOf(op.getX().getType()), to = sizesOf(op.getType());
  SmallVector<Linear> places = *linear(op.getMap());
  unsigned rank = to.size();
  SmallVector<unsigned> users(from.size());
  for (Linear &place : places)
    for (unsigned j = 0; j < from.size(); ++j)
      users[j] += place.coefficients[j] != 0;

  // Reduced dimensions come after those of the result; `value[j]` is dimension j of x in the nest's terms.
  SmallVector<AffineExpr> value(from.size());
  SmallVector<int> pivot(rank, -1);
  for (unsigned k = 0; k < rank; ++k)
    for (unsigned j = 0; j < from.size(); ++j)
      if (places[k].coefficients[j] != 0 && users[j] == 1 &&
          (pivot[k] < 0 || extentGuess(from[j]) > extentGuess(from[pivot[k]])))
        pivot[k] = j;
  SmallVector<AffineExpr> reduced, constraints;
  SmallVector<bool> equalities;
  for (unsigned k = 0; k < rank; ++k)
    if (int other = tiles(places[k], pivot[k], from, users); other >= 0)
      value[other] = b.dim(k) % places[k].coefficients[pivot[k]];
  for (unsigned j = 0; j < from.size(); ++j)
    if (!llvm::is_contained(pivot, int(j)) && !value[j]) {
      value[j] = b.dim(rank + reduced.size());
      reduced.push_back(from[j]);
    }
  for (unsigned k = 0; k < rank; ++k) {
    AffineExpr rest = b.dim(k) - places[k].offset;
    bool tiled = tiles(places[k], pivot[k], from, users) >= 0;
    for (unsigned j = 0; j < from.size(); ++j)
      if (int64_t c = places[k].coefficients[j]; c && int(j) != pivot[k] && !tiled)
        rest = rest - value[j] * c;
    if (pivot[k] < 0) {
      constraints.push_back(rest), equalities.push_back(true);
      continue;
    }
    int64_t c = places[k].coefficients[pivot[k]];
    if (c < 0)
      rest = -rest, c = -c;
    AffineExpr solved = rest.floorDiv(c);
    value[pivot[k]] = solved;
    if (c > 1 && !tiled)
      constraints.push_back(rest % c), equalities.push_back(true);
    bool identity = c == 1 && rest == b.dim(k) && canonical(from[pivot[k]]) == canonical(to[k]);
    if (!identity && !tiled)
      constraints.push_back(rest), equalities.push_back(false);
    if (!identity)
      constraints.push_back(from[pivot[k]] - 1 - solved), equalities.push_back(false);
  }
  auto body = [&](unsigned dims) {
    Value otherwise = constraints.empty() ? Value() : b.zero(scalarType(op.getType()));
    return b.load(op.getX(), dims, value, {}, constraints, equalities, otherwise);
  };
  if (reduced.empty())
    return b.pointwise(op.getType(), body);
  return b.reduction(op.getType(), reduced, "sum", scalarType(op.getType()), body).getResult(0);
}
