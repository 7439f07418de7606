// Gradients of the ops that move, reduce or contract. Pointwise ones stand as formulas in BigmOps.td.
//
// The gradient of a contraction to one factor is again a contraction, of the cotangent and the other factor:
//   d[M(i)] += dy[i] * other[O(i)]   over the whole iteration space i.
// Each dimension of the factor is solved for one iteration dimension, its pivot, which then is no longer summed over.
// An index that is one dimension (matrix product, channels of a convolution) is solved by renaming. An index of several
// (a window, y * stride + k * dilation) is solved as y = (index - k * dilation) / stride, read from the cotangent after
// zeros were put between its elements and around it, so that the indices without an integer solution meet zeros.
// What cannot be solved (a dimension in two indices) is contracted over all dimensions of the map and folded.
#include "ir/Bigm.h"
#include "ir/Formula.h"

using namespace mlir;
using namespace mlir::bigm;
using formula::Tensor;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

// ---------------------------------------------------------------------------------------------------- shape

LogicalResult CastOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                    SmallVectorImpl<Value> &gradients) {
  if (needed[0] && isa<FloatType>(getType().getElementType()))
    gradients[0] = CastOp::create(builder, getLoc(), getX().getType(), cotangents[0]);
  return success();
}

LogicalResult ReshapeOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                       SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = ReshapeOp::create(builder, getLoc(), getX().getType(), cotangents[0]);
  return success();
}

LogicalResult ViewOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                    SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = buildFold(builder, getLoc(), cotangents[0], getMap(), typeOf(getX()));
  return success();
}

LogicalResult FoldOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                    SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = ViewOp::create(builder, getLoc(), getX().getType(), cotangents[0], getMap());
  return success();
}

LogicalResult PadOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                   SmallVectorImpl<Value> &gradients) {
  // Where the pad cropped, zeros take the place of what was cut; then every element of x is in reach of a view.
  Location loc = getLoc();
  RankedTensorType type = typeOf(getX());
  SmallVector<int64_t> low, high, interior(type.getRank(), 0);
  SmallVector<AffineExpr> indices;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    low.push_back(std::max<int64_t>(0, -getLow()[i]));
    high.push_back(std::max<int64_t>(0, -getHigh()[i]));
    indices.push_back(builder.getAffineDimExpr(i) * (getInterior()[i] + 1) + std::max<int64_t>(0, getLow()[i]));
  }
  Value dy = cotangents[0], dx = dy;
  auto nonzero = [](int64_t n) { return n != 0; };
  if (llvm::any_of(low, nonzero) || llvm::any_of(high, nonzero)) {
    SmallVector<AffineExpr> sizes = sizesOf(getType());
    for (int64_t i = 0; i < type.getRank(); ++i)
      sizes[i] = sizes[i] + low[i] + high[i];
    auto padded = tensorType(sizes, std::max(symbolCount(type), symbolCount(getType())), type.getElementType());
    Value zero = constant(builder, loc, getValue().getType(), 0);
    dx = PadOp::create(builder, loc, padded, dx, zero, low, high, interior);
  }
  dx = ViewOp::create(builder, loc, type, dx, AffineMap::get(type.getRank(), 0, indices, getContext()));
  if (needed[0])
    gradients[0] = dx;
  if (needed[1]) {
    SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
    Value total = ReduceSumOp::create(builder, loc, dy, all), inside = ReduceSumOp::create(builder, loc, dx, all);
    gradients[1] = SubOp::create(builder, loc, total, inside);
  }
  return success();
}

LogicalResult ConcatOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                      SmallVectorImpl<Value> &gradients) {
  AffineExpr start = builder.getAffineConstantExpr(0);
  unsigned dim = getDim();
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    if (needed[i]) {
      auto offset = dyn_cast<AffineConstantExpr>(canonical(start));
      if (!offset)
        return emitOpError() << "has no gradient for input " << i
                             << ": the inputs before it have a symbolic size along dimension " << dim;
      SmallVector<AffineExpr> indices;
      for (unsigned d = 0; d < getType().getRank(); ++d)
        indices.push_back(builder.getAffineDimExpr(d) + (d == dim ? offset.getValue() : 0));
      gradients[i] = ViewOp::create(builder, getLoc(), input.getType(), cotangents[0],
                                    AffineMap::get(indices.size(), 0, indices, getContext()));
    }
    start = start + sizesOf(input.getType())[dim];
  }
  return success();
}

LogicalResult GatherOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                      SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = ScatterAddOp::create(builder, getLoc(), getTable().getType(), cotangents[0], getIds());
  return success();
}

LogicalResult ScatterAddOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                          SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = GatherOp::create(builder, getLoc(), getUpdates().getType(), cotangents[0], getIds());
  return success();
}

// ---------------------------------------------------------------------------------------------------- reductions

