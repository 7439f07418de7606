// Any bytes give a tree or a few clear messages, in time linear in their number.
#include "Parsing.h"
#include <chrono>
#include <gtest/gtest.h>
#include <random>

using bigm::test::Parsed;

namespace {
constexpr size_t kLarge = 5000000;

std::string repeated(const std::string &part, size_t times) {
  std::string out;
  out.reserve(part.size() * times);
  for (size_t i = 0; i < times; ++i)
    out += part;
  return out;
}

/// The only error of a text, as its message without the place.
std::string onlyError(std::string text) {
  Parsed parsed(std::move(text));
  EXPECT_EQ(parsed.file, nullptr);
  EXPECT_EQ(parsed.diagnostics.all().size(), 1u);
  EXPECT_LT(parsed.errors().size(), 1000u);
  return parsed.diagnostics.all().empty() ? "" : parsed.diagnostics.all()[0].text;
}
} // namespace

TEST(Robustness, tenThousandNestedBracketsAreOneError) {
  for (const char *open : {"(", "[", "{", "f(", "x[", "(["})
    EXPECT_EQ(onlyError("const x = " + repeated(open, 10000)), "brackets and operators are nested more than 256 deep here")
        << open;
  EXPECT_EQ(onlyError("const x = " + repeated("(", 10000) + "1" + repeated(")", 10000)),
            "brackets and operators are nested more than 256 deep here");
  EXPECT_EQ(onlyError("const x = " + repeated("{ a: ", 10000)), "brackets and operators are nested more than 256 deep here");
}

TEST(Robustness, bracketsUpToTheLimitAreFine) {
  Parsed parsed("const x = " + repeated("(", 256) + "1" + repeated(")", 256));
  EXPECT_EQ(parsed.errors(), "");
  Parsed lists("const x = " + repeated("[", 256) + "1" + repeated("]", 256));
  EXPECT_EQ(lists.errors(), "");
}

TEST(Robustness, whatNestsWithoutBracketsIsBounded) {
  const std::string tooDeep = "brackets and operators are nested more than 1000 deep here";
  EXPECT_EQ(onlyError("const x = " + repeated("-", 100000) + "1"), tooDeep);
  EXPECT_EQ(onlyError("const x = " + repeated("not ", 100000) + "1"), tooDeep);
  EXPECT_EQ(onlyError("const x = " + repeated("1 ^ ", 100000) + "1"), tooDeep);
  EXPECT_EQ(onlyError("const x = " + repeated("a + ", 100000) + "a"), tooDeep);
  EXPECT_EQ(onlyError("const x = a" + repeated(".b", 100000)), tooDeep);
  EXPECT_EQ(onlyError("const x = a" + repeated("(1)", 100000)), tooDeep);
  EXPECT_EQ(onlyError("fn f(x: " + repeated("list<", 100000) + ") {}"), tooDeep);
  EXPECT_EQ(onlyError("fn f(x: " + repeated("stream ", 100000) + ") {}"), tooDeep);
  EXPECT_EQ(onlyError("fn f(x: i32) { " + repeated("when ", 100000) + "}"), tooDeep);
  EXPECT_EQ(onlyError("fn f(x: i32) { " + repeated("repeat ", 100000) + "}"), tooDeep);
  EXPECT_EQ(onlyError("fn f(x: i32) { when x {1} " + repeated("else when x {1} ", 50000) + "}"), tooDeep);
}

TEST(Robustness, fiveMegabytesOnOneLineTakeSecondsAtMost) {
  std::pair<const char *, std::string> texts[] = {
      {"comment", "#" + std::string(kLarge, 'x')},
      {"string", "const x = \"" + std::string(kLarge, 'x') + "\""},
      {"open string", "const x = \"" + std::string(kLarge, 'x')},
      {"name", "const " + std::string(kLarge, 'x') + " = 1"},
      {"digits", "const x = " + std::string(kLarge, '1')},
      {"words", repeated("x ", kLarge / 2)},
      {"letters of two bytes", repeated("é", kLarge / 2)},
      {"spaces", std::string(kLarge, ' ')},
      {"semicolons", std::string(kLarge, ';')},
      {"signs", "const x = 1 " + std::string(kLarge, '-')},
      {"list", "const x = [" + repeated("1,", 400000) + "1]"},
      {"statements", "fn f(x: i32) {" + repeated(" a = b", 300000) + "}"},
      {"errors", "fn f(x: i32) {" + repeated(" a = = b", 200000) + "}"},
      {"closing brackets", repeated(")", 900000)},
  };
  for (auto &[name, text] : texts) {
    auto start = std::chrono::steady_clock::now();
    Parsed parsed(text);
    std::string errors = parsed.errors();
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    // Linear work takes 0.1 to 2 s here; quadratic work would take hours.
    EXPECT_LT(seconds, 60) << name;
    EXPECT_LT(errors.size(), 100000u) << name;
  }
}

TEST(Robustness, bytesThatAreNoTextAreOneError) {
  EXPECT_EQ(onlyError("const x = \xFF"), "byte 0xFF is not valid UTF-8 here");
  EXPECT_EQ(onlyError("const x = \xC3"), "byte 0xC3 is not valid UTF-8 here");
  EXPECT_EQ(onlyError("const x = \xED\xA0\x80"), "byte 0xED is not valid UTF-8 here");
  EXPECT_EQ(onlyError(std::string("const x = 1\0 ", 13)), "there is a zero byte here: this is not a text file");
  std::mt19937 random(1);
  std::string noise(100000, ' ');
  for (char &c : noise)
    c = static_cast<char>(random());
  onlyError(noise);
}

TEST(Robustness, anyProgramCutAnywhereGivesMessagesOrATree) {
  const std::string text = "use std.nn\n# doc\nmodel M(a: int = 3)(x: f32[N, ...]) -> f32[N] {\n  y[i, j] = sum(k: x[i, k] * 2) ^ 2\n"
                           "  when x > 1 { y |> f(a: 1)(2) } else { { b: -y, c: \"d\\n\" } }\n}\n"
                           "train t = M(1) on d { loss l(x)  phase p { start from \"w\" if present } }\n";
  for (size_t i = 0; i <= text.size(); ++i) {
    Parsed cut(text.substr(0, i)), rest(text.substr(i));
    EXPECT_EQ(cut.file == nullptr, cut.diagnostics.hasErrors()) << i;
    EXPECT_EQ(rest.file == nullptr, rest.diagnostics.hasErrors()) << i;
    EXPECT_LE(cut.diagnostics.all().size(), 3u) << cut.errors();
    std::string without = text;
    if (i < text.size())
      without.erase(i, 1);
    Parsed hole(without);
    EXPECT_EQ(hole.file == nullptr, hole.diagnostics.hasErrors()) << i;
    EXPECT_LE(hole.diagnostics.all().size(), 4u) << hole.errors();
  }
}

TEST(Robustness, aThousandLinesParseInMilliseconds) {
  std::string text = "use std.nn\n";
  for (int i = 0; i < 200; ++i)
    text += "model M" + std::to_string(i) +
            "(width: int)(x: f32[N, D]) -> f32[N, D] {\n  h = x + (x |> LayerNorm() |> Attention(heads, causal: true))\n"
            "  h + (h |> Linear(4 * D) |> gelu |> Linear(D))\n}\n\n";
  auto start = std::chrono::steady_clock::now();
  Parsed parsed(text);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(parsed.errors(), "");
  EXPECT_LT(seconds, 2); // 0.02 s on an idle machine
}
