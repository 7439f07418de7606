#include "frontend/precision/Activations.h"
#include "frontend/precision/NodeWriter.h"
#include "frontend/precision/Weights.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace bigm {
namespace {

/// Steps of a sum whose products of eight bits stay below 2^31 together.
constexpr int64_t mostSteps = 66000;
/// Steps below which a product is not worth the conversion of its activations.
constexpr int64_t leastSteps = 16;
/// Products of four neighbours are one instruction.
constexpr int64_t group = 4;

/// Whether exactly one index of the operand is the dimension and no other moves with it.
bool standsAlone(const AffineIndices &map, uint32_t dim) {
  int plain = 0, any = 0;
  for (const AffineIndex &index : map) {
    bool moves = std::any_of(index.terms.begin(), index.terms.end(), [&](auto &term) { return term.first == dim; });
    any += moves;
    plain += moves && index.terms.size() == 1 && index.terms[0].second == 1 && index.offset == 0;
  }
  return plain == 1 && any == 1;
}
bool moves(const AffineIndices &map, uint32_t dim) {
  return std::any_of(map.begin(), map.end(), [&](const AffineIndex &index) {
    return std::any_of(index.terms.begin(), index.terms.end(), [&](auto &term) { return term.first == dim; });
  });
}

class Finder {
public:
  Finder(const Function &f, const std::map<int, Kept> &kept) : f(f), kept(kept), madeBy(f.types.size(), -1) {
    for (size_t i = 0; i < f.nodes.size(); ++i)
      for (unsigned r = 0; r < f.nodes[i].results; ++r)
        madeBy[f.nodes[i].first + r] = int64_t(i);
  }

  std::optional<Site> at(const Node &node) const {
    if (node.op != Op::Contract || f.types[node.first].elem != Elem::F32)
      return std::nullopt;
    for (unsigned side : {0u, 1u}) {
      Value weight = node.operands[1 - side], x = node.operands[side];
      auto how = weight < f.args.size() ? kept.find(f.args[weight].tensor) : kept.end();
      if (how == kept.end() || !how->second.activations || f.args[weight].role != Role::Tensor)
        continue;
      bool isWeight = x < f.args.size() && f.args[x].role == Role::Tensor && kept.count(f.args[x].tensor);
      if (isWeight || f.types[x].elem != Elem::F32 || channelsOf(f, node, weight) != how->second.axis)
        return std::nullopt;
      const auto &ofX = std::get<AffineIndices>(node.attrs.at(side == 0 ? "lhs_map" : "rhs_map"));
      const auto &ofWeight = std::get<AffineIndices>(node.attrs.at(side == 0 ? "rhs_map" : "lhs_map"));
      uint32_t channel = ofWeight[size_t(how->second.axis)].terms[0].first;
      if (moves(ofX, channel) || !fits(node, ofX, ofWeight))
        return std::nullopt;
      Site site{f.args[weight].tensor, side, channel, x, {}, {}, -1};
      follow(site);
      findChannels(site, node, ofX, ofWeight);
      return site;
    }
    return std::nullopt;
  }

private:
  bool fits(const Node &node, const AffineIndices &x, const AffineIndices &weight) const {
    const auto &reduced = std::get<std::vector<Dim>>(node.attrs.at("reduced"));
    uint32_t first = uint32_t(f.types[node.first].shape.size());
    int64_t steps = 1;
    bool together = false;
    for (size_t i = 0; i < reduced.size(); ++i) {
      auto size = reduced[i].constant();
      if (!size || *size <= 0 || *size > mostSteps)
        return false;
      steps *= *size;
      if (steps > mostSteps)
        return false;
      uint32_t dim = first + uint32_t(i);
      together |= *size % group == 0 && standsAlone(x, dim) && standsAlone(weight, dim);
    }
    return together && steps >= leastSteps;
  }

