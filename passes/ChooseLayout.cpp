// The order in memory of what only nests read.
//
// A contraction runs in vectors along one dimension of its result; one operand must be contiguous there. For a
// convolution that is the channels: activations lie channels-last, weights [kh][kw][ci][co], and neither packing of
// activations nor transposes are needed, forward or backward. From the contractions the wish spreads through the nests
// that produce and consume their tensors, so that a whole network agrees and nothing is transposed between its layers.
// What the caller gave or gets stays row-major: it is copied into the wished order where a contraction reads it in
// vectors, or where several nests would gather from it.
//
// Runs after fuse-kernels (a layout belongs to a tensor in memory) and before plan-memory.
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_CHOOSELAYOUT
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
int64_t rankOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getRank(); }

/// The dimension of the nest that index `i` of the load is, or -1.
int dimOf(LoadOp load, unsigned i) {
  auto dim = dyn_cast<AffineDimExpr>(load.getMap().getResult(i));
  return dim ? int(dim.getPosition()) : -1;
}
/// Whether the index only takes several dimensions as the digits of one number, as after a reshape: h * 32 + d with d below
/// 32, plus a constant. Then no element is read twice.
bool isDigits(AffineExpr index, NestOp nest) {
  SmallVector<std::pair<int64_t, AffineExpr>> digits; // coefficient and size
  AffineExpr zero = getAffineConstantExpr(0, index.getContext()), one = getAffineConstantExpr(1, index.getContext());
  SmallVector<AffineExpr> zeros(nest.dims(), zero);
  AffineExpr base = canonical(index.replaceDims(zeros));
  for (unsigned d = 0; d < nest.dims(); ++d) {
    if (!index.isFunctionOfDim(d))
      continue;
    SmallVector<AffineExpr> unit = zeros;
    unit[d] = one;
    auto step = dyn_cast<AffineConstantExpr>(canonical(index.replaceDims(unit) - base));
    if (!step || !index.isPureAffine())
      return false;
    digits.push_back({step.getValue(), nest.size(d)});
  }
  llvm::sort(digits, [](auto &a, auto &b) { return a.first < b.first; });
  int64_t want = 1;
  for (auto &[step, size] : digits) {
    auto extent = dyn_cast<AffineConstantExpr>(size);
    if (step != want || (!extent && &size != &digits.back().second))
      return false;
    want *= extent ? extent.getValue() : 1;
  }
  bool divides = false;
  index.walk([&](AffineExpr e) {
    divides |= isa<AffineBinaryOpExpr>(e) && e.getKind() != AffineExprKind::Add && e.getKind() != AffineExprKind::Mul;
  });
  return !divides;
}
/// The index of the tensor in which dimension `dim` of the nest takes single steps, alone or as the last digit; or -1.
int placeOf(LoadOp load, unsigned dim) {
  auto nest = load->getParentOfType<NestOp>();
  for (auto [i, index] : llvm::enumerate(load.getMap().getResults())) {
    if (index == getAffineDimExpr(dim, load.getContext()))
      return int(i);
    if (!index.isFunctionOfDim(dim) || isa<AffineDimExpr>(index) || !isDigits(index, nest))
      continue;
    AffineExpr next = index.replace(getAffineDimExpr(dim, load.getContext()), getAffineDimExpr(dim, load.getContext()) + 1);
    return canonical(next - index) == getAffineConstantExpr(1, load.getContext()) ? int(i) : -1;
  }
  return -1;
}
bool hasWindow(LoadOp load) {
  auto nest = load->getParentOfType<NestOp>();
  return llvm::any_of(load.getMap().getResults(), [&](AffineExpr index) {
    return !isa<AffineDimExpr, AffineConstantExpr>(index) && !isDigits(index, nest);
  });
}
/// Sizes for comparison; a symbol counts as 128.
double guess(AffineExpr size) {
  auto constant = dyn_cast<AffineConstantExpr>(size);
  return constant ? double(constant.getValue()) : 128;
}

/// How a contraction runs in vectors.
struct Vectors {
  unsigned dim;  // of the nest
  LoadOp b, a;   // the operand that is contiguous along it, and the other
  bool shared = false; // both are: a depthwise convolution, along its channels
};

