#include "frontend/Requirements.h"
#include <algorithm>
#include <map>
#include <set>

using namespace bigm;

namespace {

/// The least value for symbols of at least 1 where each term alone can say; nothing when one falls as symbols grow.
std::optional<int64_t> leastOf(const Dim &dim) {
  if (auto number = dim.constant())
    return *number;
  int64_t sum = 0;
  for (const auto &[atoms, coefficient] : dim.normalForm()) {
    int64_t least = coefficient;
    for (const Dim::Atom &atom : atoms) {
      std::optional<int64_t> own = 1;
      if (atom.symbol.empty())
        own = leastOf(*atom.num);
      if (coefficient < 0 || !own || *own < 0)
        return std::nullopt;
      if (atom.symbol.empty())
        *own /= atom.den;
      if (__builtin_mul_overflow(least, *own, &least))
        return std::nullopt;
    }
    if (__builtin_add_overflow(sum, least, &sum))
      return std::nullopt;
  }
  return sum;
}

/// Whether the number is 0 or more for all symbols of at least 1; false also where that is not found.
bool neverNegative(Dim dim) {
  for (int rounds = 0; rounds < 8; ++rounds) {
    if (auto least = leastOf(dim))
      return *least >= 0;
    // What is taken away of floor(n / d) is at most that of n / d: d times the number is at least that without the floor.
    const Dim::Terms terms = dim.normalForm();
    auto taken = std::find_if(terms.begin(), terms.end(), [](const auto &term) {
      return term.second < 0 && term.first.size() == 1 && term.first.front().symbol.empty();
    });
    if (taken == terms.end())
      return false;
    const Dim::Atom &atom = taken->first.front();
    dim = Dim(atom.den) * (dim - Dim(taken->second) * atom.num->floorDiv(atom.den)) + Dim(taken->second) * *atom.num;
  }
  return false;
}

class Collector {
public:
  explicit Collector(const Function &function) { visit(function); }
  std::vector<Requirement> found;

private:
  void require(const Dim &dim, const Node &node) {
    if (dim.isConstant() || !seen.insert(dim).second || neverNegative(dim))
      return;
    found.push_back({dim, node.caller.valid() ? node.caller : node.where});
  }
  /// Indices of an operand, over dimensions of these sizes.
  void requireInside(const AffineIndices &map, const std::vector<Dim> &sizes, const TensorType &operand, const Node &node) {
    for (size_t i = 0; i < map.size(); ++i) {
      Dim least = map[i].offset, most = map[i].offset;
      for (auto [dim, coefficient] : map[i].terms)
        (coefficient < 0 ? least : most) = (coefficient < 0 ? least : most) + Dim(coefficient) * (sizes[dim] - Dim(1));
      require(least, node);
      require(operand.shape[i] - Dim(1) - most, node);
    }
  }
  void visit(const Function &function) {
    for (const Node &node : function.nodes) {
      for (unsigned i = 0; i < node.results; ++i)
        for (const Dim &size : function.types[node.first + i].shape)
          require(size, node);
      auto typeOf = [&](size_t operand) -> const TensorType & { return function.types[node.operands[operand]]; };
      auto mapOf = [&](const char *name) -> const AffineIndices & { return std::get<AffineIndices>(node.attrs.at(name)); };
      const TensorType &result = function.types[node.first];
      if (node.op == Op::Iota && node.results == 1)
        counted[{&function, node.first}] = result.shape[size_t(std::get<int64_t>(node.attrs.at("dim")))];
      if (node.op == Op::Gather) // by 0, 1, ...: as many as the table has at most
        if (auto to = counted.find({&function, node.operands[1]}); to != counted.end())
          require(typeOf(0).shape[0] - to->second, node);
      if (node.op == Op::View) {
        requireInside(mapOf("map"), result.shape, typeOf(0), node);
      } else if (auto inside = node.attrs.find("inside"); inside != node.attrs.end()) {
        for (const Dim &dim : std::get<std::vector<Dim>>(inside->second))
          require(dim, node);
      } else if (node.op == Op::Fold) {
        requireInside(mapOf("map"), typeOf(0).shape, result, node);
      } else if (node.op == Op::Contract) {
        std::vector<Dim> sizes = result.shape;
        const Attr &reduced = node.attrs.at("reduced");
        if (auto *numbers = std::get_if<std::vector<int64_t>>(&reduced))
          sizes.insert(sizes.end(), numbers->begin(), numbers->end());
        else
          for (const Dim &size : std::get<std::vector<Dim>>(reduced)) {
            require(size, node);
            sizes.push_back(size);
          }
        requireInside(mapOf("lhs_map"), sizes, typeOf(0), node);
        requireInside(mapOf("rhs_map"), sizes, typeOf(1), node);
      }
      if (node.body)
        visit(*node.body);
    }
  }
  std::set<Dim> seen;
  std::map<std::pair<const Function *, Value>, Dim> counted; // values that are 0, 1, ... along a dimension of this size
};
} // namespace

