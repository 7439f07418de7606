#include "Checking.h"
#include <algorithm>

using namespace bigm;
using namespace bigm::test;

namespace {
const char *kData = R"(
use std.nn, std.loss, std.optim, std.metrics, std.data
data d {
  from   csv("d.csv")
  fields { x: f32[5], picture: u8[3, 8, 6], y: label[3] }
  split  { train: 80%, valid: 20% } seed 3
}
)";

std::string training(const std::string &models, const std::string &model, const std::string &phases = "epochs 2",
                     const std::string &input = "x") {
  return kData + models + "train net = " + model + " on d {\n  loss cross_entropy(net(" + input +
         "), y)\n  optimize adamw(lr: 1e-3)\n  batch 8\n  " + phases + "\n}\n";
}

bool reads(const Function &f, const std::string &tensor) {
  return std::any_of(f.args.begin(), f.args.end(), [&](auto &a) { return a.name == tensor; });
}
bool updates(const Function &f, const std::string &tensor) {
  return std::any_of(f.outputs.begin(), f.outputs.end(), [&](auto &o) { return o.name == tensor && o.tensor >= 0; });
}
} // namespace

TEST(Check, aUsersCopyOfALayerIsTheLibrarysLayer) {
  std::string text = *libraryModule("std.nn");
  size_t begin = text.find("model BatchNorm("), end = text.find("\n}\n", begin) + 3;
  std::string copy = text.substr(begin, end - begin);
  copy.replace(copy.find("BatchNorm"), 9, "Mine");
  std::string model = "model M()(x: f32[N, 5]) -> f32[N, 3] {\n  norm = NAME()\n  x |> norm |> Linear(3)\n}\n";
  auto with = [&](const std::string &name) {
    std::string m = model;
    return m.replace(m.find("NAME"), 4, name);
  };
  Checked library(training(with("BatchNorm"), "M()")), mine(training(copy + with("Mine"), "M()"));
  ASSERT_TRUE(library.program) << library.errors();
  ASSERT_TRUE(mine.program) << mine.errors();
  for (const char *f : {"net.forward", "net.all.step", "net.init"})
    EXPECT_EQ(library.text(f), mine.text(f));
}

TEST(Check, aConvolutionIsOneContraction) {
  Checked c(training("model M()(x: f32[N, 3, 8, 6]) -> f32[N, 3] { x |> Conv2d(4, stride: 2, bias: false) |> flatten |> Linear(3) }\n",
                     "M()", "epochs 1", "f32(picture)"));
  ASSERT_TRUE(c.program) << c.errors();
  EXPECT_EQ(c.count("net.forward", Op::Contract), 2);
  EXPECT_NE(c.text("net.forward").find("lhs_map: (d0, d4, 2*d2 + d5, 2*d3 + d6), reduced: [3, 3, 3], rhs_map: (d1, d4, d5, d6)} : f32[N, 4, 4, 3]"),
            std::string::npos);
}

TEST(Check, aFrozenPartHasNoUpdateAndKeepsItsStatistics) {
  std::string models = "model M()(x: f32[N, 5]) -> f32[N, 3] {\n  stem = BatchNorm()\n  x |> stem |> Linear(3)\n}\n";
  Checked c(training(models, "M()", "phase head { freeze stem epochs 1 }\n  phase all { epochs 1 }"));
  ASSERT_TRUE(c.program) << c.errors();
  const Function &head = c.function("net.head.step"), &all = c.function("net.all.step");
  EXPECT_TRUE(reads(head, "net.stem.weight"));
  EXPECT_FALSE(updates(head, "net.stem.weight"));
  EXPECT_FALSE(updates(head, "net.stem.running_mean"));
  EXPECT_TRUE(reads(head, "net.stem.running_mean"));
  EXPECT_TRUE(updates(head, "net.linear.weight"));
  EXPECT_FALSE(reads(head, "net.stem.weight/m")); // no slots for what is frozen
  EXPECT_TRUE(updates(all, "net.stem.weight"));
  EXPECT_TRUE(updates(all, "net.stem.running_mean"));
  EXPECT_FALSE(updates(c.function("net.forward"), "net.stem.running_mean"));
}

