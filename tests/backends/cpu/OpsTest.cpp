// Every op of the bigm dialect, alone, on sizes that are no multiple of any vector.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

/// A function over one symbol; `#s` is the encoding `(s0, 5)`.
static std::string unary(const std::string &op, const std::string &element = "f32") {
  std::string t = "tensor<?x5x" + element + ", #s>";
  return "#s = affine_map<()[s0] -> (s0, 5)>\nfunc.func @f(%x: " + t + ") -> " + t +
         " attributes {bigm.symbols = [\"N\"]} {\n  %r = bigm." + op + " %x : " + t + "\n  return %r : " + t + "\n}\n";
}
static std::string binary(const std::string &op, const std::string &element = "f32") {
  std::string t = "tensor<?x5x" + element + ", #s>";
  bool compares = op == "eq" || op == "ne" || op == "lt" || op == "le" || op == "gt" || op == "ge";
  std::string r = compares ? "tensor<?x5xi1, #s>" : t;
  return "#s = affine_map<()[s0] -> (s0, 5)>\nfunc.func @f(%x: " + t + ", %y: " + t + ") -> " + r +
         " attributes {bigm.symbols = [\"N\"]} {\n  %r = bigm." + op + " %x, %y : " + t + "\n  return %r : " + r +
         "\n}\n";
}

