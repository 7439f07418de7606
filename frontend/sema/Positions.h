// Which dimensions of a value run over sequences and over their positions.
//
// A dimension may be a product of several (rows of [N * T, D] are positions of sequences), so each is a list of factors.
// Layouts say what a function over whole sequences does with positions; Incremental builds by them.
#pragma once
#include "Incremental.h"
#include "frontend/Graph.h"
#include <optional>

namespace bigm::sema {

struct Factor {
  enum Kind { Other, Batch, Position } kind = Other;
  Dim size;
};
using Factors = std::vector<Factor>; // outermost first; the product of their sizes is the dimension
using Layout = std::vector<Factors>; // by dimension

/// a / b when that is exact.
std::optional<Dim> quotient(const Dim &a, const Dim &b);
/// Whether the dimension depends on the symbol.
bool mentions(const Dim &dim, const std::string &symbol);
bool has(const Layout &layout, Factor::Kind kind);
bool tagged(const Factors &factors);

/// The layouts of all values of a function whose first input of integers is [N, T].
class Positions {
public:
  explicit Positions(const Function &function) : f(function), layouts(function.types.size()) {}
  /// Fills `layouts`; where positions mix in other ways than causal attention, the reason.
  std::optional<Refusal> find();

  std::string batch, length; // symbols
  int ids = -1;              // the argument
  const Layout &of(Value v) const { return layouts[v]; }
  /// A view of a table whose rows are positions: the number of the operand's dimension that positions index.
  std::optional<size_t> positionTable(const Node &n) const;

  /// How many positions there are rows for in every table that positions index; 0 where there is no such table.
  int64_t most() const;

private:
  bool refuse(const Node &n, std::string why);
  bool visit(const Node &n);
  bool visitView(const Node &n);
  bool visitContract(const Node &n);
  bool visitAttention(const Node &n);
  bool visitReshape(const Node &n);
  /// Combines what operands say about one dimension.
  bool unify(const Factors &a, const Factors &b, Factors &out) const;
  /// Tags iteration dimensions by an operand's, through its map.
  bool tag(const Node &n, Value operand, const AffineIndices &map, const std::vector<Dim> &space, size_t kept, Layout &out);
  bool untaggedReads(const Node &n, Value operand, const AffineIndices &map, const Layout &space);
  bool plain(const Factors &factors) const { return !tagged(factors); }
  bool same(const Node &n, Layout &out, std::optional<size_t> except = std::nullopt);
  bool settled(const Node &n, const Layout &layout);

  const Function &f;
  std::vector<Layout> layouts;
  std::optional<Refusal> refusal;
};

/// A dimension each, of no kind.
Layout plainLayout(const std::vector<Dim> &shape);

} // namespace bigm::sema
