// Calibration: what a program's evaluations show of its activations.
#include "Driver.h"
#include "FlowMeasure.h"
#include "Guard.h"
#include "RunFolder.h"
#include "Session.h"
#include "runtime/data/Error.h"
#include <algorithm>

namespace bigm::driver {
namespace {

void addSeen(Session &session, std::map<std::string, std::vector<float>> &seen) {
  const Program &program = session.program();
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorInfo &t = program.tensors[i];
    if (t.kind != "metric" || !t.name.ends_with(".seen"))
      continue;
    std::vector<float> &counts = seen[t.name];
    counts.resize(size_t(data::product(t.shape)));
    auto *values = static_cast<const float *>(bigm_model_data(session.model(), int32_t(i)));
    std::transform(counts.begin(), counts.end(), values, counts.begin(), std::plus<>());
  }
}

void run(const bigm_module *module, const CommonOptions &options, int64_t most, std::map<std::string, std::vector<float>> &seen) {
  Session session(module, options.threads);
  const Program &program = session.program();
  DataSets data(session, options.dataDir, session.threads());
  if (!options.runDir.empty()) {
    RunFolder folder(options.runDir, true);
    folder.loadFor(program, session.model());
    data.loadTexts(folder);
  }
  std::optional<FlowHost> flows;
  for (const EvaluateProgram &evaluate : program.evaluates) {
    if (evaluate.flow.empty()) {
      if (options.runDir.empty())
        data::fail("`{}` is calibrated with the weights that a training made: say with `--run` where those are", evaluate.train);
      measure(session, data, evaluate, evaluate.split, most);
      continue;
    }
    if (!flows) {
      flows.emplace(session, data, options, flowsOf(module));
      if (options.runDir.empty())
        flows->loadWeights();
    }
    measureFlow(*flows, evaluate, evaluate.split, most);
  }
  addSeen(session, seen);
}
} // namespace

Result calibrate(const bigm_module *module, const CommonOptions &options, int64_t records, std::map<std::string, std::vector<float>> &seen) {
  return guarded([&] {
    run(module, options, records, seen);
    return Result{};
  });
}

} // namespace bigm::driver
