// The lexer sees ASCII only (lexerText), byte for byte; what stands beyond is looked at here.
#include "Tokens.h"
#include "BigmLexer.h"
#include "BigmParser.h"
#include "Parse.h"
#include <map>
#include <utf8proc.h>

namespace bigm {
namespace {

using Lexer = generated::BigmParser; // its token types: it knows those that the filter makes
constexpr size_t kMostBadCharacters = 20; // a file with more is not in this language

std::string hex(unsigned value, int digits) {
  char buffer[16];
  snprintf(buffer, sizeof buffer, "%0*X", digits, value);
  return buffer;
}

/// Checks that the bytes are UTF-8 without zero bytes.
bool checkText(const std::string_view text, uint32_t file, Diagnostics &diagnostics) {
  for (size_t i = 0; i < text.size();) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte > 0 && byte < 0x80) {
      ++i;
      continue;
    }
    uint32_t at = static_cast<uint32_t>(i);
    if (byte == 0) {
      diagnostics.error(Diag::NulByte, {file, at, at + 1});
      return false;
    }
    utf8proc_int32_t point = -1;
    auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(text.data() + i),
                              static_cast<utf8proc_ssize_t>(text.size() - i), &point);
    if (n <= 0 || point < 0) {
      diagnostics.error(Diag::InvalidUtf8, {file, at, at + 1}, {"0x" + hex(byte, 2)}).hint = "save the file as UTF-8";
      return false;
    }
    i += static_cast<size_t>(n);
  }
  return true;
}

/// What the lexer reads: as many bytes, all of them ASCII, so that its offsets are ours. Beyond ASCII there are spaces (the
/// no-break space and the byte order mark) and what may stand in a name, comment or string: U+0001.
std::string lexerText(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 1)
      out[i] = 2;
    if (static_cast<unsigned char>(out[i]) < 0x80)
      continue;
    size_t space = text.substr(i, 2) == "\xC2\xA0" ? 2 : text.substr(i, 3) == "\xEF\xBB\xBF" ? 3 : 0;
    if (space == 0) {
      out[i] = 1;
      continue;
    }
    std::fill_n(out.begin() + static_cast<long>(i), space, ' ');
    i += space - 1;
  }
  return out;
}

/// What to write instead of a character that the language does not have.
std::string instead(const std::string &character) {
  static const std::map<std::string, std::string> table = {
      {";", "statements and clauses need no `;` between them"},
      {"'", "a string stands in double quotes"},
      {"“", "a string stands in straight double quotes: \""},
      {"”", "a string stands in straight double quotes: \""},
      {"„", "a string stands in straight double quotes: \""},
      {"&", "write `and`"},
      {"|", "write `or`, or `|>` to apply a function to what stands before it"},
      {"!", "write `not`"},
      {"%", "`%` belongs to a number, as in `10%`; a remainder is `mod(a, b)`"},
      {"−", "write `-`"},
      {"–", "write `-`"},
      {"×", "write `*`"},
      {"·", "write `*`"},
      {"÷", "write `/`"},
      {"≤", "write `<=`"},
      {"≥", "write `>=`"},
      {"≠", "write `!=`"},
      {"→", "write `->`"},
      {"…", "write three dots: `...`"},
  };
  auto it = table.find(character);
  return it == table.end() ? "" : it->second;
}

void reportCharacter(std::string_view text, uint32_t file, uint32_t begin, uint32_t end, Diagnostics &diagnostics) {
  std::string character(text.substr(begin, end - begin));
  utf8proc_int32_t point = 0;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &point);
  bool printable = point > 32 && point != 0x7F && utf8proc_charwidth(point) > 0;
  std::string shown = printable ? "`" + character + "`" : "U+" + hex(static_cast<unsigned>(point), 4);
  diagnostics.error(Diag::UnexpectedCharacter, {file, begin, end}, {shown}).hint = instead(character);
}

