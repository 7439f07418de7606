// Small vocabularies of each kind. `gguf-tokens.py` compares larger ones with llama.cpp, which gives these ids as well.
#include "GgufBytes.h"
#include "runtime/data/Error.h"
#include "runtime/weights/GgufTokenizer.h"
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace bigm;
using namespace bigm::weights;
using namespace bigm::weights::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using Pairs = std::vector<std::string>;

text::Tokenizer tokenizer(const Pairs &pairs) {
  std::string bytes = header(0, pairs);
  return text::Tokenizer::fromJson(ggufTokenizerJson(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), "m.gguf"), "m.gguf");
}
std::vector<int32_t> idsOf(const Pairs &pairs, const std::string &text) { return tokenizer(pairs).encode(text).ids; }
std::string error(const Pairs &pairs) {
  try {
    tokenizer(pairs);
    return "";
  } catch (const std::exception &e) {
    return e.what();
  }
}
std::string key(const char *name) { return std::string("tokenizer.ggml.") + name; }
std::string model(const char *name) { return pair(key("model"), std::string(name)); }
std::string pre(const char *name) { return pair(key("pre"), std::string(name)); }
std::string whole(const char *name, uint32_t value) { return pair(key(name), 4, value); }
std::string flag(const char *name, bool value) { return pair(key(name), 7, uint8_t(value)); }
std::string types(std::vector<int32_t> values) { return list(key("token_type"), 5, values); }
std::string scores(std::vector<float> values) { return list(key("scores"), 6, values); }
std::string tokens(std::vector<std::string> values) { return list(key("tokens"), values); }
std::string merges(std::vector<std::string> values) { return list(key("merges"), values); }

const Pairs kLlama = {model("llama"), tokens({"<unk>", "<s>", "</s>", "▁", "a", "b", "c", "bc", "ab", "▁a", "aaa", "aa", "<0x0A>", "<|sep|>"}),
                      scores({0, 0, 0, -9, -9, -9, -9, -1, -1, -3, -4, -2, 0, 0}), types({2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 6, 4})};
Pairs with(Pairs pairs, const std::string &more) {
  pairs.push_back(more);
  return pairs;
}
Pairs without(Pairs pairs, size_t which) {
  pairs.erase(pairs.begin() + ptrdiff_t(which));
  return pairs;
}

} // namespace

TEST(GgufTokenizer, LlamaJoinsWhatScoresMost) {
  EXPECT_THAT(idsOf(kLlama, "aaa"), ElementsAre(1, 3, 10));     // <s> ▁ aaa, by aa
  EXPECT_THAT(idsOf(kLlama, "a\na"), ElementsAre(1, 9, 12, 4)); // ▁a, a byte, a
}

// `bc` and `ab` score the same, and `bc` stands first in the file: the first in the text is joined.
TEST(GgufTokenizer, LlamaJoinsTheFirstOfTheSameScore) {
  EXPECT_THAT(idsOf(kLlama, "abc"), ElementsAre(1, 3, 8, 6));
  std::string longer(40, 'b'); // by the heap as well
  EXPECT_THAT(tokenizer(kLlama).decode(idsOf(kLlama, longer + "abc")), longer + "abc");
  auto ids = idsOf(kLlama, longer + "abc");
  EXPECT_EQ((std::vector<int32_t>(ids.end() - 2, ids.end())), (std::vector<int32_t>{8, 6}));
}

TEST(GgufTokenizer, LlamaPutsASpaceBehindEachAddedToken) {
  EXPECT_THAT(idsOf(kLlama, "a<|sep|>a</s>"), ElementsAre(1, 9, 13, 9, 2));
  EXPECT_THAT(idsOf(with(kLlama, flag("add_space_prefix", false)), "a<|sep|>a"), ElementsAre(1, 4, 13, 4));
  EXPECT_EQ(tokenizer(kLlama).decode(std::vector<int32_t>{1, 9, 13, 4, 2}), "a<|sep|>a");
}

TEST(GgufTokenizer, FlagsSayWhatBeginsAndEndsAText) {
  EXPECT_THAT(idsOf(with(with(kLlama, flag("add_bos_token", false)), flag("add_eos_token", true)), "b"), ElementsAre(3, 5, 2));
  auto pairs = with(with(kLlama, whole("bos_token_id", 13)), whole("padding_token_id", 2));
  EXPECT_THAT(idsOf(pairs, "b"), ElementsAre(13, 3, 5));
  EXPECT_EQ(tokenizer(pairs).padding(), 2);
}

const Pairs kGpt2 = {model("gpt2"), tokens({"h", "i", "Ġ", "hi", "Ġhi", "1", "2", "12", "<|end|>"}), merges({"h i", "Ġ hi", "1 2"}),
                     types({1, 1, 1, 1, 1, 1, 1, 1, 3})};

TEST(GgufTokenizer, Gpt2CutsAsItsPreSays) {
  EXPECT_THAT(idsOf(with(kGpt2, pre("gpt-2")), "hi hi12<|end|>"), ElementsAre(3, 4, 7, 8));
  EXPECT_THAT(idsOf(with(kGpt2, pre("starcoder")), "hi hi12<|end|>"), ElementsAre(3, 4, 5, 6, 8)); // each digit alone
  EXPECT_THAT(error(with(kGpt2, pre("nobody"))), HasSubstr("m.gguf: cuts texts as `nobody` does; known are gpt-2, phi-2,"));
  EXPECT_THAT(error(with(kGpt2, pre("llama-bpe"))), HasSubstr("a text begins with a token that `tokenizer.ggml.bos_token_id` does not name"));
}

