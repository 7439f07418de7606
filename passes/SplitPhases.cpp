// Contractions that read zeros between elements skip them.
//
// A transposed convolution, and the gradient of a convolution with a stride s to its input, are written as convolutions of a picture
// with s - 1 zeros between its elements: of its products one in s * s counts. A place h of the result meets elements at those k of the
// window with h + k - low a multiple of s. With h = s*Y + (low mod s) - q and k = s*K + q, 0 <= q < s, these are the elements
// Y + K - low / s, whatever q is:
//
//   out[s*Y + (low mod s) - q] = sum(K: x[Y + K - low / s] * w[s*K + q])
//
// one convolution without zeros, of windows s times smaller, with s times the results along q, which a reshape puts in their places
// (here q is counted down from s - 1, so that they ascend). Where s is 2 and low even, h = 2*Y + q and k = 2*K + q meet Y + K + q -
// low / 2: then no place is computed that the result does not have. Several dimensions are split at once. Weights are read through an index
// of (K, q); where the window is no multiple of s, zeros are put around them. (Shi et al. 2016 show the same for images.)
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_SPLITPHASES
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
/// One axis of the padded factor with zeros between.
struct Axis {
  unsigned axis = 0;
  unsigned place = 0, step = 0;       // h and k, dimensions of the contraction
  int64_t stride = 1, window = 1;     // s and the size of k
  int64_t low = 0;                    // that of k counted as it ascends in the picture
  bool backward = false;              // k descends there
  unsigned weightAxis = 0;
  Linear weight;                      // the index there, of k alone
  int64_t lowPad = 0, highPad = 0;    // of the picture
  int64_t weightLow = 0, weightHigh = 0;
  AffineExpr count;                   // of Y
  int64_t steps() const { return llvm::divideCeil(window, stride); }
  int64_t rest() const { return low - stride * llvm::divideFloorSigned(low, stride); }
  /// Whether q is counted upwards and moves the picture too.
  bool moves() const { return stride == 2 && rest() == 0; }
  int64_t shift() const { return moves() ? 0 : stride - 1 - rest(); }
};

class Splitting {
public:
  Splitting(ContractOp contract, unsigned factor)
      : contract(contract), factor(factor), builder(contract), rank(contract.getType().getRank()), context(contract.getContext()) {}

  bool run() {
    pad = contract->getOperand(factor).getDefiningOp<PadOp>();
    auto zero = pad ? pad.getValue().getDefiningOp<ConstantOp>() : ConstantOp();
    if (!zero || zero.getDouble() != 0)
      return false;
    auto picture = linear(map(factor)), weights = linear(map(1 - factor));
    if (!picture || !weights)
      return false;
    for (auto [axis, between] : llvm::enumerate(pad.getInterior()))
      if (between > 0) {
        auto found = axisAt(axis, *picture, *weights);
        if (!found)
          return false;
        axes.push_back(*found);
      }
    if (axes.empty() || filters())
      return false;
    rewrite();
    return true;
  }

private:
  AffineMap map(unsigned of) { return of == 0 ? contract.getLhsMap() : contract.getRhsMap(); }
  AffineExpr dim(unsigned d) { return getAffineDimExpr(d, context); }
  AffineExpr number(int64_t value) { return getAffineConstantExpr(value, context); }

