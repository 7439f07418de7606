// Which CPUs code is made for.
#pragma once
#include "Commands.h"
#include "frontend/Graph.h"
#include <string>
#include <vector>

namespace bigm::tool {

/// Runs on every machine that code is made for.
extern const std::string oldestTarget;
/// Why `--target` does not take this; empty when it does.
std::string targetError(const std::string &target);

/// The targets of a command that runs a program: those of the command line, else this machine.
std::vector<std::string> targetsOf(const CodeOptions &code);
/// The targets of a library: those of the command line, else all that the program's `deploy`s name, else this machine. On
/// failure the message is printed, the exit code given, and there are none.
std::vector<std::string> targetsOf(const CodeOptions &code, const Program &program, int &exitCode);

/// Each target once, from the most portable to the fastest: the order that the runtime picks by.
std::vector<std::string> inOrder(const std::vector<std::string> &targets);
/// Features that a CPU must have to run the target's code, of those that the runtime can check.
std::vector<std::string> featuresNeeded(const std::string &target);
/// LLVM's name of the processor that code for the target is made for: what `cpu:host` is on this machine.
std::string processorOf(const std::string &target);
/// The backend's name of a target: `cpu:x86-64-v3` is `x86-64-v3`.
std::string cpuOf(const std::string &target);

} // namespace bigm::tool
