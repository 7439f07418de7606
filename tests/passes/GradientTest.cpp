// Every differentiable op of the dialect against central differences in f64 on the reference backend.
//
// Each case is a body that computes %r from arguments. The loss is the sum of %r times arbitrary weights, which stand as
// a further argument, so that every element of the cotangent differs. The second order differentiates the sum of the
// gradients times arbitrary weights once more. Tolerance: 1e-6 of the largest element. Sizes are asymmetric.
#include "backends/ref/Ref.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "gtest/gtest.h"
#include <cmath>
#include <ostream>
#include <set>

using namespace mlir;

namespace {

struct Arg {
  std::string type;
  double low = -2, high = 2; // range of its elements
  bool wrt = true;
};
struct Case {
  std::string name; // the op, and a variant behind '/'
  std::vector<Arg> args;
  std::string result; // type of %r
  std::string body;   // %0, %1, ... are the arguments
  std::vector<int64_t> symbols = {};
  std::string functions = ""; // that the body uses
};
void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }

// Types with symbols: N = 3, T = 5.
constexpr const char *kMaps = R"(
#N4 = affine_map<()[n, t] -> (n, 4)>
#NT = affine_map<()[n, t] -> (n, t)>
#T = affine_map<()[n, t] -> (t)>
#N = affine_map<()[n, t] -> (n)>
#NT1 = affine_map<()[n, t] -> (n, t + 1)>
#Image = affine_map<()[n, t] -> (n, 2, t + 4, 7)>
#N23 = affine_map<()[n, t] -> (n, 2, 3)>
#Small = affine_map<()[n, t] -> (n, 1, t, 4)>
#Warped = affine_map<()[n, t] -> (n, 1, 3, t)>
#Half = affine_map<()[n, t] -> (n, 3, (t + 1) floordiv 2 + 1, 3)>
#Flat = affine_map<()[n, t] -> (n * t)>
#TN4 = affine_map<()[n, t] -> (t, n, 4)>
#TN = affine_map<()[n, t] -> (t, n)>
)";

Case unary(const char *op, double low = -2, double high = 2) {
  return {op, {{"tensor<3x4xf64>", low, high}}, "tensor<3x4xf64>",
          std::string("%r = bigm.") + op + " %0 : tensor<3x4xf64>"};
}
Case binary(const char *op, double low = -2, double high = 2) {
  return {op, {{"tensor<3x4xf64>", low, high}, {"tensor<3x4xf64>", low, high}}, "tensor<3x4xf64>",
          std::string("%r = bigm.") + op + " %0, %1 : tensor<3x4xf64>"};
}
Case contract(const char *variant, const std::string &lhs, const std::string &rhs, const std::string &result,
              const std::string &lhsMap, const std::string &rhsMap, const std::string &reduced,
              std::vector<int64_t> symbols = {}) {
  return {std::string("contract/") + variant, {{lhs}, {rhs}}, result,
          "%r = bigm.contract %0, %1 lhs affine_map<" + lhsMap + "> rhs affine_map<" + rhsMap +
              "> reduced affine_map<" + reduced + "> : (" + lhs + ", " + rhs + ") -> " + result,
          symbols};
}
Case shape(const char *name, const std::string &from, const std::string &to, const std::string &body,
           std::vector<int64_t> symbols = {}) {
  return {name, {{from}}, to, body + " : " + from + " -> " + to, symbols};
}

Case resize(const std::string &mode, bool antialias, int h, int w, int toHeight, int toWidth) {
  auto type = [](int h, int w) { return "tensor<2x1x" + std::to_string(h) + "x" + std::to_string(w) + "xf64>"; };
  return {"resize/" + mode + (antialias ? "/antialias" : ""), {{type(h, w)}}, type(toHeight, toWidth),
          "%r = bigm.resize %0, \"" + mode + "\" antialias " + (antialias ? "true" : "false") + " : " + type(h, w) + " -> " +
              type(toHeight, toWidth)};
}

