// The C++ face: what its opening comment shows, and that errors become exceptions.
#include "Toy.h"
#include "bigm/bigm.hpp"

TEST(Wrapper, TrainsAndPredicts) {
  bigm::Module module(toy_bigm_manifest, toy_bigm_manifest_size, toy_bigm_entries);
  bigm::Model model(module);
  bigm::Context context(model, 2);
  context.init(1);
  bigm::Function step(module, "toy.step"), forward(module, "toy.forward");
  std::vector<float> x = {1, 1, 1, 2, 2, 2}, y(2);
  float loss = 0;
  context.run(bigm::Call(step, {2}).input(0, x.data()).output(0, &loss).step(0, 10));
  EXPECT_EQ(loss, 18);
  context.run(bigm::Call(forward, step.solve({{2, 3}})).input(0, x.data()).output(0, y.data()));
  EXPECT_EQ(y, (std::vector<float>{9, 18}));
  EXPECT_EQ(model.read<float>("toy.w"), (std::vector<float>{2, 3, 4}));
  model.write<float>("toy.w", {0, 0, 1});
  EXPECT_EQ(model.read<float>("toy.w")[2], 1);
  EXPECT_EQ(forward.outputShape(1, {2}), (std::vector<int64_t>{4}));
}
TEST(Wrapper, fail_ErrorsAreExceptions) {
  bigm::Module module(toy_bigm_manifest, toy_bigm_manifest_size, toy_bigm_entries);
  bigm::Model model(module);
  try {
    model.load("/does/not/exist");
    FAIL();
  } catch (const bigm::Error &error) {
    EXPECT_EQ(error.status(), BIGM_ERROR_NOT_FOUND);
    EXPECT_THAT(error.what(), testing::HasSubstr("/does/not/exist"));
  }
  EXPECT_THROW(bigm::Function(module, "toy.back"), bigm::Error);
  EXPECT_THROW(model.read<int32_t>("toy.w"), bigm::Error);
  EXPECT_THROW(bigm::Call(bigm::Function(module, "toy.forward")), bigm::Error);
  EXPECT_THROW(bigm::Function(module, "toy.forward").solve({{2}}), bigm::Error);
}
