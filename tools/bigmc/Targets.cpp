#include "Targets.h"
#include "backends/cpu/Target.h"
#include "runtime/core/Cpu.h"
#include <algorithm>
#include <tuple>

namespace bigm::tool {

const std::string oldestTarget = "cpu:x86-64-v2";
static const std::string thisMachine = "cpu:host";

std::string targetError(const std::string &target) {
  if (target.rfind("cpu:", 0) == 0 && mlir::bigm::cpu::parseTarget(cpuOf(target)))
    return "";
  return "no code is made for the target `" + target + "`; after `cpu:` may stand " + mlir::bigm::cpu::knownCpus();
}

std::vector<std::string> targetsOf(const CodeOptions &code) {
  return code.targets.empty() ? std::vector<std::string>{thisMachine} : code.targets;
}

std::vector<std::string> targetsOf(const CodeOptions &code, const Program &program, int &exitCode) {
  if (!code.targets.empty())
    return code.targets;
  std::vector<std::string> targets;
  for (const DeployProgram &deploy : program.deploys)
    for (const std::string &target : deploy.targets) {
      const std::string name = target == "cpu" ? thisMachine : target;
      if (std::string error = targetError(name); !error.empty()) {
        exitCode = userError("`deploy " + deploy.train + "`: " + error + "; `--target cpu:host` builds for this machine instead");
        return {};
      }
      targets.push_back(name);
    }
  return targets.empty() ? std::vector<std::string>{thisMachine} : targets;
}

std::string processorOf(const std::string &target) { return mlir::bigm::cpu::parseTarget(cpuOf(target))->cpu; }

std::string cpuOf(const std::string &target) { return target.substr(target.find(':') + 1); }

std::vector<std::string> inOrder(const std::vector<std::string> &targets) {
  // Wider vectors are faster; of two that are as wide, the code that asks for more is, and then this machine's own.
  auto rank = [](const std::string &target) {
    auto cpu = *mlir::bigm::cpu::parseTarget(cpuOf(target));
    return std::tuple(cpu.lanes, cpu.tiles, cpu.dots, cpu.bytes, featuresNeeded(target).size(), target == thisMachine);
  };
  std::vector<std::string> sorted;
  for (const std::string &target : targets)
    if (std::find(sorted.begin(), sorted.end(), target) == sorted.end())
      sorted.push_back(target);
  std::stable_sort(sorted.begin(), sorted.end(), [&](auto &a, auto &b) { return rank(a) < rank(b); });
  return sorted;
}

std::vector<std::string> featuresNeeded(const std::string &target) {
  std::vector<std::string> needed;
  for (const std::string &feature : mlir::bigm::cpu::featuresOf(*mlir::bigm::cpu::parseTarget(cpuOf(target))))
    if (rt::Cpu::knows(feature))
      needed.push_back(feature);
  return needed;
}

} // namespace bigm::tool
