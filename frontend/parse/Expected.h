// What could have stood where an error is, in a user's words.
#pragma once
#include "Tokens.h"
#include <string>
#include <vector>

namespace bigm {

struct Expected {
  std::string words;        // "an expression", "`,` or `)`", ...; never empty
  bool name = false;        // a name was wanted
  bool anyExpression = false; // an expression was wanted
  bool parenthesis = false; // a call's `(` could have stood here
  bool onlyValue = false;   // nothing but `=`, perhaps behind a type
  bool operators = false;   // an expression ended here
};

/// `before` are the tokens of the declaration up to the error, `at` the one that cannot stand there.
Expected whatFits(const std::vector<Token *> &before, const Token &at);

} // namespace bigm
