// Calls: values, errors, threads.
#include "Toy.h"
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

using testing::AllOf;
using testing::HasSubstr;
using Calls = Toy;

struct Forward {
  std::vector<float> x, y, twice;
  int64_t n;
  const void *inputs[1];
  void *outputs[2];
  bigm_call call = BIGM_INIT(bigm_call);
  Forward(int32_t function, int64_t rows) : x(size_t(3 * rows)), y(size_t(rows)), twice(size_t(2 * rows)), n(rows) {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i);
    inputs[0] = x.data();
    outputs[0] = y.data();
    outputs[1] = twice.data();
    call.function = function;
    call.dims = &n;
    call.inputs = inputs;
    call.outputs = outputs;
  }
};

TEST_F(Calls, ForwardComputes) {
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  Forward f(function("toy.forward"), 101);
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(f.y[0], 0 * 1 + 1 * 2 + 2 * 3);
  EXPECT_EQ(f.y[100], 300 * 1 + 301 * 2 + 302 * 3);
  EXPECT_EQ(f.twice[201], f.y[100]);
}
TEST_F(Calls, OutputsMayBeLeftOut) {
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  Forward f(function("toy.forward"), 7);
  f.outputs[0] = nullptr;
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(f.twice[13], 18 * 1 + 19 * 2 + 20 * 3);
}
TEST_F(Calls, StepWritesTensors) {
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  Forward f(function("toy.step"), 3);
  float loss = 0;
  f.outputs[0] = &loss;
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(loss, 8 + 26 + 44);
  int64_t count = 0;
  ASSERT_EQ(bigm_model_read(model, bigm_module_find_tensor(module, "toy.count"), &count, 8), BIGM_OK);
  EXPECT_EQ(count, 1);
}
TEST_F(Calls, TheFirstStepSetsSlotsThatNobodySet) {
  auto slot = [&] {
    std::vector<float> m(3);
    EXPECT_EQ(bigm_model_read(model, 2, m.data(), 12), BIGM_OK);
    return m;
  };
  float w[3] = {1, 2, 3}, mine[3] = {7, 8, 9};
  ASSERT_EQ(bigm_model_write(model, 0, w, 12), BIGM_OK);
  Forward f(function("toy.step"), 3);
  float loss = 0;
  f.outputs[0] = &loss;
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(loss, 8 + 26 + 44) << "the weights are the caller's";
  EXPECT_EQ(slot(), (std::vector<float>(3, 0.5f)));
  ASSERT_EQ(bigm_model_write(model, 2, mine, 12), BIGM_OK);
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK);
  EXPECT_EQ(slot(), (std::vector<float>{7, 8, 9})) << "set once";
}
TEST_F(Calls, SlotsOfTheCallerStay) {
  float mine[3] = {7, 8, 9}, m[3];
  ASSERT_EQ(bigm_model_write(model, 2, mine, 12), BIGM_OK);
  Forward f(function("toy.step"), 3);
  ASSERT_EQ(bigm_run(context, &f.call), BIGM_OK);
  ASSERT_EQ(bigm_model_read(model, 2, m, 12), BIGM_OK);
  EXPECT_EQ(m[2], 9);
}
TEST_F(Calls, StepAndStepsArrive) {
  float where[2];
  void *outputs[1] = {where};
  bigm_call call = BIGM_INIT(bigm_call);
  call.function = function("toy.where");
  call.outputs = outputs;
  call.step = 3;
  call.steps = 10;
  ASSERT_EQ(bigm_run(context, &call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(where[0], 3);
  EXPECT_EQ(where[1], 10);
}
TEST_F(Calls, SameBitsForAnyNumberOfThreads) {
  ASSERT_EQ(bigm_init(context, nullptr, 3), BIGM_OK);
  Forward one(function("toy.forward"), 1000);
  std::vector<float> first;
  for (int32_t threads : {1, 2, 3, 8}) {
    bigm_context_options options = BIGM_INIT(bigm_context_options);
    options.threads = threads;
    bigm_context *own = nullptr;
    ASSERT_EQ(bigm_context_create(model, &options, &own), BIGM_OK);
    EXPECT_EQ(bigm_context_threads(own), threads);
    ASSERT_EQ(bigm_run(own, &one.call), BIGM_OK);
    bigm_context_destroy(own);
    if (first.empty())
      first = one.y;
    EXPECT_EQ(std::memcmp(first.data(), one.y.data(), first.size() * 4), 0) << threads;
  }
}
TEST_F(Calls, EightThreadsShareAModel) {
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  std::atomic<int> wrong{0};
  auto work = [&](int number) {
    bigm_context_options options = BIGM_INIT(bigm_context_options);
    options.threads = 1 + number % 2;
    bigm_context *own = nullptr;
    if (bigm_context_create(model, &options, &own) != BIGM_OK) {
      ++wrong;
      return;
    }
    for (int i = 0; i < 200; ++i) {
      // A step adds one to all three weights at once, so a row of ones gives 6 plus a multiple of 3.
      Forward f(function(number == 0 ? "toy.step" : "toy.forward"), 1 + number * 7);
      std::fill(f.x.begin(), f.x.end(), 1.0f);
      wrong += bigm_run(own, &f.call) != BIGM_OK;
      if (number)
        for (float y : f.y)
          wrong += y != f.y[0] || int(y) % 3 != 0;
    }
    bigm_context_destroy(own);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back(work, i);
  for (auto &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  int64_t count = 0;
  ASSERT_EQ(bigm_model_read(model, 1, &count, 8), BIGM_OK);
  EXPECT_EQ(count, 200);
}
TEST_F(Calls, ModelOutlivesItsModuleHandle) {
  bigm_module_destroy(module);
  module = nullptr;
  EXPECT_STREQ(bigm_module_name(bigm_model_module(model)), "toy");
  EXPECT_EQ(bigm_init(context, "toy", 1), BIGM_OK);
}
TEST_F(Calls, OpensALibrary) {
  bigm_module *opened = nullptr;
  std::string unit = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  ASSERT_EQ(bigm_module_open((unit + "/libtoy.so").c_str(), nullptr, &opened), BIGM_OK) << bigm_last_error();
  bigm_model *other = nullptr;
  bigm_context *own = nullptr;
  ASSERT_EQ(bigm_model_create(opened, &other), BIGM_OK);
  bigm_module_destroy(opened);
  ASSERT_EQ(bigm_context_create(other, nullptr, &own), BIGM_OK);
  ASSERT_EQ(bigm_init(own, nullptr, 1), BIGM_OK);
  Forward f(bigm_module_find_function(bigm_model_module(other), "toy.forward"), 50);
  ASSERT_EQ(bigm_run(own, &f.call), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(f.y[0], 8);
  bigm_context_destroy(own);
  bigm_model_destroy(other);
  EXPECT_EQ(bigm_module_open((unit + "/libtoy.so").c_str(), "face", &opened), BIGM_ERROR_FORMAT);
  EXPECT_THAT(bigm_last_error(), HasSubstr("lacks face_bigm_manifest"));
}

TEST_F(Calls, fail_NullPointers) {
  bigm_module *none = nullptr;
  EXPECT_EQ(bigm_module_create(nullptr, &none), BIGM_ERROR_ARGUMENT);
  EXPECT_STREQ(bigm_last_error(), "`source` is NULL");
  EXPECT_EQ(bigm_module_open(nullptr, nullptr, &none), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_module_describe(nullptr, 0, &none), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_create(nullptr, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_create(module, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_load(nullptr, "x", nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_load(model, nullptr, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_save(nullptr, "x", 0), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_read(model, 0, nullptr, 12), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_context_create(nullptr, nullptr, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_run(nullptr, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_run(context, nullptr), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_init(nullptr, nullptr, 0), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_module_find_function(nullptr, "x"), -1);
  EXPECT_EQ(bigm_module_find_function(module, nullptr), -1);
  EXPECT_EQ(bigm_function_symbol(module, 0, 9), nullptr);
  EXPECT_EQ(bigm_model_data(nullptr, 0), nullptr);
  EXPECT_STREQ(bigm_module_name(nullptr), "");
  bigm_module_destroy(nullptr);
  bigm_model_destroy(nullptr);
  bigm_context_destroy(nullptr);
}
TEST_F(Calls, fail_BadCalls) {
  Forward f(function("toy.forward"), 4);
  auto status = [&] { return bigm_run(context, &f.call); };
  f.inputs[0] = nullptr;
  EXPECT_EQ(status(), BIGM_ERROR_ARGUMENT);
  EXPECT_THAT(bigm_last_error(), HasSubstr("input `x` of `toy.forward` is NULL"));
  f.inputs[0] = reinterpret_cast<char *>(f.x.data()) + 1;
  EXPECT_EQ(status(), BIGM_ERROR_ARGUMENT);
  EXPECT_THAT(bigm_last_error(), HasSubstr("not aligned"));
  f.inputs[0] = f.x.data();
  f.n = 0;
  EXPECT_EQ(status(), BIGM_ERROR_SHAPE);
  EXPECT_THAT(bigm_last_error(), HasSubstr("`N` of `toy.forward` must be at least 1, and here it is 0"));
  f.n = INT64_MAX;
  EXPECT_EQ(status(), BIGM_ERROR_SHAPE);
  f.n = 4;
  f.call.inputs = nullptr;
  EXPECT_EQ(status(), BIGM_ERROR_ARGUMENT);
  f.call.inputs = f.inputs;
  f.call.function = 99;
  EXPECT_EQ(status(), BIGM_ERROR_NOT_FOUND);
  f.call.function = -1;
  EXPECT_EQ(status(), BIGM_ERROR_NOT_FOUND);
  f.call.struct_size = 0;
  EXPECT_EQ(status(), BIGM_ERROR_ARGUMENT);
  EXPECT_THAT(bigm_last_error(), HasSubstr("struct_size"));
}
TEST_F(Calls, fail_MoreMemoryThanThereIs) {
  Forward f(function("toy.step"), 1);
  f.n = int64_t(1) << 56;
  EXPECT_EQ(bigm_run(context, &f.call), BIGM_ERROR_MEMORY);
  EXPECT_THAT(bigm_last_error(), HasSubstr("out of memory"));
  f.n = 1;
  EXPECT_EQ(bigm_run(context, &f.call), BIGM_OK) << "the context is usable after";
}
TEST_F(Calls, fail_AnEntryThatFailsIsOurBug) {
  bigm_call call = BIGM_INIT(bigm_call);
  call.function = function("toy.broken");
  EXPECT_EQ(bigm_run(context, &call), BIGM_ERROR_INTERNAL);
}
TEST_F(Calls, fail_InitOfAnotherTrain) {
  EXPECT_EQ(bigm_init(context, "cat", 0), BIGM_ERROR_NOT_FOUND);
  EXPECT_THAT(bigm_last_error(), HasSubstr("no train program `cat`"));
}
TEST_F(Calls, DescribedModulesDoNotRun) {
  bigm_module *described = nullptr;
  ASSERT_EQ(bigm_module_describe(toy_bigm_manifest, toy_bigm_manifest_size, &described), BIGM_OK);
  bigm_model *other = nullptr;
  bigm_context *own = nullptr;
  ASSERT_EQ(bigm_model_create(described, &other), BIGM_OK);
  ASSERT_EQ(bigm_context_create(other, nullptr, &own), BIGM_OK);
  EXPECT_EQ(bigm_init(own, nullptr, 0), BIGM_ERROR_ARGUMENT);
  bigm_context_destroy(own);
  bigm_model_destroy(other);
  bigm_module_destroy(described);
}
TEST_F(Calls, ErrorsAreOfTheirThread) {
  EXPECT_EQ(bigm_init(context, "cat", 0), BIGM_ERROR_NOT_FOUND);
  std::thread([] { EXPECT_STREQ(bigm_last_error(), ""); }).join();
  EXPECT_THAT(bigm_last_error(), HasSubstr("cat"));
}

TEST_F(Calls, Introspection) {
  bigm_function_info f = BIGM_INIT(bigm_function_info);
  ASSERT_EQ(bigm_module_function(module, function("toy.step"), &f), BIGM_OK);
  EXPECT_STREQ(f.name, "toy.step");
  EXPECT_EQ(f.symbol_count, 1);
  EXPECT_EQ(f.arg_count, 4);
  EXPECT_EQ(f.input_count, 1);
  EXPECT_EQ(f.output_count, 1);
  EXPECT_EQ(f.writes, 1);
  bigm_value_info v = BIGM_INIT(bigm_value_info);
  ASSERT_EQ(bigm_function_output(module, function("toy.forward"), 1, &v), BIGM_OK);
  EXPECT_STREQ(v.name, "twice");
  int64_t n = 5, shape[1] = {};
  ASSERT_EQ(bigm_function_output_shape(module, 0, 1, &n, shape), BIGM_OK);
  EXPECT_EQ(shape[0], 10);
  bigm_tensor_info t = BIGM_INIT(bigm_tensor_info);
  ASSERT_EQ(bigm_module_tensor(module, 2, &t), BIGM_OK);
  EXPECT_EQ(t.kind, BIGM_SLOT);
  EXPECT_EQ(t.bytes, 12u);
  EXPECT_EQ(bigm_module_tensor(module, 3, &t), BIGM_ERROR_ARGUMENT);
  EXPECT_STREQ(bigm_function_symbol(module, 0, 0), "N");
}
TEST_F(Calls, AnOlderCallerGetsTheFieldsItKnows) {
  struct {
    size_t struct_size;
    const char *name;
    int64_t guard = 77;
  } old = {16, nullptr};
  ASSERT_EQ(bigm_module_function(module, 0, reinterpret_cast<bigm_function_info *>(&old)), BIGM_OK);
  EXPECT_STREQ(old.name, "toy.forward");
  EXPECT_EQ(old.guard, 77);
}
TEST_F(Calls, SolvesDims) {
  int64_t shape[2] = {9, 3}, n = 0;
  const int64_t *shapes[1] = {shape};
  ASSERT_EQ(bigm_function_solve(module, 0, shapes, &n), BIGM_OK);
  EXPECT_EQ(n, 9);
  shape[1] = 4;
  EXPECT_EQ(bigm_function_solve(module, 0, shapes, &n), BIGM_ERROR_SHAPE);
  EXPECT_THAT(bigm_last_error(), HasSubstr("input `x` of `toy.forward` is f32[9, 4], and it should be f32[9, 3] with N = 9"));
}

TEST(ParallelFor, CoversEachElementOnce) {
  for (int64_t count : {0, 1, 7, 64, 1001}) {
    std::vector<int> seen(size_t(count), 0);
    auto body = [](void *closure, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        ++(*static_cast<std::vector<int> *>(closure))[size_t(i)];
    };
    bigm_rt_parallel_for(nullptr, count, 3, body, &seen);
    EXPECT_EQ(seen, std::vector<int>(size_t(count), 1));
  }
}
TEST_F(Calls, ParallelForMayNest) {
  struct Work {
    void *context;
    std::atomic<int64_t> sum{0};
  } work{context};
  auto outer = [](void *closure, int64_t begin, int64_t end) {
    auto inner = [](void *closure, int64_t begin, int64_t end) { static_cast<Work *>(closure)->sum += end - begin; };
    for (int64_t i = begin; i < end; ++i)
      bigm_rt_parallel_for(static_cast<Work *>(closure)->context, 100, 1, inner, closure);
  };
  bigm_rt_parallel_for(context, 50, 1, outer, &work);
  EXPECT_EQ(work.sum, 5000);
}

// ---------------------------------------------------------------------------------------------- prepared values
extern "C" int toy_preparations;

/// The prepared value of a context's model: 2 w.
static std::vector<float> doubled(bigm_context *context, int32_t function) {
  std::vector<float> y(3);
  void *outputs[1] = {y.data()};
  bigm_call call = BIGM_INIT(bigm_call);
  call.function = function;
  call.outputs = outputs;
  EXPECT_EQ(bigm_run(context, &call), BIGM_OK) << bigm_last_error();
  return y;
}

TEST_F(Calls, PreparedValuesFollowTheWeights) {
  int32_t of = function("toy.doubled");
  EXPECT_EQ(doubled(context, of), (std::vector<float>{0, 0, 0}));
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  EXPECT_EQ(doubled(context, of), (std::vector<float>{2, 4, 6}));
  float w[3] = {5, 6, 7};
  ASSERT_EQ(bigm_model_write(model, 0, w, sizeof w), BIGM_OK);
  EXPECT_EQ(doubled(context, of), (std::vector<float>{10, 12, 14}));
  Forward step(function("toy.step"), 3);
  float loss = 0;
  step.outputs[0] = &loss;
  ASSERT_EQ(bigm_run(context, &step.call), BIGM_OK);
  EXPECT_EQ(doubled(context, of), (std::vector<float>{12, 14, 16}));
  ASSERT_EQ(bigm_model_save(model, path("w.safetensors").c_str(), 0), BIGM_OK);
  ASSERT_EQ(bigm_init(context, nullptr, 1), BIGM_OK);
  ASSERT_EQ(bigm_model_load(model, path("w.safetensors").c_str(), nullptr), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(doubled(context, of), (std::vector<float>{12, 14, 16}));
  static_cast<float *>(bigm_model_data(model, 0))[0] = 1;
  EXPECT_EQ(doubled(context, of), (std::vector<float>{2, 14, 16}));
}
TEST_F(Calls, PreparedValuesAreComputedOnceForAllContexts) {
  int32_t of = function("toy.doubled");
  (void)doubled(context, of);
  int before = toy_preparations;
  bigm_context *other = nullptr;
  ASSERT_EQ(bigm_context_create(model, nullptr, &other), BIGM_OK);
  (void)doubled(other, of);
  (void)doubled(context, of);
  int64_t count = 3; // feeds no prepared value
  ASSERT_EQ(bigm_model_write(model, 1, &count, sizeof count), BIGM_OK);
  (void)doubled(context, of);
  EXPECT_EQ(toy_preparations, before);
  bigm_context_destroy(other);
}
TEST_F(Calls, PreparedValuesAreWholeOnManyThreads) {
  int32_t of = function("toy.doubled");
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      bigm_context *own = nullptr;
      if (bigm_context_create(model, nullptr, &own) != BIGM_OK)
        return;
      while (!stop) {
        std::vector<float> y = doubled(own, of);
        torn += y[0] != y[1] || y[1] != y[2];
      }
      bigm_context_destroy(own);
    });
  for (int i = 1; i <= 2000; ++i) {
    float w[3] = {float(i), float(i), float(i)};
    EXPECT_EQ(bigm_model_write(model, 0, w, sizeof w), BIGM_OK);
  }
  stop = true;
  for (std::thread &reader : readers)
    reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(doubled(context, of)[0], 4000);
}
