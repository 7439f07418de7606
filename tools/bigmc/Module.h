// A program compiled and opened in this process.
#pragma once
#include <memory>
#include <string>
#include <vector>

struct bigm_module;

namespace bigm::tool {

/// Owns the handle; the shared library's file is already unlinked, so nothing is left behind however bigmc ends.
class OpenModule {
public:
  explicit OpenModule(bigm_module *module) : module(module) {}
  ~OpenModule();
  OpenModule(const OpenModule &) = delete;
  OpenModule &operator=(const OpenModule &) = delete;
  const bigm_module *get() const { return module; }

private:
  bigm_module *module;
};

/// Checks, compiles, links and opens. On failure the message is printed and `exitCode` set.
std::unique_ptr<OpenModule> openProgram(const std::string &file, const std::vector<std::string> &sets,
                                        const std::string &target, int &exitCode);

/// The overrides that a run was trained with, then `sets`.
std::vector<std::string> setsOfRun(const std::string &run, const std::vector<std::string> &sets);

} // namespace bigm::tool
