// The dialect object, and the small helpers that more than one of its sources uses.
#include "ir/Bigm.h"
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace mlir::bigm;

#include "ir/BigmDialect.cpp.inc"
#include "ir/BigmInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "ir/BigmOps.cpp.inc"

void BigmDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "ir/BigmOps.cpp.inc"
      >();
}

void ConstantOp::build(OpBuilder &builder, OperationState &state, Type type, double number) {
  build(builder, state, type, formula::element(cast<RankedTensorType>(type).getElementType(), number));
}

double ConstantOp::getDouble() {
  if (auto number = dyn_cast<FloatAttr>(getNumber()))
    return number.getValueAsDouble();
  auto number = cast<IntegerAttr>(getNumber());
  if (number.getType().isInteger(1))
    return number.getValue().getBoolValue();
  return number.getType().isUnsignedInteger() ? double(number.getValue().getZExtValue())
                                              : double(number.getValue().getSExtValue());
}

unsigned mlir::bigm::symbolCount(Operation *function) {
  auto names = function->getAttrOfType<ArrayAttr>(attrs::symbols);
  return names ? names.size() : 0;
}

std::optional<double> mlir::bigm::splatNumber(Value value) {
  if (auto op = value.getDefiningOp<ConstantOp>())
    return op.getDouble();
  return std::nullopt;
}

Value mlir::bigm::constant(OpBuilder &builder, Location loc, Type type, double number) {
  return ConstantOp::create(builder, loc, type, number);
}

// ---------------------------------------------------------------- interfaces that need no formula

Value CastOp::emitScalar(OpBuilder &builder, Location loc, ValueRange operands) {
  return formula::convert(builder, loc, operands[0], cast<RankedTensorType>(getX().getType()).getElementType(),
                          getType().getElementType());
}

double CastOp::evaluate(ArrayRef<double> operands) {
  return getType().getElementType().isInteger(1) ? operands[0] != 0 : operands[0];
}

unsigned CastOp::elementCost() { return 1; }

Value ContractOp::lhsValue() { return getLhs(); }
Value ContractOp::rhsValue() { return getRhs(); }
AffineMap ContractOp::lhsIndexing() { return getLhsMap(); }
AffineMap ContractOp::rhsIndexing() { return getRhsMap(); }
SmallVector<int64_t> ContractOp::reducedShape() {
  SmallVector<int64_t> shape;
  for (AffineExpr size : getReduced().getResults()) {
    auto constant = dyn_cast<AffineConstantExpr>(size);
    shape.push_back(constant ? constant.getValue() : ShapedType::kDynamic);
  }
  return shape;
}
SmallVector<AffineExpr> ContractOp::iterationSizes() {
  SmallVector<AffineExpr> sizes = sizesOf(getType());
  llvm::append_range(sizes, getReduced().getResults());
  return sizes;
}

// ---------------------------------------------------------------- builders of adjoints

Value mlir::bigm::buildBroadcast(OpBuilder &builder, Location loc, Value x, ArrayRef<int64_t> dims,
                                 RankedTensorType result) {
  if (dims.empty())
    return x;
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < result.getRank(); ++i)
    if (!llvm::is_contained(dims, i))
      indices.push_back(builder.getAffineDimExpr(i));
  return ViewOp::create(builder, loc, result, x, AffineMap::get(result.getRank(), 0, indices, builder.getContext()));
}

Value mlir::bigm::buildPlainFold(OpBuilder &builder, Location loc, Value x, AffineMap map, RankedTensorType result) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<Linear> indices = *linear(map);

  // Dimensions that move no index are summed away.
  SmallVector<int64_t> unused;
  SmallVector<unsigned> kept;
  for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
    if (llvm::all_of(indices, [&](const Linear &index) { return index.coefficients[dim] == 0; }))
      unused.push_back(dim);
    else
      kept.push_back(dim);
  if (!unused.empty()) {
    x = ReduceSumOp::create(builder, loc, x, unused);
    type = cast<RankedTensorType>(x.getType());
    for (Linear &index : indices) {
      SmallVector<int64_t> coefficients;
      for (unsigned dim : kept)
        coefficients.push_back(index.coefficients[dim]);
      index.coefficients = coefficients;
    }
  }
  SmallVector<AffineExpr> sizes = sizesOf(type), wanted = sizesOf(result);

  // Each index a dimension of its own (times a stride, plus an offset), or 0 where the result has one element:
  // a transpose, then a pad.
  SmallVector<AffineExpr> between; // sizes after the transpose
  SmallVector<int64_t> low, high, interior;
  unsigned used = 0;
  bool plain = true;
  for (unsigned i = 0; i < indices.size() && plain; ++i) {
    std::optional<unsigned> dim;
    unsigned terms = 0;
    for (auto [d, coefficient] : llvm::enumerate(indices[i].coefficients))
      if (coefficient)
        dim = d, ++terms;
    int64_t stride = dim ? indices[i].coefficients[*dim] : 1;
    AffineExpr size = dim ? sizes[*dim] : builder.getAffineConstantExpr(1);
    std::optional<int64_t> rest = constantDifference(wanted[i], (size - 1) * stride + 1 + indices[i].offset);
    plain = terms <= 1 && stride > 0 && rest;
    if (!plain)
      break;
    used += terms;
    between.push_back(size);
    low.push_back(indices[i].offset);
    high.push_back(*rest);
    interior.push_back(stride - 1);

  }
  // Every dimension of x must be taken exactly once.
  SmallVector<AffineExpr> order(sizes.size());
  if (plain && used == sizes.size()) {
    for (unsigned i = 0; i < indices.size(); ++i)
      for (auto [d, coefficient] : llvm::enumerate(indices[i].coefficients))
        if (coefficient)
          order[d] = builder.getAffineDimExpr(i);
    plain = llvm::all_of(order, [](AffineExpr expr) { return bool(expr); });
  } else {
    plain = false;
  }
  if (!plain) {
    if (unused.empty())
      return {};
    SmallVector<AffineExpr> exprs;
    for (Linear &index : indices)
      exprs.push_back(index.expr(builder.getContext()));
    return FoldOp::create(builder, loc, result, x, AffineMap::get(sizes.size(), 0, exprs, builder.getContext()));
  }
  auto transposed = AffineMap::get(between.size(), 0, order, builder.getContext());
  if (!transposed.isIdentity())
    x = ViewOp::create(builder, loc,
                       tensorType(between, std::max(symbolCount(type), symbolCount(result)), type.getElementType()), x,
                       transposed);
  auto nonzero = [](int64_t n) { return n != 0; };
  if (llvm::any_of(low, nonzero) || llvm::any_of(high, nonzero) || llvm::any_of(interior, nonzero)) {
    Value zero = constant(builder, loc, RankedTensorType::get({}, type.getElementType()), 0);
    x = PadOp::create(builder, loc, result, x, zero, low, high, interior);
  }
  return x;
}

Value mlir::bigm::buildFold(OpBuilder &builder, Location loc, Value x, AffineMap map, RankedTensorType result) {
  if (Value plain = buildPlainFold(builder, loc, x, map, result))
    return plain;
  return FoldOp::create(builder, loc, result, x, map);
}
