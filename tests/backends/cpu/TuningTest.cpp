// Every block that `bigmc tune` may try gives the numbers of the block that the cost model chose.
#include "Harness.h"
#include "backends/cpu/Tuning.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir::bigm::cpu;

namespace {
/// A convolution of 3 x 3 with zeros around the picture, a layer behind it, and the gradient to the layer's weights, of sizes that
/// fill no block.
const char *const text = R"(#x = affine_map<()[s0] -> (s0, 20, 13, 11)>
  #p = affine_map<()[s0] -> (s0, 20, 15, 13)>
  #y = affine_map<()[s0] -> (s0, 43, 13, 11)>
  #r = affine_map<()[s0] -> (s0, 37, 13, 11)>
  func.func @f(%x: tensor<?x20x13x11xf32, #x>, %w: tensor<43x20x3x3xf32>, %v: tensor<37x43xf32>)
      -> (tensor<?x37x13x11xf32, #r>, tensor<37x43xf32>) attributes {bigm.symbols = ["N"]} {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
      : (tensor<?x20x13x11xf32, #x>, tensor<f32>) -> tensor<?x20x15x13xf32, #p>
  %a = bigm.contract %p, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
      rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (20, 3, 3)>
      : (tensor<?x20x15x13xf32, #p>, tensor<43x20x3x3xf32>) -> tensor<?x43x13x11xf32, #y>
  %b = bigm.contract %a, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
      reduced affine_map<()[s0] -> (43)>
      : (tensor<?x43x13x11xf32, #y>, tensor<37x43xf32>) -> tensor<?x37x13x11xf32, #r>
  %d = bigm.contract %b, %a lhs affine_map<(o, c, n, h, w) -> (n, o, h, w)> rhs affine_map<(o, c, n, h, w) -> (n, c, h, w)>
      reduced affine_map<()[s0] -> (s0, 13, 11)>
      : (tensor<?x37x13x11xf32, #r>, tensor<?x43x13x11xf32, #y>) -> tensor<37x43xf32>
  return %b, %d : tensor<?x37x13x11xf32, #r>, tensor<37x43xf32> })";

std::vector<mlir::bigm::ref::Tensor> run(mlir::MLIRContext &context, const std::string &target, const Tuning *tuning,
                                         std::map<std::string, Tunable> *tunables = nullptr) {
  bigm::test::Loaded loaded(context, text, target, tuning);
  if (tunables)
    *tunables = loaded.code->tunables();
  return loaded.run(bigm::test::randomArguments(loaded.function(), {3}), {3}, 2);
}
} // namespace

TEST(Tuning, EveryChoiceGivesTheSameNumbers) {
  auto context = bigm::test::makeContext();
  const std::string target = "x86-64-v3"; // has no tile registers, so all three have blocks
  if (!__builtin_cpu_supports("avx2"))
    GTEST_SKIP() << "no AVX2";
  Tuning none;
  std::map<std::string, Tunable> tunables;
  auto expected = run(*context, target, &none, &tunables);
  ASSERT_EQ(tunables.size(), 3u);
  size_t choices = 0;
  for (Respect respect : respects)
    for (size_t i = 0, tried = 1; tried; ++i) {
      tried = 0;
      Tuning tuning;
      for (const auto &[key, tunable] : tunables)
        if (auto &others = tunable.others.at(respect); i < others.size())
          tuning[key] = others[i], ++tried;
      if (!tried)
        break;
      choices += tried;
      std::map<std::string, Tunable> now;
      auto results = run(*context, target, &tuning, &now);
      for (const auto &[key, choice] : tuning) { // it runs as was asked
        if (respect == Respect::Block)
          EXPECT_EQ(std::pair(now[key].now.vectors, now[key].now.rows), std::pair(choice.vectors, choice.rows));
        if (respect == Respect::Method)
          EXPECT_EQ(now[key].now.winograd, choice.winograd);
      }
      for (size_t r = 0; r < results.size(); ++r) {
        double most = 0, apart = 0;
        for (size_t k = 0; k < results[r].data.size(); ++k) {
          most = std::max(most, std::abs(expected[r].data[k]));
          apart = std::max(apart, std::abs(expected[r].data[k] - results[r].data[k]));
        }
        EXPECT_LE(apart, 1e-5 * most) << "respect " << int(respect) << ", choice " << i << ", result " << r;
      }
    }
  EXPECT_GT(choices, 50u);
}

TEST(Tuning, ChoicesThatDoNotFitAreLeftToTheCostModel) {
  auto context = bigm::test::makeContext();
  Tuning none, wild;
  std::map<std::string, Tunable> tunables;
  auto expected = run(*context, "x86-64-v2", &none, &tunables);
  for (const auto &[key, tunable] : tunables)
    wild[key] = {3, 4, 60, 1, 4000, 4000};
  auto results = run(*context, "x86-64-v2", &wild);
  for (size_t r = 0; r < results.size(); ++r)
    for (size_t k = 0; k < results[r].data.size(); k += 7)
      ASSERT_NEAR(results[r].data[k], expected[r].data[k], 1e-3 * std::abs(expected[r].data[k]) + 1e-2);
}

TEST(Tuning, AProductIsNamedByWhatItMultiplies) {
  auto context = bigm::test::makeContext();
  Tuning none;
  std::map<std::string, Tunable> first, second;
  run(*context, "x86-64-v2", &none, &first), run(*context, "x86-64-v2", &none, &second);
  ASSERT_EQ(first.size(), second.size());
  for (auto a = first.begin(), b = second.begin(); a != first.end(); ++a, ++b)
    EXPECT_EQ(a->first, b->first);
}
