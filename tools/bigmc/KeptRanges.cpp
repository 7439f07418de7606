// A file holds {"weights": DIGEST, "ranges": {KEY: {"data": DIGEST, "of": {NAME: {"step": .., "zero": .., "balance": [..]}}}}}: several
// commands may ask for several deploys of one run. When the weights are others everything in it is stale.
#include "KeptRanges.h"
#include "Digest.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/driver/Pretrained.h"
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace bigm::tool {
namespace {
namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

std::string contentOf(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return sha256(all.view());
}

/// What tells a file, or each of a folder, from what it was, without reading it.
void addState(std::string &to, const fs::path &path, const std::string &name) {
  std::error_code error;
  std::set<fs::path> files;
  if (fs::is_directory(path, error)) {
    for (auto it = fs::recursive_directory_iterator(path, error); !error && it != fs::recursive_directory_iterator(); it.increment(error))
      if (it->is_regular_file(error))
        files.insert(it->path());
  } else if (fs::exists(path, error)) {
    files.insert(path);
  }
  to += name + ":\n";
  for (const fs::path &file : files) {
    auto size = fs::file_size(file, error);
    auto time = fs::last_write_time(file, error).time_since_epoch().count();
    to += fs::relative(file, path, error).string() + " " + std::to_string(size) + " " + std::to_string(time) + "\n";
  }
}

/// Of a run: what it keeps and a model reads. Of others' files: where they are and their state.
std::string weightsOf(const Program &program, const driver::CommonOptions &places) {
  std::string all;
  if (!places.runDir.empty()) {
    all += contentOf(fs::path(places.runDir) / "weights.safetensors");
    std::error_code error;
    std::set<fs::path> texts;
    for (auto &entry : fs::directory_iterator(places.runDir, error))
      if (std::string name = entry.path().filename().string(); name.starts_with("tokenizer.") || name == "classes.json")
        texts.insert(entry.path());
    for (const fs::path &text : texts)
      all += "\n" + text.filename().string() + " " + contentOf(text);
    return sha256(all);
  }
  driver::Places where{places.dataDir, places.sourceDir, &places.given};
  auto add = [&](const std::string &path, const std::string &what) {
    try {
      std::string found = driver::find(path, what, where);
      std::error_code error;
      addState(all, found, fs::absolute(found, error).string());
    } catch (const data::Error &) {
      all += path + " is missing\n"; // calibration says so
    }
  };
  for (const ModelSource &source : program.sources)
    if (source.kind == "pretrained")
      add(source.path, source.name);
  for (auto &[name, elements] : places.given)
    all += name + " " + sha256(elements) + "\n";
  for (const TokenizerProgram &t : program.tokenizers)
    if (t.kind == "file")
      add(t.file, t.name);
  return sha256(all);
}

std::string dataOf(const Program &observed, const std::string &folder) {
  std::string all;
  std::set<std::string> read;
  for (const EvaluateProgram &e : observed.evaluates)
    read.insert(e.data);
  for (const DataProgram &d : observed.data)
    if (read.count(d.name))
      for (const Spec *source : {&d.from, &d.test, &d.valid}) {
        for (const std::string &name : source->strings)
          addState(all, data::under(folder, name), name);
        for (auto &[option, value] : source->options)
          if (auto *name = std::get_if<std::string>(&value))
            addState(all, data::under(folder, *name), *name);
      }
  return all;
}
} // namespace

KeptRanges::KeptRanges(const Checked &checked, const Program &observed, const std::string &how, const driver::CommonOptions &places,
                       const CodeOptions &code)
    : weights(weightsOf(observed, places)), fresh(code.noCache) {
  std::string all = how + "\n" + BIGM_VERSION + "\n" + checked.sourceSha256 + "\n" + weights + "\n";
  for (auto &[path, value] : places.settings)
    all += path + "=" + value + "\n";
  key = sha256(all);
  if (!places.dataDir.empty())
    dataState = sha256(dataOf(observed, places.dataDir));
  if (!places.runDir.empty())
    file = (fs::path(places.runDir) / "calibration.json").string();
  else if (std::string folder = cacheFolder(); !folder.empty())
    file = (fs::path(folder) / ("calibration-" + key + ".json")).string();
}

std::optional<Ranges> KeptRanges::read() const {
  if (file.empty() || fresh)
    return std::nullopt;
  std::ifstream in(file);
  json kept = json::parse(in, nullptr, /*allow_exceptions=*/false);
  try {
    if (!kept.is_object() || kept.at("weights") != weights || !kept.at("ranges").contains(key))
      return std::nullopt;
    const json &entry = kept["ranges"][key];
    if (!dataState.empty() && entry.at("data") != dataState)
      return std::nullopt;
    Ranges ranges;
    for (auto &[name, range] : entry.at("of").items()) {
      float step = range.at("step");
      ranges[name] = {step, 1 / step, range.at("zero"), range.value("balance", std::vector<float>{})};
    }
    return ranges;
  } catch (const json::exception &) {
    return std::nullopt; // someone else's file: they are found again
  }
}

void KeptRanges::write(const Ranges &ranges) const {
  if (file.empty())
    return;
  std::ifstream in(file);
  json kept = json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!kept.is_object() || kept.value("weights", "") != weights || !kept.contains("ranges"))
    kept = {{"weights", weights}, {"ranges", json::object()}};
  json all = json::object();
  for (auto &[name, range] : ranges) {
    all[name] = {{"step", range.step}, {"zero", range.zero}};
    if (!range.balance.empty())
      all[name]["balance"] = range.balance;
  }
  kept["ranges"][key] = {{"data", dataState}, {"of", all}};
  std::string text = kept.dump() + "\n";
  try {
    std::error_code error;
    fs::create_directories(fs::path(file).parent_path(), error);
    data::writeAtomically(file, text.data(), text.size());
  } catch (const data::Error &) {
  }
}

} // namespace bigm::tool
