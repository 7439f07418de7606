// Parses declaration by declaration. After an error the statement or clause that holds it is left out and the declaration
// read again: what remains is well formed as often as not, so one run finds all mistakes and few that follow from others.
#include "Parse.h"
#include "Attempt.h"
#include "Build.h"
#include "Expected.h"
#include "Tokens.h"
#include <algorithm>

namespace bigm {
namespace {

using Lexer = generated::BigmParser; // its token types
constexpr unsigned kMostErrorsADeclaration = 20;
constexpr size_t kMostErrors = 200; // in a file; the printer shows no more
constexpr size_t kLongestRecovery = 100000; // tokens of a declaration that are read again after an error

const std::vector<std::string> kDeclarationWords = {"use",  "const", "data",  "fit",      "model",
                                                    "fn",   "flow",  "train", "evaluate", "deploy"};

bool isReserved(size_t type) {
  return beginsDeclaration(type) || (type >= Lexer::AND && type <= Lexer::YIELD && type != Lexer::IN);
}

bool continuesLine(size_t type) {
  switch (type) {
  case Lexer::PIPE: case Lexer::ARROW: case Lexer::EQ: case Lexer::NE: case Lexer::LE: case Lexer::GE: case Lexer::LT:
  case Lexer::GT: case Lexer::PLUS: case Lexer::MINUS: case Lexer::STAR: case Lexer::SLASH: case Lexer::POW:
  case Lexer::DOT: case Lexer::COMMA: case Lexer::AND: case Lexer::OR: case Lexer::EACH: case Lexer::ELSE:
  case Lexer::ASSIGN: case Lexer::COLON:
    return true;
  default:
    return false;
  }
}

class DeclarationParser {
public:
  DeclarationParser(const TokenList &list, const Slice &slice, const SourceManager &sources, uint32_t file,
                    Diagnostics &diagnostics)
      : list(list), slice(slice), sources(sources), file(file), diagnostics(diagnostics), next(*list.tokens[slice.last]),
        end(antlr4::Token::EOF, next.begin(), std::max(next.end(), next.begin() + 1)) {}

  /// Null when there was an error.
  ast::DeclPtr run() {
    for (size_t i = slice.first; i < slice.last; ++i)
      tokens.push_back(list.tokens[i].get());
    const Token *suspect = nullptr; // an error here may follow from what was left out
    unsigned errors = 0;
    for (;;) {
      std::vector<Token *> withEnd = tokens;
      withEnd.push_back(&end);
      Attempt attempt(withEnd);
      Attempt::Outcome outcome = attempt.run();
      if (outcome == Attempt::Outcome::TooDeep) {
        diagnostics.error(Diag::NestedTooDeep, range(*withEnd[attempt.errorAt]), {std::to_string(kDeepestTree)});
        return nullptr;
      }
      if (outcome == Attempt::Outcome::Ok) {
        // Bracket errors alone leave a tree that is not to be trusted.
        if (errors > 0 || slice.trustedUpTo != ~0u)
          return nullptr;
        return buildDeclaration(attempt.tree, sources, file, diagnostics);
      }
      Token *at = withEnd[attempt.errorAt];
      if (at->begin() >= slice.trustedUpTo)
        return nullptr;
      size_t index = attempt.errorAt;
      if (at != suspect) {
        if (size_t dangling = danglingOperator(index))
          reportDangling(index = dangling);
        else
          report(attempt, *at);
      }
      ++errors;
      if (errors >= kMostErrorsADeclaration || tokens.size() > kLongestRecovery)
        return nullptr;
      suspect = leaveOut(index);
      if (!suspect || suspect->begin() >= slice.trustedUpTo)
        return nullptr;
    }
  }

private:
  const TokenList &list;
  const Slice &slice;
  const SourceManager &sources;
  uint32_t file;
  Diagnostics &diagnostics;
  const Token &next; // the first token behind this declaration
  Token end;
  std::vector<Token *> tokens;

  SourceRange range(const Token &t) const { return {file, t.begin(), t.end()}; }
  std::string written(const Token &t) const { return std::string(sources.text(range(t))); }

  std::string shown(const Token &t) const {
    if (&t == &end)
      return next.getType() == antlr4::Token::EOF ? "the end of the file" : "`" + written(next) + "`";
    std::string word = written(t);
    if (t.getType() == Lexer::STRING)
      return "a string";
    constexpr size_t kLongest = 40;
    if (word.size() > kLongest) {
      size_t cut = kLongest;
      while (cut > 0 && (static_cast<unsigned char>(word[cut]) & 0xC0) == 0x80)
        --cut;
      word = word.substr(0, cut) + "…";
    }
    return "`" + word + "`";
  }

