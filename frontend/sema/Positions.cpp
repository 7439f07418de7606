#include "Positions.h"
#include "PositionBias.h"
#include <algorithm>

namespace bigm::sema {

std::optional<Dim> quotient(const Dim &a, const Dim &b) {
  if (a == b)
    return Dim(1);
  Dim::Terms divisor = b.normalForm();
  if (divisor.size() != 1)
    return std::nullopt;
  auto &[atoms, coefficient] = *divisor.begin();
  Dim sum;
  for (auto &[own, factor] : a.normalForm()) {
    std::vector<Dim::Atom> rest = own;
    for (const Dim::Atom &atom : atoms) {
      auto at = std::find(rest.begin(), rest.end(), atom);
      if (at == rest.end())
        return std::nullopt;
      rest.erase(at);
    }
    if (factor % coefficient)
      return std::nullopt;
    Dim term = factor / coefficient;
    for (const Dim::Atom &atom : rest)
      term = term * (atom.num ? atom.num->floorDiv(atom.den) : Dim::symbol(atom.symbol));
    sum = sum + term;
  }
  return sum;
}

bool mentions(const Dim &dim, const std::string &symbol) {
  std::vector<std::string> symbols;
  dim.symbols(symbols);
  return std::find(symbols.begin(), symbols.end(), symbol) != symbols.end();
}

bool tagged(const Factors &factors) {
  return std::any_of(factors.begin(), factors.end(), [](const Factor &f) { return f.kind != Factor::Other; });
}
bool has(const Layout &layout, Factor::Kind kind) {
  for (const Factors &factors : layout)
    for (const Factor &f : factors)
      if (f.kind == kind)
        return true;
  return false;
}

Layout plainLayout(const std::vector<Dim> &shape) {
  Layout layout;
  for (const Dim &size : shape)
    layout.push_back({{Factor::Other, size}});
  return layout;
}

/// The only dimension that the index names, when it is that dimension as it is.
static std::optional<uint32_t> alone(const AffineIndex &index) {
  if (index.offset || index.terms.size() != 1 || index.terms[0].second != 1)
    return std::nullopt;
  return index.terms[0].first;
}

bool Positions::refuse(const Node &n, std::string why) {
  if (!refusal)
    refusal = Refusal{n.caller.valid() ? n.caller : n.where, name(n.op), std::move(why)};
  return false;
}

bool Positions::unify(const Factors &a, const Factors &b, Factors &out) const {
  Factors x = a, y = b;
  out.clear();
  size_t i = 0, j = 0;
  while (i < x.size() && j < y.size()) {
    Factor &p = x[i], &q = y[j];
    if (p.size == q.size) {
      if (p.kind != q.kind && p.kind != Factor::Other && q.kind != Factor::Other)
        return false;
      out.push_back(p.kind == Factor::Other ? q : p);
      ++i, ++j;
    } else if (auto rest = p.kind == Factor::Other ? quotient(p.size, q.size) : std::nullopt) {
      out.push_back(q);
      p.size = *rest, ++j;
    } else if (auto rest = q.kind == Factor::Other ? quotient(q.size, p.size) : std::nullopt) {
      out.push_back(p);
      q.size = *rest, ++i;
    } else {
      return false;
    }
  }
  return i == x.size() && j == y.size();
}

bool Positions::settled(const Node &n, const Layout &layout) {
  int batches = 0, positions = 0;
  for (const Factors &factors : layout)
    for (const Factor &factor : factors) {
      batches += factor.kind == Factor::Batch, positions += factor.kind == Factor::Position;
      // Copies for each position are fine, sizes that are computed from the number of positions are not.
      if (factor.kind == Factor::Other && mentions(factor.size, length)) {
        auto rest = quotient(factor.size, Dim::symbol(length));
        if (!rest || mentions(*rest, length))
          return refuse(n, "has a size that depends on the number of positions, " + factor.size.str());
      }
    }
  if (positions > 1)
    return refuse(n, "compares positions with positions");
  if (batches > 1)
    return refuse(n, "compares sequences with sequences");
  layouts[n.first] = layout;
  return true;
}

/// All operands and the result of one shape, but for dimension `except`.
bool Positions::same(const Node &n, Layout &out, std::optional<size_t> except) {
  out = plainLayout(f.types[n.first].shape);
  for (Value operand : n.operands)
    for (size_t d = 0; d < out.size(); ++d) {
      if (except == d)
        continue;
      Factors merged;
      if (!unify(out[d], layouts[operand][d], merged))
        return refuse(n, "compares positions with other things than positions");
      out[d] = std::move(merged);
    }
  return true;
}

bool Positions::tag(const Node &n, Value operand, const AffineIndices &map, const std::vector<Dim> &space, size_t kept,
                    Layout &out) {
  const Layout &own = layouts[operand];
  for (size_t p = 0; p < own.size(); ++p) {
    if (!tagged(own[p]))
      continue;
    auto d = alone(map[p]);
    if (!d || space[*d] != f.types[operand].shape[p])
      return refuse(n, has({own[p]}, Factor::Position) ? "reads some of the positions, or others than its own"
                                                       : "reads some of the sequences");
    if (*d >= kept)
      return refuse(n, has({own[p]}, Factor::Position) ? "sums over positions" : "sums over sequences");
    Factors merged;
    if (!unify(out[*d], own[p], merged))
      return refuse(n, "compares positions with sequences");
    out[*d] = std::move(merged);
  }
  return true;
}

bool Positions::untaggedReads(const Node &n, Value operand, const AffineIndices &map, const Layout &space) {
  const Layout &own = layouts[operand];
  for (size_t p = 0; p < own.size(); ++p) {
    if (tagged(own[p]))
      continue;
    for (auto [d, c] : map[p].terms) {
      bool each = mentions(f.types[operand].shape[p], length);
      bool byPosition = has({space[d]}, Factor::Position);
      for (const Factor &factor : space[d])
        byPosition |= mentions(factor.size, length);
      if (each && !alone(map[p]))
        return refuse(n, "reads some of the positions");
      if (byPosition && !each)
        return refuse(n, "reads at places that depend on the position");
    }
  }
  return true;
}

std::optional<size_t> Positions::positionTable(const Node &n) const {
  if (n.op != Op::View || has(layouts[n.operands[0]], Factor::Batch) || has(layouts[n.operands[0]], Factor::Position))
    return std::nullopt;
  auto &map = std::get<AffineIndices>(n.attrs.at("map"));
  const std::vector<Dim> &space = f.types[n.first].shape, &from = f.types[n.operands[0]].shape;
  for (size_t p = 0; p < map.size(); ++p)
    if (map[p].terms.size() == 1 && map[p].terms[0].second == 1 && space[map[p].terms[0].first] == Dim::symbol(length) &&
        !mentions(from[p], length))
      return p;
  return std::nullopt;
}

/// The least and the largest number that a value of whole numbers has in the first `count` positions; nothing where it is
/// made in ways that are not followed.
static std::optional<std::pair<int64_t, int64_t>> rangeOf(const Function &f, Value v, int64_t count) {
  auto at = std::upper_bound(f.nodes.begin(), f.nodes.end(), v, [](Value value, const Node &n) { return value < n.first; });
  if (v < f.args.size() || at == f.nodes.begin())
    return std::nullopt;
  const Node &n = *std::prev(at);
  auto of = [&](size_t i) { return rangeOf(f, n.operands[i], count); };
  switch (n.op) {
  case Op::Iota: return std::pair(int64_t(0), count - 1);
  case Op::Constant: {
    auto number = int64_t(std::get<double>(n.attrs.at("number")));
    return std::pair(number, number);
  }
  case Op::Cast: case Op::View: case Op::Reshape: return of(0);
  case Op::Add: case Op::Sub: case Op::Min: case Op::Max: {
    auto x = of(0), y = of(1);
    if (!x || !y)
      return std::nullopt;
    if (n.op == Op::Add)
      return std::pair(x->first + y->first, x->second + y->second);
    if (n.op == Op::Sub)
      return std::pair(x->first - y->second, x->second - y->first);
    if (n.op == Op::Min)
      return std::pair(std::min(x->first, y->first), std::min(x->second, y->second));
    return std::pair(std::max(x->first, y->first), std::max(x->second, y->second));
  }
  default: return std::nullopt;
  }
}

int64_t Positions::most() const {
  int64_t least = 0;
  auto limit = [&](int64_t count) { least = least == 0 ? count : std::min(least, count); };
  for (const Node &n : f.nodes) {
    if (auto table = positionTable(n)) {
      auto rows = f.types[n.operands[0]].shape[*table].constant();
      limit(rows.value_or(1) - std::get<AffineIndices>(n.attrs.at("map"))[*table].offset);
    }
    if (n.op != Op::Gather || !has(layouts[n.operands[1]], Factor::Position) || has(layouts[n.operands[1]], Factor::Batch))
      continue;
    // The numbers grow with the positions: the last count that fits.
    int64_t rows = f.types[n.operands[0]].shape[0].constant().value_or(1), low = 1, high = int64_t(1) << 31;
    auto fits = [&](int64_t count) {
      auto range = rangeOf(f, n.operands[1], count);
      return range ? range->first >= 0 && range->second < rows : count <= rows;
    };
    if (fits(high))
      continue;
    while (high - low > 1) {
      int64_t middle = (low + high) / 2;
      (fits(middle) ? low : high) = middle;
    }
    limit(low);
  }
  return least;
}

bool Positions::visitView(const Node &n) {
  auto &map = std::get<AffineIndices>(n.attrs.at("map"));
  const std::vector<Dim> &space = f.types[n.first].shape;
  Layout out = plainLayout(space);
  if (auto table = positionTable(n)) {
    uint32_t d = map[*table].terms[0].first;
    out[d] = {{Factor::Position, Dim::symbol(length)}};
    for (size_t p = 0; p < map.size(); ++p)
      for (auto [other, c] : map[p].terms)
        if (p != *table && other == d)
          return refuse(n, "compares positions with positions");
    return settled(n, out);
  }
  return tag(n, n.operands[0], map, space, space.size(), out) && untaggedReads(n, n.operands[0], map, out) &&
         settled(n, out);
}

bool Positions::visitContract(const Node &n) {
  std::vector<Dim> space = f.types[n.first].shape;
  size_t kept = space.size();
  const Attr &reduced = n.attrs.at("reduced");
  if (auto *numbers = std::get_if<std::vector<int64_t>>(&reduced))
    space.insert(space.end(), numbers->begin(), numbers->end());
  else
    for (const Dim &size : std::get<std::vector<Dim>>(reduced))
      space.push_back(size);
  for (size_t d = kept; d < space.size(); ++d)
    if (mentions(space[d], length))
      return refuse(n, "sums over positions");
  Layout out = plainLayout(space);
  const char *maps[] = {"lhs_map", "rhs_map"};
  for (int i : {0, 1})
    if (!tag(n, n.operands[i], std::get<AffineIndices>(n.attrs.at(maps[i])), space, kept, out))
      return false;
  for (int i : {0, 1})
    if (!untaggedReads(n, n.operands[i], std::get<AffineIndices>(n.attrs.at(maps[i])), out))
      return false;
  out.resize(kept);
  return settled(n, out);
}

bool Positions::visitReshape(const Node &n) {
  // What is no sequence and no position may be cut in any way.
  Factors flat;
  for (const Factors &factors : layouts[n.operands[0]])
    for (const Factor &factor : factors) {
      if (factor.size == Dim(1))
        continue;
      if (!flat.empty() && flat.back().kind == Factor::Other && factor.kind == Factor::Other)
        flat.back().size = flat.back().size * factor.size;
      else
        flat.push_back(factor);
    }
  Layout out;
  size_t next = 0;
  for (Dim size : f.types[n.first].shape) {
    Factors &own = out.emplace_back();
    if (size == Dim(1))
      own.push_back({Factor::Other, size});
    while (size != Dim(1)) {
      if (next == flat.size())
        return refuse(n, "cuts positions into parts");
      Factor &factor = flat[next];
      if (auto rest = quotient(size, factor.size)) {
        own.push_back(factor);
        size = *rest, ++next;
      } else if (auto more = factor.kind == Factor::Other ? quotient(factor.size, size) : std::nullopt) {
        own.push_back({Factor::Other, size});
        factor.size = *more, size = Dim(1);
      } else {
        return refuse(n, "puts positions together with other things");
      }
    }
  }
  return settled(n, out);
}

bool Positions::visitAttention(const Node &n) {
  bool causal = n.attrs.count("causal") && std::get<int64_t>(n.attrs.at("causal"));
  auto over = [&](Value v, size_t dim) { return layouts[v][dim].size() == 1 ? layouts[v][dim][0].kind : Factor::Other; };
  for (Value v : n.operands)
    for (size_t d = 2; d < layouts[v].size(); ++d)
      if (tagged(layouts[v][d]))
        return refuse(n, "has positions among its heads");
  Value q = n.operands[0], k = n.operands[1];
  bool keys = has(layouts[k], Factor::Position) || has(layouts[n.operands[2]], Factor::Position);
  if (keys && !causal)
    return refuse(n, "reads later positions: it is not causal");
  const auto bias = positionBias(n);
  if (keys && n.operands.size() > (bias ? 4u : 3u))
    return refuse(n, "has a mask; sequences of different lengths need none here");
  if (!keys && causal)
    return refuse(n, "is causal over keys that are no positions of the sequence");
  if (keys && (over(q, 0) != Factor::Batch || over(q, 1) != Factor::Position || over(k, 1) != Factor::Position))
    return refuse(n, "takes queries and keys of different sequences");
  if (bias)
    if (auto why = refusedPositionBias(f, length, *bias)) {
      refusal = refusal ? refusal : why;
      return false;
    }
  Layout out = plainLayout(f.types[n.first].shape);
  for (size_t d : {0u, 1u})
    out[d] = layouts[q][d];
  for (Value v : n.operands)
    if (over(v, 0) == Factor::Batch)
      out[0] = layouts[v][0];
  return settled(n, out);
}

bool Positions::visit(const Node &n) {
  const std::vector<Dim> &shape = f.types[n.first].shape;
  Layout out = plainLayout(shape);
  auto dimension = [&](const char *attr) { return size_t(std::get<int64_t>(n.attrs.at(attr))); };
  switch (n.op) {
  case Op::Constant: return settled(n, out);
  case Op::Iota:
    if (shape[dimension("dim")] == Dim::symbol(length))
      out[dimension("dim")] = {{Factor::Position, Dim::symbol(length)}};
    else if (mentions(shape[dimension("dim")], length))
      return refuse(n, "counts something else than positions");
    return settled(n, out);
  case Op::Random: return refuse(n, "is random");
  case Op::Reshape: return visitReshape(n);
  case Op::View: return visitView(n);
  case Op::Contract: return visitContract(n);
  case Op::Attention: return visitAttention(n);
  case Op::Pad: {
    for (size_t d = 0; d < shape.size(); ++d) {
      bool kept = true;
      for (const char *attr : {"low", "high", "interior"})
        kept &= std::get<std::vector<int64_t>>(n.attrs.at(attr))[d] == 0;
      const Factors &own = layouts[n.operands[0]][d];
      if (!kept && (tagged(own) || mentions(f.types[n.operands[0]].shape[d], length)))
        return refuse(n, "pads or shifts along positions");
      if (kept)
        out[d] = own;
    }
    return settled(n, out);
  }
  case Op::Concat:
    for (Value v : n.operands)
      if (tagged(layouts[v][dimension("dim")]) || mentions(f.types[v].shape[dimension("dim")], length))
        return refuse(n, "joins along positions");
    return same(n, out, dimension("dim")) && settled(n, out);
  case Op::ReduceSum: case Op::ReduceMax: case Op::ReduceMin: case Op::ReduceProd:
  case Op::ArgMax: case Op::ArgMin: {
    std::vector<int64_t> dims;
    if (n.op == Op::ArgMax || n.op == Op::ArgMin)
      dims = {int64_t(dimension("dim"))};
    else
      dims = std::get<std::vector<int64_t>>(n.attrs.at("dims"));
    out.clear();
    const Layout &own = layouts[n.operands[0]];
    for (size_t d = 0; d < own.size(); ++d) {
      if (!std::count(dims.begin(), dims.end(), int64_t(d)))
        out.push_back(own[d]);
      else if (has({own[d]}, Factor::Position) || mentions(f.types[n.operands[0]].shape[d], length))
        return refuse(n, "goes over all positions");
      else if (tagged(own[d]))
        return refuse(n, "goes over all sequences");
    }
    return settled(n, out);
  }
  case Op::Gather: {
    for (const Factors &factors : layouts[n.operands[0]])
      if (tagged(factors))
        return refuse(n, "reads a table that depends on the sequence");
    const Layout &idsLayout = layouts[n.operands[1]];
    std::copy(idsLayout.begin(), idsLayout.end(), out.begin());
    return settled(n, out);
  }
  case Op::Fold: case Op::ScatterAdd: case Op::Warp: case Op::Resize: case Op::Gradient: case Op::CachedAttention: case Op::Scan:
    for (Value v : n.operands)
      for (size_t d = 0; d < layouts[v].size(); ++d)
        if (tagged(layouts[v][d]) || mentions(f.types[v].shape[d], length))
          return refuse(n, "is no operation that a position computes alone");
    if (n.results != 1)
      return refuse(n, "is no operation that a position computes alone");
    return settled(n, out);
  default: return same(n, out) && settled(n, out);
  }
}

std::optional<Refusal> Positions::find() {
  for (size_t i = 0; i < f.args.size() && ids < 0; ++i) {
    const TensorType &type = f.args[i].type;
    bool two = f.args[i].role == Role::Input && type.elem == Elem::I32 && type.shape.size() == 2;
    if (two && type.shape[0].asSymbol() && type.shape[1].asSymbol() && type.shape[0] != type.shape[1]) {
      ids = int(i);
      batch = *type.shape[0].asSymbol(), length = *type.shape[1].asSymbol();
    }
  }
  if (ids < 0)
    return Refusal{f.args.empty() ? SourceRange() : f.args[0].where, "", "takes no ids: i32[N, T]"};
  for (size_t i = 0; i < f.args.size(); ++i) {
    const Arg &arg = f.args[i];
    layouts[i] = plainLayout(arg.type.shape);
    if (arg.role != Role::Input)
      continue;
    for (size_t d = 0; d < arg.type.shape.size(); ++d)
      if (d == 0 && arg.type.shape[d] == Dim::symbol(batch))
        layouts[i][d][0].kind = Factor::Batch;
      else if (arg.type.shape[d] == Dim::symbol(length) && !has(layouts[i], Factor::Position))
        layouts[i][d][0].kind = Factor::Position;
      else if (mentions(arg.type.shape[d], length))
        return Refusal{arg.where, "", "takes `" + arg.name + "`, whose size depends on the number of positions in another way"};
  }
  const std::vector<bool> ofBias = neededByBiasAlone(f); // followed from there: it compares positions with positions
  for (size_t i = 0; i < f.nodes.size(); ++i) {
    const Node &n = f.nodes[i];
    for (unsigned r = 0; ofBias[i] && r < n.results; ++r)
      layouts[n.first + r] = plainLayout(f.types[n.first + r].shape);
    if (!ofBias[i] && !visit(n))
      return refusal;
  }
  return std::nullopt;
}

} // namespace bigm::sema