bool partOfName(utf8proc_int32_t point, bool first) {
  switch (utf8proc_category(point)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return true;
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
    return !first;
  default:
    return false;
  }
}

size_t closerOf(size_t type) {
  return type == Lexer::LPAREN || type == Lexer::ValueParen       ? Lexer::RPAREN
         : type == Lexer::LBRACKET || type == Lexer::ValueBracket ? Lexer::RBRACKET
                                                                 : Lexer::RBRACE;
}

/// Checks the characters of a name beyond ASCII. Returns false when none of its characters can stand in a name.
bool checkName(std::string_view text, uint32_t file, uint32_t begin, uint32_t end, size_t &badCharacters,
               Diagnostics &diagnostics) {
  bool good = false;
  for (uint32_t i = begin; i < end && badCharacters < kMostBadCharacters;) {
    utf8proc_int32_t point = static_cast<unsigned char>(text[i]);
    uint32_t n = 1;
    if (point >= 0x80)
      n = static_cast<uint32_t>(utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(text.data() + i),
                                                 static_cast<utf8proc_ssize_t>(end - i), &point));
    if (point < 0x80 || partOfName(point, i == begin)) {
      good = true;
    } else {
      reportCharacter(text, file, i, i + n, diagnostics);
      ++badCharacters;
    }
    i += n;
  }
  return good;
}

/// Whether an operator, a call or an index may follow the last token on its line. A word of a clause may look so.
bool endsOperand(const std::vector<std::unique_ptr<Token>> &tokens) {
  if (tokens.empty())
    return false;
  size_t type = tokens.back()->getType();
  if (type >= Lexer::USE && type <= Lexer::YIELD) // reserved, but a name behind a dot
    return tokens.size() > 1 && tokens[tokens.size() - 2]->getType() == Lexer::DOT;
  return (type > Lexer::YIELD && type < Lexer::LPAREN) || type == Lexer::ID || type == Lexer::NUMBER ||
         type == Lexer::STRING || closesBracket(type);
}

/// Matches brackets and cuts the list into declarations.
class Cutter {
public:
  Cutter(TokenList &list, std::string_view text, const std::vector<uint32_t> &openStrings, uint32_t file,
         Diagnostics &diagnostics)
      : list(list), text(text), openStrings(openStrings), file(file), diagnostics(diagnostics) {}

  void run() {
    size_t end = list.tokens.size() - 1;
    for (size_t i = 0; i < end; ++i) {
      const Token &token = *list.tokens[i];
      if (startsDeclaration(i)) {
        if (!open.empty())
          reportUnclosed(&token);
        finishSlice(i);
      }
      if (token.getType() == Lexer::MINUS && looksLikeSign(i))
        diagnostics.error(Diag::AmbiguousMinus, range(i)).hint =
            "for a new value write `(-x)`; to continue put a space behind it: `- x`";
      if (opensBracket(token.getType())) {
        open.push_back(i);
        if (open.size() > kDeepestBrackets) {
          diagnostics.error(Diag::NestedTooDeep, range(i), {std::to_string(kDeepestBrackets)}).hint =
              "give the inner parts names of their own";
          list.usable = false;
          return;
        }
      } else if (closesBracket(token.getType())) {
        close(i);
      }
    }
    if (!open.empty())
      reportUnclosed(nullptr);
    finishSlice(end);
  }

private:
  TokenList &list;
  std::string_view text;
  const std::vector<uint32_t> &openStrings; // where they begin
  uint32_t file;
  Diagnostics &diagnostics;
  std::vector<size_t> open;
  size_t sliceStart = 0;
  uint32_t trustedUpTo = ~0u;

  SourceRange range(size_t i) const { return {file, list.tokens[i]->begin(), list.tokens[i]->end()}; }
  std::string written(size_t i) const { return std::string(text.substr(list.tokens[i]->begin(), 1)); }
  void distrust(size_t i) { trustedUpTo = std::min(trustedUpTo, list.tokens[i]->begin()); }