/// A recurrence over T with two states, weights, a bias and a mask of rows that have ended; the loss sees what all steps
/// give, or the last states. `product` stands for weights in the step: once, or twice in a row.
Case scan(const char *variant, bool reverse, bool ofLast, bool twice, bool whole = false) {
  Case c;
  c.name = std::string("scan/") + variant;
  c.symbols = {3, 5};
  std::string nd = "tensor<?x4xf64, #N4>", w = "tensor<4x4xf64>", b = "tensor<4xf64>", tnd = "tensor<?x?x4xf64, #TN4>",
              tn = "tensor<?x?xf64, #TN>", nn = "tensor<?xf64, #N>";
  c.args = {{tnd, -1, 1}, {nd, -1, 1}, {nd, -1, 1}, {w, -1, 1}, {b, -1, 1}, {tn, -1, 1, false}};
  c.result = ofLast ? nd : tnd;
  auto product = [&](const std::string &to, const std::string &of) {
    return "%" + to + " = bigm.contract %" + of + ", %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)> "
           "reduced affine_map<()[n, t] -> (4)> : (" + nd + ", " + w + ") -> " + nd + "\n";
  };
  c.functions = "func.func private @step(%h: " + nd + ", %c: " + nd + ", %x: " + nd + ", %m: " + nn + ", %w: " + w +
                ", %b: " + b + ") -> (" + nd + ", " + nd + ", " + nd + ") attributes {bigm.symbols = [\"N\", \"T\"]} {\n" +
                product("p", "h") + (twice ? "%th = bigm.tanh %p : " + nd + "\n" + product("q", "th") : "%q = bigm.neg %p : " + nd) +
                "\n%bb = bigm.view %b, affine_map<(n, d) -> (d)> : " + b + " -> " + nd +
                "\n%s0 = bigm.add %q, %bb : " + nd + "\n%s = bigm.add %s0, %x : " + nd + "\n%g = bigm.sigmoid %s : " + nd +
                "\n%c1 = bigm.mul %g, %c : " + nd + "\n%u = bigm.tanh %s : " + nd + "\n%c2 = bigm.add %c1, %u : " + nd +
                "\n%h2 = bigm.tanh %c2 : " + nd + "\n%mv = bigm.view %m, affine_map<(n, d) -> (n)> : " + nn + " -> " + nd +
                "\n%zero = bigm.constant 0.0 : f64 -> " + nd + "\n%lives = bigm.gt %mv, %zero : " + nd +
                "\n%h3 = bigm.select %lives, %h2, %h : " + nd + "\n%c3 = bigm.select %lives, %c2, %c : " + nd +
                "\n%y = bigm.mul %h3, %u : " + nd + "\nreturn %h3, %c3, %y : " + nd + ", " + nd + ", " + nd + "\n}\n";
  c.body = "%run:3 = bigm.scan @step from(%1, %2) over(%0, %5) with(%3, %4) steps affine_map<()[n, t] -> (t)> " +
           std::string(reverse ? "reverse " : "") + ": (" + nd + ", " + nd + ", " + tnd + ", " + tn + ", " + w + ", " + b +
           ") -> (" + nd + ", " + nd + ", " + tnd + ")\n";
  if (ofLast)
    c.body += "%r = bigm.mul %run#0, %run#1 : " + nd;
  else if (whole)
    c.body += "%e = bigm.view %run#1, affine_map<(t, n, d) -> (n, d)> : " + nd + " -> " + tnd + "\n%r = bigm.mul %run#2, %e : " + tnd;
  else
    c.body += "%zero = bigm.constant 0.0 : f64 -> " + tnd + "\n%r = bigm.add %run#2, %zero : " + tnd;
  return c;
}