  /// Back through what only moves elements, and through zeros put around them.
  void follow(Site &site) const {
    for (;;) {
      int64_t number = madeBy[site.root];
      if (number < 0)
        break;
      const Node &node = f.nodes[size_t(number)];
      if (node.op != Op::View && node.op != Op::Reshape && !(node.op == Op::Pad && isZero(node.operands[1])))
        break;
      site.moved.push_back(size_t(number));
      site.root = node.operands[0];
    }
    std::reverse(site.moved.begin(), site.moved.end());
  }
  /// The first dimension of the sum that is one of the weight and, back through what moves elements, one of the root.
  void findChannels(Site &site, const Node &node, const AffineIndices &x, const AffineIndices &weight) const {
    const auto &reduced = std::get<std::vector<Dim>>(node.attrs.at("reduced"));
    uint32_t first = uint32_t(f.types[node.first].shape.size());
    for (uint32_t dim = first; dim < first + reduced.size(); ++dim) {
      int along = ownIndex(weight, dim), at = ownIndex(x, dim);
      std::vector<int> channels{at};
      for (auto move = site.moved.rbegin(); at >= 0 && move != site.moved.rend(); ++move)
        channels.push_back(at = before(f.nodes[*move], at));
      if (along < 0 || at < 0 || f.types[site.root].shape[size_t(at)] != reduced[dim - first])
        continue;
      site.channels.assign(channels.rbegin(), channels.rend());
      site.along = along;
      return;
    }
  }
  /// The index of an operand that is exactly the dimension, when no other moves with it; else -1.
  static int ownIndex(const AffineIndices &map, uint32_t dim) {
    if (!standsAlone(map, dim))
      return -1;
    return int(std::find_if(map.begin(), map.end(), [&](const AffineIndex &index) { return index.terms.size() == 1 && index.terms[0].first == dim; }) - map.begin());
  }
  /// Which dimension of what a node moves is dimension `at` of what it gives; -1: none is.
  int before(const Node &node, int at) const {
    const std::vector<Dim> &from = f.types[node.operands[0]].shape, &to = f.types[node.first].shape;
    if (node.op == Op::View)
      return ownIndex(std::get<AffineIndices>(node.attrs.at("map")), uint32_t(at));
    if (node.op == Op::Pad)
      return from[size_t(at)] == to[size_t(at)] ? at : -1;
    // A dimension survives reshaping where it has the same size and as many elements behind it.
    auto behind = [](const std::vector<Dim> &shape, size_t at) {
      Dim all(1);
      for (size_t d = at + 1; d < shape.size(); ++d)
        all = all * shape[d];
      return all;
    };
    for (size_t d = 0; d < from.size(); ++d)
      if (from[d] == to[size_t(at)] && behind(from, d) == behind(to, size_t(at)))
        return int(d);
    return -1;
  }
  bool isZero(Value x) const {
    if (madeBy[x] < 0)
      return false;
    const Node &node = f.nodes[size_t(madeBy[x])];
    return node.op == Op::Constant && std::get<double>(node.attrs.at("number")) == 0;
  }

