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
/// Contractions whose share of a call is less are left as they are.
constexpr double leastShare = 0.002;

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

/// One build and its times.
struct Trial {
  std::map<std::string, Tunable> tunables;
  std::map<std::string, double> seconds; // of contractions and what packs for them, by key
  double call = 0;
};

class Tuner {
public:
  Tuner(const Checked &checked, const TuneOptions &options) : checked(checked), options(options) {}

  std::optional<Trial> run(const Tuning &tuning, int &exitCode) {
    CodeOptions code = options.code;
    code.explain = code.marks = true;
    code.blocks = &tuning;
    auto compiled = compile(checked, code, exitCode);
    auto module = compiled ? openCompiled(*compiled, exitCode) : nullptr;
    if (!module)
      return std::nullopt;
    const auto *report = functionToMeasure(*compiled, module->get(), options.function);
    if (!report) {
      exitCode = userError("no function's name starts with `" + options.function + "`; `bigmc emit " + options.program.file +
                           " --stage types` lists them");
      return std::nullopt;
    }
    name = report->name;
    KernelTimes times;
    std::string error = measureKernels(module->get(), *report, {"", options.seconds, options.threads}, times);
    if (!error.empty()) {
      exitCode = userError(error);
      return std::nullopt;
    }
    Trial trial;
    for (size_t i = 0; i < report->kernels.size(); ++i) {
      trial.call += times.least[i];
      if (!report->kernels[i].block.empty())
        trial.seconds[report->kernels[i].block] += times.least[i];
    }
    for (auto &[key, tunable] : compiled->tunables)
      if (trial.seconds.count(key)) // it is in this function
        trial.tunables.emplace(key, std::move(tunable));
    return trial;
  }

  /// Tries all other ways in one respect; `best` takes what was faster. The number of findings; nothing: failed.
  std::optional<size_t> improve(Respect respect, Tuning &best, int &exitCode) {
    auto base = run(best, exitCode);
    if (!base)
      return std::nullopt;
    if (respect == Respect::Method)
      std::cerr << fmt::format("{}: {} contractions, {:.3f} ms\n", name, base->tunables.size(), base->call * 1e3);
    size_t tries = 0;
    for (auto &[key, tunable] : base->tunables)
      tries = std::max(tries, tunable.others[respect].size());
    std::map<std::string, std::pair<double, BlockChoice>> found;
    for (size_t i = 0; i < tries; ++i) {
      Tuning trial = best;
      size_t count = 0;
      for (auto &[key, tunable] : base->tunables)
        if (auto &others = tunable.others[respect]; i < others.size() && base->seconds[key] > leastShare * base->call)
          trial[key] = others[i], ++count;
      if (count == 0)
        continue;
      auto result = run(trial, exitCode);
      if (!result)
        return std::nullopt;
      size_t faster = 0;
      for (auto &[key, tunable] : base->tunables) {
        auto &others = tunable.others[respect];
        if (i >= others.size() || !result->seconds.count(key))
          continue;
        double least = found.count(key) ? found[key].first : base->seconds[key] * (1 - leastGain);
        if (result->seconds[key] < least)
          found[key] = {result->seconds[key], others[i]}, ++faster;
      }
      std::cerr << fmt::format("  {} {} of {}: {:.3f} ms, {} of {} faster\n", nameOf(respect), i + 1, tries, result->call * 1e3,
                               faster, count);
    }
    for (auto &[key, finding] : found)
      best[key] = finding.second;
    return found.size();
  }

  const Checked &checked;
  const TuneOptions &options;
  std::string name; // of the function
};
} // namespace

int tune(const TuneOptions &options) {
  auto checked = checkProgram(options.program.file, options.program.sets, options.program.data);
  if (!checked || !showPrecision(*checked, options.code))
    return UserError;
  Tuner tuner(*checked, options);
  int exitCode = Done;
  Tuning best;
  for (Respect respect : respects)
    if (!tuner.improve(respect, best, exitCode))
      return exitCode;
  // Once more in turn, so that what was faster by chance is seen to be no better than what was there.
  double before = 0, after = 0;
  for (int turn = 0; turn < 3; ++turn) {
    auto plain = tuner.run({}, exitCode), tuned = plain ? tuner.run(best, exitCode) : std::nullopt;
    if (!tuned)
      return exitCode;
    before = turn ? std::min(before, plain->call) : plain->call;
    after = turn ? std::min(after, tuned->call) : tuned->call;
    // A finding that does not hold in its own program is left out.
    if (turn == 0)
      std::erase_if(best, [&](const auto &entry) { return tuned->seconds[entry.first] > plain->seconds[entry.first]; });
  }
  TuningFile file{targetsOf(options.code).front(), processorOf(targetsOf(options.code).front()), {}};
  if (after < before)
    file.contractions = best;
  if (!writeTuning(file, options.out))
    return userError("cannot write `" + options.out + "`");
  std::cout << fmt::format("{}: {:.3f} ms before, {:.3f} ms with {} blocks of {}\n", tuner.name, before * 1e3,
                           after < before ? after * 1e3 : before * 1e3, file.contractions.size(), options.out);
  return Done;
}

} // namespace bigm::tool
