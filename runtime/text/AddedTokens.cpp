#include "AddedTokens.h"
#include <algorithm>

namespace bigm::text {

AddedTokens AddedTokens::read(const Settings &settings, const Model &model, const Normalizer &normalizer) {
  AddedTokens out;
  if (settings.isNull())
    return out;
  size_t n = settings.count(), inAll = n + model.size();
  // As there: the ids in the file are not read, they follow from the order.
  auto next = int32_t(model.size());
  for (size_t i = 0; i < n; ++i) {
    Settings s = settings.at(i);
    const std::string &content = s["content"].text();
    if (content.empty())
      continue;
    auto known = out.names.id(content);
    if (!known)
      known = model.vocabulary.id(content);
    int32_t id = known ? *known : next++;
    if (!out.names.add(content, id, inAll))
      s.fail("the id " + std::to_string(id) + " is far beyond the number of tokens");
    if (size_t(id) >= out.byId.size())
      out.byId.resize(size_t(id) + 1);
    Added &a = out.byId[size_t(id)];
    a.known = true;
    a.special = s.flag("special", false);
    a.single = s.flag("single_word", false);
    a.left = s.flag("lstrip", false);
    a.right = s.flag("rstrip", false);
    a.shown = content;
    bool normalizes = s.flag("normalized", true);
    if (normalizes && !normalizer.empty()) {
      Text text;
      text.bytes = content;
      normalizer.apply(text);
      a.shown = text.bytes;
    }
    if (a.shown.empty())
      continue;
    Matcher &m = normalizes ? out.normalized : out.raw;
    // Of tokens that look the same once they are normalised the first special one is found, else the first. (There it is one
    // of them, another in each process.)
    int32_t same = m.trie.find(a.shown);
    if (same < 0 || (a.special && !out.byId[size_t(same)].special))
      m.trie.add(a.shown, id);
    m.begins[uint8_t(a.shown[0])] = true;
  }
  // As there: what is left out of a decoded text is told by how it would be shown.
  for (Added &a : out.byId) {
    auto id = a.known ? out.names.id(a.shown) : std::nullopt;
    a.hidden = id && out.byId[size_t(*id)].special;
  }
  return out;
}

std::optional<std::string_view> AddedTokens::token(int32_t id) const {
  if (id < 0 || size_t(id) >= byId.size() || !byId[size_t(id)].known)
    return std::nullopt;
  return byId[size_t(id)].shown;
}

bool AddedTokens::hidden(int32_t id) const {
  return id >= 0 && size_t(id) < byId.size() && byId[size_t(id)].known && byId[size_t(id)].hidden;
}

void AddedTokens::match(const Matcher &matcher, const Text &text, size_t begin, size_t end, std::vector<Piece> &out) const {
  std::string_view view = text.bytes;
  size_t given = begin; // up to here pieces are made
  auto put = [&](size_t from, size_t to, int32_t id) {
    if (from < to)
      out.push_back({uint32_t(from), uint32_t(to), id});
  };
  auto isAt = [&](size_t at, uint16_t classes) { return is(next(view, at), classes); };
  auto before = [&](size_t at) { // the start of the character that ends at `at`
    do
      --at;
    while ((uint8_t(view[at]) & 0xC0) == 0x80);
    return at;
  };
  for (size_t at = begin; !matcher.trie.empty() && at < end;) {
    if (!matcher.begins[uint8_t(view[at])]) {
      ++at;
      continue;
    }
    uint32_t node = 0;
    int32_t id = -1;
    size_t stop = at;
    for (size_t i = at; i < end; ++i) {
      node = matcher.trie.child(node, uint8_t(view[i]));
      if (node == 0)
        break;
      if (matcher.trie.value(node) >= 0)
        id = matcher.trie.value(node), stop = i + 1;
    }
    if (id < 0) {
      ++at;
      continue;
    }
    size_t from = at, to = stop;
    at = stop; // matches do not overlap, whatever becomes of them
    const Added &a = byId[size_t(id)];
    if (a.single && ((from > begin && isAt(before(from), kIsWord)) || (to < end && isAt(to, kIsWord))))
      continue;
    if (a.left) {
      while (from > begin && isAt(before(from), kIsSpace))
        from = before(from);
      from = std::max(from, given);
    }
    if (a.right)
      while (to < end && isAt(to, kIsSpace))
        to += lengthAt(view[to]);
    if (given < from)
      put(given, from, -1);
    put(from, to, id);
    given = to;
  }
  if (given != end)
    put(given, end, -1);
}

Pieces AddedTokens::split(Text text, const Normalizer &normalizer) const {
  std::vector<Piece> first;
  match(raw, text, 0, text.bytes.size(), first);
  Pieces out;
  if (first.size() == 1 && first[0].id < 0) { // no added token: the text is normalised in place
    normalizer.apply(text);
    out.text = std::move(text);
    match(normalized, out.text, 0, out.text.bytes.size(), out.list);
    return out;
  }
  out.text.tracked = text.tracked;
  for (const Piece &p : first) {
    auto begin = uint32_t(out.text.bytes.size());
    if (p.id >= 0) {
      out.text.copy(text, p.begin, p.end);
      out.list.push_back({begin, uint32_t(out.text.bytes.size()), p.id});
      continue;
    }
    Text part;
    part.tracked = text.tracked;
    part.start = text.origin(p.begin).begin;
    part.copy(text, p.begin, p.end);
    normalizer.apply(part);
    out.text.copy(part, 0, part.bytes.size());
    match(normalized, out.text, begin, out.text.bytes.size(), out.list);
  }
  return out;
}

} // namespace bigm::text
