// Memory planned for what a function mostly gets: right for fewer and for more, too.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

TEST(Arena, PlannedForUsualSizes) {
  // Products of a known size lie where one of 256 bytes an input is no longer needed: that is large enough for some inputs.
  const char *text = R"(#x = affine_map<()[s0] -> (s0, 64)>
    func.func @f(%x: tensor<?x64xf32, #x>, %m: tensor<64x64xf32>, %w: tensor<250x4xf32>, %k: tensor<4x4xf32>)
        -> (tensor<?x64xf32, #x>, tensor<250x4xf32>) attributes {bigm.symbols = ["N"], bigm.usual_sizes = array<i64: 256>} {
      %a = bigm.contract %x, %m lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (64)>
          : (tensor<?x64xf32, #x>, tensor<64x64xf32>) -> tensor<?x64xf32, #x>
      %b = bigm.contract %a, %m lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (64)>
          : (tensor<?x64xf32, #x>, tensor<64x64xf32>) -> tensor<?x64xf32, #x>
      %u = bigm.contract %w, %k lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (4)>
          : (tensor<250x4xf32>, tensor<4x4xf32>) -> tensor<250x4xf32>
      %v = bigm.contract %u, %k lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (4)>
          : (tensor<250x4xf32>, tensor<4x4xf32>) -> tensor<250x4xf32>
      %z = bigm.contract %v, %k lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (4)>
          : (tensor<250x4xf32>, tensor<4x4xf32>) -> tensor<250x4xf32>
      %c = bigm.contract %b, %m lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)> reduced affine_map<() -> (64)>
          : (tensor<?x64xf32, #x>, tensor<64x64xf32>) -> tensor<?x64xf32, #x>
      return %c, %z : tensor<?x64xf32, #x>, tensor<250x4xf32>
    })";
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, "x86-64-v2");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.code->plan()[0].leastSizes, std::vector<int64_t>{32});
  EXPECT_EQ(loaded.arenaBytes({1}), loaded.arenaBytes({32}));
  EXPECT_EQ(loaded.arenaBytes({256}), 8 * loaded.arenaBytes({32}));
  for (int64_t n : {1, 31, 32, 33, 300}) {
    SCOPED_TRACE(n);
    expectSame(text, {n}, 1e-4);
  }
}
