// The syntax tree: what the user wrote, with nothing resolved.
//
// The parser builds it, the formatter and the checker read it. No ANTLR type appears here, so that only the parser
// knows the parser generator. Nodes are plain structs with a kind tag; `as<T>(node)` casts (null when it is another
// kind). A child is never null unless its comment says "may be null".
#pragma once
#include "Source.h"
#include <memory>
#include <string>
#include <vector>

namespace bigm::ast {

struct Name {
  std::string text;
  SourceRange range;
};

// ---------------------------------------------------------------- expressions
struct Block;
struct Expr {
  enum class Kind { Number, String, Ref, Member, Call, Index, Unary, Binary, List, Record, When, Repeat, For, Scan, Range, All };
  Kind kind;
  SourceRange range;
  virtual ~Expr() = default;

protected:
  explicit Expr(Kind k) : kind(k) {}
};
using ExprPtr = std::unique_ptr<Expr>;

template <class T, class Base> T *as(Base *e) { return e && e->kind == T::kKind ? static_cast<T *>(e) : nullptr; }
template <class T, class Base> const T *as(const Base *e) {
  return e && e->kind == T::kKind ? static_cast<const T *>(e) : nullptr;
}

/// `12`, `1e-3`, `8deg`, `10%`, `16kHz`. `value` is as written, the unit not yet applied.
struct NumberExpr : Expr {
  static constexpr Kind kKind = Kind::Number;
  double value = 0;
  bool isInteger = false; // no point and no exponent
  std::string unit;       // "", "%", "deg", "kHz", "Hz", "ms", "s", ...
  std::string text;       // as written, for the formatter
  NumberExpr() : Expr(kKind) {}
};
/// `"text"`, escapes resolved.
struct StringExpr : Expr {
  static constexpr Kind kKind = Kind::String;
  std::string value;
  StringExpr() : Expr(kKind) {}
};
/// A bare name: a variable, a declaration, `true`, `false`, `none`, or a word such as `macro`.
struct RefExpr : Expr {
  static constexpr Kind kKind = Kind::Ref;
  std::string name;
  RefExpr() : Expr(kKind) {}
};
/// `base.name`
struct MemberExpr : Expr {
  static constexpr Kind kKind = Kind::Member;
  ExprPtr base;
  Name member;
  MemberExpr() : Expr(kKind) {}
};
/// One argument: `value`, `name: value`, or `a.b: value` (label is then an expression, as in `counts(news.train: x)`).
struct Argument {
  Name name;      // empty when positional
  ExprPtr label;  // may be null: a dotted label
  ExprPtr value;
};
/// `callee(arguments)`
struct CallExpr : Expr {
  static constexpr Kind kKind = Kind::Call;
  ExprPtr callee;
  std::vector<Argument> arguments;
  CallExpr() : Expr(kKind) {}
};
/// `base[items]`; an item is an expression, a range `a..b`, or `:` (All).
struct IndexExpr : Expr {
  static constexpr Kind kKind = Kind::Index;
  ExprPtr base;
  std::vector<ExprPtr> items;
  IndexExpr() : Expr(kKind) {}
};
struct UnaryExpr : Expr {
  static constexpr Kind kKind = Kind::Unary;
  enum class Op { Negate, Not } op = Op::Negate;
  ExprPtr operand;
  UnaryExpr() : Expr(kKind) {}
};
/// From loosest to tightest: `->`, `|>`, `each`, or, and, not, comparisons, + -, * /, unary minus, ^ (right): `-x^2` is
/// `-(x^2)`. `mean(f each)` is an Each without `right`.
struct BinaryExpr : Expr {
  static constexpr Kind kKind = Kind::Binary;
  enum class Op { To, Pipe, Each, Or, And, Eq, Ne, Lt, Le, Gt, Ge, Add, Sub, Mul, Div, Pow } op = Op::Add;
  SourceRange opRange;
  ExprPtr left, right; // right may be null when op is Each
  BinaryExpr() : Expr(kKind) {}
};
/// `[a, b]`
struct ListExpr : Expr {
  static constexpr Kind kKind = Kind::List;
  std::vector<ExprPtr> items;
  ListExpr() : Expr(kKind) {}
};
/// `{ name: value, ... }`; commas or line ends part the fields.
struct RecordExpr : Expr {
  static constexpr Kind kKind = Kind::Record;
  struct Field {
    Name name;
    ExprPtr value;
  };
  std::vector<Field> fields;
  RecordExpr() : Expr(kKind) {}
};
/// `when condition { ... } else { ... }`
struct WhenExpr : Expr {
  static constexpr Kind kKind = Kind::When;
  ExprPtr condition;
  std::unique_ptr<Block> then, otherwise; // otherwise may be null
  WhenExpr() : Expr(kKind) {}
};
/// `repeat count { ... }` and `repeat until condition or limit { ... }` (the whole condition is in `until`).
struct RepeatExpr : Expr {
  static constexpr Kind kKind = Kind::Repeat;
  ExprPtr count; // may be null
  ExprPtr until; // may be null
  std::unique_ptr<Block> body;
  RepeatExpr() : Expr(kKind) {}
};
/// `for name in list { ... yield value }`: a list
struct ForExpr : Expr {
  static constexpr Kind kKind = Kind::For;
  Name name;
  ExprPtr list;
  std::unique_ptr<Block> body;
  ForExpr() : Expr(kKind) {}
};
/// `scan x in xs over 1 reverse true from h = start { ... }`
struct ScanExpr : Expr {
  static constexpr Kind kKind = Kind::Scan;
  struct Part {
    Name name;
    ExprPtr value;
  };
  std::vector<Part> rows;   // what each step sees one row of
  ExprPtr axis, reverse;    // may be null
  std::vector<Part> states; // what a step hands to the next, with its start
  std::unique_ptr<Block> body;
  ScanExpr() : Expr(kKind) {}
};
/// `a..b` inside an index; either end may be null.
struct RangeExpr : Expr {
  static constexpr Kind kKind = Kind::Range;
  ExprPtr first, last;
  RangeExpr() : Expr(kKind) {}
};
/// `:` inside an index.
struct AllExpr : Expr {
  static constexpr Kind kKind = Kind::All;
  AllExpr() : Expr(kKind) {}
};

// ---------------------------------------------------------------- types
/// A dimension is an expression over numbers and names with + - * / and parentheses; `...` is `pack`.
struct Type {
  enum class Kind { Scalar, Tensor, List, Optional, Record, Stream };
  Kind kind;
  SourceRange range;
  virtual ~Type() = default;

protected:
  explicit Type(Kind k) : kind(k) {}
};
using TypePtr = std::unique_ptr<Type>;

/// `f32`, `int`, `text`, `image`, `audio@16kHz`, `label[10]`, `label{cat, dog}`, a name declared elsewhere.
struct ScalarType : Type {
  static constexpr Kind kKind = Kind::Scalar;
  Name name;
  ExprPtr classes;            // `label[10]`: the 10; may be null
  std::vector<Name> choices;  // `label{cat, dog}`
  ExprPtr rate;               // `audio@16kHz`; may be null
  ScalarType() : Type(kKind) {}
};
/// `f32[N, 3, H, W]`, `label[C][N]`, `f32[..., D]`
struct TensorType : Type {
  static constexpr Kind kKind = Kind::Tensor;
  struct Dim {
    bool pack = false; // `...`
    ExprPtr size;      // null when pack
    SourceRange range;
  };
  std::unique_ptr<ScalarType> element;
  std::vector<Dim> dims;
  TensorType() : Type(kKind) {}
};
struct ListType : Type {
  static constexpr Kind kKind = Kind::List;
  TypePtr element;
  ListType() : Type(kKind) {}
};
struct OptionalType : Type {
  static constexpr Kind kKind = Kind::Optional;
  TypePtr element;
  OptionalType() : Type(kKind) {}
};
struct RecordType : Type {
  static constexpr Kind kKind = Kind::Record;
  struct Field {
    Name name;
    TypePtr type;
    ExprPtr defaultValue; // may be null; of what a list in `fields` of `data` holds
  };
  std::vector<Field> fields;
  RecordType() : Type(kKind) {}
};
struct StreamType : Type {
  static constexpr Kind kKind = Kind::Stream;
  TypePtr element;
  StreamType() : Type(kKind) {}
};

// ---------------------------------------------------------------- statements
struct Stmt {
  enum class Kind { Assign, Param, Result, Yield };
  Kind kind;
  SourceRange range;
  virtual ~Stmt() = default;

protected:
  explicit Stmt(Kind k) : kind(k) {}
};
using StmtPtr = std::unique_ptr<Stmt>;

/// `name = value`, `name: type = value`, `y[b, o] = value`
struct AssignStmt : Stmt {
  static constexpr Kind kKind = Kind::Assign;
  Name name;
  bool indexed = false;
  std::vector<Name> indices; // when indexed
  TypePtr type;              // may be null
  ExprPtr value;
  AssignStmt() : Stmt(kKind) {}
};
/// `param w: f32[I, O] = init`, `state m: f32[D] = 0`
struct ParamStmt : Stmt {
  static constexpr Kind kKind = Kind::Param;
  bool isState = false;
  Name name;
  TypePtr type;
  ExprPtr init; // may be null: the default initialiser
  ParamStmt() : Stmt(kKind) {}
};
/// An expression that stands alone; the last one of a block is its value.
struct ResultStmt : Stmt {
  static constexpr Kind kKind = Kind::Result;
  ExprPtr value;
  ResultStmt() : Stmt(kKind) {}
};
struct YieldStmt : Stmt {
  static constexpr Kind kKind = Kind::Yield;
  ExprPtr value;
  YieldStmt() : Stmt(kKind) {}
};
struct Block {
  std::vector<StmtPtr> statements;
  SourceRange range;
};

// ---------------------------------------------------------------- declarations
/// One setting or input: `name: type = default`.
struct Parameter {
  Name name;
  TypePtr type;
  ExprPtr defaultValue; // may be null
};

/// A clause inside `data`, `train`, `phase`, `evaluate`, `deploy`: a keyword and what follows it.
/// One shape for all of them: the checker has a table of which keywords stand where and what each takes.
///
///   keyword     expressions                  other
///   from        source                       (data)
///   test        source                       (data)
///   fields      -                            fields
///   split       -                            shares: RecordExpr in expressions[0]; seed in options
///   derive      value                        name, type
///   augment     -                            name = split, body
///   loss        value                        any `a = b` lines before it stand in `let` clauses
///   let         value                        name           (`seen = looks(image)` inside train/evaluate)
///   optimize    calls                        the `{ learn embed }` of each in options
///   batch, epochs, seed, lr, clip, precision, target, serve, weights, cache, bucket: expressions in order
///   freeze, learn: expressions (paths; `all` is a Ref)
///   validate    flows
///   start       file                         flag = "if present"
///   stop        condition                    patience: `flat for 2` -> second expression, flag = "flat"
///   phase       -                            name, clauses
///   report      values                       a `name = value` entry has its name in names[i], otherwise empty
///   require     conditions
///   fit         `least(...)` or `most(...)`  name          (a setting of the flow that an evaluate measures)
struct Clause {
  Name keyword;
  SourceRange range;
  Name name;
  TypePtr type; // may be null
  std::vector<ExprPtr> expressions;
  std::vector<Name> names; // beside expressions, for `report`
  std::vector<Parameter> fields;
  std::unique_ptr<Block> body;            // may be null
  std::unique_ptr<AssignStmt> let;        // of `x = value`, whose keyword is `let`
  std::vector<std::pair<Name, ExprPtr>> options; // `seed 7` behind a split; `{ calibrate digits.valid  keep embed }` behind a precision, `{ learn embed }` behind an optimiser
  std::string flag;
  std::vector<Clause> clauses;