  const Function &f;
  const std::map<int, Kept> &kept;
  std::vector<int64_t> madeBy; // the node of a value; -1: an argument
};

/// Adds what a function saw of one tensor to the counts in `seen`: of all its elements together, or of each channel by itself.
Value counted(NodeWriter &w, Value x, int channels, Value seen, const Node &like) {
  const Bins &bins = channels < 0 ? fineBins : channelBins;
  constexpr double perLog = 1 / 0.69314718055994530942; // octaves of natural logarithms
  const std::vector<Dim> given = w.type(x).shape;
  Dim count(1);
  for (const Dim &d : given)
    count = count * d;
  std::vector<Dim> shape{count};
  auto number = [&](double value) { return w.number(value, shape, like); };
  Value all = w.add(Op::Reshape, {x}, {Elem::F32, shape}, {}, like);
  // What is no number is counted as nothing.
  Value isNumber = w.add(Op::Eq, {all, all}, {Elem::Bool, shape}, {}, like);
  all = w.pointwise(Op::Select, {isNumber, all, number(0)}, like);
  Value size = w.pointwise(Op::Max, {w.pointwise(Op::Abs, {all}, like), number(std::ldexp(1.0, bins.least))}, like);
  Value bin = w.pointwise(Op::Mul, {w.pointwise(Op::Log, {size}, like), number(perLog * bins.inOctave)}, like);
  bin = w.pointwise(Op::Floor, {w.pointwise(Op::Add, {bin, number(-bins.least * bins.inOctave)}, like)}, like);
  bin = w.pointwise(Op::Max, {w.pointwise(Op::Min, {bin, number(bins.each - 1)}, like), number(0)}, like);
  Value negative = w.add(Op::Lt, {all, number(0)}, {Elem::Bool, shape}, {}, like);
  Value place = w.pointwise(Op::Select, {negative, w.pointwise(Op::Sub, {number(bins.each - 1), bin}, like), w.pointwise(Op::Add, {bin, number(bins.each)}, like)}, like);
  Value ids = w.cast(place, Elem::I32, like);
  if (channels >= 0) {
    Value channel = w.add(Op::Iota, {}, {Elem::I32, given}, {{"dim", int64_t(channels)}}, like);
    channel = w.add(Op::Reshape, {channel}, {Elem::I32, shape}, {}, like);
    ids = w.pointwise(Op::Add, {ids, w.pointwise(Op::Mul, {channel, w.number(2 * bins.each, shape, like, Elem::I32)}, like)}, like);
  }
  Value counts = w.add(Op::ScatterAdd, {number(1), ids}, {Elem::F32, w.type(seen).shape}, {}, like);
  return w.pointwise(Op::Add, {seen, counts}, like);
}

} // namespace

std::map<size_t, Site> sitesIn(const Function &f, const std::map<int, Kept> &kept) {
  std::map<size_t, Site> sites;
  Finder finder(f, kept);
  for (size_t i = 0; i < f.nodes.size(); ++i)
    if (auto site = finder.at(f.nodes[i]))
      sites[i] = *site;
  return sites;
}

std::map<int, RangeOf> rangesOf(const Program &program, const std::map<int, Kept> &kept) {
  // Weights that multiply one tensor are one set, told by its first.
  std::map<int, int> first;
  auto find = [&](int tensor) {
    while (first.at(tensor) != tensor)
      tensor = first.at(tensor);
    return tensor;
  };
  // Channels, where all sites of a set say the same: of one tensor the same dimension, of one weight too.
  std::map<int, std::pair<int64_t, int>> said; // weight -> channels, its dimension; 0: sites differ
  for (const Function &f : program.functions) {
    std::map<Value, Site> ofRoot;
    for (auto &[node, site] : sitesIn(f, kept)) {
      first.try_emplace(site.tensor, site.tensor);
      std::pair<int64_t, int> own{0, -1};
      if (!site.channels.empty())
        own = {f.types[site.root].shape[size_t(site.channels[0])].constant().value_or(0), site.along};
      if (auto [there, isNew] = said.try_emplace(site.tensor, own); !isNew && there->second != own)
        there->second = {0, -1};
      auto [found, fresh] = ofRoot.try_emplace(site.root, site);
      if (fresh)
        continue;
      if (found->second.channels.empty() || site.channels.empty() || found->second.channels[0] != site.channels[0])
        said[site.tensor] = {0, -1};
      int a = find(found->second.tensor), b = find(site.tensor);
      first[std::max(a, b)] = std::min(a, b);
    }
  }
  std::map<int, int64_t> ofSet;
  for (auto &[tensor, own] : said)
    if (auto [there, isNew] = ofSet.try_emplace(find(tensor), own.first); !isNew && there->second != own.first)
      there->second = 0;
  std::map<int, RangeOf> ranges;
  for (auto &[tensor, to] : first)
    ranges[tensor] = {program.tensors[size_t(find(tensor))].name + ".input", ofSet.at(find(tensor)), said.at(tensor).second};
  return ranges;
}

