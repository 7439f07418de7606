#include "TuningFile.h"
#include "Commands.h"
#include <fstream>
#include <nlohmann/json.hpp>

namespace bigm::tool {
namespace {
using Json = nlohmann::ordered_json;
using mlir::bigm::cpu::BlockChoice;

struct Field {
  const char *name;
  int64_t BlockChoice::*value;
  int64_t most; // that can mean anything
};
constexpr Field fields[] = {{"winograd", &BlockChoice::winograd, 4},        {"vectors", &BlockChoice::vectors, 4},
                            {"rows", &BlockChoice::rows, 64},               {"steps", &BlockChoice::steps, int64_t(1) << 30},
                            {"row_blocks", &BlockChoice::rowBlocks, 1 << 12}, {"column_blocks", &BlockChoice::columnBlocks, 1 << 12}};

/// What is wrong with the file, or nothing.
std::string read(const Json &json, TuningFile &file) {
  if (!json.is_object() || !json.contains("bigm_tuning"))
    return "it is not what `bigmc tune` writes";
  if (json["bigm_tuning"] != 1)
    return "it is of another version, " + json["bigm_tuning"].dump() + "; make it anew with `bigmc tune`";
  for (auto [name, into] : {std::pair("target", &file.target), std::pair("cpu", &file.cpu)}) {
    if (!json.contains(name) || !json[name].is_string())
      return std::string("`") + name + "` is not a text";
    *into = json[name].get<std::string>();
  }
  if (!json.contains("contractions") || !json["contractions"].is_object())
    return "`contractions` is not an object";
  for (const auto &[key, value] : json["contractions"].items()) {
    if (!value.is_object())
      return "`" + key + "` is not an object";
    BlockChoice choice;
    for (const Field &field : fields)
      if (value.contains(field.name)) {
        const Json &number = value[field.name];
        if (!number.is_number_integer() || number.get<int64_t>() < 0 || number.get<int64_t>() > field.most)
          return "`" + key + "`: `" + field.name + "` is " + number.dump() + ", not a whole number from 0 to " +
                 std::to_string(field.most);
        choice.*field.value = number.get<int64_t>();
      }
    file.contractions[key] = choice;
  }
  return "";
}
} // namespace

std::optional<TuningFile> readTuning(const std::string &path) {
  std::ifstream stream(path);
  if (!stream) {
    userError("`--tuning " + path + "` cannot be read");
    return std::nullopt;
  }
  Json json = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  TuningFile file;
  std::string wrong = json.is_discarded() ? "it is not JSON" : read(json, file);
  if (!wrong.empty()) {
    userError("`--tuning " + path + "`: " + wrong);
    return std::nullopt;
  }
  return file;
}

bool writeTuning(const TuningFile &file, const std::string &path) {
  Json json = {{"bigm_tuning", 1}, {"target", file.target}, {"cpu", file.cpu}, {"contractions", Json::object()}};
  for (const auto &[key, choice] : file.contractions)
    for (const Field &field : fields)
      if (choice.*field.value)
        json["contractions"][key][field.name] = choice.*field.value;
  std::ofstream stream(path);
  stream << json.dump(1) << "\n";
  return bool(stream.flush());
}

} // namespace bigm::tool