  std::optional<Axis> axisAt(unsigned axis, ArrayRef<Linear> picture, ArrayRef<Linear> weights) {
    Axis found;
    found.axis = axis, found.stride = pad.getInterior()[axis] + 1;
    unsigned used = 0;
    for (auto [d, coefficient] : llvm::enumerate(picture[axis].coefficients)) {
      if (!coefficient)
        continue;
      ++used;
      if (d < rank && coefficient == 1)
        found.place = d;
      else if (d >= rank && (coefficient == 1 || coefficient == -1))
        found.step = d, found.backward = coefficient == -1;
      else
        return {};
    }
    if (used != 2 || found.step < rank || picture[axis].coefficients[found.place] != 1)
      return {};
    auto users = [](ArrayRef<Linear> indices, unsigned d) { return llvm::count_if(indices, [&](const Linear &index) { return index.coefficients[d]; }); };
    if (users(picture, found.place) != 1 || users(picture, found.step) != 1 || users(weights, found.place) != 0 || users(weights, found.step) != 1)
      return {};
    found.weightAxis = llvm::find_if(weights, [&](const Linear &index) { return index.coefficients[found.step]; }) - weights.begin();
    found.weight = weights[found.weightAxis];
    int64_t along = found.weight.coefficients[found.step];
    if ((along != 1 && along != -1) || llvm::count_if(found.weight.coefficients, [](int64_t c) { return c != 0; }) != 1)
      return {};
    auto window = dyn_cast<AffineConstantExpr>(contract.getReduced().getResult(found.step - rank));
    auto size = dyn_cast<AffineConstantExpr>(sizesOf(contract->getOperand(1 - factor).getType())[found.weightAxis]);
    if (!window || window.getValue() < 2 || !size)
      return {};
    found.window = window.getValue();
    found.low = pad.getLow()[axis] - picture[axis].offset + (found.backward ? found.window - 1 : 0);
    // Steps behind the window's end read zeros, not more of the weights.
    int64_t covered = found.steps() * found.stride;
    int64_t first = found.backward ? found.window - covered : 0, last = first + covered - 1;
    int64_t least = std::min(along * first, along * last) + found.weight.offset, most = std::max(along * first, along * last) + found.weight.offset;
    found.weightLow = std::max<int64_t>(0, -least), found.weightHigh = std::max<int64_t>(0, most - size.getValue() + 1);
    if (covered != found.window && found.weightLow + found.weightHigh != covered - found.window)
      return {};
    AffineExpr places = sizesOf(contract.getType())[found.place], elements = sizesOf(pad.getX().getType())[axis];
    found.count = canonical((places + (found.shift() - 1)).floorDiv(found.stride) + 1);
    found.lowPad = llvm::divideFloorSigned(found.low, found.stride);
    auto high = constantDifference(canonical(found.count + (found.steps() - 1 + found.moves() - found.lowPad)), elements);
    if (!high)
      return {};
    found.highPad = *high;
    return found;
  }

  /// Windows of 3 x 3 with steps of 2 take four products of a place so, and between zeros nine, of which Winograd's filtering makes
  /// two and a quarter.
  bool filters() {
    return contract.getType().getElementType().isF32() && axes.size() == 2 &&
           llvm::all_of(axes, [](const Axis &axis) { return axis.window == 3 && axis.stride == 2; });
  }

  const Axis *atPlace(unsigned d) {
    auto it = llvm::find_if(axes, [&](const Axis &axis) { return axis.place == d; });
    return it == axes.end() ? nullptr : &*it;
  }
  const Axis *atStep(unsigned d) {
    auto it = llvm::find_if(axes, [&](const Axis &axis) { return axis.step == d; });
    return it == axes.end() ? nullptr : &*it;
  }

  Value padded(Value x, ArrayRef<int64_t> low, ArrayRef<int64_t> high, ArrayRef<int64_t> interior) {
    SmallVector<AffineExpr> sizes = sizesOf(x.getType());
    for (auto [i, size] : llvm::enumerate(sizes))
      size = canonical(size + (size - 1) * interior[i] + (low[i] + high[i]));
    Type element = cast<RankedTensorType>(x.getType()).getElementType();
    Value zero = ConstantOp::create(builder, pad.getLoc(), RankedTensorType::get({}, element), 0.0);
    return PadOp::create(builder, pad.getLoc(), tensorType(sizes, symbols(), element), x, zero, low, high, interior);
  }
  unsigned symbols() { return symbolCount(contract->getParentOfType<func::FuncOp>()); }

