#include "RunFolder.h"
#include "Program.h"
#include "Session.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace bigm::driver {
namespace fs = std::filesystem;
using data::fail;
using json = nlohmann::ordered_json;

namespace {
constexpr std::array kCommitted = {"optimizer.safetensors", "weights.safetensors", "state.json"};
constexpr const char *kMarker = "commit";
} // namespace

std::map<std::string, std::string> trainingSettings(const std::map<std::string, std::string> &settings) {
  std::map<std::string, std::string> kept = settings;
  std::erase_if(kept, [](auto &setting) { return setting.first.starts_with("evaluate."); });
  return kept;
}

RunFolder::RunFolder(std::string path, bool mustExist) : folder(std::move(path)) {
  std::error_code error;
  if (mustExist) {
    if (!fs::is_directory(folder, error))
      fail("{}: {}; expected the folder that `bigmc train --out` made", folder,
           fs::exists(folder, error) ? "is no folder" : "there is no such folder");
    recover();
    if (!has("weights.safetensors"))
      fail("{}: holds no weights.safetensors; expected the folder that `bigmc train --out` made", folder);
  } else {
    recover();
  }
}

std::string RunFolder::file(const std::string &name) const { return (fs::path(folder) / name).string(); }
bool RunFolder::has(const std::string &name) const {
  std::error_code error;
  return fs::exists(file(name), error);
}

void RunFolder::recover() {
  if (!has(kMarker))
    return;
  for (auto name : kCommitted)
    if (has(std::string(name) + ".new") && ::rename(file(std::string(name) + ".new").c_str(), file(name).c_str()) != 0)
      fail("{}: a save was cut off and cannot be finished: {}", file(name), std::strerror(errno));
  ::unlink(file(kMarker).c_str());
}

void RunFolder::makeWritable() {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error))
    fail("{}: is a file; expected a folder for the run", folder);
  fs::create_directories(folder, error);
  if (error)
    fail("{}: the folder cannot be made: {}", folder, error.message());
  if (!fs::is_empty(folder, error) && !error && !has("run.json") && !has("state.json") && !has("metrics.jsonl"))
    fail("{}: holds files that are not of a run; expected a new or empty folder", folder);
  std::string probe = file(".probe");
  int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    fail("{}: the folder cannot be written: {}", folder, std::strerror(errno));
  ::close(fd);
  ::unlink(probe.c_str());
}

void RunFolder::clear() {
  for (auto name : {"weights.safetensors", "optimizer.safetensors", "state.json", "metrics.jsonl", "evaluation.json",
                    "report.html", "run.json", "classes.json", "calibration.json"}) {
    ::unlink(file(name).c_str());
    ::unlink(file(std::string(name) + ".new").c_str());
  }
  std::error_code error;
  for (auto &entry : fs::directory_iterator(folder, error))
    if (std::string name = entry.path().filename().string(); name.starts_with("tokenizer.") && name.ends_with(".json"))
      ::unlink(entry.path().c_str());
}

void RunFolder::commit(const bigm_model *model, const Program &program,
                       const std::map<std::string, std::string> &settings, const TrainState &s) {
  std::vector<std::string> names;
  try {
    expect(bigm_model_save(model, file("weights.safetensors.new").c_str(), BIGM_KINDS_WEIGHTS));
    expect(bigm_model_save(model, file("optimizer.safetensors.new").c_str(), 1u << BIGM_SLOT));
    json j = {{"bigm_run", 1},
              {"program", program.name},
              {"source_sha256", program.sourceSha256},
              {"settings", settings},
              {"train", s.train},
              {"phase", s.phase},
              {"phase_step", s.phaseStep},
              {"step", s.step},
              {"saved_by_steps", s.savedBySteps},
              {"phase_begun", s.phaseBegun},
              {"loss_sum", s.lossSum},
              {"loss_count", s.lossCount},
              {"has_best", s.hasBest},
              {"best", s.best},
              {"epochs_since_best", s.epochsSinceBest},
              {"metrics_bytes", s.metricsBytes},
              {"seconds", s.seconds},
              {"done", s.done}};
    std::string text = j.dump(1) + "\n";
    data::writeAtomically(file("state.json.new"), text.data(), text.size());
    data::writeAtomically(file(kMarker), "", 0);
  } catch (...) {
    // Without the marker the old files are the run.
    for (auto name : kCommitted)
      ::unlink(file(std::string(name) + ".new").c_str());
    throw;
  }
  recover();
}

