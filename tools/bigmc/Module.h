// A program compiled and opened in this process.
#pragma once
#include <memory>
#include <string>
#include <vector>

struct bigm_module;

namespace bigm::tool {
struct Compiled;
struct CodeOptions;

/// Owns the handle. The shared library's file is already removed, so nothing is left behind however bigmc ends.
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

/// Links and opens the variant for this machine, held to a level of CPU when `cpu` is not null. On failure the message is
/// printed and `exitCode` set.
std::unique_ptr<OpenModule> openCompiled(const Compiled &compiled, int &exitCode, const char *cpu = nullptr);
/// Checks and compiles as well.
std::unique_ptr<OpenModule> openProgram(const std::string &file, const std::vector<std::string> &sets,
                                        const CodeOptions &code, int &exitCode);

/// The overrides that a run was trained with, then `sets`.
std::vector<std::string> setsOfRun(const std::string &run, const std::vector<std::string> &sets);

/// What a library carries of the runtime: archives beside this program, in `../lib` of its folder.
std::vector<std::string> runtimeArchives(bool flows);

} // namespace bigm::tool
