// One phase of a training: what it starts from, its steps, what each epoch ends with, and why it stops.
#include "Feed.h"
#include "FlowMeasure.h"
#include "Guard.h"
#include "Interrupt.h"
#include "StartFrom.h"
#include "Trainer.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/data/Order.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

namespace bigm::driver {
namespace fs = std::filesystem;
using data::fail;
using json = nlohmann::ordered_json;

/// True for metrics that are better when smaller, as far as names tell.
static bool smallerIsBetter(const std::string &metric) {
  for (auto word : {"loss", "error", "perplexity", "wer", "cer", "ece", "calibration", "mse", "mae", "distance", "milliseconds", "cost"})
    if (metric.find(word) != metric.npos)
      return true;
  return false;
}

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
  beginAverage(phase);
  state.phaseBegun = true;
}

void Trainer::diverged(const TrainProgram &train, const PhaseProgram &phase, const std::string &function,
                       const data::Batch &batch, const Call &call, const Values &values, double loss) {
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
  if (std::string where = options.locate ? options.locate(function, session.model(), batch, call) : ""; !where.empty())
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

void Trainer::openFrozen(const PhaseProgram &phase) {
  frozen.reset();
  frozenValid.reset();
  frozenMemory = FrozenMemory(options.frozenMemory);
  bool windows = data.table(phase.data[0], "train").window > 0; // hardly one comes twice
  if (!phase.frozen.empty())
    frozen.emplace(session, phase.frozen, frozenMemory, !windows);
  if (!phase.validFrozen.empty())
    frozenValid.emplace(session, phase.validFrozen, frozenMemory, true);
}

void Trainer::tellFrozen(const TrainProgram &train, const PhaseProgram &phase) {
  if (!frozen && !frozenValid)
    return;
  auto size = [](uint64_t bytes) { return bytes >= uint64_t(1) << 30 ? fmt::format("{:.1f} GB", double(bytes) / (uint64_t(1) << 30)) : fmt::format("{:.1f} MB", double(bytes) / (1 << 20)); };
  if (frozenMemory.full)
    progress.line(fmt::format("{} {}: what the frozen part gives for all records is more than {}, so it is computed in every epoch (--frozen-memory)",
                              train.name, phase.name, size(frozenMemory.limit)));
  else if (frozenMemory.used > 0)
    progress.line(fmt::format("{} {}: what the frozen part gives is computed once for each record and kept, {} of at most {}", train.name,
                              phase.name, size(frozenMemory.used), size(frozenMemory.limit)));
}

/// The `evaluate` of the training whose step is given what the frozen part makes of a record.
static EvaluateProgram validOf(const EvaluateProgram &evaluate, const PhaseProgram &phase) {
  EvaluateProgram own = evaluate;
  own.step = phase.validStep;
  return own;
}

std::optional<Measured> Trainer::validate(const TrainProgram &train, const PhaseProgram &phase) {
  std::optional<Measured> measured;
  auto *evaluate = program.evaluate(train.validate);
  if (evaluate && data.hasSplit(evaluate->data, "valid"))
    measured = frozenValid ? measure(session, data, validOf(*evaluate, phase), "valid", 0, &*frozenValid) : measure(session, data, *evaluate, "valid");
  for (auto &name : phase.validates) {
    auto *flow = program.evaluate(name);
    if (!measured)
      measured.emplace();
    for (auto &[metric, value] : measureFlow(flows(), *flow, "valid").metrics)
      measured->metrics.emplace_back(flow->flow + "." + metric, value);
  }
  return measured;
}

/// Validation, the epoch's lines, and the stop rule.
bool Trainer::endEpoch(const TrainProgram &train, const PhaseProgram &phase, int64_t perEpoch, double throughput) {
  double trainLoss = state.lossCount ? state.lossSum / double(state.lossCount) : 0;
  swapAverage(phase);
  std::optional<Measured> measured = validate(train, phase);
  swapAverage(phase);
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

Trainer::Schedule Trainer::scheduleOf(const TrainProgram &train, const PhaseProgram &phase) {
  if (phase.ownSchedule)
    return {0, stepsOf(phase)};
  Schedule shared{-state.savedBySteps, -state.savedBySteps};
  for (auto &p : train.phases)
    if (!p.ownSchedule) {
      if (&p < &phase)
        shared.before += stepsOf(p);
      shared.steps += stepsOf(p);
    }
  return shared;
}

double Trainer::runBatch(const TrainProgram &train, const PhaseProgram &phase, const std::string &function, data::Batch &batch, const Call &call) {
  if (frozen)
    frozen->fill(batch);
  Values values = session.run(function, batch, call);
  auto found = values.find("loss");
  if (found == values.end())
    throw std::runtime_error(fmt::format("bug in bigmc: `{}` has no output `loss`", function));
  double loss = scalarOf(found->second);
  if (!std::isfinite(loss))
    diverged(train, phase, function, batch, call, values, loss);
  return loss;
}

Trainer::Outcome Trainer::runPhase(const TrainProgram &train, const PhaseProgram &phase) {
  int64_t perEpoch = stepsPerEpoch(data, phase), total = stepsOf(phase);
  const Schedule schedule = scheduleOf(train, phase);
  if (!state.phaseBegun)
    beginPhase(train, phase);
  openFrozen(phase);
  bool toldFrozen = false;
  int64_t phaseIndex = &phase - train.phases.data();
  int64_t everyLine = std::max<int64_t>(1, total / 300);
  int64_t phaseBegin = state.step - state.phaseStep;
  std::string label = train.phases.size() > 1 ? train.name + " " + phase.name : train.name;
  while (state.phaseStep < total) {
    int64_t epoch = state.phaseStep / perEpoch, first = state.phaseStep % perEpoch;
    uint64_t epochSeed = data::mixSeed(train.seed, uint64_t(phaseIndex) + 1, uint64_t(epoch));
    Feed feed(data, train, phase, epochSeed, first * phase.accumulate);
    int64_t number = first * phase.accumulate, batches = batchesPerEpoch(data, phase); // of the next batch in its epoch
    double groupLoss = 0;
    int64_t groupRecords = 0; // of the step that is gathered
    progress.begin(label, state.phaseStep, total);
    double throughput = 0;
    for (data::Batch batch; state.phaseStep < std::min(total, (epoch + 1) * perEpoch) && feed.next(batch);) {
      int64_t part = number++ % phase.accumulate;
      bool whole = part == phase.accumulate - 1 || number == batches;
      uint64_t seed = data::mixSeed(train.seed, 0, uint64_t(state.step));
      Call call{part ? data::mixSeed(seed, uint64_t(part)) : seed, float(schedule.before + state.phaseStep), float(schedule.steps)};
      groupLoss += runBatch(train, phase, whole ? phase.step : phase.gather, batch, call) * double(batch.size);
      groupRecords += batch.size;
      if (!whole)
        continue;
      state.lossSum += groupLoss;
      state.lossCount += groupRecords;
      double loss = std::exchange(groupLoss, 0) / double(groupRecords);
      ++state.phaseStep;
      ++state.step;
      if (state.phaseStep % everyLine == 0)
        metrics->line({{"train", train.name}, {"phase", phase.name}, {"phase_begin", phaseBegin}, {"step", state.step}, {"loss", loss}});
      progress.update(state.phaseStep, std::exchange(groupRecords, 0), loss);
      bool asked = options.stopAfter && options.stopAfter(state.step);
      if ((interrupted || asked) && state.phaseStep < std::min(total, (epoch + 1) * perEpoch))
        return Outcome::Interrupted;
      if (asked)
        interrupted = 1; // the epoch ends first
    }
    throughput = progress.throughput();
    progress.end();
    bool stop = endEpoch(train, phase, perEpoch, throughput);
    if (!std::exchange(toldFrozen, true) && state.phaseStep < total)
      tellFrozen(train, phase);
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

} // namespace bigm::driver
