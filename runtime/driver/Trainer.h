// One training: its state, and what its parts do. Train.cpp has the order of the whole, TrainPhase.cpp one phase of it, and
// TrainFolder.cpp what stands in the run's folder.
#pragma once
#include "DataSets.h"
#include "Driver.h"
#include "FlowHost.h"
#include "FrozenPart.h"
#include "Measure.h"
#include "MetricsFile.h"
#include "Progress.h"
#include "RunFolder.h"
#include "Session.h"
#include <chrono>
#include <optional>
#include <set>

namespace bigm::driver {

/// The time of day in UTC, as run.json has it.
std::string nowText();

class Trainer {
public:
  Trainer(const bigm_module *module, const TrainOptions &options)
      : module(module), options(options), session(module, options.threads), program(session.program()),
        data(session, options.dataDir, session.threads()), folder(options.runDir, false),
        progress(options.log, options.quiet) {
    data.note = [this](const std::string &text) { progress.line(text); };
  }

  Result run();

private:
  /// Everything that can be wrong is found before the first step.
  void plan();
  void fit(const FitProgram &fit);
  /// Settings of flows, once all is learned.
  void fitSettings();
  /// The page of the run: its curves, and what its validation records show.
  void report();
  FlowHost &flows();

  // TrainPhase.cpp
  enum class Outcome { Done, Stopped, Interrupted };
  /// All steps of a phase that are left, with what its epochs end with.
  Outcome runPhase(const TrainProgram &train, const PhaseProgram &phase);
  void beginPhase(const TrainProgram &train, const PhaseProgram &phase);
  /// The file that a phase starts from; empty where there is none.
  std::string startFile(const PhaseProgram &phase) const;
  void estimate(const TrainProgram &train, const PhaseProgram &phase, const std::set<int32_t> &loaded);
  int64_t stepsOf(const PhaseProgram &phase);
  /// What `step` and `steps` of a call count: the phase, or all phases that share the train's optimiser.
  struct Schedule {
    int64_t before = 0, steps = 0; // steps before the phase, and in all
  };
  /// What is frozen in the phase that begins or goes on, and what it holds after an epoch.
  void openFrozen(const PhaseProgram &phase);
  void tellFrozen(const TrainProgram &train, const PhaseProgram &phase);
  Schedule scheduleOf(const TrainProgram &train, const PhaseProgram &phase);
  /// True when the phase is to stop.
  bool endEpoch(const TrainProgram &train, const PhaseProgram &phase, int64_t stepsPerEpoch, double throughput);
  /// What validation measures after an epoch of the phase; nothing where it measures nothing.
  std::optional<Measured> validate(const TrainProgram &train, const PhaseProgram &phase);
  bool shouldStop(const PhaseProgram &phase, double trainLoss, const std::optional<Measured> &measured);
  [[noreturn]] void diverged(const TrainProgram &train, const PhaseProgram &phase, const std::string &function,
                             const data::Batch &batch, const Call &call, const Values &values, double loss);
  /// Runs a step or the gathering of one; the loss of the batch.
  double runBatch(const TrainProgram &train, const PhaseProgram &phase, const std::string &function, data::Batch &batch, const Call &call);

  // TrainAverage.cpp: the averages of weights that `ema` keeps beside those that learn.
  void beginAverage(const PhaseProgram &phase);
  /// The averages in place of the weights, and back again; nothing where the phase has none.
  void swapAverage(const PhaseProgram &phase);
  /// The phase that has begun; null between phases.
  const PhaseProgram *phaseNow() const;

  // TrainFolder.cpp
  void begin();
  void checkpoint();
  void writeRun(const std::string &status);
  double secondsSoFar() const;

  const bigm_module *module;
  const TrainOptions &options;
  Session session;
  const Program &program;
  DataSets data;
  RunFolder folder;
  Progress progress;
  TrainState state;
  FrozenMemory frozenMemory;
  std::optional<FrozenPart> frozen, frozenValid; // of the phase that runs
  std::optional<MetricsFile> metrics;
  std::optional<FlowHost> flowHost; // once something asks a flow
  nlohmann::ordered_json fitted = nlohmann::ordered_json::object(); // settings of flows, for run.json
  std::map<int32_t, std::vector<uint8_t>> freshSlots; // as `init` left them
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::string startedText = nowText(); // when this process began, for run.json
  std::optional<int64_t> savedStep;
  int64_t resumedStep = 0;
};

} // namespace bigm::driver
