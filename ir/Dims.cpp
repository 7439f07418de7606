// The normal form is built by expanding a size into {sorted atoms -> coefficient} and writing it back in the map's
// order. Atoms are symbols, and divisions and remainders of normal forms.
#include "ir/Dims.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// Order of expressions by structure, so that it does not depend on addresses.
int compare(AffineExpr a, AffineExpr b) {
  if (a == b)
    return 0;
  if (a.getKind() != b.getKind())
    return a.getKind() < b.getKind() ? -1 : 1;
  if (auto x = dyn_cast<AffineSymbolExpr>(a))
    return x.getPosition() < cast<AffineSymbolExpr>(b).getPosition() ? -1 : 1;
  if (auto x = dyn_cast<AffineDimExpr>(a))
    return x.getPosition() < cast<AffineDimExpr>(b).getPosition() ? -1 : 1;
  if (auto x = dyn_cast<AffineConstantExpr>(a))
    return x.getValue() < cast<AffineConstantExpr>(b).getValue() ? -1 : 1;
  auto x = cast<AffineBinaryOpExpr>(a), y = cast<AffineBinaryOpExpr>(b);
  if (int left = compare(x.getLHS(), y.getLHS()))
    return left;
  return compare(x.getRHS(), y.getRHS());
}

using Product = SmallVector<AffineExpr, 4>;
struct Less {
  bool operator()(const Product &a, const Product &b) const {
    if (a.size() != b.size())
      return a.size() > b.size(); // constants last
    for (auto [x, y] : llvm::zip(a, b))
      if (int order = compare(x, y))
        return order < 0;
    return false;
  }
};
using Sum = std::map<Product, int64_t, Less>;

void addTo(Sum &sum, const Product &product, int64_t coefficient) {
  auto [it, fresh] = sum.try_emplace(product, 0);
  it->second += coefficient;
  if (it->second == 0)
    sum.erase(it);
}

AffineExpr write(const Sum &sum, MLIRContext *context) {
  AffineExpr result = getAffineConstantExpr(0, context);
  for (auto &[product, coefficient] : sum) {
    AffineExpr term = getAffineConstantExpr(1, context);
    for (AffineExpr atom : product)
      term = term * atom;
    result = result + term * coefficient;
  }
  return result;
}

Sum expand(AffineExpr expr) {
  Sum sum;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    if (constant.getValue())
      sum[{}] = constant.getValue();
    return sum;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary) {
    sum[{expr}] = 1;
    return sum;
  }
  Sum left = expand(binary.getLHS()), right = expand(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    for (auto &[product, coefficient] : right)
      addTo(left, product, coefficient);
    return left;
  case AffineExprKind::Mul:
    for (auto &[a, x] : left)
      for (auto &[b, y] : right) {
        Product both = a;
        both.append(b.begin(), b.end());
        llvm::sort(both, [](AffineExpr p, AffineExpr q) { return compare(p, q) < 0; });
        addTo(sum, both, x * y);
      }
    return sum;
  case AffineExprKind::FloorDiv: {
    // What divides leaves the division: (4*N + 6) / 4 is N + 6/4 is N + 1.
    auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (by && by.getValue() > 0) {
      Sum rest;
      for (auto &[product, coefficient] : left)
        if (coefficient % by.getValue() == 0)
          addTo(sum, product, coefficient / by.getValue());
        else if (product.empty()) {
          int64_t floor = llvm::divideFloorSigned(coefficient, by.getValue());
          addTo(sum, product, floor);
          addTo(rest, product, coefficient - floor * by.getValue());
        } else
          addTo(rest, product, coefficient);
      bool onlyConstant = rest.empty() || (rest.size() == 1 && rest.begin()->first.empty());
      if (!onlyConstant)
        addTo(sum, {write(rest, expr.getContext()).floorDiv(by.getValue())}, 1);
      return sum;
    }
    break;
  }
  default:
    break;
  }
  AffineExpr whole = getAffineBinaryOpExpr(expr.getKind(), write(left, expr.getContext()),
                                           write(right, expr.getContext()));
  if (auto constant = dyn_cast<AffineConstantExpr>(whole))
    return expand(constant);
  sum[{whole}] = 1;
  return sum;
}
} // namespace

AffineExpr mlir::bigm::canonical(AffineExpr size) { return write(expand(size), size.getContext()); }

std::optional<int64_t> mlir::bigm::constantDifference(AffineExpr a, AffineExpr b) {
  if (auto constant = dyn_cast<AffineConstantExpr>(canonical(a - b)))
    return constant.getValue();
  return std::nullopt;
}

static AffineMapAttr encoding(Type type) {
  return dyn_cast_or_null<AffineMapAttr>(cast<RankedTensorType>(type).getEncoding());
}

