#include "PositionBias.h"
#include "Positions.h"
#include <algorithm>

namespace bigm::sema {

std::optional<Value> positionBias(const Node &n) {
  auto flag = [&](const char *name) { return n.attrs.count(name) && std::get<int64_t>(n.attrs.at(name)); };
  if (n.op != Op::Attention || !flag("causal"))
    return std::nullopt;
  const size_t at = flag("masked") ? 4 : 3;
  return at < n.operands.size() ? std::optional(n.operands[at]) : std::nullopt;
}

std::vector<bool> neededByBiasAlone(const Function &f) {
  std::vector<bool> needed(f.types.size());
  for (const Output &o : f.outputs)
    needed[o.value] = true;
  std::vector<bool> alone(f.nodes.size());
  for (size_t i = f.nodes.size(); i-- > 0;) {
    const Node &n = f.nodes[i];
    alone[i] = std::none_of(needed.begin() + n.first, needed.begin() + n.first + n.results, [](bool b) { return b; });
    if (alone[i])
      continue;
    const auto bias = positionBias(n);
    for (size_t k = 0; k < n.operands.size(); ++k)
      if (!(bias && n.operands[k] == *bias && k >= 3))
        needed[n.operands[k]] = true;
  }
  return alone;
}

namespace {
enum class Along : char { Other, Query, Key };
using Roles = std::vector<Along>;

bool other(const Roles &roles) {
  return std::all_of(roles.begin(), roles.end(), [](Along a) { return a == Along::Other; });
}

/// Makes each value once for each way in which its dimensions run. A value that positions enter is `led`: it has a dimension of
/// sequences in front, since these stand at positions of their own.
class Maker {
public:
  Maker(const Function &f, const std::vector<TensorDecl> *tensors, const std::string &length, const BiasPlaces &places, Recorder &rec)
      : f(f), tensors(tensors), length(length), places(places), rec(rec) {}

  std::variant<Value, Refusal> bias(Value v) {
    const std::vector<Dim> &shape = f.types[v].shape; // [N or 1, H or 1, T or 1, S]
    Roles roles(4, Along::Other);
    if (shape[2] == Dim::symbol(length))
      roles[2] = Along::Query;
    roles[3] = Along::Key;
    Made made = make(v, roles);
    if (refusal)
      return *refusal;
    std::vector<Dim> whole = sizes(shape, roles, nodeOf(v));
    if (made.led) { // [N, 1, H, T, S]
      whole[0] = places.batch;
      made.value = rec.reshape(made.value, whole);
    }
    whole[0] = places.batch, whole[2] = places.queries;
    return rec.broadcast(made.value, whole);
  }

private:
  struct Made {
    Value value = 0;
    bool led = false;
  };

  const Node *nodeOf(Value v) const {
    auto at = std::upper_bound(f.nodes.begin(), f.nodes.end(), v, [](Value value, const Node &n) { return value < n.first; });
    return v < f.args.size() ? nullptr : &*std::prev(at);
  }
  Made refuse(const Node *n, std::string why) {
    if (!refusal)
      refusal = n ? Refusal{n->caller.valid() ? n->caller : n->where, name(n->op), std::move(why)} : Refusal{{}, "", std::move(why)};
    return {};
  }
  std::vector<Dim> sizes(const std::vector<Dim> &shape, const Roles &roles, const Node *n) {
    std::vector<Dim> result;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (roles[d] == Along::Other && mentions(shape[d], length))
        refuse(n, "makes a bias of a size that depends on the number of positions, " + shape[d].str());
      result.push_back(roles[d] == Along::Query ? places.queries : roles[d] == Along::Key ? places.keys : shape[d]);
    }
    return result;
  }
  std::vector<Dim> led(std::vector<Dim> shape) const {
    shape.insert(shape.begin(), places.batch);
    return shape;
  }
  static AffineIndices shifted(AffineIndices map) {
    for (AffineIndex &i : map)
      for (auto &[dim, coefficient] : i.terms)
        ++dim;
    return map;
  }
  Value lead(const Made &x) {
    const std::vector<Dim> &shape = rec.type(x.value).shape;
    return x.led ? x.value : rec.view(x.value, led(shape), shifted(identityMap(shape.size())));
  }
  Made add(const Node &n, std::vector<Value> operands, const Roles &roles, bool isLed, std::map<std::string, Attr> attrs) {
    TensorType t = f.types[n.first];
    t.shape = sizes(t.shape, roles, &n);
    if (isLed)
      t.shape = led(t.shape);
    return {rec.add(n.op, std::move(operands), t, std::move(attrs)), isLed};
  }

