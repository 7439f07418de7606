// conll("train.conll", tag: 3): a sentence a record, its tokens one a line, an empty line behind each sentence. The one field
// is a list of a sentence's tokens; its parts read the columns 0, 1, ... in order, or those that options say, -1 being the
// last. Columns stand apart by tabs if the first token's line has one, else by spaces.
//
// Left out are lines that mark where a document begins (-DOCSTART-), and comments: lines before the first token of a sentence
// that begin with # and have not as many columns as tokens have, as # may begin a token as well.
#include "Lists.h"
#include <algorithm>
#include <cstdlib>

namespace bigm::data {
namespace {

/// Parts of the one field, each with its column; negative ones count from the end.
std::vector<int64_t> columnsOf(const SourceContext &context, const Field &field, size_t columns, const std::string &path) {
  std::vector<int64_t> out;
  bool said = false;
  for (size_t p = 0; p < field.parts.size(); ++p) {
    const std::string &name = field.parts[p].name;
    int64_t column = int64_t(p);
    if (auto n = context.spec.number(name)) {
      if (*n != double(int64_t(*n)) || std::abs(*n) > 1e6)
        fail("`{}` of `conll` is {}; expected the number of a column, 0 the first and -1 the last", name, *n);
      column = int64_t(*n);
      said = true;
    }
    if (column < -int64_t(columns) || column >= int64_t(columns))
      fail("{}: has {} column{}, and `{}.{}` reads number {}", path, columns, columns == 1 ? "" : "s", field.name, name, column);
    out.push_back(column < 0 ? column + int64_t(columns) : column);
  }
  if (!said && field.parts.size() != columns)
    fail("{}: has {} columns, and `{}` has {} part{}; say which column one reads: `conll(\"...\", {}: {})`", path, columns, field.name,
         field.parts.size(), field.parts.size() == 1 ? "" : "s", field.parts.back().name, columns - 1);
  return out;
}

std::vector<std::string_view> cut(std::string_view line, bool tabs) {
  std::vector<std::string_view> cells;
  if (tabs) {
    for (;;) {
      size_t end = line.find('\t');
      cells.push_back(line.substr(0, end));
      if (end == line.npos)
        return cells;
      line.remove_prefix(end + 1);
    }
  }
  for (;;) {
    size_t begin = line.find_first_not_of(' ');
    if (begin == line.npos)
      return cells;
    size_t end = std::min(line.find(' ', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
}

} // namespace

void openConll(const SourceContext &context, Table &table) {
  if (context.spec.strings.size() != 1)
    fail("`conll` takes one file, and {} are named", context.spec.strings.size());
  if (table.fields.size() != 1 || !table.fields[0].isList())
    fail("`conll` gives the tokens of a sentence; expected one field such as `sentence: list<{{ word: text, tag: label[9] }}>`");
  const Field field = table.fields[0]; // as declared, while that of the table gets names of classes
  for (const Field &part : field.parts)
    if (!part.isText() && !part.shape.empty())
      fail("`conll` has texts, classes and numbers in its columns, and `{}.{}` is {}", field.name, part.name, part.typeText());
  std::string path = under(context.dataDir, context.spec.strings[0]), content = readText(path);
  std::vector<std::string_view> lines = linesOf(content);
  auto parts = [](std::string_view line) { // lines between sentences
    return line.find_first_not_of(" \t") == line.npos || line.starts_with("-DOCSTART-");
  };
  auto first = std::find_if(lines.begin(), lines.end(), [&](auto line) { return !parts(line) && !line.starts_with('#'); });
  if (first == lines.end())
    fail("{}: holds no sentence", path);
  const bool tabs = first->find('\t') != first->npos;
  const size_t width = cut(*first, tabs).size();
  const std::vector<int64_t> columns = columnsOf(context, field, width, path);
  Lists tokens(field);
  int64_t length = 0;
  auto endSentence = [&] {
    if (length > 0) {
      tokens.endRecord(length);
      ++table.count;
    }
    length = 0;
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view text = lines[i];
    size_t line = i + 1;
    if (parts(text)) {
      endSentence();
      continue;
    }
    std::vector<std::string_view> cells = cut(text, tabs);
    if (cells.size() != width) {
      if (length == 0 && text.starts_with('#'))
        continue;
      fail("{}:{}: the line has {} column{}, and line {} has {}", path, line, cells.size(), cells.size() == 1 ? "" : "s", first - lines.begin() + 1, width);
    }
    for (size_t p = 0; p < columns.size(); ++p) {
      std::string_view cell = cells[size_t(columns[p])];
      if (cell.empty())
        fail("{}:{}: column {} is empty", path, line, columns[p]);
      tokens.put(p, std::string(cell), fmt::format("{}:{}: column {}", path, line, columns[p]));
    }
    ++length;
  }
  endSentence();
  table.columns[0] = tokens.finish(table.fields[0]);
}

} // namespace bigm::data
