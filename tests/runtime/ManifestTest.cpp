// A manifest that is not what docs/abi.md says is one clear error.
#include "Toy.h"
#include "runtime/core/Failure.h"
#include "runtime/core/Manifest.h"

using namespace bigm::rt;

/// The toy's manifest with one text replaced.
static std::string broken(const std::string &from, const std::string &to) {
  std::string text(toy_bigm_manifest, toy_bigm_manifest_size);
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  try {
    Manifest::parse(text);
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "";
}

TEST(Manifest, ReadsWhatTheCompilerWrites) {
  Manifest manifest = Manifest::parse({toy_bigm_manifest, toy_bigm_manifest_size});
  EXPECT_EQ(manifest.name, "toy");
  const Function &step = manifest.functions[size_t(manifest.functionByName.at("toy.step"))];
  int64_t n = 1000;
  EXPECT_EQ(step.arenaBytes(&n), 4000);
  EXPECT_TRUE(step.writes);
  EXPECT_FALSE(manifest.functions[0].writes);
}
TEST(Manifest, PlansForLeastSizes) {
  std::string text(toy_bigm_manifest, toy_bigm_manifest_size);
  size_t at = text.find("\"arena\":", text.find("\"name\":\"toy.step\""));
  Manifest manifest = Manifest::parse(text.insert(at, "\"least_sizes\":[64],"));
  const Function &step = manifest.functions[size_t(manifest.functionByName.at("toy.step"))];
  for (auto [n, bytes] : {std::pair<int64_t, int64_t>(1, 256), {64, 256}, {1000, 4000}})
    EXPECT_EQ(step.arenaBytes(&n), bytes);
}
TEST(Manifest, NamesWhatIsWrong) {
  struct Case {
    const char *from, *to, *expected;
  } cases[] = {
      {"\"bigm\":1", "\"bigm\":2", "compiled for version 2"},
      {"\"bigm\":1", "\"bigm\":\"one\"", "no whole number"},
      {"\"name\":\"toy\",", "", "lacks `name`"},
      {"\"kind\":\"param\"", "\"kind\":\"thing\"", "unknown kind `thing`"},
      {"\"dtype\":\"f32\"", "\"dtype\":\"f31\"", "unknown type `f31`"},
      {"\"shape\":[3]", "\"shape\":[-3]", "negative size"},
      {"\"shape\":[3]", "\"shape\":[4294967296,4294967296]", "too large"},
      {"\"tensor\":0", "\"tensor\":3", "not there"},
      {"\"tensor\":0", "\"tensor\":-1", "not there"},
      {"\"access\":\"read\"", "\"access\":\"look\"", "unknown access `look`"},
      {"\"role\":\"input\"", "\"role\":\"guest\"", "unknown role `guest`"},
      {"[\"N\",3]", "[\"M\",3]", "`M` is no expression"},
      {"\"of\":[\"N\"]", "\"of\":[\"M\"]", "unknown symbol"},
      {"\"bytes\":4", "\"bytes\":-4", "`arena` of function `toy.step` has negative bytes"},
      {"\"arena\":", "\"not_negative\":[\"N\"],\"arena\":", "no pair of texts"},
      {"\"arena\":", "\"not_negative\":[[\"M - 1\",\"\"]],\"arena\":", "`M - 1` is no expression"},
      {"\"arena\":", "\"least_sizes\":[1,2],\"arena\":", "not one number for each symbol"},
      {"\"arena\":", "\"slices\":2,\"arena\":", "`slices` of function `toy.forward`"},
      {"\"arena\":", "\"slices\":{\"of\":\"N\"},\"arena\":", "lacks `weights`"},
      {"\"arena\":", "\"slices\":{\"of\":\"M\",\"weights\":1,\"pays\":[{\"bytes\":1,\"of\":[]}]},\"arena\":", "`of` of `slices` of function `toy.forward` is an unknown symbol"},
      {"\"arena\":", "\"slices\":{\"of\":1,\"weights\":1,\"pays\":[{\"bytes\":1,\"of\":[]}]},\"arena\":", "is an unknown symbol"},
      {"\"arena\":", "\"slices\":{\"of\":\"N\",\"weights\":1,\"pays\":[]},\"arena\":", "`pays` of `slices` of function `toy.forward` is empty"},
      {"\"arena\":", "\"slices\":{\"of\":\"N\",\"weights\":1,\"pays\":[{\"bytes\":1,\"of\":[\"M\"]}]},\"arena\":", "`pays` of `slices` of function `toy.forward` names an unknown symbol"},
      {"\"arena\":", "\"slices\":{\"of\":\"N\",\"weights\":1,\"pays\":[{\"bytes\":1,\"of\":[]}]},\"arena\":", "is not the outermost size of `twice`"},
      {"\"arena\":[{", "\"slices\":{\"of\":\"N\",\"weights\":1,\"pays\":[{\"bytes\":1,\"of\":[]}]},\"arena\":[{", "every slice of function `toy.step` would write `toy.w`"},
      {"\"name\":\"toy.step\"", "\"name\":\"toy.forward\"", "two functions"},
      {"\"init\":\"toy.init\"", "\"init\":\"toy.begin\"", "unknown function `toy.begin`"},
      {"\"role\":\"seed\",\"dtype\":\"i64\"", "\"role\":\"seed\",\"dtype\":\"f32\"", "should be the scalar i64"},
      {"\"name\":\"toy\"", "\"name\":\"toy\",\"needs\":[2]", "what it needs is no text"},
      {"\"name\":\"toy\"", "\"name\":\"toy\",\"variants\":2", "`variants` of it is no list"},
      {"}", "", "no JSON"},
  };
  for (const Case &c : cases)
    EXPECT_THAT(broken(c.from, c.to), testing::HasSubstr(c.expected)) << c.to;
}
