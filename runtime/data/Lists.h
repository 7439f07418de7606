// Lists of records that stand in a record, becoming a column. Private to this folder.
#pragma once
#include "Cells.h"
#include <array>

namespace bigm::data {

/// Builds the column of a list field: for each record its elements, part by part.
class Lists {
public:
  /// `field` must outlive it.
  explicit Lists(const Field &field);
  /// One value of the element that is being added, as text; `part` counts the field's parts. A part of several numbers is
  /// put one number after the other.
  void put(size_t part, std::string cell, const std::string &place) { cells[part].put(std::move(cell), place); }
  /// The record that is being added has no more elements; `elements` of them were put since the last call.
  void endRecord(int64_t elements) { ends.push_back((ends.empty() ? 0 : ends.back()) + elements); }
  /// The column; `own` gets the names of classes that the data determined.
  std::unique_ptr<Column> finish(Field &own);

private:
  const Field &field;
  std::vector<Cells> cells;
  std::vector<int64_t> ends;
};

/// Left, top, right, bottom of a box in pixels. False where it has no area or is not finite: it bounds nothing.
inline bool soundBox(const std::array<double, 4> &box) { return box[2] - box[0] > 0 && box[3] - box[1] > 0 && box[2] - box[0] < 1e9 && box[3] - box[1] < 1e9; }

/// The parts of a list field that a source of annotated boxes fills: exactly one box, at most one class, and whole numbers
/// by their names. Throws Error naming the source for a field that is not so.
struct BoxParts {
  int box = -1, label = -1;
  std::vector<int> others;
};
BoxParts boxParts(const Field &field, const std::string &source);

} // namespace bigm::data
