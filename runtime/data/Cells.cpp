#include "Cells.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/ranges.h>
#include <set>

namespace bigm::data {
namespace {

/// How tables write that there is nothing. A text may be such a word, and so may a class that is called so.
bool saysNothing(const Field &field, const std::string &cell) {
  static const std::set<std::string> words = {"", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "null", "NULL", "None"};
  return cell.empty() ||
         (!field.isText() && words.count(cell) && std::find(field.labels.begin(), field.labels.end(), cell) == field.labels.end());
}

bool parses(const std::string &cell, double &v) {
  auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
  return error == std::errc() && end == cell.data() + cell.size() && std::isfinite(v);
}

/// A cell in a message: what cannot be shown is written as its bytes, and a long one is cut.
std::string printable(const std::string &cell) {
  std::string out;
  for (unsigned char c : cell.substr(0, 80))
    out += c < 0x20 || c == 0x7f ? fmt::format("\\x{:02x}", c) : std::string(1, char(c));
  return cell.size() > 80 ? out + "..." : out;
}

/// Names in a message; a long list is cut.
std::string listed(const std::vector<std::string> &names) {
  if (names.size() <= 20)
    return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{}, ... ({} in all)", fmt::join(names.begin(), names.begin() + 20, ", "), names.size());
}

void putClass(std::vector<uint8_t> &out, int32_t v) {
  size_t old = out.size();
  out.resize(old + sizeof v);
  std::memcpy(out.data() + old, &v, sizeof v);
}

void putNamed(std::vector<uint8_t> &out, const std::string &cell, const Field &field, const std::string &place) {
  auto found = std::find(field.labels.begin(), field.labels.end(), cell);
  if (found == field.labels.end())
    fail("{} holds `{}`, which is no class of `{}`: expected one of {}", place, printable(cell), field.name, listed(field.labels));
  putClass(out, int32_t(found - field.labels.begin()));
}

void putNumber(std::vector<uint8_t> &out, const std::string &cell, const Field &field, const std::string &place) {
  auto append = [&](auto v) {
    size_t old = out.size();
    out.resize(old + sizeof v);
    std::memcpy(out.data() + old, &v, sizeof v);
  };
  double v = 0;
  if (!parses(cell, v))
    fail("{} holds `{}`; expected a number for the field `{}` of type {}{}", place, printable(cell), field.name, field.typeText(),
         saysNothing(field, cell) && field.shape.empty() ? fmt::format(" (`{}: {} = 0` in `fields` says what stands for a missing value)",
                                                                     field.name, field.typeText()) : "");
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
  if (field.elem == Elem::F32 && !std::isfinite(float(v)))
    fail("{} holds `{}`, which is beyond the largest number of the field `{}` of type {}", place, cell, field.name, field.typeText());
  if (field.isLabel())
    range = {0, double(field.classes - 1)};
  bool whole = field.elem == Elem::F32 || field.elem == Elem::F64 || v == std::floor(v);
  if (!whole || v < range.low || v > range.high)
    fail("{} holds `{}`; expected a whole number from {:.0f} to {:.0f} for the field `{}` of type {}", place, cell, range.low,
         range.high, field.name, field.typeText());
  switch (field.elem) {
  case Elem::F32: return append(float(v));
  case Elem::F64: return append(v);
  case Elem::I64: return append(int64_t(v));
  case Elem::I32: return append(int32_t(v));
  case Elem::I8: return append(int8_t(v));
  case Elem::U8:
  case Elem::Bool: return append(uint8_t(v));
  default:
    fail("{}: the field `{}` is {}; numbers written as text are read as f32, f64 or integers", place, field.name, field.typeText());
  }
}

} // namespace

void Cells::put(std::string cell, const std::string &place) {
  if (field.missing && saysNothing(field, cell))
    cell = *field.missing;
  if (field.kind == "text") {
    cells.push_back(std::move(cell));
  } else if (field.isFromPictures()) {
    if (cell.empty())
      fail("{} is empty; expected the path of a picture", place);
    cells.push_back(under(folder, cell));
    places.push_back(place.substr(0, place.rfind(": ") + 2));
  } else if (field.isLabel() && !field.labels.empty()) {
    putNamed(bytes, cell, field, place);
  } else if (field.isLabel()) {
    cells.push_back(std::move(cell)); // names or numbers: known at the end
    places.push_back(place);
  } else {
    putNumber(bytes, cell, field, place);
  }
}

std::unique_ptr<Column> Cells::finish(Field &own, unsigned threads) {
  if (field.kind == "text") {
    auto texts = std::make_unique<Texts>();
    for (auto &cell : cells)
      texts->add(cell);
    return texts;
  }
  if (field.isFromPictures()) {
    std::vector<PictureFile> files(cells.size());
    for (size_t i = 0; i < cells.size(); ++i)
      files[i] = {std::move(cells[i]), std::move(places[i]), nullptr};
    return pictureColumn(field, std::move(files), threads);
  }
  if (field.isLabel() && field.labels.empty()) {
    double v;
    bool words = !cells.empty() && std::none_of(cells.begin(), cells.end(), [&](auto &c) { return parses(c, v); });
    if (words) {
      std::set<std::string> names(cells.begin(), cells.end());
      if (int64_t(names.size()) > field.classes)
        fail("{}: the field `{}` is {}, and the data has {} different classes", places[0].substr(0, places[0].find(':')), field.name,
             field.typeText(), names.size());
      own.labels.assign(names.begin(), names.end());
    }
    for (size_t i = 0; i < cells.size(); ++i)
      if (words)
        putNamed(bytes, cells[i], own, places[i]);
      else
        putNumber(bytes, cells[i], field, places[i]);
  }
  return std::make_unique<Resident>(std::move(bytes), size_t(product(field.shape)) * sizeOf(field.elem));
}

} // namespace bigm::data
