#include "Vocabulary.h"
#include "Unicode.h"
#include <functional>

namespace bigm::text {

static uint32_t hashOf(std::string_view s) { return uint32_t(std::hash<std::string_view>{}(s)); }

void Vocabulary::reserve(size_t tokens) {
  byId.reserve(tokens);
  size_t n = 16;
  while (n < tokens * 2)
    n *= 2;
  grow(n);
}

void Vocabulary::grow(size_t n) {
  std::vector<Slot> old = std::move(slots);
  slots.assign(n, {});
  for (const Slot &s : old)
    if (s.length != kNone) {
      size_t i = s.hash & (n - 1);
      while (slots[i].length != kNone)
        i = (i + 1) & (n - 1);
      slots[i] = s;
    }
}

bool Vocabulary::add(std::string_view token, int32_t id, size_t tokensInAll) {
  if (id < 0 || size_t(id) >= tokensInAll * 8 + 65536)
    return false;
  if ((filled + 1) * 2 > slots.size())
    grow(std::max<size_t>(16, slots.size() * 2));
  uint32_t hash = hashOf(token);
  size_t i = hash & (slots.size() - 1);
  while (slots[i].length != kNone && !(slots[i].hash == hash && at(slots[i].begin, slots[i].length) == token))
    i = (i + 1) & (slots.size() - 1);
  if (slots[i].length == kNone) {
    slots[i] = {uint32_t(bytes.size()), uint32_t(token.size()), id, hash};
    bytes += token;
    ++filled;
  }
  slots[i].id = id;
  if (size_t(id) >= byId.size())
    byId.resize(size_t(id) + 1);
  if (byId[size_t(id)].length == kNone)
    byId[size_t(id)] = {slots[i].begin, slots[i].length};
  return true;
}

std::optional<int32_t> Vocabulary::id(std::string_view token) const {
  if (slots.empty())
    return std::nullopt;
  uint32_t hash = hashOf(token);
  for (size_t i = hash & (slots.size() - 1); slots[i].length != kNone; i = (i + 1) & (slots.size() - 1))
    if (slots[i].hash == hash && at(slots[i].begin, slots[i].length) == token)
      return slots[i].id;
  return std::nullopt;
}

std::string_view Vocabulary::token(int32_t id) const {
  return has(id) ? at(byId[size_t(id)].begin, byId[size_t(id)].length) : std::string_view();
}

Vocabulary Vocabulary::read(const Settings &settings) {
  if (!settings.isObject())
    settings.fail("expected an object of tokens and their ids, and it is " + settings.seen());
  Vocabulary v;
  size_t n = settings.value->size();
  v.reserve(n);
  for (auto &[token, id] : settings.value->items()) {
    Settings s(id, settings.path + "[\"" + (token.size() > 40 ? repaired(token.substr(0, 40)) + "..." : token) + "\"]");
    if (!v.add(token, int32_t(s.whole(INT32_MAX)), n))
      s.fail("the id " + s.seen() + " is far beyond the " + std::to_string(n) + " tokens of the file");
  }
  return v;
}

int32_t Trie::find(std::string_view key) const {
  uint32_t node = 0;
  for (char c : key)
    if ((node = child(node, uint8_t(c))) == 0)
      return -1;
  return value(node);
}

void Trie::add(std::string_view key, int32_t value) {
  uint32_t node = 0;
  for (char c : key) {
    uint32_t to = child(node, uint8_t(c));
    if (to == 0) {
      if (nodes.size() * 4 > table.size() * 3) {
        std::vector<Edge> old = std::move(table);
        table.assign(old.size() * 2, {});
        for (const Edge &e : old)
          if (e.to != 0) {
            size_t i = slot(e.key);
            while (table[i].to != 0)
              i = (i + 1) & (table.size() - 1);
            table[i] = e;
          }
      }
      to = uint32_t(nodes.size());
      nodes.emplace_back();
      uint64_t k = uint64_t(node) << 8 | uint8_t(c);
      size_t i = slot(k);
      while (table[i].to != 0)
        i = (i + 1) & (table.size() - 1);
      table[i] = {k, to};
    }
    node = to;
  }
  nodes[node].value = value;
}

} // namespace bigm::text
