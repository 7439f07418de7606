#include "passes/SymbolicArena.h"
#include "ir/Dims.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;

Bound bigm::boundOf(AffineExpr expr) {
  Bound result;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    result[{}] = std::max<double>(0, constant.getValue());
    return result;
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    result[{symbol.getPosition()}] = 1;
    return result;
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Bound left = boundOf(binary.getLHS()), right = boundOf(binary.getRHS());
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    for (auto &[monomial, factor] : right)
      left[monomial] += factor;
    return left;
  case AffineExprKind::Mul:
    for (auto &[a, x] : left)
      for (auto &[b, y] : right) {
        Monomial both = a;
        both.append(b.begin(), b.end());
        llvm::sort(both);
        result[both] += x * y;
      }
    return result;
  case AffineExprKind::Mod:
    return right;
  default: // divisions
    if (constant)
      for (auto &[monomial, factor] : left)
        factor /= constant.getValue();
    return left;
  }
}

namespace {
/// One way to lay the buffers out. `together` holds symbols: a buffer that grows slower by these alone counts as one of the faster class
/// from the start, not only for the gaps that this leaves.
struct Layout {
  Layout(ArrayRef<SymbolicBuffer> all, ArrayRef<int64_t> leastSizes, const Monomial &together) : buffers(all), leastSizes(leastSizes) {
    // The largest first: what grows slower goes where it leaves room.
    std::vector<Monomial> order;
    for (SymbolicBuffer &buffer : buffers)
      if (classes.try_emplace(buffer.monomial).second)
        order.push_back(buffer.monomial);
    llvm::stable_sort(order, [](const Monomial &a, const Monomial &b) { return std::pair(b.size(), a) < std::pair(a.size(), b); });
    for (SymbolicBuffer &buffer : buffers) {
      auto faster = llvm::find_if(order, [&](const Monomial &other) {
        return growsFaster(other, buffer.monomial) &&
               llvm::all_of(without(other, buffer.monomial), [&](unsigned symbol) { return llvm::is_contained(together, symbol); });
      });
      if (faster != order.end()) {
        buffer.bytes = bytesIn(*faster, buffer);
        buffer.monomial = *faster;
      }
      classes[buffer.monomial].push_back(&buffer);
    }
    for (const Monomial &monomial : order) {
      std::vector<SymbolicBuffer *> &members = classes[monomial];
      std::vector<Lifetime> placed = lifetimesOf(members);
      totals[monomial] = assignOffsets(placed);
      for (auto [buffer, lifetime] : llvm::zip(members, placed))
        buffer->offset = lifetime.offset;
      for (const Monomial &slower : order)
        if (growsFaster(monomial, slower))
          fillGaps(classes[slower], monomial);
    }
  }
  Layout(const Layout &) = delete; // the classes point at the buffers

  static std::vector<Lifetime> lifetimesOf(ArrayRef<SymbolicBuffer *> buffers) {
    std::vector<Lifetime> lifetimes;
    for (SymbolicBuffer *buffer : buffers)
      lifetimes.push_back(*buffer);
    return lifetimes;
  }
  static double times(const Monomial &monomial, ArrayRef<int64_t> sizes) {
    double product = 1;
    for (unsigned symbol : monomial)
      product *= double(sizes[symbol]);
    return product;
  }

  static Monomial without(const Monomial &a, const Monomial &b) {
    Monomial rest;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
    return rest;
  }
  static bool growsFaster(const Monomial &a, const Monomial &b) {
    return a.size() > b.size() && std::includes(a.begin(), a.end(), b.begin(), b.end());
  }
  /// What the buffer takes of a class that grows faster, which counts at least so many times as much.
  int64_t bytesIn(const Monomial &faster, const SymbolicBuffer &buffer) const {
    return llvm::alignTo(llvm::divideCeil(buffer.bytes, int64_t(times(without(faster, buffer.monomial), leastSizes))), 64);
  }

  /// Moves buffers of a class into the gaps of one that grows faster, the largest first; that does not become larger.
  void fillGaps(std::vector<SymbolicBuffer *> &from, const Monomial &faster) {
    std::vector<SymbolicBuffer *> &into = classes[faster];
    std::vector<Lifetime> placed = lifetimesOf(into);
    llvm::stable_sort(from, [](SymbolicBuffer *a, SymbolicBuffer *b) { return a->bytes > b->bytes; });
    llvm::erase_if(from, [&](SymbolicBuffer *buffer) {
      Lifetime there = *buffer;
      there.bytes = bytesIn(faster, *buffer);
      auto at = gapFor(placed, there, totals[faster]);
      if (!at)
        return false;
      buffer->offset = there.offset = *at;
      buffer->bytes = there.bytes;
      placed.push_back(there);
      into.push_back(buffer);
      return true;
    });
  }

