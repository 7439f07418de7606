// The real thing, where the shared data folder is present.
#include "Files.h"
#include <cstdlib>

using namespace bigm::data;

TEST(Mnist, trainAndTestOpen) {
  const char *shared = std::getenv("BIGM_SHARED");
  std::string dir = shared ? std::string(shared) + "/data/mnist" : "";
  if (dir.empty() || !std::filesystem::exists(dir + "/train-images-idx3-ubyte.gz"))
    GTEST_SKIP() << "the shared data folder is absent (BIGM_SHARED)";
  std::vector<Field> fields{tensor("picture", Elem::U8, {28, 28}), label("digit", 10)};
  Table train = openTable("digits", {"idx", {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}, {}}, fields, dir, 2);
  Table test = openTable("digits", {"idx", {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}, {}}, fields, dir, 2);
  EXPECT_EQ(train.count, 60000);
  EXPECT_EQ(test.count, 10000);
  // The first training digits are 5 0 4 1 9; the mean pixel of the training set is 33.3.
  int64_t first[] = {0, 1, 2, 3, 4};
  EXPECT_THAT(values<int32_t>(train.batch(first, 5), "digit"), testing::ElementsAre(5, 0, 4, 1, 9));
  Batch batch = all(train);
  double sum = 0;
  for (uint8_t v : values<uint8_t>(batch, "picture"))
    sum += v;
  EXPECT_NEAR(sum / (60000.0 * 784), 33.318, 0.01);
}
