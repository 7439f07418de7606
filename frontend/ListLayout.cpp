// An empty line between two items stays (one of them), and so does the author's choice of one line or many; alignment is
// for neighbours without an empty or a comment line between.
#include "ListLayout.h"
#include <algorithm>

namespace bigm {
namespace {
using doc::concat;
using doc::hard;
using doc::line;

constexpr int kWidestRule = 30; // what kWidestPadding is to rules
constexpr int kIndent = 2;
} // namespace

/// An entry made: its comments and documents taken in source order.
struct ListLayout::Item {
  uint32_t begin, end;
  EntryKind kind;
  std::string head;
  std::vector<Doc> leading;
  Doc tail;
  std::string behind; // comment
};

std::vector<int> ListLayout::paddings(const std::vector<int> &widths, int widest) {
  int most = *std::max_element(widths.begin(), widths.end()), least = *std::min_element(widths.begin(), widths.end());
  std::vector<int> out;
  for (int width : widths)
    out.push_back(most - least <= widest ? most - width : 0);
  return out;
}

Doc ListLayout::bracketed(const std::string &open, const std::string &close, std::vector<Entry> entries) {
  if (entries.empty())
    return doc::text(open + close);
  std::vector<Doc> items, separators; // separator i stands before item i
  bool commented = false;
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry &e = entries[i];
    std::vector<Doc> before;
    for (const Comment &c : comments.takeBefore(e.begin)) {
      before.push_back(hard());
      before.push_back(doc::text(c.text));
    }
    commented = commented || !before.empty();
    before.push_back(before.empty() ? line(i ? " " : "") : hard());
    std::vector<Doc> item{doc::text(e.head), e.tail(), doc::text(i + 1 < entries.size() ? "," : "")};
    if (std::string behind = comments.takeBehind(e.end); !behind.empty()) {
      item.push_back(doc::suffix(behind));
      commented = true;
    }
    items.push_back(concat(std::move(item)));
    separators.push_back(concat(std::move(before)));
  }
  // With comments inside, an item a line; else as many as fit, under the first.
  if (commented) {
    std::vector<Doc> inside;
    for (size_t i = 0; i < items.size(); ++i) {
      inside.push_back(separators[i]);
      inside.push_back(items[i]);
    }
    return doc::group(concat({doc::text(open), doc::indent(concat(std::move(inside)), kIndent), line(""), doc::text(close)}));
  }
  std::vector<Doc> parts{items[0]};
  for (size_t i = 1; i < items.size(); ++i) {
    parts.push_back(separators[i]);
    parts.push_back(items[i]);
  }
  return doc::group(concat({doc::text(open), doc::align(doc::fill(std::move(parts)), 0), doc::text(close)}));
}

Doc ListLayout::braced(uint32_t open, uint32_t close, const std::string &separator, std::vector<Entry> entries,
                       bool ownGroup) {
  if (entries.empty() && !comments.anyBefore(close))
    return doc::text("{}");
  bool broken = entries.empty() || !writtenFlat(open);
  std::string behindBrace = comments.takeBehind(open + 1);
  ++depth;
  std::vector<Item> items;
  for (Entry &e : entries) {
    Item item{e.begin, e.end, e.kind, e.head, {}, nullptr, ""};
    leading(item.leading, e.begin);
    item.tail = e.tail();
    item.behind = comments.takeBehind(e.end);
    broken = broken || e.wantsLine;
    items.push_back(std::move(item));
  }
  std::vector<int> pads = padItems(items);
  --depth;

  std::vector<Doc> inside{line()};
  for (size_t i = 0; i < items.size(); ++i) {
    Item &item = items[i];
    if (i) {
      bool blank = gapIsBlank(items[i - 1].end, item.begin);
      inside.push_back(blank ? hard(true) : line(separator));
    }
    inside.insert(inside.end(), item.leading.begin(), item.leading.end());
    inside.push_back(doc::text(item.head));
    if (pads[i])
      inside.push_back(doc::ifBroken(std::string(static_cast<size_t>(pads[i]), ' '), ""));
    inside.push_back(item.tail);
    if (!item.behind.empty())
      inside.push_back(doc::suffix(item.behind));
  }
  std::vector<Comment> rest = comments.takeBefore(close);
  for (size_t i = 0; i < rest.size(); ++i) {
    if (i || !items.empty())
      inside.push_back(hard(rest[i].blankBefore));
    inside.push_back(doc::text(rest[i].text));
    broken = true;
  }
  Doc begin = behindBrace.empty() ? doc::text("{") : concat({doc::text("{"), doc::suffix(behindBrace)});
  Doc all = concat({begin, doc::indent(concat(std::move(inside)), kIndent), broken ? hard() : line(), doc::text("}")});
  return ownGroup ? doc::group(all) : all;
}

