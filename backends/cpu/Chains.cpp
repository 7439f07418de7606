#include "backends/cpu/Chains.h"
#include "backends/cpu/Bands.h"
#include "backends/cpu/Contraction.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Fewer slices than this, with every open size 1, would leave cores idle.
constexpr int64_t leastSlices = 4;
/// Elements that each slice of a contraction reads again: beyond, they would come from memory once a slice.
constexpr double mostShared = 16 * 1024;
/// Bytes that the kernels of a chain pass on before they go to the next slices: they stay in the first caches.
constexpr int64_t bytesTogether = 32 * 1024;

/// The dimensions that the units of a nest run through, outermost first, and the units inside of them.
struct Units {
  SmallVector<unsigned> dims;
  AffineExpr inner;
};
std::optional<Units> unitsOf(NestOp nest, const Target &target) {
  if (nest->hasAttr(marginsAttr) || nest->hasAttr(bandAttr)) // two launches, or rows of another loop
    return std::nullopt;
  auto from = [](ArrayRef<Loop> loops, AffineExpr inner) {
    Units units{{}, inner};
    for (const Loop &loop : loops) {
      units.dims.append(loop.joined.begin(), loop.joined.end());
      units.dims.push_back(loop.dim);
    }
    return units;
  };
  if (auto contraction = planContraction(nest, target)) {
    if (contraction->splits > 1)
      return std::nullopt;
    return from(contraction->outer, contraction->inner);
  }
  Schedule s = schedule(nest, target);
  if (s.splits > 1)
    return std::nullopt;
  return from(s.outer, s.inner);
}

/// A chain while it grows.
struct Chain {
  SmallVector<NestOp> nests;
  SmallVector<SmallVector<unsigned>> dims; // of each nest, outermost first
  unsigned shared = 0;                     // of these, how many make a slice

  AffineExpr size(unsigned i) { return nests.front().size(dims.front()[i]); }

  /// Slices when every open size is 1.
  static int64_t least(NestOp nest, ArrayRef<unsigned> dims) {
    int64_t count = 1;
    SmallVector<AffineExpr> ones(nest.symbols(), getAffineConstantExpr(1, nest.getContext()));
    for (unsigned d : dims)
      if (auto number = constantOf(canonical(nest.size(d).replaceSymbols(ones))))
        count *= *number;
    return count;
  }

  /// Whether the first `count` dimensions of the nest make slices that need nothing of other slices of the chain.
  bool fits(NestOp nest, ArrayRef<unsigned> own, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      if (!nests.empty() && canonical(nest.size(own[i])) != canonical(size(i)))
        return false;
    if (least(nest, own.take_front(count)) < leastSlices)
      return false;
    bool fits = true;
    nest->walk([&](LoadOp load) {
      Value root = rootOf(load.getTensor());
      auto source = llvm::find(nests, root.getDefiningOp<NestOp>());
      if (root.getDefiningOp<NestOp>() && source != nests.end()) {
        if (root != load.getTensor())
          return void(fits = false);
        ArrayRef<unsigned> of = dims[source - nests.begin()];
        for (unsigned i = 0; i < count; ++i)
          fits &= load.getMap().getResult(of[i]) == getAffineDimExpr(own[i], nest.getContext());
      } else if (nest.getContraction() && load->getParentRegion() == &nest.getBody()) {
        bool sliced = false;
        double elements = 1;
        for (unsigned i = 0; i < count; ++i)
          sliced |= load.getMap().isFunctionOfDim(own[i]);
        for (unsigned d = 0; d < nest.dims(); ++d)
          if (load.getMap().isFunctionOfDim(d))
            elements *= guess(nest.size(d));
        fits &= sliced || elements <= mostShared;
      }
    });
    return fits;
  }

  bool readsAny(NestOp nest) {
    bool reads = false;
    nest->walk([&](LoadOp load) {
      auto source = load.getTensor().getDefiningOp<NestOp>();
      reads |= source && llvm::is_contained(nests, source);
    });
    return reads;
  }

  bool add(NestOp nest, ArrayRef<unsigned> own) {
    if (!nests.empty() && !readsAny(nest))
      return false;
    unsigned count = nests.empty() ? own.size() : std::min<unsigned>(shared, own.size());
    while (count && !fits(nest, own, count))
      --count;
    if (!count)
      return false;
    nests.push_back(nest);
    dims.push_back(SmallVector<unsigned>(own));
    shared = count;
    return true;
  }

  void close(int64_t &number) {
    if (nests.size() > 1) {
      int64_t bytes = 0;
      for (auto [nest, own] : llvm::zip(nests, dims))
        for (Type type : nest.getResultTypes()) {
          int64_t each = elementBytes(type);
          for (unsigned d = 0; d < nest.getParallel(); ++d)
            if (!llvm::is_contained(ArrayRef<unsigned>(own).take_front(shared), d))
              each *= guess(nest.size(d));
          bytes += each;
        }
      int64_t together = std::max<int64_t>(1, bytesTogether / std::max<int64_t>(1, bytes));
      for (NestOp nest : nests)
        nest->setAttr(chainAttr, DenseI64ArrayAttr::get(nest.getContext(), {number, int64_t(shared), together}));
      ++number;
    }
    *this = {};
  }
};
} // namespace

void cpu::findChains(func::FuncOp func, const Target &target, int64_t first) {
  Chain chain;
  int64_t number = first;
  for (Operation &op : func.getBody().front()) {
    if (isa<AliasOp>(op))
      continue;
    auto nest = dyn_cast<NestOp>(op);
    auto units = nest ? unitsOf(nest, target) : std::nullopt;
    if (units && chain.add(nest, units->dims))
      continue;
    chain.close(number);
    if (units)
      chain.add(nest, units->dims);
  }
  chain.close(number);
}

std::optional<ChainPart> cpu::chainOf(NestOp nest) {
  auto attr = nest->getAttrOfType<DenseI64ArrayAttr>(chainAttr);
  return attr && attr.size() == 3 ? std::optional(ChainPart{attr[0], unsigned(attr[1]), attr[2]}) : std::nullopt;
}

Slices cpu::slicesOf(NestOp nest, unsigned dims, const Target &target) {
  Units units = *unitsOf(nest, target);
  Slices slices{getAffineConstantExpr(1, nest.getContext()), units.inner};
  for (auto [i, d] : llvm::enumerate(units.dims)) {
    AffineExpr &side = i < dims ? slices.count : slices.units;
    side = canonical(side * nest.size(d));
  }
  return slices;
}
