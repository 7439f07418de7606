// SentencePiece's normaliser, compiled by it into a trie: the `precompiled_charsmap` of a tokenizer.json.
#pragma once
#include "Text.h"
#include <optional>

namespace bigm::text {

class CharMap {
public:
  /// From base64. Throws Error without a place.
  static CharMap read(std::string_view base64);
  void apply(Text &text) const;

private:
  /// What stands in the map for the shortest beginning of `chunk` that it has.
  std::optional<std::string_view> find(std::string_view chunk) const;
  std::vector<uint32_t> trie; // units of a double array, as Darts packs them
  std::string replacements;   // each ends with a zero byte
};

} // namespace bigm::text