  /// A declaration's word begins one outside brackets, or at the first column: whoever forgot a `}` still indents.
  bool startsDeclaration(size_t i) const {
    if (!beginsDeclaration(list.tokens[i]->getType()))
      return straysHere(i);
    if (i > sliceStart) {
      size_t before = list.tokens[i - 1]->getType();
      if (before == Lexer::DOT || (i - 1 == sliceStart && beginsDeclaration(before)))
        return false;
    }
    if (open.empty())
      return true;
    return list.tokens[i]->firstColumn && list.tokens[i + 1]->getType() != Lexer::COLON;
  }

  /// A name at the first column, outside brackets and after something complete: a misspelt declaration.
  bool straysHere(size_t i) const {
    if (!open.empty() || i == sliceStart || !list.tokens[i]->firstColumn || list.tokens[i]->getType() != Lexer::ID)
      return false;
    size_t before = list.tokens[i - 1]->getType();
    return before == Lexer::ID || before == Lexer::NUMBER || before == Lexer::STRING || closesBracket(before);
  }

  /// A minus first on its line, directly inside braces, behind something complete and glued to what follows: the
  /// grammar continues the line above, and the author most likely meant a value.
  bool looksLikeSign(size_t i) const {
    const Token &minus = *list.tokens[i];
    if (!minus.firstOnLine || i == 0 || open.empty() || list.tokens[i + 1]->begin() != minus.end())
      return false;
    size_t bracket = list.tokens[open.back()]->getType(), before = list.tokens[i - 1]->getType();
    return bracket == Lexer::LBRACE &&
           (before == Lexer::ID || before == Lexer::NUMBER || before == Lexer::STRING || closesBracket(before));
  }

  void finishSlice(size_t end) {
    if (end > sliceStart)
      list.slices.push_back(
          {sliceStart, end, beginsDeclaration(list.tokens[sliceStart]->getType()), trustedUpTo});
    sliceStart = end;
    trustedUpTo = ~0u;
  }

  /// A string without an end may have swallowed brackets between the slice's start and here.
  bool brokenByString(uint32_t here) const {
    auto it = std::lower_bound(openStrings.begin(), openStrings.end(), list.tokens[sliceStart]->begin());
    return it != openStrings.end() && *it < here;
  }

  void reportUnclosed(const Token *next) {
    distrust(open.back());
    if (brokenByString(next ? next->begin() : list.tokens.back()->begin())) {
      open.clear();
      return;
    }
    Diagnostic &d = diagnostics.error(Diag::UnclosedBracket, range(open.back()), {written(open.back())});
    if (next)
      d.notes.push_back({{file, next->begin(), next->end()}, "the next declaration begins here"});
    d.hint = "close it with `" + closer(open.back()) + "`";
    open.clear();
  }

  std::string closer(size_t i) const {
    size_t type = closerOf(list.tokens[i]->getType());
    return type == Lexer::RPAREN ? ")" : type == Lexer::RBRACKET ? "]" : "}";
  }

  void close(size_t i) {
    size_t type = list.tokens[i]->getType();
    if (!open.empty() && closerOf(list.tokens[open.back()]->getType()) == type) {
      open.pop_back();
      return;
    }
    if (open.empty()) {
      if (trustedUpTo == ~0u && !brokenByString(list.tokens[i]->begin()))
        diagnostics.error(Diag::UnmatchedBracket, range(i), {written(i)});
      distrust(i);
      return;
    }
    // One report a declaration: what follows a wrong bracket is guesswork.
    if (trustedUpTo == ~0u && !brokenByString(list.tokens[i]->begin()))
      diagnostics.error(Diag::WrongBracket, range(i), {closer(open.back()), written(open.back()), written(i)})
          .notes.push_back({range(open.back()), "opened here"});
    distrust(open.back());
    for (size_t k = open.size(); k-- > 0;)
      if (closerOf(list.tokens[open[k]]->getType()) == type) {
        open.resize(k);
        break;
      }
  }
};

} // namespace

