#include "runtime/data/Error.h"
#include "runtime/data/Order.h"
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

using namespace bigm::data;
using testing::HasSubstr;
using Split = std::vector<std::pair<std::string, double>>;

namespace {
std::string errorOf(int64_t count, const Split &split, const std::string &name) {
  try {
    splitRecords("d", "s", count, split, 7, name);
    return "";
  } catch (const Error &e) {
    return e.what();
  }
}
} // namespace

// Known answers of Random123: threefry2x32, 20 rounds, word 0.
TEST(Threefry, knownAnswers) {
  EXPECT_EQ(threefry(0, 0, 0), 0x6b200159u);
  EXPECT_EQ(threefry(~uint64_t(0), 0xffffffffull - 0xffffffffull * 65536, ~uint64_t(0)), 0x1cb996fcu);
}

TEST(Split, countsPartitionTheRecords) {
  Split split{{"train", 70}, {"valid", 30}};
  auto train = splitRecords("d", "s", 100, split, 7, "train"), valid = splitRecords("d", "s", 100, split, 7, "valid");
  EXPECT_EQ(train.size(), 70u);
  EXPECT_EQ(valid.size(), 30u);
  std::set<int64_t> all(train.begin(), train.end());
  all.insert(valid.begin(), valid.end());
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(train, splitRecords("d", "s", 100, split, 7, "train"));
  EXPECT_NE(train, splitRecords("d", "s", 100, split, 8, "train"));
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end()));
}

TEST(Split, sharesLeaveNothingOver) {
  Split split{{"a", 1 / 3.0}, {"b", 1 / 3.0}, {"c", 1 / 3.0}};
  size_t sum = 0;
  for (auto name : {"a", "b", "c"})
    sum += splitRecords("d", "s", 101, split, 0, name).size();
  EXPECT_EQ(sum, 101u);
}

TEST(Split, withoutASplitAllIsTrain) {
  EXPECT_EQ(splitRecords("d", "s", 5, {}, 0, "train").size(), 5u);
  EXPECT_THAT(errorOf(5, {}, "valid"), HasSubstr("data `d` has no split `valid`"));
}

TEST(Split, fail_whatIsNotThere) {
  EXPECT_THAT(errorOf(10, {{"train", 8}, {"valid", 3}}, "train"), HasSubstr("asks for 11 records up to `valid`, and s holds 10"));
  EXPECT_THAT(errorOf(10, {{"train", .8}, {"valid", .3}}, "train"), HasSubstr("shares of its split sum to 1.1"));
  EXPECT_THAT(errorOf(10, {{"train", 8}}, "valid"), HasSubstr("no split `valid`; it has train"));
  EXPECT_THAT(errorOf(3, {{"train", .9}, {"valid", .1}}, "valid"), HasSubstr("split `valid` is empty"));
}

TEST(Shuffle, permutesEvenly) {
  std::vector<int> first(6);
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    std::vector<int64_t> v{0, 1, 2, 3, 4, 5};
    shuffle(v, seed, 1);
    ++first[size_t(v[0])];
    EXPECT_EQ(std::accumulate(v.begin(), v.end(), int64_t(0)), 15);
  }
  for (int n : first) // 1000 expected, standard deviation 29
    EXPECT_NEAR(n, 1000, 150);
}

TEST(Shuffle, windowsGoThroughTheTextInTurns) {
  std::vector<int64_t> begins(1003);
  std::iota(begins.begin(), begins.end(), 40);
  std::vector<int64_t> order = begins, other = begins;
  shuffleWindows(order, 64, 5, 0);
  shuffleWindows(other, 64, 6, 0);
  EXPECT_NE(order, other);
  // Each turn has every 64th place, each once, in no order; all turns together have all places.
  size_t at = 0;
  std::set<int64_t> firsts;
  while (at < order.size()) {
    const int64_t first = order[at] % 64;
    EXPECT_TRUE(firsts.insert(first).second);
    size_t end = at;
    while (end < order.size() && order[end] % 64 == first)
      ++end;
    EXPECT_GE(end - at, 15u);
    EXPECT_FALSE(std::is_sorted(order.begin() + ptrdiff_t(at), order.begin() + ptrdiff_t(end)));
    at = end;
  }
  EXPECT_EQ(firsts.size(), 64u);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, begins);
}

TEST(Shuffle, fewerWindowsThanTheyStandApart) {
  std::vector<int64_t> three = {7, 8, 9}, none;
  shuffleWindows(three, 64, 1, 0);
  EXPECT_THAT(three, testing::UnorderedElementsAre(7, 8, 9));
  shuffleWindows(none, 64, 1, 0);
  EXPECT_TRUE(none.empty());
}
