// The comments of a file in order, for the formatter: the tree does not hold them, the text does.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bigm {

struct Comment {
  uint32_t begin, end;
  std::string text;  // with its `#`, no space at the end
  bool ownLine;      // nothing but space before it on its line
  bool blankBefore;  // an empty line stands before its line
};

/// Hands out each comment once, in order.
class Comments {
public:
  explicit Comments(std::string_view source);
  /// The comments that begin before `offset`.
  std::vector<Comment> takeBefore(uint32_t offset);
  /// The comment on the same line as `offset` with nothing but spaces and commas between, or empty.
  std::string takeBehind(uint32_t offset);
  bool anyBefore(uint32_t offset) const { return next < list.size() && list[next].begin < offset; }
  /// Whether a comment line stands in [from, to), taken or not.
  bool lineBetween(uint32_t from, uint32_t to) const;
  /// Whether nothing but spaces stands before `offset` on its line.
  bool firstOnLine(uint32_t offset) const;
  /// Whether an empty line stands right before the line of `offset`.
  bool blankLineBefore(uint32_t offset) const;

private:
  std::string_view source;
  std::vector<Comment> list;
  size_t next = 0;
};

} // namespace bigm
