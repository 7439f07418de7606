// Tokens that are cut out of a text before anything else looks at it: [CLS], <|endoftext|>, and what users add.
#pragma once
#include "Model.h"
#include "Normalizer.h"

namespace bigm::text {

class AddedTokens {
public:
  /// From `added_tokens`; ids follow the model's where its vocabulary has no such token. Throws Error naming the place.
  static AddedTokens read(const Settings &settings, const Model &model, const Normalizer &normalizer);
  /// The text in pieces: added tokens with their ids, and what is between them, normalised.
  Pieces split(Text text, const Normalizer &normalizer) const;

  std::optional<int32_t> id(std::string_view token) const { return names.id(token); }
  /// As it is decoded: as the normaliser left it.
  std::optional<std::string_view> token(int32_t id) const;
  /// Whether a decoded text is without it: a special token that the normaliser left as it is.
  bool hidden(int32_t id) const;
  int32_t ids() const { return names.ids(); }

private:
  struct Added {
    std::string shown;
    bool known = false, special = false, hidden = false, single = false, left = false, right = false;
  };
  struct Matcher {
    Trie trie;
    bool begins[256] = {};
  };
  void match(const Matcher &matcher, const Text &text, size_t begin, size_t end, std::vector<Piece> &out) const;
  Vocabulary names;
  std::vector<Added> byId;
  Matcher raw, normalized;
};

} // namespace bigm::text
