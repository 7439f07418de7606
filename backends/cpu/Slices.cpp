// Which functions run in slices of their batch: the dimension of the batch is followed through all kernels, and the bytes of weights
// that every slice reads again are weighed against those that pass between the kernels.
#include "backends/cpu/Slices.h"
#include "backends/cpu/Schedule.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "passes/Kernel.h"
#include "passes/SymbolicArena.h"
#include "llvm/ADT/DenseSet.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// The share of a slice's traffic that weights read again may add.
constexpr double shareOfWeights = 0.125;
/// A core's part of the last cache, in which a slice stays, is so many times its own one. Weights are the same for all cores.
constexpr double lastCache = 8;

/// A symbol of a function, as the size of a batch.
class Batch {
public:
  Batch(func::FuncOp func, unsigned symbol) : func(func), symbol(symbol), size(getAffineSymbolExpr(symbol, func.getContext())) {}

  /// Whether every element of the batch is computed from the same element of the inputs and from what has no batch.
  bool isIndependent() {
    bool any = false;
    for (BlockArgument argument : func.getArguments()) {
      bool own = batched(argument);
      if (!mentions(argument))
        continue;
      if (!own || at[argument] != 0 || !isRowMajor(argument))
        return false;
      any = true;
    }
    for (Operation &op : func.getBody().front()) {
      auto nest = dyn_cast<NestOp>(op);
      auto alias = dyn_cast<AliasOp>(op);
      if (nest ? !follows(nest) : alias ? !follows(alias) : !isa<func::ReturnOp>(op))
        return false;
    }
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    for (Value result : ret.getOperands())
      if (!batched(result) || at[result] != 0 || !isRowMajor(result))
        return false; // every slice would write it
    return any && ret.getNumOperands();
  }

  /// Elements of a slice, or nothing where slices do not pay.
  std::optional<int64_t> each(const Target &target) {
    double traffic = 0, weights = 0;
    llvm::DenseSet<Value> seen;
    auto reads = [&](Value tensor) {
      if (!at.contains(tensor) && seen.insert(tensor).second)
        weights += bytesOfOne(tensor);
    };
    for (auto nest : func.getBody().front().getOps<NestOp>()) {
      llvm::DenseSet<Value> own;
      nest->walk([&](LoadOp load) {
        reads(load.getTensor());
        if (at.contains(load.getTensor()) && own.insert(load.getTensor()).second)
          traffic += bytesOfOne(load.getTensor());
      });
      for (Value result : nest.getResults())
        traffic += at.contains(result) ? bytesOfOne(result) : 0;
    }
    double alive = 0;
    for (Attribute term : func->getAttrOfType<ArrayAttr>("kernel.arena")) {
      auto pair = cast<ArrayAttr>(term);
      AffineExpr bytes = getAffineConstantExpr(cast<IntegerAttr>(pair[0]).getInt(), func.getContext());
      auto of = cast<DenseI64ArrayAttr>(pair[1]).asArrayRef();
      for (int64_t s : of)
        bytes = bytes * getAffineSymbolExpr(unsigned(s), func.getContext());
      (llvm::is_contained(of, int64_t(symbol)) ? alive : weights) += guessOfOne(bytes);
    }
    if (traffic == 0)
      return std::nullopt;
    // Fewer would read weights more often than that is worth; and what stays in a core's own cache anyhow need not be cut.
    double each = std::max(weights / (shareOfWeights * traffic), double(target.ownBytes) / traffic);
    double most = lastCache * double(target.ownBytes);
    auto least = leastSizesOf(func);
    int64_t count = std::max<int64_t>(1, int64_t(std::ceil(each)));
    if (double(count) * alive > most || weights > most || (symbol < least.size() && least[symbol] > count))
      return std::nullopt;
    return count;
  }

private:
  bool uses(AffineExpr expr) const { return expr.isFunctionOfSymbol(symbol); }
  bool mentions(Value tensor) const { return llvm::any_of(sizesOf(tensor.getType()), [&](AffineExpr e) { return uses(e); }); }
  static bool isRowMajor(Value tensor) { return llvm::is_sorted(layoutOf(tensor)); }

  /// Notes where the batch stands in a tensor that has its size in one dimension alone.
  bool batched(Value tensor) {
    if (at.contains(tensor))
      return true;
    std::optional<unsigned> found;
    for (auto [i, of] : llvm::enumerate(sizesOf(tensor.getType()))) {
      if (!uses(of))
        continue;
      if (found || canonical(of) != size)
        return false;
      found = i;
    }
    if (found)
      at[tensor] = *found;
    return bool(found);
  }

  bool follows(AliasOp alias) {
    Value from = alias.getTensor(), to = alias.getResult();
    if (!at.contains(from))
      return !mentions(to);
    return at[from] == 0 && batched(to) && at[to] == 0;
  }

  bool follows(NestOp nest) {
    std::optional<unsigned> dim;
    for (unsigned d = 0; d < nest.dims(); ++d)
      if (uses(nest.size(d))) {
        if (dim || d >= nest.getParallel() || canonical(nest.size(d)) != size)
          return false;
        dim = d;
      }
    auto depends = [&](AffineExpr expr) { return uses(expr) || (dim && expr.isFunctionOfDim(*dim)); };
    bool fits = true;
    nest->walk([&](Operation *op) {
      if (auto index = dyn_cast<IndexOp>(op))
        fits &= !depends(index.getMap().getResult(0));
      if (auto test = dyn_cast<TestOp>(op))
        fits &= llvm::none_of(test.getSet().getConstraints(), depends);
      auto load = dyn_cast<LoadOp>(op);
      if (!load)
        return;
      fits &= !load.getInside() || llvm::none_of(load.getInside()->getConstraints(), depends);
      auto place = at.find(load.getTensor());
      for (auto [i, index] : llvm::enumerate(load.getMap().getResults()))
        fits &= place != at.end() && place->second == i ? dim && index == getAffineDimExpr(*dim, nest.getContext()) : !depends(index);
    });
    for (Value result : nest.getResults()) {
      fits &= dim ? batched(result) && at[result] == *dim : !mentions(result);
    }
    return fits;
  }

  double guessOfOne(AffineExpr expr) {
    return double(guess(canonical(expr.replace(size, getAffineConstantExpr(1, func.getContext())))));
  }
  /// Bytes of a tensor, for one element of the batch.
  double bytesOfOne(Value tensor) {
    double bytes = double(elementBytes(tensor.getType()));
    for (AffineExpr of : sizesOf(tensor.getType()))
      bytes *= guessOfOne(of);
    return bytes;
  }

  func::FuncOp func;
  unsigned symbol;
  AffineExpr size;
  DenseMap<Value, unsigned> at; // the dimension of the batch in each tensor that has it
};
} // namespace

std::optional<BatchSlices> cpu::batchSlicesOf(func::FuncOp func, const Target &target) {
  auto symbols = func->getAttrOfType<ArrayAttr>(attrs::symbols);
  if (func.isPrivate() || func->hasAttr(attrs::prepared))
    return std::nullopt;
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    if (func.getResultAttr(i, attrs::updates) || func.getResultAttr(i, attrs::prepared))
      return std::nullopt;
  for (unsigned s = 0; symbols && s < symbols.size(); ++s) {
    Batch batch(func, s);
    if (!batch.isIndependent())
      continue;
    if (auto each = batch.each(target))
      return BatchSlices{s, *each};
  }
  return std::nullopt;
}