TEST(Pointwise, UnaryF32) {
  for (const char *op : {"neg", "abs", "sign", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "sin", "cos", "atan",
                         "tanh", "erf", "sigmoid", "floor", "ceil", "round"}) {
    SCOPED_TRACE(op);
    // The polynomial that MLIR has for atan errs by up to 4e-6 of its value.
    expectSame(unary(op), {11}, op == std::string("atan") ? 5e-6 : 2e-6);
  }
}
TEST(Pointwise, ApproximationsEverywhere) {
  // Beyond the ends of the approximation, at infinity, and of what is no number.
  for (std::string op : {"erf", "tanh", "exp"}) {
    SCOPED_TRACE(op);
    expectSame(R"(#s = affine_map<()[s0] -> (s0, 5)>
    func.func @f(%x: tensor<?x5xf32, #s>) -> (tensor<?x5xf32, #s>, tensor<?x5xf32, #s>, tensor<?x5xf32, #s>)
        attributes {bigm.symbols = ["N"]} {
    %three = bigm.constant 3.0 : f32 -> tensor<?x5xf32, #s>
    %zero = bigm.constant 0.0 : f32 -> tensor<?x5xf32, #s>
    %a = bigm.mul %x, %three : tensor<?x5xf32, #s>
    %b = bigm.div %x, %zero : tensor<?x5xf32, #s>
    %below = bigm.sub %x, %three : tensor<?x5xf32, #s>
    %c = bigm.log %below : tensor<?x5xf32, #s>
    %r = bigm.)" + op + R"( %a : tensor<?x5xf32, #s>
    %s = bigm.)" + op + R"( %b : tensor<?x5xf32, #s>
    %t = bigm.)" + op + R"( %c : tensor<?x5xf32, #s>
    return %r, %s, %t : tensor<?x5xf32, #s>, tensor<?x5xf32, #s>, tensor<?x5xf32, #s>
  })",
               {77}, 5e-7);
  }
}
// A tangent above 1 has a negative slope and no artanh.
TEST(Pointwise, TanhStaysBelowOne) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 5)>
    func.func @f(%x: tensor<?x5xf32, #s>) -> tensor<?x5xi1, #s> attributes {bigm.symbols = ["N"]} {
    %factor = bigm.constant 6.0 : f32 -> tensor<?x5xf32, #s>
    %one = bigm.constant 1.0 : f32 -> tensor<?x5xf32, #s>
    %a = bigm.mul %x, %factor : tensor<?x5xf32, #s>
    %b = bigm.tanh %a : tensor<?x5xf32, #s>
    %c = bigm.abs %b : tensor<?x5xf32, #s>
    %r = bigm.le %c, %one : tensor<?x5xf32, #s>
    return %r : tensor<?x5xi1, #s>
  })",
             {4099});
}
// From the least results to the largest, each against itself: as the logarithm.
TEST(Pointwise, ExpOverItsRange) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 5)>
    func.func @f(%x: tensor<?x5xf32, #s>) -> tensor<?x5xf32, #s> attributes {bigm.symbols = ["N"]} {
    %factor = bigm.constant 30.0 : f32 -> tensor<?x5xf32, #s>
    %most = bigm.constant 88.6 : f32 -> tensor<?x5xf32, #s>
    %least = bigm.constant -86.6 : f32 -> tensor<?x5xf32, #s>
    %a = bigm.mul %x, %factor : tensor<?x5xf32, #s>
    %b = bigm.min %a, %most : tensor<?x5xf32, #s>
    %c = bigm.max %b, %least : tensor<?x5xf32, #s>
    %d = bigm.exp %c : tensor<?x5xf32, #s>
    %r = bigm.log %d : tensor<?x5xf32, #s>
    return %r : tensor<?x5xf32, #s>
  })",
             {501}, 5e-7);
}
TEST(Pointwise, UnaryF64) {
  for (const char *op : {"neg", "exp", "log", "atan", "tanh", "erf", "sigmoid", "round"}) {
    SCOPED_TRACE(op);
    expectSame(unary(op, "f64"), {7}, 1e-12);
  }
}
TEST(Pointwise, BinaryF32) {
  for (const char *op : {"add", "sub", "mul", "div", "pow", "max", "min", "mod", "eq", "ne", "lt", "le", "gt", "ge"}) {
    SCOPED_TRACE(op);
    expectSame(binary(op), {11}, 2e-6);
  }
}
TEST(Pointwise, BinaryIntegers) {
  for (const char *element : {"i32", "i64", "ui8"})
    for (const char *op : {"add", "sub", "mul", "max", "eq", "lt"}) {
      SCOPED_TRACE(std::string(op) + " " + element);
      expectSame(binary(op, element), {9});
    }
}
// Lanes behind the end of a row divide as well, whatever lies there.
TEST(Pointwise, DivisionOfIntegers) {
  for (std::string e : {"i32", "i64", "ui8", "i8"})
    for (const char *op : {"div", "mod"}) {
      SCOPED_TRACE(std::string(op) + " " + e);
      std::string t = "tensor<?x11x" + e + ", affine_map<()[s0] -> (s0, 11)>>";
      expectSame("func.func @f(%x: " + t + ", %y: " + t + ") -> " + t + " attributes {bigm.symbols = [\"N\"]} {\n %k = bigm.constant 1 : " +
                 e + " -> " + t + "\n %d = bigm.bit_or %y, %k : " + t + "\n %r = bigm." + op + " %x, %d : " + t + "\n return %r : " +
                 t + "\n}",
                 {3});
    }
}
TEST(Pointwise, Bits) {
  for (const char *element : {"i32", "i64", "ui8", "i8"})
    for (const char *op : {"bit_and", "bit_or", "bit_xor", "shift_left", "shift_right"}) {
      SCOPED_TRACE(std::string(op) + " " + element);
      expectSame(binary(op, element), {9});
    }
}
// By the width and more: arith gives no value for these.
TEST(Pointwise, ShiftsBeyondTheWidth) {
  for (const char *element : {"i32", "ui8"})
    for (const char *op : {"shift_left", "shift_right"}) {
      SCOPED_TRACE(std::string(op) + " " + element);
      std::string t = "tensor<5x" + std::string(element) + ">", e = element;
      expectSame("func.func @f(%x: " + t + ") -> " + t + " {\n %k = bigm.constant 1 : " + (e == "ui8" ? "ui8" : "i32") + " -> " + t +
                 "\n %c = bigm.constant 33 : " + (e == "ui8" ? "ui8" : "i32") + " -> " + t + "\n %m = bigm.sub %x, %k : " + t +
                 "\n %r = bigm." + op + " %m, %c : " + t + "\n return %r : " + t + "\n}");
    }
}
TEST(Pointwise, Bools) {
  expectSame(binary("and", "i1"), {13});
  expectSame(binary("or", "i1"), {13});
  expectSame(unary("not", "i1"), {13});
}
TEST(Pointwise, Cast) {
  for (auto [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"f32", "i32"}, {"i32", "f32"}, {"ui8", "f32"}, {"i1", "f32"}, {"f32", "i1"}, {"f32", "f64"}, {"i64", "i32"}}) {
    SCOPED_TRACE(from + " to " + to);
    expectSame("func.func @f(%x: tensor<19x" + from + ">) -> tensor<19x" + to + "> {\n %r = bigm.cast %x : tensor<19x" +
               from + "> -> tensor<19x" + to + ">\n return %r : tensor<19x" + to + ">\n}");
  }
}
TEST(Pointwise, SelectAndScalars) {
  expectSame(R"(func.func @f(%c: tensor<3x7xi1>, %x: tensor<3x7xf32>, %y: tensor<3x7xf32>) -> tensor<3x7xf32> {
    %r = bigm.select %c, %x, %y : tensor<3x7xf32>
    return %r : tensor<3x7xf32> })");
  expectSame(R"(func.func @f(%x: tensor<f32>, %y: tensor<f32>) -> tensor<f32> {
    %r = bigm.mul %x, %y : tensor<f32>
    return %r : tensor<f32> })");
}

