// Prediction by a flow of the program.
#pragma once
#include "Driver.h"
#include "runtime/flow/Flow.h"

namespace bigm::driver {

/// `predict` of a program with these flows, of which there is one at least.
Result answer(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs,
              std::vector<flow::Flow> flows);

} // namespace bigm::driver
