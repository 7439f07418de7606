// What the CPU that runs us can do, and which of a library's variants suits it best.
//
// A library may hold its code several times, for older and newer CPUs. It is looked at once, when a module is opened:
// kernels call each other directly, so nothing is decided in a call.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace bigm::rt {

/// One of a library's sets of code, as its manifest describes it.
struct Variant {
  std::string target;              // "cpu:x86-64-v3"
  std::vector<std::string> needed; // features, by LLVM's names: "avx2"
};

class Cpu {
public:
  /// The one that runs us. A feature whose registers the operating system does not save counts as missing.
  static Cpu ofThisMachine();
  /// This machine held to a level, `x86-64-v2`, `-v3` or `-v4`; `from` is where the level was asked for. Throws Failure
  /// when the level is none of these, or more than this machine is.
  static Cpu heldTo(const std::string &level, const std::string &from, const Cpu &machine = ofThisMachine());
  /// What a caller asks for; else what the environment's BIGM_CPU does; else this machine.
  static Cpu chosen(const char *level);
  /// One with these features, for tests.
  static Cpu with(const std::vector<std::string> &features);

  /// Whether `has` can say anything about a feature. What every 64-bit x86 has is not in the table.
  static bool knows(const std::string &feature);
  bool has(const std::string &feature) const;
  /// The highest level of which nothing is missing; empty when that is not even x86-64-v2.
  std::string level() const;
  /// Those of `needed` that it has not, with commas.
  std::string lacking(const std::vector<std::string> &needed) const;

  /// The last variant that this CPU can run: they stand from the most portable to the fastest. Throws Failure
  /// (BIGM_ERROR_CPU) that says what `program` carries and what is missing when it can run none.
  size_t pick(const std::string &program, const std::vector<Variant> &variants) const;

private:
  uint64_t features = 0; // bit i: line i of the table
  std::string held;      // ", which `BIGM_CPU` holds to x86-64-v2": for messages
};

} // namespace bigm::rt
