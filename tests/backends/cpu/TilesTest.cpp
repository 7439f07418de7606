// Products on the tile registers of AMX, f32 in three pieces of bf16, on sizes that fill no tile, against the reference
// backend. Where the machine has no AMX it is emulated.
#include "Harness.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>

using bigm::test::expectSame;

namespace {
/// How many contractions run on tiles.
int onTiles(const std::string &text) {
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, "sapphirerapids");
  std::string dump = loaded.code->dumpAt("fused");
  int count = 0;
  for (size_t at = 0; (at = dump.find("on_tiles", at)) != std::string::npos; ++at)
    ++count;
  return count;
}

/// A layer of `i` to `o` features on `t` rows an input, by weights kept either way, and its two gradients.
std::string layer(const std::string &t, const std::string &i, const std::string &o) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, $T, $I)>
    #y = affine_map<()[s0] -> (s0, $T, $O)>
    func.func @f(%x: tensor<?x$Tx$Ixf32, #x>, %w: tensor<$Ix$Oxf32>, %v: tensor<$Ox$Ixf32>, %g: tensor<?x$Tx$Oxf32, #y>)
        -> (tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>, tensor<$Ix$Oxf32>)
        attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, t, o, i) -> (n, t, i)> rhs affine_map<(n, t, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> ($I)> : (tensor<?x$Tx$Ixf32, #x>, tensor<$Ix$Oxf32>) -> tensor<?x$Tx$Oxf32, #y>
    %b = bigm.contract %x, %v lhs affine_map<(n, t, o, i) -> (n, t, i)> rhs affine_map<(n, t, o, i) -> (o, i)>
        reduced affine_map<()[s0] -> ($I)> : (tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>) -> tensor<?x$Tx$Oxf32, #y>
    %c = bigm.contract %g, %w lhs affine_map<(n, t, i, o) -> (n, t, o)> rhs affine_map<(n, t, i, o) -> (i, o)>
        reduced affine_map<()[s0] -> ($O)> : (tensor<?x$Tx$Oxf32, #y>, tensor<$Ix$Oxf32>) -> tensor<?x$Tx$Ixf32, #x>
    %d = bigm.contract %g, %x lhs affine_map<(o, i, n, t) -> (n, t, o)> rhs affine_map<(o, i, n, t) -> (n, t, i)>
        reduced affine_map<()[s0] -> (s0, $T)> : (tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>) -> tensor<$Ox$Ixf32>
    %e = bigm.contract %x, %g lhs affine_map<(i, o, n, t) -> (n, t, i)> rhs affine_map<(i, o, n, t) -> (n, t, o)>
        reduced affine_map<()[s0] -> (s0, $T)> : (tensor<?x$Tx$Ixf32, #x>, tensor<?x$Tx$Oxf32, #y>) -> tensor<$Ix$Oxf32>
    return %a, %b, %c, %d, %e : tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>, tensor<$Ix$Oxf32> })";
  for (size_t at; (at = text.find('$')) != std::string::npos;)
    text.replace(at, 2, text[at + 1] == 'T' ? t : text[at + 1] == 'I' ? i : o);
  return text;
}
} // namespace

TEST(Tiles, LayersAndTheirGradients) {
  for (auto [t, i, o] : {std::array{"95", "127", "65"}, {"47", "295", "131"}})
    for (int64_t n : {1, 2}) {
      SCOPED_TRACE(std::string(t) + " x " + i + " x " + o + ", " + std::to_string(n));
      expectSame(layer(t, i, o), {n});
    }
  EXPECT_EQ(onTiles(layer("96", "128", "160")), 5);
}