  void rewrite() {
    // The picture, with zeros around alone where it had them between.
    SmallVector<int64_t> low(pad.getLow()), high(pad.getHigh()), interior(pad.getInterior());
    for (const Axis &axis : axes)
      low[axis.axis] = axis.lowPad, high[axis.axis] = axis.highPad, interior[axis.axis] = 0;
    Value operands[2];
    operands[factor] = padded(pad.getX(), low, high, interior);
    Value weights = contract->getOperand(1 - factor);
    SmallVector<int64_t> none(cast<RankedTensorType>(weights.getType()).getRank(), 0), before = none, behind = none;
    for (const Axis &axis : axes)
      before[axis.weightAxis] = axis.weightLow, behind[axis.weightAxis] = axis.weightHigh;
    operands[1 - factor] = before == none && behind == none ? weights : padded(weights, before, behind, none);

    // Each h becomes (Y, q), each k the number of its step.
    SmallVector<AffineExpr> now, sizes, merged, old = sizesOf(contract.getType());
    SmallVector<unsigned> phase(rank, 0);
    for (unsigned d = 0; d < rank; ++d) {
      const Axis *axis = atPlace(d);
      now.push_back(dim(sizes.size()));
      sizes.push_back(axis ? axis->count : old[d]);
      merged.push_back(axis ? canonical(axis->count * axis->stride) : old[d]);
      if (axis)
        phase[d] = sizes.size(), sizes.push_back(number(axis->stride));
    }
    unsigned dims = sizes.size();
    SmallVector<AffineExpr> reduced(contract.getReduced().getResults());
    for (unsigned d = rank; d < rank + reduced.size(); ++d) {
      now.push_back(dim(dims + d - rank));
      if (const Axis *axis = atStep(d))
        reduced[d - rank] = number(axis->steps());
    }
    AffineMap maps[2];
    for (unsigned of : {0u, 1u}) {
      SmallVector<AffineExpr> indices;
      for (AffineExpr index : map(of).getResults())
        indices.push_back(index.replaceDims(now));
      for (const Axis &axis : axes)
        if (of == factor) {
          indices[axis.axis] = now[axis.place] + now[axis.step];
          if (axis.moves())
            indices[axis.axis] = indices[axis.axis] + dim(phase[axis.place]);
        } else {
          AffineExpr q = dim(phase[axis.place]);
          AffineExpr ascending = now[axis.step] * axis.stride + (axis.moves() ? q : (axis.stride - 1) - q);
          AffineExpr k = axis.backward ? number(axis.window - 1) - ascending : ascending;
          indices[axis.weightAxis] = k * axis.weight.coefficients[axis.step] + (axis.weight.offset + axis.weightLow);
        }
      maps[of] = AffineMap::get(dims + reduced.size(), map(of).getNumSymbols(), indices, context);
    }
    Location loc = contract.getLoc();
    Type element = contract.getType().getElementType();
    Value result = ContractOp::create(builder, loc, tensorType(sizes, symbols(), element), operands[0], operands[1], maps[0], maps[1],
                                      AffineMap::get(0, contract.getReduced().getNumSymbols(), reduced, context));
    result = ReshapeOp::create(builder, loc, tensorType(merged, symbols(), element), result);
    SmallVector<AffineExpr> places;
    for (unsigned d = 0; d < rank; ++d)
      places.push_back(atPlace(d) ? dim(d) + atPlace(d)->shift() : dim(d));
    result = ViewOp::create(builder, loc, contract.getType(), result, AffineMap::get(rank, 0, places, context));
    contract.getResult().replaceAllUsesWith(result);
    contract.erase();
    if (pad.use_empty())
      pad.erase();
  }

  ContractOp contract;
  unsigned factor;
  OpBuilder builder;
  unsigned rank;
  MLIRContext *context;
  PadOp pad;
  SmallVector<Axis> axes;
};

struct SplitPhases : bigm::impl::SplitPhasesBase<SplitPhases> {
  void runOnOperation() override {
    for (ContractOp contract : llvm::to_vector(getOperation().getBody().front().getOps<ContractOp>()))
      for (unsigned factor : {0u, 1u})
        if (Splitting(contract, factor).run())
          break;
  }
};
} // namespace
