#include "Parsing.h"
#include "frontend/Comments.h"
#include "frontend/Doc.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace bigm;
using bigm::test::Parsed;

namespace {
/// Formats and checks what must always hold: the tree stays, and a second time changes nothing.
std::string formatted(const std::string &text) {
  Parsed first(text);
  EXPECT_EQ(first.errors(), "");
  if (!first.file)
    return "";
  std::string once = first.formatted();
  Parsed second(once);
  EXPECT_EQ(second.errors(), "") << once;
  if (!second.file)
    return once;
  EXPECT_EQ(first.tree(), second.tree()) << once;
  EXPECT_EQ(second.formatted(), once);
  return once;
}
std::string expression(const std::string &text) {
  std::string out = formatted("const x = " + text);
  return out.substr(std::string("const x = ").size(), out.size() - std::string("const x = ").size() - 1);
}
} // namespace

TEST(Format, keepsTheTreesOfAllExamplePrograms) {
  size_t count = 0;
  for (auto &entry : std::filesystem::directory_iterator(BIGM_TEST_INPUTS)) {
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    SCOPED_TRACE(entry.path().filename().string());
    std::istringstream lines(formatted(text.str()));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(displayWidth(line), 110) << line;
    ++count;
  }
  EXPECT_GE(count, 8u);
}

TEST(Format, writesParenthesesWhereTheyMatter) {
  EXPECT_EQ(expression("((a*b)+(c))"), "a * b + c");
  EXPECT_EQ(expression("a*(b+c)"), "a * (b + c)");
  EXPECT_EQ(expression("a-(b-c)"), "a - (b - c)");
  EXPECT_EQ(expression("(a|>f)|>g"), "a |> f |> g");
  EXPECT_EQ(expression("a|>(f|>g)"), "a |> (f |> g)");
  EXPECT_EQ(expression("(a+b).c(d)[e]"), "(a + b).c(d)[e]");
  EXPECT_EQ(expression("(a^b)^c"), "(a ^ b) ^ c");
  EXPECT_EQ(expression("a^(b^c)"), "a ^ b ^ c");
  EXPECT_EQ(expression("(-a)^b"), "(-a) ^ b");
  EXPECT_EQ(expression("-(a^b)"), "-a ^ b");
  EXPECT_EQ(expression("a*(-b)"), "a * -b");
  EXPECT_EQ(expression("a^(-b)"), "a ^ -b");
  EXPECT_EQ(expression("-(-a)"), "--a");
  EXPECT_EQ(expression("not (a and b)"), "not (a and b)");
  EXPECT_EQ(expression("(not a) and b"), "not a and b");
  EXPECT_EQ(expression("(not a) == b"), "(not a) == b");
  EXPECT_EQ(expression("a == (not b)"), "a == (not b)");
  EXPECT_EQ(expression("x + (y |> f)"), "x + (y |> f)");
  EXPECT_EQ(expression("(a -> b) |> c"), "(a -> b) |> c");
}

TEST(Format, eachWithoutOperandKeepsItsEnd) {
  EXPECT_EQ(expression("mean(f each)"), "mean(f each)");
  EXPECT_EQ(expression("[f each, g]"), "[f each, g]");
  EXPECT_EQ(formatted("fn f(x: i32) {\n  a = (g each)\n  a\n}"), "fn f(x: i32) {\n  a = (g each)\n  a\n}\n");
}

TEST(Format, fractionsAndDimensionsAreTight) {
  EXPECT_EQ(expression("f(eps: 2 / 255)"), "f(eps: 2/255)");
  EXPECT_EQ(expression("a/255"), "a / 255");
  EXPECT_EQ(formatted("fn f(x: f32[N, 2 * D, T / 4 + 1, ( A+B )*2]) { x }"),
            "fn f(x: f32[N, 2*D, T/4 + 1, (A + B)*2]) { x }\n");
}

TEST(Format, linesThatBeginWithASignOrBracketStayApart) {
  EXPECT_EQ(formatted("fn f(x: i32) { a = x\n(-a) }"), "fn f(x: i32) {\n  a = x\n  (-a)\n}\n");
  EXPECT_EQ(formatted("fn f(x: i32) { a = x\n[a] }"), "fn f(x: i32) {\n  a = x\n  [a]\n}\n");
  EXPECT_EQ(formatted("fn f(x: i32) { a = x\n(a + 1) * 2 }"), "fn f(x: i32) {\n  a = x\n  (a + 1) * 2\n}\n");
  EXPECT_EQ(formatted("fn f(x: i32) { a = x\n(-a) + 1 |> g }"), "fn f(x: i32) {\n  a = x\n  (-a) + 1 |> g\n}\n");
  // The first line of a body has nothing before it.
  EXPECT_EQ(formatted("fn f(x: i32) { (-x) }"), "fn f(x: i32) { -x }\n");
}

