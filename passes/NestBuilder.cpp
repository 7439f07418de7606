#include "passes/NestBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm::kernel;

Value NestBuilder::load(Value tensor, unsigned dims, ArrayRef<AffineExpr> indices, ValueRange at,
                        ArrayRef<AffineExpr> constraints, ArrayRef<bool> equalities, Value otherwise) {
  auto map = AffineMap::get(dims, symbols + at.size(), indices, builder.getContext());
  IntegerSetAttr inside;
  if (!constraints.empty())
    inside = IntegerSetAttr::get(IntegerSet::get(dims, symbols + at.size(), constraints, equalities));
  return LoadOp::create(builder, loc, scalarType(tensor.getType()), tensor, at, inside ? otherwise : Value(),
                        AffineMapAttr::get(map), inside);
}

Value NestBuilder::loadSame(Value tensor, unsigned dims) {
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < cast<RankedTensorType>(tensor.getType()).getRank(); ++i)
    indices.push_back(dim(i));
  return load(tensor, dims, indices);
}

Value NestBuilder::index(AffineExpr expr, unsigned dims) {
  return IndexOp::create(builder, loc, builder.getI64Type(), AffineMap::get(dims, symbols, expr));
}

Value NestBuilder::scalar(TypedAttr value) {
  if (auto integer = dyn_cast<IntegerAttr>(value); integer && integer.getType().isUnsignedInteger())
    value = builder.getIntegerAttr(builder.getIntegerType(integer.getValue().getBitWidth()), integer.getValue());
  return arith::ConstantOp::create(builder, loc, value);
}
