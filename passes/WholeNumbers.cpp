// Products of numbers that were kept in eight bits are done in whole numbers.
//
// A quantised model computes x = (q - z) * s from whole numbers q and multiplies such x and w as f32, or q - z as i32 without s. The
// same is
//
//   sum(k: (q[k] - z) * s * v[k] * t)  =  (sum(k: q[k] * v[k]) - z * sum(k: v[k])) * s * t
//
// where the sums are of whole numbers, exact in i32, and the CPU multiplies eight bits two to four times as fast as f32 and reads
// a quarter of the bytes. sum(k: v[k]) of weights is computed once (hoist-prepare). Moves between q and the product (padding,
// windows, transposes) move q instead, and zeros that are put around are z, which the program says or, without padding, the call finds (one for all elements). Runs behind sink-scales, which brings scales of
// channels behind the product. Results differ by the rounding of the f32 sum that is no longer made (Jacob et al. 2018).
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/InferenceEntries.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_WHOLENUMBERS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// Products that share what is packed and rounded: fewer results of a row, or shorter sums, are as fast in f32.
constexpr int64_t leastColumns = 8, leastSum = 16;
/// Terms of at most 255 * 255 that no sum of i32 overflows with.
constexpr int64_t mostSum = (int64_t(1) << 31) / (255 * 255) - 1;

/// (whole - zero) * scale behind moves of its elements, the innermost first.
struct Quantised {
  Value whole;
  double zero = 0, scale = 1;
  Value foundZero; // one whole number that the call finds, in place of `zero`
  bool hasZero() const { return zero != 0 || foundZero; }
  SmallVector<Operation *> moves;
  RankedTensorType type() const { return cast<RankedTensorType>(whole.getType()); }
};

std::optional<double> numberOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant ? std::optional(constant.getDouble()) : std::nullopt;
}

/// The tensor of one whole number that is spread over all elements.
Value spreadNumber(Value value) {
  auto view = value.getDefiningOp<ViewOp>();
  if (!view || cast<RankedTensorType>(view.getX().getType()).getRank() != 0)
    return {};
  Value number = view.getX();
  if (auto cast = number.getDefiningOp<CastOp>())
    number = cast.getX();
  auto type = dyn_cast<IntegerType>(mlir::cast<RankedTensorType>(number.getType()).getElementType());
  return type && type.getWidth() > 1 ? number : Value();
}

std::optional<Quantised> quantised(Value value) {
  Quantised result;
  for (;;) {
    Operation *op = value.getDefiningOp();
    auto pad = dyn_cast_or_null<PadOp>(op);
    if (!isa_and_nonnull<ViewOp, ReshapeOp>(op) && !(pad && numberOf(pad.getValue()) == 0.0))
      break;
    result.moves.insert(result.moves.begin(), op);
    value = op->getOperand(0);
  }
  auto mul = value.getDefiningOp<MulOp>();
  if (mul && numberOf(mul.getY()))
    result.scale = *numberOf(mul.getY()), value = mul.getX();
  else if (mul && numberOf(mul.getX()))
    result.scale = *numberOf(mul.getX()), value = mul.getY();
  if (auto sub = value.getDefiningOp<SubOp>(); sub && numberOf(sub.getY()))
    result.zero = *numberOf(sub.getY()), value = sub.getX();
  else if (sub && (result.foundZero = spreadNumber(sub.getY())))
    value = sub.getX();
  if (result.foundZero && llvm::any_of(result.moves, [](Operation *op) { return isa<PadOp>(op); }))
    return {};
  auto cast = value.getDefiningOp<CastOp>();
  if (!cast)
    return {};
  result.whole = cast.getX();
  Type element = result.type().getElementType();
  bool isUnsigned = element.isUnsignedInteger(8);
  if (!isUnsigned && !element.isSignlessInteger(8))
    return {};
  double least = isUnsigned ? 0 : -128;
  if (result.zero != std::floor(result.zero) || result.zero < least || result.zero > least + 255)
    return {};
  return result;
}

class Multiplying {
public:
  explicit Multiplying(ContractOp contract) : contract(contract), builder(contract) {}

  bool run() {
    const bool isWhole = contract.getType().getElementType().isInteger(32);
    if ((!isWhole && !contract.getType().getElementType().isF32()) || !pays())
      return false;
    std::optional<Quantised> factors[2] = {quantised(contract.getLhs()), quantised(contract.getRhs())};
    if (!factors[0] || !factors[1] || (isWhole && (factors[0]->scale != 1 || factors[1]->scale != 1)))
      return false;
    SteadyValues steady(contract->getParentOfType<func::FuncOp>()); // anew: what it knows goes by addresses, and ops go
    bool isWeight[2] = {steady.contains(factors[0]->whole), steady.contains(factors[1]->whole)};
    if (isWeight[0] && isWeight[1]) // computed once
      return false;
    for (unsigned i : {0u, 1u})
      if (factors[i]->zero == 128 && factors[i]->type().getElementType().isUnsignedInteger(8) && isWeight[i])
        factors[i]->whole = signedOf(*factors[i]), factors[i]->zero = 0;
    if (factors[0]->hasZero() && factors[1]->hasZero())
      return false;
    for (unsigned i : {0u, 1u})
      if (factors[i]->hasZero() && !(isWeight[1 - i] && goesAlongSum(1 - i)))
        return false;
    Value moved[2] = {move(*factors[0]), move(*factors[1])};
    RankedTensorType i32 = withElement(contract.getType(), builder.getI32Type());
    Location loc = contract.getLoc();
    Value sum = ContractOp::create(builder, loc, i32, moved[0], moved[1], contract.getLhsMap(), contract.getRhsMap(),
                                   contract.getReduced());
    for (unsigned i : {0u, 1u})
      if (factors[i]->hasZero())
        sum = SubOp::create(builder, loc, sum, MulOp::create(builder, loc, sumsOf(1 - i, moved[1 - i], i32), zeroOf(*factors[i], i32)));
    if (!isWhole) {
      sum = CastOp::create(builder, loc, contract.getType(), sum);
      sum = MulOp::create(builder, loc, sum, ConstantOp::create(builder, loc, contract.getType(), factors[0]->scale * factors[1]->scale));
    }
    contract.getResult().replaceAllUsesWith(sum);
    contract.erase();
    return true;
  }

private:
  AffineMap mapOf(unsigned factor) { return factor == 0 ? contract.getLhsMap() : contract.getRhsMap(); }