TEST(Format, theAuthorChoosesOneLineOrMany) {
  EXPECT_EQ(formatted("fn f(x: i32) {x}"), "fn f(x: i32) { x }\n");
  EXPECT_EQ(formatted("fn f(x: i32) {\nx}"), "fn f(x: i32) {\n  x\n}\n");
  EXPECT_EQ(formatted("train a=b on c {loss d epochs 4}"), "train a = b on c { loss d  epochs 4 }\n");
  EXPECT_EQ(formatted("const r = {a:1 b:2}"), "const r = { a: 1, b: 2 }\n");
  EXPECT_EQ(formatted("const r = {\na:1, bcd:2}"), "const r = {\n  a:   1\n  bcd: 2\n}\n");
  EXPECT_EQ(formatted("fn f(x: i32) {}"), "fn f(x: i32) {}\n");
}

TEST(Format, whatDoesNotFitBreaks) {
  std::string name(60, 'a');
  EXPECT_EQ(formatted("fn f(x: i32) { " + name + "(" + name + ") }"),
            "fn f(x: i32) {\n  " + name + "(" + name + ")\n}\n" + "");
  EXPECT_EQ(expression("f(" + name + ", " + name + ")"),
            "f(" + name + ",\n            " + name + ")");
  EXPECT_EQ(expression(name + " + " + name), name + "\n  + " + name);
}

TEST(Format, aLongHeadPutsInputsOnTheirOwnLine) {
  std::string settings = "first: f32 = 0.9, second: f32 = 0.999, third: f32 = 1e-8, fourth: f32 = 0";
  EXPECT_EQ(formatted("fn adam(" + settings + ")(weight: f32[...], gradient: f32[...]) -> f32[...] { weight }"),
            "fn adam(" + settings + ")\n    (weight: f32[...], gradient: f32[...]) -> f32[...] { weight }\n");
}

TEST(Format, pipelinesBreakWhereTheAuthorBrokeThem) {
  EXPECT_EQ(formatted("model M()(x: f32) {\nx |> a |> b\n|> c |> d\n}"),
            "model M()(x: f32) {\n  x |> a |> b\n    |> c |> d\n}\n");
  EXPECT_EQ(formatted("model M()(x: f32) {\nyy = x |> a\n|> c\n}"),
            "model M()(x: f32) {\n  yy = x |> a\n         |> c\n}\n");
}

TEST(Format, neighboursAreAligned) {
  EXPECT_EQ(formatted("fn f(x: i32) {\na = x\nlong = a\n\nb = 1\nbcd = when x {\n1\n}\ne = 1\n}"),
            "fn f(x: i32) {\n  a    = x\n  long = a\n\n  b = 1\n  bcd = when x {\n    1\n  }\n  e = 1\n}\n");
  EXPECT_EQ(formatted("fit a = b()\nfit abc = d()\nconst e = 1"), "fit a   = b()\nfit abc = d()\nconst e = 1\n");
  EXPECT_EQ(formatted("train a = b on c {\nloss d\nbatch 2\nphase all { epochs 1 }\nphase joint { epochs 2 }\n}"),
            "train a = b on c {\n  loss  d\n  batch 2\n  phase all   { epochs 1 }\n  phase joint { epochs 2 }\n}\n");
}

TEST(Format, emptyLinesStayButOnlyOne) {
  EXPECT_EQ(formatted("\n\nuse a\n\n\n\nuse b\nuse c\nfn f(x: i32) {\n\n\nx = 1\n\n\nx\n\n}\nconst y = 1"),
            "use a\n\nuse b\nuse c\n\nfn f(x: i32) {\n  x = 1\n\n  x\n}\n\nconst y = 1\n");
}

TEST(Format, commentsStay) {
  std::string text = R"(# The file.

# About a.
use a # behind

# before f
fn f(x: i32) { # at the brace
  # first

  # second
  y = x # behind y
  # on its own

  y
  # last
} # behind f
# end
)";
  EXPECT_EQ(formatted(text), R"(# The file.

# About a.
use a  # behind

# before f
fn f(x: i32) {  # at the brace
  # first

  # second
  y = x  # behind y
  # on its own

  y
  # last
}  # behind f
# end
)");
}

