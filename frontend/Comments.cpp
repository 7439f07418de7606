// A `#` opens a comment unless it stands in a string; strings end with their line at the latest.
#include "Comments.h"
#include <algorithm>

namespace bigm {

Comments::Comments(std::string_view source) : source(source) {
  bool lineEmpty = true;
  for (size_t i = 0; i < source.size(); ++i) {
    char c = source[i];
    if (c == '\n') {
      lineEmpty = true;
    } else if (c == '"') {
      lineEmpty = false;
      for (++i; i < source.size() && source[i] != '"' && source[i] != '\n'; ++i)
        if (source[i] == '\\' && i + 1 < source.size() && source[i + 1] != '\n')
          ++i;
      if (i < source.size() && source[i] == '\n')
        --i;
    } else if (c == '#') {
      size_t end = std::min(source.find_first_of("\r\n", i), source.size());
      size_t last = end;
      while (last > i && (source[last - 1] == ' ' || source[last - 1] == '\t'))
        --last;
      auto begin = static_cast<uint32_t>(i);
      list.push_back({begin, static_cast<uint32_t>(end), std::string(source.substr(i, last - i)), lineEmpty,
                      lineEmpty && blankLineBefore(begin)});
      i = end - 1;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      lineEmpty = false;
    }
  }
}

std::vector<Comment> Comments::takeBefore(uint32_t offset) {
  std::vector<Comment> out;
  while (anyBefore(offset))
    out.push_back(list[next++]);
  return out;
}

std::string Comments::takeBehind(uint32_t offset) {
  if (next >= list.size() || list[next].begin < offset)
    return {};
  for (uint32_t i = offset; i < list[next].begin; ++i)
    if (source[i] != ' ' && source[i] != '\t' && source[i] != ',')
      return {};
  return list[next++].text;
}

bool Comments::lineBetween(uint32_t from, uint32_t to) const {
  auto it = std::lower_bound(list.begin(), list.end(), from, [](const Comment &c, uint32_t o) { return c.begin < o; });
  for (; it != list.end() && it->begin < to; ++it)
    if (it->ownLine)
      return true;
  return false;
}

bool Comments::firstOnLine(uint32_t offset) const {
  while (offset > 0 && (source[offset - 1] == ' ' || source[offset - 1] == '\t'))
    --offset;
  return offset == 0 || source[offset - 1] == '\n';
}

bool Comments::blankLineBefore(uint32_t offset) const {
  size_t i = offset;
  while (i > 0 && source[i - 1] != '\n')
    --i;
  if (i == 0)
    return false;
  for (--i; i > 0; --i) {
    char c = source[i - 1];
    if (c == '\n')
      return true;
    if (c != ' ' && c != '\t' && c != '\r')
      return false;
  }
  return true;
}

} // namespace bigm
