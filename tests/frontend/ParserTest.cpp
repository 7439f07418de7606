// The tree that a text gives, where a dump says it best.
#include "Parsing.h"
#include <gtest/gtest.h>

using bigm::test::Parsed;

namespace {
/// The tree of one expression.
std::string expression(const std::string &text) {
  Parsed parsed("const x = " + text);
  EXPECT_EQ(parsed.errors(), "");
  return parsed.file ? parsed.tree().substr(std::string("const x\n").size()) : "";
}
/// Whether two spellings give one tree.
void same(const std::string &a, const std::string &b) { EXPECT_EQ(expression(a), expression(b)) << a << " and " << b; }
/// The tree of a body.
std::string body(const std::string &text) {
  Parsed parsed("fn f(x: i32) {\n" + text + "\n}");
  EXPECT_EQ(parsed.errors(), "");
  return parsed.file ? parsed.tree() : "";
}
} // namespace

TEST(Parser, operatorsBindFromPowerToArrow) {
  same("a -> b |> c each d or e and not f == g + h * -i ^ j",
       "a -> (b |> (c each (d or (e and (not (f == (g + (h * (-(i ^ j))))))))))");
}

TEST(Parser, operatorsOfOneLevelGroupToTheLeftAndPowerToTheRight) {
  same("a - b + c - d", "((a - b) + c) - d");
  same("a / b * c", "(a / b) * c");
  same("a |> f |> g", "(a |> f) |> g");
  same("a ^ b ^ c ^ d", "a ^ (b ^ (c ^ d))");
  same("a ^ b ^ c * d ^ e", "(a ^ (b ^ c)) * (d ^ e)");
}

TEST(Parser, aMinusBindsLessThanPowerAndMoreThanTimes) {
  same("-x^2", "-(x^2)");
  same("-x*y", "(-x)*y");
  same("2^-3*4", "(2^(-3))*4");
  same("a - -b", "a - (-b)");
}

TEST(Parser, callsIndicesAndMembersChain) {
  EXPECT_EQ(expression("a.b(1)(c: 2)[i, :, 1..2, ..3, 4..].train"), R"(  value member train
    index
      call
        call
          member b
            ref a
          argument number 1
        argument c: number 2
      at ref i
      at all
      at range
        first number 1
        last number 2
      at range
        last number 3
      at range
        first number 4
)");
}

TEST(Parser, aDottedLabelIsAnExpression) {
  EXPECT_EQ(expression("counts(news.train: m.text -> m.link, smoothing: 0.1)"), R"(  value call
    ref counts
    labelled
      label member train
        ref news
      value ->
        member text
          ref m
        member link
          ref m
    argument smoothing: number 0.1
)");
}

TEST(Parser, eachMayStandWithoutASecondOperand) {
  EXPECT_EQ(expression("mean(loss each)"), R"(  value call
    ref mean
    argument each
      ref loss
)");
}

TEST(Parser, everyWordIsANameAfterADotAndBeforeAColon) {
  EXPECT_EQ(expression("f(in: data_.train, for: x.model, not: 1)"), R"(  value call
    ref f
    argument in: member train
      ref data_
    argument for: member model
      ref x
    argument not: number 1
)");
}

TEST(Parser, numbersKeepTheirUnits) {
  Parsed parsed("const a = 8deg\nconst b = 10%\nconst c = 16kHz\nconst d = 1e-3\nconst e = 2.5ms\nconst f = 1e3");
  ASSERT_EQ(parsed.errors(), "");
  auto number = [&](size_t i) {
    return bigm::ast::as<bigm::ast::NumberExpr>(static_cast<bigm::ast::ConstDecl &>(*parsed.file->decls[i]).value.get());
  };
  EXPECT_EQ(number(0)->value, 8);
  EXPECT_EQ(number(0)->unit, "deg");
  EXPECT_TRUE(number(0)->isInteger);
  EXPECT_EQ(number(1)->unit, "%");
  EXPECT_EQ(number(2)->unit, "kHz");
  EXPECT_EQ(number(3)->value, 1e-3);
  EXPECT_EQ(number(3)->unit, "");
  EXPECT_FALSE(number(3)->isInteger);
  EXPECT_EQ(number(4)->value, 2.5);
  EXPECT_EQ(number(4)->unit, "ms");
  EXPECT_EQ(number(5)->value, 1000);
  EXPECT_FALSE(number(5)->isInteger);
}

TEST(Parser, stringsResolveTheirEscapes) {
  EXPECT_EQ(expression(R"("a\n\t\"\\\u{e9}")"), "  value string \"a\\n\t\\\"\\\\é\"\n");
}

// The newline rule.
TEST(Parser, aBracketFirstOnItsLineBeginsANewValue) {
  EXPECT_EQ(body("f\n(x)"), R"(fn f
  input x
    type type i32
  body
    result
      ref f
    result
      ref x
)");
  EXPECT_EQ(body("f\n[x]"), R"(fn f
  input x
    type type i32
  body
    result
      ref f
    result
      list
        ref x
)");
}

TEST(Parser, anOperatorFirstOnItsLineContinues) {
  EXPECT_EQ(body("x\n|> f\n- 1"), body("x |> f - 1"));
  EXPECT_NE(body("x\n(-1)"), body("x\n- 1"));
  EXPECT_EQ(body("x(\n(1),\n[2]\n)"), body("x((1), [2])"));
}

