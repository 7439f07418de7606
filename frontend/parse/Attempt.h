// One run of the generated parser over a view, which ends at the first error: no recovery of ANTLR's is used, because
// the compiler recovers by whole statements (Parse.cpp) and words its own messages (Expected.cpp).
#pragma once
#include "BigmParser.h"
#include "TokenView.h"

namespace bigm {

class Attempt {
public:
  explicit Attempt(std::vector<Token *> tokens);
  ~Attempt();

  enum class Outcome { Ok, SyntaxError, TooDeep };
  Outcome run();

  /// After Ok; lives as long as this object.
  generated::BigmParser::DeclarationContext *tree = nullptr;
  /// After an error: the index in the view of the token that cannot stand there, and whether the parser was about to read
  /// a clause when it met it.
  size_t errorAt = 0;
  bool inClause = false;

private:
  class GuardedParser;
  TokenView view;
  std::unique_ptr<GuardedParser> parser;
};

} // namespace bigm
