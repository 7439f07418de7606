// A vocabulary as GGUF files carry it (`tokenizer.ggml.*`), as the tokenizer.json that has the same ids.
//
// Read: `llama` (SentencePiece's BPE: pairs are joined by the score of what they make), `gpt2` (byte-level BPE, cut first as
// `tokenizer.ggml.pre` names it) and `gemma4` (BPE over characters), `bert` (WordPiece) and `t5` (Unigram). Nothing of a file
// is believed: what does not fit is one Error.
#pragma once
#include "Error.h"
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace bigm::text {

/// What a file says; texts lie in its memory. Everything may be missing.
struct GgmlVocabulary {
  std::string_view model, pre;         // the kind of vocabulary, and how gpt2's cuts a text first
  std::string_view name, architecture; // of the whole model: some mean spaces beside special tokens
  std::vector<std::string_view> tokens;
  std::vector<std::string_view> merges; // gpt2, gemma4: "left right"
  std::vector<float> scores;            // llama, t5: one a token
  std::vector<int32_t> types;           // one a token, as below
  std::span<const uint8_t> charsmap;    // t5: SentencePiece's normaliser
  std::optional<int64_t> begin, end, unknown, separator, classes, padding;
  std::optional<bool> addBegin, addEnd; // whether a text gets them
  std::optional<bool> spacePrefix, mergeSpaces, lowercase, stripAccents;
};

/// ggml's numbers for types of tokens.
enum GgmlTokenType : int32_t { GgmlNormal = 1, GgmlUnknown = 2, GgmlControl = 3, GgmlUser = 4, GgmlUnused = 5, GgmlByte = 6 };

/// The text of a tokenizer.json. Throws Error; `name` of the file stands in messages.
std::string tokenizerJson(const GgmlVocabulary &vocabulary, const std::string &name);

/// How a text is cut before byte-level BPE, by the names that `tokenizer.ggml.pre` has for it.
struct GgmlPre {
  std::vector<std::string_view> names;
  std::vector<std::string_view> patterns; // each cuts the pieces of the one before; matches stand alone
  bool wholeFirst = false;                // a piece that is a token is not put together from pairs
  bool addBegin = false;                  // unless the file says otherwise
};
/// Null for a name that is not known.
const GgmlPre *ggmlPre(std::string_view name);
/// All names, for messages.
std::string ggmlPreNames();

} // namespace bigm::text
