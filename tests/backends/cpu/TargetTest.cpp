// What code for a target needs of a CPU, and that code for several targets can stand in one library.
#include "backends/cpu/Target.h"
#include "Harness.h"
#include "mlir/Parser/Parser.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

using namespace mlir::bigm::cpu;
using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

static std::vector<std::string> featuresOf(const std::string &name) { return mlir::bigm::cpu::featuresOf(*parseTarget(name)); }

TEST(Target, ALevelNeedsItsFeaturesAndThoseThatTheyImply) {
  EXPECT_THAT(featuresOf("x86-64-v2"), IsSupersetOf({"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"}));
  EXPECT_THAT(featuresOf("x86-64-v2"), Not(Contains("avx")));
  EXPECT_THAT(featuresOf("x86-64-v3"), IsSupersetOf({"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "sse4.2"}));
  EXPECT_THAT(featuresOf("x86-64-v3"), Not(Contains("avx512f")));
  EXPECT_THAT(featuresOf("x86-64-v4"), IsSupersetOf({"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "avx2"}));
}
TEST(Target, AHostNeedsWhatItHas) {
  Target host;
  host.cpu = "haswell";
  host.features = "+gfni,-fma,-tsxldtrk";
  EXPECT_THAT(mlir::bigm::cpu::featuresOf(host), IsSupersetOf({"avx2", "gfni"}));
  EXPECT_THAT(mlir::bigm::cpu::featuresOf(host), Not(Contains("fma"))) << "a virtual machine may hide what its name promises";
}
TEST(Target, CodeForSeveralTargetsSharesNoSymbol) {
  auto context = bigm::test::makeContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    func.func @f(%x: tensor<7x37xf32>, %w: tensor<37x5xf32>) -> tensor<7x5xf32> {
      %y = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
          reduced affine_map<() -> (37)> : (tensor<7x37xf32>, tensor<37x5xf32>) -> tensor<7x5xf32>
      return %y : tensor<7x5xf32>
    })",
                                                        context.get());
  ASSERT_TRUE(module);
  std::vector<ObjectFile> objects;
  std::set<std::string> names, entries;
  for (const char *target : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    CpuOptions options;
    options.target = target;
    auto code = CpuModule::lower(*module, options);
    ASSERT_TRUE(code && mlir::succeeded(code->emitObjects(objects)));
    entries.insert(code->entries().begin(), code->entries().end());
  }
  for (const ObjectFile &object : objects)
    names.insert(object.name);
  EXPECT_EQ(names.size(), objects.size());
  EXPECT_EQ(entries.size(), 3u);
}

TEST(Target, ProcessorsByLlvmsNames) {
  auto rapids = parseTarget("sapphirerapids"), zen = parseTarget("znver4"), lake = parseTarget("alderlake");
  ASSERT_TRUE(rapids && zen && lake);
  EXPECT_TRUE(rapids->lanes == 16 && rapids->tiles && rapids->dots && rapids->bytes && rapids->masks);
  EXPECT_TRUE(zen->lanes == 16 && !zen->tiles && zen->dots && zen->bytes);
  EXPECT_TRUE(lake->lanes == 8 && !lake->dots && lake->bytes && !lake->masks);
  EXPECT_EQ(parseTarget("nehalem")->lanes, 4u);
  EXPECT_FALSE(parseTarget("core2")) << "it has less than x86-64-v2";
  EXPECT_FALSE(parseTarget("i686"));
  EXPECT_FALSE(parseTarget("sapphire-rapids"));
}
TEST(Target, NothingIsUsedThatTheRuntimeDoesNotAskFor) {
  EXPECT_THAT(featuresOf("diamondrapids"), Not(testing::AnyOf(Contains("egpr"), Contains("avx10.2"))));
}
