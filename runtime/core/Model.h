// The persistent tensors of a program: one block of memory, each tensor on a cache line.
//
// Functions that only read hold `lock` shared, everything that writes holds it alone, so contexts on several threads
// can train, predict and save one model without seeing a half-written tensor.
#pragma once
#include "Memory.h"
#include "Module.h"
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
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
  /// Values that depend on tensors alone, computed by the program's function `prepare` once after these changed: by the
  /// first call that reads them. `stale` is set while `lock` is held alone and cleared, under `preparing`, while it is
  /// held at least shared; so whoever finds it false reads whole values.
  std::vector<char *> prepared; // by number
  std::atomic<bool> stale{true};
  std::mutex preparing;

  /// All zero. Throws Failure (BIGM_ERROR_MEMORY).
  explicit Model(std::shared_ptr<const Module> module);
  /// See bigm_model_load.
  void load(const std::string &path, uint32_t required, bool allowMissing, bool allowExtra, const std::string &part = "");
  /// The caller has set this tensor, or may: prepared values that depend on it are stale; if it is a slot, its train
  /// programs keep what is there. `lock` is held alone.
  void touched(int32_t tensor);
  /// See bigm_model_save.
  void save(const std::string &path, uint32_t kinds) const;
};

} // namespace bigm::rt

struct bigm_model {
  bigm::rt::Model impl;
  bigm_module handle; // what bigm_model_module gives
};