/// T queries and S keys of two heads, T and S being numbers or `t` = 5. The mask hides what a further argument has below
/// zero.
Case attention(const char *variant, const std::string &T, const std::string &S, const char *width, bool masked,
               bool causal, bool ofStatistic = false) {
  auto type = [](const std::vector<std::string> &sizes, const std::string &element) {
    std::string dims, list;
    for (const std::string &size : sizes) {
      dims += (isalpha(size[0]) ? "?" : size) + "x";
      list += (list.empty() ? "" : ", ") + size;
    }
    return "tensor<" + dims + element + ", affine_map<()[n, t] -> (" + list + ")>>";
  };
  std::string q = type({"n", T, "2", width}, "f64"), k = type({"n", S, "2", width}, "f64"),
              statistic = type({"n", "2", T}, "f64"), numbers = type({"n", S}, "f64"), bits = type({"n", S}, "i1");
  std::vector<Arg> args = {{q}, {k}, {k}};
  std::string body, mask, maskType;
  if (masked) {
    args.push_back({numbers, -1, 1, false});
    body = "%z = bigm.constant 0.0 : f64 -> " + numbers + "\n%m = bigm.gt %3, %z : " + numbers + "\n";
    mask = " mask %m", maskType = ", " + bits;
  }
  body += std::string(ofStatistic ? "%y, %r" : "%r, %s") + " = bigm.attention %0, %1, %2" + mask +
          (causal ? " causal" : "") + " : (" + q + ", " + k + ", " + k + maskType + ") -> (" + q + ", " + statistic + ")";
  return {std::string("attention/") + variant, args, ofStatistic ? statistic : q, body, {3, 5}};
}

