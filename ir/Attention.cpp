// Attention and its gradient: what they demand, what they are in other ops, and the gradient of the first.
//
// The expanded forms are the formulas of BigmOps.td op by op, with the matrix of scores as a tensor. Second order goes
// through them, and so does everything that the kernels of a backend do not take.
#include "ir/Attention.h"
#include "ir/Bigm.h"

using namespace mlir;
using namespace mlir::bigm;

double bigm::hiddenScore(Type element, bool strict) {
  if (strict)
    return -std::numeric_limits<double>::infinity();
  APFloat lowest = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
  return element.isF64() ? lowestScore : lowest.convertToDouble();
}

AffineMap bigm::broadcastMap(Type from, Type over) {
  SmallVector<AffineExpr> at, sizes = sizesOf(from), all = sizesOf(over);
  MLIRContext *context = from.getContext();
  for (auto [dim, size] : llvm::enumerate(sizes))
    at.push_back(size == all[dim] ? getAffineDimExpr(dim, context) : getAffineConstantExpr(0, context));
  return AffineMap::get(at.size(), 0, at, context);
}

AffineMap bigm::biasOverPositions(Type bias) {
  SmallVector<AffineExpr> at;
  MLIRContext *context = bias.getContext();
  const unsigned dims[] = {0, 2, 1, 3};
  for (auto [size, dim] : llvm::zip(sizesOf(bias), dims))
    at.push_back(size == getAffineConstantExpr(1, context) ? getAffineConstantExpr(0, context) : getAffineDimExpr(dim, context));
  return AffineMap::get(4, 0, at, context);
}

