// Calls that run in slices of their batch: a module of one function, y[n] = 2 * (sum of x[n]) + shift for each element of the
// batch, by way of scratch memory and of two loops, as compiled code has them.
#include "bigm/bigm.h"
#include "bigm/kernels.h"
#include <atomic>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {
constexpr int64_t each = 3, width = 5;
std::atomic<int64_t> largest, calls, failing;

struct Closure {
  const float *x, *shift;
  float *sums, *y;
};

int32_t rows(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  ++calls;
  for (int64_t seen = largest; seen < dims[0] && !largest.compare_exchange_weak(seen, dims[0]);) {
  }
  auto at = [&](size_t i) { return static_cast<float *>(buffers[i]); };
  Closure closure{at(0), at(1), reinterpret_cast<float *>(arena), at(2)};
  bigm_rt_parallel_for(
      context, dims[0], 1,
      [](void *own, int64_t begin, int64_t end) {
        auto &c = *static_cast<Closure *>(own);
        for (int64_t n = begin; n < end; ++n) {
          c.sums[n] = 0;
          for (int64_t i = 0; i < width; ++i)
            c.sums[n] += c.x[n * width + i];
        }
      },
      &closure);
  bigm_rt_parallel_for(
      context, dims[0], 1,
      [](void *own, int64_t begin, int64_t end) {
        auto &c = *static_cast<Closure *>(own);
        for (int64_t n = begin; n < end; ++n)
          c.y[n] = 2 * c.sums[n] + *c.shift;
      },
      &closure);
  return int32_t(failing.load());
}
const bigm_entry entries[] = {rows};

class Slices : public testing::TestWithParam<int32_t> {
protected:
  bigm_module *module = nullptr;
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  float shift = 0.5f;

  void SetUp() override {
    std::string text = R"({"bigm":1,"name":"net","tensors":[],"functions":[{"name":"net.rows","symbols":["N"],"args":[
      {"name":"x","role":"input","dtype":"f32","shape":["N",5]},{"name":"shift","role":"input","dtype":"f32","shape":[]},
      {"name":"y","role":"output","dtype":"f32","shape":["N"]}],"arena":[{"bytes":4,"of":["N"]}],
      "slices":{"of":"N","weights":32,"pays":[{"bytes":11,"of":[]}]}}],"trains":[],"evaluates":[],"data":[]})";
    bigm_module_source source = BIGM_INIT(bigm_module_source);
    source.manifest = text.data();
    source.manifest_size = text.size();
    source.entries = entries;
    ASSERT_EQ(bigm_module_create(&source, &module), BIGM_OK) << bigm_last_error();
    ASSERT_EQ(bigm_model_create(module, &model), BIGM_OK) << bigm_last_error();
    bigm_context_options options = BIGM_INIT(bigm_context_options);
    options.threads = GetParam();
    ASSERT_EQ(bigm_context_create(model, &options, &context), BIGM_OK) << bigm_last_error();
    calls = largest = failing = 0;
  }
  void TearDown() override {
    bigm_context_destroy(context);
    bigm_model_destroy(model);
    bigm_module_destroy(module);
  }

  /// Whole numbers, and so the same sums in any order.
  static std::vector<float> values(int64_t n) {
    std::vector<float> x(size_t(n * width));
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i % 101) - 40;
    return x;
  }
  bigm_status run(int64_t n, const float *x, float *y) {
    const void *inputs[] = {x, &shift};
    void *outputs[] = {y};
    bigm_call call = BIGM_INIT(bigm_call);
    call.dims = &n;
    call.inputs = inputs;
    call.outputs = outputs;
    return bigm_run(context, &call);
  }
};

TEST_P(Slices, GiveWhatTheWholeBatchGives) {
  for (int64_t n : {1, 2, 3, 4, 5, 6, 7, 10, 13, 50, 1000}) {
    std::vector<float> x = values(n), y(size_t(n + 1), -7);
    largest = calls = 0;
    ASSERT_EQ(run(n, x.data(), y.data()), BIGM_OK) << bigm_last_error();
    for (int64_t i = 0; i < n; ++i) {
      float sum = shift;
      for (int64_t j = 0; j < width; ++j)
        sum += 2 * x[size_t(i * width + j)];
      ASSERT_EQ(y[size_t(i)], sum) << i << " of " << n;
    }
    EXPECT_EQ(y.back(), -7) << "nothing behind the last element is written";
    int64_t threads = GetParam();
    if (calls == 1) {
      EXPECT_EQ(largest, n);
      EXPECT_LT(n, threads * (each + 1) + (threads == 1 ? each : threads)) << "few elements for each thread";
    } else {
      EXPECT_LE(largest, std::max(2 * each - 1, 2 * threads - 1)) << n << ": elements of a slice, or left over";
      EXPECT_EQ(calls - (calls % threads ? 1 : 0), (calls / threads) * threads) << n << ": all threads have as many slices";
    }
  }
}
TEST_P(Slices, FollowEachOtherClosely) {
  // A loop inside a slice once took threads away from those who still ran slices, and the call never came back.
  for (int64_t n : {6, 12, 20})
    for (int i = 0; i < 3000; ++i) {
      std::vector<float> x = values(n), y(size_t(n), -7);
      ASSERT_EQ(run(n, x.data(), y.data()), BIGM_OK);
      ASSERT_NE(y.back(), -7);
    }
}
TEST_P(Slices, TakeMemoryForTheThreadsAndNotForTheBatch) {
  std::vector<float> x = values(100000), y(100000);
  ASSERT_EQ(run(100000, x.data(), y.data()), BIGM_OK);
  EXPECT_EQ(bigm_context_arena_bytes(context), uint64_t(GetParam()) * 128) << "a line of scratch memory, one of sizes and addresses";
}
TEST_P(Slices, OutputsMayBeLeftOut) {
  std::vector<float> x = values(50);
  EXPECT_EQ(run(50, x.data(), nullptr), BIGM_OK) << bigm_last_error();
}
TEST_P(Slices, fail_NoElements) {
  float x[width] = {}, y = 0;
  EXPECT_EQ(run(0, x, &y), BIGM_ERROR_SHAPE);
  EXPECT_THAT(bigm_last_error(), testing::HasSubstr("`N` of `net.rows` must be at least 1, and here it is 0"));
}
TEST_P(Slices, fail_ASliceThatFails) {
  std::vector<float> x = values(50), y(50);
  failing = 7;
  EXPECT_EQ(run(50, x.data(), y.data()), BIGM_ERROR_INTERNAL);
  EXPECT_THAT(bigm_last_error(), testing::HasSubstr("`net.rows` returned 7"));
  failing = 0;
  EXPECT_EQ(run(50, x.data(), y.data()), BIGM_OK);
}

INSTANTIATE_TEST_SUITE_P(Threads, Slices, testing::Values(1, 2, 3, 8), testing::PrintToStringParamName());
} // namespace
