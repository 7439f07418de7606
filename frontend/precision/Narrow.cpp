#include "frontend/precision/Narrow.h"
#include "frontend/precision/NodeWriter.h"
#include <algorithm>
#include <memory>
#include <set>

namespace bigm {
namespace {

class Narrowing {
public:
  Narrowing(const Program &program, std::map<int, Kept> kept, const Ranges &ranges)
      : from(program), out(program), kept(std::move(kept)), ranges(ranges) {}

  Program run() {
    if (kept.empty())
      return out;
    for (auto &[tensor, how] : kept) {
      TensorDecl &decl = out.tensors[size_t(tensor)];
      decl.narrowed = true;
      decl.type.elem = how.elem;
      if (how.elem != Elem::I8)
        continue;
      TensorDecl scales{TensorDecl::Kind::Param, decl.name + ".scale", {Elem::F32, {decl.type.shape[size_t(how.axis)]}}, decl.where};
      decl.scales = int(out.tensors.size()), decl.axis = how.axis;
      out.tensors.push_back(std::move(scales)); // `decl` is gone
    }
    rangeOfWeight = rangesOf(from, kept);
    for (auto &[tensor, of] : rangeOfWeight)
      if (auto range = ranges.find(of.name); range != ranges.end()) {
        const SourceRange &where = from.tensors[size_t(tensor)].where;
        found(of.name, {range->second.step, range->second.inverse, range->second.zero}, where);
        if (range->second.balance.empty())
          continue;
        int balance = found(of.name + ".balance", range->second.balance, where);
        out.tensors[size_t(tensor)].balance = balance, out.tensors[size_t(tensor)].along = of.along;
      }
    std::set<std::string> inits;
    for (const TrainProgram &t : from.trains)
      inits.insert(t.init);
    out.functions.clear();
    std::set<std::string> gone;
    for (const Function &f : from.functions) {
      bool writes = std::any_of(f.outputs.begin(), f.outputs.end(), [&](const Output &o) { return kept.count(o.tensor); });
      if (writes && !inits.count(f.name))
        gone.insert(f.name);
      else
        out.functions.push_back(rewritten(f));
    }
    for (TrainProgram &t : out.trains)
      for (PhaseProgram &p : t.phases)
        for (std::string *function : {&p.step, &p.estimate, &p.gather})
          if (gone.count(*function))
            function->clear();
    return out;
  }

private:
  /// A tensor whose elements the compiler found, one of each name.
  int found(const std::string &name, std::vector<float> values, const SourceRange &where) {
    auto [there, fresh] = foundTensors.try_emplace(name, int(out.tensors.size()));
    if (fresh) {
      TensorDecl decl{TensorDecl::Kind::Param, name, {Elem::F32, {Dim(int64_t(values.size()))}}, where};
      decl.values = std::move(values);
      out.tensors.push_back(std::move(decl));
    }
    return there->second;
  }

