// What a part of a step that does not change in a phase gives for each record: computed when the record is met first, and kept.
//
// A batch is then put together from what its records gave before, and the part runs on the others alone. What it gives for a
// record depends on that record and on the sizes of the fields that it reads (a text is padded to the longest of its batch),
// so it is kept for each of these sizes that comes up. Compiled code rounds a row by where it stands in its batch, so what was
// computed in another batch may differ from what this epoch would have computed, in last bits.
#pragma once
#include "Session.h"
#include <unordered_map>

namespace bigm::driver {

/// Shared by the parts of a phase.
struct FrozenMemory {
  explicit FrozenMemory(uint64_t limit = 0); // 0: a quarter of the machine's memory
  uint64_t limit, used = 0;
  bool full = false; // more was to be kept than goes in: nothing is, from then on
};

class FrozenPart {
public:
  /// Without `keeps` everything is computed for every batch.
  FrozenPart(Session &session, const std::string &function, FrozenMemory &memory, bool keeps);
  /// Adds what the part gives to the fields of the batch.
  void fill(data::Batch &batch);

private:
  /// What was given for records whose fields have the same sizes.
  struct Kept {
    std::vector<std::pair<std::string, data::Tensor>> one; // the outputs' names, and their types and shapes for one record
    uint64_t bytes = 0;                                    // of all outputs, one record
    std::unordered_map<int64_t, std::vector<uint8_t>> records;
  };
  void keep(Kept &kept, const Values &values, const std::vector<int64_t> &records);

  Session &session;
  std::string function;
  FrozenMemory &memory;
  bool keeps;
  std::vector<std::string> inputs;
  std::map<std::vector<int64_t>, Kept> bySizes;
};

} // namespace bigm::driver
