// Scans and their gradients against the reference backend. expectSame runs each on code for x86-64-v2, v3 and this
// machine, with 1 and 3 threads, and expects the same bits of both.
#include "Harness.h"
#include "passes/Passes.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

namespace {
const std::string types = R"(
#N = affine_map<()[n, t] -> (n, 37)>
#TN = affine_map<()[n, t] -> (t, n, 37)>
#M = affine_map<()[n, t] -> (t, n)>
#R = affine_map<()[n, t] -> (n)>
)";

/// A gated recurrence over T with two states, one of whole numbers, weights and a mask.
std::string step() {
  return R"(
func.func private @step(%h: tensor<?x37xf32, #N>, %k: tensor<?x37xi32, #N>, %x: tensor<?x37xf32, #N>, %m: tensor<?xi1, #R>,
                        %w: tensor<37x37xf32>, %b: tensor<37xf32>)
    -> (tensor<?x37xf32, #N>, tensor<?x37xi32, #N>, tensor<?x37xf32, #N>, tensor<?x37xf32, #N>) attributes {bigm.symbols = ["N", "T"]} {
  %p = bigm.contract %h, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[n, t] -> (37)> : (tensor<?x37xf32, #N>, tensor<37x37xf32>) -> tensor<?x37xf32, #N>
  %bb = bigm.view %b, affine_map<(n, d) -> (d)> : tensor<37xf32> -> tensor<?x37xf32, #N>
  %q = bigm.add %p, %bb : tensor<?x37xf32, #N>
  %s = bigm.add %q, %x : tensor<?x37xf32, #N>
  %g = bigm.sigmoid %s : tensor<?x37xf32, #N>
  %gh = bigm.mul %g, %h : tensor<?x37xf32, #N>
  %th = bigm.tanh %s : tensor<?x37xf32, #N>
  %u = bigm.sub %gh, %th : tensor<?x37xf32, #N>
  %mm = bigm.view %m, affine_map<(n, d) -> (n)> : tensor<?xi1, #R> -> tensor<?x37xi1, #N>
  %h2 = bigm.select %mm, %u, %h : tensor<?x37xf32, #N>
  %one = bigm.constant 1 : i32 -> tensor<?x37xi32, #N>
  %k2 = bigm.add %k, %one : tensor<?x37xi32, #N>
  %kf = bigm.cast %k2 : tensor<?x37xi32, #N> -> tensor<?x37xf32, #N>
  %y = bigm.mul %h2, %kf : tensor<?x37xf32, #N>
  return %h2, %k2, %y, %h : tensor<?x37xf32, #N>, tensor<?x37xi32, #N>, tensor<?x37xf32, #N>, tensor<?x37xf32, #N>
}
)";
}

std::string run(bool reverse, const std::string &rest, const std::string &results) {
  return types + R"(
func.func @f(%x: tensor<?x?x37xf32, #TN>, %h: tensor<?x37xf32, #N>, %k: tensor<?x37xi32, #N>, %m: tensor<?x?xi1, #M>,
             %w: tensor<37x37xf32>, %b: tensor<37xf32>) -> )" + results + R"( attributes {bigm.symbols = ["N", "T"]} {
  %tenth = bigm.constant 0.1 : f32 -> tensor<37x37xf32> // errors of rounding do not grow from step to step
  %ws = bigm.mul %w, %tenth : tensor<37x37xf32>
  %r:4 = bigm.scan @step from(%h, %k) over(%x, %m) with(%ws, %b) steps affine_map<()[n, t] -> (t)> )" +
         (reverse ? "reverse" : "") + R"(
       : (tensor<?x37xf32, #N>, tensor<?x37xi32, #N>, tensor<?x?x37xf32, #TN>, tensor<?x?xi1, #M>, tensor<37x37xf32>, tensor<37xf32>)
       -> (tensor<?x37xf32, #N>, tensor<?x37xi32, #N>, tensor<?x?x37xf32, #TN>, tensor<?x?x37xf32, #TN>)
)" + rest + "}\n" + step();
}
const std::string all = "(tensor<?x37xf32, #N>, tensor<?x37xi32, #N>, tensor<?x?x37xf32, #TN>, tensor<?x?x37xf32, #TN>)";
const std::string everything = "  return %r#0, %r#1, %r#2, %r#3 : " + all.substr(1, all.size() - 2) + "\n";