LogicalResult ReduceSumOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                         SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = buildBroadcast(builder, getLoc(), cotangents[0], getDims(), typeOf(getX()));
  return success();
}

/// Equal shares to all elements that attain the result.
static Value extremeGradient(OpBuilder &builder, Location loc, Value x, Value result, Value dy,
                             ArrayRef<int64_t> dims) {
  RankedTensorType type = typeOf(x);
  Value attains = EqOp::create(builder, loc, x, buildBroadcast(builder, loc, result, dims, type));
  Value ones = CastOp::create(builder, loc, type, attains);
  Value share = DivOp::create(builder, loc, dy, ReduceSumOp::create(builder, loc, ones, dims));
  return SelectOp::create(builder, loc, attains, buildBroadcast(builder, loc, share, dims, type),
                          constant(builder, loc, type, 0));
}
LogicalResult ReduceMaxOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                         SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = extremeGradient(builder, getLoc(), getX(), getResult(), cotangents[0], getDims());
  return success();
}
LogicalResult ReduceMinOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                         SmallVectorImpl<Value> &gradients) {
  if (needed[0])
    gradients[0] = extremeGradient(builder, getLoc(), getX(), getResult(), cotangents[0], getDims());
  return success();
}

LogicalResult ReduceProdOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                          SmallVectorImpl<Value> &gradients) {
  // The product of all others: with no zero among them result / x; with one zero, at the zero alone the product of the
  // rest; with more, nothing.
  using namespace formula;
  if (!needed[0])
    return success();
  RankedTensorType type = typeOf(getX());
  Location loc = getLoc();
  auto sum = [&](Tensor t) { return t.with(ReduceSumOp::create(builder, loc, t.value, getDims())); };
  auto spread = [&](Tensor t) { return t.with(buildBroadcast(builder, loc, t.value, getDims(), type)); };
  Tensor x = tensor(builder, loc, getX()), dy = tensor(builder, loc, cotangents[0]);
  Tensor isZero = x == like(x, 0), one = like(x, 1), zero = like(x, 0);
  Tensor filled = select(isZero, one, x);
  Tensor product = x.with(ReduceProdOp::create(builder, loc, filled.value, getDims()));
  Tensor zeros = spread(sum(isZero.with(CastOp::create(builder, loc, type, isZero.value))));
  Tensor scaled = spread(dy * product);
  gradients[0] = select(isZero, select(zeros == one, scaled, zero), select(zeros == zero, scaled / filled, zero)).value;
  return success();
}

// ---------------------------------------------------------------------------------------------------- contraction

namespace {
/// One of the two values that the gradient multiplies, with where it is read.
struct Factor {
  Value value;
  SmallVector<Linear> indices;          // over the op's iteration dimensions
  SmallVector<int64_t> low, high, interior; // zeros to add before it is read
  Factor(Value value, SmallVector<Linear> indices) : value(value), indices(std::move(indices)) {
    low.assign(this->indices.size(), 0);
    high = interior = low;
  }
  unsigned uses(unsigned dim) const {
    return llvm::count_if(indices, [&](const Linear &index) { return index.coefficients[dim] != 0; });
  }
};

/// Computes d[M(i)] += a[A(i)] * b[B(i)].
class FactorGradient {
public:
  FactorGradient(OpBuilder &builder, ContractOp op, ArrayRef<Linear> map, RankedTensorType type, Factor a, Factor b)
      : builder(builder), op(op), map(map), type(type), factors{std::move(a), std::move(b)},
        sizes(op.iterationSizes()) {
    for (Value value : {op.getLhs(), op.getRhs(), op.getResult()})
      symbols = std::max(symbols, symbolCount(value.getType()));
    symbols = std::max(symbols, op.getReduced().getNumSymbols());
  }

