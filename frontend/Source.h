// Source text and places in it.
//
// Every later phase speaks of places as byte ranges in a numbered file; only the printer of diagnostics turns
// them into lines and columns. Ranges stay valid as long as the SourceManager lives.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bigm {

/// A half-open byte range [begin, end) of one file. `file` indexes SourceManager; ~0u means "no place".
struct SourceRange {
  uint32_t file = ~0u, begin = 0, end = 0;
  bool valid() const { return file != ~0u; }
};

/// A place as people count it: line and column start at 1; the column counts code points.
struct LineColumn {
  unsigned line = 0, column = 0;
};

/// Owns the text of every file read in one run.
class SourceManager {
public:
  /// Adds a file and returns its number. `name` is what diagnostics print.
  uint32_t add(std::string name, std::string text);
  /// How many files there are; their numbers are below it.
  uint32_t size() const { return static_cast<uint32_t>(files.size()); }
  const std::string &name(uint32_t file) const { return files[file].name; }
  std::string_view text(uint32_t file) const { return files[file].text; }
  std::string_view text(SourceRange range) const;
  LineColumn place(uint32_t file, uint32_t offset) const;
  /// The text of a line (from 1) without its end of line.
  std::string_view line(uint32_t file, unsigned line) const;
  /// Where files that a program names are looked for before its own folder: `--data`.
  std::vector<std::string> folders;

private:
  struct File {
    std::string name, text;
    std::vector<uint32_t> lineStarts;
  };
  std::vector<File> files;
};

} // namespace bigm
