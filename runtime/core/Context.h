// What one thread needs to call functions: scratch memory, a pool of threads, and argument lists made ready.
//
// A call fills the ready list with the caller's pointers and jumps; it allocates only when its scratch memory is
// larger than any before. The entry runs inside the context's oneTBB arena, so the loops it starts use this
// context's threads and no others. With one thread oneTBB is not touched at all.
#pragma once
#include "Memory.h"
#include "Model.h"
#include "bigm/bigm.h"
#include <memory>
#include <vector>

namespace bigm::rt {

class Parallel; // the oneTBB side; Parallel.cpp

struct Context {
  Model &model;
  int32_t threads;
  std::unique_ptr<Parallel> pool; // null with one thread
  Memory arena;
  std::vector<std::vector<void *>> buffers; // by function: tensors and scalars in place
  int64_t seed = 0;
  float step = 0, steps = 0;

  Context(Model &model, int32_t threads);
  ~Context();
  void run(const bigm_call &call);
  /// Scratch memory of a call with `dims`, with room for outputs that are not wanted.
  int64_t arenaBytes(const Function &function, const int64_t *dims, void *const *outputs) const;
  void reserve(int64_t bytes);

private:
  /// Of the entry alone, a whole number of cache lines.
  int64_t scratchBytes(const Function &function, const int64_t *dims) const;
  int32_t enter(int32_t function, const int64_t *dims, char *scratch);
  void setSlots(const Train &train);
  /// Sees to it that prepared values are those of the tensors. The model's lock is held.
  void prepare();
};

/// Runs `entry` on the pool's threads.
class Parallel {
public:
  explicit Parallel(int32_t threads);
  ~Parallel();
  int32_t enter(bigm_entry entry, void *context, const int64_t *dims, void *const *buffers, char *arena);
  /// A loop over [0, count) on at most `threads` threads, in parts of `grain` and more but for the last.
  void loop(int64_t count, int64_t grain, int64_t threads, void (*body)(void *, int64_t, int64_t), void *closure);

private:
  struct State;
  std::unique_ptr<State> state;
};

/// Threads that the machine has for this process.
int32_t defaultThreads();

} // namespace bigm::rt

struct bigm_context : bigm::rt::Context {
  using Context::Context;
};