TEST(Parser, otherNewlinesDoNotMatter) {
  Parsed one("train a = B() on c { loss d epochs 4 phase e { freeze f lr 1 } }");
  Parsed many("train\na\n=\nB()\non\nc\n{\nloss\nd\nepochs\n4\nphase\ne\n{\nfreeze\nf\nlr\n1\n}\n}");
  ASSERT_TRUE(one.file && many.file) << one.errors() << many.errors();
  EXPECT_EQ(one.tree(), many.tree());
}

TEST(Parser, aLabelsChoicesTouchItAndABodyDoesNot) {
  Parsed parsed("flow a(x: label{cat, dog}) -> label { x }\nflow b(x: i32) -> label{cat, dog} { x }");
  ASSERT_TRUE(parsed.file) << parsed.errors();
  EXPECT_EQ(parsed.tree(), R"(flow a
  input x
    type type label cat dog
  result type label
  body
    result
      ref x
flow b
  input x
    type type i32
  result type label cat dog
  body
    result
      ref x
)");
}

TEST(Parser, theFirstBracketOfALabelCountsItsClasses) {
  Parsed parsed("fn f(a: label[10], b: label[C][N, T], c: f32[..., 2*D], d: audio@16kHz, e: f32[]) { a }");
  ASSERT_TRUE(parsed.file) << parsed.errors();
  EXPECT_EQ(parsed.tree(), R"(fn f
  input a
    type type label
      classes number 10
  input b
    type tensor
      of type label
        classes ref C
      dim ref N
      dim ref T
  input c
    type tensor
      of type f32
      dim ...
      dim *
        number 2
        ref D
  input d
    type type audio
      rate number 16kHz
  input e
    type tensor
      of type f32
  body
    result
      ref a
)");
}

TEST(Parser, elseWhenIsAnElseWithOneWhen) {
  EXPECT_EQ(body("when a { 1 } else when b { 2 } else { 3 }"), body("when a { 1 } else { when b { 2 } else { 3 } }"));
}

TEST(Parser, wordsOfClausesAreNames) {
  EXPECT_EQ(body("loss = batch(seed, list)\nepochs = loss + state\nstart[phase, on] = if.present"), R"(fn f
  input x
    type type i32
  body
    assign loss
      call
        ref batch
        argument ref seed
        argument ref list
    assign epochs
      +
        ref loss
        ref state
    assign indexed start phase on
      member present
        ref if
)");
}

TEST(Parser, commentsRightAboveADeclarationAreItsDoc) {
  Parsed parsed("# A file.\n\n# Rounds \n#  down.\nfn f(x: i32) { x }\nfn g(x: i32) { x }");
  ASSERT_TRUE(parsed.file);
  EXPECT_EQ(parsed.file->decls[0]->doc, "Rounds\n down.");
  EXPECT_EQ(parsed.file->decls[1]->doc, "");
}

TEST(Parser, equivalentSpellingsOfANameAreOneName) {
  Parsed parsed("const gr\xC3\xB6\xC3\x9F" "e = 1\nconst gro\xCC\x88\xC3\x9F" "e = 2");
  ASSERT_TRUE(parsed.file) << parsed.errors();
  EXPECT_EQ(parsed.file->decls[0]->name.text, parsed.file->decls[1]->name.text);
}

TEST(Parser, namesAreLettersOfAnyScript) {
  Parsed parsed("const größe = 1\nconst 隠れ層 = 2\nconst\xC2\xA0ж_1 = 3 # “…” ×");
  EXPECT_EQ(parsed.errors(), "");
  // An ideographic space, a dash and a mark without its letter are none.
  for (const char *text : {"const x\xE3\x80\x80= 1", "const x–y = 1", "const \xCC\x81x = 1", "const x = 1 \x01"})
    EXPECT_EQ(Parsed(text).diagnostics.all().size(), 1u) << text << Parsed(text).errors();
}

TEST(Parser, declarationsMayShareALine) {
  Parsed parsed("fit a = b.train const c = 1 fn f(x: i32) { x } fit d = e");
  ASSERT_TRUE(parsed.file) << parsed.errors();
  EXPECT_EQ(parsed.file->decls.size(), 4u);
}

TEST(Parser, anEmptyFileIsAProgram) {
  for (const char *text : {"", "\n", "# nothing", "\xEF\xBB\xBF"}) {
    Parsed parsed(text);
    ASSERT_TRUE(parsed.file) << parsed.errors();
    EXPECT_TRUE(parsed.file->decls.empty());
  }
}

TEST(Parser, rangesPointAtWhatWasWritten) {
  Parsed parsed("const x = (a + b) * f(c)");
  ASSERT_TRUE(parsed.file);
  auto &product = static_cast<bigm::ast::BinaryExpr &>(*static_cast<bigm::ast::ConstDecl &>(*parsed.file->decls[0]).value);
  EXPECT_EQ(parsed.sources.text(product.left->range), "a + b");
  EXPECT_EQ(parsed.sources.text(product.opRange), "*");
  EXPECT_EQ(parsed.sources.text(product.right->range), "f(c)");
}
