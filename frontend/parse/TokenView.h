// A run of tokens as the parser wants them. Nothing is copied, so parsing a part again costs no more than parsing it.
#pragma once
#include "Tokens.h"
#include <vector>

namespace bigm {

class TokenView : public antlr4::TokenStream {
public:
  /// The last token must be an end of file.
  explicit TokenView(std::vector<Token *> tokens) : tokens(std::move(tokens)) {}

  antlr4::Token *LT(ssize_t k) override {
    ssize_t i = static_cast<ssize_t>(at) + (k > 0 ? k - 1 : k);
    if (k == 0 || i < 0)
      return nullptr;
    return tokens[std::min(static_cast<size_t>(i), tokens.size() - 1)];
  }
  size_t LA(ssize_t k) override {
    antlr4::Token *token = LT(k);
    return token ? token->getType() : 0;
  }
  void consume() override {
    if (at + 1 < tokens.size())
      ++at;
  }
  size_t index() override { return at; }
  void seek(size_t index) override { at = std::min(index, tokens.size() - 1); }
  size_t size() override { return tokens.size(); }
  ssize_t mark() override { return 0; }
  void release(ssize_t) override {}
  antlr4::Token *get(size_t index) const override { return tokens[index]; }
  antlr4::TokenSource *getTokenSource() const override { return nullptr; }
  std::string getSourceName() const override { return {}; }
  std::string getText(const antlr4::misc::Interval &) override { return {}; }
  std::string getText() override { return {}; }
  std::string getText(antlr4::RuleContext *) override { return {}; }
  std::string getText(antlr4::Token *, antlr4::Token *) override { return {}; }

private:
  std::vector<Token *> tokens;
  size_t at = 0;
};

} // namespace bigm
