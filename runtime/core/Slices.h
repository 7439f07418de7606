// A call that runs in slices of its batch, because the manifest says that its function may.
//
// A slice is a call of the same entry: with the size of the slice, addresses of its part of inputs and outputs, and scratch memory
// that belongs to a lane. Lanes are run by as many threads and take one slice after the other. All lanes have the same number of elements;
// the few that are left over run on all threads at once. A batch of fewer elements than threads need is not cut: its kernels share out
// better. What a slice computes does not depend on where it runs, nor on the elements beside it, so results have the same bits for any
// number of threads.
#pragma once
#include "Context.h"
#include <atomic>

namespace bigm::rt {

class SlicedCall {
public:
  SlicedCall(const Function &function, const int64_t *dims, int32_t threads);
  /// Whether the batch is cut; where it is not, the others say nothing.
  explicit operator bool() const { return rounds; }
  /// Scratch memory of all lanes, a whole number of cache lines.
  int64_t bytes() const;
  int32_t run(bigm_context *context, bigm_entry entry, void *const *buffers, char *scratch);

private:
  int32_t runHere();
  int32_t runOfLane(int64_t slice, char *memory);
  /// On the threads of a context, or on this one alone without.
  int32_t runSlice(bigm_context *threads, int64_t first, int64_t count, char *memory);

  const Function &function;
  const int64_t *dims;
  int64_t lanes = 1, ofLane = 0, rounds = 0, rest = 0; // elements of a lane, and its slices; elements left over
  int64_t lists = 0, laneBytes = 0; // bytes of a lane: of its sizes and addresses, and of all
  bigm_context *context = nullptr;
  bigm_entry entry = nullptr;
  void *const *buffers = nullptr;
  char *scratch = nullptr;
  std::atomic<int64_t> next = 0;
  std::atomic<int32_t> failed = 0;
};

} // namespace bigm::rt
