#include "Measuring.h"
#include "runtime/data/Error.h"
#include <algorithm>

namespace bigm::driver {

Measuring::Measuring(const bigm_module *module, const CommonOptions &options)
    : module(module), options(options), session_(module, options.threads), data_(session_, options.dataDir, session_.threads()) {
  if (!options.runDir.empty()) {
    folder.emplace(options.runDir, true);
    folder->loadFor(program(), session_.model());
    data_.loadTexts(*folder);
    return;
  }
  auto &all = program().evaluates;
  if (auto trained = std::find_if(all.begin(), all.end(), [](auto &e) { return e.flow.empty(); }); trained != all.end())
    data::fail("`evaluate {}` measures what a training made: say with `--run` where that is", trained->name);
}

Measured Measuring::measure(const EvaluateProgram &evaluate, int64_t most) {
  if (evaluate.flow.empty())
    return driver::measure(session_, data_, evaluate, evaluate.split, most);
  if (!flows) {
    flows.emplace(session_, data_, options, flowsOf(module));
    if (!folder)
      flows->loadWeights();
  }
  return measureFlow(*flows, evaluate, evaluate.split, most);
}

} // namespace bigm::driver
