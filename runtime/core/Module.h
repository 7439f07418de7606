// A compiled program in memory: its manifest and the addresses of its functions.
//
// Shared by handles and models through shared_ptr; a library that was opened is closed when the last one lets go.
#pragma once
#include "Manifest.h"
#include "bigm/bigm.h"
#include <memory>
#include <string>
#include <string_view>

namespace bigm::rt {

struct Module {
  Manifest manifest;
  const bigm_entry *entries = nullptr; // null: described only, cannot run
  void *library = nullptr;             // of dlopen

  Module() = default;
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;
  ~Module();
  /// Of both: takes the variant that suits `cpu` best (see Cpu::chosen). Throws Failure.
  static std::shared_ptr<const Module> make(std::string_view manifest, const bigm_entry *entries, const char *cpu);
  static std::shared_ptr<const Module> open(const std::string &path, std::string stem, const char *cpu);

private:
  void take(std::string_view manifest, const bigm_entry *entries, const char *cpu);
};

} // namespace bigm::rt

/// What the C handle points at.
struct bigm_module {
  std::shared_ptr<const bigm::rt::Module> impl;
};
