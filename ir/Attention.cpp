// Attention and its gradient: what they demand, what they are in other ops, and the gradient of the first.
//
// The expanded forms are the formulas of BigmOps.td op by op, with the matrix of scores as a tensor. Second order goes
// through them, and so does everything that the kernels of a backend do not take.
#include "ir/Bigm.h"

using namespace mlir;
using namespace mlir::bigm;

/// What takes the place of a hidden score: so low that its weight is 0 beside any score, and a number, so that a query
/// from which everything is hidden weighs all keys alike.
static constexpr double hiddenScore = -1e30;

namespace {
/// Builds the two expanded forms: tensors over [N, H, T, S], and contractions to and from them.
class Scores {
public:
  Scores(OpBuilder &builder, Location loc, Value q, Value k, Value mask, bool causal)
      : b(builder), loc(loc), mask(mask), causal(causal) {
    SmallVector<AffineExpr> queries = sizesOf(q.getType()), keys = sizesOf(k.getType());
    batch = queries[0], length = queries[1], heads = queries[2], width = queries[3], keyLength = keys[1];
    symbols = std::max({symbolCount(q.getType()), symbolCount(k.getType()), mask ? symbolCount(mask.getType()) : 0});
    element = cast<RankedTensorType>(q.getType()).getElementType();
    type = tensorType({batch, heads, length, keyLength}, symbols, element);
  }

  /// sum(d: x[n, i, h, d] * y[n, j, h, d]) as [n, h, i, j].
  Value outer(Value x, Value y) {
    return contract(type, x, y, {0, 2, 1, 4}, {0, 3, 1, 4}, width);
  }
  /// sum(j: weight[n, h, i, j] * x[n, j, h, d]) as [n, i, h, d].
  Value overKeys(Value weight, Value x) {
    return contract(tensorType({batch, length, heads, width}, symbols, element), weight, x, {0, 2, 1, 4}, {0, 4, 2, 3},
                    keyLength);
  }
  /// sum(i: weight[n, h, i, j] * x[n, i, h, d]) as [n, j, h, d].
  Value overQueries(Value weight, Value x) {
    return contract(tensorType({batch, keyLength, heads, width}, symbols, element), weight, x, {0, 2, 4, 1},
                    {0, 4, 2, 3}, length);
  }

  /// The type's splat of 1 / sqrt(D).
  Value scale(RankedTensorType of) {
    if (auto number = dyn_cast<AffineConstantExpr>(width))
      return constant(b, loc, of, 1 / std::sqrt(double(number.getValue())));
    return RsqrtOp::create(b, loc, size(of, width));
  }
  Value scaled(Value x) { return MulOp::create(b, loc, x, scale(cast<RankedTensorType>(x.getType()))); }

  /// The scores with what is hidden at `hiddenScore`.
  Value scores(Value q, Value k) { return where(scaled(outer(q, k)), hiddenScore); }
  /// `x` where the key is visible, else a number.
  Value where(Value x, double otherwise) {
    Value other = constant(b, loc, type, otherwise);
    if (causal) {
      RankedTensorType index = withElement(type, b.getI64Type());
      Value last = AddOp::create(b, loc, IotaOp::create(b, loc, index, 2), size(index, keyLength - length));
      Value past = LeOp::create(b, loc, IotaOp::create(b, loc, index, 3), last);
      x = SelectOp::create(b, loc, past, x, other);
    }
    if (mask) {
      auto map = AffineMap::get(4, 0, {b.getAffineDimExpr(0), b.getAffineDimExpr(3)}, b.getContext());
      Value seen = ViewOp::create(b, loc, withElement(type, b.getI1Type()), mask, map);
      x = SelectOp::create(b, loc, seen, x, other);
    }
    return x;
  }
  /// A number for each query, for all its keys.
  Value spread(Value x) { return buildBroadcast(b, loc, x, {3}, type); }
  /// A size of the iteration space, as a tensor.
  Value size(RankedTensorType of, AffineExpr expr) {
    expr = canonical(expr);
    if (auto number = dyn_cast<AffineConstantExpr>(expr))
      return constant(b, loc, of, double(number.getValue()));
    auto scalar = RankedTensorType::get({}, of.getElementType());
    Value value = SizeOp::create(b, loc, scalar, AffineMap::get(0, symbols, expr));
    return buildBroadcast(b, loc, value, llvm::to_vector(llvm::seq<int64_t>(0, of.getRank())), of);
  }

  RankedTensorType type;
  AffineExpr batch, length, heads, width, keyLength;

private:
  /// Dimensions 0 to 3 are the result's, 4 is summed.
  Value contract(RankedTensorType result, Value x, Value y, ArrayRef<unsigned> xDims, ArrayRef<unsigned> yDims,
                 AffineExpr summed) {
    auto map = [&](ArrayRef<unsigned> dims) {
      SmallVector<AffineExpr> exprs;
      for (unsigned dim : dims)
        exprs.push_back(b.getAffineDimExpr(dim));
      return AffineMap::get(5, 0, exprs, b.getContext());
    };
    auto reduced = AffineMap::get(0, isa<AffineConstantExpr>(summed) ? 0 : symbols, summed);
    return ContractOp::create(b, loc, result, x, y, map(xDims), map(yDims), reduced);
  }

  OpBuilder &b;
  Location loc;
  Value mask;
  bool causal;
  unsigned symbols;
  Type element;
};
} // namespace

// ---------------------------------------------------------------------------------------------------- attention

/// [N, H, T] of queries [N, T, H, D].
static RankedTensorType statisticType(Type queries) {
  SmallVector<AffineExpr> sizes = sizesOf(queries);
  return tensorType({sizes[0], sizes[2], sizes[1]}, symbolCount(queries),
                    cast<RankedTensorType>(queries).getElementType());
}