/// The gradients of the product of what the steps give, to inputs, start, weights and bias, expanded.
std::string gradients(bool reverse) {
  const std::string wrt = "tensor<?x?x37xf32, #TN>, tensor<?x37xf32, #N>, tensor<37x37xf32>, tensor<37xf32>";
  std::string text = run(reverse, R"(
  %p = bigm.mul %r#2, %r#3 : tensor<?x?x37xf32, #TN>
  %l = bigm.reduce_sum %p, [0, 1, 2] : tensor<?x?x37xf32, #TN> -> tensor<f32>
  %g:4 = bigm.gradient %l wrt %x, %h, %w, %b : (tensor<f32>, )" + wrt + ") -> (" + wrt + ")\n  return %g#0, %g#1, %g#2, %g#3 : " +
                         wrt + "\n", "(" + wrt + ")");
  auto context = bigm::test::makeContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
  mlir::PassManager passes(context.get());
  mlir::bigm::addDifferentiate(passes);
  if (!module || failed(passes.run(*module)))
    return "";
  std::string out;
  llvm::raw_string_ostream stream(out);
  module->print(stream);
  return out;
}

// An odd and an even number of steps: states end in the result whichever place they begin at.
TEST(Scan, Forwards) {
  expectSame(run(false, everything, all), {3, 7});
  expectSame(run(false, everything, all), {1, 4});
}
TEST(Scan, Backwards) { expectSame(run(true, everything, all), {5, 3}); }
TEST(Scan, OneStep) { expectSame(run(false, everything, all), {2, 1}); }
TEST(Scan, Gradients) { expectSame(gradients(false), {3, 6}, 1e-4); }
TEST(Scan, GradientsBackwards) { expectSame(gradients(true), {2, 5}, 1e-4); }

// A scan in the step of another: the last states of the inner one begin from the outer row.
TEST(Scan, Nested) {
  expectSame(R"(
#NT = affine_map<()[n, t] -> (t, n, 5)>
#N5 = affine_map<()[n, t] -> (n, 5)>
func.func @f(%x: tensor<?x?x5xf32, #NT>, %h: tensor<?x5xf32, #N5>, %w: tensor<5x5xf32>) -> (tensor<?x5xf32, #N5>, tensor<?x?x5xf32, #NT>)
    attributes {bigm.symbols = ["N", "T"]} {
  %r:2 = bigm.scan @outer from(%h) over(%x) with(%x, %w) steps affine_map<()[n, t] -> (t)>
         : (tensor<?x5xf32, #N5>, tensor<?x?x5xf32, #NT>, tensor<?x?x5xf32, #NT>, tensor<5x5xf32>) -> (tensor<?x5xf32, #N5>, tensor<?x?x5xf32, #NT>)
  return %r#0, %r#1 : tensor<?x5xf32, #N5>, tensor<?x?x5xf32, #NT>
}
func.func private @outer(%h: tensor<?x5xf32, #N5>, %x: tensor<?x5xf32, #N5>, %all: tensor<?x?x5xf32, #NT>, %w: tensor<5x5xf32>)
    -> (tensor<?x5xf32, #N5>, tensor<?x5xf32, #N5>) attributes {bigm.symbols = ["N", "T"]} {
  %r = bigm.scan @inner from(%x) over(%all) with(%w) steps affine_map<()[n, t] -> (t)> reverse
       : (tensor<?x5xf32, #N5>, tensor<?x?x5xf32, #NT>, tensor<5x5xf32>) -> tensor<?x5xf32, #N5>
  %s = bigm.add %r, %h : tensor<?x5xf32, #N5>
  %t = bigm.tanh %s : tensor<?x5xf32, #N5>
  return %t, %r : tensor<?x5xf32, #N5>, tensor<?x5xf32, #N5>
}
func.func private @inner(%h: tensor<?x5xf32, #N5>, %x: tensor<?x5xf32, #N5>, %w: tensor<5x5xf32>) -> tensor<?x5xf32, #N5>
    attributes {bigm.symbols = ["N", "T"]} {
  %p = bigm.contract %h, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[n, t] -> (5)> : (tensor<?x5xf32, #N5>, tensor<5x5xf32>) -> tensor<?x5xf32, #N5>
  %s = bigm.add %p, %x : tensor<?x5xf32, #N5>
  %t = bigm.tanh %s : tensor<?x5xf32, #N5>
  return %t : tensor<?x5xf32, #N5>
}
)", {4, 3});
}
} // namespace