// Files of before `token_type` was written: the tokens that begin and end a text are found in it all the same.
TEST(GgufTokenizer, OldFilesTellNoTypes) {
  auto old = with(without(kGpt2, 3), pre("gpt-2"));
  EXPECT_THAT(idsOf(with(old, whole("eos_token_id", 8)), "hi<|end|>"), ElementsAre(3, 8));
}

TEST(GgufTokenizer, BertKeepsWordsApart) {
  const Pairs bert = {model("bert"), tokens({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁un", "do", "▁!", "▁do"}), types({3, 3, 3, 3, 1, 1, 1, 1}),
                      whole("unknown_token_id", 1), whole("cls_token_id", 2), whole("seperator_token_id", 3)};
  EXPECT_THAT(idsOf(bert, "Undo! Dö"), ElementsAre(2, 4, 5, 6, 7, 3));
  EXPECT_THAT(idsOf(with(bert, flag("normalizer.lowercase", false)), "Undo! do"), ElementsAre(2, 1, 6, 7, 3));
  EXPECT_THAT(error(without(bert, 3)), HasSubstr("its tokens for unknown words, the begin and the end of a text are not all there"));
}

TEST(GgufTokenizer, T5FindsTheMostProbableWay) {
  const Pairs t5 = {model("t5"), tokens({"<pad>", "</s>", "<unk>", "▁", "a", "b", "▁a", "ab"}), scores({0, 0, 0, -3, -3, -3, -4, -3.5f}),
                    types({3, 3, 2, 1, 1, 1, 1, 1}), flag("add_space_prefix", true), flag("remove_extra_whitespaces", true)};
  EXPECT_THAT(idsOf(t5, "  ab   a "), ElementsAre(3, 7, 6, 1));
  EXPECT_THAT(idsOf(t5, "?"), ElementsAre(3, 2, 1));
  EXPECT_THAT(error(with(t5, flag("treat_whitespace_as_suffix", true))), HasSubstr("its tokens have their spaces behind them"));
}

TEST(GgufTokenizer, Gemma4JoinsAcrossWords) {
  const Pairs gemma = {model("gemma4"), tokens({"<pad>", "<bos>", "a", "▁", "a▁", "a▁a", "\n"}), merges({"a ▁", "a▁ a"}), types({3, 3, 1, 1, 1, 1, 1}),
                       whole("bos_token_id", 1), flag("add_bos_token", false)};
  EXPECT_THAT(idsOf(gemma, "a a\n"), ElementsAre(1, 5, 6)); // files say that texts do not begin with <bos>, and they do
}

TEST(GgufTokenizer, WhatDoesNotFitIsTold) {
  EXPECT_THAT(error({}), HasSubstr("m.gguf: says no `tokenizer.ggml.model`, so it has weights alone"));
  EXPECT_THAT(error({model("rwkv")}), HasSubstr("its vocabulary is of the kind `rwkv`, and bert, gemma4, gpt2, llama and t5 are read"));
  EXPECT_THAT(error({model("llama")}), HasSubstr("its `tokenizer.ggml.tokens` is empty or not there"));
  EXPECT_THAT(error({model("llama"), tokens({"a"})}), HasSubstr("its `tokenizer.ggml.scores` is empty or not there"));
  EXPECT_THAT(error({model("gpt2"), pre("gpt-2"), tokens({"a"})}), HasSubstr("its `tokenizer.ggml.merges` is empty or not there"));
  EXPECT_THAT(error({model("llama"), tokens({"a", "b"}), scores({0})}), HasSubstr("`tokenizer.ggml.scores` has 1 elements for 2 tokens"));
  EXPECT_THAT(error({model("llama"), tokens({"a", "b"}), scores({0, NAN})}), HasSubstr("the score of its token 1 is no number"));
  EXPECT_THAT(error({model("llama"), tokens({"a", "\xff"}), scores({0, 0})}), HasSubstr("its token 1 is no UTF-8"));
  EXPECT_THAT(error({model("llama"), tokens({"a", "b", "a"}), scores({0, 0, 0})}), HasSubstr("its tokens 0 and 2 are the same, `a`"));
  EXPECT_THAT(error({model("llama"), list(key("tokens"), 5, std::vector<int32_t>{1})}),
              HasSubstr("m.gguf: `tokenizer.ggml.tokens` is not what it is elsewhere; expected a list of texts"));
  EXPECT_THAT(error({pair(key("model"), 4, uint32_t(1))}), HasSubstr("`tokenizer.ggml.model` is not what it is elsewhere; expected a text"));
  EXPECT_THAT(error({model("gpt2"), pre("gpt-2"), tokens({"a", "b"}), merges({"ab"})}),
              HasSubstr("its merge 0 is no two tokens with a space between them: `ab`"));
  EXPECT_THAT(error({model("gpt2"), pre("gpt-2"), tokens({"a", "b"}), merges({"a c"})}), HasSubstr("its merge 0, `a c`, is of `c`, which is no token"));
}

// Runs of one letter can be cut anywhere: what is written of them would be thousands of times the file.
TEST(GgufTokenizer, TokensThatComeApartInTooManyWaysAreRefused) {
  std::vector<std::string> runs;
  for (size_t n = 1; n <= 400; ++n)
    runs.push_back(std::string(n, 'a'));
  EXPECT_THAT(error({model("llama"), tokens(runs), scores(std::vector<float>(runs.size()))}), HasSubstr("which no real vocabulary has"));
  EXPECT_THAT(error({model("llama"), tokens({std::string(2000, 'a')}), scores({0})}), HasSubstr("has 2000 bytes; at most 1024"));
}

TEST(GgufTokenizer, EveryCutOfAFileIsAnError) {
  std::string whole = header(0, with(kGpt2, pre("gpt-2")));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(ggufTokenizerJson(reinterpret_cast<const uint8_t *>(whole.data()), size, "cut"), data::Error) << size;
}