bool beginsDeclaration(size_t type) {
  switch (type) {
  case Lexer::USE:
  case Lexer::CONST:
  case Lexer::DATA:
  case Lexer::FIT:
  case Lexer::MODEL:
  case Lexer::FN:
  case Lexer::FLOW:
  case Lexer::TRAIN:
  case Lexer::EVALUATE:
  case Lexer::DEPLOY:
    return true;
  default:
    return false;
  }
}

bool opensBracket(size_t type) {
  return type == Lexer::LPAREN || type == Lexer::LBRACKET || type == Lexer::LBRACE || type == Lexer::ValueParen ||
         type == Lexer::ValueBracket || type == Lexer::TightBrace;
}
bool closesBracket(size_t type) { return type == Lexer::RPAREN || type == Lexer::RBRACKET || type == Lexer::RBRACE; }

TokenList readTokens(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics) {
  std::string_view text = sources.text(file);
  TokenList list;
  if (!checkText(text, file, diagnostics)) {
    list.usable = false;
    return list;
  }
  antlr4::ANTLRInputStream input(lexerText(text));
  generated::BigmLexer lexer(&input);
  lexer.removeErrorListeners();
  std::vector<uint32_t> openStrings;
  size_t badCharacters = 0, line = 0;
  for (;;) {
    std::unique_ptr<antlr4::Token> next = lexer.nextToken();
    size_t type = next->getType();
    if (type == antlr4::Token::EOF) {
      auto end = static_cast<uint32_t>(text.size());
      list.tokens.push_back(std::make_unique<Token>(type, end, end));
      list.tokens.back()->firstOnLine = true;
      break;
    }
    auto begin = static_cast<uint32_t>(next->getStartIndex()), end = static_cast<uint32_t>(next->getStopIndex() + 1);
    if (type == Lexer::UNKNOWN) {
      reportCharacter(text, file, begin, end, diagnostics);
      if (++badCharacters >= kMostBadCharacters) {
        list.usable = false;
        return list;
      }
      continue;
    }
    if (type == Lexer::OPEN_STRING) {
      diagnostics.error(Diag::UnterminatedString, {file, begin, end}).hint = "close it with `\"`";
      type = Lexer::STRING;
      openStrings.push_back(begin);
    }
    if (type == Lexer::ID && !checkName(text, file, begin, end, badCharacters, diagnostics)) {
      if (badCharacters >= kMostBadCharacters) {
        list.usable = false;
        return list;
      }
      continue;
    }
    bool firstOnLine = next->getLine() != line;
    line = next->getLine();
    bool continues = endsOperand(list.tokens);
    if (type == Lexer::LPAREN && (firstOnLine || !continues))
      type = Lexer::ValueParen;
    else if (type == Lexer::LBRACKET && (firstOnLine || !continues))
      type = Lexer::ValueBracket;
    else if (type == Lexer::MINUS && !continues)
      type = Lexer::Sign;
    if (type == Lexer::LBRACE && !list.tokens.empty() && list.tokens.back()->end() == begin &&
        text.substr(list.tokens.back()->begin(), begin - list.tokens.back()->begin()) == "label")
      type = Lexer::TightBrace;
    if (list.tokens.size() == kMostTokens) {
      diagnostics.error(Diag::FileTooLong, {file, begin, end}, {std::to_string(kMostTokens)}).hint =
          "numbers in such quantity belong in a data file";
      list.usable = false;
      return list;
    }
    list.tokens.push_back(std::make_unique<Token>(type, begin, end));
    list.tokens.back()->firstOnLine = firstOnLine;
    list.tokens.back()->firstColumn = next->getCharPositionInLine() == 0;
    list.tokens.back()->setTokenIndex(list.tokens.size() - 1);
  }
  Cutter(list, text, openStrings, file, diagnostics).run();
  return list;
}

} // namespace bigm
