// What all sources share: conversion to a field's type, class checks, records as a batch.
#include "Table.h"
#include "Sources.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/ranges.h>
#include <limits>

namespace bigm::data {

bool Field::isPicture() const {
  if (isText() || isPhoto() || isList())
    return false;
  if (kind == "image")
    return true;
  return elem == Elem::U8 && !isLabel() && (shape.size() == 2 || (shape.size() == 3 && (shape[0] == 1 || shape[0] == 3)));
}

std::string Field::typeText() const {
  if (isText())
    return "text";
  if (isPhoto())
    return "image";
  if (isList()) {
    std::string inside;
    for (auto &p : parts)
      inside += (inside.empty() ? "" : ", ") + p.name + ": " + (p.meaning.empty() ? p.typeText() : p.meaning);
    return "list<{ " + inside + " }>";
  }
  if (!labels.empty() && labels.size() <= 20)
    return fmt::format("label{{{}}}", fmt::join(labels, ", "));
  if (isLabel())
    return fmt::format("label[{}]", classes);
  return shape.empty() ? data::name(elem) : data::name(elem) + shapeText(shape);
}

std::vector<std::pair<std::string, Field *>> classesOf(std::vector<Field> &fields) {
  std::vector<std::pair<std::string, Field *>> out;
  for (Field &f : fields) {
    if (f.isLabel())
      out.emplace_back(f.name, &f);
    for (Field &part : f.parts)
      if (part.isLabel())
        out.emplace_back(f.name + "." + part.name, &part);
  }
  return out;
}

const Field *Table::field(const std::string &name) const {
  for (auto &f : fields)
    if (f.name == name)
      return &f;
  return nullptr;
}

static void addLists(const Field &field, const Column &column, const int64_t *records, int64_t n, Batch &out) {
  Tensor length(Elem::I32, {n});
  int64_t longest = 1;
  for (int64_t r = 0; r < n; ++r) {
    length.as<int32_t>()[r] = int32_t(column.elements(records[r]));
    longest = std::max(longest, column.elements(records[r]));
  }
  for (size_t p = 0; p < field.parts.size(); ++p) {
    const Field &part = field.parts[p];
    if (part.isText()) {
      auto &texts = out.texts[field.name + "." + part.name];
      for (int64_t r = 0; r < n; ++r)
        for (std::string &text : column.partTexts(records[r], p))
          texts.push_back(std::move(text));
      continue;
    }
    std::vector<int64_t> shape{n, longest};
    shape.insert(shape.end(), part.shape.begin(), part.shape.end());
    Tensor t(part.elem, std::move(shape));
    size_t row = t.bytes.size() / size_t(n);
    for (int64_t r = 0; r < n; ++r) {
      auto bytes = column.part(records[r], p);
      uint8_t *to = t.bytes.data() + size_t(r) * row;
      std::copy(bytes.begin(), bytes.end(), to);
      std::fill(to + bytes.size(), to + row, uint8_t(0));
    }
    out.fields.emplace(field.name + "." + part.name, std::move(t));
  }
  out.fields.emplace(field.name + ".length", std::move(length));
}

Batch Table::batch(const int64_t *records, int64_t n) const {
  Batch out;
  out.size = n;
  out.records.assign(records, records + n);
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].isText()) {
      auto &texts = out.texts[fields[i].name];
      for (int64_t r = 0; r < n; ++r)
        texts.push_back(columns[i]->text(records[r]));
      if (!idsBy.empty()) {
        auto &rows = out.ids[fields[i].name + "." + idsBy];
        for (int64_t r = 0; r < n; ++r) {
          auto ids = columns[i]->ids(records[r]);
          rows.emplace_back(ids.begin(), ids.end());
        }
      }
      continue;
    }
    if (fields[i].isPhoto()) {
      auto &pictures = out.pictures[fields[i].name];
      for (int64_t r = 0; r < n; ++r)
        pictures.push_back(columns[i]->picture(records[r]));
      continue;
    }
    if (fields[i].isList()) {
      addLists(fields[i], *columns[i], records, n, out);
      continue;
    }
    std::vector<int64_t> shape{n};
    shape.insert(shape.end(), fields[i].shape.begin(), fields[i].shape.end());
    Tensor t(fields[i].elem, std::move(shape));
    size_t each = size_t(product(fields[i].shape)) * sizeOf(fields[i].elem);
    for (int64_t r = 0; r < n; ++r)
      columns[i]->copy(records[r], t.bytes.data() + size_t(r) * each);
    out.fields.emplace(fields[i].name, std::move(t));
  }
  return out;
}

