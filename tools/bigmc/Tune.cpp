// `bigmc tune`: every contraction of a function is run in other blocks than the cost model chose, and what was faster is kept.
//
// Contractions are tried side by side: one build takes the i-th other way of each, one run gives the times of all kernels. So a
// program of fifty contractions takes no more runs than one of one. What is found in one respect stands when the next is tried.
#include "Commands.h"
#include "Compiler.h"
#include "Measure.h"
#include "Module.h"
#include "Precision.h"
#include "Targets.h"
#include "TuningFile.h"
#include <fmt/format.h>
#include <iostream>

namespace bigm::tool {
namespace {
using namespace mlir::bigm::cpu;

/// Faster by less is no finding.
constexpr double leastGain = 0.03;

const char *nameOf(Respect respect) {
  switch (respect) {
  case Respect::Method:
    return "method";
  case Respect::Block:
    return "block";
  case Respect::Steps:
    return "steps of the sum";
  case Respect::Unit:
    return "unit of work";
  }
  return "";
}

/// One build, ready to be called.
struct Trial {
  std::optional<Compiled> compiled;
  std::unique_ptr<OpenModule> module;
  const FunctionReport *report = nullptr;
  Measurement measurement; // gone before its module

  /// Least seconds of contractions and what packs for them, by key.
  std::map<std::string, double> seconds() const {
    std::map<std::string, double> seconds;
    KernelTimes times = measurement.times();
    for (size_t i = 0; i < report->kernels.size(); ++i)
      if (!report->kernels[i].block.empty())
        seconds[report->kernels[i].block] += times.least[i];
    return seconds;
  }
  double call() const {
    double sum = 0;
    for (double seconds : measurement.times().least)
      sum += seconds;
    return sum;
  }
};

class Tuner {
public:
  Tuner(const Checked &checked, const TuneOptions &options) : checked(checked), options(options) {}

  std::unique_ptr<Trial> open(const Tuning &tuning) {
    CodeOptions code = options.code;
    code.explain = code.marks = true;
    code.blocks = &tuning;
    auto trial = std::make_unique<Trial>();
    trial->compiled = compile(checked, code, exitCode);
    trial->module = trial->compiled ? openCompiled(*trial->compiled, exitCode) : nullptr;
    if (!trial->module)
      return nullptr;
    trial->report = functionToMeasure(*trial->compiled, trial->module->get(), options.function);
    std::string error = trial->report ? trial->measurement.open(trial->module->get(), *trial->report, {"", options.threads, checked.program.generates})
                                      : noSuchFunction(options.function, options.program.file);
    if (error.empty())
      return trial;
    exitCode = userError(error);
    return nullptr;
  }

  /// Calls both in turn, so that what else the machine does meets both.
  bool compare(Trial &a, Trial &b, double seconds) {
    for (int turn = 0; turn < turns; ++turn)
      for (Trial *trial : {&a, &b})
        if (std::string error = trial->measurement.turn(seconds / (2 * turns), 1); !error.empty()) {
          exitCode = userError(error);
          return false;
        }
    return true;
  }

  /// Tries all other ways in one respect; `best` takes what was faster. False: failed.
  bool improve(Respect respect, Tuning &best) {
    auto base = open(best);
    if (!base)
      return false;
    auto present = base->seconds(); // in this function
    std::map<std::string, Tunable> tunables;
    size_t tries = 0;
    for (auto &[key, tunable] : base->compiled->tunables)
      if (present.count(key)) {
        tries = std::max(tries, tunable.others[respect].size());
        tunables.emplace(key, tunable);
      }
    if (respect == respects[0])
      std::cerr << fmt::format("{}: {} contractions\n", base->report->name, tunables.size());
    std::map<std::string, std::pair<double, BlockChoice>> found; // the share of the time before, and how
    for (size_t i = 0; i < tries; ++i) {
      Tuning tuning = best;
      std::vector<std::string> tried;
      for (auto &[key, tunable] : tunables)
        if (auto &others = tunable.others[respect]; i < others.size())
          tuning[key] = others[i], tried.push_back(key);
      auto trial = open(tuning);
      if (!trial || !compare(*base, *trial, options.seconds))
        return false;
      auto before = base->seconds(), after = trial->seconds();
      size_t faster = 0;
      for (const std::string &key : tried) {
        double share = before[key] > 0 ? after[key] / before[key] : 1;
        if (share < (found.count(key) ? found[key].first : 1 - leastGain))
          found[key] = {share, tunables[key].others[respect][i]}, ++faster;
      }
      std::cerr << fmt::format("  {} {} of {}: {:.3f} ms beside {:.3f}, {} of {} faster\n", nameOf(respect), i + 1, tries,
                               trial->call() * 1e3, base->call() * 1e3, faster, tried.size());
    }
    for (auto &[key, finding] : found)
      best[key] = finding.second;
    return true;
  }

  const Checked &checked;
  const TuneOptions &options;
  int exitCode = Done;

private:
  static constexpr int turns = 5;
};
} // namespace

int tune(const TuneOptions &options) {
  auto checked = checkProgram(options.program.file, options.program.sets, options.program.data);
  if (!checked || !showPrecision(*checked, options.code))
    return UserError;
  Tuner tuner(*checked, options);
  Tuning best;
  for (Respect respect : respects)
    if (!tuner.improve(respect, best))
      return tuner.exitCode;
  // Once more, for longer: a finding that does not hold beside the others is left out, and then all of them must pay together.
  auto plain = tuner.open({}), tuned = plain ? tuner.open(best) : nullptr;
  if (!tuned || !tuner.compare(*plain, *tuned, 3 * options.seconds))
    return tuner.exitCode;
  auto before = plain->seconds(), after = tuned->seconds();
  if (std::erase_if(best, [&](const auto &entry) { return after[entry.first] > before[entry.first]; })) {
    tuned = tuner.open(best);
    if (!tuned || !tuner.compare(*plain, *tuned, 3 * options.seconds))
      return tuner.exitCode;
  }
  const std::string target = targetsOf(options.code).front();
  TuningFile file{target, processorOf(target), {}};
  if (tuned->call() < plain->call())
    file.contractions = best;
  if (!writeTuning(file, options.out))
    return userError("cannot write `" + options.out + "`");
  if (file.contractions.empty())
    std::cout << fmt::format("{}: {:.3f} ms; nothing that was tried is faster\n", plain->report->name, plain->call() * 1e3);
  else
    std::cout << fmt::format("{}: {:.3f} ms, {:.3f} ms with {} blocks of {}\n", plain->report->name, plain->call() * 1e3,
                             tuned->call() * 1e3, file.contractions.size(), options.out);
  return Done;
}

} // namespace bigm::tool