  Made make(Value v, const Roles &roles) {
    if (refusal)
      return {};
    auto key = std::pair(v, roles);
    if (auto known = made.find(key); known != made.end())
      return known->second;
    Made result = v < f.args.size() ? argument(f.args[v], roles) : node(*nodeOf(v), roles);
    if (!refusal)
      made[key] = result;
    return result;
  }

  Made argument(const Arg &arg, const Roles &roles) {
    if (arg.role != Role::Tensor || !other(roles)) {
      refusal = Refusal{arg.where, "", "takes `" + arg.name + "` for a bias, which must follow from positions and parameters"};
      return {};
    }
    return {tensors ? rec.tensor(arg.tensor, (*tensors)[size_t(arg.tensor)]) : rec.input(arg.name, arg.type, arg.where), false};
  }

  Made node(const Node &n, const Roles &roles) {
    rec.where = n.caller.valid() ? n.caller : n.where;
    rec.scope = n.scope;
    switch (n.op) {
    case Op::Constant: return add(n, {}, roles, false, n.attrs);
    case Op::Iota: return iota(n, roles);
    case Op::Reshape: return reshape(n, roles);
    case Op::View: case Op::Contract: return mapped(n, roles);
    case Op::ReduceSum: case Op::ReduceMax: case Op::ReduceMin: case Op::ReduceProd: return reduced(n, roles);
    case Op::Gather: {
      const size_t rank = f.types[n.operands[1]].shape.size();
      Made ids = make(n.operands[1], Roles(roles.begin(), roles.begin() + int64_t(rank)));
      Made table = make(n.operands[0], Roles(f.types[n.operands[0]].shape.size(), Along::Other));
      if (!refusal && (table.led || !other(Roles(roles.begin() + int64_t(rank), roles.end()))))
        return refuse(&n, "reads a table that depends on positions");
      return refusal ? Made{} : add(n, {table.value, ids.value}, roles, ids.led, n.attrs);
    }
    default: return pointwise(n, roles);
    }
  }

  Made iota(const Node &n, const Roles &roles) {
    const size_t dim = size_t(std::get<int64_t>(n.attrs.at("dim")));
    if (roles[dim] == Along::Other)
      return add(n, {}, roles, false, n.attrs);
    const TensorType &type = f.types[n.first];
    Value place = rec.cast(roles[dim] == Along::Query ? places.query : places.key, type.elem);
    return {rec.view(place, led(sizes(type.shape, roles, &n)), {index(0), index(uint32_t(dim + 1))}), true};
  }

  /// Dimensions of size 1 come and go; others that positions run along stay whole.
  Made reshape(const Node &n, const Roles &roles) {
    const std::vector<Dim> &to = f.types[n.first].shape, &from = f.types[n.operands[0]].shape;
    Roles below(from.size(), Along::Other);
    if (!other(roles)) {
      size_t d = 0;
      for (size_t p = 0; p < from.size(); ++p) {
        if (from[p] == Dim(1))
          continue;
        while (d < to.size() && to[d] == Dim(1))
          ++d;
        if (d == to.size() || to[d] != from[p])
          return refuse(&n, "cuts positions into parts");
        below[p] = roles[d++];
      }
    }
    Made x = make(n.operands[0], below);
    std::vector<Dim> shape = sizes(to, roles, &n);
    return refusal ? Made{} : Made{rec.reshape(x.value, x.led ? led(shape) : shape), x.led};
  }

