// The parallel loops of compiled code, on the threads of a oneTBB arena.
//
// A call runs many short loops one behind the other. To start each as tasks would wake a thread that has just gone to sleep,
// which takes longer than many a loop. So a thread that has come to help stays for a while when a loop has ended, and the
// next loop is handed to it through one line of memory. It leaves after `patience`, about what waking it costs, and is
// called again by the next loop.
//
// Each thread has a share of every loop, the same fraction of it, so that what one kernel has written the next one mostly
// reads on the same core. It takes parts of what is left of its share, each half as large as the one before, and then of the
// others' shares: a thread that comes late or meets dear iterations does not hold up the others (affinity scheduling:
// Markatos and LeBlanc, 1994). Compiled code gives each element the same value however the cuts fall, so this file may
// choose freely.
#include "Context.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <thread>

namespace bigm::rt {
namespace {
constexpr std::chrono::microseconds patience{100};
/// Looks at memory between two looks at the clock.
constexpr unsigned looks = 64;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}
} // namespace

struct Parallel::State {
  /// What is left of a thread's share of the loop.
  struct alignas(64) Share {
    std::atomic<int64_t> next = 0;
    int64_t end = 0;
    std::atomic<bool> owned = false; // by a helper
  };
  // What a thread reads that waits for a loop: odd while one runs, and what that is.
  alignas(64) std::atomic<uint64_t> number = 0;
  int64_t grain = 1, shareCount = 1;
  void (*body)(void *, int64_t, int64_t) = nullptr;
  void *closure = nullptr;
  std::vector<Share> shares; // the first is the caller's
  alignas(64) std::atomic<int64_t> inside = 0;  // helpers that are in the loop
  std::atomic<int64_t> helpers = 0; // that were called and have not left
  std::atomic<bool> closed = false;
  tbb::task_arena arena;
  tbb::task_group group;

  explicit State(int32_t threads) : shares(size_t(threads)), arena(threads, 1) {}

  void empty(Share &share) {
    int64_t begin = share.next.load(std::memory_order_relaxed);
    while (begin < share.end) {
      int64_t left = share.end - begin, end = begin + std::min(std::max(grain, (left + 1) / 2), left);
      if (!share.next.compare_exchange_weak(begin, end, std::memory_order_relaxed))
        continue;
      body(closure, begin, end);
      begin = share.next.load(std::memory_order_relaxed);
    }
  }
  /// The share with number `own` first, then the others.
  void work(int64_t own) {
    for (int64_t i = 0; i < shareCount; ++i)
      empty(shares[size_t((own + i) % shareCount)]);
  }

  bool isOpen() const { return number.load() & 1; }

  /// Takes part in loops until none has come for a while.
  void help(int64_t own) {
    uint64_t seen = 0;
    auto since = std::chrono::steady_clock::now();
    do {
      for (unsigned look = 0; look < looks; ++look) {
        uint64_t now = number.load(std::memory_order_acquire);
        if (now == seen || !(now & 1)) {
          pause();
          continue;
        }
        // Who is inside before the loop ends may read what it is; the loop waits for them.
        inside.fetch_add(1);
        if (number.load() == now) {
          seen = now;
          work(own);
        }
        inside.fetch_sub(1);
        since = std::chrono::steady_clock::now();
      }
    } while (!closed.load(std::memory_order_relaxed) && std::chrono::steady_clock::now() - since < patience);
  }

  void helpWhileWanted() {
    size_t own = 1;
    while (own < shares.size() && shares[own].owned.exchange(true))
      ++own;
    do {
      help(int64_t(own));
      helpers.fetch_sub(1);
    } while (isWantedAgain());
    if (own < shares.size())
      shares[own].owned = false;
  }
  /// A loop that began while its helper was about to leave did not call another: then it stays.
  bool isWantedAgain() {
    if (closed.load(std::memory_order_relaxed) || !isOpen())
      return false;
    helpers.fetch_add(1);
    return true;
  }
};

Parallel::Parallel(int32_t threads) : state(std::make_unique<State>(threads)) { state->arena.initialize(); }

Parallel::~Parallel() {
  // Their code may be gone when this returns.
  state->closed = true;
  state->arena.execute([this] { state->group.wait(); });
}

int32_t Parallel::enter(bigm_entry entry, void *context, const int64_t *dims, void *const *buffers, char *arena) {
  return state->arena.execute([&] { return entry(context, dims, buffers, arena); });
}

void Parallel::loop(int64_t count, int64_t grain, int64_t threads, void (*body)(void *, int64_t, int64_t), void *closure) {
  State &s = *state;
  if (s.isOpen()) // within another one
    return body(closure, 0, count);
  s.grain = grain, s.shareCount = threads, s.body = body, s.closure = closure;
  for (int64_t i = 0; i < threads; ++i) {
    s.shares[size_t(i)].end = count * (i + 1) / threads;
    s.shares[size_t(i)].next.store(count * i / threads, std::memory_order_relaxed);
  }
  s.number.fetch_add(1);
  for (int64_t there = s.helpers.load(); there < threads - 1; ++there) {
    s.helpers.fetch_add(1);
    s.group.run([&s] { s.helpWhileWanted(); });
  }
  s.work(0);
  s.number.fetch_add(1);
  for (unsigned look = 0; s.inside.load(); ++look)
    look < 1000 ? pause() : std::this_thread::yield();
}

int32_t defaultThreads() { return std::max(1, tbb::info::default_concurrency()); }

} // namespace bigm::rt

extern "C" void bigm_rt_parallel_for(void *context, int64_t count, int64_t grain,
                                     void (*body)(void *closure, int64_t begin, int64_t end), void *closure) {
  if (count <= 0)
    return;
  grain = std::max<int64_t>(grain, 1);
  auto *self = static_cast<bigm_context *>(context);
  // No more threads than there are grains.
  int64_t threads = self && self->pool ? std::min<int64_t>((count - 1) / grain + 1, self->threads) : 1;
  if (threads == 1)
    return body(closure, 0, count);
  self->pool->loop(count, grain, threads, body, closure);
}
