// csv("labels.csv"): a header names the columns; a field reads the column of its name, or the one that an option says:
// csv("labels.csv", picture: "file"). Numbers, class names, class numbers, and, for fields that are pictures, paths
// relative to the CSV. RFC 4180: cells may be quoted, "" is a quote inside quotes. Option `separator: ";"`.
#include "Sources.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/ranges.h>

namespace bigm::data {
namespace {

/// Cells are views into the text, or into `unquoted` where quotes had to be undone.
class Rows {
public:
  Rows(std::string path, std::string content, char separator)
      : path(std::move(path)), text(std::move(content)), separator(separator) {
    if (text.starts_with("\xef\xbb\xbf"))
      at = 3;
  }
  /// The next row that is not empty; false at the end. `line` is then where it starts, from 1.
  bool next(std::vector<std::string> &cells) {
    while (at < text.size() && (text[at] == '\n' || text[at] == '\r'))
      newline += text[at++] == '\n';
    if (at >= text.size())
      return false;
    line = newline;
    cells.clear();
    for (;;) {
      cells.push_back(cell());
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
  std::string cell() {
    std::string out;
    if (at < text.size() && text[at] == '"') {
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
    while (end < text.size() && text[end] != separator && text[end] != '\n' && text[end] != '\r')
      ++end;
    size_t first = at, last = end;
    at = end;
    while (first < last && text[first] == ' ')
      ++first;
    while (last > first && text[last - 1] == ' ')
      --last;
    return text.substr(first, last - first);
  }
  std::string text;
  char separator;
  size_t at = 0;
  int64_t newline = 1;
};

/// A cell as a number, or an error that shows it.
double number(const std::string &cell, const Field &field, const std::string &column, const Rows &rows) {
  double v = 0;
  auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(v))
    fail("{}:{}: column `{}` holds `{}`; expected a number for the field `{}` of type {}", rows.path, rows.line, column,
         cell, field.name, field.typeText());
  return v;
}

/// Appends a cell to the field's values.
void put(std::vector<uint8_t> &out, const std::string &cell, const Field &field, const std::string &column,
         const Rows &rows) {
  auto append = [&](auto v) {
    size_t old = out.size();
    out.resize(old + sizeof v);
    std::memcpy(out.data() + old, &v, sizeof v);
  };
  if (field.isLabel() && !field.labels.empty()) {
    auto found = std::find(field.labels.begin(), field.labels.end(), cell);
    if (found == field.labels.end())
      fail("{}:{}: column `{}` holds `{}`, which is no class of `{}`: expected one of {}", rows.path, rows.line, column,
           cell, field.name, fmt::join(field.labels, ", "));
    return append(int32_t(found - field.labels.begin()));
  }
  double v = number(cell, field, column, rows);
  struct Range {
    double low, high;
  } range{-INFINITY, INFINITY};
  switch (field.elem) {
  case Elem::U8: range = {0, 255}; break;
  case Elem::I8: range = {-128, 127}; break;
  case Elem::Bool: range = {0, 1}; break;
  case Elem::I32: range = {-0x1p31, 0x1p31 - 1}; break;
  case Elem::I64: range = {-0x1p53, 0x1p53}; break;
  default: break;
  }
  if (field.isLabel())
    range = {0, double(field.classes - 1)};
  bool whole = field.elem == Elem::F32 || field.elem == Elem::F64 || v == std::floor(v);
  if (!whole || v < range.low || v > range.high)
    fail("{}:{}: column `{}` holds `{}`; expected a whole number from {:.0f} to {:.0f} for the field `{}` of type {}",
         rows.path, rows.line, column, cell, range.low, range.high, field.name, field.typeText());
  switch (field.elem) {
  case Elem::F32: return append(float(v));
  case Elem::F64: return append(v);
  case Elem::I64: return append(int64_t(v));
  case Elem::I32: return append(int32_t(v));
  case Elem::I8: return append(int8_t(v));
  case Elem::U8:
  case Elem::Bool: return append(uint8_t(v));
  default:
    fail("{}: the field `{}` is {}; numbers of a CSV are read as f32, f64 or integers", rows.path, field.name,
         field.typeText());
  }
}

/// Which columns a field reads: one, or for f32[D] the columns name_0 .. name_{D-1} (or name_1 .. name_D).
std::vector<size_t> columnsOf(const SourceContext &context, const Field &field, const std::vector<std::string> &header,
                              const std::string &path) {
  std::string wanted = field.name;
  if (auto option = context.spec.options.find(field.name); option != context.spec.options.end())
    if (auto *text = std::get_if<std::string>(&option->second))
      wanted = *text;
  auto find = [&](const std::string &name) { return size_t(std::find(header.begin(), header.end(), name) - header.begin()); };
  size_t at = find(wanted);
  if (at == header.size() && field.isPicture())
    at = find("file"); // a column of file names is commonly called that
  if (field.isPicture() || field.shape.empty() || field.isLabel()) {
    if (at == header.size())
      fail("{}: has no column `{}` for the field `{}`; its columns are {}", path, wanted, field.name,
           fmt::join(header, ", "));
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
           field.typeText(), fmt::join(header, ", "));
  }
  return columns;
}

} // namespace

void openCsv(const SourceContext &context, Table &table) {
  if (context.spec.strings.size() != 1)
    fail("`csv` takes one file, and {} are named", context.spec.strings.size());
  std::string path = under(context.dataDir, context.spec.strings[0]);
  char separator = ',';
  if (auto option = context.spec.options.find("separator"); option != context.spec.options.end())
    if (auto *text = std::get_if<std::string>(&option->second); text && text->size() == 1)
      separator = (*text)[0];
  Rows rows(path, readText(path), separator);
  std::vector<std::string> header, cells;
  if (!rows.next(header))
    fail("{}: is empty; expected a header that names the columns", path);

  struct Reading {
    std::vector<size_t> columns;
    std::vector<uint8_t> bytes;
    std::vector<std::string> paths, places;
  };
  std::vector<Reading> readings;
  for (auto &field : table.fields)
    readings.push_back({columnsOf(context, field, header, path), {}, {}, {}});
  std::string folder = std::filesystem::path(path).parent_path().string();
  while (rows.next(cells)) {
    if (cells.size() != header.size())
      fail("{}:{}: the row has {} cell{}, and the header names {}", path, rows.line, cells.size(),
           cells.size() == 1 ? "" : "s", header.size());
    for (size_t i = 0; i < table.fields.size(); ++i) {
      const Field &field = table.fields[i];
      for (size_t column : readings[i].columns)
        if (field.isPicture()) {
          if (cells[column].empty())
            fail("{}:{}: column `{}` is empty; expected the path of a picture", path, rows.line, header[column]);
          readings[i].paths.push_back(under(folder, cells[column]));
          readings[i].places.push_back(fmt::format("{}:{}: ", path, rows.line));
        } else {
          put(readings[i].bytes, cells[column], field, header[column], rows);
        }
    }
    ++table.count;
  }
  if (table.count == 0)
    fail("{}: has a header and no row", path);
  for (size_t i = 0; i < table.fields.size(); ++i) {
    const Field &field = table.fields[i];
    if (field.isPicture())
      table.columns[i] =
          pictureColumn(field, std::move(readings[i].paths), std::move(readings[i].places), context.threads);
    else
      table.columns[i] = std::make_unique<Resident>(std::move(readings[i].bytes),
                                                    size_t(product(field.shape)) * sizeOf(field.elem));
  }
}

} // namespace bigm::data
