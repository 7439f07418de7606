// What a training finds in the run's folder when it begins, and leaves there: run.json and checkpoints.
#include "Pretrained.h"
#include "Trainer.h"
#include "runtime/data/Error.h"
#include <cmath>
#include <ctime>

namespace bigm::driver {
using data::fail;
using json = nlohmann::ordered_json;

std::string nowText() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

double Trainer::secondsSoFar() const {
  return state.seconds + std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
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
  if (auto *phase = phaseNow())
    swapAverage(*phase);
  folder.commit(session.model(), program, options.settings, now);
  if (auto *phase = phaseNow())
    swapAverage(*phase);
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
    if (auto *phase = phaseNow())
      swapAverage(*phase);
    data.loadTexts(folder);
  }
  metrics.emplace(folder.file("metrics.jsonl"), state.metricsBytes);
}

} // namespace bigm::driver
