// Prints errors the way a colleague would point at them: the line, marks under it, what the marks mean, a hint.
//
//   digits.bigm:14:19: error: `Linear` needs its input's last dimension to be 128, and here it is 64
//      14 |   logits = h2 |> Linear(10, in: 128)
//         |            --    ^^^^^^
//         |            `h2` is f32[N, 64], from line 13
//   hint: leave `in` out: it is taken from the input
//
// Marks are placed by display columns, which differ from code points for wide and combining characters (utf8proc knows).
// A line longer than a screen is cut around the place.
#include "Diagnostics.h"
#include <algorithm>
#include <ostream>
#include <tuple>
#include <utf8proc.h>

namespace bigm {
namespace {

const char *const kTexts[] = {
#define BIGM_DIAG(id, text) text,
#include "Diagnostics.def"
#undef BIGM_DIAG
};

constexpr size_t kScreen = 110;   // columns of source text shown
constexpr size_t kMostErrors = 200; // printed in one run

const char kRed[] = "\x1b[1;31m", kBlue[] = "\x1b[1;34m", kBold[] = "\x1b[1m", kReset[] = "\x1b[0m";

/// One source line ready to print: each code point with the byte it starts at and the columns it takes.
struct ShownLine {
  struct Cell {
    std::string text;
    uint32_t offset; // in the line
    size_t column;   // display column, from 0
  };
  std::vector<Cell> cells;
  size_t width = 0;

  /// Only the neighbourhood of byte `around` is decoded, so that a huge line costs nothing.
  ShownLine(std::string_view line, uint32_t around) {
    constexpr uint32_t kReach = 4000;
    size_t begin = around > kReach ? around - kReach : 0;
    size_t end = std::min<size_t>(line.size(), static_cast<size_t>(around) + kReach);
    while (begin > 0 && begin < line.size() && (static_cast<unsigned char>(line[begin]) & 0xC0) == 0x80)
      --begin;
    for (size_t i = begin; i < end;) {
      utf8proc_int32_t point = -1;
      auto *bytes = reinterpret_cast<const utf8proc_uint8_t *>(line.data() + i);
      utf8proc_ssize_t n = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(line.size() - i), &point);
      Cell cell{{}, static_cast<uint32_t>(i), width};
      size_t columns = 1;
      if (n <= 0 || point < 0) {
        n = 1;
        cell.text = "\xEF\xBF\xBD"; // U+FFFD
      } else if (point < 32 || (point >= 0x7F && point < 0xA0) || hidesText(point)) {
        cell.text = point == '\t' || point == '\r' ? " " : "\xEF\xBF\xBD";
      } else {
        cell.text = std::string(line.substr(i, static_cast<size_t>(n)));
        columns = static_cast<size_t>(std::max(0, utf8proc_charwidth(point)));
      }
      cells.push_back(std::move(cell));
      width += columns;
      i += static_cast<size_t>(n);
    }
  }

  /// Bidirectional controls could make a printed line read differently from what it says.
  static bool hidesText(utf8proc_int32_t p) {
    return (p >= 0x202A && p <= 0x202E) || (p >= 0x2066 && p <= 0x2069) || p == 0x2028 || p == 0x2029;
  }

  size_t columnOf(uint32_t offset) const {
    auto it = std::lower_bound(cells.begin(), cells.end(), offset,
                               [](const Cell &cell, uint32_t o) { return cell.offset < o; });
    return it == cells.end() ? width : it->column;
  }
};

struct Mark {
  size_t from, to; // display columns
  char sign;
  std::string label; // may be empty
};

std::string gutter(unsigned line) {
  std::string number = line ? std::to_string(line) : "";
  return std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number + " | ";
}

class Printer {
public:
  Printer(const SourceManager &sources, std::ostream &out, bool colour) : sources(sources), out(out), colour(colour) {}

