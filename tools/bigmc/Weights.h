// Weights that go into what `bigmc build` writes.
#pragma once
#include "runtime/driver/Driver.h"
#include <string>
#include <vector>

namespace bigm::tool {
struct ProgramOptions;
struct Checked;

/// What every driver wants to know of a program, its run and its data.
driver::CommonOptions placesOf(const Checked &, const ProgramOptions &, const std::vector<std::string> &sets, const std::string &run,
                               const std::string &data, int threads);

/// Weights of a run, checked against the program, into `path`. Nothing is computed, so no code is needed: a library for
/// another machine is built like one for this. Empty when all is well.
std::string weightsOfRun(const std::string &path, const std::string &manifest, const std::string &run);
/// Initial weights into `path`, and those that the program takes from files.
std::string initialWeights(const std::string &path, const bigm_module *module, const std::string &manifest,
                           const driver::CommonOptions &places);

} // namespace bigm::tool