  /// Whether both factors have results of their own, enough of them, and the sum is neither too short nor long enough to overflow.
  bool pays() {
    int64_t sum = 1, columns[2] = {1, 1};
    SmallVector<AffineExpr> sizes = sizesOf(contract.getType());
    for (AffineExpr size : contract.getReduced().getResults()) {
      auto known = dyn_cast<AffineConstantExpr>(size);
      if (!known || known.getValue() > mostSum)
        return false;
      sum *= known.getValue();
      if (sum > mostSum)
        return false;
    }
    for (auto [d, size] : llvm::enumerate(sizes))
      for (unsigned i : {0u, 1u})
        if (mapOf(i).isFunctionOfDim(d) && !mapOf(1 - i).isFunctionOfDim(d)) {
          auto known = dyn_cast<AffineConstantExpr>(size);
          columns[i] *= known ? known.getValue() : leastColumns;
        }
    return sum >= leastSum && std::max(columns[0], columns[1]) >= leastColumns && !isDepthwise();
  }
  /// A convolution of each channel by itself runs in vectors of both factors, in f32.
  bool isDepthwise() {
    for (unsigned i : {0u, 1u}) {
      bool own = false;
      for (unsigned d = 0, n = contract.getType().getRank(); d < n; ++d)
        own |= mapOf(i).isFunctionOfDim(d) && !mapOf(1 - i).isFunctionOfDim(d);
      if (!own)
        return true;
    }
    return false;
  }

  /// Whether the factor is indexed by each dimension of the sum alone, so that its elements can be summed along it, and by no others
  /// but single dimensions of the result.
  bool goesAlongSum(unsigned factor) {
    AffineMap map = mapOf(factor);
    for (AffineExpr index : map.getResults())
      if (!isa<AffineDimExpr>(index))
        return false;
    for (unsigned d = contract.getType().getRank(); d < map.getNumDims(); ++d)
      if (!map.getResultPosition(getAffineDimExpr(d, map.getContext())))
        return false;
    return true;
  }

  Value zeroOf(const Quantised &factor, RankedTensorType results) {
    Location loc = contract.getLoc();
    if (!factor.foundZero)
      return ConstantOp::create(builder, loc, results, factor.zero);
    Value number = CastOp::create(builder, loc, RankedTensorType::get({}, builder.getI32Type()), factor.foundZero);
    return ViewOp::create(builder, loc, results, number, AffineMap::get(results.getRank(), 0, {}, builder.getContext()));
  }

  /// Unsigned weights around 128 as signed ones around 0.
  Value signedOf(const Quantised &factor) {
    Location loc = contract.getLoc();
    Type i32 = withElement(factor.type(), builder.getI32Type());
    Value wide = CastOp::create(builder, loc, i32, factor.whole);
    wide = SubOp::create(builder, loc, wide, ConstantOp::create(builder, loc, i32, 128.0));
    return CastOp::create(builder, loc, withElement(factor.type(), builder.getIntegerType(8)), wide);
  }

  Value move(const Quantised &factor) {
    Value value = factor.whole;
    for (Operation *op : factor.moves) {
      RankedTensorType type = withElement(op->getResult(0).getType(), factor.type().getElementType());
      if (auto view = dyn_cast<ViewOp>(op)) {
        value = ViewOp::create(builder, op->getLoc(), type, value, view.getMap());
      } else if (auto pad = dyn_cast<PadOp>(op)) {
        Value around = ConstantOp::create(builder, op->getLoc(), RankedTensorType::get({}, type.getElementType()), factor.zero);
        value = PadOp::create(builder, op->getLoc(), type, value, around, pad.getLow(), pad.getHigh(), pad.getInterior());
      } else {
        value = ReshapeOp::create(builder, op->getLoc(), type, value);
      }
    }
    return value;
  }

  /// The sums of a factor's elements along the sum, for each result.
  Value sumsOf(unsigned factor, Value moved, RankedTensorType results) {
    AffineMap map = mapOf(factor);
    unsigned rank = results.getRank();
    SmallVector<int64_t> along;
    SmallVector<AffineExpr> kept;
    for (auto [i, index] : llvm::enumerate(map.getResults())) {
      if (cast<AffineDimExpr>(index).getPosition() >= rank)
        along.push_back(i);
      else
        kept.push_back(index);
    }
    Location loc = contract.getLoc();
    Value wide = CastOp::create(builder, loc, withElement(moved.getType(), builder.getI32Type()), moved);
    Value sums = ReduceSumOp::create(builder, loc, wide, along);
    return ViewOp::create(builder, loc, results, sums, AffineMap::get(rank, 0, kept, builder.getContext()));
  }

  ContractOp contract;
  OpBuilder builder;
};

struct WholeNumbers : bigm::impl::WholeNumbersBase<WholeNumbers> {
  void runOnOperation() override {
    SmallVector<ContractOp> contractions(getOperation().getBody().front().getOps<ContractOp>());
    for (ContractOp contract : contractions)
      Multiplying(contract).run();
  }
};
} // namespace