TEST(Format, commentsInsideExpressionsStay) {
  EXPECT_EQ(formatted("const x = f(\n# one\na, # two\n# three\nb # four\n# five\n)"),
            "const x = f(\n  # one\n  a,  # two\n  # three\n  b  # four\n)\n# five\n");
  EXPECT_EQ(formatted("fn f(x: i32) {\nx |> a # one\n# two\n|> b # three\n}"),
            "fn f(x: i32) {\n  x |> a  # one\n    # two\n    |> b  # three\n}\n");
  // One that stands nowhere in particular moves to the next place that takes one.
  std::string odd = formatted("fn f( # odd\nx: i32) {\ny = # odder\nx\ny\n}");
  EXPECT_NE(odd.find("# odd\n"), std::string::npos) << odd;
  EXPECT_NE(odd.find("# odder\n"), std::string::npos) << odd;
}

TEST(Format, aHashInAStringIsNoComment) {
  EXPECT_EQ(formatted("const x = \"a # b\" # c"), "const x = \"a # b\"  # c\n");
  EXPECT_EQ(formatted("const x = \"a\\\" # b\""), "const x = \"a\\\" # b\"\n");
}

TEST(Format, lineEndsOfOtherSystemsBecomeOurs) {
  EXPECT_EQ(formatted("fn f(x: i32) { # c\r\n  x\r\n}\r\n"), "fn f(x: i32) {  # c\n  x\n}\n");
}

TEST(Format, allTypesAndClauses) {
  std::string text = R"(data d {
  from    idx("a", "b")
  fields  { a: u8[28, 28], b: label[10], c: label{cat, dog}, d: list<text?>, e: audio@16kHz }
  split   { train: 90%, valid: 10% } seed 7
  derive  g = f32(a)
  augment train { a = a |> flip }
}

flow f(a: stream text, b: { x: i32, y: f32[..., D] }?) -> list<{ z: label }> {
  for x in a { yield x }
}

train t on d, e {
  seen = looks(image)
  loss     mean(seen)
  optimize muon(lr: 0.02), adamw(lr: 3e-3) { learn embed, head.weight }, sgd(lr: 0.1) { learn norm }
  bucket   by length
  phase one { start from "w"  learn all  stop when valid.loss <= 0.1  lr 1e-4  clip 1.0  seed 3 }
}

evaluate t, u on d.test {
  report hair = accuracy(x, y), f1(macro)
}

deploy t {
  target    cpu:x86-64-v3, cuda
  precision int8 { keep embed, head }, f32
  weights   "w"
  cache     kv
  batch     1, any
  serve     v2
}
)";
  EXPECT_EQ(formatted(text), text);
}

TEST(Format, deepTreesAndLongChainsAreSafe) {
  formatted("const x = " + std::string(200, '(') + "1" + std::string(200, ')'));
  std::string chain = "const x = a";
  for (int i = 0; i < 900; ++i)
    chain += " |> f" + std::to_string(i);
  formatted(chain);
}

TEST(Doc, fillBreaksOnlyWhereItMust) {
  std::vector<Doc> parts;
  for (int i = 0; i < 6; ++i) {
    if (i)
      parts.push_back(doc::line());
    parts.push_back(doc::text("word"));
  }
  EXPECT_EQ(doc::print(doc::fill(parts), 14), "word word word\nword word word");
  EXPECT_EQ(doc::print(doc::fill(parts), 13), "word word\nword word\nword word");
}

TEST(Doc, aSuffixWaitsForTheEndOfTheLine) {
  EXPECT_EQ(doc::print(doc::concat({doc::text("a"), doc::suffix("# c"), doc::text("b"), doc::hard(), doc::text("d")}), 80),
            "ab  # c\nd");
}

TEST(Comments, knowTheirPlaces) {
  Comments comments("x # one\n\n# two\ny");
  EXPECT_EQ(comments.takeBehind(1), "# one");
  auto rest = comments.takeBefore(100);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_TRUE(rest[0].ownLine);
  EXPECT_TRUE(rest[0].blankBefore);
}

TEST(Format, arrowsOfRulesStandInOneColumn) {
  EXPECT_EQ(formatted("model s = L() from pretrained(\"s\") {\n"
                      "  \"encoder.{i}.query.weight\" -> \"q.weight\"\n"
                      "  \"bias\" -> \"b\"\n"
                      "\n"
                      "  \"rest\" -> none\n"
                      "}\n"),
            "model s = L() from pretrained(\"s\") {\n"
            "  \"encoder.{i}.query.weight\" -> \"q.weight\"\n"
            "  \"bias\"                     -> \"b\"\n"
            "\n"
            "  \"rest\" -> none\n"
            "}\n");
}
