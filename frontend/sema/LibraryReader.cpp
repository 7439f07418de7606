// See LibraryReader.h. The library is formatted, so a declaration begins with its keyword at the start of a line.
#include "LibraryReader.h"

namespace bigm::sema {

static bool isWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static std::string_view word(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && isWordChar(text[end]))
    ++end;
  return text.substr(at, end - at);
}

LibraryReader::LibraryReader(const std::map<std::string, std::string> &texts) {
  for (auto &[module, source] : texts) {
    std::string_view text = source;
    std::vector<Piece> &pieces = modules[module];
    size_t begin = 0;
    for (size_t line = 0; line < text.size();) {
      size_t end = std::min(text.find('\n', line), text.size() - 1) + 1;
      std::string_view keyword = word(text, line);
      bool declares = keyword == "fn" || keyword == "model" || keyword == "fit" || keyword == "const";
      if (declares || keyword == "use") {
        if (line > begin)
          pieces.push_back({"", text.substr(begin, line - begin), true});
        // To the next line that begins a declaration.
        std::string name(declares ? word(text, line + keyword.size() + 1) : std::string_view());
        size_t next = end;
        while (next < text.size()) {
          std::string_view w = word(text, next);
          if (w == "fn" || w == "model" || w == "fit" || w == "const" || w == "use")
            break;
          next = std::min(text.find('\n', next), text.size() - 1) + 1;
        }
        pieces.push_back({name, text.substr(line, next - line), !declares});
        begin = end = next;
      }
      line = end;
    }
    if (begin < text.size())
      pieces.push_back({"", text.substr(begin), true});
  }
  for (auto &[module, pieces] : modules)
    for (Piece &p : pieces)
      if (!p.name.empty())
        byName[p.name].push_back(&p);
}

std::vector<std::string> LibraryReader::uses(const std::string &text) {
  std::vector<std::string> out;
  for (size_t at = 0; (at = text.find("use std.", at)) != std::string::npos; ++at) {
    if (at > 0 && text[at - 1] != '\n')
      continue;
    size_t end = std::min(text.find('\n', at), text.size());
    for (size_t i = at; (i = text.find("std.", i)) < end; i += 4)
      out.push_back("std." + std::string(word(text, i + 4)));
  }
  return out;
}

void LibraryReader::need(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '#') { // a comment wants nothing
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (text[i] == '"') { // nor does a string, which ends on its line
      i = std::min(text.find_first_of("\"\n", i + 1), text.size() - 1) + 1;
      continue;
    }
    if (!isWordChar(text[i])) {
      ++i;
      continue;
    }
    std::string_view w = word(text, i);
    i += w.size();
    auto found = byName.find(w);
    if (found == byName.end() || seen.count(w))
      continue;
    seen.insert(std::string(w));
    for (Piece *p : found->second)
      if (!p->wanted) {
        p->wanted = true;
        need(p->text);
      }
  }
}

std::string LibraryReader::wanted(const std::string &module) const {
  std::string out;
  for (const Piece &p : modules.at(module)) {
    if (p.wanted) {
      out += p.text;
      continue;
    }
    for (char c : p.text)
      if (c == '\n')
        out += c;
  }
  return out;
}

std::vector<std::string> LibraryReader::names(const std::string &module) const {
  std::vector<std::string> out;
  for (const Piece &p : modules.at(module))
    if (!p.name.empty())
      out.push_back(p.name);
  return out;
}

} // namespace bigm::sema
