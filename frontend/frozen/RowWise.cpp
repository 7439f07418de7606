#include "frontend/frozen/RowWise.h"
#include <algorithm>

namespace bigm {
namespace {
using Kind = Rows::Kind;

class Analysis {
public:
  Analysis(const Function &f, const std::string &batch) : f(f), batch(batch), rows(f.types.size()) {}

  std::vector<Rows> run(const std::vector<Rows> &args, const std::set<Value> &mixed) {
    std::copy(args.begin(), args.end(), rows.begin());
    for (const Node &node : f.nodes) {
      if (node.op == Op::Scan)
        scan(node);
      else
        for (unsigned r = 0; r < node.results; ++r)
          rows[node.first + r] = checked(of(node), f.types[node.first + r]);
      for (unsigned r = 0; r < node.results; ++r)
        if (mixed.count(node.first + r))
          rows[node.first + r] = Rows::mixed();
    }
    return std::move(rows);
  }

private:
  bool counts(const Dim &d) const {
    std::vector<std::string> symbols;
    d.symbols(symbols);
    return std::find(symbols.begin(), symbols.end(), batch) != symbols.end();
  }
  /// A whole number of rows for each record.
  bool isMultiple(const Dim &d) const {
    Dim::Terms terms = d.normalForm();
    return !terms.empty() && std::all_of(terms.begin(), terms.end(), [&](auto &term) {
      return std::count_if(term.first.begin(), term.first.end(), [&](const Dim::Atom &a) { return a.symbol == batch; }) == 1;
    });
  }
  std::vector<size_t> counting(const TensorType &type) const {
    std::vector<size_t> dims;
    for (size_t d = 0; d < type.shape.size(); ++d)
      if (counts(type.shape[d]))
        dims.push_back(d);
    return dims;
  }
  /// Rows of a value that has no one dimension of records are none.
  Rows checked(Rows r, const TensorType &type) const {
    if (r.kind != Kind::Each)
      return r;
    std::vector<size_t> dims = counting(type);
    return dims.size() == 1 && dims[0] == r.dim && isMultiple(type.shape[r.dim]) ? r : Rows::mixed();
  }

  static Rows joined(Rows a, Rows b) {
    if (a.kind == Kind::Mixed || b.kind == Kind::Mixed)
      return Rows::mixed();
    if (a.kind == Kind::Same)
      return b;
    return b.kind == Kind::Same || a == b ? a : Rows::mixed();
  }
  Rows joined(const Node &node) const {
    Rows all = Rows::same();
    for (Value v : node.operands)
      all = joined(all, rows[v]);
    return all;
  }

  static Dim before(const std::vector<Dim> &shape, size_t at) {
    Dim all(1);
    for (size_t d = 0; d < at; ++d)
      all = all * shape[d];
    return all;
  }
  /// The same elements in the same order: the records' dimension is where as many elements stand before it.
  Rows reshaped(const Node &node) const {
    Value from = node.operands[0];
    const TensorType &was = f.types[from], &is = f.types[node.first];
    Rows r = rows[from];
    std::vector<size_t> dims = counting(was);
    if (r.kind == Kind::Same && dims.empty())
      return r;
    if (r.kind == Kind::Same && dims.size() == 1)
      r = Rows::each(dims[0]); // what is the same for all records is so for each, wherever its elements go
    std::vector<size_t> now = counting(is);
    if (r.kind != Kind::Each || now.size() != 1 || before(was.shape, r.dim) != before(is.shape, now[0]))
      return Rows::mixed();
    return Rows::each(now[0]);
  }

