// The run folder: who may write it, where a training stands, and changing its files all together or not at all.
#pragma once
#include "bigm/bigm.h"
#include <cstdint>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace bigm::driver {

struct Program;

/// Where a training stands. Doubles survive JSON bit for bit.
struct TrainState {
  int64_t train = 0, phase = 0; // indices of the manifest
  int64_t phaseStep = 0;        // steps taken in this phase
  int64_t step = 0;             // steps taken in this train
  int64_t savedBySteps = 0;     // steps that phases of this train left out by stopping early
  bool phaseBegun = false;      // `start from` and the reset of the slots have happened
  double lossSum = 0;           // over the records of the epoch so far
  int64_t lossCount = 0;
  bool hasBest = false;         // of the stop rule, in this phase
  double best = 0;
  int64_t epochsSinceBest = 0;
  uint64_t metricsBytes = 0;    // length of metrics.jsonl
  double seconds = 0;           // trained so far, for run.json
  bool done = false;
};

/// Of the values of `--set` those that a training goes by. What an `evaluate` asks (of what is fitted, of what ships) counts once
/// the training is over, so a run may go on with other bounds.
std::map<std::string, std::string> trainingSettings(const std::map<std::string, std::string> &settings);

class RunFolder {
public:
  /// Finishes a commit that a crash cut off. Does not need to be writable. Throws data::Error when it is no run
  /// folder and `mustExist`.
  RunFolder(std::string path, bool mustExist);

  std::string file(const std::string &name) const;
  bool has(const std::string &name) const;

  /// Makes the folder and tries to write to it; throws data::Error with the system's reason.
  void makeWritable();
  /// Removes what an earlier run left.
  void clear();

  /// Saves weights, slots and state together.
  void commit(const bigm_model *model, const Program &program, const std::map<std::string, std::string> &settings,
              const TrainState &state);
  /// Reads state.json. Throws data::Error when it is of another program or of other training settings.
  TrainState readState(const Program &program, const std::map<std::string, std::string> &settings) const;
  /// What state.json says of itself, or null.
  nlohmann::ordered_json stateJson() const;
  /// Loads weights.safetensors (and slots too when `slots`). Throws data::Error naming the run and what differs.
  void load(bigm_model *model, bool slots) const;
  /// The weights of a run that is to answer for `program`. Throws data::Error when run.json is of another program.
  void loadFor(const Program &program, bigm_model *model) const;

  void writeJson(const std::string &name, const nlohmann::ordered_json &value) const;
  /// The file's value; null when there is no such file or it is no JSON.
  nlohmann::ordered_json readJson(const std::string &name) const;
  const std::string &path() const { return folder; }

private:
  void recover();
  std::string folder;
};

} // namespace bigm::driver