std::vector<Case> cases() {
  std::vector<Case> all = {
      unary("neg"), unary("abs"), unary("exp"), unary("log", 0.2, 3), unary("log1p", -0.5, 3), unary("expm1"),
      unary("sqrt", 0.2, 3), unary("rsqrt", 0.2, 3), unary("sin"), unary("cos"), unary("atan"), unary("tanh"), unary("erf"),
      unary("sigmoid"), binary("add"), binary("sub"), binary("mul"), binary("div", 0.3, 2), binary("pow", 0.3, 2),
      binary("max"), binary("min"), binary("mod", 0.3, 2),
      {"mod/negative", {{"tensor<3x4xf64>", -5, -1}, {"tensor<3x4xf64>", 0.5, 0.9}}, "tensor<3x4xf64>",
       "%r = bigm.mod %0, %1 : tensor<3x4xf64>"},
      {"pow/negative base", {{"tensor<3x4xf64>", -2, -1}}, "tensor<3x4xf64>",
       "%e = bigm.constant 3.0 : f64 -> tensor<3x4xf64>\n %r = bigm.pow %0, %e : tensor<3x4xf64>"},
      {"select", {{"tensor<3x4xf64>"}, {"tensor<3x4xf64>"}, {"tensor<3x4xf64>", -1, 1, false}}, "tensor<3x4xf64>",
       "%z = bigm.constant 0.0 : f64 -> tensor<3x4xf64>\n %c = bigm.gt %2, %z : tensor<3x4xf64>\n"
       "%r = bigm.select %c, %0, %1 : tensor<3x4xf64>"},
      shape("cast", "tensor<3x4xf64>", "tensor<3x4xf32>", "%r = bigm.cast %0"),
      shape("reshape", "tensor<3x4xf64>", "tensor<2x6xf64>", "%r = bigm.reshape %0"),
      shape("reshape/symbolic", "tensor<?x?xf64, #NT>", "tensor<?xf64, #Flat>", "%r = bigm.reshape %0", {3, 5}),
      shape("view/transpose", "tensor<3x4xf64>", "tensor<4x3xf64>", "%r = bigm.view %0, affine_map<(a, b) -> (b, a)>"),
      shape("view/broadcast", "tensor<4xf64>", "tensor<2x4x3xf64>", "%r = bigm.view %0, affine_map<(a, b, c) -> (b)>"),
      shape("view/size one", "tensor<1x4xf64>", "tensor<3x4xf64>", "%r = bigm.view %0, affine_map<(a, b) -> (0, b)>"),
      shape("view/slice", "tensor<9x4xf64>", "tensor<3x2xf64>",
            "%r = bigm.view %0, affine_map<(a, b) -> (a * 3 + 1, b + 2)>"),
      shape("view/reverse", "tensor<5xf64>", "tensor<5xf64>", "%r = bigm.view %0, affine_map<(a) -> (4 - a)>"),
      shape("view/window", "tensor<2x9xf64>", "tensor<2x4x3xf64>",
            "%r = bigm.view %0, affine_map<(a, b, c) -> (a, b * 2 + c)>"),
      shape("view/diagonal", "tensor<4x4xf64>", "tensor<4xf64>", "%r = bigm.view %0, affine_map<(a) -> (a, a)>"),
      shape("fold/window", "tensor<2x4x3xf64>", "tensor<2x9xf64>",
            "%r = bigm.fold %0, affine_map<(a, b, c) -> (a, b * 2 + c)>"),
      shape("fold/sum", "tensor<2x4x3xf64>", "tensor<4xf64>", "%r = bigm.fold %0, affine_map<(a, b, c) -> (b)>"),
      shape("fold/diagonal", "tensor<4xf64>", "tensor<4x4xf64>", "%r = bigm.fold %0, affine_map<(a) -> (a, a)>"),
      {"pad", {{"tensor<3x4xf64>"}, {"tensor<f64>"}}, "tensor<6x9xf64>",
       "%r = bigm.pad %0, %1 low [1, 0] high [2, 2] interior [0, 1] : (tensor<3x4xf64>, tensor<f64>) -> tensor<6x9xf64>"},
      {"pad/crop", {{"tensor<5x4xf64>"}, {"tensor<f64>"}}, "tensor<3x7xf64>",
       "%r = bigm.pad %0, %1 low [-1, 2] high [-1, 1] interior [0, 0] : (tensor<5x4xf64>, tensor<f64>) -> tensor<3x7xf64>"},
      {"pad/crop between", {{"tensor<5xf64>"}, {"tensor<f64>"}}, "tensor<6xf64>",
       "%r = bigm.pad %0, %1 low [-1] high [-2] interior [1] : (tensor<5xf64>, tensor<f64>) -> tensor<6xf64>"},
      {"concat", {{"tensor<2x3xf64>"}, {"tensor<2x1xf64>"}, {"tensor<2x2xf64>"}}, "tensor<2x6xf64>",
       "%r = bigm.concat 1, %0, %1, %2 : (tensor<2x3xf64>, tensor<2x1xf64>, tensor<2x2xf64>) -> tensor<2x6xf64>"},
      {"concat/symbolic", {{"tensor<?x1xf64, affine_map<()[n, t] -> (n, 1)>>"}, {"tensor<?x?xf64, #NT>"}},
       "tensor<?x?xf64, #NT1>",
       "%r = bigm.concat 1, %0, %1 : (tensor<?x1xf64, affine_map<()[n, t] -> (n, 1)>>, tensor<?x?xf64, #NT>) -> "
       "tensor<?x?xf64, #NT1>", {3, 5}},
      shape("reduce_sum", "tensor<3x4x2xf64>", "tensor<4xf64>", "%r = bigm.reduce_sum %0, [0, 2]"),
      shape("reduce_sum/all", "tensor<?x?xf64, #NT>", "tensor<f64>", "%r = bigm.reduce_sum %0, [0, 1]", {3, 5}),
      shape("reduce_max", "tensor<3x4x2xf64>", "tensor<3x2xf64>", "%r = bigm.reduce_max %0, [1]"),
      shape("reduce_min", "tensor<3x4x2xf64>", "tensor<3x2xf64>", "%r = bigm.reduce_min %0, [1]"),
      shape("reduce_prod", "tensor<3x4x2xf64>", "tensor<3x2xf64>", "%r = bigm.reduce_prod %0, [1]"),
      contract("matmul", "tensor<3x4xf64>", "tensor<4x5xf64>", "tensor<3x5xf64>", "(i, j, k) -> (i, k)",
               "(i, j, k) -> (k, j)", "() -> (4)"),
      contract("batched, transposed", "tensor<?x4x3xf64, affine_map<()[n, t] -> (n, 4, 3)>>",
               "tensor<?x?x4xf64, affine_map<()[n, t] -> (n, t, 4)>>",
               "tensor<?x3x?xf64, affine_map<()[n, t] -> (n, 3, t)>>", "(b, i, j, k) -> (b, k, i)",
               "(b, i, j, k) -> (b, j, k)", "() -> (4)", {3, 5}),
      contract("symbolic reduced", "tensor<?x4xf64, #N4>", "tensor<?x?xf64, #NT>",
               "tensor<4x?xf64, affine_map<()[n, t] -> (4, t)>>", "(i, j, k) -> (k, i)", "(i, j, k) -> (k, j)",
               "()[n, t] -> (n)", {3, 5}),
      contract("dot", "tensor<7xf64>", "tensor<7xf64>", "tensor<f64>", "(k) -> (k)", "(k) -> (k)", "() -> (7)"),
      contract("outer", "tensor<3xf64>", "tensor<4xf64>", "tensor<3x4xf64>", "(i, j) -> (i)", "(i, j) -> (j)",
               "() -> ()"),
      contract("summed factor", "tensor<3x4xf64>", "tensor<3x2xf64>", "tensor<3xf64>", "(i, a, b) -> (i, a)",
               "(i, a, b) -> (i, b)", "() -> (4, 2)"),
      contract("convolution", "tensor<2x3x6x7xf64>", "tensor<4x3x3x2xf64>", "tensor<2x4x4x6xf64>",
               "(n, o, y, x, c, i, j) -> (n, c, y + i, x + j)", "(n, o, y, x, c, i, j) -> (o, c, i, j)",
               "() -> (3, 3, 2)"),
      contract("strided, dilated", "tensor<2x2x10x7xf64>", "tensor<3x2x3x2xf64>", "tensor<2x3x3x3xf64>",
               "(n, o, y, x, c, i, j) -> (n, c, y * 2 + i * 2, x * 2 + j)", "(n, o, y, x, c, i, j) -> (o, c, i, j)",
               "() -> (2, 3, 2)"),
      contract("symbolic strided", "tensor<?x2x?x7xf64, #Image>", "tensor<3x2x2x3xf64>", "tensor<?x3x?x3xf64, #Half>",
               "(n, o, y, x, c, i, j) -> (n, c, y * 2 + i, x * 2 + j)", "(n, o, y, x, c, i, j) -> (o, c, i, j)",
               "() -> (2, 2, 3)", {2, 5}),
      contract("depthwise", "tensor<2x3x5x4xf64>", "tensor<3x3x2xf64>", "tensor<2x3x3x3xf64>",
               "(n, c, y, x, i, j) -> (n, c, y + i, x + j)", "(n, c, y, x, i, j) -> (c, i, j)", "() -> (3, 2)"),
      contract("grouped", "tensor<2x2x3x5xf64>", "tensor<2x4x3x2xf64>", "tensor<2x2x4x4xf64>",
               "(n, g, o, x, c, i) -> (n, g, c, x + i)", "(n, g, o, x, c, i) -> (g, o, c, i)", "() -> (3, 2)"),
      contract("flipped window", "tensor<2x6xf64>", "tensor<3xf64>", "tensor<2x4xf64>", "(n, x, i) -> (n, x - i + 2)",
               "(n, x, i) -> (i)", "() -> (3)"),
      contract("falling pivot", "tensor<8xf64>", "tensor<3xf64>", "tensor<5xf64>", "(x, i) -> (5 - x + i)",
               "(x, i) -> (i)", "() -> (3)"),
      contract("strided slice", "tensor<2x9xf64>", "tensor<2x3xf64>", "tensor<4x3xf64>", "(x, o, c) -> (c, x * 2 + 1)",
               "(x, o, c) -> (c, o)", "() -> (2)"),
      contract("diagonal", "tensor<4x4xf64>", "tensor<4x3xf64>", "tensor<3xf64>", "(o, i) -> (i, i)",
               "(o, i) -> (i, o)", "() -> (4)"),
      contract("shared window", "tensor<6x4xf64>", "tensor<3xf64>", "tensor<4xf64>", "(x, i) -> (x + i, x)",
               "(x, i) -> (i)", "() -> (3)"),
      contract("both windows", "tensor<6xf64>", "tensor<7xf64>", "tensor<4xf64>", "(x, i) -> (x + i)",
               "(x, i) -> (x + 2 * i)", "() -> (2)"),
      contract("size one", "tensor<1x4xf64>", "tensor<4x3xf64>", "tensor<2x3xf64>", "(i, j, k) -> (0, k)",
               "(i, j, k) -> (k, j)", "() -> (4)"),
      {"contract/square", {{"tensor<3x4xf64>"}}, "tensor<3x3xf64>",
       "%r = bigm.contract %0, %0 lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (j, k)> reduced "
       "affine_map<() -> (4)> : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x3xf64>"},
      {"gather", {{"tensor<5x2xf64>"}, {"tensor<3x4xf64>", 0, 4.9, false}}, "tensor<3x4x2xf64>",
       "%i = bigm.cast %1 : tensor<3x4xf64> -> tensor<3x4xi32>\n"
       "%r = bigm.gather %0, %i : (tensor<5x2xf64>, tensor<3x4xi32>) -> tensor<3x4x2xf64>"},
      // Places of the map lie inside, across the edges and outside; sizes are larger, smaller, and symbols.
      {"warp", {{"tensor<2x3x4x5xf64>"}, {"tensor<2x2x3xf64>", -0.4, 1.3}}, "tensor<2x3x3x6xf64>",
       "%r = bigm.warp %0, %1 fill 0.7 : (tensor<2x3x4x5xf64>, tensor<2x2x3xf64>) -> tensor<2x3x3x6xf64>"},
      {"warp/symbolic", {{"tensor<?x1x?x4xf64, #Small>"}, {"tensor<?x2x3xf64, #N23>", 0.2, 0.9}}, "tensor<?x1x3x?xf64, #Warped>",
       "%r = bigm.warp %0, %1 fill 0.0 : (tensor<?x1x?x4xf64, #Small>, tensor<?x2x3xf64, #N23>) -> tensor<?x1x3x?xf64, #Warped>", {2, 5}},
      resize("nearest", false, 5, 7, 3, 9),
      resize("bilinear", false, 5, 7, 3, 9),
      resize("bilinear", true, 7, 5, 3, 9),
      resize("bicubic", false, 5, 7, 3, 9),
      resize("bicubic", true, 9, 5, 4, 7),
      resize("area", false, 7, 4, 6, 3),
      {"resize/symbolic", {{"tensor<?x1x?x4xf64, #Small>"}}, "tensor<?x1x3x?xf64, #Warped>",
       "%r = bigm.resize %0, \"bilinear\" antialias true : tensor<?x1x?x4xf64, #Small> -> tensor<?x1x3x?xf64, #Warped>", {2, 5}},
      {"scatter_add", {{"tensor<3x4x2xf64>"}, {"tensor<3x4xf64>", 0, 4.9, false}}, "tensor<5x2xf64>",
       "%i = bigm.cast %1 : tensor<3x4xf64> -> tensor<3x4xi32>\n"
       "%r = bigm.scatter_add %0, %i : (tensor<3x4x2xf64>, tensor<3x4xi32>) -> tensor<5x2xf64>"},
      attention("causal", "t", "t", "3", false, true), attention("masked", "2", "t", "3", true, false),
      attention("queries before all keys", "6", "4", "1", true, true),
      attention("statistic", "2", "t", "3", false, true, true),
      {"max/pooled", {{"tensor<2x6xf64>"}}, "tensor<2x3xf64>",
       "%w = bigm.view %0, affine_map<(a, b, c) -> (a, b * 2 + c)> : tensor<2x6xf64> -> tensor<2x3x2xf64>\n"
       "%r = bigm.reduce_max %w, [2] : tensor<2x3x2xf64> -> tensor<2x3xf64>"},
      {"exp/softmax", {{"tensor<3x4xf64>"}}, "tensor<3x4xf64>",
       "%m = bigm.reduce_max %0, [1] : tensor<3x4xf64> -> tensor<3xf64>\n"
       "%mb = bigm.view %m, affine_map<(a, b) -> (a)> : tensor<3xf64> -> tensor<3x4xf64>\n"
       "%d = bigm.sub %0, %mb : tensor<3x4xf64>\n %e = bigm.exp %d : tensor<3x4xf64>\n"
       "%s = bigm.reduce_sum %e, [1] : tensor<3x4xf64> -> tensor<3xf64>\n"
       "%sb = bigm.view %s, affine_map<(a, b) -> (a)> : tensor<3xf64> -> tensor<3x4xf64>\n"
       "%r = bigm.div %e, %sb : tensor<3x4xf64>"},
      scan("stacked", false, false, false), scan("reverse", true, false, true), scan("last", false, true, true),
      scan("both", true, false, false, true),
  };
  return all;
}