  // ---------------------------------------------------------------- one function
  Function rewritten(const Function &f) {
    Function copy = f;
    w = std::make_unique<NodeWriter>(copy);
    copy.nodes.clear(), copy.types.clear();
    scaleOf.clear(), argumentOf.clear(), weights.clear();
    for (size_t a = 0; a < f.args.size(); ++a)
      if (f.args[a].role == Role::Tensor && kept.count(f.args[a].tensor)) {
        copy.args[a].type.elem = out.tensors[size_t(f.args[a].tensor)].type.elem;
        weights[Value(a)] = f.args[a].tensor;
      }
    for (auto &[argument, tensor] : weights)
      if (int scales = out.tensors[size_t(tensor)].scales; scales >= 0) {
        scaleOf[argument] = {Value(copy.args.size()), kept[tensor].axis};
        const TensorDecl &decl = out.tensors[size_t(scales)];
        copy.args.push_back({f.args[argument].name + ".scale", Role::Tensor, scales, decl.type, f.args[argument].where});
      }
    auto reads = [&](int tensor, const SourceRange &where) {
      if (!argumentOf.try_emplace(tensor, Value(copy.args.size())).second)
        return;
      const TensorDecl &decl = out.tensors[size_t(tensor)];
      copy.args.push_back({decl.name, Role::Tensor, tensor, decl.type, where});
    };
    const std::map<size_t, Site> sites = sitesIn(f, kept);
    for (auto &[number, site] : sites)
      if (auto range = foundTensors.find(rangeOfWeight.at(site.tensor).name); range != foundTensors.end())
        reads(range->second, f.nodes[number].where);
    for (auto &[argument, tensor] : weights)
      if (int balance = out.tensors[size_t(tensor)].balance; balance >= 0)
        reads(balance, f.args[argument].where);
    for (const Output &o : f.outputs)
      if (kept.count(o.tensor) && out.tensors[size_t(o.tensor)].balance >= 0)
        reads(out.tensors[size_t(o.tensor)].balance, out.tensors[size_t(o.tensor)].where);
    for (const Arg &a : copy.args)
      copy.types.push_back(a.type);
    values.assign(f.types.size(), 0);
    for (size_t a = 0; a < f.args.size(); ++a)
      values[a] = Value(a);

    for (const Node &node : f.nodes) {
      if (node.op == Op::Gather && weights.count(node.operands[0])) {
        values[node.first] = lookedUp(node, f.types[node.first]);
        continue;
      }
      if (auto site = sites.find(size_t(&node - f.nodes.data())); site != sites.end())
        if (auto range = foundTensors.find(rangeOfWeight.at(site->second.tensor).name); range != foundTensors.end()) {
          values[node.first] = inWholeNumbers(f, node, site->second, argumentOf.at(range->second));
          continue;
        }
      Node moved = node;
      for (Value &operand : moved.operands) {
        auto weight = weights.find(operand);
        if (weight == weights.end()) {
          operand = values[operand];
          continue;
        }
        // Decoded for each reader: what stands at its reader alone is decoded as it is read.
        Value decoded = w->cast(operand, Elem::F32, node);
        if (auto found = scaleOf.find(operand); found != scaleOf.end()) {
          auto [scales, axis] = found->second;
          decoded = w->pointwise(Op::Mul, {decoded, w->spread(scales, w->type(decoded).shape, size_t(axis), node)}, node);
        }
        const TensorDecl &decl = out.tensors[size_t(weight->second)];
        if (decl.balance >= 0)
          decoded = w->pointwise(Op::Mul, {decoded, w->spread(argumentOf.at(decl.balance), w->type(decoded).shape, size_t(decl.along), node)}, node);
        operand = decoded;
      }
      moved.first = Value(copy.types.size());
      for (unsigned i = 0; i < node.results; ++i) {
        values[node.first + i] = Value(copy.types.size());
        copy.types.push_back(f.types[node.first + i]);
      }
      copy.nodes.push_back(std::move(moved));
    }
    std::vector<Output> more;
    for (Output &o : copy.outputs) {
      o.value = values[o.value];
      if (kept.count(o.tensor))
        encode(o, f, more);
    }
    copy.outputs.insert(copy.outputs.end(), more.begin(), more.end());
    return copy;
  }

  Value lookedUp(const Node &node, const TensorType &type) {
    Value table = node.operands[0], ids = values[node.operands[1]];
    Value rows = w->cast(w->add(Op::Gather, {table, ids}, {w->type(table).elem, type.shape}, node.attrs, node), Elem::F32, node);
    auto scale = scaleOf.find(table);
    if (scale == scaleOf.end())
      return rows;
    Value scales = w->add(Op::Gather, {scale->second.first, ids}, {Elem::F32, w->type(ids).shape}, node.attrs, node);
    rows = w->pointwise(Op::Mul, {rows, w->spread(scales, type.shape, 0, node)}, node);
    // A table that is multiplied as well: its dimension `along` is none of its rows' numbers, and stands behind those of the ids.
    const TensorDecl &decl = out.tensors[size_t(weights.at(table))];
    if (decl.balance < 0)
      return rows;
    size_t behind = w->type(ids).shape.size() + size_t(decl.along) - 1;
    return w->pointwise(Op::Mul, {rows, w->spread(argumentOf.at(decl.balance), type.shape, behind, node)}, node);
  }

