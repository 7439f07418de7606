// `bigmc build`: the library, from a program and a run.
#include "Commands.h"
#include "Compiler.h"
#include "Explain.h"
#include "Module.h"
#include "Precision.h"
#include "Targets.h"
#include "Weights.h"
#include "backends/artifact/Artifact.h"
#include "runtime/core/Cpu.h"
#include "runtime/flow/ClassNames.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace bigm::tool {
namespace {
/// The code that makes initial weights, whose last bits depend on the target: always the most portable of the library's,
/// so that every machine builds the same; that of the oldest CPUs where this machine cannot run it. On failure the message
/// is printed and `code` set.
std::unique_ptr<OpenModule> openForWeights(const Checked &checked, const Compiled &compiled, CodeOptions how, int &code) {
  const std::string &first = compiled.targets.front();
  if (first == "cpu:host")
    return openCompiled(compiled, code);
  // The runtime can be held to levels alone.
  if (first.rfind("cpu:x86-64-v", 0) == 0 && rt::Cpu::ofThisMachine().lacking(featuresNeeded(first)).empty())
    return openCompiled(compiled, code, cpuOf(first).c_str());
  how.targets = {oldestTarget};
  how.explain = false;
  auto portable = compile(checked, how, code);
  return portable ? openCompiled(*portable, code) : nullptr;
}

/// Classes of flows that the data named, and the run keeps, have these names in the library.
void nameClasses(Program &program, const std::string &run) {
  std::ifstream in(fs::path(run) / "classes.json");
  const auto classes = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!classes.is_object())
    return;
  for (FlowProgram &flow : program.flows)
    flow::nameClassesOf(flow, [&](const std::string &field) {
      std::vector<std::string> names;
      if (auto found = classes.find(field); found != classes.end() && found->is_array())
        for (const auto &name : *found)
          if (name.is_string())
            names.push_back(name.get<std::string>());
      return names;
    });
}
} // namespace

int build(const BuildOptions &options) {
  if (options.format == "onnx")
    return buildOnnx(options);
  if (!options.function.empty())
    return userError("`--function` says what `--format onnx` writes; a library has all functions");
  if (!options.run.empty() && !fs::is_directory(options.run))
    return userError("`--run " + options.run + "` is not a folder; `bigmc train` makes one");
  auto sets = options.run.empty() ? options.program.sets : setsOfRun(options.run, options.program.sets);
  auto checked = checkProgram(options.program.file, sets, options.data);
  if (!checked)
    return UserError;
  nameClasses(checked->program, options.run);
  int code = Done;
  CodeOptions here = options.code;
  here.targets.clear(); // this machine finds ranges, whatever the library is for
  if (!applyPrecision(*checked, here, placesOf(*checked, options.program, sets, options.run, options.data, 0), code))
    return code;
  CodeOptions how = options.code;
  how.explain |= !options.memory.empty();
  how.targets = targetsOf(options.code, checked->program, code);
  if (how.targets.empty())
    return code;
  auto compiled = compile(*checked, how, code);
  if (!compiled)
    return code;
  auto module = options.run.empty() ? openForWeights(*checked, *compiled, how, code) : nullptr;
  if (options.run.empty() && !module)
    return code;

  llvm::SmallString<128> weights;
  if (llvm::sys::fs::createTemporaryFile("bigmc", "safetensors", weights))
    return userError("cannot write to the temporary folder");
  artifact::Inputs inputs;
  inputs.stem = compiled->stem;
  inputs.manifest = compiled->manifest;
  inputs.objects = compiled->objects;
  inputs.weightsFile = weights.str().str();
  inputs.runtimes = runtimeArchives(!checked->program.flows.empty());
  driver::CommonOptions places = placesOf(*checked, options.program, sets, "", options.data, 0);
  std::string error = module ? initialWeights(inputs.weightsFile, module->get(), compiled->manifest, places)
                             : weightsOfRun(inputs.weightsFile, compiled->manifest, options.run);
  if (error.empty()) {
    places.runDir = options.run;
    try {
      inputs.files = driver::tokenizerFiles(compiled->manifest, places);
    } catch (const std::exception &e) {
      error = e.what();
    }
  }
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
