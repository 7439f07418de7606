// WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): the longest token that begins a word, then the longest
// that continues it, and so on; a word that does not come out is unknown as a whole. And words as they stand.
#include "Model.h"

namespace bigm::text {
namespace {

std::string quoted(std::string_view piece) {
  return "`" + std::string(piece.substr(0, 60)) + (piece.size() > 60 ? "...`" : "`");
}

class WordPiece : public Model {
public:
  void encode(std::string_view piece, std::vector<Token> &out) const override {
    size_t before = out.size();
    auto size = uint32_t(piece.size());
    bool good = countChars(piece) <= mostChars;
    for (uint32_t at = 0; good && at < size;) {
      const Trie &trie = at == 0 ? starts : continues;
      uint32_t node = 0, to = at;
      int32_t id = -1;
      for (uint32_t i = at; i < size; ++i) {
        node = trie.child(node, uint8_t(piece[i]));
        if (node == 0)
          break;
        if (trie.value(node) >= 0 && (i + 1 == size || (uint8_t(piece[i + 1]) & 0xC0) != 0x80))
          id = trie.value(node), to = i + 1;
      }
      good = id >= 0;
      if (good)
        out.push_back({id, at, to});
      at = to;
    }
    if (good)
      return;
    out.resize(before);
    if (unknown < 0)
      throw Error("the word " + quoted(piece) + " is not in the vocabulary, which has no token for unknown words");
    out.push_back({unknown, 0, size});
  }
  Trie starts, continues;
  size_t mostChars = 100;
  int32_t unknown = -1;
};

class WordLevel : public Model {
public:
  void encode(std::string_view piece, std::vector<Token> &out) const override {
    int32_t id = vocabulary.id(piece).value_or(unknown);
    if (id < 0)
      throw Error(quoted(piece) + " is not in the vocabulary, which has no token for what is unknown");
    out.push_back({id, 0, uint32_t(piece.size())});
  }
  int32_t unknown = -1;
};

} // namespace

std::unique_ptr<Model> readWordPiece(const Settings &s) {
  auto model = std::make_unique<WordPiece>();
  model->vocabulary = Vocabulary::read(s["vocab"]);
  std::string prefix = s.has("continuing_subword_prefix") ? s["continuing_subword_prefix"].text() : "##";
  if (s.has("max_input_chars_per_word"))
    model->mostChars = size_t(s["max_input_chars_per_word"].whole(INT32_MAX));
  model->unknown = model->vocabulary.id(s.has("unk_token") ? s["unk_token"].text() : "[UNK]").value_or(-1);
  for (auto &[token, id] : s["vocab"].value->items()) {
    int32_t known = *model->vocabulary.id(token);
    model->starts.add(token, known);
    if (token.starts_with(prefix))
      model->continues.add(std::string_view(token).substr(prefix.size()), known);
  }
  return model;
}

std::unique_ptr<Model> readWordLevel(const Settings &s) {
  auto model = std::make_unique<WordLevel>();
  model->vocabulary = Vocabulary::read(s["vocab"]);
  if (s.has("unk_token"))
    model->unknown = model->vocabulary.id(s["unk_token"].text()).value_or(-1);
  return model;
}

} // namespace bigm::text
