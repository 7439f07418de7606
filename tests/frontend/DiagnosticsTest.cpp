#include "frontend/Diagnostics.h"
#include <gtest/gtest.h>
#include <sstream>

using namespace bigm;

namespace {
struct Fixture : testing::Test {
  SourceManager sources;
  Diagnostics diagnostics{sources};
  std::string printed(bool colour = false) const {
    std::ostringstream out;
    diagnostics.print(out, colour);
    return out.str();
  }
  SourceRange find(uint32_t file, const std::string &text) const {
    auto at = static_cast<uint32_t>(sources.text(file).find(text));
    return {file, at, at + static_cast<uint32_t>(text.size())};
  }
};
using DiagnosticsTest = Fixture;
} // namespace

TEST_F(DiagnosticsTest, marksTheErrorAndANoteOnTheSameLine) {
  uint32_t file = sources.add("digits.bigm", "\n\n  logits = h2 |> Linear(10, in: 128)\n");
  Diagnostic &d = diagnostics.error(Diag::Expected, find(file, "Linear"), {"this", "that"});
  d.notes.push_back({find(file, "h2"), "`h2` is f32[N, 64], from line 13"});
  d.hint = "leave `in` out";
  EXPECT_EQ(printed(), "digits.bigm:3:18: error: expected this, found that\n"
                       "    3 |   logits = h2 |> Linear(10, in: 128)\n"
                       "      |            --    ^^^^^^\n"
                       "      |            `h2` is f32[N, 64], from line 13\n"
                       "hint: leave `in` out\n");
}

TEST_F(DiagnosticsTest, notesElsewhereShowTheirOwnLine) {
  uint32_t first = sources.add("a.bigm", "x = 1\ny = 2\n"), second = sources.add("b.bigm", "z = 3\n");
  Diagnostic &d = diagnostics.error(Diag::Expected, find(first, "2"), {"this", "that"});
  d.notes.push_back({find(first, "1"), "from here"});
  d.notes.push_back({find(second, "3"), "and there"});
  EXPECT_EQ(printed(), "a.bigm:2:5: error: expected this, found that\n"
                       "    2 | y = 2\n"
                       "      |     ^\n"
                       "    1 | x = 1\n"
                       "      |     - from here\n"
                       "  in b.bigm:1:5\n"
                       "    1 | z = 3\n"
                       "      |     - and there\n");
}

TEST_F(DiagnosticsTest, widthsOfWideAndCombiningCharactersAreThoseOfTheScreen) {
  // A wide ideograph takes two columns, a combining accent none.
  uint32_t file = sources.add("a.bigm", "模e\xCC\x81 = !");
  diagnostics.error(Diag::UnexpectedCharacter, find(file, "!"), {"`!`"});
  EXPECT_EQ(printed(), "a.bigm:1:7: error: unexpected character `!`\n"
                       "    1 | 模e\xCC\x81 = !\n"
                       "      |       ^\n");
}

TEST_F(DiagnosticsTest, tabsCountAsOneColumnAndControlCharactersAreShown) {
  uint32_t file = sources.add("a.bigm", "\tx\x01\x1b[31m?");
  diagnostics.error(Diag::UnexpectedCharacter, find(file, "?"), {"`?`"});
  std::string out = printed();
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
  EXPECT_NE(out.find("    1 |  x\xEF\xBF\xBD\xEF\xBF\xBD[31m?\n      |         ^\n"), std::string::npos) << out;
}

TEST_F(DiagnosticsTest, aLongLineIsCutAroundThePlace) {
  std::string text(300000, 'a');
  text += " ! " + std::string(300000, 'b');
  uint32_t file = sources.add("a.bigm", text);
  diagnostics.error(Diag::UnexpectedCharacter, find(file, "!"), {"`!`"});
  std::istringstream lines(printed());
  std::string head, source, marks;
  std::getline(lines, head);
  std::getline(lines, source);
  std::getline(lines, marks);
  EXPECT_LT(source.size(), 140u);
  // The ellipsis takes three bytes and one column.
  EXPECT_EQ(source[marks.find('^') + 2], '!');
}

TEST_F(DiagnosticsTest, sortsByPlaceAndPrintsTheSameOnce) {
  uint32_t file = sources.add("a.bigm", "a b c");
  diagnostics.error(Diag::Expected, find(file, "c"), {"3", "c"});
  diagnostics.error(Diag::Expected, find(file, "a"), {"1", "a"});
  diagnostics.error(Diag::Expected, find(file, "c"), {"3", "c"});
  std::string out = printed();
  size_t first = out.find("expected 1"), last = out.find("expected 3");
  EXPECT_LT(first, last);
  EXPECT_EQ(out.find("expected 3", last + 1), std::string::npos);
}

TEST_F(DiagnosticsTest, aRangeOfSeveralLinesIsMarkedOnItsFirst) {
  uint32_t file = sources.add("a.bigm", "f(\n  x)");
  diagnostics.error(Diag::Expected, {file, 0, 6}, {"1", "2"});
  EXPECT_EQ(printed(), "a.bigm:1:1: error: expected 1, found 2\n    1 | f(\n      | ^^\n");
}

TEST_F(DiagnosticsTest, aPlaceAtTheEndOfTheFileIsMarked) {
  uint32_t file = sources.add("a.bigm", "ab");
  diagnostics.error(Diag::Expected, {file, 2, 2}, {"1", "the end of the file"});
  EXPECT_EQ(printed(), "a.bigm:1:3: error: expected 1, found the end of the file\n    1 | ab\n      |   ^\n");
}

TEST_F(DiagnosticsTest, anErrorWithoutAPlaceIsPrinted) {
  diagnostics.error(Diag::Expected, SourceRange{}, {"1", "2"});
  EXPECT_EQ(printed(), "error: expected 1, found 2\n");
}

TEST_F(DiagnosticsTest, coloursOnlyWhenAsked) {
  uint32_t file = sources.add("a.bigm", "ab");
  diagnostics.error(Diag::Expected, {file, 0, 2}, {"1", "2"});
  EXPECT_EQ(printed().find('\x1b'), std::string::npos);
  EXPECT_NE(printed(true).find('\x1b'), std::string::npos);
}

TEST(DidYouMean, findsTheNearestWithinAThirdOfTheLength) {
  std::vector<std::string> words = {"smoothing", "epochs", "weight_decay", "größe"};
  EXPECT_EQ(didYouMean("smothing", words), "smoothing");
  EXPECT_EQ(didYouMean("epoch", words), "epochs");
  EXPECT_EQ(didYouMean("epcohs", words), "epochs"); // neighbours swapped: one slip
  EXPECT_EQ(didYouMean("Epochs", words), "epochs");
  EXPECT_EQ(didYouMean("grösse", words), "größe");
  EXPECT_EQ(didYouMean("batch", words), "");
  EXPECT_EQ(didYouMean("x", words), "");
  EXPECT_EQ(didYouMean(std::string(100000, 'a'), words), "");
}
