// The cache of machine code holds what it was given, no more than it may, and nothing that is not whole.
#include "backends/cpu/ObjectCache.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace fs = std::filesystem;
using mlir::bigm::cpu::ObjectCache;

struct ObjectCacheTest : testing::Test {
  fs::path folder = fs::path(testing::TempDir()) / ("bigm-cache-" + std::to_string(getpid()));
  ~ObjectCacheTest() override { fs::remove_all(folder); }
};

TEST_F(ObjectCacheTest, FindsWhatWasAdded) {
  ObjectCache cache(folder / "deep" / "in");
  EXPECT_FALSE(cache.find("a"));
  cache.add("a", std::string("by\0tes", 6));
  EXPECT_EQ(cache.find("a"), std::string("by\0tes", 6));
  EXPECT_FALSE(cache.find("b"));
}

TEST_F(ObjectCacheTest, DeletesWhatIsDamaged) {
  ObjectCache cache(folder);
  cache.add("a", "bytes");
  fs::path file = *fs::directory_iterator(folder);
  std::ofstream(file, std::ios::app) << "x";
  EXPECT_FALSE(cache.find("a"));
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(ObjectCacheTest, IsBounded) {
  ObjectCache cache(folder);
  for (int i = 0; i < 20; ++i)
    cache.add(std::to_string(i), std::string(1000, 'x'));
  cache.prune(5000);
  uint64_t bytes = 0;
  for (auto &entry : fs::directory_iterator(folder))
    bytes += entry.file_size();
  EXPECT_LE(bytes, 5000u);
  EXPECT_GT(bytes, 1000u);
}
