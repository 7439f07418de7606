// Vocabularies that data determine: the characters or the words of the training split.
#pragma once
#include "Tokenizer.h"
#include <unordered_map>

namespace bigm::text {

class VocabularyFit {
public:
  enum class Kind {
    Characters, // one token a character, ordered by code point
    Elements,   // what stands between spaces: words that were cut before, elements of a list
    Words,      // runs of word characters and of others between spaces, the most frequent first, then by bytes
  };
  struct Options {
    int64_t atLeast = 1;  // words that come less often are unknown
    int64_t atMost = 0;   // tokens in all, unknown included; 0: as many as there are
    bool unknown = false; // a token `<unk>`, id 0, for what is not in the vocabulary; without it that is an error
    bool lower = false;   // everything in lower case first
  };
  VocabularyFit(Kind kind, Options options) : kind(kind), options(options) {}

  void add(std::string_view text);
  /// How many different tokens the texts so far have, before `atLeast` and `atMost`.
  size_t different() const { return counts.size(); }
  Tokenizer finish() const;

private:
  Kind kind;
  Options options;
  std::unordered_map<std::string, int64_t> counts;
};

} // namespace bigm::text
