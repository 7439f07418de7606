// A text on its way to ids: its bytes as normalised so far, where they come from, and the pieces it falls into.
#pragma once
#include "Unicode.h"

namespace bigm::text {

/// Bytes [begin, end).
struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span &) const = default;
};

/// Bytes and, when `tracked`, the span of the original text that each byte stands for.
struct Text {
  std::string bytes;
  std::vector<Span> from;
  bool tracked = false;
  uint32_t start = 0; ///< the byte of the original that this text begins at: what is put in front stands there

  /// An empty text in this one's place.
  Text blank() const { return {.bytes = {}, .from = {}, .tracked = tracked, .start = start}; }

  void add(char32_t c, Span origin) {
    size_t before = bytes.size();
    append(bytes, c);
    if (tracked)
      from.insert(from.end(), bytes.size() - before, origin);
  }
  void add(std::string_view more, Span origin) {
    bytes += more;
    if (tracked)
      from.insert(from.end(), more.size(), origin);
  }
  /// Copies [begin, end) of another text.
  void copy(const Text &other, size_t begin, size_t end) {
    bytes.append(other.bytes, begin, end - begin);
    if (tracked)
      from.insert(from.end(), other.from.begin() + ptrdiff_t(begin), other.from.begin() + ptrdiff_t(end));
  }
  Span origin(size_t at) const { return tracked && at < from.size() ? from[at] : Span{}; }
  /// The original's span for [begin, end) of the bytes.
  Span origin(size_t begin, size_t end) const {
    return !tracked || begin >= end ? Span{} : Span{from[begin].begin, from[end - 1].end};
  }
  /// The span of what is inserted at byte `at`: that of what is before it.
  Span inserted(size_t at) const { return at == 0 ? Span{start, start} : origin(at - 1); }
  /// Replaces the text by `changes`; `dropped` characters at its beginning are left out.
  void transform(const std::vector<Change> &changes, size_t dropped = 0);
};

/// A part of a Text: what the model sees as one, or an added token with its id.
struct Piece {
  uint32_t begin = 0, end = 0;
  int32_t id = -1;
};

struct Pieces {
  Text text;
  std::vector<Piece> list;
};

} // namespace bigm::text