TEST(Leaves, ConstantIotaSize) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 5)>
    func.func @f(%x: tensor<?x5xf32, #s>) -> (tensor<?x5xf32, #s>, tensor<?x5xi32, #s>, tensor<f32>)
        attributes {bigm.symbols = ["N"]} {
    %c = bigm.constant 2.5 : f32 -> tensor<?x5xf32, #s>
    %i = bigm.iota 0 -> tensor<?x5xi32, #s>
    %n = bigm.size affine_map<()[s0] -> (s0 * 3 + 1)> -> tensor<f32>
    return %c, %i, %n : tensor<?x5xf32, #s>, tensor<?x5xi32, #s>, tensor<f32> })",
             {6});
}
TEST(Leaves, Random) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 5, 7)>
    func.func @f(%seed: tensor<i64>) -> tensor<?x5x7xf32, #s> attributes {bigm.symbols = ["N"]} {
    %r = bigm.random %seed, 9 : tensor<i64> -> tensor<?x5x7xf32, #s>
    return %r : tensor<?x5x7xf32, #s> })",
             {6}, 0);
}

TEST(Shape, Views) {
  // Transpose, broadcast, stride, window.
  expectSame(R"(func.func @f(%x: tensor<5x6x7xf32>) -> (tensor<7x5x6xf32>, tensor<5x4x6x7xf32>, tensor<2x3x7xf32>,
                                                       tensor<5x6x3x3xf32>) {
    %a = bigm.view %x, affine_map<(a, b, c) -> (b, c, a)> : tensor<5x6x7xf32> -> tensor<7x5x6xf32>
    %b = bigm.view %x, affine_map<(a, n, b, c) -> (a, b, c)> : tensor<5x6x7xf32> -> tensor<5x4x6x7xf32>
    %c = bigm.view %x, affine_map<(a, b, c) -> (a * 2 + 1, b * 2, c)> : tensor<5x6x7xf32> -> tensor<2x3x7xf32>
    %d = bigm.view %x, affine_map<(a, b, c, k) -> (a, b, c * 2 + k)> : tensor<5x6x7xf32> -> tensor<5x6x3x3xf32>
    return %a, %b, %c, %d : tensor<7x5x6xf32>, tensor<5x4x6x7xf32>, tensor<2x3x7xf32>, tensor<5x6x3x3xf32> })");
}
TEST(Shape, Turned) {
  // A transpose, weights of a convolution from one run of memory per row, a turn inside other dimensions, a turned
  // operand beside one that lies straight.
  expectSame(R"(#a = affine_map<()[s0] -> (s0, 53)>
    #b = affine_map<()[s0] -> (53, s0)>
    func.func @f(%x: tensor<?x53xf32, #a>, %v: tensor<45x21x3x3xf32>, %w: tensor<3x19x40x2xf32>, %y: tensor<53x?xf32, #b>)
        -> (tensor<53x?xf32, #b>, tensor<3x3x21x45xf32>, tensor<3x2x40x19xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.view %x, affine_map<(a, b) -> (b, a)> : tensor<?x53xf32, #a> -> tensor<53x?xf32, #b>
    %s = bigm.add %a, %y : tensor<53x?xf32, #b>
    %b = bigm.view %v, affine_map<(a, b, c, d) -> (d, c, a, b)> : tensor<45x21x3x3xf32> -> tensor<3x3x21x45xf32>
    %c = bigm.view %w, affine_map<(a, b, c, d) -> (a, d, c, b)> : tensor<3x19x40x2xf32> -> tensor<3x2x40x19xf32>
    return %s, %b, %c : tensor<53x?xf32, #b>, tensor<3x3x21x45xf32>, tensor<3x2x40x19xf32> })",
             {37});
}
TEST(Shape, Reshape) {
  expectSame(R"(#a = affine_map<()[s0] -> (s0, 3, 4)>
    #b = affine_map<()[s0] -> (s0, 12)>
    #c = affine_map<()[s0] -> (s0 * 12)>
    func.func @f(%x: tensor<?x3x4xf32, #a>) -> (tensor<?x12xf32, #b>, tensor<?x3x4xf32, #a>)
        attributes {bigm.symbols = ["N"]} {
    %n = bigm.neg %x : tensor<?x3x4xf32, #a>
    %r = bigm.reshape %n : tensor<?x3x4xf32, #a> -> tensor<?x12xf32, #b>
    %s = bigm.exp %r : tensor<?x12xf32, #b>
    %f = bigm.reshape %r : tensor<?x12xf32, #b> -> tensor<?xf32, #c>
    %t = bigm.reshape %f : tensor<?xf32, #c> -> tensor<?x3x4xf32, #a>
    %u = bigm.abs %t : tensor<?x3x4xf32, #a>
    return %s, %u : tensor<?x12xf32, #b>, tensor<?x3x4xf32, #a> })",
             {5});
}
TEST(Shape, Pad) {
  expectSame(R"(#a = affine_map<()[s0] -> (s0, 5)>
    #b = affine_map<()[s0] -> (s0 * 2 + 2, 5)>
    func.func @f(%x: tensor<?x5xf32, #a>, %v: tensor<f32>) -> (tensor<?x5xf32, #b>, tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>>)
        attributes {bigm.symbols = ["N"]} {
    %r = bigm.pad %x, %v low [1, -1] high [2, 1] interior [1, 0] : (tensor<?x5xf32, #a>, tensor<f32>) -> tensor<?x5xf32, #b>
    %q = bigm.pad %x, %v low [0, 1] high [0, 1] interior [0, 0] : (tensor<?x5xf32, #a>, tensor<f32>) -> tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>>
    return %r, %q : tensor<?x5xf32, #b>, tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>> })",
             {4});
}
TEST(Shape, Concat) {
  expectSame(R"(func.func @f(%x: tensor<3x5xf32>, %y: tensor<3x2xf32>, %z: tensor<3x9xf32>) -> tensor<3x16xf32> {
    %r = bigm.concat 1, %x, %y, %z : (tensor<3x5xf32>, tensor<3x2xf32>, tensor<3x9xf32>) -> tensor<3x16xf32>
    return %r : tensor<3x16xf32> })");
}
TEST(Shape, ConcatOfWhatIsComputed) {
  // Pieces that begin and end within vectors, in one block and in several; pieces of a loop outside of the vectors; an open size
  // in front of a piece.
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 3, 40)>
    #y = affine_map<()[s0] -> (s0, 5, 40)>
    #z = affine_map<()[s0] -> (s0, 8, 40)>
    #a = affine_map<()[s0] -> (s0, 21)>
    #o = affine_map<()[s0] -> (s0 + 3, 21)>
    func.func @f(%a: tensor<3x2100xf32>, %b: tensor<3x7xf32>, %c: tensor<3x2500xf32>, %x: tensor<?x3x40xf32, #x>, %y: tensor<?x5x40xf32, #y>,
                 %d: tensor<3x21xf32>, %e: tensor<?x21xf32, #a>)
        -> (tensor<3x4607xf32>, tensor<3x2507xf32>, tensor<?x8x40xf32, #z>, tensor<?x21xf32, #o>) attributes {bigm.symbols = ["N"]} {
    %1 = bigm.exp %a : tensor<3x2100xf32>
    %2 = bigm.abs %b : tensor<3x7xf32>
    %3 = bigm.tanh %c : tensor<3x2500xf32>
    %r = bigm.concat 1, %1, %2, %3 : (tensor<3x2100xf32>, tensor<3x7xf32>, tensor<3x2500xf32>) -> tensor<3x4607xf32>
    %s = bigm.concat 1, %2, %3 : (tensor<3x7xf32>, tensor<3x2500xf32>) -> tensor<3x2507xf32>
    %4 = bigm.exp %x : tensor<?x3x40xf32, #x>
    %5 = bigm.abs %y : tensor<?x5x40xf32, #y>
    %t = bigm.concat 1, %4, %5 : (tensor<?x3x40xf32, #x>, tensor<?x5x40xf32, #y>) -> tensor<?x8x40xf32, #z>
    %6 = bigm.exp %d : tensor<3x21xf32>
    %7 = bigm.abs %e : tensor<?x21xf32, #a>
    %u = bigm.concat 0, %7, %6 : (tensor<?x21xf32, #a>, tensor<3x21xf32>) -> tensor<?x21xf32, #o>
    return %r, %s, %t, %u : tensor<3x4607xf32>, tensor<3x2507xf32>, tensor<?x8x40xf32, #z>, tensor<?x21xf32, #o> })",
             {4});
}
TEST(Shape, Fold) {
  // Overlapping windows, windows that tile, broadcast, a diagonal.
  expectSame(R"(func.func @f(%a: tensor<3x5x3xf32>, %b: tensor<3x4x2xf32>, %c: tensor<3x6xf32>, %d: tensor<4xf32>)
        -> (tensor<3x11xf32>, tensor<3x9xf32>, tensor<6xf32>, tensor<4x4xf32>) {
    %p = bigm.fold %a, affine_map<(n, h, k) -> (n, h * 2 + k)> : tensor<3x5x3xf32> -> tensor<3x11xf32>
    %q = bigm.fold %b, affine_map<(n, h, k) -> (n, h * 2 + k)> : tensor<3x4x2xf32> -> tensor<3x9xf32>
    %r = bigm.fold %c, affine_map<(n, c) -> (c)> : tensor<3x6xf32> -> tensor<6xf32>
    %s = bigm.fold %d, affine_map<(i) -> (i, i)> : tensor<4xf32> -> tensor<4x4xf32>
    return %p, %q, %r, %s : tensor<3x11xf32>, tensor<3x9xf32>, tensor<6xf32>, tensor<4x4xf32> })");
}

TEST(Reduce, Kinds) {
  for (const char *kind : {"sum", "max", "min", "prod"})
    for (const char *dims : {"[0]", "[1]", "[2]", "[0, 2]", "[1, 2]", "[0, 1, 2]"}) {
      SCOPED_TRACE(std::string(kind) + dims);
      std::string d(dims);
      std::string result, encoding;
      bool n = d.find('0') == std::string::npos, a = d.find('1') == std::string::npos,
           b = d.find('2') == std::string::npos;
      result = std::string(n ? "?x" : "") + (a ? "6x" : "") + (b ? "21x" : "") + "f32";
      if (n)
        result += ", affine_map<()[s0] -> (s0" + std::string(a ? ", 6" : "") + (b ? ", 21" : "") + ")>";
      std::string t = "tensor<?x6x21xf32, affine_map<()[s0] -> (s0, 6, 21)>>", r = "tensor<" + result + ">";
      expectSame("func.func @f(%x: " + t + ") -> " + r + " attributes {bigm.symbols = [\"N\"]} {\n %r = bigm.reduce_" +
                     kind + " %x, " + dims + " : " + t + " -> " + r + "\n return %r : " + r + "\n}",
                 {5});
    }
}
TEST(Reduce, LongSumsAreSplit) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 37, 33)>
    func.func @f(%x: tensor<?x37x33xf32, #s>) -> (tensor<f32>, tensor<33xf32>, tensor<37xf32>)
        attributes {bigm.symbols = ["N"]} {
    %a = bigm.reduce_sum %x, [0, 1, 2] : tensor<?x37x33xf32, #s> -> tensor<f32>
    %b = bigm.reduce_sum %x, [0, 1] : tensor<?x37x33xf32, #s> -> tensor<33xf32>
    %c = bigm.reduce_max %x, [0, 2] : tensor<?x37x33xf32, #s> -> tensor<37xf32>
    return %a, %b, %c : tensor<f32>, tensor<33xf32>, tensor<37xf32> })",
             {50});
}
TEST(Reduce, Arg) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 19)>
    func.func @f(%x: tensor<?x19xf32, #s>, %y: tensor<?x19xi32, #s>)
        -> (tensor<?xi32, affine_map<()[s0] -> (s0)>>, tensor<19xi32>, tensor<?xi32, affine_map<()[s0] -> (s0)>>)
        attributes {bigm.symbols = ["N"]} {
    %a = bigm.arg_max %x, 1 : tensor<?x19xf32, #s> -> tensor<?xi32, affine_map<()[s0] -> (s0)>>
    %b = bigm.arg_min %x, 0 : tensor<?x19xf32, #s> -> tensor<19xi32>
    %c = bigm.arg_max %y, 1 : tensor<?x19xi32, #s> -> tensor<?xi32, affine_map<()[s0] -> (s0)>>
    return %a, %b, %c : tensor<?xi32, affine_map<()[s0] -> (s0)>>, tensor<19xi32>, tensor<?xi32, affine_map<()[s0] -> (s0)>> })",
             {6});
}
/// A dimension of one element has no loop.
TEST(Reduce, UnsignedAboveTheSign) {
  // Numbers from 128 on are larger than those below, in vectors along the result and along the sum.
  expectSame(R"(func.func @f(%x: tensor<9x5x21xui8>) -> (tensor<5x21xui8>, tensor<9x5xui8>, tensor<9x21xi32>, tensor<9x5xi32>) {
    %c = bigm.constant 100 : ui8 -> tensor<9x5x21xui8>
    %y = bigm.mul %x, %c : tensor<9x5x21xui8>
    %a = bigm.reduce_max %y, [0] : tensor<9x5x21xui8> -> tensor<5x21xui8>
    %b = bigm.reduce_min %y, [2] : tensor<9x5x21xui8> -> tensor<9x5xui8>
    %d = bigm.arg_max %y, 1 : tensor<9x5x21xui8> -> tensor<9x21xi32>
    %e = bigm.arg_min %y, 2 : tensor<9x5x21xui8> -> tensor<9x5xi32>
    return %a, %b, %d, %e : tensor<5x21xui8>, tensor<9x5xui8>, tensor<9x21xi32>, tensor<9x5xi32> })");
}

TEST(Reduce, ArgOfOne) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 1, 6)>
    func.func @f(%x: tensor<?x1x6xf32, #s>) -> tensor<?x6xi32, affine_map<()[s0] -> (s0, 6)>> attributes {bigm.symbols = ["N"]} {
    %a = bigm.arg_max %x, 1 : tensor<?x1x6xf32, #s> -> tensor<?x6xi32, affine_map<()[s0] -> (s0, 6)>>
    return %a : tensor<?x6xi32, affine_map<()[s0] -> (s0, 6)>> })",
             {6});
}