/// The comments before an item, each on a line of its own.
void ListLayout::leading(std::vector<Doc> &out, uint32_t begin) {
  std::vector<Comment> before = comments.takeBefore(begin);
  for (size_t i = 0; i < before.size(); ++i) {
    out.push_back(doc::text(before[i].text));
    out.push_back(hard(i + 1 < before.size() ? before[i + 1].blankBefore : comments.blankLineBefore(begin)));
  }
}

std::vector<int> ListLayout::padItems(const std::vector<Item> &items) const {
  // The room that is left behind an item on its line, or -1 when it takes several.
  auto room = [&](const Item &item) {
    int left = kLineWidth - depth * kIndent - displayWidth(item.head);
    int width = doc::flatWidth(item.tail, left);
    return width < 0 || !item.behind.empty() ? -1 : left - width;
  };
  std::vector<int> out;
  for (size_t i = 0; i < items.size();) {
    auto alignable = [&](size_t k) {
      return items[k].kind != kAlone && (items[k].kind < kAssign || room(items[k]) >= 0);
    };
    size_t end = i + 1;
    while (alignable(i) && end < items.size() && items[end].kind == items[i].kind && alignable(end) &&
           !gapIsBlank(items[end - 1].end, items[end].begin) &&
           !comments.lineBetween(items[end - 1].end, items[end].begin))
      ++end;
    std::vector<int> widths;
    for (size_t k = i; k < end; ++k)
      widths.push_back(displayWidth(items[k].head));
    std::vector<int> pads = paddings(widths, items[i].kind == kRule ? kWidestRule : kWidestPadding);
    bool fits = true;
    for (size_t k = i; k < end && items[i].kind >= kAssign; ++k)
      fits = fits && (room(items[k]) < 0 || pads[k - i] <= room(items[k]));
    for (int pad : pads)
      out.push_back(fits ? pad : 0);
    i = end;
  }
  return out;
}

/// Whether the author wrote the first item behind the `{` on its line.
bool ListLayout::writtenFlat(uint32_t brace) const {
  size_t i = source.find_first_not_of(" \t", brace + 1);
  return i != std::string_view::npos && source[i] != '\n' && source[i] != '\r' && source[i] != '#';
}

/// Whether an empty line stands behind an item, before what follows it.
bool ListLayout::gapIsBlank(uint32_t end, uint32_t begin) const {
  size_t i = end;
  while (i < begin && source[i] != '\n') // the rest of the line, with a comment behind the item
    ++i;
  for (++i; i < begin; ++i) {
    if (source[i] == '\n')
      return true;
    if (source[i] != ' ' && source[i] != '\t' && source[i] != '\r')
      return false;
  }
  return false;
}

uint32_t ListLayout::braceBefore(uint32_t first, uint32_t from) const {
  uint32_t open = from;
  for (uint32_t i = from; i < first; ++i) {
    if (source[i] == '"') {
      for (++i; i < first && source[i] != '"'; ++i)
        if (source[i] == '\\')
          ++i;
    } else if (source[i] == '#') {
      while (i < first && source[i] != '\n')
        ++i;
    } else if (source[i] == '{') {
      open = i;
    }
  }
  return open;
}

} // namespace bigm
