// The tree of a program as a document. Comments are taken from the source in order: at each item of a list (statements,
// clauses, fields, arguments, stages of a pipeline) those before it go on lines of their own, the one behind it to the end
// of its line. A comment elsewhere moves to the next such place; none is lost. So every method is called in source order.
#pragma once
#include "Ast.h"
#include "ListLayout.h"
#include "Operators.h"
#include "Source.h"

namespace bigm {

class Formatter : private ListLayout {
public:
  Formatter(const ast::File &file, const SourceManager &sources)
      : ListLayout(sources.text(file.file)), file(file), sources(sources) {}

  std::string run();

private:
  const ast::File &file;
  const SourceManager &sources;
  bool bareEach = false;    // set just before the value of an argument
  bool inDimension = false; // of a type

  // Format.cpp: declarations and their clauses
  struct Rendered {
    std::string text;
    bool blankBefore;
    std::string head; // of a short `fit a = ...` or `const a = ...`: what stands before its `=`
  };
  Rendered render(const ast::Decl &d);

  /// The `=` of short declarations of one kind on neighbouring lines stand in one column.
  void alignDeclarations(std::vector<Rendered> &items);
  Doc declaration(const ast::Decl &d);
  Doc annotation(const ast::Type *t);

  /// One rule a line, or all on one, as the author began; the arrows are aligned as `=` is.
  Doc renames(const ast::InstanceDecl &d);
  Doc callable(const std::string &word, const ast::CallableDecl &c);
  Doc parameters(const std::vector<ast::Parameter> &list);

  Doc commas(const std::vector<ast::ExprPtr> &list);

  /// The braces of a declaration's clauses end where the declaration does.
  Doc clauses(const std::vector<ast::Clause> &list, SourceRange whole);
  Entry clause(const ast::Clause &c);
  Doc clauseTail(const ast::Clause &c);

  /// `int8 { calibrate digits.valid  keep embed }`, `adamw(lr: 1e-3) { learn embed }`.
  Doc withOptions(const ast::Clause &c);

  // FormatExpr.cpp: statements, expressions, types
  Doc block(const ast::Block &b, bool ownGroup = true);
  Entry statement(const ast::Stmt &s, bool first);

  /// `least`: how tightly `e` must bind to stand without parentheses. `guard`: a minus at its very start needs them.
  Doc expr(const ast::Expr &e, Level least = Level::Top, bool guard = false);

  Doc value(const ast::Expr &e);
  Doc bare(const ast::Expr &e, bool guard);

  /// A head that does not fit has a clause on each line.
  Doc scan(const ast::ScanExpr &s);

  /// All branches are on one line or none is.
  Doc when(const ast::WhenExpr &w);
  Entry argument(const ast::Argument &a);
  Doc items(const std::string &open, const std::string &close, const std::vector<ast::ExprPtr> &list);

  /// Operators of one level, `a |> f |> g`: as many on a line as fit. Where the author began a line with `|>`, it stays.
  Doc chain(const ast::BinaryExpr &e, bool guard);

  /// `2/255` reads as one number.
  static bool isFraction(const ast::BinaryExpr &e);

  Entry fieldEntry(const ast::Name &name, const ast::Type &t, const ast::Expr *otherwise = nullptr);

  /// A class as it is written: `cat`, `"B-loc"`, `3`.
  std::string className(const ast::Name &c) const;
  Doc type(const ast::Type &t);

  /// Dimensions read as one word: `T/4`, `2*D`. Everything else in them is written as usual.
  Doc dimension(const ast::Expr &e);
};

} // namespace bigm