namespace {
/// Whether the view has every element of its operand, in another order or repeated.
bool keepsAll(const AffineIndices &map, const TensorType &result, const TensorType &operand) {
  std::set<uint32_t> dims;
  for (size_t i = 0; i < map.size(); ++i)
    if (map[i].offset != 0 || map[i].terms.size() != 1 || map[i].terms[0].second != 1 || !dims.insert(map[i].terms[0].first).second ||
        result.shape[map[i].terms[0].first] != operand.shape[i])
      return false;
  return true;
}

/// Follows inputs to the tables whose rows they pick, also into the steps of scans.
struct IdBounds {
  std::map<int, IdBound> found;

  /// `input`: of each value the input whose elements it has, or -1.
  void visit(const Function &function, std::vector<int> input) {
    input.resize(function.types.size(), -1);
    for (const Node &node : function.nodes) {
      auto operand = [&](size_t i) -> const TensorType & { return function.types[node.operands[i]]; };
      if (node.op == Op::Reshape ||
          (node.op == Op::View && keepsAll(std::get<AffineIndices>(node.attrs.at("map")), function.types[node.first], operand(0))))
        input[node.first] = input[node.operands[0]];
      if (node.op == Op::Gather || node.op == Op::ScatterAdd)
        bound(input[node.operands[1]], node.op == Op::Gather ? operand(0).shape[0] : function.types[node.first].shape[0], node);
      if (auto rows = node.attrs.find("below"); rows != node.attrs.end())
        for (const Dim &size : std::get<std::vector<Dim>>(rows->second))
          bound(input[node.operands[1]], size, node);
      if (node.body) { // what is carried changes from step to step; rows and what is read from outside are as they were
        const auto carried = size_t(std::get<int64_t>(node.attrs.at("starts")));
        std::vector<int> inside;
        for (size_t i = 0; i < node.operands.size(); ++i)
          inside.push_back(i < carried ? -1 : input[node.operands[i]]);
        visit(*node.body, std::move(inside));
      }
    }
  }

private:
  void bound(int of, const Dim &size, const Node &node) {
    auto rows = size.constant();
    if (!rows || of < 0)
      return;
    const IdBound now{size_t(of), *rows, node.caller.valid() ? node.caller : node.where};
    auto [known, added] = found.try_emplace(of, now);
    if (!added && *rows < known->second.rows)
      known->second = now;
  }
};
} // namespace

std::vector<IdBound> bigm::idBoundsOf(const Function &function) {
  std::vector<int> input;
  for (size_t i = 0; i < function.args.size(); ++i)
    input.push_back(function.args[i].role == Role::Input ? int(i) : -1);
  IdBounds bounds;
  bounds.visit(function, std::move(input));
  std::vector<IdBound> out;
  for (auto &[of, bound] : bounds.found)
    out.push_back(bound);
  return out;
}

std::vector<Requirement> bigm::requirementsOf(const Function &function) { return Collector(function).found; }
