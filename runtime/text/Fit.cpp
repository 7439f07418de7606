#include "Fit.h"
#include "Normalizer.h"
#include "PreTokenizer.h"
#include <algorithm>

namespace bigm::text {
namespace {

Json preTokenizer(VocabularyFit::Kind kind) {
  if (kind == VocabularyFit::Kind::Characters)
    return {{"type", "FixedLength"}, {"length", 1}};
  return {{"type", kind == VocabularyFit::Kind::Elements ? "WhitespaceSplit" : "Whitespace"}};
}
Json normalizer(bool lower) { return lower ? Json{{"type", "Lowercase"}} : Json(nullptr); }

} // namespace

void VocabularyFit::add(std::string_view text) {
  Pieces pieces;
  pieces.text.bytes = repaired(text);
  Json lower = normalizer(options.lower), cut = preTokenizer(kind);
  Normalizer::read({lower, ""}).apply(pieces.text);
  if (pieces.text.bytes.empty())
    return;
  pieces.list.push_back({0, uint32_t(pieces.text.bytes.size()), -1});
  PreTokenizer::read({cut, ""}).apply(pieces);
  std::string key;
  for (const Piece &p : pieces.list) {
    key.assign(pieces.text.bytes, p.begin, p.end - p.begin);
    ++counts[key];
  }
}

Tokenizer VocabularyFit::finish() const {
  std::vector<std::pair<std::string_view, int64_t>> list;
  for (auto &[token, count] : counts)
    if (count >= options.atLeast)
      list.emplace_back(token, count);
  auto common = [](auto &a, auto &b) { return a.second != b.second ? a.second > b.second : a.first < b.first; };
  auto byBytes = [](auto &a, auto &b) { return a.first < b.first; }; // for UTF-8 the order of code points
  std::sort(list.begin(), list.end(), common);
  size_t most = options.atMost > 0 ? size_t(options.atMost) - (options.unknown ? 1 : 0) : list.size();
  if (list.size() > most)
    list.resize(most);
  if (kind == Kind::Characters)
    std::sort(list.begin(), list.end(), byBytes);
  // By number, as a reader of the file would look for them. Tokens differ, and an object in order looks through all members for each new
  // one, so they are put into its list.
  using Ordered = nlohmann::ordered_json;
  Ordered::object_t vocab;
  Ordered::object_t::Container &tokens = vocab;
  if (options.unknown)
    tokens.emplace_back("<unk>", 0);
  for (auto &[token, count] : list)
    if (!options.unknown || token != "<unk>")
      tokens.emplace_back(std::string(token), tokens.size());
  Ordered out = {{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", Ordered::array()},
              {"normalizer", normalizer(options.lower)},
              {"pre_tokenizer", preTokenizer(kind)},
              {"post_processor", nullptr},
              {"decoder", kind == Kind::Characters ? Ordered{{"type", "Fuse"}} : Ordered(nullptr)},
              {"model", {{"type", "WordLevel"}, {"vocab", Ordered(std::move(vocab))}, {"unk_token", "<unk>"}}}};
  return Tokenizer::fromJson(out.dump(), "vocabulary");
}

} // namespace bigm::text