SmallVector<AffineExpr> mlir::bigm::sizesOf(Type type) {
  if (AffineMapAttr map = encoding(type))
    return SmallVector<AffineExpr>(map.getValue().getResults());
  SmallVector<AffineExpr> sizes;
  for (int64_t size : cast<RankedTensorType>(type).getShape())
    sizes.push_back(getAffineConstantExpr(size, type.getContext()));
  return sizes;
}

unsigned mlir::bigm::symbolCount(Type type) {
  AffineMapAttr map = encoding(type);
  return map ? map.getValue().getNumSymbols() : 0;
}

RankedTensorType mlir::bigm::tensorType(ArrayRef<AffineExpr> sizes, unsigned symbols, Type element) {
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> exprs;
  bool dynamic = false;
  for (AffineExpr size : sizes) {
    exprs.push_back(canonical(size));
    auto constant = dyn_cast<AffineConstantExpr>(exprs.back());
    shape.push_back(constant ? constant.getValue() : ShapedType::kDynamic);
    dynamic |= !constant;
  }
  Attribute map;
  if (dynamic)
    map = AffineMapAttr::get(AffineMap::get(0, symbols, exprs, element.getContext()));
  return RankedTensorType::get(shape, element, map);
}

AffineExpr mlir::bigm::elementCount(Type type) {
  AffineExpr count = getAffineConstantExpr(1, type.getContext());
  for (AffineExpr size : sizesOf(type))
    count = count * size;
  return canonical(count);
}

RankedTensorType mlir::bigm::withElement(Type type, Type element) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), element, tensor.getEncoding());
}

RankedTensorType mlir::bigm::withoutDims(Type type, ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> kept;
  for (auto [i, size] : llvm::enumerate(sizesOf(type)))
    if (!llvm::is_contained(dims, int64_t(i)))
      kept.push_back(size);
  return tensorType(kept, symbolCount(type), cast<RankedTensorType>(type).getElementType());
}

bool mlir::bigm::sameShape(Type a, Type b) {
  auto x = cast<RankedTensorType>(a), y = cast<RankedTensorType>(b);
  return x.getShape() == y.getShape() && x.getEncoding() == y.getEncoding();
}

std::string mlir::bigm::malformed(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.hasStaticShape())
    return tensor.getEncoding() ? "a tensor without dynamic dimensions has no encoding" : "";
  AffineMapAttr map = encoding(type);
  if (!map)
    return "a tensor with dynamic dimensions needs an affine map of its sizes as encoding";
  if (map.getValue().getNumDims() || map.getValue().getNumResults() != tensor.getRank())
    return "the encoding has no dimensions and one size for each dimension of the tensor";
  for (auto [size, expr] : llvm::zip(tensor.getShape(), map.getValue().getResults())) {
    auto constant = dyn_cast<AffineConstantExpr>(expr);
    if (constant ? constant.getValue() != size : size != ShapedType::kDynamic)
      return "the encoding gives a constant exactly for the static dimensions";
    if (canonical(expr) != expr)
      return "a size of the encoding is not in normal form";
  }
  return "";
}

std::optional<unsigned> Linear::asDim() const {
  std::optional<unsigned> dim;
  if (offset)
    return std::nullopt;
  for (auto [i, coefficient] : llvm::enumerate(coefficients)) {
    if (!coefficient)
      continue;
    if (dim || coefficient != 1)
      return std::nullopt;
    dim = i;
  }
  return dim;
}

AffineExpr Linear::expr(MLIRContext *context) const {
  AffineExpr result = getAffineConstantExpr(0, context);
  for (auto [i, coefficient] : llvm::enumerate(coefficients))
    if (coefficient)
      result = result + getAffineDimExpr(i, context) * coefficient;
  return result + offset;
}

std::optional<Linear> mlir::bigm::linear(AffineExpr expr, unsigned dims) {
  Linear result{SmallVector<int64_t>(dims, 0), 0};
  for (auto &[product, coefficient] : expand(expr)) {
    if (product.empty()) {
      result.offset = coefficient;
      continue;
    }
    auto dim = dyn_cast<AffineDimExpr>(product.front());
    if (product.size() != 1 || !dim)
      return std::nullopt;
    result.coefficients[dim.getPosition()] = coefficient;
  }
  return result;
}

std::optional<SmallVector<Linear>> mlir::bigm::linear(AffineMap map) {
  SmallVector<Linear> result;
  for (AffineExpr expr : map.getResults()) {
    std::optional<Linear> one = map.getNumSymbols() ? std::nullopt : linear(expr, map.getNumDims());
    if (!one)
      return std::nullopt;
    result.push_back(*one);
  }
  return result;
}
