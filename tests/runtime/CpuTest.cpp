// Which of a library's variants a CPU takes, on CPUs made up for the purpose.
#include "Toy.h"
#include "runtime/core/Cpu.h"
#include "runtime/core/Failure.h"
#include "runtime/core/Manifest.h"
#include <functional>
#include <utility>

using namespace bigm::rt;
using testing::HasSubstr;

namespace {
const std::vector<std::string> v2 = {"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"};
std::vector<std::string> with(std::vector<std::string> features, const std::vector<std::string> &more) {
  features.insert(features.end(), more.begin(), more.end());
  return features;
}
const std::vector<std::string> v3 = with(v2, {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"});
const std::vector<std::string> v4 = with(v3, {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"});
const std::vector<Variant> all = {{"cpu:x86-64-v2", v2}, {"cpu:x86-64-v3", v3}, {"cpu:x86-64-v4", v4}};

std::string failure(bigm_status status, const std::function<void()> &body) {
  try {
    body();
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.status, status);
    return failure.what();
  }
  return "";
}
} // namespace

TEST(Cpu, TakesTheLastVariantThatItCanRun) {
  EXPECT_EQ(Cpu::with(v2).pick("net", all), 0u);
  EXPECT_EQ(Cpu::with(v3).pick("net", all), 1u);
  EXPECT_EQ(Cpu::with(v4).pick("net", all), 2u);
  EXPECT_EQ(Cpu::with(v4).pick("net", {all[0], all[1]}), 1u);
  EXPECT_EQ(Cpu::with({}).pick("net", {{"", {}}}), 0u) << "a manifest that says nothing is taken at its word";
}
TEST(Cpu, ALevelIsAllOfItsFeatures) {
  EXPECT_EQ(Cpu::with(v4).level(), "x86-64-v4");
  for (const std::string missing : {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}) {
    std::vector<std::string> most;
    for (const std::string &feature : v3)
      if (feature != missing)
        most.push_back(feature);
    EXPECT_EQ(Cpu::with(most).level(), "x86-64-v2") << missing;
    EXPECT_EQ(Cpu::with(most).pick("net", all), 0u) << missing;
  }
  EXPECT_EQ(Cpu::with({"avx512f"}).level(), "");
}
TEST(Cpu, HeldToALevelItIsThatLevel) {
  Cpu older = Cpu::heldTo("x86-64-v2", "`cpu`", Cpu::with(with(v4, {"gfni"})));
  EXPECT_EQ(older.level(), "x86-64-v2");
  EXPECT_FALSE(older.has("gfni"));
  EXPECT_EQ(older.pick("net", all), 0u);
}
TEST(Cpu, ThisMachineRunsTheTests) {
  // What the compiler that built this says of the machine.
  EXPECT_EQ(Cpu::ofThisMachine().has("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(Cpu::ofThisMachine().has("avx512f"), __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(Cpu::ofThisMachine().has("fma"), __builtin_cpu_supports("fma") != 0);
}

TEST(Cpu, fail_NoVariantSaysWhatIsMissingAndWhatToBuild) {
  EXPECT_EQ(failure(BIGM_ERROR_CPU, [] { (void)Cpu::with(v2).pick("net", {all[1]}); }),
            "`net` carries code for cpu:x86-64-v3, and this CPU lacks avx, avx2, bmi, bmi2, f16c, fma, lzcnt, movbe; "
            "hint: build it with `--target cpu:x86-64-v2`");
  EXPECT_EQ(failure(BIGM_ERROR_CPU, [] { (void)Cpu::with({"sse3"}).pick("net", all); }),
            "`net` carries code for cpu:x86-64-v2, cpu:x86-64-v3 and cpu:x86-64-v4, and this CPU lacks cx16, popcnt, sahf, "
            "sse4.1, sse4.2, ssse3 of cpu:x86-64-v2");
  EXPECT_THAT(failure(BIGM_ERROR_CPU, [] { (void)Cpu::heldTo("x86-64-v2", "`cpu`", Cpu::with(v3)).pick("net", {all[1]}); }),
              HasSubstr("this CPU, which `cpu` holds to x86-64-v2, lacks avx,"));
  EXPECT_THAT(failure(BIGM_ERROR_CPU, [] { (void)Cpu::with(v4).pick("net", {{"cpu:host", {"of-tomorrow"}}}); }),
              HasSubstr("lacks of-tomorrow")) << "a feature that this runtime does not know";
}
TEST(Cpu, fail_HeldToMoreThanItIs) {
  EXPECT_EQ(failure(BIGM_ERROR_CPU, [] { (void)Cpu::heldTo("x86-64-v4", "`BIGM_CPU`", Cpu::with(v3)); }),
            "`BIGM_CPU` asks for x86-64-v4, and this CPU lacks avx512bw, avx512cd, avx512dq, avx512f, avx512vl");
  EXPECT_THAT(failure(BIGM_ERROR_ARGUMENT, [] { (void)Cpu::heldTo("avx2", "`BIGM_CPU`", Cpu::with(v4)); }),
              HasSubstr("unknown CPU level `avx2`; known are x86-64-v2, x86-64-v3 and x86-64-v4"));
}

/// The toy twice: for any CPU, and for x86-64-v3 with a larger prepared value and entries of its own.
struct TwoVariants : Toy {
  std::string text;
  std::vector<bigm_entry> entries;
  bigm_module *made = nullptr;

  void SetUp() override {
    Toy::SetUp();
    text.assign(toy_bigm_manifest, toy_bigm_manifest_size);
    size_t begin = text.find("\"functions\""), end = text.find(",\"trains\"");
    std::string code = text.substr(begin, end - begin);
    code.replace(code.find("\"prepared\":[12]"), 15, "\"prepared\":[4096]");
    code.replace(code.find("\"bytes\":4,"), 10, "\"bytes\":8,");
    text.insert(end, ",\"variants\":[{\"target\":\"cpu:x86-64-v3\",\"needs\":[\"avx2\",\"fma\"],\"first_entry\":7," + code + "}]");
    text.insert(1, "\"target\":\"cpu:x86-64-v2\",\"needs\":[],");
    entries.assign(toy_bigm_entries, toy_bigm_entries + 7);
    for (int i = 0; i < 7; ++i)
      entries.push_back([](void *, const int64_t *, void *const *, char *) -> int32_t { return 33; });
  }
  void TearDown() override {
    bigm_module_destroy(made);
    Toy::TearDown();
  }
  bigm_status make(const char *cpu) {
    bigm_module_source source = BIGM_INIT(bigm_module_source);
    source.manifest = text.data();
    source.manifest_size = text.size();
    source.entries = entries.data();
    source.cpu = cpu;
    return bigm_module_create(&source, &made);
  }
  /// The error of a run of `toy.init`; empty when there is none.
  std::string init() {
    bigm_model *own = nullptr;
    bigm_context *runs = nullptr;
    EXPECT_EQ(bigm_model_create(made, &own), BIGM_OK);
    EXPECT_EQ(bigm_context_create(own, nullptr, &runs), BIGM_OK);
    std::string error = bigm_init(runs, nullptr, 1) == BIGM_OK ? "" : bigm_last_error();
    bigm_context_destroy(runs);
    bigm_model_destroy(own);
    return error;
  }
};

TEST_F(TwoVariants, TheLevelDecidesWhichCodeRuns) {
  ASSERT_EQ(make("x86-64-v2"), BIGM_OK) << bigm_last_error();
  EXPECT_STREQ(bigm_module_target(made), "cpu:x86-64-v2");
  EXPECT_EQ(init(), "");
  bigm_module_destroy(std::exchange(made, nullptr));
  if (Cpu::ofThisMachine().level() < "x86-64-v3")
    GTEST_SKIP() << "this machine is older than x86-64-v3";
  ASSERT_EQ(make("x86-64-v3"), BIGM_OK) << bigm_last_error();
  EXPECT_STREQ(bigm_module_target(made), "cpu:x86-64-v3");
  EXPECT_THAT(init(), HasSubstr("33"));
}
TEST_F(TwoVariants, SizesAreThoseOfThePickedCode) {
  auto first = Manifest::parse(text), second = Manifest::parse(text, [](auto &, auto &) { return size_t(1); });
  int64_t n = 1000;
  EXPECT_EQ(first.prepared[0], 12u);
  EXPECT_EQ(first.functions[1].arenaBytes(&n), 4000);
  EXPECT_EQ(first.firstEntry, 0);
  EXPECT_EQ(second.prepared[0], 4096u);
  EXPECT_EQ(second.functions[1].arenaBytes(&n), 8000);
  EXPECT_EQ(second.firstEntry, 7);
}
TEST_F(TwoVariants, fail_FunctionsInAnotherOrder) {
  size_t at = text.rfind("toy.where");
  text.replace(at, 9, "toy.there");
  EXPECT_THAT(failure(BIGM_ERROR_FORMAT, [&] { Manifest::parse(text, [](auto &, auto &) { return size_t(1); }); }),
              HasSubstr("`toy.there` is another function in the code for cpu:x86-64-v2"));
}
TEST_F(TwoVariants, fail_EntriesBeforeTheList) {
  text.replace(text.find("\"first_entry\":7"), 15, "\"first_entry\":-7");
  EXPECT_THAT(failure(BIGM_ERROR_FORMAT, [&] { Manifest::parse(text, [](auto &, auto &) { return size_t(1); }); }),
              HasSubstr("begin before the first"));
}