  void print(const Diagnostic &d) {
    if (!d.where.valid()) {
      out << style(kRed) << "error: " << style(kReset) << style(kBold) << d.text << style(kReset) << '\n';
      printHint(d);
      return;
    }
    LineColumn at = sources.place(d.where.file, d.where.begin);
    out << style(kBold) << sources.name(d.where.file) << ':' << at.line << ':' << at.column << ": " << style(kRed)
        << "error: " << style(kReset) << style(kBold) << d.text << style(kReset) << '\n';
    std::vector<std::pair<SourceRange, std::pair<char, std::string>>> marks{{d.where, {'^', ""}}};
    for (const DiagNote &note : d.notes)
      if (sameLine(d.where, note.where))
        marks.push_back({note.where, {'-', note.text}});
    snippet(d.where.file, at.line, marks);
    for (const DiagNote &note : d.notes) {
      if (sameLine(d.where, note.where))
        continue;
      if (!note.where.valid()) {
        out << "note: " << note.text << '\n';
        continue;
      }
      if (note.where.file != d.where.file) {
        LineColumn there = sources.place(note.where.file, note.where.begin);
        out << "  in " << sources.name(note.where.file) << ':' << there.line << ':' << there.column << '\n';
      }
      snippet(note.where.file, sources.place(note.where.file, note.where.begin).line,
              {{note.where, {'-', note.text}}});
    }
    printHint(d);
  }

private:
  const SourceManager &sources;
  std::ostream &out;
  bool colour;

  const char *style(const char *code) const { return colour ? code : ""; }

  void printHint(const Diagnostic &d) {
    if (!d.hint.empty())
      out << style(kBlue) << "hint: " << style(kReset) << d.hint << '\n';
  }

  bool sameLine(SourceRange a, SourceRange b) const {
    return a.valid() && b.valid() && a.file == b.file &&
           sources.place(a.file, a.begin).line == sources.place(b.file, b.begin).line;
  }

  uint32_t lineStart(uint32_t file, unsigned line) const {
    return static_cast<uint32_t>(sources.line(file, line).data() - sources.text(file).data());
  }

  /// A line of source, a row of marks, and a row for each label.
  void snippet(uint32_t file, unsigned line, std::vector<std::pair<SourceRange, std::pair<char, std::string>>> ranges) {
    std::string_view text = sources.line(file, line);
    uint32_t start = text.data() ? lineStart(file, line) : ranges[0].first.begin;
    auto within = [&](uint32_t offset) {
      return std::min<uint32_t>(offset > start ? offset - start : 0, static_cast<uint32_t>(text.size()));
    };
    ShownLine shown(text, within(ranges[0].first.begin));
    std::vector<Mark> marks;
    for (auto &[range, how] : ranges) {
      size_t from = shown.columnOf(within(range.begin)), to = shown.columnOf(within(range.end));
      marks.push_back({from, std::max(to, from + 1), how.first, how.second});
    }
    // A line wider than the screen is cut so that the first mark stays in sight.
    size_t left = 0, right = shown.width;
    if (right > kScreen) {
      left = marks[0].from > kScreen / 2 ? marks[0].from - kScreen / 2 : 0;
      right = std::min(right, left + kScreen);
    }
    bool cutLeft = left > 0 || (!shown.cells.empty() && shown.cells.front().offset > 0);
    bool cutRight = right < shown.width || (!shown.cells.empty() && shown.cells.back().offset + 8 < text.size());
    std::string visible;
    for (const auto &cell : shown.cells)
      if (cell.column >= left && cell.column < right)
        visible += cell.text;
    out << style(kBlue) << gutter(line) << style(kReset) << (cutLeft ? "…" : "") << visible << (cutRight ? "…" : "")
        << '\n';

    size_t shift = cutLeft ? 1 : 0;
    auto clamp = [&](size_t column) { return std::min(std::max(column, left), right + 1) - left + shift; };
    std::string row;
    // The first mark is the error itself: it is drawn last, over the notes.
    for (size_t i = marks.size(); i-- > 0;) {
      size_t from = clamp(marks[i].from), to = std::max(clamp(marks[i].to), from + 1);
      if (row.size() < to)
        row.resize(to, ' ');
      std::fill(row.begin() + static_cast<long>(from), row.begin() + static_cast<long>(to), marks[i].sign);
    }
    // A single note on a line of its own stands beside its mark; several stand below, each at its column.
    bool beside = marks.size() == 1 && !marks[0].label.empty();
    out << style(kBlue) << gutter(0) << (marks[0].sign == '^' ? style(kRed) : "") << row
        << (beside ? " " + marks[0].label : "") << style(kReset) << '\n';
    if (beside)
      return;
    for (const Mark &mark : marks)
      if (!mark.label.empty())
        out << style(kBlue) << gutter(0) << std::string(clamp(mark.from), ' ') << mark.label << style(kReset) << '\n';
  }
};

std::vector<utf8proc_int32_t> codePoints(const std::string &s) {
  std::vector<utf8proc_int32_t> out;
  for (size_t i = 0; i < s.size();) {
    utf8proc_int32_t point = -1;
    utf8proc_ssize_t n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(s.data() + i),
                                          static_cast<utf8proc_ssize_t>(s.size() - i), &point);
    out.push_back(point);
    i += n > 0 ? static_cast<size_t>(n) : 1;
  }
  return out;
}

