// How deep the lists and objects of a JSON text stand in each other. Trees of JSON are copied, printed and walked by functions that
// call themselves, so a text from elsewhere is asked before it becomes one.
#pragma once
#include <string_view>

namespace bigm::rt {

inline constexpr int kMostNested = 256;

inline bool nestsTooDeep(std::string_view json) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (quoted) {
      i += c == '\\';
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostNested)
        return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

} // namespace bigm::rt
