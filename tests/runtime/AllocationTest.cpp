// Calls in a steady state do not touch the heap, on any thread: malloc and its kin are counted.
#include "Toy.h"
#include <dlfcn.h>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#include "tests/inputs/CountAllocations.h"

using count::steady;
using Allocations = Toy;
TEST_F(Allocations, CountingWorks) {
  EXPECT_GT(steady(500, 200, [] { delete new volatile int(1); }), 0);
}
TEST_F(Allocations, NoneInForwardAndStep) {
  for (int32_t threads : {1, 2, 4}) {
    bigm_context_options options = BIGM_INIT(bigm_context_options);
    options.threads = threads;
    bigm_context *own = nullptr;
    ASSERT_EQ(bigm_context_create(model, &options, &own), BIGM_OK);
    int64_t n = 4096;
    std::vector<float> x(size_t(3 * n)), y(static_cast<size_t>(n));
    float loss;
    const void *inputs[1] = {x.data()};
    void *forwardOut[2] = {y.data(), nullptr}, *stepOut[1] = {&loss};
    bigm_call forward = BIGM_INIT(bigm_call), step = BIGM_INIT(bigm_call);
    forward.function = function("toy.forward");
    step.function = function("toy.step");
    forward.dims = step.dims = &n;
    forward.inputs = step.inputs = inputs;
    forward.outputs = forwardOut;
    step.outputs = stepOut;
    EXPECT_EQ(steady(500, 200, [&] {
                bigm_run(own, &forward);
                bigm_run(own, &step);
              }),
              0)
        << threads;
    bigm_context_destroy(own);
  }
}
TEST_F(Allocations, NoneInImageKernels) {
  std::vector<float> image(4 * 3 * 64 * 60), out(4 * 3 * 50 * 70), matrix = {1, 0, 0.5f, 0, 1, 0.5f};
  for (int i = 0; i < 3; ++i)
    matrix.insert(matrix.end(), matrix.begin(), matrix.begin() + 6);
  EXPECT_EQ(steady(500, 200, [&] {
              bigm_rt_warp_f32(context, image.data(), matrix.data(), out.data(), 4, 3, 64, 60, 50, 70, 0);
              bigm_rt_resize_f32(context, image.data(), out.data(), 4, 3, 64, 60, 50, 70, BIGM_RESIZE_BICUBIC, 1);
            }),
            0);
}
#endif
