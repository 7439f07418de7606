// Kernels that pass rows on to each other, against the reference backend.
#include "Harness.h"
#include <gtest/gtest.h>
#include <map>

using bigm::test::expectSame;

namespace {
struct Window {
  int64_t rows = 3, columns = 3, step = 1, apart = 1; // apart: between the rows and columns of the window
  int64_t low = 1, high = 1;                          // zeros before and behind
};
struct Size {
  int64_t channels, wide, height, width, narrow;
  Window window;
  bool again = false; // the wide tensor is read by another product, too
};

/// A product over channels that makes many, a window over each of them, a product that makes few.
std::string program(const Size &s) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, $C, $H, $W)>
    #a = affine_map<()[s0] -> (s0, $E, $H, $W)>
    #p = affine_map<()[s0] -> (s0, $E, $I, $J)>
    #b = affine_map<()[s0] -> (s0, $E, $M, $N)>
    #y = affine_map<()[s0] -> (s0, $O, $M, $N)>
    #r = affine_map<()[s0] -> (s0, 3, $M, $N)>
    #q = affine_map<()[s0] -> (s0, $O, $H, $W)>
    func.func @f(%x: tensor<?x$Cx$Hx$Wxf32, #x>, %u: tensor<$Ex$Cxf32>, %v: tensor<$Ex$Kx$Lxf32>, %w: tensor<$Ox$Exf32>,
                 %t: tensor<3x$Oxf32>) -> ($Rtensor<?x3x$Mx$Nxf32, #r>) attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %c = bigm.contract %x, %u lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($C)> : (tensor<?x$Cx$Hx$Wxf32, #x>, tensor<$Ex$Cxf32>) -> tensor<?x$Ex$Hx$Wxf32, #a>
    %zeros = bigm.view %z, affine_map<(n, o, h, w) -> ()> : tensor<f32> -> tensor<?x$Ex$Hx$Wxf32, #a>
    %a = bigm.max %c, %zeros : tensor<?x$Ex$Hx$Wxf32, #a>
    %p = bigm.pad %a, %z low [0, 0, $B, $B] high [0, 0, $F, $F] interior [0, 0, 0, 0]
        : (tensor<?x$Ex$Hx$Wxf32, #a>, tensor<f32>) -> tensor<?x$Ex$Ix$Jxf32, #p>
    %b = bigm.contract %p, %v lhs affine_map<(n, o, h, w, i, j) -> (n, o, h * $S + i * $D, w * $S + j * $D)>
        rhs affine_map<(n, o, h, w, i, j) -> (o, i, j)> reduced affine_map<()[s0] -> ($K, $L)>
        : (tensor<?x$Ex$Ix$Jxf32, #p>, tensor<$Ex$Kx$Lxf32>) -> tensor<?x$Ex$Mx$Nxf32, #b>
    %y = bigm.contract %b, %w lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($E)> : (tensor<?x$Ex$Mx$Nxf32, #b>, tensor<$Ox$Exf32>) -> tensor<?x$Ox$Mx$Nxf32, #y>
    %r = bigm.contract %y, %t lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($O)> : (tensor<?x$Ox$Mx$Nxf32, #y>, tensor<3x$Oxf32>) -> tensor<?x3x$Mx$Nxf32, #r>
    )";
  if (s.again)
    text += R"(%q = bigm.contract %a, %w lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> ($E)> : (tensor<?x$Ex$Hx$Wxf32, #a>, tensor<$Ox$Exf32>) -> tensor<?x$Ox$Hx$Wxf32, #q>
    )";
  text += s.again ? "return %q, %r : tensor<?x$Ox$Hx$Wxf32, #q>, tensor<?x3x$Mx$Nxf32, #r> }" : "return %r : tensor<?x3x$Mx$Nxf32, #r> }";
  const Window &w = s.window;
  int64_t rows = s.height + w.low + w.high, columns = s.width + w.low + w.high;
  auto results = [&](int64_t size, int64_t taps) { return (size - (taps - 1) * w.apart - 1) / w.step + 1; };
  std::map<char, int64_t> numbers = {{'C', s.channels}, {'E', s.wide}, {'H', s.height}, {'W', s.width}, {'I', rows}, {'J', columns},
                                     {'M', results(rows, w.rows)}, {'N', results(columns, w.columns)}, {'O', s.narrow}, {'K', w.rows},
                                     {'L', w.columns}, {'S', w.step}, {'D', w.apart}, {'B', w.low}, {'F', w.high}};
  for (size_t at; (at = text.find('$')) != std::string::npos;) {
    char letter = text[at + 1];
    text.replace(at, 2, letter == 'R' ? s.again ? "tensor<?x$Ox$Hx$Wxf32, #q>, " : "" : std::to_string(numbers.at(letter)));
  }
  return text;
}

/// Kernels of bands.
int membersOf(const std::string &text, const std::string &target = "x86-64-v3") {
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, target);
  std::string dump = loaded.code->dumpAt("fused");
  int count = 0;
  for (size_t at = 0; (at = dump.find("band = array", at)) != std::string::npos; ++at)
    ++count;
  return count;
}
} // namespace

TEST(Bands, Values) {
  // Pictures of odd sizes, channels that fill no vector, windows with and without zeros around, apart, with steps, of one column.
  for (Size size : {Size{5, 61, 75, 77, 11, {}}, Size{5, 61, 75, 77, 11, {3, 3, 2}}, Size{7, 64, 74, 76, 9, {3, 3, 2, 1, 0, 1}},
                    Size{5, 60, 75, 77, 10, {5, 5, 1, 1, 2, 2}}, Size{5, 60, 75, 77, 10, {3, 3, 1, 2, 2, 2}},
                    Size{5, 60, 75, 77, 10, {3, 3, 1, 1, 0, 0}}, Size{5, 60, 75, 77, 10, {4, 1, 3, 1, 0, 2}}}) {
    std::string text = program(size);
    EXPECT_EQ(membersOf(text), size.window.step < 3 ? 3 : 2); // few rows are few bytes
    for (int64_t images : {1, 3}) {
      SCOPED_TRACE(std::to_string(size.wide) + " channels, window of " + std::to_string(size.window.rows) + " rows, step " +
                   std::to_string(size.window.step) + ", " + std::to_string(images) + " pictures");
      expectSame(text, {images});
    }
  }
}

TEST(Bands, WhatTheCachesKeepIsNotPassedOn) { EXPECT_EQ(membersOf(program({5, 61, 30, 31, 11, {}})), 0); }

TEST(Bands, WhatOthersReadHasAPlace) {
  // Another product reads the wide tensor: only what the window makes is passed on.
  Size size{5, 61, 75, 77, 11, {}, true};
  std::string text = program(size);
  EXPECT_EQ(membersOf(text), 2);
  expectSame(text, {2});
}

TEST(Bands, WindowsThatLeaveRowsOut) {
  // Of every third row one is read: to make all of them would cost more than to keep them saves.
  std::string text = program({5, 61, 75, 77, 11, {1, 1, 3, 1, 0, 0}});
  EXPECT_LE(membersOf(text), 2);
  expectSame(text, {2});
}
