// Memory that is kept: whole cache lines, never the same for two at once, and known again by its size.
#include "runtime/data/Bytes.h"
#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <thread>

using namespace bigm::data;

namespace {

TEST(Bytes, BlocksOfAllSizesHoldWhatTheyShould) {
  for (size_t size : {size_t(0), size_t(1), size_t(4095), size_t(4096), size_t(4097), size_t(5120), size_t(8191), size_t(8192), size_t(100000), (size_t(32) << 20) + 1}) {
    void *memory = takeMemory(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
    std::memset(memory, 0x5a, size);
    giveMemory(memory, size);
  }
}

TEST(Bytes, TwoThatAreTakenAreNotTheSame) {
  std::set<void *> taken;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i)
      EXPECT_TRUE(taken.insert(takeMemory(5000 + size_t(i) % 3)).second);
    int i = 0;
    for (void *memory : taken)
      giveMemory(memory, 5000 + size_t(i++) % 3);
    taken.clear();
  }
}

// Sizes of one class share their blocks, so each block must hold the largest of them.
TEST(Bytes, ABlockServesEverySizeOfItsClass) {
  giveMemory(takeMemory(4097), 4097);
  void *memory = takeMemory(5120);
  std::memset(memory, 1, 5120);
  giveMemory(memory, 5120);
}

TEST(Bytes, ThreadsGiveWhatOthersTook) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        Bytes a(size_t(4000 + 977 * ((i + t) % 9)), uint8_t(t)), b = std::move(a);
        EXPECT_EQ(b.front(), t);
        EXPECT_EQ(b.back(), t);
      }
    });
  for (auto &thread : threads)
    thread.join();
}

} // namespace
