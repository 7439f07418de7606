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

/// The features that LLVM's name of a processor stands for, with those that they imply: avx512bw stands for avx512f and avx2.
static llvm::StringMap<bool> featuresNamed(llvm::StringRef cpu) {
  llvm::StringMap<bool> features;
  llvm::SmallVector<llvm::StringRef> names;
  llvm::X86::getFeaturesForCPU(cpu, names);
  for (llvm::StringRef name : names) {
    features[name] = true;
    llvm::X86::updateImpliedFeatures(name, true, features);
  }
  return features;
}

/// What LLVM would use by itself and the runtime does not ask a CPU for (runtime/core/Cpu.cpp): more registers and other
/// encodings, of which kernels gain nothing measured yet.
static constexpr llvm::StringRef unused[] = {"avx10.1", "avx10.2", "ccmp", "cf", "egpr", "ndd", "nf", "ppx", "push2pop2", "zu"};

/// Vectors, registers and instructions from what the processor has. Nothing when it has less than x86-64-v2.
static bool describe(Target &target, const llvm::StringMap<bool> &has) {
  auto all = [&](std::initializer_list<llvm::StringRef> names) {
    return std::all_of(names.begin(), names.end(), [&](llvm::StringRef name) { return has.lookup(name); });
  };
  if (!all({"cx16", "popcnt", "sahf", "sse4.2"}))
    return false;
  bool wide = all({"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}), middle = all({"avx2", "fma", "f16c"});
  if (wide)
    target.lanes = 16, target.registers = 32, target.masks = true;
  else if (middle)
    target.lanes = 8;
  target.tiles = wide && all({"amx-tile", "amx-bf16"});
  target.dots = wide && has.lookup("avx512bf16");
  target.bytes = (wide && has.lookup("avx512vnni")) || (!wide && middle && has.lookup("avxvnni"));
  return true;
}

std::optional<Target> cpu::parseTarget(const std::string &name) {
  Target target;
  if (name == "host") {
    target.cpu = llvm::sys::getHostCPUName().str();
    auto host = llvm::sys::getHostCPUFeatures();
    for (llvm::StringRef feature : unused)
      if (host.lookup(feature))
        host[feature] = false;
    std::vector<std::string> features;
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
    describe(target, host); // one that has less runs what SSE2 can: `bigm_open` says what it lacks
    return target;
  }
  if (llvm::X86::parseArchX86(name, /*Only64Bit=*/true) == llvm::X86::CK_None)
    return std::nullopt;
  target.cpu = name;
  llvm::StringMap<bool> features = featuresNamed(name);
  for (llvm::StringRef feature : unused)
    if (features.lookup(feature))
      target.features += (target.features.empty() ? "-" : ",-") + feature.str();
  if (!describe(target, features))
    return std::nullopt;
  if (target.lanes == 16)
    target.ownBytes = 1 << 20; // servers with AVX-512 have as much or more
  return target;
}

std::string cpu::knownCpus() {
  return "host, x86-64-v2, x86-64-v3, x86-64-v4 and LLVM's names of processors that have at least the second's features, as znver4";
}

std::vector<std::string> cpu::featuresOf(const Target &target) {
  llvm::StringMap<bool> features = featuresNamed(target.cpu);
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
