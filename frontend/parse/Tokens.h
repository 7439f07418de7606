// Characters to tokens, and what must be known about them before a grammar sees any: that the text is text, that
// brackets match, and where each declaration begins. A later error then stays inside its declaration, and no input can
// make the parser recurse deeply.
#pragma once
#include "Diagnostics.h"
#include "Source.h"
#include "antlr4-runtime.h"
#include <memory>
#include <vector>

namespace bigm {

/// A token of ours: `getStartIndex` is the first byte, `getStopIndex` the last one.
class Token : public antlr4::CommonToken {
public:
  Token(size_t type, uint32_t begin, uint32_t end) : CommonToken(type) {
    setStartIndex(begin);
    setStopIndex(end - 1);
  }
  uint32_t begin() const { return static_cast<uint32_t>(_start); }
  uint32_t end() const { return static_cast<uint32_t>(_stop + 1); }
  bool firstOnLine = false;
  bool firstColumn = false; // stands at the very start of its line
};

/// Tokens [first, last) of one declaration, or of a run that begins with no declaration's word.
struct Slice {
  size_t first, last;
  bool declaration = true;
  /// Where the first bracket error of the slice opens; syntax errors from here on would only repeat it.
  uint32_t trustedUpTo = ~0u;
};

struct TokenList {
  std::vector<std::unique_ptr<Token>> tokens; // the last one is the end of the file
  std::vector<Slice> slices;
  bool usable = true; // false: not text, too long, or too deep; already reported, parsing is pointless
};

TokenList readTokens(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics);

/// Whether the token's type begins a declaration.
bool beginsDeclaration(size_t type);
/// Whether it is a bracket of any kind.
bool opensBracket(size_t type);
bool closesBracket(size_t type);

} // namespace bigm
