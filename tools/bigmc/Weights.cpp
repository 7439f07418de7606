#include "Weights.h"
#include "Commands.h"
#include "Compiler.h"
#include "runtime/driver/Driver.h"
#include "runtime/include/bigm/bigm.h"
#include <filesystem>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace bigm::tool {

driver::CommonOptions placesOf(const Checked &checked, const ProgramOptions &program, const std::vector<std::string> &sets,
                               const std::string &run, const std::string &data, int threads) {
  driver::CommonOptions o;
  o.threads = threads;
  o.dataDir = data;
  o.runDir = run;
  o.sourceDir = std::filesystem::path(program.file).parent_path().string();
  for (const std::string &set : sets) { // later ones win
    size_t equal = set.find('=');
    o.settings[set.substr(0, equal)] = equal == std::string::npos ? "" : set.substr(equal + 1);
  }
  o.given = givenTensors(checked.program);
  return o;
}

static std::string problem(bigm_status status) { return status == BIGM_OK ? "" : std::string(bigm_last_error()); }

std::string weightsOfRun(const std::string &path, const std::string &manifest, const std::string &run) {
  bigm_module *module = nullptr;
  bigm_model *model = nullptr;
  std::string error = problem(bigm_module_describe(manifest.data(), manifest.size(), &module));
  if (error.empty())
    error = problem(bigm_model_create(module, &model));
  if (error.empty())
    error = problem(bigm_model_load(model, (fs::path(run) / "weights.safetensors").c_str(), nullptr));
  if (error.empty())
    error = problem(bigm_model_save(model, path.c_str(), 0));
  bigm_model_destroy(model);
  bigm_module_destroy(module);
  return error;
}

std::string initialWeights(const std::string &path, const bigm_module *module, const std::string &manifest,
                           const driver::CommonOptions &places) {
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  std::string error = problem(bigm_model_create(module, &model));
  if (error.empty())
    error = problem(bigm_context_create(model, nullptr, &context));
  // Kept by name: a loop does not keep a temporary alive whose part it walks.
  const nlohmann::json program = nlohmann::json::parse(manifest);
  for (const auto &train : program.at("trains"))
    if (error.empty())
      error = problem(bigm_init(context, train.at("name").get<std::string>().c_str(), train.at("seed").get<int64_t>()));
  if (error.empty())
    error = driver::loadPretrained(module, model, places).error;
  if (error.empty())
    error = problem(bigm_model_save(model, path.c_str(), 0));
  bigm_context_destroy(context);
  bigm_model_destroy(model);
  return error;
}

} // namespace bigm::tool
