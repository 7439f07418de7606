#include "backends/cpu/Target.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"
#include <algorithm>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

std::optional<Target> cpu::parseTarget(const std::string &name) {
  Target target;
  int level = 0;
  if (name == "host") {
    target.cpu = llvm::sys::getHostCPUName().str();
    std::vector<std::string> features;
    auto host = llvm::sys::getHostCPUFeatures();
    for (auto &feature : host)
      features.push_back((feature.second ? "+" : "-") + feature.first().str());
    std::sort(features.begin(), features.end()); // the map's order is not deterministic
    for (const std::string &feature : features)
      target.features += (target.features.empty() ? "" : ",") + feature;
    // What the system does not say stays at the least that is common.
    if (long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
      target.nearBytes = bytes;
    if (long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
      target.ownBytes = bytes;
    if (unsigned cores = std::thread::hardware_concurrency())
      target.cores = std::clamp<int64_t>(cores, 2, 32);
    level = host.lookup("avx512vl") && host.lookup("avx512dq") ? 4 : host.lookup("avx2") && host.lookup("fma") ? 3 : 2;
    target.tiles = level == 4 && host.lookup("amx-tile") && host.lookup("amx-bf16");
    target.dots = level == 4 && host.lookup("avx512bf16");
    target.bytes = (level == 4 && host.lookup("avx512vnni")) || (level == 3 && host.lookup("avxvnni"));
  } else if (name == "x86-64-v2" || name == "x86-64-v3" || name == "x86-64-v4") {
    target.cpu = name;
    level = name.back() - '0';
  } else {
    return std::nullopt;
  }
  if (level == 4)
    target.lanes = 16, target.registers = 32, target.masks = true;
  else if (level == 3)
    target.lanes = 8;
  if (name == "x86-64-v4")
    target.ownBytes = 1 << 20; // servers with AVX-512 have as much or more
  return target;
}

std::vector<std::string> cpu::featuresOf(const Target &target) {
  llvm::StringMap<bool> features; // those of the name, and what they imply: avx512bw stands for avx512f and avx2
  llvm::SmallVector<llvm::StringRef> names;
  llvm::X86::getFeaturesForCPU(target.cpu, names);
  for (llvm::StringRef name : names) {
    features[name] = true;
    llvm::X86::updateImpliedFeatures(name, true, features);
  }
  // A host says of each feature whether it is there, whatever is usual for its name.
  llvm::SmallVector<llvm::StringRef> own;
  llvm::StringRef(target.features).split(own, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef feature : own)
    features[feature.drop_front()] = feature.front() == '+';
  std::vector<std::string> result;
  for (const auto &feature : features)
    if (feature.second)
      result.push_back(feature.first().str());
  std::sort(result.begin(), result.end()); // the map's order is not deterministic
  return result;
}
