#include "frontend/Requirements.h"
#include "Checking.h"

using namespace bigm;
using bigm::test::Checked;

/// What calls of a model over words must have, whose sizes come from the data.
static std::vector<std::string> requirementsOf(const std::string &body) {
  Checked c(R"(use std.nn, std.loss, std.optim
data d {
  from   csv("d.csv")
  fields { said: text, kind: label[2] }
  split  { train: 80%, valid: 20% } seed 1
  derive ids: i32[T] = said |> vocabulary
}
fit vocabulary = words(d.train.said, at_most: 50)
model M()(ids: i32[N, T]) -> f32[N, 2] {
  x = Embedding(50, 8)(ids)
  )" + body + R"( |> Linear(2)
}
train m = M() on d { loss cross_entropy(m(ids), kind)  optimize adamw(lr: 1e-3)  batch 4  epochs 1 }
)");
  EXPECT_TRUE(c.program) << c.errors();
  std::vector<std::string> texts;
  if (c.program)
    for (const Requirement &requirement : bigm::requirementsOf(c.function("m.forward")))
      texts.push_back(requirement.notNegative.str());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Requirements, IndicesLieInside) {
  EXPECT_EQ(requirementsOf("x[:, 3]"), Texts{"T - 4"});
  EXPECT_EQ(requirementsOf("x[:, 2..5] |> flatten"), Texts{"T - 5"});
  EXPECT_EQ(requirementsOf("x[:, 3] + x[:, 1]"), (Texts{"T - 4", "T - 2"}));
}
TEST(Requirements, PlacesFromTheEndLieInside) {
  EXPECT_EQ(requirementsOf("x[:, -4]"), Texts{"T - 4"});
  EXPECT_EQ(requirementsOf("x[:, T - 4..T - 2] |> flatten"), Texts{"T - 4"});
  EXPECT_EQ(requirementsOf("x[:, -1] + flip(x, axis: 1)[:, 0]"), Texts{});
}
TEST(Requirements, SizesAreNotNegative) {
  EXPECT_EQ(requirementsOf("mean(x[:, 3..], axis: 1)"), Texts{"T - 3"});
  EXPECT_EQ(requirementsOf("mean(transpose(x, [0, 2, 1]) |> Conv1d(8, kernel: 5, padding: 0), axis: 2)"), Texts{"T - 4"});
}
TEST(Requirements, WhatAlwaysHoldsIsLeftOut) {
  EXPECT_EQ(requirementsOf("x[:, 0]"), Texts{});
  EXPECT_EQ(requirementsOf("mean(x[:, 1..], axis: 1)"), Texts{});
  EXPECT_EQ(requirementsOf("mean(transpose(x, [0, 2, 1]) |> Conv1d(8), axis: 2)"), Texts{});
  EXPECT_EQ(requirementsOf("mean(transpose(x, [0, 2, 1]) |> Conv1d(8, stride: 2), axis: 2)"), Texts{});
  EXPECT_EQ(requirementsOf("mean(x |> Attention(2), axis: 1)"), Texts{});
}
