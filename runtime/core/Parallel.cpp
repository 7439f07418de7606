// The parallel loop of compiled code, on oneTBB.
//
// A loop is cut into at most four parts a thread: enough that a thread that is late does not hold up the others, few
// enough that handing them out costs little beside the grain that the compiler chose. Compiled code gives each element
// the same value however the cuts fall, so this file may choose freely. One task_group_context serves all loops of a
// pool: making one for each loop would register it with every thread.
#include "Context.h"
#include <algorithm>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

namespace bigm::rt {

struct Parallel::State {
  tbb::task_arena arena;
  tbb::task_group_context group{tbb::task_group_context::isolated};
  explicit State(int32_t threads) : arena(threads, 1) {}
};

Parallel::Parallel(int32_t threads) : state(std::make_unique<State>(threads)) { state->arena.initialize(); }
Parallel::~Parallel() = default;

int32_t Parallel::enter(bigm_entry entry, void *context, const int64_t *dims, void *const *buffers, char *arena) {
  return state->arena.execute([&] { return entry(context, dims, buffers, arena); });
}

void Parallel::loop(int64_t count, int64_t length, int64_t chunks, void (*body)(void *, int64_t, int64_t), void *closure) {
  tbb::parallel_for(
      tbb::blocked_range<int64_t>(0, chunks, 1),
      [=](const tbb::blocked_range<int64_t> &range) {
        body(closure, range.begin() * length, std::min(count, range.end() * length));
      },
      tbb::simple_partitioner(), state->group);
}

int32_t defaultThreads() { return std::max(1, tbb::info::default_concurrency()); }

} // namespace bigm::rt

extern "C" void bigm_rt_parallel_for(void *context, int64_t count, int64_t grain,
                                     void (*body)(void *closure, int64_t begin, int64_t end), void *closure) {
  if (count <= 0)
    return;
  grain = std::max<int64_t>(grain, 1);
  auto *self = static_cast<bigm_context *>(context);
  int64_t chunks = self && self->pool ? std::min<int64_t>((count - 1) / grain + 1, 4 * int64_t(self->threads)) : 1;
  if (chunks == 1)
    return body(closure, 0, count);
  int64_t length = (count - 1) / chunks + 1;
  self->pool->loop(count, length, (count - 1) / length + 1, body, closure);
}
