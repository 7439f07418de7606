// Training: fits, then each `train` in its phases.
//
// All that decides a result hangs on seeds and step numbers: the order of an epoch on (seed, phase, epoch), a batch's
// augmentation on that and the batch's number, a step's dropout on (seed, step). So a resumed run needs the tensors, the
// step numbers and the half-finished sums of its epoch, and then takes the very steps that the uninterrupted one took.
#include "FitSettings.h"
#include "Guard.h"
#include "Interrupt.h"
#include "RunReport.h"
#include "Trainer.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <set>

namespace bigm::driver {
using data::fail;

/// Everything that can be wrong is found before the first step.
void Trainer::plan() {
  bool fitsSettings = std::any_of(program.evaluates.begin(), program.evaluates.end(), [](auto &e) { return !e.fits.empty(); });
  if (program.trains.empty() && !fitsSettings)
    fail("`{}` has no `train`: there is nothing to train", program.name);
  for (auto &train : program.trains) {
    for (auto &phase : train.phases) {
      for (auto &name : phase.data) {
        data.records(name, "train");
        if (data.hasSplit(name, "valid")) // the report shows it, also where nothing is measured there
          data.records(name, "valid");
      }
      if (phase.batch <= 0)
        throw std::runtime_error(fmt::format("bug in bigmc: phase `{}` has the batch size {}", phase.name, phase.batch));
      if (!phase.startFrom.empty() && !phase.startIfPresent && startFile(phase).empty())
        fail("phase `{}` starts from {}, and there is no such file beside the program or in the data folder", phase.name,
             phase.startFrom);
      auto *evaluate = program.evaluate(train.validate);
      bool validates = evaluate && data.hasSplit(evaluate->data, "valid");
      bool ofFlow = false;
      for (auto &name : phase.validates) {
        auto *flow = program.evaluate(name);
        ofFlow |= phase.stopMetric.starts_with("valid." + flow->flow + ".");
        data.records(flow->data, "valid");
      }
      if (phase.stopMetric.starts_with("valid.") && !validates && !ofFlow)
        fail("phase `{}` stops by {}, and {}", phase.name, phase.stopMetric,
             evaluate ? fmt::format("data `{}` has no split `valid`", evaluate->data)
                      : fmt::format("no `evaluate` of `{}` says how to measure it", train.name));
    }
    if (auto *evaluate = program.evaluate(train.validate); evaluate && data.hasSplit(evaluate->data, "valid"))
      data.records(evaluate->data, "valid");
  }
  for (auto &evaluate : program.evaluates)
    if (!evaluate.fits.empty())
      data.records(evaluate.data, evaluate.split);
  for (auto &fit : program.fits)
    data.records(fit.data, fit.split.empty() ? "train" : fit.split);
}

void Trainer::fit(const FitProgram &fit) {
  std::string split = fit.split.empty() ? "train" : fit.split;
  auto begun = std::chrono::steady_clock::now();
  session.run(fit.begin, {}, {});
  auto loader = data.batches(fit.data, split, data.records(fit.data, split), 256, data.modeFor(fit.data, fit.step), 0);
  progress.begin("fit " + fit.name, 0, loader.batches());
  int64_t done = 0;
  for (data::Batch batch; loader.next(batch);) {
    session.run(fit.step, batch, {});
    progress.update(++done, batch.size, 0);
    if (interrupted)
      return;
  }
  progress.line(fmt::format("fit {}: {} records  {}", fit.name, countText(double(data.records(fit.data, split).size())),
                            clockText(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count())));
  if (auto bad = session.nonFinite("fit"); !bad.empty())
    fail("fit `{}`: `{}` is not finite after the training split; the data holds a NaN or an infinity", fit.name, bad[0]);
}

FlowHost &Trainer::flows() {
  if (!flowHost)
    flowHost.emplace(session, data, options, flowsOf(module));
  return *flowHost;
}

/// Settings of flows: what was learned is saved before, so that a bound that no value reaches costs nothing of it.
void Trainer::fitSettings() {
  for (auto &evaluate : program.evaluates)
    for (auto &fit : evaluate.fits) {
      auto begun = std::chrono::steady_clock::now();
      checkpoint();
      FittedSetting found = fitSetting(flows(), evaluate, fit);
      std::string text;
      for (auto &[name, value] : found.measured.metrics)
        text += fmt::format("  {} {:.4f}", name, value);
      progress.line(fmt::format("fit {}: {:g} on {}.{}{}  {}", fit.tensor, found.value, evaluate.data, evaluate.split, text,
                                clockText(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count())));
      fitted[fit.tensor] = plain(float(found.value));
    }
}

void Trainer::report() {
  std::vector<bigm::report::Head> heads;
  std::string title;
  for (auto &train : program.trains) {
    std::string split = data.hasSplit(train.data, "valid") ? "valid" : "train";
    auto more = analyse(session, data, train, train.data, split);
    if (!more.empty())
      title = fmt::format("on {}.{}, {} records", train.data, split, countText(double(data.records(train.data, split).size())));
    heads.insert(heads.end(), more.begin(), more.end());
  }
  writeReport(folder, program, std::move(heads), title);
}

Result Trainer::run() {
  CatchInterrupt catching(options.catchInterrupt);
  interrupted = 0;
  data.readTokenizers(options.sourceDir, options.resume ? &folder : nullptr);
  plan();
  begin();
  if (state.done) {
    progress.line(fmt::format("{}: the training is complete; nothing is left to do", options.runDir));
    return {};
  }
  writeRun("running");
  if (!options.resume) {
    data.makeTokenizers(options.sourceDir, [&](const std::string &name, int64_t tokens) {
      progress.line(fmt::format("fit {}: {} tokens", name, countText(double(tokens))));
    });
    data.saveTexts(folder);
  }
  if (!options.resume)
    for (auto &f : program.fits) {
      fit(f);
      if (interrupted) {
        progress.line("stopped before the first step; nothing is saved");
        return {kInterrupted, ""};
      }
    }
  if (!options.resume)
    checkpoint(); // so that there is something to go back to from the first step on
  for (; state.train < int64_t(program.trains.size()); ++state.train) {
    const TrainProgram &train = program.trains[size_t(state.train)];
    for (; state.phase < int64_t(train.phases.size());) {
      Outcome outcome = runPhase(train, train.phases[size_t(state.phase)]);
      if (outcome == Outcome::Interrupted) {
        progress.end();
        checkpoint();
        writeRun("interrupted");
        progress.line(fmt::format("stopped after step {} and saved; go on with the same command and --resume", state.step));
        return {kInterrupted, ""};
      }
      swapAverage(train.phases[size_t(state.phase)]);
      ++state.phase;
      state.phaseStep = 0;
      state.phaseBegun = false;
      state.hasBest = false;
      state.epochsSinceBest = 0;
      if (auto bad = session.nonFinite("param"); !bad.empty())
        fail("`{}` holds a NaN or an infinity after step {} of `{}`", bad[0], state.step, train.name);
      bool last = state.phase == int64_t(train.phases.size()) && state.train + 1 == int64_t(program.trains.size());
      if (!last)
        checkpoint();
      if (interrupted && !last) {
        writeRun("interrupted");
        progress.line(fmt::format("stopped after step {} and saved; go on with the same command and --resume", state.step));
        return {kInterrupted, ""};
      }
    }
    if (state.train + 1 < int64_t(program.trains.size())) {
      state.phase = 0;
      state.step = 0;
      state.savedBySteps = 0;
    }
  }
  try {
    fitSettings();
  } catch (const data::Error &) {
    writeRun("not fitted");
    throw;
  }
  state.done = true;
  checkpoint();
  writeRun("done");
  report();
  progress.line(fmt::format("trained in {}; weights in {}, report in {}", clockText(secondsSoFar()),
                            folder.file("weights.safetensors"), folder.file("report.html")));
  return {};
}

Result train(const bigm_module *module, const TrainOptions &options) {
  return guarded([&] { return Trainer(module, options).run(); });
}

} // namespace bigm::driver