namespace {
/// Builds the two expanded forms: tensors over [N, H, T, S], and contractions to and from them.
class Scores {
public:
  template <class Op>
  Scores(OpBuilder &builder, Op op)
      : b(builder), loc(op.getLoc()), mask(op.getMask()), bias(op.getBias()), causal(op.getCausal()),
        strict(op.getStrict()), factor(op.getScale()) {
    Value q = op.getQ(), k = op.getK();
    SmallVector<AffineExpr> queries = sizesOf(q.getType()), keys = sizesOf(k.getType());
    batch = queries[0], length = queries[1], heads = queries[2], width = queries[3], keyLength = keys[1];
    symbols = std::max(symbolCount(q.getType()), symbolCount(k.getType()));
    for (Value more : {mask, bias})
      symbols = std::max(symbols, more ? symbolCount(more.getType()) : 0);
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

  /// The type's splat of the scale.
  Value scale(RankedTensorType of) {
    if (factor)
      return constant(b, loc, of, factor->convertToDouble());
    if (auto number = dyn_cast<AffineConstantExpr>(width))
      return constant(b, loc, of, 1 / std::sqrt(double(number.getValue())));
    return RsqrtOp::create(b, loc, size(of, width));
  }
  Value scaled(Value x) { return MulOp::create(b, loc, x, scale(cast<RankedTensorType>(x.getType()))); }

  Value scores(Value q, Value k) {
    Value seen = where(scaled(outer(q, k)), hiddenScore(element, strict));
    return bias ? AddOp::create(b, loc, seen, ViewOp::create(b, loc, type, bias, broadcastMap(bias.getType(), type))) : seen;
  }
  /// The cotangent of scores summed to the bias.
  Value toBias(Value ds) {
    auto of = cast<RankedTensorType>(bias.getType());
    return buildFold(b, loc, ds, broadcastMap(of, type), of);
  }
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
  Value mask, bias;
  bool causal, strict;
  std::optional<APFloat> factor;
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

void AttentionOp::build(OpBuilder &builder, OperationState &state, Value q, Value k, Value v, Value mask, Value bias,
                        bool causal, bool strict, std::optional<double> scale) {
  build(builder, state, q.getType(), statisticType(q.getType()), q, k, v, mask, bias, causal, strict,
        scale ? builder.getF64FloatAttr(*scale) : FloatAttr());
}

/// What both ops demand of queries, keys, values, mask and bias.
static LogicalResult verifyOperands(Operation *op, Value q, Value k, Value v, Value mask, Value bias) {
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
  if (bias) {
    SmallVector<AffineExpr> has = sizesOf(bias.getType()), all = {sizes[0], sizes[2], sizesOf(queries)[1], others[1]};
    bool fits = has.size() == 4 && has[3] == all[3] &&
                cast<RankedTensorType>(bias.getType()).getElementType() == queries.getElementType();
    for (unsigned dim = 0; fits && dim < 3; ++dim)
      fits = has[dim] == all[dim] || has[dim] == getAffineConstantExpr(1, op->getContext());
    if (!fits)
      return op->emitOpError() << "has bias " << bias.getType() << ", needed is one that broadcasts to "
                               << tensorType(all, symbols, queries.getElementType());
  }
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
  if (failed(verifyOperands(*this, getQ(), getK(), getV(), getMask(), getBias())) ||
      failed(verifyType(*this, "result", getY().getType(), getQ().getType())))
    return failure();
  return verifyType(*this, "statistic", getStatistic().getType(), statisticType(getQ().getType()));
}

SmallVector<Value> AttentionOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Scores over(b, *this);
  Value scores = over.scores(getQ(), getK());
  Value most = ReduceMaxOp::create(b, loc, scores, ArrayRef<int64_t>{3});
  if (getStrict() || getBias()) // or -inf is subtracted from -inf
    most = MaxOp::create(b, loc, most, constant(b, loc, most.getType(), hiddenScore(over.type.getElementType(), false)));
  most = StopGradientOp::create(b, loc, most);
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
  unsigned bias = 3 + (getMask() ? 1 : 0);
  bool learned = getBias() && needed[bias];
  auto grad = AttentionGradOp::create(b, loc, getQ().getType(), getK().getType(), getV().getType(),
                                      learned ? getBias().getType() : Type(), getQ(), getK(), getV(), dy,
                                      getStatistic(), delta, getMask(), getBias(), getCausal(), getStrict(),
                                      getScaleAttr());
  for (unsigned operand : {0u, 1u, 2u})
    if (needed[operand])
      gradients[operand] = grad.getResult(operand);
  if (learned)
    gradients[bias] = grad.getDbias();
  return success();
}

// ---------------------------------------------------------------------------------------------------- its gradient

LogicalResult AttentionGradOp::verify() {
  Type statistic = statisticType(getQ().getType());
  if (failed(verifyOperands(*this, getQ(), getK(), getV(), getMask(), getBias())) ||
      failed(verifyType(*this, "cotangent", getDy().getType(), getQ().getType())) ||
      failed(verifyType(*this, "statistic", getStatistic().getType(), statistic)) ||
      failed(verifyType(*this, "delta", getDelta().getType(), statistic)) ||
      failed(verifyType(*this, "gradient of queries", getDq().getType(), getQ().getType())) ||
      failed(verifyType(*this, "gradient of keys", getDk().getType(), getK().getType())))
    return failure();
  if (getDbias() && (!getBias() || getDbias().getType() != getBias().getType()))
    return emitOpError() << "has a gradient of the bias " << getDbias().getType() << ", which the bias is not";
  return verifyType(*this, "gradient of values", getDv().getType(), getV().getType());
}

SmallVector<Value> AttentionGradOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  Scores over(b, *this);
  Value statistic = over.spread(getStatistic());
  Value weight = ExpOp::create(b, loc, SubOp::create(b, loc, over.scores(getQ(), getK()), statistic));
  double low = std::max(lowStatistic, hiddenScore(over.type.getElementType(), false) / 2);
  Value sees = GtOp::create(b, loc, statistic, constant(b, loc, over.type, low));
  Value even = DivOp::create(b, loc, constant(b, loc, over.type, 1), over.size(over.type, over.keyLength));
  weight = SelectOp::create(b, loc, sees, weight, even);
  Value difference = SubOp::create(b, loc, over.outer(getDy(), getV()), over.spread(getDelta()));
  Value ds = over.where(MulOp::create(b, loc, weight, difference), 0);
  ds = SelectOp::create(b, loc, sees, ds, constant(b, loc, over.type, 0));
  Value scaled = over.scaled(ds);
  SmallVector<Value> results = {over.overKeys(scaled, getK()), over.overQueries(scaled, getQ()), over.overQueries(weight, getDy())};
  if (getDbias())
    results.push_back(over.toBias(ds));
  return results;
}
