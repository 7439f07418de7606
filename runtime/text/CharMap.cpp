#include "CharMap.h"
#include "Error.h"
#include <cstring>

namespace bigm::text {
namespace {

std::string fromBase64(std::string_view in) {
  std::string out;
  out.reserve(in.size() / 4 * 3);
  uint32_t bits = 0;
  int have = 0;
  while (!in.empty() && in.back() == '=')
    in.remove_suffix(1);
  for (char c : in) {
    int v = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
    if (v < 0)
      throw Error("is no base64");
    bits = bits << 6 | uint32_t(v);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out += char(bits >> have & 0xFF);
    }
  }
  return out;
}

} // namespace

CharMap CharMap::read(std::string_view base64) {
  std::string bytes = fromBase64(base64);
  uint32_t size = 0;
  if (bytes.size() >= 4)
    std::memcpy(&size, bytes.data(), 4);
  if (bytes.size() < 4 || size % 4 != 0 || size > bytes.size() - 4 || size == 0)
    throw Error("is no map of characters: its trie would have " + std::to_string(size) + " bytes, and there are " + std::to_string(bytes.size()));
  CharMap map;
  map.trie.resize(size / 4);
  std::memcpy(map.trie.data(), bytes.data() + 4, size);
  map.replacements = repaired(std::string_view(bytes).substr(4 + size));
  if (map.replacements.size() != bytes.size() - 4 - size)
    throw Error("is no map of characters: its replacements are no UTF-8");
  return map;
}

std::optional<std::string_view> CharMap::find(std::string_view chunk) const {
  auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & 1u << 9) >> 6); };
  size_t node = offset(trie[0]);
  for (char c : chunk) {
    if (c == 0)
      return std::nullopt;
    node ^= uint8_t(c);
    if (node >= trie.size())
      return std::nullopt;
    uint32_t unit = trie[node];
    if ((unit & (1u << 31 | 0xFF)) != uint8_t(c))
      return std::nullopt;
    node ^= offset(unit);
    if (unit >> 8 & 1) {
      if (node >= trie.size())
        return std::nullopt;
      size_t begin = trie[node] & ((1u << 31) - 1);
      if (begin > replacements.size() || (begin < replacements.size() && (uint8_t(replacements[begin]) & 0xC0) == 0x80))
        return std::nullopt;
      size_t end = replacements.find('\0', begin);
      return std::string_view(replacements).substr(begin, end == replacements.npos ? end : end - begin);
    }
  }
  return std::nullopt;
}

void CharMap::apply(Text &text) const {
  std::vector<Change> out;
  out.reserve(text.bytes.size());
  bool changed = false;
  auto put = [&](std::string_view part, std::string_view by) {
    changed = true;
    size_t before = countChars(part), begin = out.size();
    for (size_t at = 0; at < by.size();)
      out.push_back({next(by, at), 0});
    size_t after = out.size() - begin;
    if (after > before)
      for (size_t i = 0; i < after - before; ++i)
        out[out.size() - 1 - i].change = 1;
    else if (!out.empty())
      out.back().change -= int32_t(before - after);
  };
  std::string_view view = text.bytes;
  for (size_t at = 0; at < view.size();) {
    size_t n = graphemeAt(view, at);
    std::string_view grapheme = view.substr(at, n);
    at += n;
    if (n < 6)
      if (auto by = find(grapheme)) {
        put(grapheme, *by);
        continue;
      }
    for (size_t i = 0; i < n;) {
      size_t begin = i;
      char32_t c = next(grapheme, i);
      std::string_view part = grapheme.substr(begin, i - begin);
      if (auto by = find(part))
        put(part, *by);
      else
        out.push_back({c, 0});
    }
  }
  if (changed)
    text.transform(out);
}

} // namespace bigm::text