  /// The options that stand in braces behind expression i, each with its word: those between it and the next one.
  std::vector<std::pair<std::string_view, const Expr *>> optionsOf(size_t i) const {
    std::vector<std::pair<std::string_view, const Expr *>> out;
    for (auto &[word, e] : options)
      if (e->range.begin > expressions[i]->range.begin &&
          (i + 1 == expressions.size() || e->range.begin < expressions[i + 1]->range.begin))
        out.emplace_back(word.text, e.get());
    return out;
  }
};

struct Decl {
  enum class Kind { Use, Const, Data, Fit, Model, Instance, Fn, Flow, Train, Evaluate, Deploy };
  Kind kind;
  SourceRange range;
  Name name; // empty for use and evaluate
  std::string doc; // the `#` lines right above, without the marks
  virtual ~Decl() = default;

protected:
  explicit Decl(Kind k) : kind(k) {}
};
using DeclPtr = std::unique_ptr<Decl>;

struct UseDecl : Decl {
  static constexpr Kind kKind = Kind::Use;
  std::vector<Name> modules; // "std.nn"
  UseDecl() : Decl(kKind) {}
};
struct ConstDecl : Decl {
  static constexpr Kind kKind = Kind::Const;
  TypePtr type; // may be null
  ExprPtr value;
  ConstDecl() : Decl(kKind) {}
};
struct DataDecl : Decl {
  static constexpr Kind kKind = Kind::Data;
  std::vector<Clause> clauses;
  DataDecl() : Decl(kKind) {}
};
/// model, fn, flow, and `fit` with a body. `hasSettings` says whether two lists were written.
struct CallableDecl : Decl {
  bool hasSettings = false;
  std::vector<Parameter> settings, inputs;
  TypePtr result; // may be null for fn
  std::unique_ptr<Block> body;
  explicit CallableDecl(Kind k) : Decl(k) {}
};
/// `fit name = value`; with a body it is a CallableDecl of kind Fit instead (value is then null).
struct FitDecl : CallableDecl {
  static constexpr Kind kKind = Kind::Fit;
  ExprPtr value; // may be null
  FitDecl() : CallableDecl(kKind) {}
};
/// `model name = Model(...)`, `model name = Model(...) from source { renames }`, `model name from source`: one instance,
/// shared by all that use the name.
struct InstanceDecl : Decl {
  static constexpr Kind kKind = Kind::Instance;
  ExprPtr model;                // null when the source says the model as well
  ExprPtr source;               // may be null: initial weights
  std::vector<ExprPtr> renames; // pairs `"of the file" -> "of the model"`
  InstanceDecl() : Decl(kKind) {}
};
struct TrainDecl : Decl {
  static constexpr Kind kKind = Kind::Train;
  ExprPtr model; // may be null: `train faces on scenes { ... }`
  std::vector<ExprPtr> data;
  std::vector<Clause> clauses;
  TrainDecl() : Decl(kKind) {}
};
struct EvaluateDecl : Decl {
  static constexpr Kind kKind = Kind::Evaluate;
  std::vector<ExprPtr> subjects;
  ExprPtr data;
  std::vector<Clause> clauses;
  EvaluateDecl() : Decl(kKind) {}
};
struct DeployDecl : Decl {
  static constexpr Kind kKind = Kind::Deploy;
  ExprPtr model; // may be null: what is deployed is declared elsewhere
  std::vector<Clause> clauses;
  DeployDecl() : Decl(kKind) {}
};

struct File {
  uint32_t file = 0;
  std::vector<DeclPtr> decls;
};

} // namespace bigm::ast
