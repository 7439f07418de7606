// The persistent tensors of a program: one block of memory, each tensor on a cache line.
//
// Functions that only read hold `lock` shared, everything that writes holds it alone, so contexts on several threads
// can train, predict and save one model without seeing a half-written tensor.
#pragma once
#include "Memory.h"
#include "Module.h"
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

namespace bigm::rt {

struct Model {
  std::shared_ptr<const Module> module;
  Memory memory;
  std::vector<char *> tensors; // by number
  /// By train program: its optimiser slots have values, from its init function, from a file, or from the caller. Where
  /// they have none yet, the first train step sets them (Context), so that opening a model to predict costs no
  /// initialisation.
  std::vector<char> slotsSet;
  mutable std::shared_mutex lock;

  /// All zero. Throws Failure (BIGM_ERROR_MEMORY).
  explicit Model(std::shared_ptr<const Module> module);
  /// See bigm_model_load.
  void load(const std::string &path, uint32_t required, bool allowMissing, bool allowExtra);
  /// The caller has set this tensor, or may: if it is a slot, its train programs keep what is there. `lock` is held.
  void touched(int32_t tensor);
  /// See bigm_model_save.
  void save(const std::string &path, uint32_t kinds) const;
};

} // namespace bigm::rt

struct bigm_model {
  bigm::rt::Model impl;
  bigm_module handle; // what bigm_model_module gives
};