  double bytesAt(ArrayRef<int64_t> sizes) const {
    double sum = 0;
    for (auto &[monomial, bytes] : totals)
      sum += double(bytes) * times(monomial, sizes);
    return sum;
  }

  std::vector<SymbolicBuffer> buffers;
  SmallVector<int64_t> leastSizes;
  std::map<Monomial, std::vector<SymbolicBuffer *>> classes;
  std::map<Monomial, int64_t> totals;
};
} // namespace

double BytesTerm::at(ArrayRef<int64_t> sizes) const {
  double product = double(bytes);
  for (unsigned s : of)
    product *= double(sizes[s]);
  return product;
}

std::vector<BytesTerm> bigm::termsOf(Operation *func, llvm::StringRef attribute) {
  std::vector<BytesTerm> terms;
  for (Attribute term : func->getAttrOfType<ArrayAttr>(attribute)) {
    auto pair = cast<ArrayAttr>(term);
    auto of = cast<DenseI64ArrayAttr>(pair[1]).asArrayRef();
    terms.push_back({cast<IntegerAttr>(pair[0]).getInt(), {of.begin(), of.end()}});
  }
  return terms;
}

SymbolicBuffer::SymbolicBuffer(AffineExpr size, int first, int last) {
  this->first = first, this->last = last;
  double sum = 0;
  for (auto &[part, factor] : boundOf(canonical(size))) {
    sum += factor;
    // The least common multiple.
    Monomial merged;
    std::set_union(monomial.begin(), monomial.end(), part.begin(), part.end(), std::back_inserter(merged));
    monomial = merged;
  }
  bytes = llvm::alignTo(int64_t(std::ceil(sum)), 64);
}

SymbolicArena bigm::planArena(ArrayRef<SymbolicBuffer> buffers, ArrayRef<int64_t> usual, MLIRContext *context) {
  constexpr int64_t enough = 1 << 20; // products of several stay within 64 bits
  constexpr int64_t guess = 32;       // where nothing is known, to weigh classes against each other
  SmallVector<int64_t> sizes, many, least;
  Monomial known;
  for (auto [symbol, size] : llvm::enumerate(usual)) {
    if (size > 0)
      known.push_back(unsigned(symbol));
    sizes.push_back(size > 0 ? std::min(size, enough) : guess);
    many.push_back(sizes.back() * 1024);
    least.push_back(size > 0 ? std::min(size, enough) : 1);
  }
  auto best = [&](ArrayRef<int64_t> least) {
    auto apart = std::make_unique<Layout>(buffers, least, Monomial());
    if (known.empty()) // together is the same
      return apart;
    auto together = std::make_unique<Layout>(buffers, least, known);
    // What counts as a share of each input costs calls of far more inputs.
    bool pays = together->bytesAt(sizes) < apart->bytesAt(sizes) && together->bytesAt(many) <= 1.1 * apart->bytesAt(many);
    return pays ? std::move(together) : std::move(apart);
  };
  auto layout = best(least);
  // Of the sizes that give as small an arena for usual calls, the smallest: then a call of fewer takes little more than it needs.
  const double most = layout->bytesAt(sizes) * 1.01;
  while (llvm::any_of(least, [](int64_t size) { return size > 1; })) {
    for (int64_t &size : least)
      size = (size + 1) / 2;
    auto smaller = best(least);
    if (smaller->bytesAt(sizes) > most)
      break;
    layout = std::move(smaller);
  }

  SymbolicArena arena;
  arena.leastSizes = layout->leastSizes;
  arena.offsets.resize(buffers.size());
  AffineExpr base = getAffineConstantExpr(0, context);
  for (auto &[monomial, members] : layout->classes) {
    AffineExpr unit = getAffineConstantExpr(1, context);
    for (unsigned symbol : monomial)
      unit = unit * getAffineSymbolExpr(symbol, context);
    for (SymbolicBuffer *buffer : members)
      arena.offsets[buffer - layout->buffers.data()] = canonical(base + unit * buffer->offset);
    base = canonical(base + unit * layout->totals[monomial]);
    std::vector<Lifetime> own;
    for (const SymbolicBuffer &buffer : buffers)
      if (buffer.monomial == monomial)
        own.push_back(buffer);
    arena.classes.push_back({monomial, layout->totals[monomial], liveBound(own)});
  }
  return arena;
}
