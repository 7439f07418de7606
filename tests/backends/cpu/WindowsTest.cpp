// Pools and other windows without a second factor that reach over the edges of a picture, against the reference backend.
#include "Harness.h"
#include <gtest/gtest.h>
#include <map>

using bigm::test::expectSame;

namespace {
struct Case {
  const char *kind, *around; // of the reduction, and what is put around the picture
  int64_t height, width, stride, dilation, low, high;
  bool channelsLast;
};

/// Windows of 3 x 3; something is computed of each element that they read.
std::string windows(const Case &c) {
  int64_t reach = 2 * c.dilation + 1, tall = c.height + c.low + c.high, wide = c.width + c.low + c.high;
  std::map<char, std::string> parts = {{'K', c.kind}, {'A', c.around}, {'H', std::to_string(c.height)}, {'W', std::to_string(c.width)},
                                       {'S', std::to_string(c.stride)}, {'D', std::to_string(c.dilation)}, {'L', std::to_string(c.low)},
                                       {'G', std::to_string(c.high)}, {'T', std::to_string(tall)}, {'U', std::to_string(wide)},
                                       {'M', std::to_string((tall - reach) / c.stride + 1)}, {'N', std::to_string((wide - reach) / c.stride + 1)}};
  std::string text = c.channelsLast ? R"(#x = affine_map<()[s0] -> (s0, $H, $W, 40)>
    #p = affine_map<()[s0] -> (s0, $T, $U, 40)>
    #v = affine_map<()[s0] -> (s0, $M, $N, 40, 3, 3)>
    #y = affine_map<()[s0] -> (s0, $M, $N, 40)>
    func.func @f(%x: tensor<?x$Hx$Wx40xf32, #x>) -> tensor<?x$Mx$Nx40xf32, #y> attributes {bigm.symbols = ["N"]} {
    %e = bigm.mul %x, %x : tensor<?x$Hx$Wx40xf32, #x>
    %z = bigm.constant $A : f32 -> tensor<f32>
    %p = bigm.pad %e, %z low [0, $L, $L, 0] high [0, $G, $G, 0] interior [0, 0, 0, 0] : (tensor<?x$Hx$Wx40xf32, #x>, tensor<f32>) -> tensor<?x$Tx$Ux40xf32, #p>
    %v = bigm.view %p, affine_map<(n, h, w, c, i, j) -> (n, h * $S + i * $D, w * $S + j * $D, c)> : tensor<?x$Tx$Ux40xf32, #p> -> tensor<?x$Mx$Nx40x3x3xf32, #v>
    %y = bigm.$K %v, [4, 5] : tensor<?x$Mx$Nx40x3x3xf32, #v> -> tensor<?x$Mx$Nx40xf32, #y>
    return %y : tensor<?x$Mx$Nx40xf32, #y> })"
                                    : R"(#x = affine_map<()[s0] -> (s0, 7, $H, $W)>
    #p = affine_map<()[s0] -> (s0, 7, $T, $U)>
    #v = affine_map<()[s0] -> (s0, 7, $M, $N, 3, 3)>
    #y = affine_map<()[s0] -> (s0, 7, $M, $N)>
    func.func @f(%x: tensor<?x7x$Hx$Wxf32, #x>) -> tensor<?x7x$Mx$Nxf32, #y> attributes {bigm.symbols = ["N"]} {
    %e = bigm.mul %x, %x : tensor<?x7x$Hx$Wxf32, #x>
    %z = bigm.constant $A : f32 -> tensor<f32>
    %p = bigm.pad %e, %z low [0, 0, $L, $L] high [0, 0, $G, $G] interior [0, 0, 0, 0] : (tensor<?x7x$Hx$Wxf32, #x>, tensor<f32>) -> tensor<?x7x$Tx$Uxf32, #p>
    %v = bigm.view %p, affine_map<(n, c, h, w, i, j) -> (n, c, h * $S + i * $D, w * $S + j * $D)> : tensor<?x7x$Tx$Uxf32, #p> -> tensor<?x7x$Mx$Nx3x3xf32, #v>
    %y = bigm.$K %v, [4, 5] : tensor<?x7x$Mx$Nx3x3xf32, #v> -> tensor<?x7x$Mx$Nxf32, #y>
    return %y : tensor<?x7x$Mx$Nxf32, #y> })";
  for (size_t at; (at = text.find('$')) != std::string::npos;)
    text.replace(at, 2, parts.at(text[at + 1]));
  return text;
}
} // namespace

TEST(Windows, StepsOutsideAddNothing) {
  // What is put around is neutral, or is not and counts; rows of a part of a vector, of one, of several with a rest and without.
  for (bool channelsLast : {false, true})
    for (const Case &c : {Case{"reduce_sum", "0.0", 9, 5, 1, 1, 1, 1, channelsLast}, {"reduce_max", "0xFF800000", 8, 56, 1, 1, 1, 1, channelsLast},
                          {"reduce_max", "0.5", 8, 21, 1, 1, 1, 1, channelsLast}, {"reduce_min", "0x7F800000", 11, 29, 2, 1, 1, 0, channelsLast},
                          {"reduce_sum", "0.0", 13, 70, 1, 3, 3, 4, channelsLast}, {"reduce_sum", "0.0", 3, 17, 1, 2, 5, 1, channelsLast}}) {
      SCOPED_TRACE(windows(c));
      for (int64_t images : {1, 3})
        expectSame(windows(c), {images});
    }
}

TEST(Windows, OfWhatWasJoined) {
  // Along channels, which are the vectors: parts that end between blocks of a register or more, and inside of one.
  for (auto [first, second] : {std::pair(32, 16), {8, 64}, {13, 19}}) {
    std::string a = "tensor<?x9x9x" + std::to_string(first) + "xf32, #a>", b = "tensor<?x9x9x" + std::to_string(second) + "xf32, #b>",
                all = std::to_string(first + second), p = "tensor<?x11x11x" + all + "xf32, #p>", v = "tensor<?x9x9x" + all + "x3x3xf32, #v>",
                x = "tensor<?x9x9x" + all + "xf32, #x>";
    std::string text = "#a = affine_map<()[s0] -> (s0, 9, 9, " + std::to_string(first) + ")>\n#b = affine_map<()[s0] -> (s0, 9, 9, " + std::to_string(second) +
                       ")>\n#x = affine_map<()[s0] -> (s0, 9, 9, " + all + ")>\n#p = affine_map<()[s0] -> (s0, 11, 11, " + all +
                       ")>\n#v = affine_map<()[s0] -> (s0, 9, 9, " + all + ", 3, 3)>\nfunc.func @f(%a: " + a + ", %b: " + b + ") -> " + x +
                       " attributes {bigm.symbols = [\"N\"]} {\n%x = bigm.concat 3, %a, %b : (" + a + ", " + b + ") -> " + x +
                       "\n%z = bigm.constant 0xFF800000 : f32 -> tensor<f32>\n%p = bigm.pad %x, %z low [0, 1, 1, 0] high [0, 1, 1, 0] interior [0, 0, 0, 0] : (" + x +
                       ", tensor<f32>) -> " + p + "\n%v = bigm.view %p, affine_map<(n, h, w, c, i, j) -> (n, h + i, w + j, c)> : " + p + " -> " + v +
                       "\n%y = bigm.reduce_max %v, [4, 5] : " + v + " -> " + x + "\nreturn %y : " + x + " }";
    SCOPED_TRACE(text);
    expectSame(text, {3});
  }
}
