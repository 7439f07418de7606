// Work that falls apart into numbered pieces, on threads.
#pragma once
#include "Error.h"
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bigm::data {

/// work(0) .. work(count - 1) on threads. The error reported is the first by number, whichever thread met one first.
template <class Work> void onThreads(size_t count, unsigned threads, const Work &work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  size_t failed = count;
  std::string reason;
  auto run = [&] {
    for (size_t i; (i = next++) < count;)
      try {
        work(i);
      } catch (const std::exception &e) {
        std::lock_guard lock(mutex);
        if (i < failed)
          failed = i, reason = e.what();
        next = count;
      }
  };
  std::vector<std::thread> pool;
  for (unsigned t = 1; t < threads; ++t)
    pool.emplace_back(run);
  run();
  for (auto &t : pool)
    t.join();
  if (failed < count)
    throw Error(reason);
}

} // namespace bigm::data
