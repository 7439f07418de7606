// The loops of compiled code: every iteration once, whatever the threads do.
#include "runtime/core/Context.h"
#include <gtest/gtest.h>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {
using bigm::rt::Parallel;

struct Counted {
  Parallel *pool;
  std::vector<std::atomic<int>> times;
  explicit Counted(Parallel &pool, size_t count) : pool(&pool), times(count) {}

  static void count(void *closure, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      ++static_cast<Counted *>(closure)->times[size_t(i)];
  }
  bool allAre(int expected) const {
    for (const auto &time : times)
      if (time != expected)
        return false;
    return true;
  }
};

class Loops : public testing::TestWithParam<int> {
protected:
  Parallel pool{GetParam()};

  /// Runs `body` as an entry does, on the pool's threads.
  template <class Body> void within(Body body) {
    auto entry = [](void *context, const int64_t *, void *const *, char *) -> int32_t {
      (*static_cast<Body *>(context))();
      return 0;
    };
    pool.enter(entry, &body, nullptr, nullptr, nullptr);
  }
};

TEST_P(Loops, RunEveryIterationOnce) {
  for (int64_t count : {2, 3, 17, 1000})
    for (int64_t grain : {1, 2, 5, 2000}) {
      Counted counted(pool, size_t(count));
      within([&] { pool.loop(count, grain, GetParam(), Counted::count, &counted); });
      EXPECT_TRUE(counted.allAre(1)) << count << " in parts of " << grain;
    }
}

TEST_P(Loops, FollowEachOtherClosely) {
  constexpr int rounds = 20000;
  Counted counted(pool, 7);
  within([&] {
    for (int i = 0; i < rounds; ++i)
      pool.loop(7, 1, GetParam(), Counted::count, &counted);
  });
  EXPECT_TRUE(counted.allAre(rounds));
}

TEST_P(Loops, CallHelpersAgainWhenTheyHaveLeft) {
  Counted counted(pool, 64);
  for (int i = 0; i < 20; ++i) {
    within([&] { pool.loop(64, 1, GetParam(), Counted::count, &counted); });
    std::this_thread::sleep_for(std::chrono::microseconds(40 * i));
  }
  EXPECT_TRUE(counted.allAre(20));
}

TEST_P(Loops, WithinALoopRunInTurn) {
  Counted counted(pool, 8);
  auto outer = [](void *closure, int64_t begin, int64_t end) {
    auto &self = *static_cast<Counted *>(closure);
    for (int64_t i = begin; i < end; ++i)
      self.pool->loop(8, 1, 4, Counted::count, closure);
  };
  within([&] { pool.loop(10, 1, GetParam(), outer, &counted); });
  EXPECT_TRUE(counted.allAre(10));
}

INSTANTIATE_TEST_SUITE_P(Threads, Loops, testing::Values(2, 3, 8));
} // namespace