  /// Both factors in eight bits, summed in i32 (Activations.h has the formula).
  Value inWholeNumbers(const Function &f, const Node &node, const Site &site, Value range) {
    const Range &numbers = ranges.at(rangeOfWeight.at(site.tensor).name);
    const double zero = numbers.zero;
    // Zeros that are put around are zero steps; where these are no number 0, they are put around before.
    size_t first = 0;
    for (size_t i = 0; zero != 0 && i < site.moved.size(); ++i)
      if (f.nodes[site.moved[i]].op == Op::Pad)
        first = i + 1;
    Value x = values[first ? f.nodes[site.moved[first - 1]].first : site.root];
    const std::vector<Dim> shape = w->type(x).shape;
    Value steps = w->element(range, 1, shape, node);
    if (int balance = out.tensors[size_t(site.tensor)].balance; balance >= 0) {
      Value factors = argumentOf.at(balance);
      factors = w->pointwise(Op::Mul, {factors, w->element(range, 1, w->type(factors).shape, node)}, node);
      steps = w->spread(factors, shape, size_t(site.channels[first]), node);
    }
    Value q = w->pointwise(Op::Round, {w->pointwise(Op::Mul, {x, steps}, node)}, node);
    if (zero != 0)
      q = w->pointwise(Op::Add, {q, w->element(range, 2, shape, node)}, node);
    q = w->pointwise(Op::Max, {w->pointwise(Op::Min, {q, w->number(255, shape, node)}, node), w->number(0, shape, node)}, node);
    q = w->cast(q, Elem::U8, node);
    for (size_t i = first; i < site.moved.size(); ++i) {
      const Node &move = f.nodes[site.moved[i]];
      std::vector<Value> operands{q};
      if (move.op == Op::Pad)
        operands.push_back(w->number(0, {}, move, Elem::U8));
      q = w->add(move.op, std::move(operands), {Elem::U8, f.types[move.first].shape}, move.attrs, move);
    }

    Value weight = node.operands[1 - site.activations];
    std::vector<Value> factors{q, weight};
    if (site.activations == 1)
      std::swap(factors[0], factors[1]);
    const std::vector<Dim> &result = f.types[node.first].shape;
    Value sum = w->add(Op::Contract, std::move(factors), {Elem::I32, result}, node.attrs, node);
    auto [scales, axis] = scaleOf.at(weight);
    const std::vector<Dim> channels = w->type(scales).shape;
    if (zero != 0) {
      std::vector<int64_t> dims;
      for (size_t d = 0; d < w->type(weight).shape.size(); ++d)
        if (int(d) != axis)
          dims.push_back(int64_t(d));
      Value all = w->add(Op::ReduceSum, {w->cast(weight, Elem::I32, node)}, {Elem::I32, channels}, {{"dims", dims}}, node);
      Value more = w->pointwise(Op::Mul, {all, w->cast(w->element(range, 2, channels, node), Elem::I32, node)}, node);
      sum = w->pointwise(Op::Sub, {sum, w->spread(more, result, site.channel, node)}, node);
    }
    Value scale = w->pointwise(Op::Mul, {scales, w->element(range, 0, channels, node)}, node);
    return w->pointwise(Op::Mul, {w->cast(sum, Elem::F32, node), w->spread(scale, result, site.channel, node)}, node);
  }

  /// An initial weight in fewer bits.
  void encode(Output &o, const Function &f, std::vector<Output> &more) {
    const TensorDecl &decl = out.tensors[size_t(o.tensor)];
    Node like{Op::Cast, {}, {}, 0, 1, f.nodes.empty() ? SourceRange{} : f.nodes.back().where};
    if (decl.scales < 0) {
      o.value = w->cast(o.value, decl.type.elem, like);
      return;
    }
    const std::vector<Dim> &shape = decl.type.shape;
    std::vector<int64_t> dims;
    for (size_t d = 0; d < shape.size(); ++d)
      if (int(d) != decl.axis)
        dims.push_back(int64_t(d));
    std::vector<Dim> row{shape[size_t(decl.axis)]};
    if (decl.balance >= 0)
      o.value = w->pointwise(Op::Div, {o.value, w->spread(argumentOf.at(decl.balance), shape, size_t(decl.along), like)}, like);
    Value most = w->add(Op::ReduceMax, {w->pointwise(Op::Abs, {o.value}, like)}, {Elem::F32, row}, {{"dims", dims}}, like);
    Value scale = w->pointwise(Op::Mul, {most, w->number(1.0 / 127, row, like)}, like);
    // A row of zeros has the scale 0, and 0 over 1 is as good a number for it as any.
    Value divisor = w->pointwise(Op::Max, {scale, w->number(1e-30, row, like)}, like);
    Value steps = w->pointwise(Op::Div, {o.value, w->spread(divisor, shape, size_t(decl.axis), like)}, like);
    o.value = w->cast(w->pointwise(Op::Round, {steps}, like), decl.type.elem, like);
    more.push_back({o.name + ".scale", scale, decl.scales});
  }

  const Program &from;
  Program out;
  std::map<int, Kept> kept; // by tensor
  const Ranges &ranges;
  std::map<int, RangeOf> rangeOfWeight;
  std::map<std::string, int> foundTensors; // ranges and balances by name
  // Of the function that is rewritten.
  std::unique_ptr<NodeWriter> w;
  std::vector<Value> values;                      // of the old one -> of the new one
  std::map<Value, int> weights;                   // argument -> tensor
  std::map<Value, std::pair<Value, int>> scaleOf; // argument of a weight -> that of its scales, and their dimension
  std::map<int, Value> argumentOf;                // ranges and balances by tensor
};
} // namespace

Program narrowed(const Program &program, const std::vector<DeployProgram> &deploys, const Ranges &ranges) {
  return Narrowing(program, keptBy(program, deploys), ranges).run();
}

} // namespace bigm