/// Rows of a block: where `a` moves and `b` does not.
bool hasRows(NestOp nest, LoadOp a, LoadOp b) {
  for (unsigned dim = 0; dim < nest.getParallel(); ++dim)
    if (a.getMap().isFunctionOfDim(dim) && !b.getMap().isFunctionOfDim(dim))
      return true;
  return false;
}


std::optional<Vectors> vectorsOf(NestOp nest) {
  SmallVector<LoadOp> loads(nest.getBody().front().getOps<LoadOp>());
  if (loads.size() != 2)
    return std::nullopt;
  auto isWeight = [](LoadOp x, LoadOp y) {
    return cast<RankedTensorType>(x.getTensor().getType()).hasStaticShape() &&
           !cast<RankedTensorType>(y.getTensor().getType()).hasStaticShape();
  };
  std::optional<Vectors> best;
  std::tuple<bool, bool, bool, double> bestScore;
  for (unsigned dim = 0; dim < nest.getParallel(); ++dim)
    for (int which : {0, 1}) {
      LoadOp b = loads[which], a = loads[1 - which];
      if (placeOf(b, dim) < 0 || a.getMap().isFunctionOfDim(dim))
        continue;
      bool window = hasWindow(a) || hasWindow(b);
      bool last = dim + 1 == nest.getParallel();
      // Long enough; channels of the weights where there are such; the last dimension of the result; the longest.
      std::tuple score(guess(nest.size(dim)) >= 8, nest.getParallel() >= 3 && isWeight(b, a), last && !window,
                       guess(nest.size(dim)));
      if (!best || score > bestScore)
        best = Vectors{dim, b, a}, bestScore = score;
    }
  if (best && hasRows(nest, best->a, best->b))
    return best;
  // Sums of rows with weights, as in a masked mean: each element counts once and already lies as it is read.
  if (best && placeOf(best->b, best->dim) + 1 == rankOf(best->b.getTensor()) && guess(nest.size(best->dim)) >= 8)
    return best;
  // No operand would be used more than once: vectors along the longest dimension that both have, other than the batch.
  std::optional<Vectors> shared;
  for (unsigned dim = 0; dim < nest.getParallel(); ++dim) {
    bool both = placeOf(loads[0], dim) >= 0 && placeOf(loads[1], dim) >= 0;
    if (!both || guess(nest.size(dim)) < 4 || (shared && guess(nest.size(dim)) <= guess(nest.size(shared->dim))))
      continue;
    bool first = hasRows(nest, loads[0], loads[1]);
    if (first || hasRows(nest, loads[1], loads[0]))
      shared = Vectors{dim, loads[first], loads[!first], true};
  }
  return shared ? shared : best;
}

struct ChooseLayout : bigm::impl::ChooseLayoutBase<ChooseLayout> {
  llvm::MapVector<Value, int> wishes; // tensor -> its dimension that should be contiguous
  DenseMap<Operation *, unsigned> along; // nest -> the dimension that it should run along
  unsigned symbols = 0;

  void wish(Value tensor, int dim) {
    if (dim >= 0 && !wishes.count(tensor))
      wishes[tensor] = dim;
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    symbols = symbolCount(func);
    wishes.clear();
    along.clear();
    SmallVector<NestOp> nests(func.getBody().front().getOps<NestOp>());
    for (NestOp nest : nests)
      if (nest.getContraction())
        fromContraction(nest);
    bool changed = true;
    while (changed) {
      changed = false;
      for (NestOp nest : nests)
        changed |= spread(nest);
    }
    for (NestOp nest : nests)
      setLayouts(nest);
    OpBuilder builder(func);
    for (auto &[tensor, dim] : wishes)
      if (!tensor.getDefiningOp<NestOp>())
        copyGathered(builder, tensor, dim);
    for (NestOp nest : nests)
      if (nest.getContraction())
        pack(nest);
  }