  Value build() {
    SmallVector<Factor, 2> untouched(factors);
    if (!solve()) {
      factors = untouched;
      keepAll();
    }
    for (Factor &factor : factors)
      addZeros(factor);
    // Iteration dimensions of the new contraction: the solved ones, then the others, summed.
    SmallVector<AffineExpr> reduced;
    SmallVector<unsigned> rest;
    for (unsigned dim = 0; dim < sizes.size(); ++dim)
      if (!pivotOf.count(dim)) {
        rest.push_back(dim);
        reduced.push_back(sizes[dim]);
      }
    unsigned total = extents.size() + rest.size();
    auto renumber = [&](const Factor &factor) {
      SmallVector<AffineExpr> exprs;
      for (auto [position, index] : llvm::enumerate(factor.indices)) {
        Linear fresh{SmallVector<int64_t>(total, 0), index.offset};
        for (auto [dim, coefficient] : llvm::enumerate(index.coefficients)) {
          if (!coefficient)
            continue;
          auto pivot = pivotOf.find(dim);
          if (pivot == pivotOf.end())
            fresh.coefficients[extents.size() + llvm::find(rest, dim) - rest.begin()] += coefficient;
          else // the factor's stretched position |scale| * dim + low = sign * (index - offset - other terms) + low
            substitute(fresh, coefficient, pivot->second, rest, factor.low[position]);
        }
        exprs.push_back(fresh.expr(builder.getContext()));
      }
      return AffineMap::get(total, 0, exprs, builder.getContext());
    };
    AffineMap aMap = renumber(factors[0]), bMap = renumber(factors[1]);
    bool dynamic = llvm::any_of(reduced, [](AffineExpr size) { return !isa<AffineConstantExpr>(size); });
    auto reducedMap = AffineMap::get(0, dynamic ? symbols : 0, reduced, builder.getContext());
    auto result = tensorType(extents, symbols, type.getElementType());
    Value d = ContractOp::create(builder, op.getLoc(), result, factors[0].value, factors[1].value, aMap, bMap,
                                 reducedMap);
    SmallVector<AffineExpr> exprs;
    for (Linear &index : placement) {
      index.coefficients.resize(extents.size(), 0);
      exprs.push_back(index.expr(builder.getContext()));
    }
    return buildFold(builder, op.getLoc(), d, AffineMap::get(extents.size(), 0, exprs, builder.getContext()), type);
  }

private:
  /// What a solved iteration dimension is replaced by.
  struct Pivot {
    unsigned result;              // dimension of the new result
    bool window = false;          // otherwise it is renamed
    int64_t scale = 1;            // its coefficient in the index
    Linear index;                 // the whole index
    unsigned dim = 0;
  };

  void substitute(Linear &fresh, int64_t coefficient, const Pivot &pivot, ArrayRef<unsigned> rest, int64_t low) {
    if (!pivot.window) {
      fresh.coefficients[pivot.result] += coefficient;
      return;
    }
    int64_t sign = pivot.scale < 0 ? -1 : 1;
    fresh.coefficients[pivot.result] += sign;
    fresh.offset += low - sign * pivot.index.offset;
    for (auto [dim, step] : llvm::enumerate(pivot.index.coefficients))
      if (step && dim != pivot.dim)
        fresh.coefficients[extents.size() + llvm::find(rest, dim) - rest.begin()] -= sign * step;
  }

  /// Finds a pivot for each index of the map; false when there is none.
  bool solve() {
    for (unsigned dim = 0; dim < sizes.size(); ++dim)
      if (llvm::count_if(map, [&](const Linear &index) { return index.coefficients[dim] != 0; }) > 1)
        return false;
    SmallVector<AffineExpr> bounds = sizesOf(type);
    for (auto [k, index] : llvm::enumerate(map)) {
      SmallVector<unsigned> dims;
      for (auto [dim, coefficient] : llvm::enumerate(index.coefficients))
        if (coefficient)
          dims.push_back(dim);
      if (dims.empty()) {
        placement.push_back(Linear{{}, index.offset});
        continue;
      }
      unsigned position = extents.size();
      Linear place{SmallVector<int64_t>(position + 1, 0), 0};
      if (dims.size() == 1 && index.coefficients[dims[0]] > 0) {
        place.coefficients[position] = index.coefficients[dims[0]];
        place.offset = index.offset;
        pivotOf[dims[0]] = Pivot{position, false, 1, index, dims[0]};
        extents.push_back(sizes[dims[0]]);
      } else {
        if (!solveWindow(index, dims, bounds[k]))
          return false;
        place.coefficients[position] = 1;
      }
      placement.push_back(place);
    }
    return true;
  }

  /// An index of several dimensions. The pivot is the longest dimension that one factor alone reads, plainly: what is
  /// summed over then is the shorter window.
  bool solveWindow(const Linear &index, ArrayRef<unsigned> dims, AffineExpr bound) {
    auto length = [&](unsigned dim) {
      auto constant = dyn_cast<AffineConstantExpr>(sizes[dim]);
      return constant ? constant.getValue() : std::numeric_limits<int64_t>::max();
    };
    SmallVector<unsigned> candidates(dims);
    llvm::sort(candidates, [&](unsigned a, unsigned b) {
      return std::make_pair(-length(a), a) < std::make_pair(-length(b), b);
    });
    for (unsigned dim : candidates)
      for (unsigned f = 0; f < 2; ++f)
        if (factors[f].uses(dim) == 1 && factors[1 - f].uses(dim) == 0 &&
            trySolve(index, dims, dim, factors[f], bound))
          return true;
    return false;
  }

