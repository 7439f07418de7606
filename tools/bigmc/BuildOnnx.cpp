// `bigmc build --format onnx`: one function of a program with its weights as an ONNX model.
#include "Bug.h"
#include "Commands.h"
#include "Compiler.h"
#include "Manifest.h"
#include "Module.h"
#include "Targets.h"
#include "Weights.h"
#include "backends/onnx/ToOnnx.h"
#include "frontend/Diagnostics.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/core/Safetensors.h"
#include "llvm/Support/FileSystem.h"
#include <algorithm>
#include <filesystem>
#include <iostream>

namespace fs = std::filesystem;
namespace to_onnx = mlir::bigm::to_onnx;

namespace bigm::tool {
namespace {
/// The function to write: the one asked for, or what the one model does in use. Null after printing why there is none.
const Function *chosen(const Program &program, const std::string &asked) {
  std::vector<std::string> forwards, all;
  for (const Function &f : program.functions)
    all.push_back(f.name);
  for (const TrainProgram &train : program.trains)
    if (!train.forward.empty()) // a training of instances has none of its own
      forwards.push_back(train.forward);
  for (const DeployProgram &deploy : program.deploys) // what is deployed is what is meant
    if (program.deploys.size() == 1)
      forwards = {deploy.train + ".forward"};
  auto named = [&](const std::string &name) -> const Function * {
    auto found = std::find_if(program.functions.begin(), program.functions.end(), [&](auto &f) { return f.name == name; });
    return found == program.functions.end() ? nullptr : &*found;
  };
  std::string list;
  for (const std::string &name : forwards)
    list += (list.empty() ? "`" : ", `") + name + "`";
  if (asked.empty()) {
    if (forwards.size() == 1 && named(forwards[0]))
      return named(forwards[0]);
    userError(forwards.empty() ? "the program has no model to write: no `train`, no `deploy`, no instance"
                               : "the program has several models; say with `--function` which to write: " + list);
    return nullptr;
  }
  for (const std::string &name : {asked, asked + ".forward"})
    if (const Function *f = named(name))
      return f;
  std::string near = didYouMean(asked, all);
  userError("the program has no function `" + asked + "`" +
            (near.empty() ? list.empty() ? "" : "; there is " + list : "; did you mean `" + near + "`?"));
  return nullptr;
}

/// A program that only makes the weights of another.
Program onlyInit(const Program &whole) {
  Program program;
  program.name = whole.name;
  program.tensors = whole.tensors;
  program.sources = whole.sources;
  for (TrainProgram train : whole.trains) {
    for (const Function &f : whole.functions)
      if (f.name == train.init)
        program.functions.push_back(f);
    train.data = train.forward = train.predict = train.validate = "";
    train.phases.clear();
    program.trains.push_back(std::move(train));
  }
  return program;
}

/// Into `path`; the error, or empty. Where code is needed and cannot be made, that is printed and `code` set.
std::string weightsInto(const std::string &path, const Checked &checked, const BuildOptions &options, int &code) {
  if (!options.run.empty()) {
    auto manifest = manifestOf(checked.program, {checked.sourceSha256, "bigmc " BIGM_VERSION});
    // There is no code, so nothing that would call it.
    manifest["target"] = "none";
    for (const char *list : {"needs", "functions", "fits", "trains", "evaluates", "data"})
      manifest[list] = nlohmann::ordered_json::array();
    for (const char *list : {"generates", "flows"})
      manifest.erase(list);
    return weightsOfRun(path, manifest.dump(), options.run);
  }
  Program init = onlyInit(checked.program);
  CodeOptions portable = options.code; // the same weights on every machine
  portable.targets = {oldestTarget};
  auto compiled = compile(init, checked.sources, checked.sourceSha256, portable, code);
  auto module = compiled ? openCompiled(*compiled, code) : nullptr;
  return module ? initialWeights(path, module->get(), compiled->manifest, placesOf(checked, options.program, {}, "", options.data, 0)) : "";
}
} // namespace

int buildOnnx(const BuildOptions &options) {
  if (!options.run.empty() && !fs::is_directory(options.run))
    return userError("`--run " + options.run + "` is not a folder; `bigmc train` makes one");
  if (options.code.explain || !options.memory.empty())
    return userError("`--explain` and `--memory` are about libraries; `--format onnx` makes no code");
  if (fs::is_directory(options.out))
    return userError("`" + options.out + "` is a folder; with `--format onnx` `-o` names a file");
  auto sets = options.run.empty() ? options.program.sets : setsOfRun(options.run, options.program.sets);
  auto checked = checkProgram(options.program.file, sets, options.data);
  if (!checked)
    return UserError;
  if (!options.code.precision.empty() && options.code.precision != "f32")
    return userError("`--precision " + options.code.precision + "` is about libraries; `--format onnx` writes f32");
  const Program &program = checked->program;
  const Function *function = chosen(program, options.function);
  if (!function)
    return UserError;

  llvm::SmallString<128> path;
  if (llvm::sys::fs::createTemporaryFile("bigmc", "safetensors", path))
    return userError("cannot write to the temporary folder");
  int code = Done;
  std::string error = weightsInto(path.str().str(), *checked, options, code);
  std::unique_ptr<rt::SafetensorsFile> weights;
  if (code == Done && error.empty())
    weights = std::make_unique<rt::SafetensorsFile>(path.str().str());
  llvm::sys::fs::remove(path); // mapped by now
  if (!error.empty())
    return userError(error);
  if (!weights)
    return code;

  to_onnx::Options how;
  how.version = BIGM_VERSION;
  how.name = function->name.substr(0, function->name.rfind('.'));
  how.metadata = {{"bigm.program", program.name}, {"bigm.function", function->name}, {"bigm.source_sha256", checked->sourceSha256}};
  how.weights = [&](int64_t tensor) -> std::string_view {
    auto *entry = weights->find(program.tensors[size_t(tensor)].name);
    if (!entry)
      throw std::runtime_error("no weights for " + program.tensors[size_t(tensor)].name);
    return {reinterpret_cast<const char *>(entry->data), entry->bytes};
  };
  std::vector<to_onnx::Refusal> refusals;
  if (!inDialect(*checked, function->name, code, [&](mlir::func::FuncOp f) { refusals = to_onnx::write(f, how, options.out, error); }))
    return code;
  if (!error.empty())
    return userError(error);
  if (!refusals.empty()) {
    std::string all = "`" + function->name + "` cannot be written as ONNX:";
    for (const auto &r : refusals)
      all += "\n  " + (r.line ? r.file + ":" + std::to_string(r.line) + ":" + std::to_string(r.column) + ": " : "") + r.what;
    return userError(all);
  }
  std::cout << options.out << ": `" << function->name << "` as an ONNX model\n";
  return Done;
}

} // namespace bigm::tool
