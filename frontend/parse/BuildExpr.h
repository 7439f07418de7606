// Expressions of the syntax tree, and the places and words that all of its builders need.
#pragma once
#include "Ast.h"
#include "BigmParser.h"
#include "Diagnostics.h"
#include "Operators.h"
#include "Tokens.h"

namespace bigm {

class ExprBuilder {
protected:
  using Parser = generated::BigmParser;
  using ParserRuleContext = antlr4::ParserRuleContext;

  ExprBuilder(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics)
      : sources(sources), text(sources.text(file)), file(file), diagnostics(diagnostics) {}
  ~ExprBuilder() = default;

  /// The body of a `when` or `repeat`.
  virtual std::unique_ptr<ast::Block> block(Parser::BlockContext *c) = 0;

  const SourceManager &sources;
  std::string_view text;
  uint32_t file;
  Diagnostics &diagnostics;

  // Places and words. A name's text is normalised: equivalent Unicode spellings are one name.
  static const Token *token(antlr4::Token *t) { return static_cast<const Token *>(t); }
  SourceRange range(antlr4::Token *t) const { return {file, token(t)->begin(), token(t)->end()}; }
  SourceRange range(ParserRuleContext *c) const;
  std::string written(SourceRange r) const { return std::string(sources.text(r)); }
  std::string wordText(SourceRange r) const;
  ast::Name name(ParserRuleContext *c) const { return {wordText(range(c)), range(c)}; }
  ast::Name name(antlr4::Token *t) const { return {written(range(t)), range(t)}; }

  /// `c` is an expression, a result line or an operand.
  ast::ExprPtr expr(ParserRuleContext *c);
  std::vector<ast::ExprPtr> exprs(Parser::ExprsContext *c);
  ast::ExprPtr reference(Parser::NameContext *c);
  std::unique_ptr<ast::RecordExpr> record(Parser::RecordContext *c);
  std::unique_ptr<ast::NumberExpr> number(antlr4::Token *t);
  std::unique_ptr<ast::StringExpr> string(antlr4::Token *t);

private:
  /// One element of the flat list that the parser makes of an expression.
  struct Part {
    enum Kind { Prefix, Primary, Link } kind;
    antlr4::tree::ParseTree *tree;
  };

  static antlr4::Token *terminal(antlr4::tree::ParseTree *tree);
  SourceRange extent(antlr4::tree::ParseTree *tree) const;
  static void flatten(ParserRuleContext *c, std::vector<Part> &out);
  static ast::BinaryExpr::Op operation(size_t type);
  /// Precedence climbing: the expression that begins at parts[next], as far as its operators bind at least as `least`.
  ast::ExprPtr climb(const std::vector<Part> &parts, size_t &next, Level least);
  ast::ExprPtr binary(ast::BinaryExpr::Op op, SourceRange opRange, ast::ExprPtr left, ast::ExprPtr right);
  /// A member, a call or an index behind `left`.
  ast::ExprPtr extend(ast::ExprPtr left, Parser::LinkContext *link);
  ast::Argument argument(Parser::ArgumentContext *tree);
  ast::ExprPtr item(Parser::ItemContext *tree);
  ast::ExprPtr listOf(ParserRuleContext *tree, const std::vector<Parser::ExprContext *> &elements);
  ast::ExprPtr primary(ParserRuleContext *tree);
  /// `else when` is an `else` whose block holds one `when`.
  ast::ExprPtr when(Parser::WhenContext *c);
  /// Reports it once, and gives something in its place.
  ast::ExprPtr deeperThanAllowed(ParserRuleContext *c);

  unsigned depth = 0;   // of the node that is being built
  bool tooDeep = false; // reported once
};

/// The node of a parse tree as one of its alternatives, or null.
template <class T> T *cast(antlr4::tree::ParseTree *tree) { return dynamic_cast<T *>(tree); }

} // namespace bigm
