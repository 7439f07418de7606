// Weights that go into what `bigmc build` writes.
#pragma once
#include "runtime/driver/Driver.h"
#include <string>

namespace bigm::tool {
struct BuildOptions;
struct Checked;

/// Where a build looks for files that the program names.
driver::CommonOptions placesOf(const Checked &checked, const BuildOptions &options);

/// Weights of a run, checked against the program, into `path`. Nothing is computed, so no code is needed: a library for
/// another machine is built like one for this. Empty when all is well.
std::string weightsOfRun(const std::string &path, const std::string &manifest, const std::string &run);
/// Initial weights into `path`, and those that the program takes from files.
std::string initialWeights(const std::string &path, const bigm_module *module, const std::string &manifest,
                           const driver::CommonOptions &places);

} // namespace bigm::tool
