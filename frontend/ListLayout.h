// Lists in brackets and braces, with the comments that stand between their items: the part of formatting that is alike for
// statements, clauses, fields, parameters and arguments.
#pragma once
#include "Comments.h"
#include "Doc.h"
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bigm {

class ListLayout {
protected:
  explicit ListLayout(std::string_view source) : source(source), comments(source) {}

  /// Neighbours of one kind are aligned behind their heads; those from kAssign on only where each fits on its line. Heads of
  /// kRule may differ more in length: they are paths, and what they become is read as a column.
  enum EntryKind { kAlone, kPlain, kField, kAssign, kPhase, kRule };

  struct Entry {
    uint32_t begin = 0, end = 0; // in the source
    EntryKind kind = kAlone;
    std::string head;            // what stands before the padding
    std::function<Doc()> tail;   // the rest; called in source order, since it takes comments
    bool wantsLine = false;      // must begin a line
  };

  /// `(a, b)`, as many items on a line as fit, aligned with the first.
  Doc bracketed(const std::string &open, const std::string &close, std::vector<Entry> entries);

  /// `{ a  b }` on one line when the author began it so and it fits, else an item a line. `open` and `close` are the
  /// braces' places, `separator` parts items on one line. Without `ownGroup`, the group around decides about breaking.
  Doc braced(uint32_t open, uint32_t close, const std::string &separator, std::vector<Entry> entries,
             bool ownGroup = true);

  /// The `{` that opens a list whose first item begins at `first`: only spaces and comments stand between.
  uint32_t braceBefore(uint32_t first, uint32_t from) const;

  /// Spaces to add to each width of a run, none when they differ too much.
  static constexpr int kWidestPadding = 8; // heads that differ more in length are not aligned
  static std::vector<int> paddings(const std::vector<int> &widths, int widest = kWidestPadding);

  std::string_view source;
  Comments comments;

private:
  int depth = 0; // of braces around
  struct Item;
  std::vector<int> padItems(const std::vector<Item> &items) const;
  bool writtenFlat(uint32_t brace) const;
  bool gapIsBlank(uint32_t end, uint32_t begin) const;
  void leading(std::vector<Doc> &out, uint32_t begin);
};

constexpr int kLineWidth = 110;

} // namespace bigm
