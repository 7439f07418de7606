#include "Cpu.h"
#include "Failure.h"
#include <algorithm>
#include <cpuid.h>
#include <cstdlib>
#include <iterator>
#include <sys/syscall.h>
#include <unistd.h>

namespace bigm::rt {
namespace {

/// The questions to CPUID: leaf and part. Few, because a virtual machine may take long to answer one.
constexpr uint32_t questions[][2] = {{1, 0}, {7, 0}, {7, 1}, {0x80000001, 0}};
enum Question { Basic, Extended, Extended1, Amd };
enum Register { EAX, EBX, ECX, EDX };
/// Registers that the operating system must save for a feature to be usable, as bits of XCR0.
enum State : uint32_t { Base = 0, Ymm = 0x6, Zmm = 0xe6, Tiles = 0x60000 };

/// Where a feature stands in the answers of CPUID (Intel SDM vol. 2A, "CPUID"; AMD APM vol. 3, appendix E), and the level
/// of the x86-64 psABI that asks for it first, 0 for none.
struct Feature {
  const char *name;
  Question question;
  Register reg;
  int bit;
  State state;
  int level;
};
constexpr Feature table[] = {
    {"cx16", Basic, ECX, 13, Base, 2},
    {"popcnt", Basic, ECX, 23, Base, 2},
    {"sahf", Amd, ECX, 0, Base, 2},
    {"sse3", Basic, ECX, 0, Base, 2},
    {"sse4.1", Basic, ECX, 19, Base, 2},
    {"sse4.2", Basic, ECX, 20, Base, 2},
    {"ssse3", Basic, ECX, 9, Base, 2},
    {"avx", Basic, ECX, 28, Ymm, 3},
    {"avx2", Extended, EBX, 5, Ymm, 3},
    {"bmi", Extended, EBX, 3, Base, 3},
    {"bmi2", Extended, EBX, 8, Base, 3},
    {"f16c", Basic, ECX, 29, Ymm, 3},
    {"fma", Basic, ECX, 12, Ymm, 3},
    {"lzcnt", Amd, ECX, 5, Base, 3},
    {"movbe", Basic, ECX, 22, Base, 3},
    {"avx512bw", Extended, EBX, 30, Zmm, 4},
    {"avx512cd", Extended, EBX, 28, Zmm, 4},
    {"avx512dq", Extended, EBX, 17, Zmm, 4},
    {"avx512f", Extended, EBX, 16, Zmm, 4},
    {"avx512vl", Extended, EBX, 31, Zmm, 4},
    // What the code generator uses by itself besides, where `cpu:host` has it. Others (aes, sha, ...) nothing asks for.
    {"amx-bf16", Extended, EDX, 22, Tiles, 0},
    {"amx-tile", Extended, EDX, 24, Tiles, 0},
    {"avx512bf16", Extended1, EAX, 5, Zmm, 0},
    {"avx512bitalg", Extended, ECX, 12, Zmm, 0},
    {"avx512fp16", Extended, EDX, 23, Zmm, 0},
    {"avx512ifma", Extended, EBX, 21, Zmm, 0},
    {"avx512vbmi", Extended, ECX, 1, Zmm, 0},
    {"avx512vbmi2", Extended, ECX, 6, Zmm, 0},
    {"avx512vnni", Extended, ECX, 11, Zmm, 0},
    {"avx512vpopcntdq", Extended, ECX, 14, Zmm, 0},
    {"avxifma", Extended1, EAX, 23, Ymm, 0},
    {"avxneconvert", Extended1, EDX, 5, Ymm, 0},
    {"avxvnni", Extended1, EAX, 4, Ymm, 0},
    {"avxvnniint16", Extended1, EDX, 10, Ymm, 0},
    {"avxvnniint8", Extended1, EDX, 4, Ymm, 0},
    {"fma4", Amd, ECX, 16, Ymm, 0},
    {"gfni", Extended, ECX, 8, Base, 0},
    {"prfchw", Amd, ECX, 8, Base, 0},
    {"sse4a", Amd, ECX, 6, Base, 0},
    {"tbm", Amd, ECX, 21, Base, 0},
    {"xop", Amd, ECX, 11, Ymm, 0},
};
static_assert(std::size(table) <= 64, "features are the bits of one number");

uint64_t bitOf(const std::string &feature) {
  for (size_t i = 0; i < std::size(table); ++i)
    if (feature == table[i].name)
      return uint64_t(1) << i;
  return 0;
}
/// The features of a level and of those below it.
uint64_t bitsOf(int level) {
  uint64_t bits = 0;
  for (size_t i = 0; i < std::size(table); ++i)
    if (table[i].level && table[i].level <= level)
      bits |= uint64_t(1) << i;
  return bits;
}
std::string nameOf(int level) { return "x86-64-v" + std::to_string(level); }
std::vector<std::string> namesOf(uint64_t bits) {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::size(table); ++i)
    if (bits >> i & 1)
      names.push_back(table[i].name);
  return names;
}
/// "cpu:x86-64-v2, cpu:x86-64-v3 and cpu:x86-64-v4"
std::string listed(const std::vector<Variant> &variants) {
  std::string text;
  for (size_t i = 0; i < variants.size(); ++i)
    text += (i == 0 ? "" : i + 1 < variants.size() ? ", " : " and ") + variants[i].target;
  return text;
}

/// Linux saves the tile registers of AMX only for processes that ask for it (Documentation/arch/x86/xstate.rst): 8 KiB a
/// thread. Whether it lets this one use them; asked when code that needs them is picked, once.
bool mayUseTiles() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  static const bool may = syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  return may;
}

} // namespace

