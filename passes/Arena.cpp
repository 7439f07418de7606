#include "passes/Arena.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <numeric>

using namespace mlir;
using namespace mlir::bigm;

namespace {
using Order = std::vector<unsigned>;

bool meet(const Lifetime &a, const Lifetime &b) { return a.first <= b.last && b.first <= a.last; }

/// The lowest offset of the buffer that meets none of `placed`, which are in the order of their offsets.
template <class Place> int64_t lowest(ArrayRef<Lifetime> buffers, const Order &placed, const Lifetime &buffer, Place offsetOf) {
  int64_t at = 0;
  for (unsigned other : placed) {
    if (!meet(buffers[other], buffer))
      continue;
    if (offsetOf(other) >= at + buffer.bytes)
      break;
    at = std::max(at, offsetOf(other) + buffers[other].bytes);
  }
  return at;
}

/// Each buffer in turn goes to the lowest gap among those already there that live at the same time.
int64_t firstFit(ArrayRef<Lifetime> buffers, const Order &order, std::vector<int64_t> &offsets) {
  offsets.assign(buffers.size(), 0);
  Order placed; // by offset
  int64_t total = 0;
  for (unsigned index : order) {
    int64_t at = lowest(buffers, placed, buffers[index], [&](unsigned other) { return offsets[other]; });
    offsets[index] = at;
    placed.insert(llvm::upper_bound(placed, index, [&](unsigned a, unsigned b) { return offsets[a] < offsets[b]; }),
                  index);
    total = std::max(total, at + buffers[index].bytes);
  }
  return total;
}
} // namespace

int64_t bigm::liveBound(ArrayRef<Lifetime> buffers) {
  int64_t bound = 0;
  for (const Lifetime &at : buffers) { // the sum only grows where a buffer begins
    int64_t sum = 0;
    for (const Lifetime &buffer : buffers)
      if (buffer.first <= at.first && at.first <= buffer.last)
        sum += buffer.bytes;
    bound = std::max(bound, sum);
  }
  return bound;
}

int64_t bigm::assignOffsets(MutableArrayRef<Lifetime> buffers) {
  const int64_t bound = liveBound(buffers);
  Order order(buffers.size()), bestOrder;
  std::vector<int64_t> offsets, best;
  int64_t bestTotal = -1;
  auto attempt = [&](const Order &order) {
    int64_t total = firstFit(buffers, order, offsets);
    if (bestTotal >= 0 && total >= bestTotal)
      return false;
    bestTotal = total;
    best = offsets;
    bestOrder = order;
    return true;
  };
  auto attemptBy = [&](auto key) {
    if (bestTotal == bound)
      return;
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order, [&](unsigned a, unsigned b) { return key(buffers[a]) > key(buffers[b]); });
    attempt(order);
  };
  attemptBy([](const Lifetime &b) { return b.bytes; });
  attemptBy([](const Lifetime &b) { return b.bytes * (b.last - b.first + 1); });
  attemptBy([](const Lifetime &b) { return b.last - b.first; });
  attemptBy([](const Lifetime &b) { return -b.first; });
  attemptBy([](const Lifetime &b) { return b.last; });

  bool improved = true;
  while (bestTotal > bound && improved) {
    improved = false;
    SmallVector<unsigned> highest;
    for (unsigned i = 0; i < buffers.size(); ++i)
      if (best[i] + buffers[i].bytes == bestTotal)
        highest.push_back(i);
    // Those below it at the same time are moved too: one of them may be what keeps it up.
    SmallVector<unsigned> movers = highest;
    for (unsigned top : highest)
      for (unsigned i = 0; i < buffers.size(); ++i)
        if (!llvm::is_contained(movers, i) && meet(buffers[i], buffers[top]))
          movers.push_back(i);
    for (unsigned mover : movers) {
      order = bestOrder;
      order.erase(llvm::find(order, mover));
      order.insert(order.begin(), mover);
      if ((improved = attempt(order)))
        break;
    }
  }
  for (auto [buffer, offset] : llvm::zip(buffers, best))
    buffer.offset = offset;
  return std::max<int64_t>(bestTotal, 0);
}

std::optional<int64_t> bigm::gapFor(ArrayRef<Lifetime> placed, const Lifetime &buffer, int64_t end) {
  Order order(placed.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](unsigned a, unsigned b) { return placed[a].offset < placed[b].offset; });
  int64_t at = lowest(placed, order, buffer, [&](unsigned other) { return placed[other].offset; });
  return at + buffer.bytes <= end ? std::optional(at) : std::nullopt;
}