/// Numbers that look random and are the same everywhere.
bigm::ref::Tensor numbers(const std::vector<int64_t> &shape, int64_t stream, double low, double high) {
  bigm::ref::Tensor tensor{shape, {}};
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  for (int64_t i = 0; i < count; ++i)
    tensor.data.push_back(low + (high - low) * bigm::ref::uniform(7, stream, i));
  return tensor;
}

class Gradient : public testing::TestWithParam<Case> {
protected:
  Gradient() { context.loadDialect<bigm::BigmDialect, func::FuncDialect>(); }

  RankedTensorType parse(const std::string &type) {
    // Aliases are known in a module only, so the type is read off a function's argument.
    auto module = parseSourceString<ModuleOp>(kMaps + ("func.func private @t(" + type + ")"), &context);
    return cast<RankedTensorType>((*module->getOps<func::FuncOp>().begin()).getArgumentTypes()[0]);
  }
  static std::string spell(Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  }
  std::vector<int64_t> shapeOf(Type type, ArrayRef<int64_t> symbols) {
    std::vector<int64_t> shape;
    for (AffineExpr size : bigm::sizesOf(type)) {
      SmallVector<AffineExpr> values;
      for (int64_t symbol : symbols)
        values.push_back(getAffineConstantExpr(symbol, &context));
      shape.push_back(cast<AffineConstantExpr>(size.replaceDimsAndSymbols({}, values)).getValue());
    }
    return shape;
  }