  /// A view, or a product: each dimension of an operand that positions run along is one of the result.
  Made mapped(const Node &n, const Roles &roles) {
    const bool contract = n.op == Op::Contract;
    std::map<std::string, Attr> attrs = n.attrs;
    std::vector<const char *> names = contract ? std::vector{"lhs_map", "rhs_map"} : std::vector{"map"};
    std::vector<Made> x;
    for (size_t i = 0; i < names.size(); ++i) {
      const AffineIndices &map = std::get<AffineIndices>(attrs[names[i]]);
      Roles below(map.size(), Along::Other);
      for (size_t p = 0; p < map.size(); ++p)
        for (auto [d, coefficient] : map[p].terms) {
          if (d >= roles.size() || roles[d] == Along::Other)
            continue;
          if (map[p].terms.size() > 1 || coefficient != 1 || map[p].offset || f.types[n.operands[i]].shape[p] != f.types[n.first].shape[d])
            return refuse(&n, "reads at places that depend on the position");
          below[p] = roles[d];
        }
      x.push_back(make(n.operands[i], below));
    }
    if (refusal)
      return {};
    const bool any = std::any_of(x.begin(), x.end(), [](const Made &m) { return m.led; });
    std::vector<Value> operands;
    for (size_t i = 0; i < x.size(); ++i) {
      AffineIndices &map = std::get<AffineIndices>(attrs[names[i]]);
      if (any) {
        map = shifted(map);
        map.insert(map.begin(), index(0));
      }
      operands.push_back(any ? lead(x[i]) : x[i].value);
    }
    if (contract)
      return add(n, operands, roles, any, attrs);
    std::vector<Dim> shape = sizes(f.types[n.first].shape, roles, &n);
    return refusal ? Made{} : Made{rec.view(operands[0], any ? led(shape) : shape, std::get<AffineIndices>(attrs["map"])), any};
  }

  Made reduced(const Node &n, const Roles &roles) {
    std::map<std::string, Attr> attrs = n.attrs;
    auto &dims = std::get<std::vector<int64_t>>(attrs["dims"]);
    Roles below = roles;
    for (int64_t dim : dims) // ascending
      below.insert(below.begin() + dim, Along::Other);
    Made x = make(n.operands[0], below);
    if (x.led)
      for (int64_t &dim : dims)
        ++dim;
    return refusal ? Made{} : add(n, {x.value}, roles, x.led, attrs);
  }

  Made pointwise(const Node &n, const Roles &roles) {
    const bool structured = n.op == Op::Random || n.op == Op::Fold || n.op == Op::Pad || n.op == Op::Concat || n.op == Op::ArgMax ||
                            n.op == Op::ArgMin || (n.op >= Op::Gather && n.op != Op::StopGradient);
    bool plain = !structured && n.results == 1 && !n.operands.empty();
    for (Value operand : n.operands)
      plain &= f.types[operand].shape == f.types[n.first].shape;
    if (!plain)
      return refuse(&n, "makes a bias in a way that is not followed from positions");
    std::vector<Made> x;
    for (Value operand : n.operands)
      x.push_back(make(operand, roles));
    if (refusal)
      return {};
    const bool any = std::any_of(x.begin(), x.end(), [](const Made &m) { return m.led; });
    std::vector<Value> operands;
    for (const Made &m : x)
      operands.push_back(any ? lead(m) : m.value);
    return add(n, operands, roles, any, n.attrs);
  }

  const Function &f;
  const std::vector<TensorDecl> *tensors; // none: parameters are inputs, of a function that nobody keeps
  const std::string &length;
  const BiasPlaces &places;
  Recorder &rec;
  std::map<std::pair<Value, Roles>, Made> made;
  std::optional<Refusal> refusal;
};
} // namespace

std::variant<Value, Refusal> makePositionBias(const Function &f, const std::vector<TensorDecl> &tensors, const std::string &length,
                                              Value bias, const BiasPlaces &places, Recorder &rec) {
  return Maker(f, &tensors, length, places, rec).bias(bias);
}

std::optional<Refusal> refusedPositionBias(const Function &f, const std::string &length, Value bias) {
  Recorder rec("asked");
  BiasPlaces places{Dim::symbol("N"), Dim(2), Dim(3), 0, 0};
  places.query = rec.input("query", {Elem::I32, {places.batch, places.queries}, 0}, {});
  places.key = rec.input("key", {Elem::I32, {places.batch, places.keys}, 0}, {});
  auto made = Maker(f, nullptr, length, places, rec).bias(bias);
  if (auto *refusal = std::get_if<Refusal>(&made))
    return *refusal;
  return std::nullopt;
}

} // namespace bigm::sema
