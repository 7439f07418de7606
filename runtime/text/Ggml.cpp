#include "Ggml.h"
#include "Model.h"
#include "Unicode.h"
#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace bigm::text {
namespace {

constexpr const char *kSpace = "▁"; // what stands for a space in SentencePiece's tokens
constexpr size_t kLongestToken = 1024; // bytes, where tokens are taken apart; the longest of known models has 256

std::string base64(std::span<const uint8_t> bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t three = 0;
    size_t n = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; ++i)
      three = three << 8 | (i < n ? bytes[at + i] : 0);
    for (size_t i = 0; i < 4; ++i)
      out += i <= n ? digits[three >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

/// A way to cut a text: what matches stands alone.
Json split(std::string_view pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}
Json replace(Json pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", std::move(pattern)}, {"content", content}};
}
Json sequence(const char *member, Json list) { return {{"type", "Sequence"}, {member, std::move(list)}}; }

class Writer {
public:
  Writer(const GgmlVocabulary &vocabulary, const std::string &file) : v(vocabulary), file(file) {}

  std::string run() {
    static constexpr std::pair<std::string_view, void (Writer::*)()> kinds[] = {
        {"bert", &Writer::bert}, {"gemma4", &Writer::gemma4}, {"gpt2", &Writer::gpt2}, {"llama", &Writer::llama}, {"t5", &Writer::t5}};
    if (v.model.empty())
      wrong("says no `tokenizer.ggml.model`, so it has weights alone");
    auto kind = std::find_if(std::begin(kinds), std::end(kinds), [&](auto &k) { return k.first == v.model; });
    if (kind == std::end(kinds))
      wrong("its vocabulary is of the kind " + shown(v.model) + ", and bert, gemma4, gpt2, llama and t5 are read");
    readTokens();
    out = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", Json::array()},
           {"normalizer", nullptr}, {"pre_tokenizer", nullptr}, {"post_processor", nullptr}, {"decoder", nullptr}, {"model", nullptr}};
    (this->*kind->second)();
    addedTokens();
    if (v.padding && known(*v.padding))
      out["padding"] = {{"strategy", "BatchLongest"}, {"direction", "Right"}, {"pad_to_multiple_of", nullptr},
                        {"pad_id", *v.padding}, {"pad_type_id", 0}, {"pad_token", tokens[size_t(*v.padding)]}};
    return out.dump();
  }

private:
  [[noreturn]] void wrong(const std::string &what) const { throw Error(file + ": " + what); }
  static std::string shown(std::string_view text) {
    return "`" + repaired(text.substr(0, 60)) + (text.size() > 60 ? "...`" : "`");
  }
  static std::string number(size_t i) { return std::to_string(i); }
  bool known(int64_t id) const { return id >= 0 && size_t(id) < tokens.size(); }
  int32_t type(size_t id) const { return v.types.empty() ? int32_t(GgmlNormal) : v.types[id]; }
  /// An id that the file gives, or `otherwise`; nothing where there is no such token.
  std::optional<int64_t> special(const std::optional<int64_t> &given, int64_t otherwise) const {
    int64_t id = given && known(*given) ? *given : otherwise;
    return known(id) ? std::optional(id) : std::nullopt;
  }

  void readTokens() {
    if (v.tokens.empty())
      wrong("its `tokenizer.ggml.tokens` is empty or not there");
    if (v.tokens.size() > size_t(INT32_MAX))
      wrong("it has " + number(v.tokens.size()) + " tokens");
    auto atLeast = [&](size_t n, const char *key) {
      if (n != 0 && n < v.tokens.size())
        wrong("`tokenizer.ggml." + std::string(key) + "` has " + number(n) + " elements for " + number(v.tokens.size()) + " tokens");
    };
    atLeast(v.types.size(), "token_type");
    atLeast(v.scores.size(), "scores");
    for (size_t i = 0; i < v.tokens.size(); ++i) {
      if (!isValid(v.tokens[i]))
        wrong("its token " + number(i) + " is no UTF-8: " + shown(v.tokens[i]));
      tokens.push_back(v.tokens[i].empty() ? "[EMPTY_" + number(i) + "]" : std::string(v.tokens[i]));
    }
    ids.reserve(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i)
      if (auto [first, isNew] = ids.emplace(tokens[i], int32_t(i)); !isNew)
        wrong("its tokens " + number(size_t(first->second)) + " and " + number(i) + " are the same, " + shown(tokens[i]));
  }
  void needScores() const {
    if (v.scores.empty())
      wrong("its `tokenizer.ggml.scores` is empty or not there");
    for (size_t i = 0; i < tokens.size(); ++i)
      if (!std::isfinite(v.scores[i]))
        wrong("the score of its token " + number(i) + " is no number");
  }
  Json vocabulary() const {
    Json all = Json::object();
    for (size_t i = 0; i < tokens.size(); ++i)
      all[tokens[i]] = i;
    return all;
  }

  /// Tokens that are found in a text before all else. Which of them take the spaces beside them with them stands in no file:
  /// as there, the model's name tells.
  void addedTokens() {
    auto has = [](std::string_view text, std::initializer_list<std::string_view> parts) {
      std::string lower(text);
      for (char &c : lower)
        c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
      return std::any_of(parts.begin(), parts.end(), [&](std::string_view p) { return lower.find(p) != lower.npos; });
    };
    bool mask = has(v.pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) || has(v.architecture, {"nomic-bert-moe", "jina-bert-v3"});
    // Old files tell no types, or that all tokens are ordinary; those that begin and end a text are not.
    bool typed = std::find(v.types.begin(), v.types.end(), int32_t(GgmlControl)) != v.types.end();
    bool phi3 = !mask && has(v.name, {"phi-3", "phi3"}), modern = !mask && !phi3 && has(v.name, {"modern-bert"});
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string &token = tokens[i];
      int32_t t = !typed && (v.begin == int64_t(i) || v.end == int64_t(i)) ? int32_t(GgmlControl) : type(i);
      if (t != GgmlControl && t != GgmlUser && t != GgmlUnknown && !(phi3 && token == "</s>"))
        continue;
      bool before = (mask && token == "<mask>") || (modern && token == "[MASK]");
      bool behind = phi3 && token != "<unk>" && token != "<s>" && token != "<|endoftext|>";
      out["added_tokens"].push_back({{"id", i}, {"content", token}, {"single_word", false}, {"lstrip", before}, {"rstrip", behind},
                                     {"normalized", false}, {"special", t != GgmlUser}});
    }
  }

