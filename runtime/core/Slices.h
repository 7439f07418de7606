// A call that runs in slices of its batch, because the manifest says that its function may.
//
// A slice is a call of the same entry: with the size of the slice, addresses of its part of inputs and outputs, and scratch memory
// that belongs to a lane. Lanes are run by as many threads and take one slice after the other. Where too few slices are left to
// give three threads in four one, the last ones run one by one on all threads; where there are so few from the start, the batch is not
// cut. What a slice computes does not depend on where it runs, so results have the same bits for any number of threads.
#pragma once
#include "Context.h"
#include <atomic>

namespace bigm::rt {

class SlicedCall {
public:
  SlicedCall(const Function &function, const int64_t *dims, int32_t threads);
  /// Whether there is more than one slice; without, the others say nothing.
  explicit operator bool() const { return slices > 1; }
  /// Scratch memory of all lanes, a whole number of cache lines.
  int64_t bytes() const;
  int32_t run(bigm_context *context, bigm_entry entry, void *const *buffers, char *scratch);

private:
  int32_t runHere();
  /// On the threads of the context, or on this one alone without.
  int32_t runSlice(bigm_context *helped, int64_t slice, char *memory);

  const Function &function;
  const int64_t *dims;
  int32_t threads;
  int64_t each = 1, slices = 1, together = 0, lanes = 1; // elements of the largest; all, and how many of them lanes take
  int64_t lists = 0, own = 0; // bytes of a lane: of its sizes and addresses, and of all
  bigm_context *context = nullptr;
  bigm_entry entry = nullptr;
  void *const *buffers = nullptr;
  char *scratch = nullptr;
  std::atomic<int64_t> next = 0;
  std::atomic<int32_t> failed = 0;
};

} // namespace bigm::rt
