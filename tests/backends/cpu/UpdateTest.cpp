// Weights and states that are replaced where their gradient is summed, against the reference backend: each element must be
// finished once, since its old value is gone then.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

namespace {
/// A step of momentum with the gradient %d: of `type`, whose rank `indices` has.
std::string step(const std::string &gradient, const std::string &arguments, const std::string &type, const std::string &indices) {
  std::string pair = "(" + type + " {bigm.updates = 0 : i64}, " + type + " {bigm.updates = 1 : i64})";
  return "func.func @f(%w: " + type + " {bigm.tensor = 0 : i64}, %m: " + type + " {bigm.tensor = 1 : i64}, %rate: tensor<f32>, " +
         arguments + ") -> " + pair + " attributes {bigm.symbols = [\"N\"]} {\n" + gradient + R"(
    %moved = bigm.add %m, %d : )" + type + R"(
    %r = bigm.tanh %rate : tensor<f32>
    %all = bigm.view %r, affine_map<)" + indices + " -> ()> : tensor<f32> -> " + type + R"(
    %step = bigm.mul %all, %moved : )" + type + R"(
    %new = bigm.sub %w, %step : )" + type + "\n return %new, %moved : " + type + ", " + type + " }";
}
} // namespace

TEST(Update, WithTheGradientOfALinearLayer) {
  // Rows and columns that fill no block; few results of a long sum, which is cut in parts.
  for (auto [rows, columns] : {std::pair(5, 7), {131, 67}, {64, 200}, {3, 1}})
    for (int64_t n : {1, 19, 700}) {
      std::string o = std::to_string(rows), i = std::to_string(columns);
      SCOPED_TRACE(o + " x " + i + ", " + std::to_string(n));
      std::string gradient = R"(%d = bigm.contract %g, %x lhs affine_map<(o, i, n, t) -> (n, t, o)> rhs affine_map<(o, i, n, t) -> (n, t, i)>
          reduced affine_map<()[s0] -> (s0, 7)> : (tensor<?x7x)" + o + "xf32, #g>, tensor<?x7x" + i + "xf32, #x>) -> tensor<" + o + "x" + i + "xf32>";
      expectSame("#g = affine_map<()[s0] -> (s0, 7, " + o + ")>\n#x = affine_map<()[s0] -> (s0, 7, " + i + ")>\n" +
                     step(gradient, "%g: tensor<?x7x" + o + "xf32, #g>, %x: tensor<?x7x" + i + "xf32, #x>",
                          "tensor<" + o + "x" + i + "xf32>", "(a, b)"),
                 {n}, 1e-4);
    }
}

TEST(Update, WithTheGradientOfAConvolution) {
  // By Winograd's filtering where channels are many, by the direct kernel else.
  for (auto [channels, columns] : {std::pair(3, 5), {24, 40}}) {
    std::string c = std::to_string(channels), o = std::to_string(columns);
    SCOPED_TRACE(c + " channels");
    std::string gradient = R"(%d = bigm.contract %x, %g lhs affine_map<(o, c, i, j, n, h, w) -> (n, c, h + i, w + j)>
          rhs affine_map<(o, c, i, j, n, h, w) -> (n, o, h, w)> reduced affine_map<()[s0] -> (s0, 9, 11)>
          : (tensor<?x)" + c + "x11x13xf32, #x>, tensor<?x" + o + "x9x11xf32, #g>) -> tensor<" + o + "x" + c + "x3x3xf32>";
    expectSame("#g = affine_map<()[s0] -> (s0, " + o + ", 9, 11)>\n#x = affine_map<()[s0] -> (s0, " + c + ", 11, 13)>\n" +
                   step(gradient, "%g: tensor<?x" + o + "x9x11xf32, #g>, %x: tensor<?x" + c + "x11x13xf32, #x>",
                        "tensor<" + o + "x" + c + "x3x3xf32>", "(a, b, i, j)"),
               {6}, 1e-4);
  }
}