void Resident::copy(int64_t record, uint8_t *to) const { std::memcpy(to, bytes.data() + size_t(record) * each, each); }

namespace {

struct Source {
  const char *name;
  void (*open)(const SourceContext &, Table &);
};
constexpr Source kSources[] = {{"idx", openIdx}, {"csv", openCsv}, {"npy", openNpy}, {"folder", openFolder},
                               {"tsv", openTsv}, {"text", openText}, {"lines", openLines}, {"json", openJson}, {"jsonl", openJsonLines},
                               {"voc", openVoc}, {"coco", openCoco}, {"conll", openConll}};

/// Kinds of fields that only some sources have.
struct Unread {
  bool (Field::*is)() const;
  const char *what;
  std::vector<std::string_view> readers;
};
const Unread kUnread[] = {{&Field::isText, "text", {"csv", "json", "jsonl", "lines", "text", "tsv"}},
                          {&Field::isPhoto, "an image", {"coco", "csv", "folder", "json", "jsonl", "tsv", "voc"}},
                          {&Field::isList, "a list", {"coco", "conll", "json", "jsonl", "voc"}}};

/// Element i as a number; 64-bit integers beyond 2^53 never get here (see toField).
double numberAt(const Numbers &n, size_t i) {
  const uint8_t *p = n.bytes.data() + i * n.size;
  auto as = [p]<class T>(T v) {
    std::memcpy(&v, p, sizeof v);
    return double(v);
  };
  switch (n.kind) {
  case 'f':
    return n.size == 4 ? as(float()) : as(double());
  case 'u':
    return n.size == 1 ? as(uint8_t()) : n.size == 2 ? as(uint16_t()) : n.size == 4 ? as(uint32_t()) : as(uint64_t());
  case 'b':
    return *p != 0;
  default:
    return n.size == 1 ? as(int8_t()) : n.size == 2 ? as(int16_t()) : n.size == 4 ? as(int32_t()) : as(int64_t());
  }
}
std::string typeName(const Numbers &n) { return n.kind == 'b' ? "bool" : fmt::format("{}{}", n.kind, n.size * 8); }

template <class T> void putInto(std::vector<uint8_t> &out, size_t i, double v) {
  T t = T(v);
  std::memcpy(out.data() + i * sizeof(T), &t, sizeof t);
}

} // namespace

std::vector<uint8_t> toField(const Field &field, Numbers numbers, const std::string &file) {
  int64_t each = std::max<int64_t>(product(field.shape), 1);
  size_t count = numbers.bytes.size() / numbers.size;
  auto refuse = [&](const std::string &hint) {
    fail("{}: holds {}, and the field `{}` is {}{}", file, typeName(numbers), field.name, field.typeText(), hint);
  };
  bool fromInteger = numbers.kind != 'f', label = field.isLabel();
  bool toFloat = field.elem == Elem::F32 || field.elem == Elem::F64;
  if (field.elem == Elem::BF16 || field.elem == Elem::F16)
    fail("{}: the field `{}` is {}; records are read as f32 and cast by the program", file, field.name, field.typeText());
  if (toFloat && fromInteger)
    refuse(fmt::format("; declare the field as {}{} and derive the other with f32(...)",
                       numbers.kind == 'b' ? "bool" : typeName(numbers), field.shape.empty() ? "" : shapeText(field.shape)));
  if (!toFloat && !fromInteger)
    refuse("");
  // The same type: nothing to convert.
  bool same = (field.elem == Elem::F32 && numbers.size == 4) || (field.elem == Elem::F64 && numbers.size == 8) ||
              (field.elem == Elem::U8 && numbers.kind == 'u' && numbers.size == 1) ||
              (field.elem == Elem::I8 && numbers.kind == 'i' && numbers.size == 1) ||
              (field.elem == Elem::I32 && numbers.kind == 'i' && numbers.size == 4) ||
              (field.elem == Elem::I64 && numbers.kind == 'i' && numbers.size == 8);
  if (same && !label)
    return std::move(numbers.bytes);
  double low = 0, high = 0;
  switch (field.elem) {
  case Elem::U8: high = 255; break;
  case Elem::I8: low = -128, high = 127; break;
  case Elem::Bool: high = 1; break;
  case Elem::I32: low = -0x1p31, high = 0x1p31 - 1; break;
  case Elem::I64: low = -0x1p53, high = 0x1p53; break;
  default: low = -std::numeric_limits<double>::infinity(), high = -low; break;
  }
  if (label)
    low = 0, high = double(field.classes - 1);
  std::vector<uint8_t> out(count * sizeOf(field.elem));
  for (size_t i = 0; i < count; ++i) {
    double v = numberAt(numbers, i);
    if (!toFloat && !(v >= low && v <= high)) {
      if (label)
        fail("{}: record {} has the class {}, and `{}` is {}: expected 0 to {}", file, i / each, int64_t(v), field.name,
             field.typeText(), field.classes - 1);
      fail("{}: record {} holds {}, which does not fit the field `{}` of type {}", file, i / each, v, field.name,
           field.typeText());
    }
    switch (field.elem) {
    case Elem::F32: putInto<float>(out, i, v); break;
    case Elem::F64: putInto<double>(out, i, v); break;
    case Elem::I64: putInto<int64_t>(out, i, v); break;
    case Elem::I32: putInto<int32_t>(out, i, v); break;
    case Elem::I8: putInto<int8_t>(out, i, v); break;
    default: putInto<uint8_t>(out, i, v); break;
    }
  }
  return out;
}

