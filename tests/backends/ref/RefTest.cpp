// The oracle itself, against values worked out by hand and published test vectors.
#include "backends/ref/Ref.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gmock/gmock.h"
#include <cmath>

using namespace mlir;
using bigm::ref::Mode;
using bigm::ref::Tensor;
using testing::ElementsAre;
using testing::Pointwise;
using testing::DoubleNear;

namespace {

struct Ref : testing::Test {
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  Ref() { context.loadDialect<bigm::BigmDialect, func::FuncDialect>(); }

  FailureOr<std::vector<Tensor>> run(const char *text, std::vector<Tensor> inputs, std::vector<int64_t> symbols = {},
                                     Mode mode = Mode::Typed) {
    module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return failure();
    return bigm::ref::run(*module->getOps<func::FuncOp>().begin(), inputs, symbols, mode);
  }
  std::vector<double> value(const char *text, std::vector<Tensor> inputs, std::vector<int64_t> symbols = {},
                            Mode mode = Mode::Typed) {
    auto results = run(text, std::move(inputs), std::move(symbols), mode);
    return succeeded(results) ? (*results)[0].data : std::vector<double>();
  }
};

// Known answers of Random123's kat_vectors for threefry2x32 with 20 rounds.
TEST_F(Ref, ThreefryMatchesPublishedVectors) {
  using bigm::ref::threefry;
  EXPECT_EQ(threefry({0, 0}, {0, 0}), std::make_pair(0x6b200159u, 0x99ba4efeu));
  EXPECT_EQ(threefry({~0u, ~0u}, {~0u, ~0u}), std::make_pair(0x1cb996fcu, 0xbb002be7u));
  EXPECT_EQ(threefry({0x13198a2eu, 0x03707344u}, {0x243f6a88u, 0x85a308d3u}), std::make_pair(0xc4923a9cu, 0x483df7a0u));
}

TEST_F(Ref, RandomDependsOnSeedStreamAndPlace) {
  const char *text = R"(func.func @f(%s: tensor<i64>) -> tensor<3x2xf32> {
    %r = bigm.random %s, 4 : tensor<i64> -> tensor<3x2xf32>
    return %r : tensor<3x2xf32> })";
  std::vector<double> a = value(text, {{{}, {5}}});
  ASSERT_EQ(a.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(a[i], bigm::ref::uniform(5, 4, i));
    EXPECT_GE(a[i], 0);
    EXPECT_LT(a[i], 1);
  }
  EXPECT_NE(a, value(text, {{{}, {6}}}));
}

TEST_F(Ref, MatrixProductWithSymbolicRows) {
  EXPECT_THAT(value(R"(
    #A = affine_map<()[n] -> (n, 3)>
    #C = affine_map<()[n] -> (n, 2)>
    func.func @f(%a: tensor<?x3xf32, #A>, %b: tensor<3x2xf32>) -> tensor<?x2xf32, #C> attributes {bigm.symbols = ["N"]} {
      %c = bigm.contract %a, %b lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
           reduced affine_map<() -> (3)> : (tensor<?x3xf32, #A>, tensor<3x2xf32>) -> tensor<?x2xf32, #C>
      return %c : tensor<?x2xf32, #C> })",
                    {{{2, 3}, {1, 2, 3, 4, 5, 6}}, {{3, 2}, {1, 0, 0, 1, 1, 1}}}, {2}),
              ElementsAre(4, 5, 10, 11));
}

TEST_F(Ref, PadWithInteriorAndCrop) {
  EXPECT_THAT(value(R"(func.func @f(%x: tensor<3xf32>, %v: tensor<f32>) -> tensor<5xf32> {
      %p = bigm.pad %x, %v low [-1] high [1] interior [1] : (tensor<3xf32>, tensor<f32>) -> tensor<5xf32>
      return %p : tensor<5xf32> })",
                    {{{3}, {1, 2, 3}}, {{}, {9}}}),
              ElementsAre(9, 2, 9, 3, 9));
}

TEST_F(Ref, FoldAddsWhatTheWindowReadTwice) {
  EXPECT_THAT(value(R"(func.func @f(%x: tensor<3x2xf32>) -> tensor<4xf32> {
      %p = bigm.fold %x, affine_map<(a, b) -> (a + b)> : tensor<3x2xf32> -> tensor<4xf32>
      return %p : tensor<4xf32> })",
                    {{{3, 2}, {1, 2, 3, 4, 5, 6}}}),
              ElementsAre(1, 5, 9, 6));
}

