// Regular expressions as Oniguruma has them, run on PCRE2. Expected matches are those of Hugging Face's tokenizers 0.23.3
// (`Split(Regex(...), "isolated").pre_tokenize_str`); compare.py asks it about many more texts.
#include "runtime/text/Error.h"
#include "runtime/text/Pattern.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace bigm::text;
using testing::ElementsAre;
using testing::IsEmpty;

static std::vector<std::string> matches(const std::string &expression, const std::string &text) {
  std::vector<Match> parts;
  Pattern::regex(expression).parts(text, 0, text.size(), parts);
  std::vector<std::string> out;
  for (const Match &m : parts)
    if (m.matched)
      out.push_back(text.substr(m.begin, m.end - m.begin));
  return out;
}

TEST(Pattern, FourDigitsNameACharacter) {
  EXPECT_THAT(matches(R"([\u4e00-\u9fff]+)", "a天安b"), ElementsAre("天安"));
  EXPECT_THROW(Pattern::regex(R"(\u4e)"), Error);
}

// What a script shares with others (the full stop, the mark of long vowels) is not of it.
TEST(Pattern, AScriptHasItsOwnCharactersOnly) {
  EXPECT_THAT(matches(R"(\p{Han}+)", "天安门。"), ElementsAre("天安门"));
  EXPECT_THAT(matches(R"([^\p{Han}]+)", "天。ー"), ElementsAre("。ー"));
}

TEST(Pattern, WordsHaveMarksCirclesAndNumbersThatAreLetters) {
  EXPECT_THAT(matches(R"(\w+)", "e\u0301Ⓐ·Ⅷ·²·৴"), ElementsAre("e\u0301Ⓐ", "Ⅷ", "²"));
  EXPECT_THAT(matches(R"([\w]+)", "x²"), ElementsAre("x")) << "numbers of Latin 1 are of no word inside of brackets";
  EXPECT_THAT(matches(R"(\b\p{L}\p{M}?)", "नि,न"), ElementsAre("नि", "न")) << "no word ends before a mark";
}

TEST(Pattern, BracketsAreSets) {
  EXPECT_THAT(matches(R"([^\W\d_]+)", "ab1_é"), ElementsAre("ab", "é"));
  EXPECT_THAT(matches(R"([a-z&&[^aeiou]]+)", "bcade"), ElementsAre("bc", "d"));
  EXPECT_THAT(matches(R"([^\s&&[^\n]]+)", "a b\n"), ElementsAre("a", "b\n"));
  EXPECT_THAT(matches(R"([^a[^\p{L}]]+)", "ab1c"), ElementsAre("b", "c"));
  EXPECT_THAT(matches(R"([[:punct:]]+)", "a$+,b"), ElementsAre("$+,"));
  EXPECT_THAT(matches(R"(\p{Punct}+)", "a$+,b"), ElementsAre(",")) << "as a property it has no symbols";
  EXPECT_THAT(matches(R"([\p{Uppercase_Letter}]+)", "aBC"), ElementsAre("BC"));
  EXPECT_THAT(matches(R"([a&&b])", "ab"), IsEmpty());
}

// Oniguruma there has Unicode 16, PCRE2 in Debian 12 Unicode 14.
TEST(Pattern, KnowsCharactersOfUnicode16) {
  EXPECT_THAT(matches(R"(\p{Han}+)", "\U00031350一a"), ElementsAre("\U00031350一"));
  EXPECT_THAT(matches(R"([^\p{Hani}]+)", "\U00031350ab"), ElementsAre("ab"));
  EXPECT_THAT(matches(R"(\p{Emoji})", "\U0001fae9a"), ElementsAre("\U0001fae9"));
  EXPECT_THAT(matches(R"(\p{Kawi})", "\U00011f04"), ElementsAre("\U00011f04")) << "a script that PCRE2 has not";
  EXPECT_THAT(matches(R"(\p{Mn})", "\u0897"), ElementsAre("\u0897"));
  EXPECT_THAT(matches(R"(\p{C})", "\U0001fae9\u200b\u0378"), ElementsAre("\u200b", "\u0378")) << "it is no longer unassigned";
  EXPECT_THAT(matches(R"([^\p{Cn}b]+)", "\U0001fae9\u0378ab"), ElementsAre("\U0001fae9", "a"));
  EXPECT_THAT(matches(R"([[:alpha:]]+)", "x\u036c1"), ElementsAre("x\u036c")) << "alphabetic since Unicode 16";
  EXPECT_THAT(matches(R"(\p{lu}+)", "aBC"), ElementsAre("BC")) << "names in any case";
}

TEST(Pattern, PicturesBesideEachOtherAreClusters) {
  EXPECT_THAT(matches(R"(\X)", "👳🨦👩\u200d👧x🇩🇪e\u0301"), ElementsAre("👳", "🨦", "👩\u200d👧", "x", "🇩🇪", "e\u0301"));
}
