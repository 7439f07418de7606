// Lines are found once, when a file is added; a place is then a binary search and a count of code points in one line.
#include "Source.h"
#include <algorithm>

namespace bigm {

/// The length of the mark that some editors put at the start of a file; it belongs to no line.
static uint32_t byteOrderMark(std::string_view text) { return text.substr(0, 3) == "\xEF\xBB\xBF" ? 3 : 0; }

uint32_t SourceManager::add(std::string name, std::string text) {
  File file;
  file.lineStarts.push_back(0);
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n')
      file.lineStarts.push_back(static_cast<uint32_t>(i + 1));
  file.name = std::move(name);
  file.text = std::move(text);
  files.push_back(std::move(file));
  return static_cast<uint32_t>(files.size() - 1);
}

std::string_view SourceManager::text(SourceRange range) const {
  if (!range.valid())
    return {};
  std::string_view whole = files[range.file].text;
  size_t begin = std::min<size_t>(range.begin, whole.size());
  size_t end = std::min<size_t>(std::max(range.begin, range.end), whole.size());
  return whole.substr(begin, end - begin);
}

LineColumn SourceManager::place(uint32_t file, uint32_t offset) const {
  const File &f = files[file];
  offset = std::min<uint32_t>(offset, static_cast<uint32_t>(f.text.size()));
  auto next = std::upper_bound(f.lineStarts.begin(), f.lineStarts.end(), offset);
  unsigned line = static_cast<unsigned>(next - f.lineStarts.begin());
  unsigned column = 1;
  uint32_t begin = *(next - 1) + (line == 1 ? byteOrderMark(f.text) : 0);
  // A code point is counted at its first byte: every byte but those of the form 10xxxxxx.
  for (uint32_t i = begin; i < offset; ++i)
    column += (static_cast<unsigned char>(f.text[i]) & 0xC0) != 0x80;
  return {line, column};
}

std::string_view SourceManager::line(uint32_t file, unsigned line) const {
  const File &f = files[file];
  if (line == 0 || line > f.lineStarts.size())
    return {};
  uint32_t begin = f.lineStarts[line - 1];
  size_t end = line < f.lineStarts.size() ? f.lineStarts[line] - 1 : f.text.size();
  std::string_view text = std::string_view(f.text).substr(begin, end - begin);
  if (line == 1)
    text.remove_prefix(byteOrderMark(text));
  if (!text.empty() && text.back() == '\r')
    text.remove_suffix(1);
  return text;
}

} // namespace bigm
