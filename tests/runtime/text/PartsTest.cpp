// What parts of a tokenizer do beside each other. Expected ids and spans are those of Hugging Face's tokenizers 0.23.3;
// compose.py asks it about random parts.
#include "runtime/text/Tokenizer.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace bigm::text;
using testing::ElementsAre;
using testing::IsEmpty;

static Tokenizer withModel(const std::string &model, const std::string &more = "") {
  return Tokenizer::fromJson("{\"model\":{" + model + "}" + (more.empty() ? "" : "," + more) + "}", "t");
}
static Tokenizer words(const std::string &vocab, const std::string &more) {
  return withModel(R"("type":"WordLevel","unk_token":"?","vocab":{"?":0,)" + vocab + "}", more);
}
static const char *const kTrims = R"("post_processor":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";

// Its table is of Unicode 9; Kana count as Han, and what stands before the first script is left out.
TEST(Parts, UnicodeScriptsPartTexts) {
  Tokenizer t = words(R"("go ":1,"漢字かな":2,"。":3,"да ":4,"5":5)", R"("pre_tokenizer":{"type":"UnicodeScripts"})");
  Encoding e = t.encode("  go 漢字かな。да 5", {.offsets = true});
  EXPECT_THAT(e.ids, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(e.offsets, ElementsAre(Span{2, 5}, Span{5, 17}, Span{17, 20}, Span{20, 25}, Span{25, 26}));
  EXPECT_THAT(t.encode("  ").ids, IsEmpty());
}

TEST(Parts, SpacesAreTakenOutOfSpansByCharacters) {
  EXPECT_THAT(words("\"\u3000a\":1", kTrims).encode("\u3000a", {.offsets = true}).offsets, ElementsAre(Span{3, 4}));
}

TEST(Parts, SpansKeepTheirEndWhereATokenShowsMoreSpacesThanTheTextHasCharacters) {
  Tokenizer t = words(R"("b  ":1,"ab  ":2)", R"("normalizer":{"type":"Replace","pattern":{"String":"b"},"content":"b  "},)" + std::string(kTrims));
  EXPECT_THAT(t.encode("b", {.offsets = true}).offsets, ElementsAre(Span{0, 1}));
  EXPECT_THAT(t.encode("ab", {.offsets = true}).offsets, ElementsAre(Span{0, 0}));
}

// Each stretch between added tokens is normalised for itself: what is put in front of it stands where it begins.
TEST(Parts, WhatIsPutInFrontOfAStretchStandsAtItsBeginning) {
  Tokenizer t = words(R"("a":1,"b":2,"x":3)", R"("added_tokens":[{"content":"<m>","normalized":false}],)"
                                              R"("normalizer":{"type":"Replace","pattern":{"Regex":"(?m)^"},"content":"x"},)"
                                              R"("pre_tokenizer":{"type":"FixedLength","length":1})");
  Encoding e = t.encode("a<m>b", {.offsets = true});
  EXPECT_THAT(e.ids, ElementsAre(3, 1, 4, 3, 2));
  EXPECT_THAT(e.offsets, ElementsAre(Span{0, 0}, Span{0, 1}, Span{1, 4}, Span{4, 4}, Span{4, 5}));
}

// The spaces that an added token takes with it are not in its own text.
TEST(Parts, SpansOfAddedTokensLeaveOutTheSpacesBesideThem) {
  Tokenizer t = words(R"("a":1,"you":2)", R"("added_tokens":[{"content":"you","lstrip":true,"normalized":false}],)" + std::string(kTrims));
  Encoding e = t.encode("a \nyou", {.offsets = true});
  EXPECT_THAT(e.ids, ElementsAre(1, 2));
  EXPECT_THAT(e.offsets, ElementsAre(Span{0, 1}, Span{3, 6}));
}

// Of those that the normalizer makes the same, a special one is found, else the first; there it is left to chance.
TEST(Parts, AddedTokensThatAreNormalisedToTheSame) {
  auto ofYou = [](const std::string &added) {
    return words("\"a\":1", R"("normalizer":{"type":"Strip"},"added_tokens":[)" + added + "]").encode("you").ids;
  };
  EXPECT_THAT(ofYou(R"({"content":" you"},{"content":"you","special":true})"), ElementsAre(3));
  EXPECT_THAT(ofYou(R"({"content":" you"},{"content":"you "})"), ElementsAre(2));
}

TEST(Parts, ATokenThatUnigramHasTwiceCountsTwice) {
  Tokenizer t = withModel(R"("type":"Unigram","unk_id":0,"vocab":[["?",0],["a",-1],["a",-2]])", R"("added_tokens":[{"content":"Y"}])");
  EXPECT_THAT(t.encode("aY").ids, ElementsAre(2, 3));
}

// Its bytes are more than the piece has.
TEST(Parts, ASuffixThatFallsBackToBytesKeepsSpansInside) {
  Tokenizer t = withModel(R"("type":"BPE","byte_fallback":true,"end_of_word_suffix":"~","merges":[],
                              "vocab":{"a":0,"<0x62>":1,"<0x7E>":2,"?":3},"unk_token":"?")");
  Encoding e = t.encode("ab", {.offsets = true});
  EXPECT_THAT(e.ids, ElementsAre(0, 1, 2));
  for (Span s : e.offsets)
    EXPECT_LE(s.end, 2u);
}