  /// Puts the tokens that begin and end a text around it.
  void around(bool begins, bool ends, int64_t begin, int64_t end) {
    Json single = Json::array(), pair = Json::array(), named = Json::object();
    auto put = [&](Json &to, const std::optional<int64_t> &id, int type) {
      if (!id)
        return;
      const std::string &token = tokens[size_t(*id)];
      to.push_back({{"SpecialToken", {{"id", token}, {"type_id", type}}}});
      named[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
    };
    auto text = [](const char *name, int type) { return Json{{"Sequence", {{"id", name}, {"type_id", type}}}}; };
    std::optional<int64_t> first, last;
    if (v.addBegin.value_or(begins) && !(first = special(v.begin, begin)))
      wrong("a text begins with a token that `tokenizer.ggml.bos_token_id` does not name");
    if (v.addEnd.value_or(ends) && !(last = special(v.end, end)))
      wrong("a text ends with a token that `tokenizer.ggml.eos_token_id` does not name");
    put(single, first, 0), single.push_back(text("A", 0)), put(single, last, 0);
    put(pair, first, 0), pair.push_back(text("A", 0)), put(pair, last, 0);
    put(pair, first, 1), pair.push_back(text("B", 1)), put(pair, last, 1);
    if (first || last)
      out["post_processor"] = {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", named}};
  }

  Json bpe(bool byteFallback, bool wholeFirst) const {
    return {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr},
            {"fuse_unk", false}, {"byte_fallback", byteFallback}, {"ignore_merges", wholeFirst}, {"vocab", vocabulary()}};
  }
  static Json characters() { // from tokens of characters and bytes back to a text
    return sequence("decoders", {replace({{"String", kSpace}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  }

  /// SentencePiece's BPE joins two neighbours where what they make is a token, the one of the highest score first: each way to
  /// cut a token into two is a merge, and those of one score have one rank.
  void llama() {
    needScores();
    struct Merge {
      int32_t whole;
      uint32_t cut;
    };
    std::vector<Merge> merges;
    size_t all = 0, written = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string_view token = tokens[i];
      all += token.size() + 8;
      if (token.size() > kLongestToken)
        wrong("its token " + number(i) + " has " + number(token.size()) + " bytes; at most " + number(kLongestToken) + " can be put together");
      if (token.find(' ') != token.npos) // a text has none when it is put together
        continue;
      for (size_t cut = lengthAt(token[0]); cut < token.size(); cut += lengthAt(token[cut]))
        if (ids.count(token.substr(0, cut)) && ids.count(token.substr(cut))) {
          merges.push_back({int32_t(i), uint32_t(cut)});
          written += token.size() + 32;
        }
      if (written > 64 * all + (1 << 16)) // known models: 5
        wrong("its tokens can be put together in more than " + number(merges.size()) + " ways, which no real vocabulary has");
    }
    auto score = [&](const Merge &m) { return v.scores[size_t(m.whole)]; };
    std::sort(merges.begin(), merges.end(), [&](const Merge &a, const Merge &b) {
      return score(a) != score(b) ? score(a) > score(b) : std::pair(a.whole, a.cut) < std::pair(b.whole, b.cut);
    });
    Json list = Json::array(), ranks = Json::array();
    for (size_t i = 0; i < merges.size(); ++i) {
      std::string both = tokens[size_t(merges[i].whole)];
      both.insert(merges[i].cut, " ");
      list.push_back(std::move(both));
      ranks.push_back(i > 0 && score(merges[i]) == score(merges[i - 1]) ? ranks.back().get<size_t>() : i);
    }
    out["model"] = bpe(true, false);
    if (auto unknown = special(v.unknown, 0))
      out["model"]["unk_token"] = tokens[size_t(*unknown)];
    out["model"]["merges"] = std::move(list);
    out["model"]["ranks"] = std::move(ranks);
    bool prefix = v.spacePrefix.value_or(true);
    Json spaces = replace({{"String", " "}}, kSpace);
    out["normalizer"] = prefix ? sequence("normalizers", {{{"type", "Prepend"}, {"prepend", kSpace}}, spaces}) : spaces;
    out["decoder"] = characters();
    if (prefix)
      out["decoder"]["decoders"].push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    around(true, false, 1, 2);
  }

  Json writtenMerges() const {
    if (v.merges.empty())
      wrong("its `tokenizer.ggml.merges` is empty or not there");
    Json list = Json::array();
    for (size_t i = 0; i < v.merges.size(); ++i) {
      std::string_view line = v.merges[i];
      size_t space = line.find(' ', 1);
      if (space == line.npos || !isValid(line))
        wrong("its merge " + number(i) + " is no two tokens with a space between them: " + shown(line));
      for (std::string_view part : {line.substr(0, space), line.substr(space + 1)})
        if (!ids.count(part))
          wrong("its merge " + number(i) + ", " + shown(line) + ", is of " + shown(part) + ", which is no token");
      list.push_back(line);
      if (std::count(line.begin(), line.end(), ' ') > 1)
        list.back() = {line.substr(0, space), line.substr(space + 1)};
    }
    return list;
  }

  void gpt2() {
    const GgmlPre *pre = ggmlPre(v.pre);
    if (!pre)
      wrong("cuts texts as " + shown(v.pre) + " does; known are " + ggmlPreNames());
    bool words = pre->patterns.back() == ggmlPre("gpt-2")->patterns[0];
    Json cuts = Json::array();
    for (size_t i = 0; i + words < pre->patterns.size(); ++i)
      cuts.push_back(split(pre->patterns[i]));
    cuts.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", words}});
    out["pre_tokenizer"] = sequence("pretokenizers", std::move(cuts));
    out["model"] = bpe(false, pre->wholeFirst);
    out["model"]["merges"] = writtenMerges();
    out["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
    around(pre->addBegin, false, 11, 11);
  }

  void gemma4() {
    out["normalizer"] = replace({{"String", " "}}, kSpace);
    out["pre_tokenizer"] = split(R"([^\n]+|[\n]+)");
    out["model"] = bpe(true, false);
    out["model"]["merges"] = writtenMerges();
    out["decoder"] = characters();
    v.addBegin = true; // what files say is wrong
    around(true, false, -1, -1);
  }

  /// A token that begins a word has the mark of a space in front, and one that continues it has none.
  void bert() {
    Json vocab = Json::object();
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string &token = tokens[i];
      if (token.starts_with(kSpace) && token != kSpace)
        token.erase(0, std::string_view(kSpace).size());
      else if (type(i) == GgmlNormal)
        token.insert(0, "##");
      if (vocab.contains(token))
        wrong("its tokens " + number(vocab[token].get<size_t>()) + " and " + number(i) + " are the same, " + shown(token));
      vocab[token] = i;
    }
    auto unknown = special(v.unknown, 100), first = special(v.begin ? v.begin : v.classes, 101), last = special(v.separator, 102);
    if (!unknown || !first || !last)
      wrong("its tokens for unknown words, the begin and the end of a text are not all there");
    bool lower = v.lowercase.value_or(true);
    out["normalizer"] = {{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true},
                         {"strip_accents", v.stripAccents.value_or(lower)}, {"lowercase", lower}};
    out["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
    out["model"] = {{"type", "WordPiece"}, {"unk_token", tokens[size_t(*unknown)]}, {"continuing_subword_prefix", "##"},
                    {"max_input_chars_per_word", 100}, {"vocab", std::move(vocab)}};
    out["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
    out["post_processor"] = {{"type", "BertProcessing"}, {"sep", {tokens[size_t(*last)], *last}}, {"cls", {tokens[size_t(*first)], *first}}};
  }

  void t5() {
    needScores();
    Json vocab = Json::array();
    for (size_t i = 0; i < tokens.size(); ++i)
      vocab.push_back({tokens[i], type(i) == GgmlUser ? 0.0 : double(v.scores[i])});
    out["model"] = {{"type", "Unigram"}, {"unk_id", nullptr}, {"vocab", std::move(vocab)}, {"byte_fallback", false}};
    if (auto unknown = special(v.unknown, 2))
      out["model"]["unk_id"] = *unknown;
    Json steps = Json::array();
    if (!v.charsmap.empty())
      steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", base64(v.charsmap)}});
    bool merges = v.mergeSpaces.value_or(false), prefix = v.spacePrefix.value_or(false) || merges;
    if (merges) {
      steps.push_back(replace({{"Regex", R"(\A +| +\z)"}}, ""));
      steps.push_back(replace({{"Regex", " {2,}"}}, " "));
    }
    if (prefix)
      steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    steps.push_back(replace({{"String", " "}}, kSpace));
    out["normalizer"] = sequence("normalizers", std::move(steps));
    out["decoder"] = Json{{"type", "Metaspace"}, {"replacement", kSpace}, {"prepend_scheme", prefix ? "always" : "never"}, {"split", false}};
    around(false, true, -1, 1);
  }

  GgmlVocabulary v;
  const std::string &file;
  std::vector<std::string> tokens;
  std::unordered_map<std::string_view, int32_t> ids; // of tokens as the file has them
  Json out;
};

} // namespace

std::string tokenizerJson(const GgmlVocabulary &vocabulary, const std::string &name) { return Writer(vocabulary, name).run(); }

} // namespace bigm::text
