// Attention over kept rows: what it demands, and what it is in other ops, which is what runs where no kernel takes it.
#include "ir/Attention.h"
#include "ir/Bigm.h"

using namespace mlir;
using namespace mlir::bigm;

LogicalResult CachedAttentionOp::verify() {
  auto rank4 = [](Value v) { return cast<RankedTensorType>(v.getType()).getRank() == 4; };
  if (!rank4(getQ()) || !rank4(getK()) || !rank4(getKeys()))
    return emitOpError() << "takes queries [N, T, H, D], their keys [N, T, G, D] and kept keys [B, L, G, D]";
  SmallVector<AffineExpr> q = sizesOf(getQ().getType()), k = sizesOf(getK().getType()), kept = sizesOf(getKeys().getType());
  auto element = cast<RankedTensorType>(getQ().getType()).getElementType();
  unsigned symbols = 0;
  for (Value operand : getOperands())
    symbols = std::max(symbols, symbolCount(operand.getType()));
  auto heads = dyn_cast<AffineConstantExpr>(q[2]), groups = dyn_cast<AffineConstantExpr>(k[2]);
  if (!heads || !groups || !isa<AffineConstantExpr>(q[3]) || groups.getValue() == 0 || heads.getValue() % groups.getValue())
    return emitOpError() << "needs known heads, those of keys dividing those of queries, not " << getQ().getType() << " and "
                         << getK().getType();
  auto same = [&](Value v, ArrayRef<AffineExpr> sizes, Type element, StringRef what) -> LogicalResult {
    auto expected = tensorType(sizes, symbols, element);
    if (sizesOf(v.getType()) != sizesOf(expected) ||
        cast<RankedTensorType>(v.getType()).getElementType() != element)
      return emitOpError() << "has " << what << " " << v.getType() << ", needed is " << expected;
    return success();
  };
  SmallVector<AffineExpr> rows = {q[0], q[1], k[2], q[3]}, keptRows = {kept[0], kept[1], k[2], q[3]};
  for (Value v : {getK(), getV()})
    if (failed(same(v, rows, element, "new keys or values")))
      return failure();
  for (Value v : {getKeys(), getValues()})
    if (failed(same(v, keptRows, element, "kept keys or values")))
      return failure();
  for (Value v : {getSlot(), getPast()})
    if (failed(same(v, {q[0]}, cast<RankedTensorType>(v.getType()).getElementType(), "slots or lengths")))
      return failure();
  return same(getY(), q, element, "result");
}

