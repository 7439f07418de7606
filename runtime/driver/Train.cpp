// Training: fits, then each `train` in its phases.
//
// All that decides a result hangs on seeds and step numbers: the order of an epoch on (seed, phase, epoch), a batch's
// augmentation on that and the batch's number, a step's dropout on (seed, step). So a resumed run needs the tensors, the
// step numbers and the half-finished sums of its epoch, and then takes the very steps that the uninterrupted one took.
#include "Driver.h"
#include "Feed.h"
#include "FitSettings.h"
#include "Guard.h"
#include "Interrupt.h"
#include "Measure.h"
#include "MetricsFile.h"
#include "Pretrained.h"
#include "Progress.h"
#include "RunFolder.h"
#include "RunReport.h"
#include "Session.h"
#include "StartFrom.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/data/Order.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <optional>
#include <set>

namespace bigm::driver {
namespace fs = std::filesystem;
using data::fail;
using json = nlohmann::ordered_json;

namespace {

std::string nowText() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

/// True for metrics that are better when smaller, as far as names tell.
bool smallerIsBetter(const std::string &metric) {
  for (auto word : {"loss", "error", "perplexity", "wer", "cer", "ece", "calibration", "mse", "mae", "distance", "milliseconds", "cost"})
    if (metric.find(word) != metric.npos)
      return true;
  return false;
}

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
  void plan();
  void begin();
  void fit(const FitProgram &fit);
  void fitSettings();
  FlowHost &flows();
  /// What validation measures after an epoch of the phase; nothing where it measures nothing.
  std::optional<Measured> validate(const TrainProgram &train, const PhaseProgram &phase);
  void startTrain(const TrainProgram &train);
  void beginPhase(const TrainProgram &train, const PhaseProgram &phase);
  void estimate(const TrainProgram &train, const PhaseProgram &phase, const std::set<int32_t> &loaded);
  enum class Outcome { Done, Stopped, Interrupted };
  Outcome runPhase(const TrainProgram &train, const PhaseProgram &phase);
  bool endEpoch(const TrainProgram &train, const PhaseProgram &phase, int64_t stepsPerEpoch, double throughput);
  bool shouldStop(const PhaseProgram &phase, double trainLoss, const std::optional<Measured> &measured);
  [[noreturn]] void diverged(const TrainProgram &train, const PhaseProgram &phase, const data::Batch &batch,
                             const Call &call, const Values &values, double loss);
  void checkpoint();
  void writeRun(const std::string &status);
  int64_t stepsOf(const PhaseProgram &phase);
  std::string startFile(const PhaseProgram &phase) const;
  double secondsSoFar() const {
    return state.seconds + std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  }

