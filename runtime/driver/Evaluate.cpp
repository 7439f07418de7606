// Evaluation: every `evaluate` with the run's weights, its gates, and the report.
#include "Driver.h"
#include "Guard.h"
#include "Measuring.h"
#include "Progress.h"
#include "RunReport.h"
#include "runtime/data/Error.h"
#include <chrono>
#include <cmath>

namespace bigm::driver {
using json = nlohmann::ordered_json;

namespace {

Evaluation run(const bigm_module *module, const CommonOptions &options) {
  Measuring measuring(module, options);
  const Program &program = measuring.program();
  if (program.evaluates.empty())
    data::fail("`{}` has no `evaluate`: there is nothing to measure", program.name);
  Progress progress(options.log, true);

  Evaluation out;
  json results = json::object(), gates = json::array(), gatesSeen = json::array();
  std::vector<report::Head> heads;
  std::string headsTitle;
  for (auto &evaluate : program.evaluates) {
    auto start = std::chrono::steady_clock::now();
    Measured measured = measuring.measure(evaluate);
    out.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    // Two evaluations of one train are told apart by their data.
    std::string name = results.contains(evaluate.name) ? fmt::format("{}.{}.{}", evaluate.name, evaluate.data, evaluate.split) : evaluate.name;
    out.text += fmt::format("{} on {}.{} ({} records)\n", name, evaluate.data, evaluate.split, countText(double(measured.records)));
    if (measured.cutWords > 0)
      out.text += fmt::format("  {} of {} words were cut off, so nothing compares them\n", countText(double(measured.cutWords)),
                              countText(double(measured.words)));
    json numbers = json::object();
    for (auto &[metric, value] : measured.metrics) {
      numbers[metric] = value;
      out.metrics.emplace_back(name + " " + metric, value);
      out.text += fmt::format("  {:<24} {:.4f}\n", metric, value);
    }
    results[name] = numbers;
    for (auto &r : evaluate.requires_) {
      auto value = measured.value(r.metric);
      if (!value)
        throw std::runtime_error(fmt::format("bug in bigmc: `require {}` speaks of `{}`, which nothing measures", r.text, r.metric));
      bool held = r.holds(*value);
      if (!held)
        out.result.exitCode = kGateFailed;
      gates.push_back({{"text", r.text}, {"held", held}});
      gatesSeen.push_back({{"text", r.text}, {"held", held}, {"seen", fmt::format("{:.4f}", *value)}});
      out.text += fmt::format("  {} {}: {:.4f}\n", held ? "held:  " : "FAILED:", r.text, *value);
    }
    if (auto *train = program.train(evaluate.train)) {
      auto more = analyse(measuring.session(), measuring.data(), *train, evaluate.data, evaluate.split);
      if (!more.empty())
        headsTitle += fmt::format("{}on {}.{}, {} records", headsTitle.empty() ? "" : "; ", evaluate.data, evaluate.split,
                                  countText(double(measured.records)));
      heads.insert(heads.end(), more.begin(), more.end());
    }
  }
  out.json = json{{"results", results}, {"requires", gates}}.dump();
  const RunFolder *folder = measuring.run();
  if (!folder)
    return out;
  try {
    folder->writeJson("evaluation.json", {{"results", results}, {"requires", gatesSeen}});
    writeReport(*folder, program, std::move(heads), headsTitle);
    progress.line(fmt::format("report in {}", folder->file("report.html")));
  } catch (const data::Error &e) {
    progress.line(fmt::format("the report is not updated: {}", e.what()));
  }
  return out;
}

} // namespace

Evaluation evaluate(const bigm_module *module, const CommonOptions &options) {
  Evaluation evaluation;
  Result result = guarded([&] { return (evaluation = run(module, options)).result; });
  return result.exitCode == kDone || result.exitCode == kGateFailed ? evaluation : Evaluation{result, "", ""};
}

} // namespace bigm::driver