Program observed(const Program &program, const std::vector<DeployProgram> &deploys) {
  Program out = program;
  const std::map<int, Kept> kept = keptBy(program, deploys);
  const std::map<int, RangeOf> ranges = rangesOf(program, kept);
  std::map<std::string, int> seen;
  for (auto &[tensor, range] : ranges)
    if (seen.try_emplace(range.name, int(out.tensors.size())).second)
      out.tensors.push_back({TensorDecl::Kind::Metric, range.name + ".seen", {Elem::F32, {Dim(countsOf(range.channels))}}, program.tensors[size_t(tensor)].where});

  std::set<std::string> gone;
  for (TrainProgram &t : out.trains) {
    for (PhaseProgram &p : t.phases)
      for (std::string *function : {&p.step, &p.estimate, &p.gather})
        gone.insert(std::exchange(*function, ""));
    gone.insert(std::exchange(t.predict, ""));
  }
  std::erase_if(out.functions, [&](const Function &f) { return gone.count(f.name); });

  std::map<std::string, std::set<int>> shows; // function -> the weights whose activations it counts
  for (Function &f : out.functions) {
    auto sites = sitesIn(f, kept);
    if (sites.empty())
      continue;
    // New arguments come behind the old ones, so that all values move up.
    std::map<std::string, Value> counts;
    Value before = Value(f.args.size());
    std::vector<TensorType> types;
    for (auto &[node, site] : sites)
      if (const std::string &name = ranges.at(site.tensor).name; counts.try_emplace(name, Value(f.args.size())).second) {
        const TensorDecl &decl = out.tensors[size_t(seen.at(name))];
        f.args.push_back({decl.name, Role::Tensor, seen.at(name), decl.type, decl.where});
        types.push_back(decl.type);
      }
    auto up = [&, by = Value(types.size())](Value &v) { v += v >= before ? by : 0; };
    f.types.insert(f.types.begin() + before, types.begin(), types.end());
    for (Node &node : f.nodes) {
      up(node.first);
      for (Value &operand : node.operands)
        up(operand);
    }
    for (Output &o : f.outputs)
      up(o.value);

    NodeWriter writer(f);
    std::set<std::pair<Value, std::string>> done;
    for (auto &[number, site] : sites) {
      const std::string &name = ranges.at(site.tensor).name;
      shows[f.name].insert(site.tensor);
      if (!done.emplace(site.root, name).second)
        continue;
      Value root = site.root;
      up(root);
      Node like = f.nodes[number];
      counts[name] = counted(writer, root, ranges.at(site.tensor).channels ? site.channels[0] : -1, counts[name], like);
    }
    for (auto &[name, value] : counts)
      f.outputs.push_back({name + ".seen", value, seen.at(name)});
  }

  out.evaluates.clear();
  for (const DeployProgram &d : deploys) {
    if (d.data.empty() || d.precision != "int8")
      continue;
    std::map<int, Kept> own = keptBy(program, {d});
    auto showsOwn = [&](const std::string &function) {
      auto found = shows.find(function);
      return found != shows.end() && std::any_of(found->second.begin(), found->second.end(), [&](int tensor) { return own.count(tensor); });
    };
    for (EvaluateProgram e : program.evaluates) {
      bool runs = showsOwn(e.step);
      for (const FlowProgram &flow : program.flows)
        if (flow.name == e.flow)
          for (const FlowStep &step : flow.steps)
            runs |= step.op == "call" && showsOwn(step.settings.name);
      if (e.data != d.data || !runs)
        continue;
      e.split = d.split;
      e.requires_.clear();
      out.evaluates.push_back(std::move(e));
    }
  }
  return out;
}

} // namespace bigm
