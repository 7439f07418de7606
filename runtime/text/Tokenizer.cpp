#include "Tokenizer.h"
#include "AddedTokens.h"
#include "PostProcessor.h"
#include "PreTokenizer.h"
#include "TokenDecoder.h"
#include "runtime/core/JsonDepth.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

namespace bigm::text {
namespace {

constexpr size_t kLargestFile = size_t(1) << 30;

std::string readFile(const std::string &path) {
  auto fail = [&](const char *why) -> std::string { throw Error(path + ": " + why); };
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return fail(errno == ENOENT ? "there is no such file" : std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    return fail("is no file");
  if (size_t(info.st_size) > kLargestFile)
    return fail("is larger than a gibibyte; expected a tokenizer.json");
  struct Close {
    void operator()(std::FILE *f) const { std::fclose(f); }
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file)
    return fail(std::strerror(errno));
  std::string text(size_t(info.st_size), '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

/// A tokenizer.json for a file with a token of WordPiece a line.
std::string fromLines(const std::string &text) {
  Json vocab = Json::object();
  int32_t id = 0;
  bool upper = false, cls = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string token = text.substr(at, end - at);
    while (!token.empty() && (token.back() == '\r' || token.back() == ' '))
      token.pop_back();
    at = end + 1;
    bool special = token.size() > 2 && token[0] == '[' && token.back() == ']';
    cls |= token == "[CLS]";
    for (char c : token)
      upper |= !special && c >= 'A' && c <= 'Z';
    vocab[token] = id++;
  }
  Json out = {{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", Json::array()},
              {"normalizer", {{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true}, {"strip_accents", nullptr}, {"lowercase", !upper}}},
              {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
              {"post_processor", nullptr},
              {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
              {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"continuing_subword_prefix", "##"}, {"max_input_chars_per_word", 100}, {"vocab", vocab}}}};
  for (const char *name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    if (vocab.contains(name))
      out["added_tokens"].push_back({{"id", vocab[name]}, {"content", name}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  if (cls && vocab.contains("[SEP]"))
    out["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"[SEP]", vocab["[SEP]"]}}, {"cls", {"[CLS]", vocab["[CLS]"]}}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Truncation {
  size_t length = 0;
  bool on = false, left = false;
  enum { LongestFirst, OnlyFirst, OnlySecond } strategy = LongestFirst;
};
struct Padding {
  bool on = false, left = false;
  size_t length = 0, multiple = 0; // 0: the longest of the batch, which is the one text
  int32_t id = 0, type = 0;
};

Truncation readTruncation(const Settings &s) {
  Truncation t;
  if (s.isNull())
    return t;
  t.on = true;
  t.length = size_t(s["max_length"].whole(INT32_MAX));
  t.left = s.has("direction") && s["direction"].text() == "Left";
  if (s.has("strategy")) {
    const std::string &word = s["strategy"].text();
    if (word != "LongestFirst" && word != "OnlyFirst" && word != "OnlySecond")
      s["strategy"].fail("expected LongestFirst, OnlyFirst or OnlySecond, and it is " + s["strategy"].seen());
    t.strategy = word == "OnlyFirst" ? Truncation::OnlyFirst : word == "OnlySecond" ? Truncation::OnlySecond : Truncation::LongestFirst;
  }
  return t;
}

Padding readPadding(const Settings &s) {
  Padding p;
  if (s.isNull())
    return p;
  p.on = true;
  p.left = s.has("direction") && s["direction"].text() == "Left";
  if (s["strategy"].has("Fixed"))
    p.length = size_t(s["strategy"]["Fixed"].whole(1 << 20));
  if (s.has("pad_to_multiple_of"))
    p.multiple = size_t(s["pad_to_multiple_of"].whole(1 << 20));
  p.id = int32_t(s["pad_id"].whole(INT32_MAX));
  p.type = s.has("pad_type_id") ? int32_t(s["pad_type_id"].whole(INT32_MAX)) : 0;
  return p;
}

template <class T> void cutTo(std::vector<T> &list, size_t length, bool left) {
  if (list.size() <= length)
    return;
  if (left)
    list.erase(list.begin(), list.end() - ptrdiff_t(length));
  else
    list.resize(length);
}

} // namespace

struct Tokenizer::Parts {
  std::string json, name;
  Normalizer normalizer;
  PreTokenizer preTokenizer;
  std::unique_ptr<Model> model;
  AddedTokens added;
  PostProcessor postProcessor;
  TokenDecoder decoder;
  Truncation truncation;
  Padding padding;

  std::string_view token(int32_t id) const {
    auto known = added.token(id);
    return known ? *known : model->vocabulary.token(id);
  }

  Text begin(std::string_view text, bool tracked) const {
    if (text.size() >= size_t(1) << 31)
      throw Error("a text of " + std::to_string(text.size()) + " bytes; at most 2147483647 can be turned into ids at once");
    Text out;
    out.tracked = tracked;
    if (isValid(text))
      out.bytes = text;
    else
      out.bytes.reserve(text.size());
    if (!tracked) {
      if (out.bytes.empty())
        out.bytes = repaired(text);
      return out;
    }
    out.bytes.clear();
    for (size_t at = 0; at < text.size();) {
      size_t broken, n = validAt(text, at, broken);
      Span span{uint32_t(at), uint32_t(at + (n ? n : broken))};
      out.add(n ? text.substr(at, n) : "\xEF\xBF\xBD", span);
      at = span.end;
    }
    return out;
  }

  Row row(std::string_view text, int32_t type, bool offsets) const {
    Pieces pieces = added.split(begin(text, offsets || preTokenizer.needsOrigin()), normalizer);
    preTokenizer.apply(pieces);
    Row out;
    out.ids.reserve(text.size() / 3 + 4);
    thread_local std::vector<Token> tokens;
    for (const Piece &p : pieces.list) {
      std::string_view piece = std::string_view(pieces.text.bytes).substr(p.begin, p.end - p.begin);
      auto give = [&](const Token &t, std::string_view shown) {
        out.ids.push_back(t.id);
        if (offsets) {
          out.spans.push_back(pieces.text.origin(p.begin + t.begin, p.begin + t.end));
          out.edges.push_back(edgesOf(shown));
        }
      };
      if (p.id >= 0) {
        give({p.id, 0, uint32_t(piece.size())}, piece);
        continue;
      }
      tokens.clear();
      model->encode(piece, tokens);
      for (const Token &t : tokens)
        give(t, offsets ? model->shown(t, piece) : std::string_view());
    }
    out.types.assign(out.ids.size(), type);
    out.of.assign(out.ids.size(), uint8_t(type));
    return out;
  }

  void cut(Row &row, size_t length) const {
    cutTo(row.ids, length, truncation.left);
    cutTo(row.types, length, truncation.left);
    cutTo(row.spans, length, truncation.left);
    cutTo(row.edges, length, truncation.left);
    cutTo(row.of, length, truncation.left);
  }

  /// As many of each text as go into `most` ids together.
  void truncate(std::vector<Row> &rows, size_t most) const {
    size_t a = rows[0].ids.size(), b = rows.size() > 1 ? rows[1].ids.size() : 0;
    if (most == 0 || a + b <= most) {
      for (Row &r : rows)
        if (most == 0)
          cut(r, 0);
      return;
    }
    size_t excess = a + b - most;
    if (truncation.strategy != Truncation::LongestFirst) {
      bool first = truncation.strategy == Truncation::OnlyFirst;
      if (!first && rows.size() == 1)
        throw Error(name + ": truncates the second text only, and there is one text");
      Row &r = rows[first ? 0 : 1];
      if (r.ids.size() <= excess)
        throw Error(name + ": the " + (first ? "first" : "second") + " text is too short to bring both to " + std::to_string(most) + " ids");
      cut(r, r.ids.size() - excess);
    } else if (rows.size() == 1) {
      cut(rows[0], most);
    } else {
      bool swapped = a > b;
      size_t shorter = std::min(a, b), longer = shorter > most ? shorter : std::max(shorter, most - shorter);
      if (shorter + longer > most) {
        shorter = most / 2;
        longer = shorter + most % 2;
      }
      cut(rows[0], swapped ? longer : shorter);
      cut(rows[1], swapped ? shorter : longer);
    }
  }

  /// Appends the text of ids; `tokens` is room to work in.
  void decode(std::span<const int32_t> ids, bool skipSpecial, std::vector<std::string> &tokens, std::string &out) const {
    size_t n = 0;
    for (int32_t id : ids) {
      if ((!added.token(id) && !model->vocabulary.has(id)) || (skipSpecial && added.hidden(id)))
        continue;
      if (n == tokens.size())
        tokens.emplace_back();
      tokens[n++].assign(token(id));
    }
    tokens.resize(n);
    decoder.join(tokens, out);
  }

  /// Ids in all at most, special tokens among them.
  std::optional<size_t> limitOf(const EncodeOptions &options) const {
    return options.atMost > 0                ? std::optional(size_t(options.atMost))
           : options.limits && truncation.on ? std::optional(size_t(truncation.length))
                                             : std::nullopt;
  }

  WordIds encodeWords(std::span<const std::string> words, EncodeOptions options) const {
    const bool special = options.special;
    const size_t most = limitOf(options).value_or(0);
    Row all;
    std::vector<size_t> begins;
    for (const std::string &word : words) {
      begins.push_back(all.ids.size());
      join(all, row(word, 0, false));
    }
    size_t whole = all.ids.size(), room = whole;
    if (most > 0)
      room = std::min(whole, most - std::min(special ? postProcessor.added(false) : 0, most));
    for (auto *list : {&all.ids, &all.types})
      list->resize(room);
    all.of.resize(room);
    Row row = postProcessor.apply({std::move(all)}, {""}, special, false);
    WordIds out{std::move(row.ids), {}};
    if (most > 0) // more special tokens than fit
      cutTo(out.ids, most, false);
    std::vector<int32_t> places; // of the ids that are no special tokens
    for (size_t i = 0; i < row.of.size(); ++i)
      if (row.of[i] == 0)
        places.push_back(int32_t(i));
    int32_t last = std::max(0, int32_t(out.ids.size()) - 1);
    for (size_t begin : begins) {
      if (begin >= room && room < whole)
        break;
      out.starts.push_back(begin < places.size() ? std::min(places[begin], last) : places.empty() ? 0 : std::min(places.back() + 1, last));
    }
    return out;
  }

  Encoding encode(const std::vector<std::string_view> &texts, EncodeOptions options) const {
    std::vector<Row> rows;
    for (std::string_view text : texts)
      rows.push_back(row(text, int32_t(rows.size()), options.offsets));
    if (auto length = limitOf(options)) {
      size_t extra = options.special ? postProcessor.added(rows.size() == 2) : 0;
      truncate(rows, *length - std::min(extra, *length));
    }
    Row row = postProcessor.apply(std::move(rows), texts, options.special, options.offsets);
    Encoding out;
    out.ids = std::move(row.ids);
    out.types = std::move(row.types);
    out.offsets = std::move(row.spans);
    if (options.atMost > 0) // more special tokens than fit
      for (auto *list : {&out.ids, &out.types})
        cutTo(*list, size_t(options.atMost), false);
    if (options.atMost > 0)
      cutTo(out.offsets, size_t(options.atMost), false);
    out.length = out.ids.size();
    if (options.limits && options.pad && padding.on) {
      size_t want = std::max(out.length, padding.length);
      if (padding.length > 0)
        want = padding.length; // a longer one stays as it is below
      if (padding.multiple > 0 && want % padding.multiple > 0)
        want += padding.multiple - want % padding.multiple;
      if (want > out.length) {
        size_t more = want - out.length;
        out.padFirst = padding.left;
        auto fill = [&](auto &list, auto value) { list.insert(padding.left ? list.begin() : list.end(), more, value); };
        fill(out.ids, padding.id);
        fill(out.types, padding.type);
        if (options.offsets)
          fill(out.offsets, Span{});
      }
    }
    return out;
  }
};

std::string inside(std::string_view around, std::string_view text) {
  size_t at = around.find("{}");
  if (at == around.npos)
    return std::string(text);
  return std::string(around.substr(0, at)).append(text).append(around.substr(at + 2));
}

Tokenizer Tokenizer::fromFile(const std::string &path) {
  std::string text = readFile(path);
  size_t first = text.find_first_not_of(" \t\r\n");
  bool lines = path.ends_with(".txt") && (first == text.npos || text[first] != '{');
  if (lines && text.empty())
    throw Error(path + ": is empty; expected a token a line");
  if (lines && !isValid(text))
    throw Error(path + ": is no UTF-8; expected a token a line");
  return fromJson(lines ? fromLines(text) : std::move(text), path);
}

Tokenizer Tokenizer::fromJson(std::string json, const std::string &name) {
  if (rt::nestsTooDeep(json))
    throw Error(name + ": lists and objects stand in each other more than " + std::to_string(rt::kMostNested) + " deep");
  Json root;
  try {
    root = Json::parse(json);
  } catch (const Json::exception &e) {
    std::string why = e.what();
    size_t from = why.find("] ");
    throw Error(name + ": is no JSON: " + repaired(why.substr(from == why.npos ? 0 : from + 2)));
  }
  Settings s(root, name + ": tokenizer");
  if (!s.isObject() || !s["model"].isObject())
    throw Error(name + ": expected a tokenizer.json, an object with a `model`");
  auto parts = std::make_shared<Parts>();
  parts->name = name;
  parts->normalizer = Normalizer::read(s["normalizer"]);
  parts->preTokenizer = PreTokenizer::read(s["pre_tokenizer"]);
  parts->model = readModel(s["model"]);
  parts->added = AddedTokens::read(s["added_tokens"], *parts->model, parts->normalizer);
  parts->postProcessor = PostProcessor::read(s["post_processor"]);
  parts->decoder = TokenDecoder::read(s["decoder"]);
  parts->truncation = readTruncation(s["truncation"]);
  parts->padding = readPadding(s["padding"]);
  parts->json = std::move(json);
  return Tokenizer(std::move(parts));
}

Encoding Tokenizer::encode(std::string_view text, EncodeOptions options) const { return parts->encode({text}, options); }

Encoding Tokenizer::encode(std::string_view text, std::string_view second, EncodeOptions options) const {
  return parts->encode({text, second}, options);
}

WordIds Tokenizer::encodeWords(std::span<const std::string> words, EncodeOptions options) const { return parts->encodeWords(words, options); }

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::vector<std::string> tokens;
  std::string out;
  parts->decode(ids, skipSpecial, tokens, out);
  return out;
}

int32_t Tokenizer::size() const { return std::max(parts->model->vocabulary.ids(), parts->added.ids()); }

std::optional<int32_t> Tokenizer::id(std::string_view token) const {
  auto id = parts->added.id(token);
  return id ? id : parts->model->vocabulary.id(token);
}
std::string Tokenizer::token(int32_t id) const { return std::string(parts->token(id)); }
bool Tokenizer::special(int32_t id) const { return parts->added.hidden(id); }
int32_t Tokenizer::padding() const { return parts->padding.on ? parts->padding.id : 0; }
const std::string &Tokenizer::json() const { return parts->json; }

// Decoding looks at neighbours (a space after the first word, the bytes of one character), so the ids that were given
// last are decoded again with the new ones, and what they add is told. An end that is U+FFFD may become a character, but
// not after 16 more ids.
void Decoder::push(int32_t id, std::string &to) {
  ids.push_back(id);
  decode(text);
  if (text.size() <= shown.size() || (text.ends_with("\xEF\xBF\xBD") && ids.size() - given <= 16))
    return;
  to.append(text, text.starts_with(shown) ? shown.size() : 0);
  ids.erase(ids.begin(), ids.begin() + ptrdiff_t(given));
  given = ids.size();
  decode(shown);
}

void Decoder::finish(std::string &to) {
  decode(text);
  if (text.size() > shown.size() && text.starts_with(shown))
    to.append(text, shown.size());
  ids.clear();
  given = 0;
  shown.clear();
}

void Decoder::decode(std::string &to) {
  to.clear();
  tokenizer.parts->decode(ids, skipSpecial, tokens, to);
}

} // namespace bigm::text
