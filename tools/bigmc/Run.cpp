// The commands that run a program: train, eval, predict. Each compiles it to the shared library that `bigmc build` would
// ship, opens that, and hands it to the driver, which knows the program only through the library's manifest.
#include "Commands.h"
#include "Compiler.h"
#include "Divergence.h"
#include "Module.h"
#include "Precision.h"
#include "Weights.h"
#include "frontend/frozen/Frozen.h"
#include "runtime/driver/Driver.h"
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

namespace bigm::tool {
namespace {
namespace fs = std::filesystem;

int finish(const driver::Result &result) {
  if (!result.error.empty())
    std::cerr << "bigmc: " << (result.exitCode == driver::kInterrupted ? "" : "error: ") << result.error << "\n";
  return result.exitCode;
}

} // namespace

std::vector<std::string> setsOfRun(const std::string &run, const std::vector<std::string> &sets) {
  std::vector<std::string> all;
  std::ifstream in(fs::path(run) / "run.json");
  auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("settings") && json["settings"].is_object())
    for (const auto &[path, value] : json["settings"].items())
      if (value.is_string())
        all.push_back(path + "=" + value.get<std::string>());
  all.insert(all.end(), sets.begin(), sets.end());
  return all;
}

namespace {
/// A program compiled with the settings of a run, and opened.
struct OpenedRun {
  std::vector<std::string> sets;
  std::unique_ptr<Checked> checked;
  std::unique_ptr<OpenModule> module;
  std::string precision;
};
std::optional<OpenedRun> openRun(const ProgramOptions &program, const std::string &run, const std::string &data,
                                 const CodeOptions &options, int threads, int &code) {
  if (!run.empty() && !fs::is_directory(run)) {
    code = userError("`--run " + run + "` is not a folder; `bigmc train` makes one");
    return std::nullopt;
  }
  OpenedRun opened{run.empty() ? program.sets : setsOfRun(run, program.sets), nullptr, nullptr, ""};
  opened.checked = checkProgram(program.file, opened.sets, data);
  if (!opened.checked) {
    code = UserError;
    return std::nullopt;
  }
  auto precision = applyPrecision(*opened.checked, options, placesOf(*opened.checked, program, opened.sets, run, data, threads), code);
  if (!precision)
    return std::nullopt;
  opened.precision = *precision;
  auto compiled = compile(*opened.checked, options, code);
  opened.module = compiled ? openCompiled(*compiled, code) : nullptr;
  return opened.module ? std::optional(std::move(opened)) : std::nullopt;
}

/// The run that a command names, opened, and what every driver wants to know of it.
template <class Options>
std::optional<OpenedRun> openRun(const Options &options, driver::CommonOptions &o, int &code) {
  auto opened = openRun(options.program, options.run, options.data, options.code, options.threads, code);
  if (opened)
    o = placesOf(*opened->checked, options.program, opened->sets, options.run, options.data, options.threads);
  return opened;
}
} // namespace

int train(const TrainOptions &options) {
  // What can be said without compiling is said first.
  if (!fs::is_directory(options.data))
    return userError("`--data " + options.data + "` is not a folder");
  int code = Done;
  auto checked = checkProgram(options.program.file, options.program.sets, options.data);
  if (!checked)
    return UserError;
  if (options.frozenMemory != 0)
    keepFrozen(checked->program);
  auto compiled = compile(*checked, options.code, code);
  auto module = compiled ? openCompiled(*compiled, code) : nullptr;
  if (!module)
    return code;
  driver::TrainOptions o;
  static_cast<driver::CommonOptions &>(o) =
      placesOf(*checked, options.program, options.program.sets, options.run, options.data, options.threads);
  o.quiet = options.quiet;
  o.resume = options.resume;
  o.frozenMemory = options.frozenMemory > 0 ? uint64_t(options.frozenMemory * (1 << 20)) : 0;
  o.locate = [&](const std::string &step, bigm_model *model, const data::Batch &batch, const driver::Call &call) {
    return firstNonFinite(*checked, options.code, step, model, batch, call);
  };
  return finish(driver::train(module->get(), o));
}

/// What weights of fewer bits cost and give: each metric beside that of f32, and the time.
static std::string against(const std::string &precision, const driver::Evaluation &narrow, const driver::Evaluation &wide) {
  std::string text = fmt::format("{} beside f32\n", precision);
  for (size_t i = 0; i < narrow.metrics.size() && i < wide.metrics.size(); ++i)
    text += fmt::format("  {:<32} {:.4f}  {:.4f}  {:+.4f}\n", narrow.metrics[i].first, narrow.metrics[i].second, wide.metrics[i].second,
                        narrow.metrics[i].second - wide.metrics[i].second);
  return text + fmt::format("  {:<32} {:.2f}  {:.2f}\n", "seconds", narrow.seconds, wide.seconds);
}

int eval(const EvalOptions &options) {
  int code = Done;
  driver::CommonOptions o;
  auto opened = openRun(options, o, code);
  if (!opened)
    return code;
  o.quiet = options.json;
  // With weights of fewer bits what they are compared with comes first, so that the run's report is of what ships.
  driver::Evaluation wide;
  if (opened->precision != "f32") {
    EvalOptions plain = options;
    plain.code.precision = "f32";
    driver::CommonOptions places;
    auto reference = openRun(plain, places, code);
    if (!reference)
      return code;
    places.quiet = true;
    wide = driver::evaluate(reference->module->get(), places);
    if (wide.result.exitCode != Done && wide.result.exitCode != GateFailed)
      return finish(wide.result);
  }
  driver::Evaluation evaluation = driver::evaluate(opened->module->get(), o);
  if (options.json && !evaluation.json.empty() && opened->precision != "f32") {
    auto all = nlohmann::ordered_json::parse(evaluation.json);
    all["precision"] = opened->precision;
    all["seconds"] = evaluation.seconds;
    all["f32"] = {{"results", nlohmann::ordered_json::parse(wide.json)["results"]}, {"seconds", wide.seconds}};
    evaluation.json = all.dump();
  } else if (!evaluation.text.empty() && opened->precision != "f32") {
    evaluation.text += against(opened->precision, evaluation, wide);
  }
  std::cout << (options.json ? evaluation.json : evaluation.text);
  if (options.json && !evaluation.json.empty())
    std::cout << "\n";
  return finish(evaluation.result);
}

int predict(const PredictOptions &options) {
  int code = Done;
  driver::PredictOptions o;
  auto opened = openRun(options, o, code);
  if (!opened)
    return code;
  o.json = options.json;
  o.flow = options.flow;
  o.draw = options.draw;
  o.stream = [](std::string_view piece) { std::cout << piece << std::flush; };
  o.print = [](const std::string &line) { std::cout << line << "\n"; };
  return finish(driver::predict(opened->module->get(), o, options.inputs));
}

int bench(const BenchOptions &options) {
  int code = Done;
  driver::BenchOptions o;
  auto opened = openRun(options, o, code);
  if (!opened)
    return code;
  o.flow = options.flow;
  o.seconds = options.seconds;
  o.clients = options.clients;
  driver::Served served = driver::bench(opened->module->get(), o, options.inputs);
  std::cout << (options.json && !served.json.empty() ? served.json + "\n" : served.text);
  return finish(served.result);
}

} // namespace bigm::tool