  /// Sum of `value` times `weights`, as text that defines %name.
  static std::string weighted(const std::string &name, const std::string &value, const std::string &weights,
                              RankedTensorType type) {
    std::string dims, t = spell(type), scalar = "tensor<" + spell(type.getElementType()) + ">";
    for (int64_t i = 0; i < type.getRank(); ++i)
      dims += (i ? ", " : "") + std::to_string(i);
    return "%" + name + "p = bigm.mul " + value + ", " + weights + " : " + t + "\n%" + name +
           "s = bigm.reduce_sum %" + name + "p, [" + dims + "] : " + t + " -> " + scalar + "\n%" + name +
           " = bigm.cast %" + name + "s : " + scalar + " -> tensor<f64>\n";
  }

  /// Parses, expands gradients, simplifies or not.
  func::FuncOp build(const std::string &text, OwningOpRef<ModuleOp> &owner, bool simplify) {
    owner = parseSourceString<ModuleOp>(kMaps + text, &context);
    if (!owner)
      return {};
    PassManager manager(&context);
    if (simplify)
      bigm::addDifferentiate(manager);
    else
      manager.addPass(bigm::createAutodiff());
    if (failed(manager.run(*owner)))
      return {};
    return *owner->getOps<func::FuncOp>().begin();
  }