json RunFolder::stateJson() const { return readJson("state.json"); }

TrainState RunFolder::readState(const Program &program, const std::map<std::string, std::string> &settings) const {
  json j = stateJson();
  if (!j.is_object() || j.value("bigm_run", 0) != 1)
    fail("{}: cannot be read; expected what `bigmc train` wrote (remove the folder to train anew)", file("state.json"));
  try {
    if (j.at("program") != program.name || j.at("source_sha256") != program.sourceSha256)
      fail("{}: is the run of {}; expected the program that began it, unchanged (train into another folder)", folder,
           j.at("program") == program.name ? "another version of `" + program.name + "`"
                                           : "`" + j.at("program").get<std::string>() + "`");
    auto before = trainingSettings(j.at("settings").get<std::map<std::string, std::string>>()), now = trainingSettings(settings);
    for (auto &[key, value] : before)
      if (!now.count(key) || now.at(key) != value)
        fail("{}: was begun with --set {}={}; expected the same to resume", folder, key, value);
    for (auto &[key, value] : now)
      if (!before.count(key))
        fail("{}: was begun without --set {}={}; expected the same settings to resume", folder, key, value);
    TrainState s;
    s.train = j.at("train");
    s.phase = j.at("phase");
    s.phaseStep = j.at("phase_step");
    s.step = j.at("step");
    s.savedBySteps = j.at("saved_by_steps");
    s.phaseBegun = j.at("phase_begun");
    s.lossSum = j.at("loss_sum");
    s.lossCount = j.at("loss_count");
    s.hasBest = j.at("has_best");
    s.best = j.at("best");
    s.epochsSinceBest = j.at("epochs_since_best");
    s.metricsBytes = j.at("metrics_bytes");
    s.seconds = j.at("seconds");
    s.done = j.at("done");
    return s;
  } catch (const json::exception &e) {
    fail("{}: cannot be read: {}", file("state.json"), e.what());
  }
}

void RunFolder::loadFor(const Program &program, bigm_model *model) const {
  json made = readJson("run.json");
  if (made.is_object() && made.value("program", program.name) != program.name)
    fail("{}: is the run of `{}`; expected one of `{}`", folder, made.value("program", ""), program.name);
  load(model, false);
}

void RunFolder::load(bigm_model *model, bool slots) const {
  auto loadFrom = [&](const char *name, uint32_t kinds) {
    auto options = BIGM_INIT(bigm_load_options);
    options.required = kinds;
    bigm_status status = bigm_model_load(model, file(name).c_str(), &options);
    if (status == BIGM_ERROR_WEIGHTS)
      fail("{}: is the run of another program: {}", folder, bigm_last_error());
    expect(status);
  };
  loadFrom("weights.safetensors", BIGM_KINDS_WEIGHTS);
  if (slots)
    loadFrom("optimizer.safetensors", 1u << BIGM_SLOT);
}

void RunFolder::writeJson(const std::string &name, const json &value) const {
  std::string text = value.dump(1) + "\n";
  data::writeAtomically(file(name), text.data(), text.size());
}

json RunFolder::readJson(const std::string &name) const {
  if (!has(name))
    return nullptr;
  json j = json::parse(data::readText(file(name), 256 << 20), nullptr, false);
  return j.is_discarded() ? json() : j;
}

} // namespace bigm::driver
