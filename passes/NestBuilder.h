// What the lowerings of ops to nests are made of: nests around one element's computation, and reads of elements.
#pragma once
#include "ir/Bigm.h"
#include "passes/Kernel.h"

namespace mlir::bigm::kernel {

struct NestBuilder {
  NestBuilder(MLIRContext *context, unsigned symbols) : builder(context), symbols(symbols) {}

  AffineExpr dim(unsigned i) { return builder.getAffineDimExpr(i); }
  AffineExpr number(int64_t value) { return builder.getAffineConstantExpr(value); }

  /// A nest without reduction whose elements `body` computes, given the number of dimensions.
  template <class Body> Value pointwise(Type result, Body body) {
    SmallVector<AffineExpr> sizes = sizesOf(result);
    NestOp nest = createNest(builder, loc, result, sizes, symbols, sizes.size());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&nest.getBody().front());
    Value element = body(unsigned(sizes.size()));
    YieldOp::create(builder, loc, element);
    return nest.getResult(0);
  }
  /// A reduction over the dimensions that follow those of the result.
  template <class Body>
  NestOp reduction(Type result, ArrayRef<AffineExpr> reduced, StringRef kind, Type combined, Body body) {
    SmallVector<AffineExpr> sizes = sizesOf(result);
    unsigned parallel = sizes.size();
    sizes.append(reduced.begin(), reduced.end());
    NestOp nest = createNest(builder, loc, result, sizes, symbols, parallel, kind, combined);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&nest.getBody().front());
    Value element = body(unsigned(sizes.size()));
    YieldOp::create(builder, loc, element);
    builder.setInsertionPointToEnd(&nest.getFinish().front());
    YieldOp::create(builder, loc, ValueRange(nest.getFinish().front().getArguments()));
    return nest;
  }
  /// An element of the tensor at `indices` over `dims` dimensions; where a constraint does not hold, `otherwise`. `at` are
  /// computed places, which stand behind the function's symbols.
  Value load(Value tensor, unsigned dims, ArrayRef<AffineExpr> indices, ValueRange at = {},
             ArrayRef<AffineExpr> constraints = {}, ArrayRef<bool> equalities = {}, Value otherwise = {});
  /// The element of the tensor at the nest's own place.
  Value loadSame(Value tensor, unsigned dims);
  Value index(AffineExpr expr, unsigned dims);
  /// A constant as a register holds it: signless.
  Value scalar(TypedAttr value);
  Value zero(Type scalarType) { return scalar(builder.getZeroAttr(scalarType)); }
  static Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

  OpBuilder builder;
  unsigned symbols; // of the function
  Location loc = builder.getUnknownLoc();
};

} // namespace mlir::bigm::kernel