std::optional<std::string> SourceSpec::text(const std::string &option) const {
  auto found = options.find(option);
  if (found == options.end())
    return std::nullopt;
  if (auto *text = std::get_if<std::string>(&found->second))
    return *text;
  fail("`{}` takes a text for `{}`, and here is {}", name, option, std::get<double>(found->second));
}

std::optional<double> SourceSpec::number(const std::string &option) const {
  auto found = options.find(option);
  if (found == options.end())
    return std::nullopt;
  if (auto *number = std::get_if<double>(&found->second))
    return *number;
  fail("`{}` takes a number for `{}`, and here is `{}`", name, option, std::get<std::string>(found->second));
}

std::string fileFor(const SourceContext &context, const Field &field, size_t position) {
  if (auto file = context.spec.text(field.name))
    return under(context.dataDir, *file);
  if (position < context.spec.strings.size())
    return under(context.dataDir, context.spec.strings[position]);
  fail("`{}` names {} file{} and the record has more fields: expected one file for each, `{}` among them",
       context.spec.name, context.spec.strings.size(), context.spec.strings.size() == 1 ? "" : "s", field.name);
}

std::vector<std::string> sourceNames() {
  std::vector<std::string> names;
  for (auto &s : kSources)
    names.push_back(s.name);
  return names;
}

Table openTable(const std::string &declaration, const SourceSpec &spec, const std::vector<Field> &fields,
                const std::string &dataDir, unsigned threads, const CutBy &cut) {
  Table table;
  table.source = fmt::format("{}({})", spec.name, fmt::join(spec.strings, ", "));
  table.fields = fields;
  table.columns.resize(fields.size());
  const std::vector<std::string_view> withGaps = {"csv", "json", "jsonl", "tsv"};
  std::vector<Field> all = fields;
  for (auto &f : fields)
    all.insert(all.end(), f.parts.begin(), f.parts.end());
  for (auto &f : all)
    if (f.missing && std::find(withGaps.begin(), withGaps.end(), spec.name) == withGaps.end())
      fail("data `{}`: the field `{}` has a value for records without one, and `{}` always has one; such values are for {}", declaration, f.name,
           spec.name, fmt::join(withGaps, ", "));
  for (auto &f : fields)
    for (const Unread &u : kUnread)
      if ((f.*u.is)() && std::find(u.readers.begin(), u.readers.end(), spec.name) == u.readers.end())
        fail("data `{}`: the field `{}` is {}, which `{}` does not read; it is read by {}", declaration, f.name, u.what, spec.name,
             fmt::join(u.readers, ", "));
  for (auto &s : kSources)
    if (spec.name == s.name) {
      try {
        s.open({spec, dataDir, std::max(1u, threads), cut}, table);
      } catch (const Error &e) {
        fail("data `{}`: {}", declaration, e.what());
      }
      return table;
    }
  fail("data `{}`: there is no source `{}`; the sources are {}", declaration, spec.name, fmt::join(sourceNames(), ", "));
}

} // namespace bigm::data
