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
      Site site{f.args[weight].tensor, side, channel, x, {}};
      follow(site);
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

/// Adds what a function saw of one tensor to the counts in `seen`.
Value counted(NodeWriter &w, Value x, Value seen, const Node &like) {
  constexpr double perLog = binsInOctave / 0.69314718055994530942; // of natural logarithms
  Dim count(1);
  for (const Dim &d : w.type(x).shape)
    count = count * d;
  std::vector<Dim> shape{count};
  auto number = [&](double value) { return w.number(value, shape, like); };
  Value all = w.add(Op::Reshape, {x}, {Elem::F32, shape}, {}, like);
  // What is no number is counted as nothing.
  Value isNumber = w.add(Op::Eq, {all, all}, {Elem::Bool, shape}, {}, like);
  all = w.pointwise(Op::Select, {isNumber, all, number(0)}, like);
  Value size = w.pointwise(Op::Max, {w.pointwise(Op::Abs, {all}, like), number(std::ldexp(1.0, leastOctave))}, like);
  Value bin = w.pointwise(Op::Mul, {w.pointwise(Op::Log, {size}, like), number(perLog)}, like);
  bin = w.pointwise(Op::Floor, {w.pointwise(Op::Add, {bin, number(-leastOctave * binsInOctave)}, like)}, like);
  bin = w.pointwise(Op::Max, {w.pointwise(Op::Min, {bin, number(binsEach - 1)}, like), number(0)}, like);
  Value negative = w.add(Op::Lt, {all, number(0)}, {Elem::Bool, shape}, {}, like);
  Value place = w.pointwise(Op::Select, {negative, w.pointwise(Op::Sub, {number(binsEach - 1), bin}, like), w.pointwise(Op::Add, {bin, number(binsEach)}, like)}, like);
  Value ids = w.cast(place, Elem::I32, like);
  Value counts = w.add(Op::ScatterAdd, {number(1), ids}, {Elem::F32, {Dim(2 * binsEach)}}, {}, like);
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

std::map<int, std::string> rangesOf(const Program &program, const std::map<int, Kept> &kept) {
  // Weights that multiply one tensor are one set, told by its first.
  std::map<int, int> first;
  auto find = [&](int tensor) {
    while (first.at(tensor) != tensor)
      tensor = first.at(tensor);
    return tensor;
  };
  for (const Function &f : program.functions) {
    std::map<Value, int> ofRoot;
    for (auto &[node, site] : sitesIn(f, kept)) {
      first.try_emplace(site.tensor, site.tensor);
      auto [found, fresh] = ofRoot.try_emplace(site.root, site.tensor);
      if (fresh)
        continue;
      int a = find(found->second), b = find(site.tensor);
      first[std::max(a, b)] = std::min(a, b);
    }
  }
  std::map<int, std::string> names;
  for (auto &[tensor, other] : first)
    names[tensor] = program.tensors[size_t(find(tensor))].name + ".input";
  return names;
}

Program observed(const Program &program, const std::vector<DeployProgram> &deploys) {
  Program out = program;
  const std::map<int, Kept> kept = keptBy(program, deploys);
  const std::map<int, std::string> names = rangesOf(program, kept);
  std::map<std::string, int> seen;
  for (auto &[tensor, name] : names)
    if (seen.try_emplace(name, int(out.tensors.size())).second)
      out.tensors.push_back({TensorDecl::Kind::Metric, name + ".seen", {Elem::F32, {Dim(2 * binsEach)}}, program.tensors[size_t(tensor)].where});

  std::set<std::string> gone;
  for (TrainProgram &t : out.trains) {
    for (PhaseProgram &p : t.phases)
      for (std::string *function : {&p.step, &p.estimate})
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
      if (const std::string &name = names.at(site.tensor); counts.try_emplace(name, Value(f.args.size())).second) {
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
      const std::string &name = names.at(site.tensor);
      shows[f.name].insert(site.tensor);
      if (!done.emplace(site.root, name).second)
        continue;
      Value root = site.root;
      up(root);
      Node like = f.nodes[number];
      counts[name] = counted(writer, root, counts[name], like);
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

std::optional<Range> bestRange(std::span<const float> counts) {
  struct Bin {
    double value, count;
  };
  // The middle of a bin stands for what it counts; the range begins and ends at the outer edges of bins.
  auto edge = [](int bin) { return std::exp2(double(bin) / binsInOctave + leastOctave); };
  std::vector<Bin> bins;
  std::vector<double> lows{0}, highs{0}; // from zero outwards
  for (int b = 0; b < binsEach; ++b) {
    double middle = (edge(b) + edge(b + 1)) / 2;
    if (float n = counts[size_t(binsEach - 1 - b)]; n > 0)
      bins.push_back({-middle, n}), lows.push_back(-edge(b + 1));
    if (float n = counts[size_t(binsEach + b)]; n > 0)
      bins.push_back({middle, n}), highs.push_back(edge(b + 1));
  }
  if (bins.empty())
    return std::nullopt;
  // Cutting goes two octaves in at most: further in nothing was ever gained by it.
  auto near = [](std::vector<double> &ends) {
    double last = ends.back();
    std::erase_if(ends, [&](double end) { return std::abs(end) < std::abs(last) / 4; });
  };
  near(lows), near(highs);
  Range best{};
  double least = INFINITY;
  for (double low : lows)
    for (double high : highs) {
      double step = (high - low) / 255, error = 0;
      for (const Bin &bin : bins) {
        double over = std::max({0.0, bin.value - high, low - bin.value});
        error += bin.count * (over > 0 ? over * over : std::min(step * step / 12, bin.value * bin.value));
        if (error >= least)
          break;
      }
      if (error >= least)
        continue;
      least = error;
      best = {float(step), 1 / float(step), float(std::nearbyint(-low / step))};
    }
  return best;
}

} // namespace bigm
