// Which functions run in slices of their batch: the dimension of the batch is followed through all kernels, and the bytes of weights
// that every slice reads again are weighed against those that pass between the kernels.
#include "backends/cpu/Slices.h"
#include "backends/cpu/Scan.h"
#include "backends/cpu/Schedule.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "passes/Kernel.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"
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
/// Weights come from afar while a core computes. They come in time where it does so many operations for each of their bytes: several times
/// what a core does while it gets one, as others ask too.
constexpr double operationsFromMemory = 44, operationsFromLastCache = 8;
/// What contractions with fewer weights than this share of the most do not decide.
constexpr double shareOfMost = 0.25;

/// A symbol of a function, as the size of a batch.
class Batch {
public:
  Batch(func::FuncOp func, unsigned symbol) : func(func), symbol(symbol), size(getAffineSymbolExpr(symbol, func.getContext())) {
    for (unsigned s = 0; s < func->getAttrOfType<ArrayAttr>(attrs::symbols).size(); ++s)
      guesses.push_back(s == symbol ? 1 : guess(getAffineSymbolExpr(s, func.getContext())));
  }

  /// Whether every element of the batch is computed from the same element of the inputs and from what has no batch, which is outermost
  /// in every input and output.
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
    if (!follows(func.getBody().front()))
      return false;
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    for (Value result : ret.getOperands())
      if (!batched(result) || at[result] != 0 || !isRowMajor(result))
        return false; // every slice would write it
    return any && ret.getNumOperands();
  }

  /// Nothing where slices do not pay.
  std::optional<BatchSlices> slices(const Target &target) {
    Bound traffic;
    double weights = 0;
    llvm::DenseSet<Value> seen;
    for (Operation &op : func.getBody().front()) {
      if (!isa<NestOp, AttendOp, kernel::ScanOp>(op))
        continue;
      llvm::DenseSet<Value> own;
      auto reads = [&](Value tensor) {
        if (!at.contains(tensor) && seen.insert(tensor).second)
          weights += guessOf(bytesOfOne(tensor));
        if (at.contains(tensor) && own.insert(tensor).second)
          add(traffic, bytesOfOne(tensor));
      };
      llvm::for_each(op.getOperands(), reads);
      op.walk([&](LoadOp load) { reads(load.getTensor()); });
      for (Value result : op.getResults())
        if (at.contains(result))
          add(traffic, bytesOfOne(result));
    }
    double alive = 0;
    for (const BytesTerm &term : termsOf(func, arenaAttr))
      (llvm::is_contained(term.of, symbol) ? alive : weights) += term.at(guesses);
    double most = lastCache * double(target.ownBytes);
    // Fewer elements would read weights more often than that is worth; and what stays in a core's own cache anyhow need not be cut.
    BatchSlices slices{symbol, int64_t(std::ceil(std::max(weights, shareOfWeights * double(target.ownBytes)))),
                       payments(traffic, shareOfWeights)};
    auto needs = [&](const BatchSlices &of) { return of.pays.empty() ? 0 : of.each(guesses); };
    bool scans = !func.getBody().front().getOps<kernel::ScanOp>().empty();
    if (weights > most)
      slices = mostDemanding(operationsFromMemory);
    else if (scans) // whose steps each read their weights
      if (BatchSlices ofStep = mostDemanding(operationsFromLastCache); needs(ofStep) > needs(slices))
        slices = ofStep;
    if (slices.pays.empty()) // nothing that slices would gain by
      return std::nullopt;
    int64_t count = slices.each(guesses);
    auto least = leastSizesOf(func);
    // What leaves the caches gains nothing, but where threads would meet after every kernel of every step.
    if ((double(count) * alive > most && !scans) || (symbol < least.size() && least[symbol] > count))
      return std::nullopt;
    return slices;
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

  bool follows(Block &block) {
    return llvm::all_of(block, [&](Operation &op) {
      return llvm::TypeSwitch<Operation *, bool>(&op)
          .Case<NestOp, AliasOp, AttendOp, kernel::ScanOp>([&](auto op) { return follows(op); })
          .Default([](Operation *op) { return isa<func::ReturnOp>(op); });
    });
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

  /// The batch is the first of an attention's sizes, and the first of the dimensions that its maps are over.
  bool follows(AttendOp attend) {
    AffineMap sizes = attend.getSizes();
    AffineExpr sequence = getAffineDimExpr(0, func.getContext());
    if (attend.getBackward() || attend.getCached() || canonical(sizes.getResult(0)) != size ||
        llvm::any_of(sizes.getResults().drop_front(), [&](AffineExpr of) { return uses(of); }))
      return false;
    for (auto [input, map] : llvm::zip(attend.getInputs(), attend.getMaps().getAsValueRange<AffineMapAttr>())) {
      auto place = at.find(input);
      for (auto [i, index] : llvm::enumerate(map.getResults()))
        if (place != at.end() && place->second == i ? index != sequence : index.isFunctionOfDim(0) || uses(index))
          return false;
    }
    return llvm::all_of(attend.getResults(), [&](Value result) { return batched(result) && at[result] == 0; });
  }

  /// The body has the symbols of the function. What a step takes of a series lacks its first dimension, as what it adds to one does.
  bool follows(kernel::ScanOp scan) {
    Block &body = bodyOf(scan).getBody().front();
    auto expects = [&](Value outside, Value inside, bool series) {
      return batched(outside) && batched(inside) ? at[outside] == at[inside] + series : !mentions(outside) && !mentions(inside);
    };
    unsigned starts = scan.getStarts().size(), xs = scan.getXs().size();
    auto isSeries = [&](unsigned i) { return i >= starts && i < starts + xs; };
    for (auto [i, pair] : llvm::enumerate(llvm::zip(scan.getOperands(), body.getArguments())))
      if (!expects(std::get<0>(pair), std::get<1>(pair), isSeries(i)))
        return false;
    if (uses(scan.getSteps().getResult(0)) || !follows(body))
      return false;
    for (auto [i, pair] : llvm::enumerate(llvm::zip(scan.getResults(), body.getTerminator()->getOperands())))
      if (!expects(std::get<0>(pair), std::get<1>(pair), i >= starts))
        return false;
    return true;
  }

  AffineExpr ofOne(AffineExpr expr) { return canonical(expr.replace(size, getAffineConstantExpr(1, func.getContext()))); }
  /// The value of an expression of the function's symbols.
  double guessOf(AffineExpr expr) {
    SmallVector<AffineExpr> sizes;
    for (int64_t size : guesses)
      sizes.push_back(getAffineConstantExpr(size, func.getContext()));
    return double(*constantOf(canonical(expr.replaceSymbols(sizes))));
  }
  /// Bytes of a tensor, for one element of the batch.
  AffineExpr bytesOfOne(Value tensor) {
    AffineExpr bytes = getAffineConstantExpr(elementBytes(tensor.getType()), func.getContext());
    for (AffineExpr of : sizesOf(tensor.getType()))
      bytes = bytes * ofOne(of);
    return canonical(bytes);
  }
  static void add(Bound &sum, AffineExpr expr) {
    for (auto &[monomial, factor] : boundOf(expr))
      sum[monomial] += factor;
  }
  static std::vector<BytesTerm> payments(const Bound &of, double share) {
    std::vector<BytesTerm> list;
    for (auto &[monomial, factor] : of)
      if (int64_t bytes = int64_t(share * factor))
        list.push_back({bytes, {monomial.begin(), monomial.end()}});
    return list;
  }

  /// What reads weights to multiply with them, for one element of the batch.
  struct Reader {
    double weights = 0;
    AffineExpr operations;
    double operationsOfByte = 0; // that it must do to read them in time
  };
  /// The steps of a scan read what the steps before them have read.
  void readersOf(Block &block, double operationsOfByte, std::vector<Reader> &readers) {
    for (auto scan : block.getOps<kernel::ScanOp>())
      readersOf(bodyOf(scan).getBody().front(), operationsFromLastCache, readers);
    for (auto nest : block.getOps<NestOp>()) {
      if (!nest.getContraction())
        continue;
      AffineExpr operations = getAffineConstantExpr(2, func.getContext());
      for (unsigned d = 0; d < nest.dims(); ++d)
        operations = operations * ofOne(nest.size(d));
      Reader reader{0, canonical(operations), operationsOfByte};
      llvm::DenseSet<Value> own;
      nest->walk([&](LoadOp load) {
        if (!at.contains(load.getTensor()) && own.insert(load.getTensor()).second)
          reader.weights += guessOf(bytesOfOne(load.getTensor()));
      });
      readers.push_back(reader);
    }
  }

  /// Of the contractions that read much of the weights, the slices of the one that needs the most elements to read them in time.
  BatchSlices mostDemanding(double operationsOfByte) {
    std::vector<Reader> readers;
    readersOf(func.getBody().front(), operationsOfByte, readers);
    double most = 0, needs = 0;
    for (const Reader &reader : readers)
      most = std::max(most, reader.weights);
    BatchSlices found{symbol, 0, {}};
    for (const Reader &reader : readers)
      if (double own = reader.weights * reader.operationsOfByte / guessOf(reader.operations); reader.weights >= shareOfMost * most && own > needs) {
        needs = own;
        found.weights = int64_t(std::ceil(reader.weights));
        found.pays = payments(boundOf(reader.operations), 1 / reader.operationsOfByte);
      }
    return found;
  }

  func::FuncOp func;
  unsigned symbol;
  AffineExpr size;
  SmallVector<int64_t> guesses; // of all symbols, for one element
  DenseMap<Value, unsigned> at; // the dimension of the batch in each tensor that has it
};
} // namespace

int64_t BatchSlices::each(ArrayRef<int64_t> sizes) const {
  double sum = 0;
  for (const BytesTerm &term : pays)
    sum += term.at(sizes);
  return std::max<int64_t>(2, int64_t(std::ceil(double(weights) / sum)));
}

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
    if (auto slices = batch.slices(target))
      return slices;
  }
  return std::nullopt;
}