  static bool uses(const AffineIndex &index, uint32_t dim) {
    return std::any_of(index.terms.begin(), index.terms.end(), [&](auto &term) { return term.first == dim; });
  }
  /// The dimension of an iteration space along which an operand's records go one by one; nothing where they do not.
  std::optional<uint32_t> along(const AffineIndices &map, size_t dim) const {
    const AffineIndex &index = map[dim];
    if (index.terms.size() != 1 || index.terms[0].second != 1 || index.offset != 0)
      return std::nullopt;
    uint32_t d = index.terms[0].first;
    for (size_t i = 0; i < map.size(); ++i)
      if (i != dim && uses(map[i], d))
        return std::nullopt;
    return d;
  }
  Rows viewed(const Node &node) const {
    Value from = node.operands[0];
    const auto &map = std::get<AffineIndices>(node.attrs.at("map"));
    const TensorType &was = f.types[from], &is = f.types[node.first];
    if (rows[from].kind == Kind::Same) {
      // Along a dimension that counts records nothing may change: neither at a place that moves, nor in a sum of places.
      for (size_t d : counting(is))
        for (size_t i = 0; i < map.size(); ++i)
          if (uses(map[i], uint32_t(d)) && !(counts(was.shape[i]) && map[i].terms.size() == 1))
            return Rows::mixed();
      return rows[from];
    }
    if (rows[from].kind != Kind::Each)
      return Rows::mixed();
    auto d = along(map, rows[from].dim);
    return d && is.shape[*d] == was.shape[rows[from].dim] ? Rows::each(*d) : Rows::mixed();
  }
  Rows folded(const Node &node) const {
    Value from = node.operands[0];
    const auto &map = std::get<AffineIndices>(node.attrs.at("map"));
    const TensorType &was = f.types[from], &is = f.types[node.first];
    if (rows[from].kind != Kind::Each)
      return rows[from].kind == Kind::Same && counting(was).empty() ? rows[from] : Rows::mixed();
    for (size_t r = 0; r < map.size(); ++r)
      if (auto d = along(map, r); d && *d == rows[from].dim && is.shape[r] == was.shape[*d])
        return Rows::each(r);
    return Rows::mixed();
  }
  Rows padded(const Node &node) const {
    Rows r = rows[node.operands[0]];
    if (rows[node.operands[1]].kind != Kind::Same)
      return Rows::mixed();
    std::vector<size_t> dims = counting(f.types[node.operands[0]]);
    for (const char *amount : {"low", "high", "interior"}) {
      const auto &by = std::get<std::vector<int64_t>>(node.attrs.at(amount));
      for (size_t d : dims)
        if (by[d] != 0)
          return Rows::mixed();
    }
    return r;
  }
  Rows without(Rows r, const TensorType &type, const std::vector<int64_t> &gone) const {
    if (r.kind == Kind::Mixed)
      return r;
    size_t lower = 0;
    for (int64_t d : gone) {
      if (counts(type.shape[size_t(d)]))
        return Rows::mixed();
      lower += size_t(d) < r.dim;
    }
    return r.kind == Kind::Same ? r : Rows::each(r.dim - lower);
  }
  Rows contracted(const Node &node) const {
    const TensorType &is = f.types[node.first];
    if (auto *sizes = std::get_if<std::vector<Dim>>(&node.attrs.at("reduced"))) // else all are numbers
      for (const Dim &d : *sizes)
        if (counts(d))
          return Rows::mixed();
    std::optional<uint32_t> dim;
    for (size_t side : {0u, 1u}) {
      Value x = node.operands[side];
      const auto &map = std::get<AffineIndices>(node.attrs.at(side == 0 ? "lhs_map" : "rhs_map"));
      if (rows[x].kind == Kind::Same && counting(f.types[x]).empty())
        continue;
      if (rows[x].kind != Kind::Each)
        return Rows::mixed();
      auto d = along(map, rows[x].dim);
      if (!d || *d >= is.shape.size() || is.shape[*d] != f.types[x].shape[rows[x].dim] || (dim && *dim != *d))
        return Rows::mixed();
      dim = d;
    }
    if (!dim)
      return counting(is).empty() ? Rows::same() : Rows::mixed();
    // An operand that is the same for all must not move with the records.
    for (size_t side : {0u, 1u})
      if (rows[node.operands[side]].kind == Kind::Same)
        for (const AffineIndex &index : std::get<AffineIndices>(node.attrs.at(side == 0 ? "lhs_map" : "rhs_map")))
          if (uses(index, *dim))
            return Rows::mixed();
    return Rows::each(*dim);
  }
  /// Operations on whole records, which their first dimension counts.
  Rows ofRecords(const Node &node) const {
    Rows r = joined(node);
    return r == Rows::each(0) ? r : Rows::mixed();
  }

