// Which records, in which order: splits and shuffles that depend on seeds alone.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bigm::data {

/// Threefry-2x32, 20 rounds, as docs/abi.md defines random numbers: word 0 for (seed, stream, index).
uint32_t threefry(uint64_t seed, uint64_t stream, uint64_t index);
/// A new seed from a seed and two numbers, for the k-th batch of an epoch and the like.
uint64_t mixSeed(uint64_t seed, uint64_t a, uint64_t b = 0);

/// A permutation of `items` (Fisher-Yates over threefry).
void shuffle(std::vector<int64_t> &items, uint64_t seed, uint64_t stream);

/// The same for windows that begin at all places of a text: taken in turns, each of which goes through the text once, in windows
/// `apart` from each other whose first place is drawn anew. So every place is seen as often as any other, early on too.
void shuffleWindows(std::vector<int64_t> &begins, int64_t apart, uint64_t seed, uint64_t stream);

/// Records of split `name` out of `count`, ascending. `split` lists (name, count, or share when below 1) in the
/// program's order; with no split at all, everything is "train". Throws Error for an unknown name, or when the parts
/// exceed what is there; `declaration` and `source` are for the message. `inOrder` takes the parts one after the other
/// instead of at random.
std::vector<int64_t> splitRecords(const std::string &declaration, const std::string &source, int64_t count,
                                  const std::vector<std::pair<std::string, double>> &split, uint64_t seed,
                                  const std::string &name, bool inOrder = false);

} // namespace bigm::data
