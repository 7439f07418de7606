#include "passes/Arena.h"
#include <gtest/gtest.h>
#include <random>

using namespace mlir::bigm;

namespace {
void expectApart(llvm::ArrayRef<Lifetime> buffers, int64_t total) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_GE(buffers[i].offset, 0);
    EXPECT_LE(buffers[i].offset + buffers[i].bytes, total);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &a = buffers[i], &b = buffers[j];
      bool together = a.first <= b.last && b.first <= a.last;
      bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      EXPECT_FALSE(together && overlap) << i << " and " << j;
    }
  }
}

TEST(Arena, NothingNeedsNothing) { EXPECT_EQ(assignOffsets({}), 0); }

TEST(Arena, MemoryIsUsedAgain) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 10; ++i)
    chain.push_back({64, i, i + 1});
  EXPECT_EQ(liveBound(chain), 128);
  EXPECT_EQ(assignOffsets(chain), 128);
  expectApart(chain, 128);
}

TEST(Arena, LargestFirstAloneWouldLeaveAHole) {
  // By size, 5 lies at 0 and both 4 above it; their neighbors then do not fit below 9.
  std::vector<Lifetime> buffers = {{5, 0, 1}, {4, 1, 3}, {3, 3, 5}, {4, 4, 6}, {2, 2, 4}, {5, 6, 7}};
  EXPECT_EQ(assignOffsets(buffers), liveBound(buffers));
  expectApart(buffers, liveBound(buffers));
}

TEST(Arena, RandomLifetimesStayApart) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> buffers;
    for (int i = 0; i < 60; ++i) {
      int first = random() % 100, length = random() % (random() % 10 ? 4 : 60);
      buffers.push_back({int64_t(64 * (1 + random() % 30)), first, first + length});
    }
    int64_t bound = liveBound(buffers), total = assignOffsets(buffers);
    expectApart(buffers, total);
    EXPECT_GE(total, bound);
    EXPECT_LE(total, bound * 1.25);
  }
}
TEST(Arena, AGapIsFoundOrNot) {
  // Two that live together, one over the other, and one that lives later and higher.
  std::vector<Lifetime> placed = {{64, 0, 4, 0}, {64, 2, 4, 128}, {64, 6, 8, 128}};
  EXPECT_EQ(gapFor(placed, {64, 3, 3}, 192), 64);  // between them
  EXPECT_EQ(gapFor(placed, {128, 0, 1}, 192), 64); // over the first, before the second lives
  EXPECT_EQ(gapFor(placed, {192, 5, 5}, 192), 0);  // nobody lives
  EXPECT_EQ(gapFor(placed, {128, 3, 7}, 192), std::nullopt);
  EXPECT_EQ(gapFor(placed, {256, 5, 5}, 192), std::nullopt);
}

} // namespace
