// `bigmc build`: the library, from a program and a run.
#include "Commands.h"
#include "Compiler.h"
#include "Explain.h"
#include "Module.h"
#include "Targets.h"
#include "backends/artifact/Artifact.h"
#include "runtime/include/bigm/bigm.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace bigm::tool {
namespace {
/// Weights of the run, checked against the program, or initial ones; into `path`. Empty when all is well.
std::string weightsInto(const std::string &path, const bigm_module *module, const std::string &manifest,
                        const std::string &run) {
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  auto problem = [&](bigm_status status) { return status == BIGM_OK ? "" : std::string(bigm_last_error()); };
  std::string error = problem(bigm_model_create(module, &model));
  if (error.empty())
    error = problem(bigm_context_create(model, nullptr, &context));
  // Kept by name: a loop does not keep a temporary alive whose part it walks.
  const nlohmann::json program = nlohmann::json::parse(manifest);
  if (error.empty() && run.empty())
    for (const auto &train : program.at("trains"))
      if (error.empty())
        error = problem(bigm_init(context, train.at("name").get<std::string>().c_str(), train.at("seed").get<int64_t>()));
  if (error.empty() && !run.empty())
    error = problem(bigm_model_load(model, (fs::path(run) / "weights.safetensors").c_str(), nullptr));
  if (error.empty())
    error = problem(bigm_model_save(model, path.c_str(), 0));
  bigm_context_destroy(context);
  bigm_model_destroy(model);
  return error;
}
} // namespace

int build(const BuildOptions &options) {
  if (!options.run.empty() && !fs::is_directory(options.run))
    return userError("`--run " + options.run + "` is not a folder; `bigmc train` makes one");
  auto sets = options.run.empty() ? options.program.sets : setsOfRun(options.run, options.program.sets);
  auto checked = checkProgram(options.program.file, sets);
  if (!checked)
    return UserError;
  int code = Done;
  CodeOptions how = options.code;
  how.explain |= !options.memory.empty();
  how.targets = targetsOf(options.code, checked->program, code);
  if (how.targets.empty())
    return code;
  auto compiled = compile(*checked, how, code);
  if (!compiled)
    return code;
  auto module = openCompiled(*compiled, code);
  if (!module)
    return code;

  llvm::SmallString<128> weights;
  if (llvm::sys::fs::createTemporaryFile("bigmc", "safetensors", weights))
    return userError("cannot write to the temporary folder");
  artifact::Inputs inputs;
  inputs.stem = compiled->stem;
  inputs.manifest = compiled->manifest;
  inputs.objects = compiled->objects;
  inputs.weightsFile = weights.str().str();
  inputs.runtime = runtimeArchive();
  std::string error = weightsInto(inputs.weightsFile, module->get(), compiled->manifest, options.run);
  if (error.empty())
    artifact::write(inputs, options.out, error);
  llvm::sys::fs::remove(weights);
  if (!error.empty())
    return userError(error);
  if (options.code.explain) {
    Peak peak = measurePeak(0, /*brief=*/true);
    for (const auto &report : compiled->reports)
      std::cout << explain(report, {}, peak, *checked);
  }
  if (!options.memory.empty() && !writeMemoryPlan(compiled->reports, options.memory))
    return userError("cannot write `" + options.memory + "`");
  std::cout << options.out << ": code for " << llvm::join(compiled->targets, ", ") << "\n";
  return Done;
}

} // namespace bigm::tool
