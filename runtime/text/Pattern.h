// Regular expressions of a tokenizer.json.
//
// Hugging Face's library runs them on Oniguruma, of which Debian has no static library and whose development has ended;
// here they run on PCRE2, compiled to machine code where it can. Expression.h rewrites what the two write or mean differently.
#pragma once
#include "Settings.h"
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::text {

/// A part of a text that a pattern matched, or one between matches. The parts cover the text.
struct Match {
  uint32_t begin, end;
  bool matched;
};

class Pattern {
public:
  /// Throws Error with PCRE2's reason, without a place: the caller knows it.
  static Pattern regex(const std::string &expression);
  static Pattern literal(const std::string &text);

  /// Appends the parts of text[begin, end). Lookbehind does not see what is before `begin`. Throws Error when matching
  /// takes more than a bounded effort (10 million steps, 64 MB).
  void parts(std::string_view text, size_t begin, size_t end, std::vector<Match> &out) const;

private:
  struct Code;
  std::shared_ptr<const Code> code;
};

/// `{"String": "..."}` or `{"Regex": "..."}`. Throws Error naming the place.
Pattern readPattern(const Settings &settings);

} // namespace bigm::text