Cpu Cpu::ofThisMachine() {
  static const Cpu cpu = [] {
    uint32_t answers[std::size(questions)][4] = {};
    for (size_t q = 0; q < std::size(questions); ++q) {
      auto &answer = answers[q];
      __get_cpuid_count(questions[q][0], questions[q][1], &answer[EAX], &answer[EBX], &answer[ECX], &answer[EDX]);
    }
    uint32_t saved = 0; // XCR0, which may be asked only where OSXSAVE says that the system uses it
    if (answers[Basic][ECX] >> 27 & 1) {
      uint32_t high;
      __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    }
    Cpu found;
    for (size_t i = 0; i < std::size(table); ++i)
      if (answers[table[i].question][table[i].reg] >> table[i].bit & 1 && (saved & table[i].state) == table[i].state)
        found.features |= uint64_t(1) << i;
    return found;
  }();
  return cpu;
}

Cpu Cpu::heldTo(const std::string &level, const std::string &from, const Cpu &machine) {
  for (int number : {2, 3, 4}) {
    if (level != nameOf(number))
      continue;
    Cpu cpu;
    cpu.features = bitsOf(number);
    cpu.held = ", which " + from + " holds to " + level + ",";
    if (std::string missing = machine.lacking(namesOf(cpu.features)); !missing.empty())
      throw Failure(BIGM_ERROR_CPU, from + " asks for " + level + ", and this CPU lacks " + missing);
    return cpu;
  }
  throw Failure(BIGM_ERROR_ARGUMENT,
                from + " asks for the unknown CPU level `" + level + "`; known are x86-64-v2, x86-64-v3 and x86-64-v4");
}

Cpu Cpu::chosen(const char *level) {
  if (level)
    return heldTo(level, "`cpu`");
  const char *held = std::getenv("BIGM_CPU");
  return held && *held ? heldTo(held, "`BIGM_CPU`") : ofThisMachine();
}

Cpu Cpu::with(const std::vector<std::string> &features) {
  Cpu cpu;
  for (const std::string &feature : features)
    cpu.features |= bitOf(feature);
  return cpu;
}

bool Cpu::knows(const std::string &feature) { return bitOf(feature) != 0; }
bool Cpu::has(const std::string &feature) const { return features & bitOf(feature); }

std::string Cpu::level() const {
  for (int number : {4, 3, 2})
    if ((features & bitsOf(number)) == bitsOf(number))
      return nameOf(number);
  return "";
}

std::string Cpu::lacking(const std::vector<std::string> &needed) const {
  std::string text;
  for (const std::string &feature : needed)
    if (!has(feature))
      text += (text.empty() ? "" : ", ") + feature;
  return text;
}

static bool asksForTiles(const Variant &variant) {
  return std::find(variant.needed.begin(), variant.needed.end(), "amx-tile") != variant.needed.end();
}

size_t Cpu::pick(const std::string &program, const std::vector<Variant> &variants) const {
  for (size_t i = variants.size(); i-- > 0;)
    if (lacking(variants[i].needed).empty() && (!asksForTiles(variants[i]) || mayUseTiles()))
      return i;
  std::string missing = lacking(variants.front().needed);
  std::string hint = level().empty() ? "" : "; hint: build it with `--target cpu:" + level() + "`";
  throw Failure(BIGM_ERROR_CPU, "`" + program + "` carries code for " + listed(variants) + ", and this CPU" + held +
                                    " lacks " + (missing.empty() ? "the permission to use amx-tile" : missing) +
                                    (variants.size() > 1 ? " of " + variants.front().target : "") + hint);
}

} // namespace bigm::rt