  /// `y = x +` and then a line `z = ...`: the parser reads `x + z` and stumbles over the `=`, but what is wrong is the
  /// operator. Returns its index, or 0.
  size_t danglingOperator(size_t index) const {
    if (index < 2 || index >= tokens.size())
      return 0;
    size_t type = tokens[index]->getType(), before = tokens[index - 2]->getType();
    bool begins = type == Lexer::ASSIGN || type == Lexer::COLON;
    bool word = tokens[index - 1]->getType() == Lexer::ID || type == Lexer::ASSIGN;
    bool operation = continuesLine(before) && before != Lexer::COMMA && before != Lexer::COLON && before != Lexer::ELSE;
    return begins && word && operation && tokens[index - 1]->firstOnLine ? index - 2 : 0;
  }

  void reportDangling(size_t index) {
    Diagnostic &d = diagnostics.error(Diag::Expected, range(*tokens[index + 1]),
                                      {"an expression", "the next statement"});
    d.notes.push_back({range(*tokens[index]), "this `" + written(*tokens[index]) + "` needs a value behind it"});
  }

  void report(const Attempt &attempt, const Token &at) {
    size_t index = attempt.errorAt;
    std::vector<Token *> before(tokens.begin(), tokens.begin() + static_cast<long>(std::min(index, tokens.size())));
    Expected expected = whatFits(before, at);
    const Token *previous = before.empty() ? nullptr : before.back();
    SourceRange where = &at == &end ? range(next) : range(at);

    // `epoch 3`: a word begins a clause that does not exist.
    if (expected.onlyValue && attempt.inClause && previous && previous->getType() == Lexer::ID) {
      std::string near = clauseElsewhere(written(*previous));
      if (near.empty())
        near = didYouMean(written(*previous), clauseWords());
      diagnostics.error(Diag::UnknownClause, range(*previous), {written(*previous)}).hint =
          near.empty() ? "to name a value, write `" + written(*previous) + " = ...`" : "did you mean `" + near + "`?";
      return;
    }
    bool reserved = isReserved(at.getType());
    if (expected.name && reserved) {
      diagnostics.error(Diag::ReservedWord, where, {written(at)}).hint = "`" + written(at) + "_` would do";
      return;
    }
    Diagnostic &d = diagnostics.error(Diag::Expected, where, {expected.words, shown(at)});
    d.hint = hint(expected, index, at, previous);
  }

  std::string withoutColon(const Token &word) const { return "a clause takes its value without `:`; write `" + written(word) + " ...`"; }

  std::string hint(const Expected &expected, size_t index, const Token &at, const Token *previous) const {
    size_t type = at.getType();
    const Token *following = index + 1 < tokens.size() ? tokens[index + 1] : nullptr;
    bool slash = type == Lexer::SLASH, star = type == Lexer::STAR;
    if (slash && following && (following->getType() == Lexer::SLASH || following->getType() == Lexer::STAR) &&
        following->begin() == at.end())
      return "a comment begins with `#`";
    if ((slash || star) && previous && previous->getType() == Lexer::SLASH && previous->end() == at.begin())
      return "a comment begins with `#`";
    if (star && previous && previous->getType() == Lexer::STAR && previous->end() == at.begin())
      return "a power is written `a ^ b`";
    if ((type == Lexer::ValueParen || type == Lexer::ValueBracket) && expected.operators)
      return "a `" + written(at) + "` that stands first on its line begins a new value: to continue, put it on the line before";
    if (type == Lexer::AT && expected.operators)
      return "a product of matrices is written in index notation: `y[n, o] = sum(i: x[n, i] * w[i, o])`";
    if (type == Lexer::ASSIGN && following && following->getType() == Lexer::GT)
      return "write `>=`";
    if (type == Lexer::ASSIGN && previous && previous->getType() == Lexer::COLON && previous->end() == at.begin())
      return "give it a value with `=`";
    if (type == Lexer::ASSIGN && expected.words.find("`:`") != std::string::npos)
      return "give a value to a name with `:` here";
    if (type == Lexer::ASSIGN && expected.operators)
      return "to compare, write `==`; only a name can be given a value";
    if (type == Lexer::EQ && expected.words.find("`=`") != std::string::npos)
      return "`==` compares; give it a value with `=`";
    if (type == Lexer::COLON && previous && std::ranges::count(clauseWords(), written(*previous)))
      return withoutColon(*previous);
    if (previous && previous->getType() == Lexer::COLON && index > 1 && tokens[index - 2]->firstOnLine &&
        std::ranges::count(clauseWords(), written(*tokens[index - 2])))
      return withoutColon(*tokens[index - 2]);
    if (type == Lexer::COLON && expected.words.find("`=`") != std::string::npos)
      return "give it a value with `=`";
    for (size_t i = std::min(index, tokens.size()); i-- > 0;) {
      if (tokens[i]->getType() == Lexer::IF && i > 0 && tokens[i - 1]->getType() != Lexer::DOT)
        return "a choice is written `when condition { ... } else { ... }`";
      if (tokens[i]->firstOnLine)
        break;
    }
    if (type == Lexer::ELSE)
      return "`else` follows the `}` of a `when`";
    if (isReserved(type) && (expected.anyExpression || expected.words.rfind("a statement", 0) == 0))
      return "`" + written(at) + "` is a reserved word and cannot be a name";
    if (previous && isReserved(previous->getType()) && type == Lexer::ASSIGN)
      return "`" + written(*previous) + "` is a reserved word and cannot be a name";
    if (type == Lexer::COMMA && expected.words.rfind("a statement", 0) == 0)
      return "statements need no `,` between them";
    if (type == Lexer::COMMA && expected.words.rfind("a clause", 0) == 0)
      return "clauses need no `,` between them";
    return {};
  }