/// Edits between two words: insert, delete, replace, swap neighbours. Case alone counts as less than one edit, so it is
/// left to the caller.
size_t editDistance(const std::vector<utf8proc_int32_t> &a, const std::vector<utf8proc_int32_t> &b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j)
    d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t differ = utf8proc_tolower(a[i - 1]) != utf8proc_tolower(b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differ});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

} // namespace

Diagnostic &Diagnostics::error(Diag id, SourceRange where, std::vector<std::string> args) {
  Diagnostic d;
  d.id = id;
  d.where = where;
  for (const char *p = kTexts[static_cast<size_t>(id)]; *p; ++p) {
    if (p[0] == '{' && p[1] >= '0' && p[1] <= '9' && p[2] == '}') {
      size_t hole = static_cast<size_t>(p[1] - '0');
      if (hole < args.size())
        d.text += args[hole];
      p += 2;
    } else {
      d.text += *p;
    }
  }
  list.push_back(std::move(d));
  return list.back();
}

void Diagnostics::print(std::ostream &out, bool colour) const {
  std::vector<const Diagnostic *> sorted;
  for (const Diagnostic &d : list)
    sorted.push_back(&d);
  // All live in one vector, so their addresses keep the order of reports at one place.
  std::sort(sorted.begin(), sorted.end(), [](const Diagnostic *a, const Diagnostic *b) {
    return std::tie(a->where.file, a->where.begin, a) < std::tie(b->where.file, b->where.begin, b);
  });
  auto same = [](const Diagnostic *a, const Diagnostic *b) {
    return a->where.file == b->where.file && a->where.begin == b->where.begin && a->text == b->text;
  };
  sorted.erase(std::unique(sorted.begin(), sorted.end(), same), sorted.end());
  Printer printer(sources, out, colour);
  for (size_t i = 0; i < std::min(sorted.size(), kMostErrors); ++i)
    printer.print(*sorted[i]);
  if (sorted.size() > kMostErrors)
    out << "and " << sorted.size() - kMostErrors << " more errors\n";
}

std::string counted(size_t n, const std::string &what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

std::string didYouMean(const std::string &word, const std::vector<std::string> &candidates) {
  constexpr size_t kLongest = 64; // longer words are no slips of a known name
  std::vector<utf8proc_int32_t> points = codePoints(word);
  if (points.size() > kLongest)
    return {};
  size_t best = std::max<size_t>(points.size() / 3, points.size() >= 3 ? 1 : 0) + 1;
  std::string found;
  for (const std::string &candidate : candidates) {
    std::vector<utf8proc_int32_t> other = codePoints(candidate);
    if (candidate == word || other.size() > kLongest)
      continue;
    size_t distance = editDistance(points, other);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

} // namespace bigm
