#include "Files.h"
#include "runtime/data/Loader.h"
#include <atomic>
#include <thread>

using namespace bigm::data;
using testing::ElementsAre;

namespace {

struct Counting : InFolder {
  Table table;
  void SetUp() override {
    InFolder::SetUp();
    std::string text = "v\n";
    for (int i = 0; i < 23; ++i)
      text += std::to_string(i) + "\n";
    write("d.csv", text);
    table = open({"csv", {"d.csv"}, {}}, {tensor("v", Elem::I32)});
  }
  std::vector<int64_t> order() const {
    std::vector<int64_t> v;
    for (int64_t i = 0; i < 23; ++i)
      v.push_back((i * 7) % 23);
    return v;
  }
  /// All values that come out, each batch closed by -1.
  std::vector<int> read(LoaderOptions options, Prepare prepare = {}) const {
    std::vector<int> out;
    Loader loader(table, order(), options, std::move(prepare));
    for (Batch b; loader.next(b);) {
      auto v = values<int32_t>(b, "v");
      EXPECT_EQ(int64_t(v.size()), b.size);
      out.insert(out.end(), v.begin(), v.end());
      out.push_back(-1);
    }
    return out;
  }
};

} // namespace

TEST_F(Counting, orderAndBitsDoNotDependOnThreads) {
  Prepare slowAtTimes = [](Batch &b, int64_t number, int) {
    if (number % 3 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    for (int64_t i = 0; i < b.size; ++i)
      b.fields.at("v").as<int32_t>()[i] += int(1000 * number);
  };
  auto expected = read({4, 0, 0, 1}, slowAtTimes);
  EXPECT_EQ(expected.size(), 23u + 6);
  for (int workers : {1, 2, 5})
    EXPECT_EQ(read({4, 0, workers, 3}, slowAtTimes), expected);
}

TEST_F(Counting, beginsAtAnyBatch) {
  auto all = read({4, 0, 2, 4});
  EXPECT_EQ(read({4, 3, 2, 4}), std::vector<int>(all.begin() + 15, all.end()));
  EXPECT_TRUE(read({4, 6, 2, 4}).empty());
}

TEST_F(Counting, theLastBatchIsShorter) {
  Loader loader(table, order(), {10, 0, 1, 2}, {});
  EXPECT_EQ(loader.batches(), 3);
  std::vector<int64_t> sizes;
  for (Batch b; loader.next(b);)
    sizes.push_back(b.size);
  EXPECT_THAT(sizes, ElementsAre(10, 10, 3));
}

TEST_F(Counting, anErrorComesAtItsBatch) {
  Loader loader(table, order(), {4, 0, 3, 6}, [](Batch &, int64_t number, int) {
    if (number == 2)
      throw Error("batch two");
  });
  Batch b;
  EXPECT_TRUE(loader.next(b));
  EXPECT_TRUE(loader.next(b));
  EXPECT_THROW(loader.next(b), Error);
}

TEST_F(Counting, aLoaderCanBeLeftEarly) {
  for (int i = 0; i < 20; ++i) {
    Loader loader(table, order(), {2, 0, 3, 4}, {});
    Batch b;
    loader.next(b);
  }
}

TEST_F(Counting, oneWorkerNeverRunsTwiceAtOnce) {
  std::array<std::atomic<int>, 3> busy{};
  read({1, 0, 3, 5}, [&](Batch &, int64_t, int worker) {
    EXPECT_EQ(busy[size_t(worker)]++, 0);
    std::this_thread::yield();
    --busy[size_t(worker)];
  });
}