  /// Takes the statement or clause around the error out of `tokens`: the lines, directly inside the innermost `{` before
  /// the error, that hold it. Returns the token that now stands there, or null when the error is in no braces.
  const Token *leaveOut(size_t index) {
    // The innermost brace that is open at the error, and for each token whether it stands directly inside it.
    std::vector<size_t> open;
    for (size_t i = 0; i < std::min(index, tokens.size()); ++i) {
      if (opensBracket(tokens[i]->getType()))
        open.push_back(i);
      else if (closesBracket(tokens[i]->getType()) && !open.empty())
        open.pop_back();
    }
    while (!open.empty() && tokens[open.back()]->getType() != Lexer::LBRACE)
      open.pop_back();
    if (open.empty())
      return nullptr;
    size_t first = open.back() + 1, depth = 0, last = tokens.size();
    auto beginsLine = [&](size_t i) { return tokens[i]->firstOnLine && !continuesLine(tokens[i]->getType()); };
    size_t begin = first;
    for (size_t i = first; i < tokens.size(); ++i) {
      size_t type = tokens[i]->getType();
      if (depth == 0 && closesBracket(type)) {
        last = i;
        break;
      }
      if (depth == 0 && i > first && beginsLine(i)) {
        if (i <= index)
          begin = i;
        else {
          last = i;
          break;
        }
      }
      if (opensBracket(type))
        ++depth;
      else if (closesBracket(type))
        --depth;
    }
    // The error may be the closing brace itself: then there is nothing to leave out but what stands before it.
    if (begin >= last)
      return nullptr;
    const Token *follower = last < tokens.size() ? tokens[last] : &end;
    tokens.erase(tokens.begin() + static_cast<long>(begin), tokens.begin() + static_cast<long>(last));
    return follower;
  }
};

void reportNoDeclaration(const TokenList &list, const Slice &slice, const SourceManager &sources, uint32_t file,
                         Diagnostics &diagnostics) {
  const Token &token = *list.tokens[slice.first];
  if (token.begin() >= slice.trustedUpTo)
    return;
  SourceRange where = {file, token.begin(), token.end()};
  std::string word(sources.text(where));
  if (word.size() > 40)
    word = "text";
  Diagnostic &d = diagnostics.error(Diag::ExpectedDeclaration, where,
                                    {token.getType() == Lexer::STRING ? "a string" : "`" + word + "`"});
  std::string near = didYouMean(word, kDeclarationWords);
  bool assigned = slice.first + 1 < slice.last && list.tokens[slice.first + 1]->getType() == Lexer::ASSIGN;
  if (token.getType() == Lexer::SLASH)
    d.hint = "a comment begins with `#`";
  else if (!near.empty())
    d.hint = "did you mean `" + near + "`?";
  else if (assigned)
    d.hint = "to name a value for the whole file, write `const " + word + " = ...`";
  else
    d.hint = "a declaration begins with use, const, data, fit, model, fn, flow, train, evaluate or deploy";
}

} // namespace

std::unique_ptr<ast::File> parseFile(SourceManager &sources, uint32_t file, Diagnostics &diagnostics) {
  size_t before = diagnostics.all().size();
  TokenList list = readTokens(sources, file, diagnostics);
  if (!list.usable)
    return nullptr;
  auto result = std::make_unique<ast::File>();
  result->file = file;
  for (const Slice &slice : list.slices) {
    if (diagnostics.all().size() - before >= kMostErrors)
      break;
    if (!slice.declaration) {
      reportNoDeclaration(list, slice, sources, file, diagnostics);
      continue;
    }
    if (ast::DeclPtr declaration = DeclarationParser(list, slice, sources, file, diagnostics).run())
      result->decls.push_back(std::move(declaration));
  }
  return diagnostics.all().size() == before ? std::move(result) : nullptr;
}

} // namespace bigm
