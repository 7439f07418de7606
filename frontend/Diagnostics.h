// Errors for users: place, what was seen, the rule, a hint.
//
// Every message is an entry of the catalogue (Diagnostics.def: id, text with {0} {1} holes), so that all of them are
// worded once, documented in docs/diagnostics.md and each has a test. The engine collects; printing sorts by place.
#pragma once
#include "Source.h"
#include <iosfwd>
#include <string>
#include <vector>

namespace bigm {

enum class Diag {
#define BIGM_DIAG(id, text) id,
#include "Diagnostics.def"
#undef BIGM_DIAG
};

/// A second place with a short label: "`h2` is f32[N, 64], from line 13".
struct DiagNote {
  SourceRange where;
  std::string text;
};
struct Diagnostic {
  Diag id;
  SourceRange where;
  std::string text;
  std::vector<DiagNote> notes;
  std::string hint; // empty when none
};

class Diagnostics {
public:
  explicit Diagnostics(const SourceManager &sources) : sources(sources) {}
  /// Reports an error; holes of the catalogue's text are filled with `args` in order. The returned reference is valid
  /// until the next report; use it to add notes and a hint.
  Diagnostic &error(Diag id, SourceRange where, std::vector<std::string> args = {});
  bool hasErrors() const { return !list.empty(); }
  const std::vector<Diagnostic> &all() const { return list; }
  /// Prints all in source order, duplicates once. Colours only when `colour`.
  void print(std::ostream &out, bool colour) const;

private:
  const SourceManager &sources;
  std::vector<Diagnostic> list;
};

/// "1 input", "2 inputs".
std::string counted(size_t n, const std::string &what);

/// The candidate nearest to `word` (edit distance at most a third of its length), or empty.
std::string didYouMean(const std::string &word, const std::vector<std::string> &candidates);

} // namespace bigm
