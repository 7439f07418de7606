// Values that stand in a file as text, one after the other, becoming a column. Private to this folder.
#pragma once
#include "Sources.h"

namespace bigm::data {

/// Builds the column of one field: numbers, classes by name or number, text, paths of pictures.
class Cells {
public:
  /// Pictures are relative to `folder`.
  Cells(const Field &field, std::string folder) : field(field), folder(std::move(folder)) {}
  /// `place` begins a message: "labels.csv:7: column `kind`".
  void put(std::string cell, const std::string &place);
  /// The column. Where the field has no names of classes and the cells are words, the classes are the words in their
  /// order, and `field` (of the table) gets them as its labels.
  std::unique_ptr<Column> finish(Field &field, unsigned threads);

private:
  const Field &field;
  std::string folder;
  std::vector<uint8_t> bytes;
  std::vector<std::string> cells, places; // pictures, text, and classes without names
};

/// Texts of records in one block of memory.
class Texts : public Column {
public:
  void add(std::string_view text) {
    bytes += text;
    ends.push_back(bytes.size());
  }
  void copy(int64_t, uint8_t *) const override {}
  std::string text(int64_t record) const override {
    size_t begin = record > 0 ? ends[size_t(record) - 1] : 0;
    return bytes.substr(begin, ends[size_t(record)] - begin);
  }

private:
  std::string bytes;
  std::vector<size_t> ends;
};

} // namespace bigm::data
