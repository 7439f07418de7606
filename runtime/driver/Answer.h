// Prediction by a flow of the program.
#pragma once
#include "Driver.h"

namespace bigm::driver {

bool hasFlows(const bigm_module *module);
/// `predict` of a program with flows.
Result answer(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs);

} // namespace bigm::driver