void AttentionOp::build(OpBuilder &builder, OperationState &state, Value q, Value k, Value v, Value mask, bool causal) {
  build(builder, state, q.getType(), statisticType(q.getType()), q, k, v, mask, causal);
}

/// What both ops demand of queries, keys, values and mask.
static LogicalResult verifyOperands(Operation *op, Value q, Value k, Value v, Value mask) {
  auto queries = cast<RankedTensorType>(q.getType()), keys = cast<RankedTensorType>(k.getType());
  if (queries.getRank() != 4 || keys.getRank() != 4)
    return op->emitOpError() << "takes queries [N, T, H, D] and keys [N, S, H, D], not " << queries << " and " << keys;
  SmallVector<AffineExpr> sizes = sizesOf(queries), others = sizesOf(keys);
  sizes[1] = others[1];
  unsigned symbols = std::max(symbolCount(queries), symbolCount(keys));
  auto expected = tensorType(sizes, symbols, queries.getElementType());
  for (Value x : {k, v})
    if (x.getType() != expected)
      return op->emitOpError() << "has keys or values " << x.getType() << ", and queries and keys make them " << expected;
  if (!mask)
    return success();
  auto bits = tensorType({sizes[0], sizes[1]}, symbols, IntegerType::get(op->getContext(), 1));
  if (mask.getType() != bits)
    return op->emitOpError() << "has mask " << mask.getType() << ", needed is " << bits;
  return success();
}

static LogicalResult verifyType(Operation *op, StringRef what, Type type, Type expected) {
  if (type != expected)
    return op->emitOpError() << "has " << what << " " << type << ", needed is " << expected;
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyOperands(*this, getQ(), getK(), getV(), getMask())) ||
      failed(verifyType(*this, "result", getY().getType(), getQ().getType())))
    return failure();
  return verifyType(*this, "statistic", getStatistic().getType(), statisticType(getQ().getType()));
}

SmallVector<Value> AttentionOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Scores over(b, loc, getQ(), getK(), getMask(), getCausal());
  Value scores = over.scores(getQ(), getK());
  Value most = StopGradientOp::create(b, loc, ReduceMaxOp::create(b, loc, scores, ArrayRef<int64_t>{3}));
  Value weight = ExpOp::create(b, loc, SubOp::create(b, loc, scores, over.spread(most)));
  Value sum = ReduceSumOp::create(b, loc, weight, ArrayRef<int64_t>{3});
  Value y = over.overKeys(DivOp::create(b, loc, weight, over.spread(sum)), getV());
  Value statistic = AddOp::create(b, loc, most, LogOp::create(b, loc, sum));
  return {y, statistic};
}

LogicalResult AttentionOp::buildGradient(OpBuilder &b, ValueRange cotangents, ArrayRef<bool> needed,
                                         SmallVectorImpl<Value> &gradients) {
  Location loc = getLoc();
  Value dy = cotangents[0];
  Value products = MulOp::create(b, loc, dy, getY());
  Value sums = ReduceSumOp::create(b, loc, products, ArrayRef<int64_t>{3}); // [N, T, H]
  AffineExpr n = b.getAffineDimExpr(0), h = b.getAffineDimExpr(1), i = b.getAffineDimExpr(2);
  Value delta = ViewOp::create(b, loc, getStatistic().getType(), sums, AffineMap::get(3, 0, {n, i, h}, getContext()));
  if (splatNumber(cotangents[1]) != 0.0)
    delta = SubOp::create(b, loc, delta, cotangents[1]);
  auto grad = AttentionGradOp::create(b, loc, getQ().getType(), getK().getType(), getV().getType(), getQ(), getK(),
                                      getV(), dy, getStatistic(), delta, getMask(), getCausal());
  for (unsigned operand : {0u, 1u, 2u})
    if (needed[operand])
      gradients[operand] = grad.getResult(operand);
  return success();
}

// ---------------------------------------------------------------------------------------------------- its gradient

LogicalResult AttentionGradOp::verify() {
  Type statistic = statisticType(getQ().getType());
  if (failed(verifyOperands(*this, getQ(), getK(), getV(), getMask())) ||
      failed(verifyType(*this, "cotangent", getDy().getType(), getQ().getType())) ||
      failed(verifyType(*this, "statistic", getStatistic().getType(), statistic)) ||
      failed(verifyType(*this, "delta", getDelta().getType(), statistic)) ||
      failed(verifyType(*this, "gradient of queries", getDq().getType(), getQ().getType())) ||
      failed(verifyType(*this, "gradient of keys", getDk().getType(), getK().getType())))
    return failure();
  return verifyType(*this, "gradient of values", getDv().getType(), getV().getType());
}

SmallVector<Value> AttentionGradOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Scores over(b, loc, getQ(), getK(), getMask(), getCausal());
  Value statistic = over.spread(getStatistic());
  Value weight = ExpOp::create(b, loc, SubOp::create(b, loc, over.scores(getQ(), getK()), statistic));
  // The statistic of a row that sees nothing has lost the logarithm of S beside -1e30.
  Value sees = GtOp::create(b, loc, statistic, constant(b, loc, over.type, hiddenScore / 2));
  Value even = DivOp::create(b, loc, constant(b, loc, over.type, 1), over.size(over.type, over.keyLength));
  weight = SelectOp::create(b, loc, sees, weight, even);
  Value difference = SubOp::create(b, loc, over.outer(getDy(), getV()), over.spread(getDelta()));
  Value ds = over.scaled(over.where(MulOp::create(b, loc, weight, difference), 0));
  return {over.overKeys(ds, getK()), over.overQueries(ds, getQ()), over.overQueries(weight, getDy())};
}
