// csv("labels.csv"): a header names the columns; a field reads the column of its name, or the one that an option says:
// csv("labels.csv", picture: "file"). Numbers, class names, class numbers, and, for fields that are pictures, paths
// relative to the CSV. RFC 4180: cells may be quoted, "" is a quote inside quotes. Options: `separator: ";"`; `columns:
// "word, phones"` names the columns of a file without a header, of which the last takes the rest of the row; `comment: "#"`
// leaves out the rest of a row from there on, where it begins a cell.
// tsv(...) is the same with tabs, where a quote is a character like others.
#include "Cells.h"
#include <algorithm>
#include <filesystem>
#include <fmt/ranges.h>
#include <utility>

namespace bigm::data {
namespace {

std::string withoutSpaces(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return std::string(text);
}

/// Cells are views into the text, or into `unquoted` where quotes had to be undone.
class Rows {
public:
  Rows(std::string path, std::string content, char separator, bool quotes, std::string comment)
      : path(std::move(path)), text(std::move(content)), separator(separator), quotes(quotes), comment(std::move(comment)) {}
  /// The next row that is not empty; false at the end. `line` is then where it starts, from 1.
  /// With `most` cells the last is the rest of the row.
  bool next(std::vector<std::string> &cells, size_t most = 0) {
    do
      skip([](char c) { return c == '\n' || c == '\r'; });
    while (skipComment());
    if (at >= text.size())
      return false;
    line = newline;
    cells.clear();
    for (;;) {
      if (cells.empty() || !skipComment()) {
        cells.push_back(most && cells.size() + 1 == most ? rest() : cell());
        skipComment();
      }
      if (cells.size() > 100'000)
        fail("{}:{}: more than 100000 cells in a row", path, line);
      if (at >= text.size())
        return true;
      char c = text[at++];
      if (c == separator)
        continue;
      if (c == '\r' && at < text.size() && text[at] == '\n')
        ++at;
      ++newline;
      return true;
    }
  }
  std::string path;
  int64_t line = 0;

private:
  template <class Is> void skip(Is is) {
    for (; at < text.size() && is(text[at]); ++at)
      newline += text[at] == '\n';
  }
  bool atComment(size_t place) const { return !comment.empty() && text.compare(place, comment.size(), comment) == 0; }
  /// Whether what began at `first` ends at `place`, by the end of its line or by a comment.
  bool ends(size_t first, size_t place) const {
    return text[place] == '\n' || text[place] == '\r' || (atComment(place) && (place == first || text[place - 1] == ' '));
  }
  /// Where a comment begins here: to the end of the line.
  bool skipComment() {
    if (!atComment(at))
      return false;
    skip([](char c) { return c != '\n'; });
    return true;
  }
  /// What is left of the row, without spaces around it.
  std::string rest() {
    size_t first = at;
    while (at < text.size() && !ends(first, at))
      ++at;
    return trimmed(first, at);
  }
  std::string trimmed(size_t first, size_t last) const { return withoutSpaces(std::string_view(text).substr(first, last - first)); }
  std::string cell() {
    std::string out;
    if (quotes && at < text.size() && text[at] == '"') {
      int64_t opened = newline;
      for (++at;; ++at) {
        if (at >= text.size())
          fail("{}:{}: a quote is opened here and never closed", path, opened);
        if (text[at] == '"') {
          if (at + 1 >= text.size() || text[at + 1] != '"')
            break;
          ++at;
        }
        newline += text[at] == '\n';
        out += text[at];
      }
      ++at;
      if (at < text.size() && text[at] != separator && text[at] != '\n' && text[at] != '\r')
        fail("{}:{}: text follows the closing quote of a cell", path, newline);
      return out;
    }
    size_t end = at;
    while (end < text.size() && text[end] != separator && !ends(at, end))
      ++end;
    return trimmed(std::exchange(at, end), end);
  }
  std::string text;
  char separator;
  bool quotes;
  std::string comment;
  size_t at = 0;
  int64_t newline = 1;
};

/// The columns of a header, for a message.
std::string namesOf(const std::vector<std::string> &header) {
  constexpr size_t most = 30;
  auto shown = std::vector<std::string>(header.begin(), header.begin() + ptrdiff_t(std::min(header.size(), most)));
  std::string rest = header.size() > most ? fmt::format(" and {} more", header.size() - most) : "";
  return fmt::format("`{}`{}", fmt::join(shown, "`, `"), rest);
}

/// Which columns a field reads: one, or for f32[D] the columns name_0 .. name_{D-1} (or name_1 .. name_D).
std::vector<size_t> columnsOf(const SourceContext &context, const Field &field, const std::vector<std::string> &header,
                              const std::string &path) {
  std::string wanted = context.spec.text(field.name).value_or(field.name);
  auto find = [&](const std::string &name) { return size_t(std::find(header.begin(), header.end(), name) - header.begin()); };
  size_t at = find(wanted);
  if (at == header.size() && field.isFromPictures())
    at = find("file"); // a column of file names is commonly called that
  if (field.kind == "text" || field.isFromPictures() || field.shape.empty() || field.isLabel()) {
    if (at == header.size())
      fail("{}: has no column `{}` for the field `{}`; its columns are {}", path, wanted, field.name,
           namesOf(header));
    if (std::count(header.begin(), header.end(), header[at]) > 1)
      fail("{}: more than one column is called `{}`, and the field `{}` reads one", path, header[at], field.name);
    return {at};
  }
  if (field.shape.size() != 1)
    fail("{}: the field `{}` is {}; a CSV holds numbers, lists of numbers, classes and paths of pictures", path,
         field.name, field.typeText());
  std::vector<size_t> columns;
  int64_t first = find(wanted + "_0") < header.size() ? 0 : 1;
  for (int64_t i = first; i < first + field.shape[0]; ++i) {
    columns.push_back(find(fmt::format("{}_{}", wanted, i)));
    if (columns.back() == header.size())
      fail("{}: has no column `{}_{}` for the field `{}` of type {}; its columns are {}", path, wanted, i, field.name,
           field.typeText(), namesOf(header));
  }
  return columns;
}

char separatorOf(const SourceContext &context, char otherwise) {
  auto text = context.spec.text("separator");
  if (!text)
    return otherwise;
  if (text->size() != 1)
    fail("`{}` takes one character as `separator`, and here is `{}`", context.spec.name, *text);
  return (*text)[0];
}

/// `columns: "word, phones"`; empty where the file's own header names them.
std::vector<std::string> columnNames(const SourceContext &context) {
  std::vector<std::string> names;
  auto text = context.spec.text("columns");
  for (size_t begin = 0; text && begin <= text->size();) {
    size_t end = std::min(text->find(',', begin), text->size());
    std::string name = withoutSpaces(std::string_view(*text).substr(begin, end - begin));
    begin = end + 1;
    if (name.empty())
      fail("`columns: \"{}\"` of `{}` has an empty name", *text, context.spec.name);
    names.push_back(name);
  }
  return names;
}

} // namespace

static void openTable(const SourceContext &context, Table &table, char separator, bool quotes) {
  if (context.spec.strings.size() != 1)
    fail("`{}` takes one file, and {} are named", context.spec.name, context.spec.strings.size());
  std::string path = under(context.dataDir, context.spec.strings[0]);
  Rows rows(path, readText(path), separatorOf(context, separator), quotes, context.spec.text("comment").value_or(""));
  std::vector<std::string> header = columnNames(context), cells;
  size_t named = header.size(); // by the program: there is no header
  if (!named && !rows.next(header))
    fail("{}: is empty; expected a header that names the columns", path);
  std::string folder = std::filesystem::path(path).parent_path().string();
  std::vector<std::vector<size_t>> columns;
  std::vector<Cells> readings;
  const std::vector<Field> fields = table.fields; // as declared, while those of the table get names of classes
  for (auto &field : fields) {
    columns.push_back(columnsOf(context, field, header, path));
    readings.emplace_back(field, folder);
  }
  while (rows.next(cells, named)) {
    if (cells.size() != header.size())
      fail("{}:{}: the row has {} cell{}, and {} names {}", path, rows.line, cells.size(), cells.size() == 1 ? "" : "s",
           named ? "`columns`" : "the header", header.size());
    for (size_t i = 0; i < fields.size(); ++i)
      for (size_t column : columns[i])
        readings[i].put(cells[column], fmt::format("{}:{}: column `{}`", path, rows.line, header[column]));
    ++table.count;
  }
  if (table.count == 0)
    fail("{}: has {}no row", path, named ? "" : "a header and ");
  for (size_t i = 0; i < fields.size(); ++i)
    table.columns[i] = readings[i].finish(table.fields[i], context.threads);
}

void openCsv(const SourceContext &context, Table &table) {
  openTable(context, table, ',', true);
}

void openTsv(const SourceContext &context, Table &table) { openTable(context, table, '\t', false); }

} // namespace bigm::data