TEST(Irregular, GatherScatter) {
  expectSame(R"(#i = affine_map<()[s0] -> (s0, 4)>
    #o = affine_map<()[s0] -> (s0, 4, 18)>
    func.func @f(%t: tensor<3x18xf32>, %i: tensor<?x4xi32, #i>, %u: tensor<?x4x18xf32, #o>)
        -> (tensor<?x4x18xf32, #o>, tensor<3x18xf32>) attributes {bigm.symbols = ["N"]} {
    %g = bigm.gather %t, %i : (tensor<3x18xf32>, tensor<?x4xi32, #i>) -> tensor<?x4x18xf32, #o>
    %s = bigm.scatter_add %u, %i : (tensor<?x4x18xf32, #o>, tensor<?x4xi32, #i>) -> tensor<3x18xf32>
    return %g, %s : tensor<?x4x18xf32, #o>, tensor<3x18xf32> })",
             {5});
}
/// Wide rows, few of them and often named, of several types; one id alone; rows that nothing names.
TEST(Irregular, ScatterOfManyRows) {
  for (const char *ids : {"i32", "i64", "ui8", "i8"})
    for (const char *element : {"f32", "f64", "i32"}) {
      SCOPED_TRACE(std::string(ids) + " " + element);
      std::string i = "tensor<?x" + std::string(ids) + ", affine_map<()[s0] -> (s0)>>";
      std::string u = "tensor<?x2x149x" + std::string(element) + ", affine_map<()[s0] -> (s0, 2, 149)>>";
      std::string t = "tensor<5x2x149x" + std::string(element) + ">";
      std::string one = "tensor<2x149x" + std::string(element) + ">", id = "tensor<" + std::string(ids) + ">";
      expectSame("func.func @f(%i: " + i + ", %u: " + u + ", %k: " + id + ", %v: " + one + ") -> (" + t + ", " + t +
                     ") attributes {bigm.symbols = [\"N\"]} {\n" +
                     "  %s = bigm.scatter_add %u, %i : (" + u + ", " + i + ") -> " + t + "\n" +
                     "  %r = bigm.scatter_add %v, %k : (" + one + ", " + id + ") -> " + t + "\n" +
                     "  %a = bigm.add %s, %r : " + t + "\n  return %s, %a : " + t + ", " + t + "\n}\n",
                 {201});
    }
}
TEST(Irregular, Images) {
  expectSame(R"(#s = affine_map<()[s0] -> (s0, 2, 9, 11)>
    #m = affine_map<()[s0] -> (s0, 2, 3)>
    #r = affine_map<()[s0] -> (s0, 2, 5, 7)>
    func.func @f(%x: tensor<?x2x9x11xf32, #s>, %m: tensor<?x2x3xf32, #m>) -> (tensor<?x2x9x11xf32, #s>, tensor<?x2x5x7xf32, #r>)
        attributes {bigm.symbols = ["N"]} {
    %y = bigm.neg %x : tensor<?x2x9x11xf32, #s>
    %w = bigm.warp %y, %m fill 0.5 : (tensor<?x2x9x11xf32, #s>, tensor<?x2x3xf32, #m>) -> tensor<?x2x9x11xf32, #s>
    %r = bigm.resize %w, "bilinear" antialias true : tensor<?x2x9x11xf32, #s> -> tensor<?x2x5x7xf32, #r>
    return %w, %r : tensor<?x2x9x11xf32, #s>, tensor<?x2x5x7xf32, #r> })",
             {3});
}

// ---------------------------------------------------------------- what depends on weights alone

/// A grouped convolution, a bias, a normalisation with its running statistics, and a linear layer behind it: scales are
/// folded, weights are packed ahead of the call.
TEST(Prepared, ConvolutionAndNormalisation) {
  expectSame(R"(
#x = affine_map<()[s0] -> (s0, 2, 9, 9)>
#y = affine_map<()[s0] -> (s0, 22, 7, 7)>
#g = affine_map<()[s0] -> (s0, 2, 11, 7, 7)>
#z = affine_map<()[s0] -> (s0, 19)>
func.func @f(%x: tensor<?x2x9x9xf32, #x>, %w: tensor<2x11x3x3xf32> {bigm.tensor = 0 : i64},
    %b: tensor<22xf32> {bigm.tensor = 1 : i64}, %m: tensor<22xf32> {bigm.tensor = 2 : i64},
    %v: tensor<22xf32> {bigm.tensor = 3 : i64}, %l: tensor<19x22x7x7xf32> {bigm.tensor = 4 : i64})
    -> tensor<?x19xf32, #z> attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, g, o, h, w, i, j) -> (n, g, h + i, w + j)>
       rhs affine_map<(n, g, o, h, w, i, j) -> (g, o, i, j)> reduced affine_map<()[s0] -> (3, 3)>
       : (tensor<?x2x9x9xf32, #x>, tensor<2x11x3x3xf32>) -> tensor<?x2x11x7x7xf32, #g>
  %r = bigm.reshape %c : tensor<?x2x11x7x7xf32, #g> -> tensor<?x22x7x7xf32, #y>
  %bs = bigm.view %b, affine_map<(n, o, h, w) -> (o)> : tensor<22xf32> -> tensor<?x22x7x7xf32, #y>
  %rb = bigm.add %r, %bs : tensor<?x22x7x7xf32, #y>
  %vv = bigm.mul %v, %v : tensor<22xf32>
  %one = bigm.constant 1.0 : f32 -> tensor<22xf32>
  %positive = bigm.add %vv, %one : tensor<22xf32>
  %scale = bigm.rsqrt %positive : tensor<22xf32>
  %ms = bigm.view %m, affine_map<(n, o, h, w) -> (o)> : tensor<22xf32> -> tensor<?x22x7x7xf32, #y>
  %centred = bigm.sub %rb, %ms : tensor<?x22x7x7xf32, #y>
  %ss = bigm.view %scale, affine_map<(n, o, h, w) -> (o)> : tensor<22xf32> -> tensor<?x22x7x7xf32, #y>
  %normal = bigm.mul %centred, %ss : tensor<?x22x7x7xf32, #y>
  %out = bigm.contract %normal, %l lhs affine_map<(n, p, o, i, j) -> (n, o, i, j)>
       rhs affine_map<(n, p, o, i, j) -> (p, o, i, j)> reduced affine_map<()[s0] -> (22, 7, 7)>
       : (tensor<?x22x7x7xf32, #y>, tensor<19x22x7x7xf32>) -> tensor<?x19xf32, #z>
  return %out : tensor<?x19xf32, #z>
})",
             {3});
}

// ---------------------------------------------------------------- scales around contractions

/// Attention in plain ops, with an uneven length: the probabilities are normalised behind the second product.
TEST(Scales, Attention) {
  expectSame(R"(
#x = affine_map<()[s0] -> (2, s0, 5)>
#p = affine_map<()[s0] -> (2, s0, s0)>
#m = affine_map<()[s0] -> (2, s0)>
func.func @f(%q: tensor<2x?x5xf32, #x>, %k: tensor<2x?x5xf32, #x>, %v: tensor<2x?x5xf32, #x>) -> tensor<2x?x5xf32, #x>
    attributes {bigm.symbols = ["T"]} {
  %s = bigm.contract %q, %k lhs affine_map<(h, t, u, d) -> (h, t, d)> rhs affine_map<(h, t, u, d) -> (h, u, d)>
       reduced affine_map<()[s0] -> (5)> : (tensor<2x?x5xf32, #x>, tensor<2x?x5xf32, #x>) -> tensor<2x?x?xf32, #p>
  %max = bigm.reduce_max %s, [2] : tensor<2x?x?xf32, #p> -> tensor<2x?xf32, #m>
  %maxs = bigm.view %max, affine_map<(h, t, u) -> (h, t)> : tensor<2x?xf32, #m> -> tensor<2x?x?xf32, #p>
  %shifted = bigm.sub %s, %maxs : tensor<2x?x?xf32, #p>
  %e = bigm.exp %shifted : tensor<2x?x?xf32, #p>
  %sum = bigm.reduce_sum %e, [2] : tensor<2x?x?xf32, #p> -> tensor<2x?xf32, #m>
  %one = bigm.constant 1.0 : f32 -> tensor<2x?xf32, #m>
  %inverse = bigm.div %one, %sum : tensor<2x?xf32, #m>
  %inverses = bigm.view %inverse, affine_map<(h, t, u) -> (h, t)> : tensor<2x?xf32, #m> -> tensor<2x?x?xf32, #p>
  %probabilities = bigm.mul %e, %inverses : tensor<2x?x?xf32, #p>
  %o = bigm.contract %probabilities, %v lhs affine_map<(h, t, d, u) -> (h, t, u)> rhs affine_map<(h, t, d, u) -> (h, u, d)>
       reduced affine_map<()[s0] -> (s0)> : (tensor<2x?x?xf32, #p>, tensor<2x?x5xf32, #x>) -> tensor<2x?x5xf32, #x>
  return %o : tensor<2x?x5xf32, #x>
})",
             {37});
}

// ---------------------------------------------------------------- 16-bit floats
TEST(Narrow, Pointwise) {
  for (const char *element : {"bf16", "f16"}) {
    SCOPED_TRACE(element);
    for (const char *op : {"neg", "exp", "tanh", "sqrt", "floor", "sigmoid"})
      expectSame(unary(op, element), {11}, 1e-2);
    for (const char *op : {"add", "mul", "div", "max", "lt"})
      expectSame(binary(op, element), {7}, 1e-2);
    for (const char *other : {"f32", "i32", "f64", "ui8"})
      for (bool narrow : {true, false}) {
        if (!narrow && other == std::string("ui8"))
          continue; // what a negative number becomes is not defined
        std::string from = narrow ? other : element, to = narrow ? element : other;
        expectSame("func.func @f(%x: tensor<37x" + from + ">) -> tensor<37x" + to + "> {\n %r = bigm.cast %x : tensor<37x" +
                       from + "> -> tensor<37x" + to + ">\n return %r : tensor<37x" + to + ">\n}",
                   {}, 1e-2);
      }
  }
}

TEST(Shape, PairsFromTwoPlaces) {
  // Written two abreast and read as vectors: interleaved in registers. Rows of whole registers and of others, a block and more
  // of them, and halves that are computed on the way.
  for (const char *element : {"f32", "f64", "bf16"})
    for (auto [rows, columns] : std::vector<std::pair<int, int>>{{3, 32}, {131, 16}, {5, 21}, {2, 160}}) {
      SCOPED_TRACE(std::string(element) + " " + std::to_string(rows) + "x" + std::to_string(columns));
      std::string size = std::to_string(rows) + "x" + std::to_string(columns);
      std::string X = "tensor<2x" + size + "x" + element + ">", Y = "tensor<" + size + "x2x" + element + ">",
                  B = "tensor<" + std::to_string(columns) + "x" + element + ">";
      expectSame("func.func @f(%x: " + X + ", %b: " + B + ") -> (" + Y + ", " + Y + ") {\n"
                 "%y = bigm.view %x, affine_map<(i, j, p) -> (p, i, j)> : " + X + " -> " + Y + "\n"
                 "%v = bigm.view %b, affine_map<(i, j, p) -> (j)> : " + B + " -> " + Y + "\n"
                 "%z = bigm.mul %y, %v : " + Y + "\nreturn %y, %z : " + Y + ", " + Y + " }",
                 {}, element == std::string("bf16") ? 1e-2 : 1e-6);
    }
}
