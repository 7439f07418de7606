// What a phase of a training reads: batches of one data set, or of several side by side.
#pragma once
#include "DataSets.h"
#include "Program.h"

namespace bigm::driver {

/// One epoch: a pass through the first data set of the phase in the order that the seed says. Others go along with as many
/// records a batch, shuffled anew as often as they run out; their fields are called SET.field, and so are the first's.
class Feed {
public:
  /// `first` is the number of the first batch to give. `most` bounds the records of the pass; 0: all of them.
  Feed(DataSets &data, const TrainProgram &train, const PhaseProgram &phase, uint64_t seed, int64_t first, size_t most = 0);
  /// The next batch; false after the last.
  bool next(data::Batch &batch);

private:
  struct Part {
    std::string name;
    data::Loader loader;
  };
  std::vector<std::unique_ptr<Part>> parts; // loaders stay where they are made
  bool several;
};

/// Steps of an epoch of the phase; the last may have fewer batches than `accumulate`, and its last batch fewer records.
int64_t stepsPerEpoch(DataSets &data, const PhaseProgram &phase);
int64_t batchesPerEpoch(DataSets &data, const PhaseProgram &phase);

} // namespace bigm::driver
