#include "passes/WrittenAttention.h"
#include <limits>

using namespace mlir;
using namespace mlir::bigm;

namespace {
bool isNumber(Value value, double number) {
  auto known = splatNumber(value);
  return known && *known == number;
}
constexpr double infinity = std::numeric_limits<double>::infinity();

/// What `value` is a broadcast of along `dim`.
Value beforeSpread(Value value, unsigned dim) {
  unsigned rank = cast<RankedTensorType>(value.getType()).getRank();
  AffineMap map = AffineMap::getMultiDimIdentityMap(rank, value.getContext());
  for (Operation *op; (op = value.getDefiningOp()) && isa<ViewOp, StopGradientOp>(op);) {
    if (auto view = dyn_cast<ViewOp>(op))
      map = view.getMap().compose(map);
    value = op->getOperand(0);
  }
  SmallVector<AffineExpr> expected;
  for (unsigned d = 0; d < rank; ++d)
    if (d != dim)
      expected.push_back(getAffineDimExpr(d, value.getContext()));
  return map.getResults() == ArrayRef(expected) ? value : Value();
}

/// `x` of select(x == number, instead, x), or `x` itself; whether it was a guard.
Value unguarded(Value x, double instead, bool &guarded, Value of = {}) {
  auto select = x.getDefiningOp<SelectOp>();
  if (!select || !isNumber(select.getY(), instead))
    return x;
  auto equal = select.getX().getDefiningOp<EqOp>();
  if (!equal || !isNumber(equal.getY(), -infinity) || (equal.getX() != (of ? of : select.getZ())))
    return x;
  guarded = true;
  return select.getZ();
}

} // namespace

std::optional<Softmax> bigm::softmaxOf(Value weights) {
  Softmax found;
  if (auto select = weights.getDefiningOp<SelectOp>()) { // NaN becomes 0
    auto nan = select.getX().getDefiningOp<NeOp>();
    if (!nan || nan.getX() != nan.getY() || nan.getX() != select.getZ() || !isNumber(select.getY(), 0))
      return std::nullopt;
    found.zeros = true;
    weights = select.getZ();
  }
  Operation *product = weights.getDefiningOp();
  if (!isa_and_nonnull<MulOp, DivOp>(product))
    return std::nullopt;
  for (unsigned side : {0u, 1u}) {
    auto exp = product->getOperand(side).getDefiningOp<ExpOp>();
    auto difference = exp ? exp.getX().getDefiningOp<SubOp>() : SubOp();
    if (!difference || (side == 1 && isa<DivOp>(product)))
      continue;
    found.scores = difference.getX();
    unsigned rank = exp.getType().getRank();
    for (unsigned dim = 0; dim < rank; ++dim) {
      Value sum = beforeSpread(product->getOperand(1 - side), dim), most = beforeSpread(difference.getY(), dim);
      if (!sum || !most)
        continue;
      bool guarded = false;
      most = unguarded(most, 0, guarded);
      if (isa<MulOp>(product)) {
        auto one = sum.getDefiningOp<DivOp>();
        if (!one || !isNumber(one.getX(), 1))
          continue;
        sum = one.getY();
      }
      sum = unguarded(sum, 1, guarded, most);
      auto total = sum.getDefiningOp<ReduceSumOp>();
      auto largest = most.getDefiningOp<ReduceMaxOp>();
      int64_t only = dim;
      ArrayRef<int64_t> dims(only);
      if (!total || !largest || total.getX() != exp.getResult() || largest.getX() != found.scores ||
          total.getDims() != dims || largest.getDims() != dims)
        continue;
      found.dim = dim;
      found.zeros |= guarded;
      return found;
    }
  }
  return std::nullopt;
}

namespace {
/// A contraction over one dimension in which keys are of one operand alone.
bool isProduct(ContractOp op, unsigned key, unsigned rank) {
  return op && op.getType().getRank() == rank && op.getReduced().getNumResults() == 1 &&
         op.getLhsMap().isFunctionOfDim(key) != op.getRhsMap().isFunctionOfDim(key) && op.getLhsMap().isFunctionOfDim(rank) &&
         op.getRhsMap().isFunctionOfDim(rank);
}

/// Walks up to the products. Terms are in the order in which they apply.
class Collector {
public:
  explicit Collector(unsigned key) : key(key) {}
  Scores scores;

  /// Nothing is collected before it, nor where it fails.
  bool collect(Value value, double alpha = 1, unsigned depth = 16);

private:
  unsigned key;
  /// With how many more steps a value led nowhere: sums of what is shared have more ways up than values.
  DenseMap<Value, unsigned> nowhere;
};

bool Collector::collect(Value value, double alpha, unsigned depth) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0)
    return false;
  auto go = [&](Value x, double factor) {
    if (auto known = nowhere.find(x); known != nowhere.end() && known->second >= depth)
      return false;
    if (collect(x, factor, depth - 1))
      return true;
    nowhere[x] = depth;
    scores = {};
    return false;
  };
  if (auto contract = dyn_cast<ContractOp>(op)) {
    if (!isProduct(contract, key, contract.getType().getRank()))
      return false;
    scores.products = contract;
    scores.scale = alpha;
    return true;
  }
  if (isa<AddOp>(op)) {
    for (unsigned side : {0u, 1u})
      if (go(op->getOperand(side), alpha)) {
        scores.terms.push_back({op->getOperand(1 - side), alpha});
        return true;
      }
    return false;
  }
  if (isa<SubOp>(op)) {
    if (!go(op->getOperand(0), alpha))
      return false;
    scores.terms.push_back({op->getOperand(1), -alpha});
    return true;
  }
  if (isa<MulOp, DivOp>(op)) {
    for (unsigned side : {0u, 1u}) {
      if (side == 1 && isa<DivOp>(op))
        break;
      Value other = op->getOperand(1 - side);
      if (auto number = splatNumber(other)) {
        if (*number != 0 && go(op->getOperand(side), isa<MulOp>(op) ? alpha * *number : alpha / *number))
          return true;
        continue;
      }
      // One number for each head, say. What was added before would have to be multiplied too.
      if (isa<MulOp>(op) && go(op->getOperand(side), alpha)) {
        if (scores.factor || !scores.terms.empty())
          return false;
        scores.factor = other;
        return true;
      }
    }
    return false;
  }
  if (auto select = dyn_cast<SelectOp>(op))
    for (bool shown : {true, false}) {
      Value through = shown ? select.getY() : select.getZ();
      auto number = splatNumber(shown ? select.getZ() : select.getY());
      if (!number || !go(through, alpha))
        continue;
      ScoreTerm term{select.getX(), *number * alpha};
      term.hides = true, term.shown = shown;
      scores.terms.push_back(term);
      return true;
    }
  return false;
}
} // namespace

std::optional<Scores> bigm::scoresOf(Value scores, unsigned key) {
  Collector collector(key);
  return collector.collect(scores) ? std::optional(std::move(collector.scores)) : std::nullopt;
}