  Rows of(const Node &node) const {
    switch (node.op) {
    case Op::Constant:
      return Rows::same();
    case Op::Iota:
      return counts(f.types[node.first].shape[size_t(std::get<int64_t>(node.attrs.at("dim")))]) ? Rows::mixed() : Rows::same();
    case Op::Reshape:
      return reshaped(node);
    case Op::View:
      return viewed(node);
    case Op::Fold:
      return folded(node);
    case Op::Pad:
      return padded(node);
    case Op::Concat: {
      Rows r = joined(node);
      return counts(f.types[node.first].shape[size_t(std::get<int64_t>(node.attrs.at("dim")))]) ? Rows::mixed() : r;
    }
    case Op::ReduceSum: case Op::ReduceMax: case Op::ReduceMin: case Op::ReduceProd:
      return without(rows[node.operands[0]], f.types[node.operands[0]], std::get<std::vector<int64_t>>(node.attrs.at("dims")));
    case Op::ArgMax: case Op::ArgMin:
      return without(rows[node.operands[0]], f.types[node.operands[0]], {std::get<int64_t>(node.attrs.at("dim"))});
    case Op::Contract:
      return contracted(node);
    case Op::Gather:
      return rows[node.operands[0]].kind == Kind::Same && counting(f.types[node.operands[0]]).empty() ? rows[node.operands[1]] : Rows::mixed();
    case Op::Warp: case Op::Resize: case Op::Attention:
      return ofRecords(node);
    case Op::Random: case Op::ScatterAdd: case Op::CachedAttention: case Op::Gradient: case Op::Scan:
      return Rows::mixed();
    default: // pointwise, all of one shape
      return joined(node);
    }
  }

  /// A step is looked at until what is carried from one to the next no longer changes.
  void scan(const Node &node) {
    size_t starts = size_t(std::get<int64_t>(node.attrs.at("starts"))), xs = size_t(std::get<int64_t>(node.attrs.at("xs")));
    std::vector<Rows> args;
    bool overRecords = false; // a step for each record sees those before
    for (size_t i = 0; i < node.operands.size(); ++i) {
      Rows r = rows[node.operands[i]];
      overRecords |= i >= starts && i < starts + xs && counts(f.types[node.operands[i]].shape[0]);
      if (i >= starts && i < starts + xs && r.kind == Kind::Each)
        r = r.dim == 0 ? Rows::mixed() : Rows::each(r.dim - 1);
      args.push_back(r);
    }
    std::vector<Rows> inside;
    for (bool changed = true; changed;) {
      changed = false;
      inside = rowsOf(*node.body, args, batch);
      for (size_t i = 0; i < starts; ++i)
        if (Rows next = joined(args[i], inside[node.body->outputs[i].value]); next != args[i]) {
          args[i] = next;
          changed = true;
        }
    }
    for (unsigned r = 0; r < node.results; ++r) {
      Rows of = overRecords ? Rows::mixed() : r < starts ? args[r] : inside[node.body->outputs[r].value];
      if (r >= starts && of.kind == Kind::Each)
        ++of.dim;
      rows[node.first + r] = checked(of, f.types[node.first + r]);
    }
  }

  const Function &f;
  const std::string &batch;
  std::vector<Rows> rows;
};

} // namespace

std::vector<Rows> rowsOf(const Function &f, const std::vector<Rows> &args, const std::string &batch, const std::set<Value> &mixed) {
  return Analysis(f, batch).run(args, mixed);
}

std::optional<std::string> batchOf(const Function &f) {
  std::optional<std::string> batch;
  for (const Arg &a : f.args) {
    if (a.role != Role::Input || a.type.shape.empty())
      continue;
    auto symbol = a.type.shape[0].asSymbol();
    if (!symbol || (batch && *batch != *symbol))
      return std::nullopt;
    batch = symbol;
  }
  return batch;
}

} // namespace bigm