TEST(Check, dropoutIsInTheStepAlone) {
  Checked c(training("model M()(x: f32[N, 5]) -> f32[N, 3] { x |> dropout(0.2) |> Linear(3) }\n", "M()"));
  ASSERT_TRUE(c.program) << c.errors();
  EXPECT_EQ(c.count("net.all.step", Op::Random), 1);
  EXPECT_EQ(c.count("net.forward", Op::Random), 0);
}

TEST(Check, instancesAreNamedByVariableOrModelAndShared) {
  Checked c(training("model M()(x: f32[N, 5]) -> f32[N, 3] {\n  same = Linear(5)\n  x |> same |> same |> Linear(5) |> Linear(3) |> "
                     "repeat 2 { Linear(3) }\n}\n",
                     "M()"));
  ASSERT_TRUE(c.program) << c.errors();
  std::vector<std::string> weights;
  for (auto &t : c.program->tensors)
    if (t.kind == TensorDecl::Kind::Param && t.name.ends_with(".weight"))
      weights.push_back(t.name);
  EXPECT_EQ(weights, (std::vector<std::string>{"net.same.weight", "net.linear.weight", "net.linear_2.weight",
                                               "net.linear_1.weight", "net.linear_2_2.weight"}));
}

TEST(Check, predictGivesClassAndProbabilityOfEachHead) {
  Checked c(training("", "Linear(3)"));
  ASSERT_TRUE(c.program) << c.errors();
  const Function &f = c.function("net.predict");
  ASSERT_EQ(f.outputs.size(), 2u);
  EXPECT_EQ(f.outputs[0].name, "y");
  EXPECT_EQ(f.types[f.outputs[0].value].str(), "i32[N]");
  EXPECT_EQ(f.outputs[1].name, "y.score");
  EXPECT_FALSE(reads(f, "y")); // labels are not needed to predict
}

TEST(Check, aFitSeesRawFieldsAndDerivesWhatItNeeds) {
  Checked c(std::string(kData) + "data e {\n  from csv(\"e.csv\")\n  fields { x: f32[5] }\n  derive half = x / 2\n  derive z = half - "
                                 "normal.mean\n}\nfit normal = mean_variance(e.train.half)\n");
  ASSERT_TRUE(c.program) << c.errors();
  const Function &step = c.function("normal.step");
  EXPECT_TRUE(reads(step, "x"));
  EXPECT_TRUE(updates(step, "normal.mean"));
  EXPECT_TRUE(reads(c.function("e.prepare"), "normal.mean"));
}

TEST(Check, gradientsAreOfTheLearnedParameters) {
  Checked c(training("", "Linear(3)"));
  ASSERT_TRUE(c.program) << c.errors();
  for (auto &n : c.function("net.all.step").nodes)
    if (n.op == Op::Gradient)
      EXPECT_EQ(n.results, 2u);
  EXPECT_EQ(c.program->trains[0].phases[0].learned, (std::vector<std::string>{"net.weight", "net.bias"}));
}

TEST(Check, settingsAreReplacedByPath) {
  Checked c(training("", "Linear(3)", "phase all { epochs 2 }"),
            {{"train.net.all.epochs", "7"}, {"train.net.batch", "16"}, {"data.d.seed", "11"}});
  ASSERT_TRUE(c.program) << c.errors();
  EXPECT_EQ(c.program->trains[0].phases[0].epochs, 7);
  EXPECT_EQ(c.program->trains[0].phases[0].batch, 16);
  EXPECT_EQ(c.program->data[0].seed, 11u);
}

TEST(Check, modelsThatNothingUsesAreCheckedToo) {
  Checked c("use std.nn\nmodel M(width: int)(x: f32[N, D]) -> f32[N, width] { x |> Linear(width + 1) }\n");
  EXPECT_FALSE(c.program);
  EXPECT_NE(c.errors().find("`M` promises f32[N, width] and gives f32[N, width + 1]"), std::string::npos) << c.errors();
}

TEST(Check, oneMistakeIsOneMessage) {
  Checked c("use std.nn\nmodel M()(x: f32[N, 4]) -> f32[N, 2] {\n  h = x |> Linaer(3)\n  g = h + 1\n  g |> Linear(2)\n}\n");
  EXPECT_EQ(c.diags.all().size(), 1u) << c.errors();
}

TEST(Check, theLibraryHoldsOnItsOwn) {
  for (auto &name : libraryModules()) {
    Checked c(*libraryModule(name));
    EXPECT_TRUE(c.program) << name << "\n" << c.errors();
  }
}