  MLIRContext context;
};

TEST_P(Gradient, MatchesCentralDifferences) {
  const Case &c = GetParam();
  // Arguments: the case's, weights of the result, weights of each gradient.
  std::vector<RankedTensorType> types;
  std::vector<bigm::ref::Tensor> inputs;
  std::vector<unsigned> wrt;
  auto add = [&](RankedTensorType type, double low, double high) {
    types.push_back(type);
    inputs.push_back(numbers(shapeOf(type, c.symbols), inputs.size(), low, high));
  };
  for (const Arg &arg : c.args) {
    if (arg.wrt)
      wrt.push_back(types.size());
    add(parse(arg.type), arg.low, arg.high);
  }
  RankedTensorType resultType = parse(c.result);
  unsigned weights = types.size();
  add(resultType, 0.5, 1.5);
  for (unsigned i : wrt)
    add(types[i], 0.5, 1.5);

  std::string header = "func.func @f(";
  for (unsigned i = 0; i < types.size(); ++i)
    header += (i ? ", %" : "%") + std::to_string(i) + ": " + spell(types[i]);
  std::string symbols = c.symbols.empty() ? "" : " attributes {bigm.symbols = [\"N\", \"T\"]}";
  std::string loss = c.body + "\n" + weighted("loss", "%r", "%" + std::to_string(weights), resultType);
  std::string names, operandTypes = "tensor<f64>", gradTypes;
  for (unsigned i : wrt) {
    names += (names.empty() ? "%" : ", %") + std::to_string(i);
    operandTypes += ", " + spell(types[i]);
    gradTypes += (gradTypes.empty() ? "" : ", ") + spell(types[i]);
  }
  auto gradient = [&](const std::string &name, const std::string &of) {
    return "%" + name + ":" + std::to_string(wrt.size()) + " = bigm.gradient %" + of + " wrt " + names + " : (" +
           operandTypes + ") -> (" + gradTypes + ")\n";
  };
  auto results = [&](const std::string &name) {
    std::string list;
    for (unsigned i = 0; i < wrt.size(); ++i)
      list += (i ? ", %" : "%") + name + "#" + std::to_string(i);
    return list;
  };
  std::string first = loss + gradient("g", "loss"), second = first;
  for (unsigned i = 0; i < wrt.size(); ++i) {
    std::string part = "q" + std::to_string(i);
    second += weighted(part, "%g#" + std::to_string(i), "%" + std::to_string(weights + 1 + i), types[wrt[i]]);
    second += i ? "%sum" + std::to_string(i) + " = bigm.add %" + (i == 1 ? "q0" : "sum" + std::to_string(i - 1)) +
                      ", %" + part + " : tensor<f64>\n"
                : "";
  }
  std::string total = wrt.size() > 1 ? "sum" + std::to_string(wrt.size() - 1) : "q0";

  auto check = [&](const std::string &scalarBody, const std::string &scalar, const std::string &gradBody,
                   const std::string &grad, bool simplify) {
    SCOPED_TRACE((simplify ? "simplified, " : "as expanded, ") + scalar);
    OwningOpRef<ModuleOp> scalarModule, gradModule;
    func::FuncOp f = build(header + ") -> tensor<f64>" + symbols + " {\n" + scalarBody + "return %" + scalar +
                               " : tensor<f64>\n}\n" + c.functions,
                           scalarModule, false);
    func::FuncOp g = build(header + ") -> (" + gradTypes + ")" + symbols + " {\n" + gradBody + "return " +
                               results(grad) + " : " + gradTypes + "\n}\n" + c.functions,
                           gradModule, simplify);
    ASSERT_TRUE(f && g);
    auto got = bigm::ref::run(g, inputs, c.symbols, bigm::ref::Mode::Double);
    ASSERT_TRUE(succeeded(got));
    for (unsigned i = 0; i < wrt.size(); ++i) {
      std::vector<double> expected;
      double largest = 1e-3;
      for (size_t k = 0; k < inputs[wrt[i]].data.size(); ++k) {
        std::vector<bigm::ref::Tensor> moved = inputs;
        double h = 1e-5, at[2];
        for (int side : {0, 1}) {
          moved[wrt[i]].data[k] = inputs[wrt[i]].data[k] + (side ? h : -h);
          at[side] = (*bigm::ref::run(f, moved, c.symbols, bigm::ref::Mode::Double))[0].data[0];
        }
        expected.push_back((at[1] - at[0]) / (2 * h));
        largest = std::max(largest, std::abs(expected.back()));
      }
      ASSERT_EQ((*got)[i].data.size(), expected.size());
      for (size_t k = 0; k < expected.size(); ++k)
        ASSERT_NEAR((*got)[i].data[k], expected[k], 1e-6 * largest) << "argument " << wrt[i] << ", element " << k;
    }
  };
  check(loss, "loss", first, "g", false);
  check(loss, "loss", first, "g", true);
  check(second, total, second + gradient("h", total), "h", true);
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, testing::ValuesIn(cases()), [](const auto &info) {
  std::string name = info.param.name;
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
});

// An op that claims a gradient and has no case here has an unchecked gradient.
TEST(GradientTable, CoversEveryDifferentiableOp) {
  MLIRContext context;
  context.loadDialect<bigm::BigmDialect>();
  std::set<std::string> covered;
  for (const Case &c : cases())
    covered.insert(c.name.substr(0, c.name.find('/')));
  for (RegisteredOperationName op : context.getRegisteredOperations())
    if (op.getDialectNamespace() == "bigm" && op.hasInterface<bigm::Differentiable>()) {
      EXPECT_TRUE(covered.count(op.stripDialect().str())) << op.getStringRef().str() << " has no gradient case";
    }
}

} // namespace