TEST_F(Ref, ArgMaxTakesTheFirstOfEquals) {
  EXPECT_THAT(value(R"(func.func @f(%x: tensor<2x3xf32>) -> tensor<2xi32> {
      %p = bigm.arg_max %x, 1 : tensor<2x3xf32> -> tensor<2xi32>
      return %p : tensor<2xi32> })",
                    {{{2, 3}, {1, 7, 7, 3, 2, 3}}}),
              ElementsAre(1, 0));
}

TEST_F(Ref, IntegersTruncateAndWrap) {
  EXPECT_THAT(value(R"(func.func @f(%x: tensor<4xf32>) -> tensor<4xi32> {
      %two = bigm.constant 2 : i32 -> tensor<4xi32>
      %i = bigm.cast %x : tensor<4xf32> -> tensor<4xi32>
      %q = bigm.div %i, %two : tensor<4xi32>
      return %q : tensor<4xi32> })",
                    {{{4}, {7.9, -7.9, 1, -1}}}),
              ElementsAre(3, -3, 0, 0));
  EXPECT_THAT(value(R"(func.func @f(%x: tensor<2xui8>) -> tensor<2xui8> {
      %q = bigm.add %x, %x : tensor<2xui8>
      return %q : tensor<2xui8> })",
                    {{{2}, {200, 100}}}),
              ElementsAre(144, 200));
}

TEST_F(Ref, TypedRoundsAndDoubleDoesNot) {
  const char *text = R"(func.func @f(%x: tensor<1xf32>) -> tensor<1xf32> {
      %q = bigm.div %x, %y : tensor<1xf32>
      return %q : tensor<1xf32> })";
  std::string body = text;
  body.replace(body.find("%y"), 2, "%3");
  body.insert(body.find("%q"), "%3 = bigm.constant 3.0 : f32 -> tensor<1xf32>\n");
  EXPECT_EQ(value(body.c_str(), {{{1}, {1}}})[0], double(1.0f / 3));
  EXPECT_EQ(value(body.c_str(), {{{1}, {1}}}, {}, Mode::Double)[0], 1.0 / 3);
  EXPECT_EQ(value("func.func @f(%x: tensor<1xbf16>) -> tensor<1xbf16> { return %x : tensor<1xbf16> }",
                  {{{1}, {1.00390625 + 0.001}}})[0],
            1.0078125);
}

TEST_F(Ref, GatherRefusesAnIdOutsideOfTheTable) {
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
  EXPECT_TRUE(failed(run(R"(func.func @f(%t: tensor<2x1xf32>, %i: tensor<1xi32>) -> tensor<1x1xf32> {
      %r = bigm.gather %t, %i : (tensor<2x1xf32>, tensor<1xi32>) -> tensor<1x1xf32>
      return %r : tensor<1x1xf32> })",
                         {{{2, 1}, {1, 2}}, {{1}, {2}}})));
}

TEST_F(Ref, WarpByTheIdentityAndByHalfAPixel) {
  Tensor image{{1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(bigm::ref::warp(image, {{1, 2, 3}, {1, 0, 0, 0, 1, 0}}, image.shape, 0).data, image.data);
  EXPECT_THAT(bigm::ref::warp(image, {{1, 2, 3}, {1, 0, 0.5, 0, 1, 0}}, image.shape, 0).data,
              Pointwise(DoubleNear(1e-12), {1.5, 2.5, 1.5, 4.5, 5.5, 3.0}));
}

// Expected values from torch.nn.functional.interpolate (align_corners false) on [0, 1, 2, 3] or worked out by hand.
TEST_F(Ref, ResizeOfALine) {
  Tensor line{{1, 1, 1, 4}, {0, 1, 2, 3}};
  auto width = [&](int64_t w, const char *mode, bool antialias) {
    return bigm::ref::resize(line, {1, 1, 1, w}, mode, antialias).data;
  };
  EXPECT_THAT(width(2, "nearest", false), ElementsAre(1, 3));
  EXPECT_THAT(width(2, "bilinear", false), Pointwise(DoubleNear(1e-12), {0.5, 2.5}));
  EXPECT_THAT(width(2, "area", false), Pointwise(DoubleNear(1e-12), {0.5, 2.5}));
  EXPECT_THAT(width(8, "bilinear", false),
              Pointwise(DoubleNear(1e-12), {0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0}));
  // Triangle of width two output pixels: weights 1/8, 3/8, 3/8, 1/8, cut and renormalised at the edge.
  EXPECT_THAT(width(2, "bilinear", true), Pointwise(DoubleNear(1e-12), {(3 * 0 + 3 * 1 + 1 * 2) / 7.0, 16.0 / 7}));
  EXPECT_THAT(width(4, "bicubic", false), Pointwise(DoubleNear(1e-12), {0.0, 1.0, 2.0, 3.0}));
}

} // namespace
