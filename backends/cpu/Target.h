// What the code generator must know of the machine that will run the code.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlir::bigm::cpu {

struct Target {
  std::string cpu;      // LLVM's name
  std::string features; // LLVM's list, `+avx2,...`
  unsigned lanes = 4;   // f32 lanes of a vector register
  unsigned registers = 16; // vector registers
  bool masks = false;   // stores under a mask are cheap: those of AVX2 take a dozen cycles on some cores
  bool tiles = false;   // AMX: products of 16 x 32 by 32 x 16 bf16 in one instruction
  bool dots = false;    // AVX512-BF16: adds the products of pairs of bf16 to a vector of f32
  bool bytes = false;   // AVX-VNNI, AVX512-VNNI: adds the products of fours of u8 and i8 to a vector of i32
  int64_t nearBytes = 32 << 10; // of a core's first level cache for data
  int64_t ownBytes = 512 << 10; // of its second level cache
  int64_t cores = 16;
};

/// `host`, `x86-64-v2`, `x86-64-v3`, `x86-64-v4`, or LLVM's name of a processor that has at least what x86-64-v2 asks for,
/// as `sapphirerapids`.
std::optional<Target> parseTarget(const std::string &name);

/// What `parseTarget` takes, for a message: "host, x86-64-v2, ... or a processor as LLVM names it, ...".
std::string knownCpus();

/// LLVM's names of all that code for the target may use, sorted: "avx2". A CPU that lacks one cannot run it.
std::vector<std::string> featuresOf(const Target &target);

} // namespace mlir::bigm::cpu
