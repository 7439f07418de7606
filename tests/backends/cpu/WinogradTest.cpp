// Convolutions of 3 x 3 by Winograd's filtering, on pictures that fill no tile, against the reference backend.
#include "Harness.h"
#include "backends/cpu/Winograd.h"
#include <gtest/gtest.h>
#include <map>
#include <random>

using bigm::test::expectSame;

namespace {
struct Size {
  int64_t channels, columns, height, width, pad;
  int64_t skipped = 0; // channels of the picture before those that the convolution reads
};

/// The convolution of a picture with zeros around it, and one of 1 x 1, so that the first may lie as it likes.
std::string convolution(Size s) {
  std::string text = R"(#g = affine_map<()[s0] -> (s0, $A, $H, $W)>
    #x = affine_map<()[s0] -> (s0, $C, $H, $W)>
    #p = affine_map<()[s0] -> (s0, $C, $I, $J)>
    #r = affine_map<()[s0] -> (s0, 5, $M, $N)>
    #y = affine_map<()[s0] -> (s0, $O, $M, $N)>
    func.func @f(%g: tensor<?x$Ax$Hx$Wxf32, #g>, %w: tensor<$Ox$Cx3x3xf32>, %v: tensor<5x$Oxf32>)
        -> tensor<?x5x$Mx$Nxf32, #r> attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %x = bigm.view %g, affine_map<(n, c, h, w) -> (n, c + $S, h, w)> : tensor<?x$Ax$Hx$Wxf32, #g> -> tensor<?x$Cx$Hx$Wxf32, #x>
    %p = bigm.pad %x, %z low [0, 0, $P, $P] high [0, 0, $P, $P] interior [0, 0, 0, 0]
        : (tensor<?x$Cx$Hx$Wxf32, #x>, tensor<f32>) -> tensor<?x$Cx$Ix$Jxf32, #p>
    %a = bigm.contract %p, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> ($C, 3, 3)>
        : (tensor<?x$Cx$Ix$Jxf32, #p>, tensor<$Ox$Cx3x3xf32>) -> tensor<?x$Ox$Mx$Nxf32, #y>
    %b = bigm.contract %a, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($O)>
        : (tensor<?x$Ox$Mx$Nxf32, #y>, tensor<5x$Oxf32>) -> tensor<?x5x$Mx$Nxf32, #r>
    return %b : tensor<?x5x$Mx$Nxf32, #r> })";
  int64_t rows = s.height + 2 * s.pad, columns = s.width + 2 * s.pad;
  std::map<char, int64_t> numbers = {{'C', s.channels}, {'O', s.columns}, {'H', s.height}, {'W', s.width},     {'P', s.pad},
                                     {'A', s.channels + s.skipped}, {'S', s.skipped}, {'I', rows},       {'J', columns},   {'M', rows - 2}, {'N', columns - 2}};
  for (size_t at; (at = text.find('$')) != std::string::npos;)
    text.replace(at, 2, std::to_string(numbers.at(text[at + 1])));
  return text;
}

/// Results of a tile each way, 0 where the convolution runs as any contraction.
int tileOf(const std::string &text, const std::string &target) {
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, target);
  std::string dump = loaded.code->dumpAt("fused");
  auto has = [&](const char *mark) { return dump.find(mark) != std::string::npos; };
  return has("winograd = 4") ? 4 : has("winograd = 2") ? 2 : 0;
}
} // namespace

TEST(Winograd, Values) {
  // Channels and columns that fill no vector; pictures smaller than a tile, of one row of tiles, without zeros around them; the
  // later half of a picture's channels.
  for (Size size : {Size{24, 40, 13, 11, 1}, {19, 33, 14, 14, 1}, {64, 64, 9, 22, 0}, {32, 48, 3, 5, 1}, {130, 130, 7, 7, 1}, {32, 40, 13, 11, 1, 32}})
    for (int64_t images : {1, 3}) {
      SCOPED_TRACE(std::to_string(size.channels) + " channels, " + std::to_string(images) + " pictures");
      expectSame(convolution(size), {images});
    }
}

TEST(Winograd, WholeNumbersWrapAround) {
  // Filters and squares of the largest magnitudes, so many channels that sums of products wrap around: what is left is the sum itself.
  std::mt19937 generator(1);
  for (unsigned m : {2u, 4u}) {
    mlir::bigm::cpu::Filtering f(m, 3, true);
    auto transform = [&](const std::vector<std::vector<double>> &matrix, const std::vector<std::vector<int64_t>> &x) {
      std::vector<std::vector<int64_t>> half(matrix.size(), std::vector<int64_t>(x.size())), result(matrix.size(), std::vector<int64_t>(matrix.size()));
      for (size_t i = 0; i < matrix.size(); ++i)
        for (size_t j = 0; j < x.size(); ++j)
          for (size_t k = 0; k < x.size(); ++k)
            half[i][j] += int64_t(matrix[i][k]) * x[k][j];
      for (size_t i = 0; i < matrix.size(); ++i)
        for (size_t j = 0; j < matrix.size(); ++j)
          for (size_t k = 0; k < x.size(); ++k)
            result[i][j] += half[i][k] * int64_t(matrix[j][k]);
      return result;
    };
    for (bool extreme : {false, true}) {
      std::vector<std::vector<int64_t>> sums(f.size, std::vector<int64_t>(f.size)), want(m, std::vector<int64_t>(m));
      for (int channel = 0; channel < 1820; ++channel) {
        std::vector<std::vector<int64_t>> d(f.size, std::vector<int64_t>(f.size, 255)), g(3, std::vector<int64_t>(3, -128));
        for (auto *square : {&d, &g})
          for (auto &row : *square)
            for (int64_t &value : row)
              if (!extreme && generator() % 2)
                value = square == &d ? 0 : 127;
        auto v = transform(f.b, d), u = transform(f.g, g);
        for (size_t i = 0; i < f.size; ++i)
          for (size_t j = 0; j < f.size; ++j) {
            ASSERT_EQ(v[i][j], int16_t(v[i][j]));
            ASSERT_EQ(u[i][j], int16_t(u[i][j]));
            sums[i][j] = int32_t(uint32_t(sums[i][j]) + uint32_t(v[i][j] * u[i][j]));
          }
        for (size_t i = 0; i < m; ++i)
          for (size_t j = 0; j < m; ++j)
            for (size_t k = 0; k < 9; ++k)
              want[i][j] += d[i + k / 3][j + k % 3] * g[k / 3][k % 3];
      }
      auto back = transform(f.a, sums);
      for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < m; ++j)
          EXPECT_EQ(int32_t(uint32_t(back[i][j]) * uint32_t(f.inverse)) >> f.shift, want[i][j]) << m;
    }
  }
}

TEST(Winograd, WholeNumbers) {
  // Products of bytes of either sign are exact: what is put around the picture is zero or not, channels fill vectors of pairs, columns
  // do not. Tiles of four hold no filters of u8, and pairs no part of a vector of channels.
  struct Bytes {
    std::string x, w;
    int64_t channels, columns, height, width, around, tile;
  };
  for (const Bytes &c : {Bytes{"ui8", "i8", 64, 40, 13, 11, 0, 4}, {"ui8", "i8", 32, 64, 14, 15, 126, 4}, {"i8", "i8", 96, 33, 9, 8, 0, 4},
                         {"ui8", "ui8", 64, 48, 12, 10, 0, 2}, {"ui8", "i8", 24, 64, 13, 11, 0, 0}}) {
    std::string text = R"(#x = affine_map<()[s0] -> (s0, $H, $W, $C)>
      #p = affine_map<()[s0] -> (s0, $I, $J, $C)>
      #y = affine_map<()[s0] -> (s0, $H, $W, $O)>
      func.func @f(%x: tensor<?x$Hx$Wx$Cx$X, #x> {bigm.full}, %w: tensor<$Ox$Cx3x3x$B> {bigm.full, bigm.tensor = 0 : i64})
          -> tensor<?x$Hx$Wx$Oxi32, #y> attributes {bigm.symbols = ["N"]} {
      %z = bigm.constant $Z : $X -> tensor<$X>
      %p = bigm.pad %x, %z low [0, 1, 1, 0] high [0, 1, 1, 0] interior [0, 0, 0, 0] : (tensor<?x$Hx$Wx$Cx$X, #x>, tensor<$X>) -> tensor<?x$Ix$Jx$Cx$X, #p>
      %a = bigm.contract %p, %w lhs affine_map<(n, h, w, o, c, i, j) -> (n, h + i, w + j, c)> rhs affine_map<(n, h, w, o, c, i, j) -> (o, c, i, j)>
          reduced affine_map<()[s0] -> ($C, 3, 3)> : (tensor<?x$Ix$Jx$Cx$X, #p>, tensor<$Ox$Cx3x3x$B>) -> tensor<?x$Hx$Wx$Oxi32, #y>
      return %a : tensor<?x$Hx$Wx$Oxi32, #y> })";
    std::map<char, std::string> parts = {{'C', std::to_string(c.channels)}, {'O', std::to_string(c.columns)}, {'H', std::to_string(c.height)}, {'W', std::to_string(c.width)},
                                         {'I', std::to_string(c.height + 2)}, {'J', std::to_string(c.width + 2)}, {'X', c.x}, {'B', c.w}, {'Z', std::to_string(c.around)}};
    for (size_t at; (at = text.find('$')) != std::string::npos;)
      text.replace(at, 2, parts.at(text[at + 1]));
    SCOPED_TRACE(text);
    EXPECT_EQ(tileOf(text, "x86-64-v3"), c.tile);
    for (int64_t images : {1, 3})
      expectSame(text, {images}, 0);
  }
}

TEST(Winograd, ThreeDimensions) {
  // Zeros around the depth, or behind it alone, that the kernel does not find by itself; steps of the depth forwards and backwards, as in
  // a gradient; a stride of the depth, which is not filtered; something added behind.
  struct Deep {
    int low, high, stride;
    const char *place;
  };
  for (Deep deep : {Deep{1, 1, 1, "d + k"}, {0, 2, 1, "d + k"}, {0, 0, 1, "d - k + 2"}, {1, 1, 2, "2 * d + k"}}) {
    std::string text = R"(#x = affine_map<()[s0] -> (s0, 24, 5, 13, 11)>
      #p = affine_map<()[s0] -> (s0, 24, $I, 15, 13)>
      #y = affine_map<()[s0] -> (s0, 40, $D, 13, 11)>
      #r = affine_map<()[s0] -> (s0, 5, $D, 13, 11)>
      func.func @f(%x: tensor<?x24x5x13x11xf32, #x>, %w: tensor<40x24x3x3x3xf32>, %u: tensor<?x40x$Dx13x11xf32, #y>, %v: tensor<5x40xf32>)
          -> tensor<?x5x$Dx13x11xf32, #r> attributes {bigm.symbols = ["N"]} {
      %z = bigm.constant 0.0 : f32 -> tensor<f32>
      %p = bigm.pad %x, %z low [0, 0, $L, 1, 1] high [0, 0, $H, 1, 1] interior [0, 0, 0, 0, 0]
          : (tensor<?x24x5x13x11xf32, #x>, tensor<f32>) -> tensor<?x24x$Ix15x13xf32, #p>
      %a = bigm.contract %p, %w lhs affine_map<(n, o, d, h, w, c, k, i, j) -> (n, c, $K, h + i, w + j)>
          rhs affine_map<(n, o, d, h, w, c, k, i, j) -> (o, c, k, i, j)> reduced affine_map<()[s0] -> (24, 3, 3, 3)>
          : (tensor<?x24x$Ix15x13xf32, #p>, tensor<40x24x3x3x3xf32>) -> tensor<?x40x$Dx13x11xf32, #y>
      %s = bigm.add %a, %u : tensor<?x40x$Dx13x11xf32, #y>
      %b = bigm.contract %s, %v lhs affine_map<(n, o, d, h, w, c) -> (n, c, d, h, w)> rhs affine_map<(n, o, d, h, w, c) -> (o, c)>
          reduced affine_map<()[s0] -> (40)>
          : (tensor<?x40x$Dx13x11xf32, #y>, tensor<5x40xf32>) -> tensor<?x5x$Dx13x11xf32, #r>
      return %b : tensor<?x5x$Dx13x11xf32, #r> })";
    int padded = 5 + deep.low + deep.high;
    std::map<char, std::string> parts = {{'L', std::to_string(deep.low)}, {'H', std::to_string(deep.high)}, {'I', std::to_string(padded)},
                                         {'D', std::to_string((padded - 3) / deep.stride + 1)}, {'K', deep.place}};
    for (size_t at; (at = text.find('$')) != std::string::npos;)
      text.replace(at, 2, parts.at(text[at + 1]));
    SCOPED_TRACE(text);
    EXPECT_EQ(tileOf(text, "x86-64-v3"), deep.stride == 1 ? 4 : 0);
    for (int64_t images : {1, 3})
      expectSame(text, {images});
  }
}

TEST(Winograd, GradientToTheInput) {
  // It reads its window backwards, and weights whose columns are the channels of the convolution.
  std::string text = R"(#g = affine_map<()[s0] -> (s0, 40, 13, 11)>
    #p = affine_map<()[s0] -> (s0, 40, 15, 13)>
    #x = affine_map<()[s0] -> (s0, 24, 13, 11)>
    #r = affine_map<()[s0] -> (s0, 5, 13, 11)>
    func.func @f(%g: tensor<?x40x13x11xf32, #g>, %w: tensor<40x24x3x3xf32>, %v: tensor<5x24xf32>)
        -> tensor<?x5x13x11xf32, #r> attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %p = bigm.pad %g, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
        : (tensor<?x40x13x11xf32, #g>, tensor<f32>) -> tensor<?x40x15x13xf32, #p>
    %a = bigm.contract %p, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h - i + 2, w - j + 2)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (c, o, i, j)> reduced affine_map<()[s0] -> (40, 3, 3)>
        : (tensor<?x40x15x13xf32, #p>, tensor<40x24x3x3xf32>) -> tensor<?x24x13x11xf32, #x>
    %b = bigm.contract %a, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> (24)> : (tensor<?x24x13x11xf32, #x>, tensor<5x24xf32>) -> tensor<?x5x13x11xf32, #r>
    return %b : tensor<?x5x13x11xf32, #r> })";
  EXPECT_EQ(tileOf(text, "x86-64-v3"), 4);
  expectSame(text, {2});
}

TEST(Winograd, GradientToTheWeights) {
  auto gradient = [](const std::string &c, const std::string &o, const std::string &h, const std::string &w) {
    std::string text = R"(#x = affine_map<()[s0] -> (s0, $C, $H, $W)>
    #y = affine_map<()[s0] -> (s0, $O, $H, $W)>
    #p = affine_map<()[s0] -> (s0, $C, $H + 2, $W + 2)>
    func.func @f(%x: tensor<?x$Cx$Hx$Wxf32, #x>, %g: tensor<?x$Ox$Hx$Wxf32, #y>, %w: tensor<$Ox$Cx3x3xf32>)
        -> tensor<$Ox$Cx3x3xf32> attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %p = bigm.pad %x, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
        : (tensor<?x$Cx$Hx$Wxf32, #x>, tensor<f32>) -> tensor<?x$Cx$Ix$Jxf32, #p>
    %a = bigm.contract %g, %p lhs affine_map<(o, c, i, j, n, h, w) -> (n, o, h, w)>
        rhs affine_map<(o, c, i, j, n, h, w) -> (n, c, h + i, w + j)> reduced affine_map<()[s0] -> (s0, $H, $W)>
        : (tensor<?x$Ox$Hx$Wxf32, #y>, tensor<?x$Cx$Ix$Jxf32, #p>) -> tensor<$Ox$Cx3x3xf32>
    %b = bigm.add %w, %a : tensor<$Ox$Cx3x3xf32>
    return %b : tensor<$Ox$Cx3x3xf32> })";
    auto more = [](const std::string &n) { return std::to_string(std::stoi(n) + 2); };
    std::map<char, std::string> numbers = {{'C', c}, {'O', o}, {'H', h}, {'W', w}, {'I', more(h)}, {'J', more(w)}};
    for (const char *sum : {"$H + 2", "$W + 2"})
      text.replace(text.find(sum), 6, more(sum[1] == 'H' ? h : w));
    for (size_t at; (at = text.find('$')) != std::string::npos;)
      text.replace(at, 2, numbers.at(text[at + 1]));
    return text;
  };
  // Channels and columns that fill no block and no vector; more tiles than go together; more panels than one unit has.
  for (std::string text : {gradient("24", "40", "13", "11"), gradient("19", "33", "14", "14"), gradient("100", "130", "9", "10")}) {
    EXPECT_EQ(tileOf(text, "x86-64-v3"), 4);
    for (int64_t images : {1, 3, 13})
      expectSame(text, {images});
  }
}

TEST(Winograd, WhereItPays) {
  for (std::string target : {"x86-64-v3", "x86-64-v4"}) {
    EXPECT_EQ(tileOf(convolution({64, 64, 56, 56, 1}), target), 4);
    EXPECT_EQ(tileOf(convolution({24, 40, 13, 11, 1}), target), 4);
    EXPECT_EQ(tileOf(convolution({3, 64, 56, 56, 1}), target), 0) << "few channels: the transforms cost more than they save";
    EXPECT_EQ(tileOf(convolution({512, 512, 7, 7, 1}), target), 2) << "weights that come from memory for few tiles";
  }
}
