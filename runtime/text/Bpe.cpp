// Byte-pair encoding (Sennrich et al. 2016): the pieces of a word are joined two by two, always the pair that stands
// first in the list of merges, until no neighbours are in the list.
//
// Most words come again and again, so each thread remembers up to 16,384 short ones. A long piece (a whole text, in
// models without pre-tokenizer) keeps its pairs in a heap; a short one is searched, which is faster.
#include "Model.h"
#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>

namespace bigm::text {
namespace {

/// (left id, right id) -> (rank, id of both).
class Merges {
public:
  struct Merge {
    uint64_t pair = ~uint64_t(0);
    uint32_t rank = 0;
    int32_t id = 0;
  };
  explicit Merges(size_t count = 0) {
    size_t n = 16;
    while (n < count * 2)
      n *= 2;
    table.resize(n);
  }
  void add(int32_t left, int32_t right, uint32_t rank, int32_t id) {
    uint64_t pair = key(left, right);
    size_t i = slot(pair);
    while (table[i].pair != ~uint64_t(0) && table[i].pair != pair)
      i = (i + 1) & (table.size() - 1);
    table[i] = {pair, rank, id}; // of a pair given twice the later rank counts
  }
  const Merge *find(int32_t left, int32_t right) const {
    uint64_t pair = key(left, right);
    for (size_t i = slot(pair);; i = (i + 1) & (table.size() - 1)) {
      if (table[i].pair == pair)
        return &table[i];
      if (table[i].pair == ~uint64_t(0))
        return nullptr;
    }
  }

private:
  static uint64_t key(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }
  size_t slot(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15ull >> 24) & (table.size() - 1); }
  std::vector<Merge> table;
};

struct Symbol {
  int32_t id;
  uint32_t length; // bytes; 0 when it was joined to the one before
  int32_t previous, next;
};

class Bpe : public Model {
public:
  void encode(std::string_view piece, std::vector<Token> &out) const override {
    if (wholeFirst)
      if (auto id = vocabulary.id(piece)) {
        out.push_back({*id, 0, uint32_t(piece.size())});
        return;
      }
    if (piece.size() > 64)
      return join(piece, out);
    auto &known = remembered();
    auto at = known.find(piece);
    if (at != known.end()) {
      out.insert(out.end(), at->second.begin(), at->second.end());
      return;
    }
    size_t before = out.size();
    join(piece, out);
    if (known.size() < 16384)
      known.emplace(std::string(piece), std::vector<Token>(out.begin() + ptrdiff_t(before), out.end()));
  }

  Merges merges;
  std::string prefix, suffix, unknownToken;
  int32_t unknown = -1;
  bool fuseUnknown = false, byteFallback = false, wholeFirst = false;
  int32_t bytes[256]; // ids of <0x00> to <0xFF>, -1 where there is none

private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  using Known = std::unordered_map<std::string, std::vector<Token>, Hash, std::equal_to<>>;
  /// What this thread remembers of this model.
  Known &remembered() const {
    struct Memory {
      uint64_t owner = 0, used = 0;
      Known known;
    };
    thread_local Memory memories[4];
    thread_local uint64_t clock = 0;
    Memory *oldest = memories;
    for (Memory &m : memories) {
      if (m.owner == serial) {
        m.used = ++clock;
        return m.known;
      }
      if (m.used < oldest->used)
        oldest = &m;
    }
    oldest->known.clear();
    oldest->owner = serial;
    oldest->used = ++clock;
    return oldest->known;
  }

  void begin(std::string_view piece, std::vector<Symbol> &symbols) const {
    uint32_t unknownLength = 0;
    auto add = [&](int32_t id, uint32_t length) {
      auto n = int32_t(symbols.size());
      if (n > 0)
        symbols.back().next = n;
      symbols.push_back({id, length, n - 1, -1});
    };
    auto flush = [&] {
      if (unknownLength > 0)
        add(unknown, unknownLength);
      unknownLength = 0;
    };
    std::string dressed;
    for (size_t at = 0; at < piece.size();) {
      auto length = uint32_t(std::min(lengthAt(piece[at]), piece.size() - at));
      std::string_view c = piece.substr(at, length);
      bool last = at + length == piece.size();
      if ((at > 0 && !prefix.empty()) || (last && !suffix.empty())) {
        dressed = (at > 0 ? prefix : "") + std::string(c) + (last ? suffix : "");
        c = dressed;
      }
      at += length;
      if (auto id = vocabulary.id(c)) {
        flush();
        add(*id, length);
        continue;
      }
      if (byteFallback && std::all_of(c.begin(), c.end(), [&](char b) { return bytes[uint8_t(b)] >= 0; })) {
        for (char b : c) // an unknown character before it comes after it, as it does there
          add(bytes[uint8_t(b)], 1);
        continue;
      }
      if (unknownToken.empty())
        continue; // what has no token and no token for unknown ones is left out
      if (unknown < 0)
        throw Error("the vocabulary has no token `" + unknownToken + "`, which stands for unknown characters");
      if (!fuseUnknown)
        flush();
      unknownLength += length;
    }
    flush();
  }

  void join(std::string_view piece, std::vector<Token> &out) const {
    thread_local std::vector<Symbol> symbols;
    symbols.clear();
    begin(piece, symbols);
    if (symbols.size() <= 32)
      joinFew(symbols);
    else
      joinMany(symbols);
    uint32_t at = 0;
    for (const Symbol &s : symbols)
      if (s.length > 0) {
        // Prefix and suffix that fell back to bytes are longer than the piece.
        uint32_t end = std::min(at + s.length, uint32_t(piece.size()));
        out.push_back({s.id, at, end});
        at = end;
      }
  }