  void fromContraction(NestOp nest) {
    auto vectors = vectorsOf(nest);
    if (!vectors)
      return;
    along[nest] = vectors->dim;
    // The epilogue runs along the same dimension, and so do tensors that it reads.
    for (Value result : nest.getResults())
      wish(result, vectors->dim);
    wish(vectors->b.getTensor(), placeOf(vectors->b, vectors->dim));
    if (vectors->shared)
      return wish(vectors->a.getTensor(), placeOf(vectors->a, vectors->dim));
    // Products of eight bits go by groups of neighbours along the sum.
    if (vectors->a.getType().isInteger(8))
      for (unsigned dim = nest.getParallel(); dim < nest.dims(); ++dim)
        if (placeOf(vectors->a, dim) >= 0)
          return wish(vectors->a.getTensor(), placeOf(vectors->a, dim));
    // The broadcast operand of a convolution: channels too, those of a group where they go by groups. Dimension 0 is the batch.
    if (!hasWindow(vectors->a))
      return;
    auto isGroup = [&](int dim) { return dim < int(nest.getParallel()) && vectors->b.getMap().isFunctionOfDim(dim); };
    int channels = -1;
    for (int64_t i = 1; i < rankOf(vectors->a.getTensor()); ++i)
      if (int dim = dimOf(vectors->a, i); dim >= 0 && (channels < 0 || isGroup(dimOf(vectors->a, channels))))
        channels = int(i);
    wish(vectors->a.getTensor(), channels);
  }

  /// A nest runs along the dimension that one of its tensors wishes; its other tensors then wish the same.
  bool spread(NestOp nest) {
    size_t before = wishes.size();
    if (!along.count(nest)) {
      int dim = -1;
      for (auto [i, result] : llvm::enumerate(nest.getResults()))
        if (auto it = wishes.find(result); it != wishes.end() && dim < 0)
          dim = it->second;
      nest->walk([&](LoadOp load) {
        if (auto it = wishes.find(load.getTensor()); it != wishes.end() && dim < 0)
          dim = dimOf(load, it->second);
      });
      if (dim < 0)
        return false;
      along[nest] = dim;
    }
    unsigned dim = along[nest];
    if (dim < nest.getParallel())
      for (Value result : nest.getResults())
        wish(result, dim);
    if (!nest.getContraction())
      nest->walk([&](LoadOp load) { wish(load.getTensor(), placeOf(load, dim)); });
    return wishes.size() != before;
  }