SmallVector<Value> CachedAttentionOp::expand(OpBuilder &b) {
  Location loc = getLoc();
  MLIRContext *context = getContext();
  SmallVector<AffineExpr> q = sizesOf(getQ().getType()), kept = sizesOf(getKeys().getType());
  auto element = cast<RankedTensorType>(getQ().getType()).getElementType();
  unsigned symbols = 0;
  for (Value operand : getOperands())
    symbols = std::max(symbols, symbolCount(operand.getType()));
  AffineExpr groups = sizesOf(getK().getType())[2];
  int64_t share = cast<AffineConstantExpr>(q[2]).getValue() / cast<AffineConstantExpr>(groups).getValue();
  AffineExpr shared = b.getAffineConstantExpr(share);
  double scale = 1 / std::sqrt(double(cast<AffineConstantExpr>(q[3]).getValue()));
  auto dim = [&](unsigned i) { return b.getAffineDimExpr(i); };
  auto type = [&](ArrayRef<AffineExpr> sizes, Type of) { return tensorType(sizes, symbols, of); };

  // Kept rows, then the new ones: [N, L + T, G, D].
  auto rows = [&](Value tensor, Value fresh) -> Value {
    Value found = GatherOp::create(b, loc, type({q[0], kept[1], groups, q[3]}, element), tensor, getSlot());
    return ConcatOp::create(b, loc, type({q[0], canonical(kept[1] + q[1]), groups, q[3]}, element), ValueRange{found, fresh}, 1);
  };
  Value keys = rows(getKeys(), getK()), values = rows(getValues(), getV());
  AffineExpr length = canonical(kept[1] + q[1]);
  // Scores over [N, G, R, T, L + T], R the heads of queries that share one of keys.
  SmallVector<AffineExpr> space = {q[0], groups, shared, q[1], length};
  auto scoresType = type(space, element);
  auto map = [&](unsigned dims, ArrayRef<AffineExpr> exprs) { return AffineMap::get(dims, 0, exprs, context); };
  AffineExpr head = dim(1) * share + dim(2);
  auto one = [&](AffineExpr size) { return AffineMap::get(0, isa<AffineConstantExpr>(size) ? 0 : symbols, size); };
  Value scores = ContractOp::create(b, loc, scoresType, getQ(), keys, map(6, {dim(0), dim(3), head, dim(5)}),
                                    map(6, {dim(0), dim(4), dim(1), dim(5)}), one(q[3]));
  scores = MulOp::create(b, loc, scores, constant(b, loc, scoresType, scale));
  // Row j is seen where j < past, or where it is new and not behind the query.
  auto index = type(space, b.getI64Type());
  Value j = IotaOp::create(b, loc, index, 4), i = IotaOp::create(b, loc, index, 3);
  Value past = getPast();
  auto pastType = cast<RankedTensorType>(past.getType());
  if (!pastType.getElementType().isInteger(64))
    past = CastOp::create(b, loc, withElement(pastType, b.getI64Type()), past);
  past = ViewOp::create(b, loc, index, past, map(5, {dim(0)}));
  Value capacity;
  if (auto number = dyn_cast<AffineConstantExpr>(kept[1]))
    capacity = constant(b, loc, index, double(number.getValue()));
  else
    capacity = buildBroadcast(b, loc,
                              SizeOp::create(b, loc, RankedTensorType::get({}, b.getI64Type()), AffineMap::get(0, symbols, kept[1])),
                              {0, 1, 2, 3, 4}, index);
  Value isKept = LtOp::create(b, loc, j, past);
  Value own = AndOp::create(b, loc, GeOp::create(b, loc, j, capacity),
                            LeOp::create(b, loc, SubOp::create(b, loc, j, capacity), i));
  Value inside = LtOp::create(b, loc, j, capacity);
  Value seen = OrOp::create(b, loc, AndOp::create(b, loc, inside, isKept), own);
  scores = SelectOp::create(b, loc, seen, scores, constant(b, loc, scoresType, hiddenScore(element, false)));
  Value most = ReduceMaxOp::create(b, loc, scores, ArrayRef<int64_t>{4});
  Value weight = ExpOp::create(b, loc, SubOp::create(b, loc, scores, buildBroadcast(b, loc, most, {4}, scoresType)));
  Value sum = ReduceSumOp::create(b, loc, weight, ArrayRef<int64_t>{4});
  weight = DivOp::create(b, loc, weight, buildBroadcast(b, loc, sum, {4}, scoresType));
  // What is not kept may be anything, and 0 times that may be no number.
  auto rowsType = type({q[0], length, groups, q[3]}, element);
  auto mapped = [&](Value x) -> Value { // a value over [N, G, R, T, L + T] that is the same for all but n and j
    return ViewOp::create(b, loc, withElement(rowsType, b.getI1Type()), x,
                          map(4, {dim(0), b.getAffineConstantExpr(0), b.getAffineConstantExpr(0), b.getAffineConstantExpr(0), dim(1)}));
  };
  Value filled = OrOp::create(b, loc, isKept, GeOp::create(b, loc, j, capacity));
  values = SelectOp::create(b, loc, mapped(filled), values, constant(b, loc, rowsType, 0));
  auto grouped = type({q[0], q[1], groups, shared, q[3]}, element);
  Value y = ContractOp::create(b, loc, grouped, weight, values, map(6, {dim(0), dim(2), dim(3), dim(1), dim(5)}),
                               map(6, {dim(0), dim(5), dim(2), dim(4)}), one(length));
  return {ReshapeOp::create(b, loc, getY().getType(), y)};
}