  bool trySolve(const Linear &index, ArrayRef<unsigned> dims, unsigned dim, Factor &factor, AffineExpr bound) {
    unsigned position = llvm::find_if(factor.indices, [&](const Linear &i) { return i.coefficients[dim]; }) -
                        factor.indices.begin();
    if (factor.indices[position].asDim() != dim || sizesOf(factor.value.getType())[position] != sizes[dim])
      return false;
    int64_t scale = index.coefficients[dim], sign = scale < 0 ? -1 : 1, stretch = std::abs(scale);
    // Range of sign * (d - offset - other terms) for d in [0, extent).
    AffineExpr reach = builder.getAffineConstantExpr(index.offset); // the largest value of the index
    AffineExpr least = builder.getAffineConstantExpr(-sign * index.offset), most = least;
    for (unsigned other : dims) {
      int64_t coefficient = index.coefficients[other];
      if (coefficient > 0)
        reach = reach + (sizes[other] - 1) * coefficient;
      if (other == dim)
        continue;
      AffineExpr span = (sizes[other] - 1) * (-sign * coefficient);
      (sign * coefficient > 0 ? least : most) = (sign * coefficient > 0 ? least : most) + span;
    }
    AffineExpr stretched = (sizes[dim] - 1) * stretch + 1;
    for (AffineExpr extent : {bound, canonical(reach + 1)}) {
      AffineExpr first = least, last = most;
      (sign > 0 ? last : first) = (sign > 0 ? last : first) + (extent - 1) * sign;
      auto low = dyn_cast<AffineConstantExpr>(canonical(first));
      std::optional<int64_t> high = constantDifference(last, stretched - 1);
      if (!low || !high)
        continue;
      factor.low[position] = -low.getValue();
      factor.high[position] = *high;
      factor.interior[position] = stretch - 1;
      pivotOf[dim] = Pivot{unsigned(extents.size()), true, scale, index, dim};
      extents.push_back(extent);
      return true;
    }
    return false;
  }

  /// Without solving: all dimensions of the map stay, and the fold adds them up.
  void keepAll() {
    pivotOf.clear();
    extents.clear();
    SmallVector<unsigned> used;
    for (unsigned dim = 0; dim < sizes.size(); ++dim)
      if (llvm::any_of(map, [&](const Linear &index) { return index.coefficients[dim] != 0; })) {
        pivotOf[dim] = Pivot{unsigned(extents.size()), false, 1, {}, dim};
        extents.push_back(sizes[dim]);
        used.push_back(dim);
      }
    placement.clear();
    for (const Linear &index : map) {
      Linear place{{}, index.offset};
      for (unsigned dim : used)
        place.coefficients.push_back(index.coefficients[dim]);
      placement.push_back(place);
    }
  }

  void addZeros(Factor &factor) {
    auto nonzero = [](int64_t n) { return n != 0; };
    if (llvm::none_of(factor.low, nonzero) && llvm::none_of(factor.high, nonzero) &&
        llvm::none_of(factor.interior, nonzero))
      return;
    SmallVector<AffineExpr> padded = sizesOf(factor.value.getType());
    for (auto [i, size] : llvm::enumerate(padded))
      size = (size - 1) * (factor.interior[i] + 1) + 1 + factor.low[i] + factor.high[i];
    Value zero = constant(builder, op.getLoc(), RankedTensorType::get({}, type.getElementType()), 0);
    factor.value = PadOp::create(builder, op.getLoc(), tensorType(padded, symbols, type.getElementType()),
                                 factor.value, zero, factor.low, factor.high, factor.interior);
  }

  OpBuilder &builder;
  ContractOp op;
  ArrayRef<Linear> map;
  RankedTensorType type;
  SmallVector<Factor, 2> factors;
  SmallVector<AffineExpr> sizes; // of the op's iteration dimensions
  unsigned symbols = 0;
  llvm::DenseMap<unsigned, Pivot> pivotOf;
  SmallVector<AffineExpr> extents; // of the new result
  SmallVector<Linear> placement;   // where the new result stands in the gradient
};
} // namespace

LogicalResult ContractOp::buildGradient(OpBuilder &builder, ValueRange cotangents, ArrayRef<bool> needed,
                                        SmallVectorImpl<Value> &gradients) {
  unsigned dims = getLhsMap().getNumDims(), rank = getType().getRank();
  SmallVector<Linear> lhs = *linear(getLhsMap()), rhs = *linear(getRhsMap()), result;
  for (unsigned i = 0; i < rank; ++i) {
    result.push_back(Linear{SmallVector<int64_t>(dims, 0), 0});
    result.back().coefficients[i] = 1;
  }
  if (needed[0])
    gradients[0] = FactorGradient(builder, *this, lhs, typeOf(getLhs()), Factor(cotangents[0], result),
                                  Factor(getRhs(), rhs))
                       .build();
  if (needed[1])
    gradients[1] = FactorGradient(builder, *this, rhs, typeOf(getRhs()), Factor(getLhs(), lhs),
                                  Factor(cotangents[0], result))
                       .build();
  return success();
}
