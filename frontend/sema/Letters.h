// The letters of one statement in index notation, and how large each of them is.
//
// A size comes from the uses: a letter alone in an index counts that dimension; in `x[i*stride + a]` it is what still
// fits when the other letters are known. The statement is walked once to collect the uses, then evaluated.
#pragma once
#include "Checker.h"

namespace bigm::sema {

/// Sum of coefficient * letter, plus a number or what is made of sizes.
struct AffineForm {
  std::map<Letter *, int64_t> terms;
  Dim offset = 0;
};

struct Checker::IndexEnv {
  Checker &checker;
  explicit IndexEnv(Checker &c) : checker(c) {}

  Letter *add(const std::string &name, SourceRange where);
  Letter *find(const std::string &name) const;
  /// Walks an expression: evaluates the tensors that are indexed, makes letters of `sum(k: ...)`, notes the uses.
  void collect(const ast::Expr &e, const ScopePtr &scope);
  void collect(const ast::Block &b, const ScopePtr &scope);
  /// Sizes all letters from their uses and checks that the uses agree; false after an error.
  bool size();
  /// The index as letters; nothing when it is something else. `symbolic` is set when a factor, or in a
  /// model that is checked on its own a summand, is not a known number.
  std::optional<AffineForm> affine(const ast::Expr &e, const ScopePtr &scope);

  std::vector<std::unique_ptr<Letter>> letters;
  std::vector<std::map<std::string, Letter *>> visible = {{}};
  std::map<const ast::CallExpr *, std::vector<Letter *>> reductions;
  std::map<const ast::IndexExpr *, Val> bases;
  bool failed = false, symbolic = false;

private:
  struct Use {
    AffineForm form;
    Dim dim;
    SourceRange where;
  };
  std::vector<Use> uses;
};

/// Each once, in the order in which the statement names them.
std::vector<Letter *> sorted(std::vector<Letter *> letters);
std::vector<Dim> sizes(const std::vector<Letter *> &letters);
/// Over dimensions that these letters are; the offset is a number.
AffineIndex toIndex(const AffineForm &form, const std::vector<Letter *> &dims);

/// Name of a reduction with letters -> operation.
bool isReductionName(const std::string &name);
/// The letters of `sum(a, b: value)`, in order.
std::vector<ast::Name> reductionLetters(const ast::CallExpr &e);

} // namespace bigm::sema