  static SmallVector<int64_t> orderOf(Value tensor, int inner) {
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < rankOf(tensor); ++i)
      if (i != inner)
        order.push_back(i);
    order.push_back(inner);
    return order;
  }

  void setLayouts(NestOp nest) {
    for (auto [i, result] : llvm::enumerate(nest.getResults())) {
      auto it = wishes.find(result);
      if (it == wishes.end() || it->second + 1 == rankOf(result))
        continue;
      SmallVector<OpOperand *> fixed;
      bool loaded = false;
      for (OpOperand &use : result.getUses())
        if (isa<LoadOp>(use.getOwner()))
          loaded = true;
        else
          fixed.push_back(&use);
      if (!loaded)
        continue; // written once in the order that is asked for
      setLayout(nest, i, orderOf(result, it->second));
      if (fixed.empty())
        continue;
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfter(nest);
      Value rowMajor = createCopy(builder, result, symbols).getResult(0);
      for (OpOperand *use : fixed)
        use->set(rowMajor);
    }
  }

  /// Arguments and aliases are row-major; two nests that would gather from one read a copy instead.
  void copyGathered(OpBuilder &builder, Value tensor, int dim) {
    if (dim + 1 == rankOf(tensor) || rankOf(tensor) < 3 || guess(sizesOf(tensor.getType())[dim]) < 4)
      return;
    SmallVector<LoadOp> loads;
    SmallPtrSet<Operation *, 4> readers;
    Operation *first = nullptr;
    for (Operation *user : tensor.getUsers())
      if (auto load = dyn_cast<LoadOp>(user)) {
        auto nest = load->getParentOfType<NestOp>();
        auto it = along.find(nest);
        if (nest.getContraction() || it == along.end() || dimOf(load, dim) != int(it->second))
          continue;
        loads.push_back(load);
        readers.insert(nest);
        if (!first || nest->isBeforeInBlock(first))
          first = nest;
      }
    if (readers.size() < 2)
      return;
    builder.setInsertionPoint(first);
    Value copy = createCopy(builder, tensor, symbols, orderOf(tensor, dim)).getResult(0);
    for (LoadOp load : loads)
      load.getTensorMutable().assign(copy);
  }

  void pack(NestOp nest) {
    auto vectors = vectorsOf(nest);
    if (!vectors)
      return;
    pack(nest, vectors->dim, vectors->b, vectors->a);
    if (vectors->shared)
      pack(nest, vectors->dim, vectors->a, vectors->b);
  }

  /// A load that reads a part of its tensor, like the keys among queries, keys and values, reads a copy of that part.
  bool compact(NestOp nest, LoadOp load) {
    if (load.getInside() || !load.getAt().empty())
      return false;
    // Each dimension of the nest moves one index, so the part has the size of these dimensions.
    SmallVector<AffineExpr> sizes, places;
    SmallVector<unsigned> moved;
    double part = 1, whole = 1;
    bool plain = true;
    for (auto [index, extent] : llvm::zip(load.getMap().getResults(), sizesOf(load.getTensor().getType()))) {
      whole *= guess(extent);
      plain &= isa<AffineDimExpr>(index);
      for (unsigned d = 0; d < nest.dims(); ++d)
        if (index.isFunctionOfDim(d)) {
          if (llvm::is_contained(moved, d))
            return false;
          moved.push_back(d), sizes.push_back(nest.size(d)), part *= guess(nest.size(d));
        }
    }
    if (plain || part > whole)
      return false;
    SmallVector<AffineExpr> byDim(nest.dims(), getAffineConstantExpr(0, &getContext()));
    SmallVector<AffineExpr> at;
    for (auto [i, d] : llvm::enumerate(moved))
      byDim[d] = getAffineDimExpr(i, &getContext()), at.push_back(getAffineDimExpr(d, &getContext()));
    for (AffineExpr index : load.getMap().getResults())
      places.push_back(index.replaceDims(byDim));
    OpBuilder builder(nest);
    Type element = cast<RankedTensorType>(load.getTensor().getType()).getElementType();
    NestOp copy = createNest(builder, load.getLoc(), tensorType(sizes, symbols, element), sizes, symbols, sizes.size());
    OpBuilder inner = OpBuilder::atBlockEnd(&copy.getBody().front());
    Value value = LoadOp::create(inner, load.getLoc(), load.getType(), load.getTensor(), ValueRange(), Value(),
                                 AffineMapAttr::get(AffineMap::get(sizes.size(), symbols, places, &getContext())),
                                 IntegerSetAttr());
    YieldOp::create(inner, load.getLoc(), value);
    load.getTensorMutable().assign(copy.getResult(0));
    load.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), load.getMap().getNumSymbols(), at, &getContext())));
    return true;
  }

  /// The vector operand of a contraction is contiguous, or is copied so, its dimensions in the order in which the other
  /// operand moves: then the reduction loops join.
  void pack(NestOp nest, unsigned dim, LoadOp b, LoadOp a) {
    int inner = placeOf(b, dim);
    auto maker = b.getTensor().getDefiningOp<NestOp>();
    bool lies = layoutOf(b.getTensor()).back() == inner;
    if (lies && (!maker || maker.reduces() || !b.getTensor().hasOneUse()))
      return;
    bool isCompacted = !lies && compact(nest, b);
    inner = placeOf(b, dim);
    SmallVector<AffineExpr> strides = stridesOf(a.getTensor());
    auto stepOfA = [&](int64_t i) -> double {
      int moved = dimOf(b, i);
      if (moved < 0)
        return 0;
      for (auto [index, stride] : llvm::zip(a.getMap().getResults(), strides))
        if (index.isFunctionOfDim(moved)) {
          double step = 1;
          canonical(stride).walk([&](AffineExpr e) {
            if (isa<AffineConstantExpr>(e))
              step *= cast<AffineConstantExpr>(e).getValue();
            else if (isa<AffineSymbolExpr>(e))
              step *= 1e4;
          });
          return std::abs(step);
        }
      return 1e30; // rows that the other operand does not know: outermost
    };
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < rankOf(b.getTensor()); ++i)
      if (i != inner)
        order.push_back(i);
    llvm::stable_sort(order, [&](int64_t x, int64_t y) { return stepOfA(x) > stepOfA(y); });
    order.push_back(inner);
    if (auto own = b.getTensor().getDefiningOp<NestOp>(); own && (isCompacted || lies)) // such as weights with a scale in them
      return setLayout(own, cast<OpResult>(b.getTensor()).getResultNumber(), order);
    OpBuilder builder(nest);
    Value packed = createCopy(builder, b.getTensor(), symbols, order).getResult(0);
    b.getTensorMutable().assign(packed);
  }
};
} // namespace
