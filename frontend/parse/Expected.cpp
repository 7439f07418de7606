// The parser generator's own sets of expected tokens are too wide (every word may be a name) and, where the decision fell
// late, about the wrong place. So we try: a token fits if, put in the place of the wrong one, the parser reads past it.
// A dozen and a half tries tell all categories apart, and they happen only when there is an error.
#include "Expected.h"
#include "Attempt.h"

namespace bigm {
namespace {

using Parser = generated::BigmParser;
constexpr size_t kLongestTry = 20000; // tokens before the error; beyond, the general message must do

class Tries {
public:
  Tries(const std::vector<Token *> &before, const Token &at)
      : tokens(before), candidate(0, at.begin(), at.end()), end(antlr4::Token::EOF, at.end(), at.end()) {
    tokens.push_back(&candidate);
    tokens.push_back(&end);
  }
  bool fits(size_t type) {
    candidate.setType(type);
    Attempt attempt(tokens);
    return attempt.run() == Attempt::Outcome::Ok || attempt.errorAt >= tokens.size() - 1;
  }

private:
  std::vector<Token *> tokens;
  Token candidate, end;
};

std::string oneOf(const std::vector<std::string> &words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i)
    out += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return out;
}

} // namespace

Expected whatFits(const std::vector<Token *> &before, const Token &at) {
  Expected out;
  out.words = "another word or sign";
  if (before.size() > kLongestTry)
    return out;
  Tries tries(before, at);
  bool number = tries.fits(Parser::NUMBER), id = tries.fits(Parser::ID), word = tries.fits(Parser::USE);
  bool closeBrace = tries.fits(Parser::RBRACE), openBrace = tries.fits(Parser::LBRACE);
  bool anyDeclaration = tries.fits(Parser::DEPLOY) && tries.fits(Parser::CONST) && !id;
  out.operators = tries.fits(Parser::PIPE);
  out.parenthesis = tries.fits(Parser::LPAREN);

  std::vector<std::string> words;
  if (anyDeclaration)
    words.push_back("a declaration");
  else if (tries.fits(Parser::YIELD) && !word)
    words.push_back("a statement");
  else if (closeBrace && id && !number)
    words.push_back(word ? "a field" : "a clause");
  else if (number && id) {
    words.push_back("an expression");
    out.anyExpression = true;
  } else if (number)
    words.push_back("a number");
  else if (id && openBrace && !out.operators)
    words.push_back("a type");
  else if (id && !out.operators) {
    words.push_back("a name");
    out.name = true;
  }
  if (tries.fits(Parser::STRING) && !number)
    words.push_back("a string");

  // Signs and words of the grammar that may stand here. After an expression the operators always may; they are not told,
  // and neither is a bracket that would continue it.
  static const std::pair<size_t, const char *> kSigns[] = {
      {Parser::ASSIGN, "`=`"},   {Parser::COLON, "`:`"},     {Parser::COMMA, "`,`"},   {Parser::RPAREN, "`)`"},
      {Parser::RBRACKET, "`]`"}, {Parser::ARROW, "`->`"},    {Parser::ON, "`on`"},     {Parser::FROM, "`from`"},
      {Parser::WHEN, "`when`"},  {Parser::FOR, "`for`"},     {Parser::IN, "`in`"},     {Parser::BY, "`by`"},
      {Parser::PRESENT, "`present`"}, {Parser::KEEP, "`keep`"}, {Parser::CALIBRATE, "`calibrate`"}, {Parser::LEARN, "`learn`"},
  };
  bool anyName = id; // then every word fits, which says nothing
  bool start = !words.empty() && (words[0] == "a statement" || words[0] == "a clause"); // `=` and `:` would belong to one
  for (auto [type, shown] : kSigns) {
    bool isWord = type == Parser::ON || type == Parser::FROM || type == Parser::BY || type == Parser::PRESENT ||
                  type == Parser::KEEP || type == Parser::CALIBRATE || type == Parser::LEARN || type == Parser::WHEN || type == Parser::FOR || type == Parser::IN;
    bool startSign = type == Parser::ASSIGN || type == Parser::COLON;
    if ((isWord && anyName) || (startSign && start) || (type == Parser::ARROW && out.operators) || !tries.fits(type))
      continue;
    words.push_back(shown);
  }
  const size_t ofValue = size_t(tries.fits(Parser::ASSIGN)) + size_t(tries.fits(Parser::COLON));
  out.onlyValue = tries.fits(Parser::ASSIGN) && words.size() == ofValue;
  if (out.parenthesis && !out.operators && !number)
    words.push_back("`(`");
  if (openBrace && !number && !(id && !out.operators))
    words.push_back("`{`");
  if (closeBrace)
    words.push_back("`}`");
  out.onlyValue &= words.size() == ofValue;
  if (words.empty() && tries.fits(antlr4::Token::EOF))
    words.push_back("the next declaration");
  if (words.empty() && tries.fits(Parser::LT))
    words.push_back("`<`");
  if (words.empty() && tries.fits(Parser::GT))
    words.push_back("`>`");
  if (!words.empty())
    out.words = oneOf(words);
  return out;
}

} // namespace bigm
