// Zeros around a tensor where it lies, against the reference backend.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

namespace {
/// A product over channels whose result a window reads, with `low` zeros before and `high` behind. `more` makes another result
/// %b of it.
std::string program(const std::string &low, const std::string &high, const std::string &more = "") {
  int64_t padded = 9 + std::stoi(low) + std::stoi(high);
  std::string side = std::to_string(padded), out = std::to_string(padded - 2);
  return R"(#x = affine_map<()[s0] -> (s0, 5, 9, 9)>
    #a = affine_map<()[s0] -> (s0, 18, 9, 9)>
    #p = affine_map<()[s0] -> (s0, 18, )" + side + ", " + side + R"()>
    #y = affine_map<()[s0] -> (s0, 18, )" + out + ", " + out + R"()>
    func.func @f(%x: tensor<?x5x9x9xf32, #x>, %w: tensor<18x5xf32>, %v: tensor<18x3x3xf32>)
        -> ()" + (more.empty() ? "" : "tensor<?x5x9x9xf32, #x>, ") + "tensor<?x18x" + out + "x" + out + R"(xf32, #y>) attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)> rhs affine_map<(n, o, h, w, c) -> (o, c)>
        reduced affine_map<()[s0] -> (5)> : (tensor<?x5x9x9xf32, #x>, tensor<18x5xf32>) -> tensor<?x18x9x9xf32, #a>
    %p = bigm.pad %a, %z low [0, 0, )" + low + ", " + low + "] high [0, 0, " + high + ", " + high + R"(] interior [0, 0, 0, 0]
        : (tensor<?x18x9x9xf32, #a>, tensor<f32>) -> tensor<?x18x)" + side + "x" + side + R"(xf32, #p>
    %y = bigm.contract %p, %v lhs affine_map<(n, o, h, w, i, j) -> (n, o, h + i, w + j)>
        rhs affine_map<(n, o, h, w, i, j) -> (o, i, j)> reduced affine_map<()[s0] -> (3, 3)>
        : (tensor<?x18x)" + side + "x" + side + R"(xf32, #p>, tensor<18x3x3xf32>) -> tensor<?x18x)" + out + "x" + out + R"(xf32, #y>
    )" + more + "return " + (more.empty() ? "" : "%b, ") + "%y : " + (more.empty() ? "" : "tensor<?x5x9x9xf32, #x>, ") +
         "tensor<?x18x" + out + "x" + out + "xf32, #y> }";
}

bool padsInPlace(const std::string &text) {
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, "x86-64-v3");
  return loaded.code->dumpAt("fused").find("margins") != std::string::npos;
}
} // namespace

TEST(PadInPlace, AWindowReadsItsMakersTensor) {
  for (auto [low, high] : {std::pair("1", "1"), {"0", "1"}, {"2", "0"}}) {
    std::string text = program(low, high);
    EXPECT_TRUE(padsInPlace(text));
    for (int64_t images : {1, 3})
      expectSame(text, {images});
  }
}

TEST(PadInPlace, OthersReadTheMiddle) {
  std::string text = program("1", "1", R"(%b = bigm.contract %a, %w lhs affine_map<(n, o, h, w, c) -> (n, c, h, w)>
        rhs affine_map<(n, o, h, w, c) -> (c, o)> reduced affine_map<()[s0] -> (18)>
        : (tensor<?x18x9x9xf32, #a>, tensor<18x5xf32>) -> tensor<?x5x9x9xf32, #x>
    )");
  EXPECT_TRUE(padsInPlace(text));
  expectSame(text, {3});
}

TEST(PadInPlace, AnArgumentIsCopiedIntoTheMiddle) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, 18, 9, 9)>
    #p = affine_map<()[s0] -> (s0, 18, 11, 11)>
    func.func @f(%x: tensor<?x18x9x9xf32, #x>, %v: tensor<18x3x3xf32>) -> tensor<?x18x9x9xf32, #x>
        attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0.0 : f32 -> tensor<f32>
    %p = bigm.pad %x, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
        : (tensor<?x18x9x9xf32, #x>, tensor<f32>) -> tensor<?x18x11x11xf32, #p>
    %y = bigm.contract %p, %v lhs affine_map<(n, o, h, w, i, j) -> (n, o, h + i, w + j)>
        rhs affine_map<(n, o, h, w, i, j) -> (o, i, j)> reduced affine_map<()[s0] -> (3, 3)>
        : (tensor<?x18x11x11xf32, #p>, tensor<18x3x3xf32>) -> tensor<?x18x9x9xf32, #x>
    return %y : tensor<?x18x9x9xf32, #x> })";
  EXPECT_TRUE(padsInPlace(text));
  expectSame(text, {2});
}

TEST(PadInPlace, BytesAreCopiedIntoTheMiddle) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, 9, 9, 18)>
    #p = affine_map<()[s0] -> (s0, 11, 11, 18)>
    #y = affine_map<()[s0] -> (s0, 9, 9, 21)>
    func.func @f(%x: tensor<?x9x9x18xui8, #x> {bigm.full}, %v: tensor<21x18x3x3xi8> {bigm.full, bigm.tensor = 0 : i64})
        -> tensor<?x9x9x21xi32, #y> attributes {bigm.symbols = ["N"]} {
    %z = bigm.constant 0 : ui8 -> tensor<ui8>
    %p = bigm.pad %x, %z low [0, 1, 1, 0] high [0, 1, 1, 0] interior [0, 0, 0, 0]
        : (tensor<?x9x9x18xui8, #x>, tensor<ui8>) -> tensor<?x11x11x18xui8, #p>
    %y = bigm.contract %p, %v lhs affine_map<(n, h, w, o, c, i, j) -> (n, h + i, w + j, c)>
        rhs affine_map<(n, h, w, o, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (18, 3, 3)>
        : (tensor<?x11x11x18xui8, #p>, tensor<21x18x3x3xi8>) -> tensor<?x9x9x21xi32, #y>
    return %y : tensor<?x9x9x21xi32, #y> })";
  EXPECT_TRUE(padsInPlace(text));
  expectSame(text, {2}, 0);
}
