// Contractions: products of matrices, convolutions and their gradients, on sizes that fill no block.
#include "Harness.h"
#include <array>
#include <gtest/gtest.h>
#include <map>

using bigm::test::expectSame, bigm::test::expectSameOn;

TEST(Contract, Matrices) {
  for (int64_t n : {1, 5, 14, 33}) {
    SCOPED_TRACE(n);
    // x[n, i] w[i, o], x[n, i] w[o, i] (as Linear keeps its weights), and the gradient to the weights.
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 39)>
    #y = affine_map<()[s0] -> (s0, 77)>
    func.func @f(%x: tensor<?x39xf32, #x>, %w: tensor<39x77xf32>, %v: tensor<77x39xf32>, %g: tensor<?x77xf32, #y>)
        -> (tensor<?x77xf32, #y>, tensor<?x77xf32, #y>, tensor<77x39xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (39)> : (tensor<?x39xf32, #x>, tensor<39x77xf32>) -> tensor<?x77xf32, #y>
    %b = bigm.contract %x, %v lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (o, i)>
        reduced affine_map<()[s0] -> (39)> : (tensor<?x39xf32, #x>, tensor<77x39xf32>) -> tensor<?x77xf32, #y>
    %c = bigm.contract %g, %x lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
        reduced affine_map<()[s0] -> (s0)> : (tensor<?x77xf32, #y>, tensor<?x39xf32, #x>) -> tensor<77x39xf32>
    return %a, %b, %c : tensor<?x77xf32, #y>, tensor<?x77xf32, #y>, tensor<77x39xf32> })",
               {n});
  }
}

TEST(Contract, Batched) {
  expectSame(R"(#q = affine_map<()[s0, s1] -> (s0, 3, s1, 10)>
    #s = affine_map<()[s0, s1] -> (s0, 3, s1, s1)>
    func.func @f(%q: tensor<?x3x?x10xf32, #q>, %k: tensor<?x3x?x10xf32, #q>) -> (tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q>)
        attributes {bigm.symbols = ["N", "T"]} {
    %s = bigm.contract %q, %k lhs affine_map<(n, h, t, u, d) -> (n, h, t, d)> rhs affine_map<(n, h, t, u, d) -> (n, h, u, d)>
        reduced affine_map<()[s0, s1] -> (10)> : (tensor<?x3x?x10xf32, #q>, tensor<?x3x?x10xf32, #q>) -> tensor<?x3x?x?xf32, #s>
    %o = bigm.contract %s, %k lhs affine_map<(n, h, t, d, u) -> (n, h, t, u)> rhs affine_map<(n, h, t, d, u) -> (n, h, u, d)>
        reduced affine_map<()[s0, s1] -> (s1)> : (tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q>) -> tensor<?x3x?x10xf32, #q>
    return %s, %o : tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q> })",
             {2, 19});
}

TEST(Contract, Convolution) {
  // Forward with stride 2; gradient to the weights of one with stride 1.
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 5, 11, 13)>
    #y = affine_map<()[s0] -> (s0, 18, 5, 6)>
    #z = affine_map<()[s0] -> (s0, 18, 9, 11)>
    func.func @f(%x: tensor<?x5x11x13xf32, #x>, %w: tensor<18x5x3x3xf32>, %g: tensor<?x18x9x11xf32, #z>)
        -> (tensor<?x18x5x6xf32, #y>, tensor<18x5x3x3xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h * 2 + i, w * 2 + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (5, 3, 3)>
        : (tensor<?x5x11x13xf32, #x>, tensor<18x5x3x3xf32>) -> tensor<?x18x5x6xf32, #y>
    %b = bigm.contract %g, %x lhs affine_map<(o, c, i, j, n, h, w) -> (n, o, h, w)>
        rhs affine_map<(o, c, i, j, n, h, w) -> (n, c, h + i, w + j)> reduced affine_map<()[s0] -> (s0, 9, 11)>
        : (tensor<?x18x9x11xf32, #z>, tensor<?x5x11x13xf32, #x>) -> tensor<18x5x3x3xf32>
    return %a, %b : tensor<?x18x5x6xf32, #y>, tensor<18x5x3x3xf32> })",
             {3});
}

TEST(Contract, Depthwise) {
  // Forward with stride 2, the gradient to the input of one with stride 1, the gradient to the weights.
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 37, 1, 11, 13)>
    #y = affine_map<()[s0] -> (s0, 37, 1, 5, 6)>
    #z = affine_map<()[s0] -> (s0, 37, 1, 9, 11)>
    func.func @f(%x: tensor<?x37x1x11x13xf32, #x>, %w: tensor<37x1x1x3x3xf32>, %g: tensor<?x37x1x9x11xf32, #z>)
        -> (tensor<?x37x1x5x6xf32, #y>, tensor<37x1x1x3x3xf32>, tensor<?x37x1x9x11xf32, #z>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, g, o, h, w, c, i, j) -> (n, g, c, h * 2 + i, w * 2 + j)>
        rhs affine_map<(n, g, o, h, w, c, i, j) -> (g, o, c, i, j)> reduced affine_map<()[s0] -> (1, 3, 3)>
        : (tensor<?x37x1x11x13xf32, #x>, tensor<37x1x1x3x3xf32>) -> tensor<?x37x1x5x6xf32, #y>
    %b = bigm.contract %g, %x lhs affine_map<(g, o, c, i, j, n, h, w) -> (n, g, o, h, w)>
        rhs affine_map<(g, o, c, i, j, n, h, w) -> (n, g, c, h + i, w + j)> reduced affine_map<()[s0] -> (s0, 9, 11)>
        : (tensor<?x37x1x9x11xf32, #z>, tensor<?x37x1x11x13xf32, #x>) -> tensor<37x1x1x3x3xf32>
    %c = bigm.contract %x, %w lhs affine_map<(n, g, c, h, w, o, i, j) -> (n, g, o, h - i + 2, w - j + 2)>
        rhs affine_map<(n, g, c, h, w, o, i, j) -> (g, o, c, i, j)> reduced affine_map<()[s0] -> (1, 3, 3)>
        : (tensor<?x37x1x11x13xf32, #x>, tensor<37x1x1x3x3xf32>) -> tensor<?x37x1x9x11xf32, #z>
    return %a, %b, %c : tensor<?x37x1x5x6xf32, #y>, tensor<37x1x1x3x3xf32>, tensor<?x37x1x9x11xf32, #z> })",
             {3});
}

TEST(Contract, Panels) {
  // Operands that are packed: edges of rows, of columns and of groups of panels; a transposed right operand, a batched
  // one, a long sum.
  for (int64_t n : {1, 61}) {
    SCOPED_TRACE(n);
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 131)>
    #y = affine_map<()[s0] -> (s0, 211)>
    #b = affine_map<()[s0] -> (3, s0, 131)>
    #c = affine_map<()[s0] -> (3, s0, 211)>
    func.func @f(%x: tensor<?x131xf32, #x>, %w: tensor<131x211xf32>, %v: tensor<211x131xf32>, %b: tensor<3x?x131xf32, #b>,
                 %u: tensor<3x131x211xf32>)
        -> (tensor<?x211xf32, #y>, tensor<?x211xf32, #y>, tensor<3x?x211xf32, #c>) attributes {bigm.symbols = ["N"]} {
    %p = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (131)> : (tensor<?x131xf32, #x>, tensor<131x211xf32>) -> tensor<?x211xf32, #y>
    %q = bigm.contract %x, %v lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (o, i)>
        reduced affine_map<()[s0] -> (131)> : (tensor<?x131xf32, #x>, tensor<211x131xf32>) -> tensor<?x211xf32, #y>
    %r = bigm.contract %b, %u lhs affine_map<(h, n, o, i) -> (h, n, i)> rhs affine_map<(h, n, o, i) -> (h, i, o)>
        reduced affine_map<()[s0] -> (131)> : (tensor<3x?x131xf32, #b>, tensor<3x131x211xf32>) -> tensor<3x?x211xf32, #c>
    return %p, %q, %r : tensor<?x211xf32, #y>, tensor<?x211xf32, #y>, tensor<3x?x211xf32, #c> })",
               {n});
  }
  expectSame(R"(func.func @f(%x: tensor<37x1024xf32>, %w: tensor<1024x601xf32>) -> tensor<37x601xf32> {
    %p = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<() -> (1024)> : (tensor<37x1024xf32>, tensor<1024x601xf32>) -> tensor<37x601xf32>
    return %p : tensor<37x601xf32> })");
}

TEST(Contract, ChunksAndRowsOfSeveralLoops) {
  // A convolution whose sum is longer than a chunk: blocks of rows go on in the next line and the next picture, the last
  // of all is not full, and an epilogue reads a tensor as large as the result.
  for (int64_t n : {1, 3})
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 70, 9, 7)>
    #y = affine_map<()[s0] -> (s0, 37, 7, 5)>
    func.func @f(%x: tensor<?x70x9x7xf32, #x>, %w: tensor<37x70x3x3xf32>, %r: tensor<?x37x7x5xf32, #y>)
        -> tensor<?x37x7x5xf32, #y> attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (70, 3, 3)>
        : (tensor<?x70x9x7xf32, #x>, tensor<37x70x3x3xf32>) -> tensor<?x37x7x5xf32, #y>
    %b = bigm.add %a, %r : tensor<?x37x7x5xf32, #y>
    return %b : tensor<?x37x7x5xf32, #y> })",
               {n});
  // Rows four pages apart, packed; a single row of an open size; one row alone.
  for (int64_t n : {1, 2, 19})
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 4096)>
    #y = affine_map<()[s0] -> (s0, 50)>
    func.func @f(%x: tensor<?x4096xf32, #x>, %w: tensor<4096x50xf32>, %v: tensor<1x4096xf32>)
        -> (tensor<?x50xf32, #y>, tensor<1x50xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (4096)> : (tensor<?x4096xf32, #x>, tensor<4096x50xf32>) -> tensor<?x50xf32, #y>
    %b = bigm.contract %v, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (4096)> : (tensor<1x4096xf32>, tensor<4096x50xf32>) -> tensor<1x50xf32>
    return %a, %b : tensor<?x50xf32, #y>, tensor<1x50xf32> })",
               {n});
}

TEST(Contract, PanelsOfRows) {
  // Sums that walk through the rows' operand in long strides: the gradient to the weights of a linear layer, rows of a
  // symbolic number (what is left runs by fours and ones), the gradient to the weights of a convolution.
  for (int64_t n : {3, 61}) {
    SCOPED_TRACE(n);
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 213)>
    #g = affine_map<()[s0] -> (s0, 301)>
    #t = affine_map<()[s0] -> (301, s0)>
    #y = affine_map<()[s0] -> (s0, 213)>
    func.func @f(%x: tensor<?x213xf32, #x>, %g: tensor<?x301xf32, #g>, %t: tensor<301x?xf32, #t>, %w: tensor<301x213xf32>)
        -> (tensor<301x213xf32>, tensor<?x213xf32, #y>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %g, %x lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
        reduced affine_map<()[s0] -> (s0)> : (tensor<?x301xf32, #g>, tensor<?x213xf32, #x>) -> tensor<301x213xf32>
    %b = bigm.contract %t, %w lhs affine_map<(n, i, o) -> (o, n)> rhs affine_map<(n, i, o) -> (o, i)>
        reduced affine_map<()[s0] -> (301)> : (tensor<301x?xf32, #t>, tensor<301x213xf32>) -> tensor<?x213xf32, #y>
    return %a, %b : tensor<301x213xf32>, tensor<?x213xf32, #y> })",
               {n});
  }
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 9, 8, 70)>
    #g = affine_map<()[s0] -> (s0, 4, 3, 131)>
    func.func @f(%x: tensor<?x9x8x70xf32, #x>, %g: tensor<?x4x3x131xf32, #g>) -> tensor<131x70x3x3xf32>
        attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %g, %x lhs affine_map<(o, c, i, j, n, h, w) -> (n, h, w, o)>
        rhs affine_map<(o, c, i, j, n, h, w) -> (n, h * 2 + i, w * 2 + j, c)> reduced affine_map<()[s0] -> (s0, 4, 3)>
        : (tensor<?x4x3x131xf32, #g>, tensor<?x9x8x70xf32, #x>) -> tensor<131x70x3x3xf32>
    return %a : tensor<131x70x3x3xf32> })",
             {3});
}

TEST(Contract, ResultsDownColumns) {
  // The gradient to the weights of a convolution with an update behind it, in units and rows that fill no register, from a
  // picture whose channels lie side by side and one whose do not; a convolution whose result lies channels first.
  const std::string text = R"(#x = affine_map<()[s0] -> ($X)>
    #g = affine_map<()[s0] -> (s0, 6, 6, 83)>
    func.func @f(%x: tensor<$Txf32, #x>, %g: tensor<?x6x6x83xf32, #g>, %w: tensor<83x149x3x3xf32>, %m: tensor<83x149x3x3xf32>)
        -> (tensor<83x149x3x3xf32>, tensor<83x149x3x3xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %g, %x lhs affine_map<(o, c, i, j, n, h, w) -> (n, h, w, o)>
        rhs affine_map<(o, c, i, j, n, h, w) -> ($P)> reduced affine_map<()[s0] -> (s0, 6, 6)>
        : (tensor<?x6x6x83xf32, #g>, tensor<$Txf32, #x>) -> tensor<83x149x3x3xf32>
    %b = bigm.add %m, %a : tensor<83x149x3x3xf32>
    %c = bigm.sub %w, %b : tensor<83x149x3x3xf32>
    return %b, %c : tensor<83x149x3x3xf32>, tensor<83x149x3x3xf32> })";
  auto with = [&](const std::string &size, const std::string &type, const std::string &place) {
    std::string own = text;
    for (auto [name, value] : {std::pair("$X", size), {"$T", type}, {"$P", place}})
      for (size_t at; (at = own.find(name)) != std::string::npos;)
        own.replace(at, 2, value);
    return own;
  };
  for (int64_t n : {1, 7}) {
    expectSame(with("s0, 8, 8, 149", "?x8x8x149", "n, h + i, w + j, c"), {n});
    expectSame(with("s0, 149, 8, 8", "?x149x8x8", "n, c, h + i, w + j"), {n});
  }
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 9, 11, 24)>
    #y = affine_map<()[s0] -> (s0, 20, 7, 9)>
    func.func @f(%x: tensor<?x9x11x24xf32, #x>, %w: tensor<3x3x24x20xf32>) -> tensor<?x20x7x9xf32, #y> attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, i, j, c) -> (n, h + i, w + j, c)>
        rhs affine_map<(n, o, h, w, i, j, c) -> (i, j, c, o)> reduced affine_map<()[s0] -> (3, 3, 24)>
        : (tensor<?x9x11x24xf32, #x>, tensor<3x3x24x20xf32>) -> tensor<?x20x7x9xf32, #y>
    return %a : tensor<?x20x7x9xf32, #y> })",
             {3});
}

TEST(Contract, DepthwiseAndIntegers) {
  expectSame(R"(func.func @f(%x: tensor<2x9x8x8xf32>, %w: tensor<9x3x3xf32>, %i: tensor<5x6xi32>, %j: tensor<6x7xi32>)
        -> (tensor<2x9x6x6xf32>, tensor<5x7xi32>) {
    %a = bigm.contract %x, %w lhs affine_map<(n, c, h, w, i, j) -> (n, c, h + i, w + j)>
        rhs affine_map<(n, c, h, w, i, j) -> (c, i, j)> reduced affine_map<() -> (3, 3)>
        : (tensor<2x9x8x8xf32>, tensor<9x3x3xf32>) -> tensor<2x9x6x6xf32>
    %b = bigm.contract %i, %j lhs affine_map<(m, n, k) -> (m, k)> rhs affine_map<(m, n, k) -> (k, n)>
        reduced affine_map<() -> (6)> : (tensor<5x6xi32>, tensor<6x7xi32>) -> tensor<5x7xi32>
    return %a, %b : tensor<2x9x6x6xf32>, tensor<5x7xi32> })");
}

TEST(Contract, NarrowOperands) {
  // Small ones as they lie, larger ones in panels of f32; the sum is kept in f32, which 300 products in bf16 would show.
  for (auto [m, n, k] : std::vector<std::array<int64_t, 3>>{{5, 7, 300}, {70, 150, 130}}) {
    for (const char *element : {"bf16", "f16"}) {
      SCOPED_TRACE(std::string(element) + " " + std::to_string(m));
      auto type = [&](int64_t a, int64_t b) {
        return "tensor<" + std::to_string(a) + "x" + std::to_string(b) + "x" + element + ">";
      };
      std::string A = type(m, k), B = type(k, n), C = type(m, n), D = type(k, n);
      expectSame("func.func @f(%a: " + A + ", %b: " + B + ") -> (" + C + ", " + D + ") {\n"
                 "%c = bigm.contract %a, %b lhs affine_map<(i, j, l) -> (i, l)> rhs affine_map<(i, j, l) -> (l, j)> "
                 "reduced affine_map<() -> (" + std::to_string(k) + ")> : (" + A + ", " + B + ") -> " + C + "\n"
                 "%r = bigm.exp %c : " + C + "\n"
                 "%d = bigm.contract %a, %c lhs affine_map<(l, j, i) -> (i, l)> rhs affine_map<(l, j, i) -> (i, j)> "
                 "reduced affine_map<() -> (" + std::to_string(m) + ")> : (" + A + ", " + C + ") -> " + D + "\n"
                 "return %c, %d : " + C + ", " + D + "\n}",
                 {}, 1e-2);
    }
  }
}

TEST(Contract, ProductsOfBf16OnTiles) {
  // Where the target has AMX: rows of two dimensions, one of them open, weights as Linear keeps them, an epilogue that reads
  // another tensor; and the gradient to the weights, whose sum is open and too short for a tile when N is 1.
  for (int64_t n : {1, 2, 5}) {
    SCOPED_TRACE(n);
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 37, 70)>
      #y = affine_map<()[s0] -> (s0, 37, 150)>
      func.func @f(%x: tensor<?x37x70xbf16, #x>, %w: tensor<150x70xbf16>, %g: tensor<?x37x150xbf16, #y>)
          -> (tensor<?x37x150xbf16, #y>, tensor<150x70xbf16>) attributes {bigm.symbols = ["N"]} {
      %a = bigm.contract %x, %w lhs affine_map<(n, t, o, i) -> (n, t, i)> rhs affine_map<(n, t, o, i) -> (o, i)>
          reduced affine_map<()[s0] -> (70)> : (tensor<?x37x70xbf16, #x>, tensor<150x70xbf16>) -> tensor<?x37x150xbf16, #y>
      %d = bigm.mul %a, %g : tensor<?x37x150xbf16, #y>
      %e = bigm.contract %g, %x lhs affine_map<(o, i, n, t) -> (n, t, o)> rhs affine_map<(o, i, n, t) -> (n, t, i)>
          reduced affine_map<()[s0] -> (s0, 37)> : (tensor<?x37x150xbf16, #y>, tensor<?x37x70xbf16, #x>) -> tensor<150x70xbf16>
      return %d, %e : tensor<?x37x150xbf16, #y>, tensor<150x70xbf16> })",
               {n}, 1e-2);
  }
}

/// Processors that add products of pairs of bf16, and that multiply bytes in registers of either width or not at all.
static const std::vector<std::string> pairs = {"x86-64-v2", "x86-64-v3", "znver4", "sapphirerapids"},
                                      bytes = {"x86-64-v2", "x86-64-v3", "x86-64-v4", "alderlake", "znver4"};

TEST(Contract, ProductsOfBf16InPairs) {
  // Where the target adds products of pairs: sums of odd and even length, edges both ways, columns of one panel and of many,
  // weights by rows and by columns, an epilogue, and lengths that put rows a page apart.
  for (auto [m, n, k] : std::vector<std::array<int64_t, 3>>{
           {1, 300, 317}, {3, 177, 200}, {17, 77, 131}, {17, 33, 128}, {77, 17, 78}, {64, 96, 2048}, {100, 5, 203}})
    for (bool byRows : {false, true}) {
      SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (byRows ? " by rows" : ""));
      auto type = [](int64_t a, int64_t b) { return "tensor<" + std::to_string(a) + "x" + std::to_string(b) + "xbf16>"; };
      std::string A = type(m, k), B = byRows ? type(n, k) : type(k, n), C = type(m, n);
      expectSameOn(pairs, "func.func @f(%a: " + A + ", %b: " + B + " {bigm.tensor = 0 : i64}, %g: " + C + ") -> " + C + " {\n"
                 "%c = bigm.contract %a, %b lhs affine_map<(i, j, l) -> (i, l)> rhs affine_map<(i, j, l) -> " +
                 (byRows ? "(j, l)" : "(l, j)") + "> reduced affine_map<() -> (" + std::to_string(k) + ")> : (" + A + ", " + B +
                 ") -> " + C + "\n%d = bigm.mul %c, %g : " + C + "\nreturn %d : " + C + "\n}",
                 {}, 1e-2);
    }
}
TEST(Contract, BatchesOfBf16InPairs) {
  // Products for each head, of an open number of rows and over an open sum; and a convolution, whose windows are read as they
  // lie where channels are even.
  for (int64_t t : {1, 3, 64, 77}) {
    SCOPED_TRACE(t);
    expectSameOn(pairs, R"(#q = affine_map<()[s0] -> (2, 3, s0, 34)>
      #s = affine_map<()[s0] -> (2, 3, s0, s0)>
      func.func @f(%q: tensor<2x3x?x34xbf16, #q>, %k: tensor<2x3x?x34xbf16, #q>)
          -> (tensor<2x3x?x?xbf16, #s>, tensor<2x3x?x34xbf16, #q>) attributes {bigm.symbols = ["T"]} {
      %s = bigm.contract %q, %k lhs affine_map<(b, h, i, j, d) -> (b, h, i, d)> rhs affine_map<(b, h, i, j, d) -> (b, h, j, d)>
          reduced affine_map<()[s0] -> (34)> : (tensor<2x3x?x34xbf16, #q>, tensor<2x3x?x34xbf16, #q>) -> tensor<2x3x?x?xbf16, #s>
      %o = bigm.contract %s, %k lhs affine_map<(b, h, i, d, j) -> (b, h, i, j)> rhs affine_map<(b, h, i, d, j) -> (b, h, j, d)>
          reduced affine_map<()[s0] -> (s0)> : (tensor<2x3x?x?xbf16, #s>, tensor<2x3x?x34xbf16, #q>) -> tensor<2x3x?x34xbf16, #q>
      return %s, %o : tensor<2x3x?x?xbf16, #s>, tensor<2x3x?x34xbf16, #q> })",
               {t}, 1e-2);
  }
  for (std::string c : {"6", "7"})
    expectSameOn(pairs, "func.func @f(%x: tensor<2x9x11x" + c + "xbf16>, %w: tensor<3x3x" + c + "x40xbf16>) -> tensor<2x7x9x40xbf16> {\n"
               "%y = bigm.contract %x, %w lhs affine_map<(n, h, w, o, i, j, c) -> (n, h + i, w + j, c)> "
               "rhs affine_map<(n, h, w, o, i, j, c) -> (i, j, c, o)> reduced affine_map<() -> (3, 3, " + c + ")> "
               ": (tensor<2x9x11x" + c + "xbf16>, tensor<3x3x" + c + "x40xbf16>) -> tensor<2x7x9x40xbf16>\n"
               "return %y : tensor<2x7x9x40xbf16> }",
               {}, 1e-2);
}

TEST(Contract, ProductsOfBytes) {
  // Sums of products of u8 and i8 are exact in i32, on every target: rows as they lie and copied, words that end inside of the sum,
  // factors in either order and of one sign, one row and an open number, weights by rows and by columns.
  for (auto [n, o, k] : std::vector<std::array<int64_t, 3>>{{1, 37, 64}, {5, 7, 33}, {70, 150, 132}, {129, 64, 576}})
    for (auto [x, w] : std::vector<std::pair<std::string, std::string>>{{"ui8", "i8"}, {"i8", "ui8"}, {"i8", "i8"}, {"ui8", "ui8"}})
      for (bool byRows : {true, false}) {
        if (k != 33 && (x != "ui8" || w != "i8"))
          continue;
        SCOPED_TRACE(std::to_string(n) + " rows, " + x + " by " + w + (byRows ? " by rows" : " by columns"));
        std::string K = std::to_string(k), O = std::to_string(o), W = "tensor<" + (byRows ? O + "x" + K : K + "x" + O) + "x" + w + ">",
                    X = "tensor<?x" + K + "x" + x + ", #x>", Y = "tensor<?x" + O + "xi32, #y>", F = "tensor<?x" + O + "xf32, #y>";
        expectSameOn(bytes, "#x = affine_map<()[s0] -> (s0, " + K + ")>\n#y = affine_map<()[s0] -> (s0, " + O + ")>\n"
                   "func.func @f(%x: " + X + " {bigm.full}, %w: " + W + " {bigm.full, bigm.tensor = 0 : i64}, %s: tensor<" + O + "xf32> {bigm.tensor = 1 : i64}) "
                   "-> (" + F + ", " + Y + ") attributes {bigm.symbols = [\"N\"]} {\n"
                   "%y = bigm.contract %x, %w lhs affine_map<(i, j, l) -> (i, l)> rhs affine_map<(i, j, l) -> " +
                   (byRows ? "(j, l)" : "(l, j)") + "> reduced affine_map<()[s0] -> (" + K + ")> : (" + X + ", " + W + ") -> " + Y + "\n"
                   "%f = bigm.cast %y : " + Y + " -> " + F + "\n%v = bigm.view %s, affine_map<(i, j) -> (j)> : tensor<" + O + "xf32> -> " + F + "\n"
                   "%z = bigm.mul %f, %v : " + F + "\nreturn %z, %y : " + F + ", " + Y + " }",
                   {n}, 0);
      }
  // Convolutions with stride, channels in words and not; of 1 x 1, a picture whose channels come first.
  for (std::string c : {"8", "6"})
    expectSameOn(bytes, "#x = affine_map<()[s0] -> (s0, " + c + ", 11, 13)>\n#y = affine_map<()[s0] -> (s0, 18, 5, 6)>\n#z = affine_map<()[s0] -> (s0, 21, 11, 13)>\n"
               "func.func @f(%x: tensor<?x" + c + "x11x13xui8, #x> {bigm.full}, %w: tensor<18x" + c + "x3x3xi8> {bigm.full, bigm.tensor = 0 : i64}, %v: tensor<21x" + c +
               "xi8> {bigm.full, bigm.tensor = 1 : i64}) -> (tensor<?x18x5x6xi32, #y>, tensor<?x21x11x13xi32, #z>) attributes {bigm.symbols = [\"N\"]} {\n"
               "%a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h * 2 + i, w * 2 + j)> "
               "rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (" + c + ", 3, 3)> "
               ": (tensor<?x" + c + "x11x13xui8, #x>, tensor<18x" + c + "x3x3xi8>) -> tensor<?x18x5x6xi32, #y>\n"
               "%b = bigm.contract %x, %v lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)> "
               "reduced affine_map<()[s0] -> (" + c + ")> : (tensor<?x" + c + "x11x13xui8, #x>, tensor<21x" + c + "xi8>) -> tensor<?x21x11x13xi32, #z>\n"
               "return %a, %b : tensor<?x18x5x6xi32, #y>, tensor<?x21x11x13xi32, #z> }",
               {3}, 0);
}

TEST(Contract, QuantisedFactors) {
  // (q - z) * s with zeros around it by weights of either kind, in whole numbers here and as f32 by the reference.
  for (auto [q, w, z, around] : std::vector<std::array<std::string, 4>>{{"ui8", "i8", "37.0", "0.0"}, {"i8", "i8", "-5.0", "0.0"}, {"ui8", "ui8", "0.0", "128.0"}}) {
    SCOPED_TRACE(q + " by " + w);
    expectSameOn(bytes, "#q = affine_map<()[s0] -> (s0, 12, 7, 9)>\n#p = affine_map<()[s0] -> (s0, 12, 9, 11)>\n#y = affine_map<()[s0] -> (s0, 21, 7, 9)>\n"
               "func.func @f(%q: tensor<?x12x7x9x" + q + ", #q> {bigm.full}, %w: tensor<21x12x3x3x" + w + "> {bigm.full, bigm.tensor = 0 : i64}) -> tensor<?x21x7x9xf32, #y> "
               "attributes {bigm.symbols = [\"N\"]} {\n"
               "%f = bigm.cast %q : tensor<?x12x7x9x" + q + ", #q> -> tensor<?x12x7x9xf32, #q>\n%z = bigm.constant " + z + " : f32 -> tensor<?x12x7x9xf32, #q>\n"
               "%d = bigm.sub %f, %z : tensor<?x12x7x9xf32, #q>\n%s = bigm.constant 0.013 : f32 -> tensor<?x12x7x9xf32, #q>\n"
               "%x = bigm.mul %d, %s : tensor<?x12x7x9xf32, #q>\n%0 = bigm.constant 0.0 : f32 -> tensor<f32>\n"
               "%p = bigm.pad %x, %0 low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0] : (tensor<?x12x7x9xf32, #q>, tensor<f32>) -> tensor<?x12x9x11xf32, #p>\n"
               "%v = bigm.cast %w : tensor<21x12x3x3x" + w + "> -> tensor<21x12x3x3xf32>\n%k = bigm.constant " + around + " : f32 -> tensor<21x12x3x3xf32>\n"
               "%u = bigm.sub %v, %k : tensor<21x12x3x3xf32>\n"
               "%c = bigm.contract %p, %u lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)> rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> "
               "reduced affine_map<()[s0] -> (12, 3, 3)> : (tensor<?x12x9x11xf32, #p>, tensor<21x12x3x3xf32>) -> tensor<?x21x7x9xf32, #y>\n"
               "return %c : tensor<?x21x7x9xf32, #y> }",
               {3});
  }
}

TEST(Contract, ZerosBetween) {
  // Transposed convolutions: steps that divide the window and do not, a low end that is a multiple of the step and is not, windows that
  // run backwards through the picture or the weights, results that end within a step, and two axes of different steps.
  struct Case {
    int64_t stride, window, low, high;
    bool backward, flipped;
  };
  for (Case c : {Case{2, 4, 2, 2, false, false}, {2, 4, 1, 3, false, true}, {2, 5, 4, 2, true, false}, {3, 5, 1, 4, false, false},
                 {3, 4, 3, 3, true, true}, {4, 7, 6, 1, false, true}, {2, 2, 1, 0, false, true}}) {
    SCOPED_TRACE("step " + std::to_string(c.stride) + ", window " + std::to_string(c.window) + ", low " + std::to_string(c.low));
    int64_t height = 5, width = 6, tall = (height - 1) * c.stride + 1 + c.low + c.high, wide = (width - 1) * 2 + 1 + 2 + 2;
    int64_t rows = tall - c.window + 1, columns = wide - 4 + 1;
    std::string H = std::to_string(rows), W = std::to_string(columns), K = std::to_string(c.window), last = std::to_string(c.window - 1);
    std::string at = c.backward ? "h - i + " + last : "h + i", weight = c.flipped ? "-i + " + last : "i";
    std::string text = R"(#x = affine_map<()[s0] -> (s0, 24, 5, 6)>
      #p = affine_map<()[s0] -> (s0, 24, $T, $U)>
      #y = affine_map<()[s0] -> (s0, 37, $H, $W)>
      func.func @f(%x: tensor<?x24x5x6xf32, #x>, %w: tensor<24x37x$Kx4xf32> {bigm.tensor = 0 : i64}, %b: tensor<?x37x$Hx$Wxf32, #y>)
          -> tensor<?x37x$Hx$Wxf32, #y> attributes {bigm.symbols = ["N"]} {
      %z = bigm.constant 0.0 : f32 -> tensor<f32>
      %p = bigm.pad %x, %z low [0, 0, $L, 2] high [0, 0, $M, 2] interior [0, 0, $I, 1] : (tensor<?x24x5x6xf32, #x>, tensor<f32>) -> tensor<?x24x$Tx$Uxf32, #p>
      %c = bigm.contract %p, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, $A, w + j)>
          rhs affine_map<(n, o, h, w, c, i, j) -> (c, o, $B, -j + 3)> reduced affine_map<()[s0] -> (24, $K, 4)>
          : (tensor<?x24x$Tx$Uxf32, #p>, tensor<24x37x$Kx4xf32>) -> tensor<?x37x$Hx$Wxf32, #y>
      %r = bigm.add %c, %b : tensor<?x37x$Hx$Wxf32, #y>
      return %r : tensor<?x37x$Hx$Wxf32, #y> })";
    std::map<char, std::string> values = {{'H', H}, {'W', W}, {'K', K}, {'T', std::to_string(tall)}, {'U', std::to_string(wide)}, {'A', at}, {'B', weight},
                                          {'L', std::to_string(c.low)}, {'M', std::to_string(c.high)}, {'I', std::to_string(c.stride - 1)}};
    for (size_t place; (place = text.find('$')) != std::string::npos;)
      text.replace(place, 2, values.at(text[place + 1]));
    expectSame(text, {3});
  }
}

TEST(Contract, WeightsKeptNarrow) {
  // Weights of 8 or 16 bits with the scale of their channel, as `precision` writes them: one row (what decoding does), some rows
  // and many, weights by rows and by columns, panels and none.
  for (auto [m, n, k] : std::vector<std::array<int64_t, 3>>{{1, 150, 300}, {5, 7, 33}, {70, 150, 130}})
    for (const char *element : {"i8", "bf16", "f16"})
      for (bool byRows : {true, false}) {
        SCOPED_TRACE(std::string(element) + " " + std::to_string(m) + (byRows ? " by rows" : " by columns"));
        auto type = [](int64_t a, int64_t b, const char *of) {
          return "tensor<" + std::to_string(a) + "x" + std::to_string(b) + "x" + of + ">";
        };
        std::string A = type(m, k, "f32"), B = byRows ? type(n, k, element) : type(k, n, element),
                    W = byRows ? type(n, k, "f32") : type(k, n, "f32"), C = type(m, n, "f32"), S = "tensor<" + std::to_string(n) + "xf32>";
        expectSame("func.func @f(%a: " + A + ", %b: " + B + " {bigm.tensor = 0 : i64}, %s: " + S + " {bigm.tensor = 1 : i64}) -> " + C + " {\n"
                   "%w = bigm.cast %b : " + B + " -> " + W + "\n"
                   "%v = bigm.view %s, " + (byRows ? "affine_map<(o, l) -> (o)>" : "affine_map<(l, o) -> (o)>") + " : " + S + " -> " + W + "\n"
                   "%d = bigm.mul %w, %v : " + W + "\n"
                   "%c = bigm.contract %a, %d lhs affine_map<(i, j, l) -> (i, l)> rhs " +
                   (byRows ? "affine_map<(i, j, l) -> (j, l)>" : "affine_map<(i, j, l) -> (l, j)>") +
                   " reduced affine_map<() -> (" + std::to_string(k) + ")> : (" + A + ", " + W + ") -> " + C + "\n"
                   "return %c : " + C + "\n}");
      }
}

TEST(Contract, OneRowOfAnOpenNumber) {
  // One row goes along all of a sum that several rows go along in chunks, by several chains of sums; columns end inside of a
  // register, and the sum inside of a turn of the chains.
  for (const char *element : {"f32", "i8", "bf16"})
    for (int64_t n : {1, 2, 13}) {
      SCOPED_TRACE(std::string(element) + " " + std::to_string(n));
      std::string W = std::string("tensor<1031x703x") + element + ">", F = "tensor<1031x703xf32>";
      std::string widen = element == std::string("f32") ? "" : "%v = bigm.cast %w : " + W + " -> " + F + "\n";
      expectSame("#x = affine_map<()[s0] -> (s0, 703)>\n#y = affine_map<()[s0] -> (s0, 1031)>\n"
                 "func.func @f(%x: tensor<?x703xf32, #x>, %w: " + W + " {bigm.tensor = 0 : i64}, %s: tensor<?x1031xf32, #y>) "
                 "-> tensor<?x1031xf32, #y> attributes {bigm.symbols = [\"N\"]} {\n" + widen +
                 "%c = bigm.contract %x, " + (widen.empty() ? "%w" : "%v") + " lhs affine_map<(i, j, l) -> (i, l)> "
                 "rhs affine_map<(i, j, l) -> (j, l)> reduced affine_map<()[s0] -> (703)> : (tensor<?x703xf32, #x>, " + F +
                 ") -> tensor<?x1031xf32, #y>\n%d = bigm.add %c, %s : tensor<?x1031xf32, #y>\n"
                 "return %d : tensor<?x1031xf32, #y> }",
                 {n}, 1e-5);
    }
}

TEST(Contract, RowsDoNotDependOnHowManyThereAre) {
  // Threads run parts of a batch as batches of their own, so a row's bits may not hang on its place in a block or a unit.
  const std::string text = R"(#x = affine_map<()[s0] -> (s0, 77)>
    #y = affine_map<()[s0] -> (s0, 200)>
    func.func @f(%x: tensor<?x77xf32, #x>, %w: tensor<77x200xf32> {bigm.tensor = 0 : i64}) -> tensor<?x200xf32, #y>
        attributes {bigm.symbols = ["N"]} {
    %c = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (77)> : (tensor<?x77xf32, #x>, tensor<77x200xf32>) -> tensor<?x200xf32, #y>
    return %c : tensor<?x200xf32, #y> })";
  auto context = bigm::test::makeContext();
  for (const std::string &target : bigm::test::usualTargets()) {
    SCOPED_TRACE(target);
    bigm::test::Loaded loaded(*context, text, target);
    ASSERT_TRUE(loaded.ok());
    constexpr int64_t most = 230;
    auto arguments = bigm::test::randomArguments(loaded.function(), {most});
    auto all = loaded.run(arguments, {most}, 1)[0].data;
    for (int64_t n = 2; n < most; ++n) {
      auto some = arguments;
      some[0].shape[0] = n;
      some[0].data.resize(size_t(n * 77));
      auto own = loaded.run(some, {n}, 1)[0].data;
      EXPECT_TRUE(std::equal(own.begin(), own.end(), all.begin())) << n << " rows";
    }
  }
}
TEST(Contract, ChainOverHeads) {
  // Scores, softmax and mixing of 5 heads, and its kernels one after the other for each head: same numbers.
  for (int64_t n : {1, 3})
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 19, 5, 10)>
    #s = affine_map<()[s0] -> (s0, 5, 19, 19)>
    #r = affine_map<()[s0] -> (s0, 5, 19)>
    func.func @f(%q: tensor<?x19x5x10xf32, #x>, %k: tensor<?x19x5x10xf32, #x>, %v: tensor<?x19x5x10xf32, #x>)
        -> tensor<?x19x5x10xf32, #x> attributes {bigm.symbols = ["N"]} {
    %s = bigm.contract %q, %k lhs affine_map<(n, h, i, j, d) -> (n, i, h, d)> rhs affine_map<(n, h, i, j, d) -> (n, j, h, d)>
        reduced affine_map<()[s0] -> (10)> : (tensor<?x19x5x10xf32, #x>, tensor<?x19x5x10xf32, #x>) -> tensor<?x5x19x19xf32, #s>
    %m = bigm.reduce_max %s, [3] : tensor<?x5x19x19xf32, #s> -> tensor<?x5x19xf32, #r>
    %ms = bigm.view %m, affine_map<(n, h, i, j) -> (n, h, i)> : tensor<?x5x19xf32, #r> -> tensor<?x5x19x19xf32, #s>
    %c = bigm.sub %s, %ms : tensor<?x5x19x19xf32, #s>
    %e = bigm.exp %c : tensor<?x5x19x19xf32, #s>
    %t = bigm.reduce_sum %e, [3] : tensor<?x5x19x19xf32, #s> -> tensor<?x5x19xf32, #r>
    %ts = bigm.view %t, affine_map<(n, h, i, j) -> (n, h, i)> : tensor<?x5x19xf32, #r> -> tensor<?x5x19x19xf32, #s>
    %p = bigm.div %e, %ts : tensor<?x5x19x19xf32, #s>
    %o = bigm.contract %p, %v lhs affine_map<(n, i, h, d, j) -> (n, h, i, j)> rhs affine_map<(n, i, h, d, j) -> (n, j, h, d)>
        reduced affine_map<()[s0] -> (19)> : (tensor<?x5x19x19xf32, #s>, tensor<?x19x5x10xf32, #x>) -> tensor<?x19x5x10xf32, #x>
    return %o : tensor<?x19x5x10xf32, #x> })",
               {n});
}
