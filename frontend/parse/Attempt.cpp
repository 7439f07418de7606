// Prediction runs in SLL mode first, which caches well and is right for nearly every input; when that fails the text is
// parsed again with full LL, and only its verdict counts as an error.
#include "Attempt.h"

namespace bigm {
namespace {

struct SyntaxStop {
  size_t at;
  bool inClause;
};
struct DepthStop {
  size_t at;
};

/// When no alternative survives, ANTLR by default takes one that leaves the rule, and the error shows up later at an
/// earlier token. Ours fails where the last alternative died.
class ExactSimulator : public antlr4::atn::ParserATNSimulator {
public:
  ExactSimulator(antlr4::Parser *parser, antlr4::atn::ParserATNSimulator &like)
      : ParserATNSimulator(parser, like.atn, like.decisionToDFA, like.getSharedContextCache()) {}

protected:
  size_t getAltThatFinishedDecisionEntryRule(antlr4::atn::ATNConfigSet *) override {
    return antlr4::atn::ATN::INVALID_ALT_NUMBER;
  }
};

class StopAtFirst : public antlr4::ANTLRErrorStrategy {
public:
  void reset(antlr4::Parser *) override {}
  antlr4::Token *recoverInline(antlr4::Parser *parser) override {
    stop(parser, parser->getCurrentToken()->getTokenIndex());
  }
  void recover(antlr4::Parser *parser, std::exception_ptr e) override {
    size_t at = parser->getTokenStream()->index();
    try {
      std::rethrow_exception(e);
    } catch (const antlr4::RecognitionException &error) {
      if (error.getOffendingToken())
        at = error.getOffendingToken()->getTokenIndex();
    }
    stop(parser, at);
  }
  void sync(antlr4::Parser *) override {}
  bool inErrorRecoveryMode(antlr4::Parser *) override { return false; }
  void reportMatch(antlr4::Parser *) override {}
  void reportError(antlr4::Parser *, const antlr4::RecognitionException &) override {}

private:
  [[noreturn]] void stop(antlr4::Parser *parser, size_t at) {
    antlr4::ParserRuleContext *context = parser->getContext();
    // `epoch 3`: the word was read as a name, and the clause is one level up.
    if (context && context->getRuleIndex() == generated::BigmParser::RuleAssignment)
      context = dynamic_cast<antlr4::ParserRuleContext *>(context->parent);
    bool inClause = context && context->getRuleIndex() == generated::BigmParser::RuleClause;
    throw SyntaxStop{at, inClause};
  }
};

} // namespace

/// Bounds how deep rules nest, so that no input overflows the stack. Expressions and types are the only rules that can
/// nest without a bracket (`when when when`, `list<list<...`), so it is enough to look when one of them begins.
class Attempt::GuardedParser : public generated::BigmParser {
public:
  explicit GuardedParser(antlr4::TokenStream *input) : BigmParser(input) {}
  void enterRule(antlr4::ParserRuleContext *context, size_t state, size_t rule) override {
    if (rule == RuleExpr || rule == RuleBaseType)
      checkDepth(context);
    BigmParser::enterRule(context, state, rule);
  }

private:
  // A bracket opens at most six rules; 256 of them stay below this, and the stack below 2 MB.
  static constexpr int kDeepestRules = 2000;
  void checkDepth(antlr4::ParserRuleContext *context) {
    if (static_cast<int>(context->depth()) > kDeepestRules)
      throw DepthStop{getTokenStream()->index()};
  }
};

Attempt::Attempt(std::vector<Token *> tokens) : view(std::move(tokens)) {
  // Indices count from the start of the view.
  for (size_t i = 0; i < view.size(); ++i)
    static_cast<Token *>(view.get(i))->setTokenIndex(i);
}
Attempt::~Attempt() = default;

Attempt::Outcome Attempt::run() {
  for (auto mode : {antlr4::atn::PredictionMode::SLL, antlr4::atn::PredictionMode::LL}) {
    view.seek(0);
    parser = std::make_unique<GuardedParser>(&view);
    parser->removeErrorListeners();
    parser->setErrorHandler(std::make_shared<StopAtFirst>());
    auto *simulator = new ExactSimulator(parser.get(), *parser->getInterpreter<antlr4::atn::ParserATNSimulator>());
    simulator->setPredictionMode(mode);
    parser->setInterpreter(simulator); // owns it
    try {
      tree = parser->oneDeclaration()->declaration();
      return Outcome::Ok;
    } catch (const SyntaxStop &stop) {
      errorAt = stop.at;
      inClause = stop.inClause;
    } catch (const DepthStop &stop) {
      errorAt = stop.at;
      return Outcome::TooDeep;
    }
  }
  return Outcome::SyntaxError;
}

} // namespace bigm