  const bigm_module *module;
  const TrainOptions &options;
  Session session;
  const Program &program;
  DataSets data;
  RunFolder folder;
  Progress progress;
  TrainState state;
  std::optional<MetricsFile> metrics;
  std::optional<FlowHost> flowHost; // once something asks a flow
  json fitted = json::object();     // settings of flows, for run.json
  std::map<int32_t, std::vector<uint8_t>> freshSlots; // as `init` left them
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::string startedText = nowText();
  std::optional<int64_t> savedStep;
  int64_t resumedStep = 0;
};

int64_t Trainer::stepsOf(const PhaseProgram &phase) {
  if (phase.steps > 0)
    return phase.steps;
  if (phase.epochs == 0) // what was there before is kept as it is, to measure or to go on from
    return 0;
  return std::max<int64_t>(1, int64_t(std::ceil(phase.epochs * double(stepsPerEpoch(data, phase)) - 1e-9)));
}

std::string Trainer::startFile(const PhaseProgram &phase) const {
  for (auto &dir : {options.sourceDir, options.dataDir}) {
    std::string path = data::under(dir, phase.startFrom);
    std::error_code error;
    if (fs::exists(path, error))
      return path;
  }
  return "";
}

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

void Trainer::writeRun(const std::string &status) {
  json seeds = json::object();
  for (auto &t : program.trains)
    seeds["train." + t.name] = t.seed;
  for (auto &d : program.data)
    seeds["data." + d.name] = d.seed;
  folder.writeJson("run.json", {{"bigm_run", 1},
                                {"program", program.name},
                                {"source_sha256", program.sourceSha256},
                                {"status", status},
                                {"started", startedText},
                                {"written", nowText()},
                                {"seconds", std::round(secondsSoFar() * 1000) / 1000},
                                {"threads", session.threads()},
                                {"data", options.dataDir},
                                {"settings", options.settings},
                                {"seeds", seeds},
                                {"fitted", fitted},
                                {"versions", {{"compiler", program.compiler}, {"runtime", bigm_version()}, {"target", program.target}}}});
}

void Trainer::checkpoint() {
  state.metricsBytes = metrics->flush();
  TrainState now = state;
  now.seconds = secondsSoFar();
  folder.commit(session.model(), program, options.settings, now);
  savedStep = state.step;
}

/// Opens the folder, anew or where the last checkpoint stood.
void Trainer::begin() {
  folder.makeWritable();
  json before = folder.stateJson();
  json run = folder.readJson("run.json");
  if (run.is_object() && run.value("program", program.name) != program.name)
    fail("{}: is the run of `{}`; expected a new folder, or one of `{}`", options.runDir, run.value("program", ""),
         program.name);
  bool unfinished = before.is_object() && !before.value("done", false);
  if (options.resume) {
    if (before.is_null())
      fail("{}: holds no checkpoint to resume from; leave out --resume to begin", options.runDir);
    state = folder.readState(program, options.settings);
    resumedStep = state.step;
  } else if (unfinished && before.value("source_sha256", "") == program.sourceSha256 &&
             trainingSettings(before.value("settings", std::map<std::string, std::string>{})) == trainingSettings(options.settings)) {
    fail("{}: holds a training that was cut off; go on with --resume, or choose another folder (or remove this one)",
         options.runDir);
  } else {
    folder.clear();
  }
  for (auto &train : program.trains)
    session.initialise(train.name, train.seed);
  for (auto &model : program.models)
    session.initialise(model, 0);
  if (!options.resume)
    loadPretrained(program, session.model(), {options.dataDir, options.sourceDir, &options.given});
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (program.tensors[i].kind == "slot") {
      auto &t = program.tensors[i];
      auto *bytes = static_cast<const uint8_t *>(bigm_model_data(session.model(), int32_t(i)));
      freshSlots[int32_t(i)].assign(bytes, bytes + data::product(t.shape) * int64_t(data::sizeOf(t.elem)));
    }
  if (options.resume) {
    folder.load(session.model(), true);
    data.loadTexts(folder);
  }
  metrics.emplace(folder.file("metrics.jsonl"), state.metricsBytes);
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

/// Running statistics of parts that are frozen before they ever learned would still be as they began, and what learns on
/// top of them would be in for a surprise when they thaw. So they follow some batches first, except those that came from
/// a file.
void Trainer::estimate(const TrainProgram &train, const PhaseProgram &phase, const std::set<int32_t> &loaded) {
  constexpr size_t batches = 50; // a running mean of momentum 0.1 has then forgotten its beginning
  std::map<int32_t, std::vector<uint8_t>> kept;
  bool any = false;
  for (auto &arg : program.function(phase.estimate).args) {
    if (arg.role != "tensor" || arg.access == "read")
      continue;
    if (!loaded.count(arg.tensor)) {
      any = true;
      continue;
    }
    auto &t = program.tensors[size_t(arg.tensor)];
    auto *bytes = static_cast<const uint8_t *>(bigm_model_data(session.model(), arg.tensor));
    kept[arg.tensor].assign(bytes, bytes + data::product(t.shape) * int64_t(data::sizeOf(t.elem)));
  }
  if (!any)
    return;
  uint64_t seed = data::mixSeed(train.seed, uint64_t(&phase - train.phases.data()) + 1, ~uint64_t(0));
  Feed feed(data, train, phase, seed, 0, batches * size_t(phase.batch));
  int64_t done = 0;
  for (data::Batch batch; feed.next(batch); ++done)
    session.run(phase.estimate, batch, {data::mixSeed(seed, 0, uint64_t(done)), 0, 1});
  for (auto &[tensor, bytes] : kept)
    expect(bigm_model_write(session.model(), tensor, bytes.data(), bytes.size()));
  progress.line(fmt::format("{} {}: statistics of the frozen part estimated on {} batches", train.name, phase.name, done));
}

void Trainer::beginPhase(const TrainProgram &train, const PhaseProgram &phase) {
  std::set<int32_t> loaded;
  if (!phase.startFrom.empty()) {
    std::string path = startFile(phase);
    if (path.empty())
      progress.line(fmt::format("{} {}: {} is not there; starting from what is", train.name, phase.name, phase.startFrom));
    else {
      loaded = startFrom(session, train.name, path);
      progress.line(fmt::format("{} {}: {} tensors from {}", train.name, phase.name, loaded.size(), path));
    }
  }
  if (!phase.estimate.empty())
    estimate(train, phase, loaded);
  if (phase.ownSchedule)
    for (auto &[tensor, bytes] : freshSlots)
      if (std::any_of(phase.learned.begin(), phase.learned.end(), [&](auto &name) { return program.tensors[size_t(tensor)].name.starts_with(name + "/"); }))
        expect(bigm_model_write(session.model(), tensor, bytes.data(), bytes.size()));
  state.phaseBegun = true;
}

void Trainer::diverged(const TrainProgram &train, const PhaseProgram &phase, const data::Batch &batch,
                       const Call &call, const Values &values, double loss) {
  // From the cause towards the effect: what went in, what the step computed, what it left behind.
  std::string first;
  for (auto &[name, tensor] : batch.fields)
    if (first.empty() && firstNonFinite(tensor.elem, tensor.bytes.data(), tensor.count()))
      first = fmt::format("the field `{}` of the batch holds a NaN or an infinity", name);
  if (first.empty()) {
    std::vector<std::string> bad = session.nonFinite("state");
    for (auto &name : session.nonFinite("param"))
      bad.push_back(name);
    if (!bad.empty())
      first = fmt::format("the first tensor that is not finite is `{}`{}", bad[0],
                          bad.size() > 1 ? fmt::format(" ({} in all)", bad.size()) : "");
    for (auto &[name, tensor] : values)
      if (first.empty() && name != "loss" && firstNonFinite(tensor.elem, tensor.bytes.data(), tensor.count()))
        first = fmt::format("the step's output `{}` is not finite", name);
  }
  if (std::string where = options.locate ? options.locate(phase.step, session.model(), batch, call) : ""; !where.empty())
    first = first.empty() ? where : where + "; " + first;
  if (first.empty())
    first = "inputs and parameters are finite, so the loss itself overflows (a log of 0, a division by 0)";
  writeRun("diverged");
  fail("the loss became {} at step {} of phase `{}` of `{}`; {}; {}", loss, state.step + 1, phase.name, train.name, first,
       fmt::format("the last good checkpoint, after step {}, is in {} (a smaller learning rate or `clip` may help)",
                   savedStep.value_or(resumedStep), options.runDir));
}

bool Trainer::shouldStop(const PhaseProgram &phase, double trainLoss, const std::optional<Measured> &measured) {
  if (phase.stopMetric.empty())
    return false;
  std::string metric = phase.stopMetric;
  std::optional<double> value;
  if (metric.starts_with("valid.")) {
    metric = metric.substr(6);
    if (measured)
      value = measured->value(metric);
  } else {
    if (metric.starts_with("train."))
      metric = metric.substr(6);
    value = trainLoss;
  }
  if (!value)
    throw std::runtime_error(fmt::format("bug in bigmc: phase `{}` stops by `{}`, which nothing measures", phase.name, phase.stopMetric));
  if (phase.stopCompare == ">=")
    return *value >= phase.stopValue;
  if (phase.stopCompare == "<=")
    return *value <= phase.stopValue;
  if (phase.stopCompare == ">")
    return *value > phase.stopValue;
  if (phase.stopCompare == "<")
    return *value < phase.stopValue;
  // flat: no better than the best for so many epochs.
  for (auto &name : phase.validates) // a flow's metric has two names: the one that it is reported by, and what it is
    for (auto &m : program.evaluate(name)->metrics)
      if (metric == program.evaluate(name)->flow + "." + m.name)
        metric = m.name + " " + m.host.name;
  bool better = !state.hasBest || (smallerIsBetter(metric) ? *value < state.best : *value > state.best);
  if (better) {
    state.hasBest = true;
    state.best = *value;
    state.epochsSinceBest = 0;
    return false;
  }
  return ++state.epochsSinceBest >= int64_t(phase.stopValue);
}

FlowHost &Trainer::flows() {
  if (!flowHost)
    flowHost.emplace(session, data, options, flowsOf(module));
  return *flowHost;
}

std::optional<Measured> Trainer::validate(const TrainProgram &train, const PhaseProgram &phase) {
  std::optional<Measured> measured;
  auto *evaluate = program.evaluate(train.validate);
  if (evaluate && data.hasSplit(evaluate->data, "valid"))
    measured = measure(session, data, *evaluate, "valid");
  for (auto &name : phase.validates) {
    auto *flow = program.evaluate(name);
    if (!measured)
      measured.emplace();
    for (auto &[metric, value] : measureFlow(flows(), *flow, "valid").metrics)
      measured->metrics.emplace_back(flow->flow + "." + metric, value);
  }
  return measured;
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

/// Validation, the epoch's lines, the stop rule, and a checkpoint. True when the phase is to stop.
bool Trainer::endEpoch(const TrainProgram &train, const PhaseProgram &phase, int64_t perEpoch, double throughput) {
  double trainLoss = state.lossCount ? state.lossSum / double(state.lossCount) : 0;
  std::optional<Measured> measured = validate(train, phase);
  double epoch = double(state.phaseStep) / double(perEpoch);
  json line = {{"train", train.name},
               {"phase", phase.name},
               {"epoch", epoch == std::floor(epoch) ? json(int64_t(epoch)) : json(epoch)},
               {"step", state.step},
               {"loss", trainLoss}};
  std::string place = phase.steps > 0 ? fmt::format("step {}/{}", state.phaseStep, phase.steps) : fmt::format("{:g}/{:g}", epoch, phase.epochs);
  std::string text = fmt::format("{} {} {}  loss {:.4f}", train.name, phase.name, place, trainLoss);
  if (measured) {
    json valid = json::object();
    if (measured->loss)
      valid["loss"] = *measured->loss;
    for (auto &[name, value] : measured->metrics)
      valid[name] = value;
    text += "  valid";
    for (auto &[name, value] : valid.items())
      text += fmt::format(" {} {:.4f}", name, value.get<double>());
    line["valid"] = valid;
  }
  line["records_per_second"] = std::round(throughput);
  line["seconds"] = std::round(secondsSoFar() * 1000) / 1000;
  metrics->line(line);
  progress.line(fmt::format("{}  {} records/s  {}", text, countText(throughput), clockText(secondsSoFar())));
  state.lossSum = 0;
  state.lossCount = 0;
  return shouldStop(phase, trainLoss, measured);
}

Trainer::Outcome Trainer::runPhase(const TrainProgram &train, const PhaseProgram &phase) {
  int64_t perEpoch = stepsPerEpoch(data, phase), total = stepsOf(phase);
  // What Step and Steps count: the phase, or all phases that share the train's optimiser.
  int64_t sharedTotal = 0;
  int64_t sharedBefore = 0;
  for (auto &p : train.phases)
    if (!p.ownSchedule) {
      if (&p < &phase)
        sharedBefore += stepsOf(p);
      sharedTotal += stepsOf(p);
    }
  if (!state.phaseBegun)
    beginPhase(train, phase);
  int64_t phaseIndex = &phase - train.phases.data();
  int64_t everyLine = std::max<int64_t>(1, total / 300);
  int64_t phaseBegin = state.step - state.phaseStep;
  std::string label = train.phases.size() > 1 ? train.name + " " + phase.name : train.name;
  while (state.phaseStep < total) {
    int64_t epoch = state.phaseStep / perEpoch, first = state.phaseStep % perEpoch;
    uint64_t epochSeed = data::mixSeed(train.seed, uint64_t(phaseIndex) + 1, uint64_t(epoch));
    Feed feed(data, train, phase, epochSeed, first);
    progress.begin(label, state.phaseStep, total);
    double throughput = 0;
    for (data::Batch batch; state.phaseStep < std::min(total, (epoch + 1) * perEpoch) && feed.next(batch);) {
      Call call;
      call.seed = data::mixSeed(train.seed, 0, uint64_t(state.step));
      if (phase.ownSchedule) {
        call.step = float(state.phaseStep);
        call.steps = float(total);
      } else {
        call.step = float(sharedBefore - state.savedBySteps + state.phaseStep);
        call.steps = float(sharedTotal - state.savedBySteps);
      }
      Values values = session.run(phase.step, batch, call);
      auto found = values.find("loss");
      if (found == values.end())
        throw std::runtime_error(fmt::format("bug in bigmc: `{}` has no output `loss`", phase.step));
      double loss = scalarOf(found->second);
      if (!std::isfinite(loss))
        diverged(train, phase, batch, call, values, loss);
      state.lossSum += loss * double(batch.size);
      state.lossCount += batch.size;
      ++state.phaseStep;
      ++state.step;
      if (state.phaseStep % everyLine == 0)
        metrics->line({{"train", train.name}, {"phase", phase.name}, {"phase_begin", phaseBegin}, {"step", state.step}, {"loss", loss}});
      progress.update(state.phaseStep, batch.size, loss);
      bool asked = options.stopAfter && options.stopAfter(state.step);
      if ((interrupted || asked) && state.phaseStep < std::min(total, (epoch + 1) * perEpoch))
        return Outcome::Interrupted;
      if (asked)
        interrupted = 1; // the epoch ends first
    }
    throughput = progress.throughput();
    progress.end();
    bool stop = endEpoch(train, phase, perEpoch, throughput);
    if (stop && state.phaseStep < total) {
      progress.line(fmt::format("{} {}: stops here ({} {} {:g})", train.name, phase.name, phase.stopMetric,
                                phase.stopCompare, phase.stopValue));
      if (!phase.ownSchedule)
        state.savedBySteps += total - state.phaseStep;
      return Outcome::Stopped;
    }
    if (state.phaseStep < total) {
      if (auto bad = session.nonFinite("param"); !bad.empty())
        fail("`{}` holds a NaN or an infinity after step {} of phase `{}` of `{}`; the last good checkpoint is in {}", bad[0],
             state.step, phase.name, train.name, options.runDir);
      checkpoint();
      if (interrupted)
        return Outcome::Interrupted;
    }
  }
  return Outcome::Done;
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
  // The report shows the validation split of the last train that has one.
  std::vector<report::Head> heads;
  std::string title;
  for (auto &train : program.trains) {
    std::string split = data.hasSplit(train.data, "valid") ? "valid" : "train";
    auto more = analyse(session, data, train, train.data, split);
    if (!more.empty())
      title = fmt::format("on {}.{}, {} records", train.data, split, countText(double(data.records(train.data, split).size())));
    heads.insert(heads.end(), more.begin(), more.end());
  }
  writeReport(folder, program, std::move(heads), title);
  progress.line(fmt::format("trained in {}; weights in {}, report in {}", clockText(secondsSoFar()),
                            folder.file("weights.safetensors"), folder.file("report.html")));
  return {};
}

} // namespace

Result train(const bigm_module *module, const TrainOptions &options) {
  return guarded([&] { return Trainer(module, options).run(); });
}

} // namespace bigm::driver