namespace {
/// A convolution of k x k with a stride, of pictures whose channels lie innermost.
std::string convolution(int64_t channels, int64_t columns, int64_t side, int64_t k, int64_t stride) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, $C, $H, $H)>
    #y = affine_map<()[s0] -> (s0, $O, $M, $M)>
    #r = affine_map<()[s0] -> (s0, 5, $M, $M)>
    func.func @f(%x: tensor<?x$Cx$Hx$Hxf32, #x>, %u: tensor<$Cx$Cxf32>, %w: tensor<$Ox$Cx$Kx$Kxf32>, %v: tensor<5x$Oxf32>)
        -> (tensor<?x5x$Mx$Mxf32, #r>, tensor<$Ox$Cx$Kx$Kxf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %u lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($C)> : (tensor<?x$Cx$Hx$Hxf32, #x>, tensor<$Cx$Cxf32>) -> tensor<?x$Cx$Hx$Hxf32, #x>
    %b = bigm.contract %a, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h * $S + i, w * $S + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> ($C, $K, $K)>
        : (tensor<?x$Cx$Hx$Hxf32, #x>, tensor<$Ox$Cx$Kx$Kxf32>) -> tensor<?x$Ox$Mx$Mxf32, #y>
    %c = bigm.contract %b, %a lhs affine_map<(o, c, i, j, n, h, w) -> (n, o, h, w)>
        rhs affine_map<(o, c, i, j, n, h, w) -> (n, c, h * $S + i, w * $S + j)> reduced affine_map<()[s0] -> (s0, $M, $M)>
        : (tensor<?x$Ox$Mx$Mxf32, #y>, tensor<?x$Cx$Hx$Hxf32, #x>) -> tensor<$Ox$Cx$Kx$Kxf32>
    %d = bigm.contract %b, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($O)> : (tensor<?x$Ox$Mx$Mxf32, #y>, tensor<5x$Oxf32>) -> tensor<?x5x$Mx$Mxf32, #r>
    return %d, %c : tensor<?x5x$Mx$Mxf32, #r>, tensor<$Ox$Cx$Kx$Kxf32> })";
  std::map<char, int64_t> numbers = {{'C', channels}, {'O', columns}, {'H', side},
                                     {'K', k},        {'S', stride},  {'M', (side - k) / stride + 1}};
  for (size_t at; (at = text.find('$')) != std::string::npos;)
    text.replace(at, 2, std::to_string(numbers.at(text[at + 1])));
  return text;
}
} // namespace

TEST(Tiles, Convolutions) {
  for (auto [channels, columns, side, k, stride] : {std::tuple{64, 60, 23, 3, 2}, {48, 80, 25, 1, 2}})
    for (int64_t n : {1, 2}) {
      SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(n) + " pictures");
      expectSame(convolution(channels, columns, side, k, stride), {n});
    }
  EXPECT_EQ(onTiles(convolution(64, 60, 23, 3, 2)), 1); // the others write, or read, across what they run along
}

TEST(Tiles, RowsOfATensorWithMargins) {
  // Zeros come to lie around %a for the second convolution, so that its pictures are no longer as far apart as the first one,
  // a window of every other pixel, would have them: 2 * 14 lines.
  std::string text = R"(#x = affine_map<()[s0] -> (s0, 64, 28, 28)>
    #p = affine_map<()[s0] -> (s0, 64, 29, 29)>
    #y = affine_map<()[s0] -> (s0, 96, 14, 14)>
    #r = affine_map<()[s0] -> (s0, 5, 14, 14)>
    func.func @f(%x: tensor<?x64x28x28xf32, #x>, %u: tensor<64x64xf32>, %w: tensor<96x64xf32>, %k: tensor<96x64x3x3xf32>,
                 %v: tensor<5x96xf32>) -> tensor<?x5x14x14xf32, #r> attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %a = bigm.contract %x, %u lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> (64)> : (tensor<?x64x28x28xf32, #x>, tensor<64x64xf32>) -> tensor<?x64x28x28xf32, #x>
    %b = bigm.contract %a, %w lhs affine_map<(n, o, h, w, c) -> (n, c, h * 2, w * 2)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> (64)> : (tensor<?x64x28x28xf32, #x>, tensor<96x64xf32>) -> tensor<?x96x14x14xf32, #y>
    %p = bigm.pad %a, %z low [0, 0, 1, 1] high [0, 0, 0, 0] interior [0, 0, 0, 0]
        : (tensor<?x64x28x28xf32, #x>, tensor<f32>) -> tensor<?x64x29x29xf32, #p>
    %c = bigm.contract %p, %k lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h * 2 + i, w * 2 + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (64, 3, 3)>
        : (tensor<?x64x29x29xf32, #p>, tensor<96x64x3x3xf32>) -> tensor<?x96x14x14xf32, #y>
    %d = bigm.add %b, %c : tensor<?x96x14x14xf32, #y>
    %e = bigm.contract %d, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> (96)> : (tensor<?x96x14x14xf32, #y>, tensor<5x96xf32>) -> tensor<?x5x14x14xf32, #r>
    return %e : tensor<?x5x14x14xf32, #r> })";
  expectSame(text, {2});
  EXPECT_EQ(onTiles(text), 2);
}

TEST(Tiles, NumbersBelowTheSmallestNormalOne) {
  // Scaled so far down that the pieces of some are no normal numbers: they count as zeros, and spoil none beside them.
  expectSame(R"(func.func @f(%x: tensor<96x128xf32>, %w: tensor<128x96xf32>) -> tensor<96x96xf32> {
    %s = bigm.constant 1.0e-38 : f32 -> tensor<96x128xf32>
    %y = bigm.mul %x, %s : tensor<96x128xf32>
    %a = bigm.contract %y, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[] -> (128)> : (tensor<96x128xf32>, tensor<128x96xf32>) -> tensor<96x96xf32>
    return %a : tensor<96x96xf32> })",
             {}, 0.05);
}

TEST(Tiles, WeightsThatComeFromMemory) {
  // The function's weights are too many for the caches: they lie whole, and units cut them. The sum is long, the units few.
  std::string text = R"(func.func @f(%x: tensor<96x1060xf32>, %w: tensor<128x1060xf32> {bigm.tensor = 0 : i64},
                 %more: tensor<1100000xf32> {bigm.tensor = 1 : i64}) -> tensor<96x128xf32> {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (o, i)>
        reduced affine_map<()[] -> (1060)> : (tensor<96x1060xf32>, tensor<128x1060xf32>) -> tensor<96x128xf32>
    return %a : tensor<96x128xf32> })";
  expectSame(text);
  EXPECT_EQ(onTiles(text), 1);
}