  void joinFew(std::vector<Symbol> &symbols) const {
    const Merges::Merge *found[32];
    size_t n = symbols.size();
    for (size_t i = 0; i + 1 < n; ++i)
      found[i] = merges.find(symbols[i].id, symbols[i + 1].id);
    for (;;) {
      size_t best = n;
      for (size_t i = 0; i + 1 < n; ++i)
        if (found[i] && (best == n || found[i]->rank < found[best]->rank))
          best = i;
      if (best == n)
        break;
      symbols[best].id = found[best]->id;
      symbols[best].length += symbols[best + 1].length;
      symbols.erase(symbols.begin() + ptrdiff_t(best) + 1);
      std::copy(found + best + 1, found + n - 1, found + best);
      --n;
      if (best + 1 < n)
        found[best] = merges.find(symbols[best].id, symbols[best + 1].id);
      if (best > 0)
        found[best - 1] = merges.find(symbols[best - 1].id, symbols[best].id);
    }
  }

  void joinMany(std::vector<Symbol> &symbols) const {
    struct Waiting {
      uint32_t rank, at;
      int32_t id;
      bool operator<(const Waiting &o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
    };
    std::vector<Waiting> first;
    auto wait = [&](int32_t at, auto &&put) {
      if (at < 0 || symbols[size_t(at)].next < 0)
        return;
      if (auto *m = merges.find(symbols[size_t(at)].id, symbols[size_t(symbols[size_t(at)].next)].id))
        put(Waiting{m->rank, uint32_t(at), m->id});
    };
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      wait(int32_t(i), [&](Waiting w) { first.push_back(w); });
    std::priority_queue<Waiting> queue(std::less<Waiting>(), std::move(first));
    while (!queue.empty()) {
      Waiting top = queue.top();
      queue.pop();
      Symbol &left = symbols[top.at];
      if (left.length == 0 || left.next < 0)
        continue;
      Symbol &right = symbols[size_t(left.next)];
      auto *m = merges.find(left.id, right.id);
      if (!m || m->id != top.id) // one of the two has been joined to another since
        continue;
      left.id = top.id;
      left.length += right.length;
      right.length = 0;
      left.next = right.next;
      if (left.next >= 0)
        symbols[size_t(left.next)].previous = int32_t(top.at);
      auto push = [&](Waiting w) { queue.push(w); };
      wait(left.previous, push);
      wait(int32_t(top.at), push);
    }
  }

  static uint64_t newSerial() {
    static std::atomic<uint64_t> count{0};
    return ++count;
  }
  uint64_t serial = newSerial();
};

} // namespace

std::string byteToken(uint8_t byte) {
  static const char digits[] = "0123456789ABCDEF";
  return std::string("<0x") + digits[byte >> 4] + digits[byte & 15] + ">";
}

std::unique_ptr<Model> readBpe(const Settings &s) {
  auto model = std::make_unique<Bpe>();
  model->vocabulary = Vocabulary::read(s["vocab"]);
  if (s.has("dropout") && s["dropout"].number() > 0)
    s["dropout"].fail("expected null: with dropout a text has other ids each time");
  auto word = [&](const char *name) { return s.has(name) ? s[name].text() : std::string(); };
  model->prefix = word("continuing_subword_prefix");
  model->suffix = word("end_of_word_suffix");
  model->unknownToken = word("unk_token");
  model->unknown = model->vocabulary.id(model->unknownToken).value_or(-1);
  model->fuseUnknown = s.flag("fuse_unk", false);
  model->byteFallback = s.flag("byte_fallback", false);
  model->wholeFirst = s.flag("ignore_merges", false);
  for (int b = 0; b < 256; ++b)
    model->bytes[b] = model->vocabulary.id(byteToken(uint8_t(b))).value_or(-1);
  Settings merges = s["merges"];
  size_t n = merges.count();
  model->merges = Merges(n);
  // Not in files of others: merges of one rank, of which the first in the text is done (a vocabulary that has scores, Ggml.h).
  Settings ranks = s["ranks"];
  if (!ranks.isNull() && ranks.count() != n)
    ranks.fail("expected a rank for each of " + std::to_string(n) + " merges, and it is " + ranks.seen());
  std::string both;
  for (size_t i = 0; i < n; ++i) {
    Settings m = merges.at(i);
    std::string_view left, right;
    if (m.isArray()) {
      if (m.count() != 2)
        m.fail("expected two tokens, and it is " + m.seen());
      left = m.at(0).text();
      right = m.at(1).text();
    } else {
      std::string_view line = m.text();
      if (line.starts_with("#version"))
        continue;
      size_t space = line.find(' ');
      if (space == line.npos || line.find(' ', space + 1) != line.npos)
        m.fail("expected two tokens with a space between them, and it is " + m.seen());
      left = line.substr(0, space);
      right = line.substr(space + 1);
    }
    auto idOf = [&](std::string_view token) {
      auto id = model->vocabulary.id(token);
      if (!id)
        m.fail("the token `" + std::string(token.substr(0, 60)) + "` is not in the vocabulary");
      return *id;
    };
    int32_t a = idOf(left), b = idOf(right);
    if (right.size() < model->prefix.size())
      m.fail("the token `" + std::string(right) + "` is shorter than `continuing_subword_prefix`");
    both.assign(left);
    both += right.substr(model->prefix.size());
    model->merges.add(a, b, ranks.isNull() ? uint32_t(i) : uint32_t(ranks.at(i).whole(UINT32_MAX)), idOf(both));
  }
  return model;
}

} // namespace bigm::text
