// Unigram (Kudo 2018): of all ways to cut a piece into tokens the one whose scores (log probabilities) sum to the most,
// found by one pass over the characters (Viterbi). What no token covers costs 10 more than the worst token.
#include "Model.h"
#include <algorithm>
#include <limits>

namespace bigm::text {
namespace {

class Unigram : public Model {
public:
  void encode(std::string_view piece, std::vector<Token> &out) const override {
    struct Best { // the best way to the byte where this stands
      double score;
      int32_t id;
      int32_t from; // -1: no way yet
    };
    thread_local std::vector<Best> best;
    size_t size = piece.size();
    best.assign(size + 1, {0, 0, -1});
    double unknownScore = worst - 10;
    for (size_t at = 0; at < size;) {
      double soFar = best[at].score;
      size_t length = std::min(lengthAt(piece[at]), size - at);
      bool whole = false;
      auto reach = [&](size_t to, double score, int32_t id) {
        Best &b = best[to];
        if (b.from < 0 || score > b.score)
          b = {score, id, int32_t(at)};
      };
      uint32_t node = 0;
      for (size_t i = at; i < size; ++i) {
        node = trie.child(node, uint8_t(piece[i]));
        if (node == 0)
          break;
        int32_t id = trie.value(node);
        if (id < 0)
          continue;
        reach(i + 1, scores[size_t(id)] + soFar, id);
        whole |= i + 1 - at == length;
      }
      if (!whole) {
        if (unknown < 0)
          throw Error("the vocabulary has no token for `" + std::string(piece.substr(at, length)) + "`, and none for what is unknown");
        reach(at + length, unknownScore + soFar, unknown);
      }
      at += length;
    }
    size_t before = out.size();
    uint32_t joined = 0; // end of a run of unknown characters, which become one token
    auto give = [&](uint32_t begin, uint32_t end) {
      std::string_view token = piece.substr(begin, end - begin);
      if (auto id = vocabulary.id(token)) {
        out.push_back({*id, begin, end});
        return;
      }
      if (byteFallback && std::all_of(token.begin(), token.end(), [&](char b) { return bytes[uint8_t(b)] >= 0; })) {
        for (size_t i = token.size(); i-- > 0;) // all are turned round below
          out.push_back({bytes[uint8_t(token[i])], begin, end});
        return;
      }
      if (unknown < 0)
        throw Error("the vocabulary has no token for `" + std::string(token) + "`, and none for what is unknown");
      out.push_back({unknown, begin, end});
    };
    for (auto end = uint32_t(size); end > 0;) {
      const Best &b = best[end];
      auto from = uint32_t(b.from);
      if (b.id == unknown && unknown >= 0) {
        joined = joined ? joined : end;
      } else {
        if (joined)
          give(end, joined);
        joined = 0;
        give(from, end);
      }
      end = from;
    }
    if (joined)
      give(0, joined);
    std::reverse(out.begin() + ptrdiff_t(before), out.end());
  }

  std::string_view shown(const Token &token, std::string_view piece) const override {
    return token.id == unknown ? piece.substr(token.begin, token.end - token.begin) : vocabulary.token(token.id);
  }
  size_t size() const override { return scores.size(); } // one that is there twice counts twice

  Trie trie;
  std::vector<double> scores;
  double worst = std::numeric_limits<double>::infinity();
  int32_t unknown = -1;
  bool byteFallback = false;
  int32_t bytes[256];
};

} // namespace

std::unique_ptr<Model> readUnigram(const Settings &s) {
  auto model = std::make_unique<Unigram>();
  Settings list = s["vocab"];
  size_t n = list.count();
  model->vocabulary.reserve(n);
  model->scores.resize(n);
  for (size_t i = 0; i < n; ++i) {
    Settings pair = list.at(i);
    if (pair.count() != 2)
      pair.fail("expected a token and its score, and it is " + pair.seen());
    const std::string &token = pair.at(0).text();
    double score = pair.at(1).number();
    model->vocabulary.add(token, int32_t(i), n);
    model->scores[i] = score;
    model->worst = std::min(model->worst, score);
    model->trie.add(token, int32_t(i));
  }
  if (s.has("unk_id")) {
    if (n == 0)
      list.fail("is empty, and `unk_id` names one of its tokens");
    model->unknown = int32_t(s["unk_id"].whole(int64_t(n) - 1));
  }
  model->byteFallback = s.flag("byte_fallback", false);
  for (int b = 0; b < 256; ++b)
    model->bytes[b] = model->vocabulary.id(byteToken(uint8_t(b))).value_or(-1);
  return model;
}

std::unique_ptr<Model> readModel(const Settings &s) {
  // Old files leave the type out; what the model has tells it.
  std::string type = s.has("type")     ? s.type()
                     : s.has("merges") ? "BPE"
                     : s["vocab"].isArray() ? "Unigram"
                     : s.has("continuing_subword_prefix") ? "WordPiece"
                                                          : "WordLevel";
  if (type == "BPE")
    return readBpe(s);
  if (type == "Unigram")
    return readUnigram(s);
  if (type == "WordPiece")
    return readWordPiece(s);
  if (type == "WordLevel")
    return readWordLevel(s);
  s["type"].fail("there is no model `" + type + "`; known are BPE, Unigram, WordLevel and WordPiece");
}

} // namespace bigm::text
