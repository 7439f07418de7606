#include "Order.h"
#include "Error.h"
#include "runtime/core/Threefry.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace bigm::data {

uint32_t threefry(uint64_t seed, uint64_t stream, uint64_t index) { return rt::threefry(seed, stream, index); }

uint64_t mixSeed(uint64_t seed, uint64_t a, uint64_t b) {
  return uint64_t(threefry(seed, a, b)) << 32 | threefry(~seed, a, b);
}

void shuffle(std::vector<int64_t> &items, uint64_t seed, uint64_t stream) {
  for (size_t i = items.size(); i > 1; --i) {
    // 64 bits times i, upper word: the bias is below i / 2^64.
    uint64_t bits = uint64_t(threefry(seed, stream, 2 * i)) << 32 | threefry(seed, stream, 2 * i + 1);
    size_t j = size_t((unsigned __int128)bits * i >> 64);
    std::swap(items[i - 1], items[j]);
  }
}

void shuffleWindows(std::vector<int64_t> &begins, int64_t apart, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> firsts(size_t(std::min<int64_t>(std::max<int64_t>(apart, 1), int64_t(begins.size()))));
  std::iota(firsts.begin(), firsts.end(), 0);
  shuffle(firsts, seed, stream);
  std::vector<int64_t> all;
  all.reserve(begins.size());
  for (int64_t first : firsts) {
    std::vector<int64_t> turn;
    for (size_t i = size_t(first); i < begins.size(); i += firsts.size())
      turn.push_back(begins[i]);
    shuffle(turn, mixSeed(seed, uint64_t(first), 1), stream);
    all.insert(all.end(), turn.begin(), turn.end());
  }
  begins = std::move(all);
}

std::vector<int64_t> splitRecords(const std::string &declaration, const std::string &source, int64_t count,
                                  const std::vector<std::pair<std::string, double>> &split, uint64_t seed,
                                  const std::string &name, bool inOrder) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  if (split.empty()) {
    if (name == "train")
      return all;
    fail("data `{}` has no split `{}`: it is not split, so all of it is `train`", declaration, name);
  }
  std::string names;
  int64_t used = 0, begin = -1, end = -1;
  double shares = 0;
  for (auto &[part, amount] : split) {
    int64_t first = used;
    if (amount < 1) {
      // Boundaries of shares are rounded, so that shares that sum to one leave nothing over.
      int64_t before = used - std::llround(shares * double(count));
      shares += amount;
      used = std::min<int64_t>(count, before + std::llround(shares * double(count)));
      if (shares > 1 + 1e-9)
        fail("data `{}`: the shares of its split sum to {}, and there is one whole", declaration, shares);
    } else {
      used += std::llround(amount);
    }
    if (used > count)
      fail("data `{}`: its split asks for {} records up to `{}`, and {} holds {}", declaration, used, part, source, count);
    if (part == name)
      begin = first, end = used;
    names += (names.empty() ? "" : ", ") + part;
  }
  if (begin < 0)
    fail("data `{}` has no split `{}`; it has {}", declaration, name, names);
  if (begin == end)
    fail("data `{}`: its split `{}` is empty; {} holds {} records", declaration, name, source, count);
  if (!inOrder)
    shuffle(all, seed, 0);
  std::vector<int64_t> records(all.begin() + begin, all.begin() + end);
  std::sort(records.begin(), records.end());
  return records;
}

} // namespace bigm::data
