#include "frontend/precision/Narrow.h"
#include "frontend/precision/Kept.h"
#include <algorithm>
#include <set>

namespace bigm {
namespace {

class Narrowing {
public:
  Narrowing(const Program &program, std::map<int, Kept> kept) : from(program), out(program), kept(std::move(kept)) {}

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
        for (std::string *function : {&p.step, &p.estimate})
          if (gone.count(*function))
            function->clear();
    return out;
  }

private:
  // ---------------------------------------------------------------- one function
  Value add(Op op, std::vector<Value> operands, TensorType type, std::map<std::string, Attr> attrs, const Node &like) {
    Node node{op, std::move(operands), std::move(attrs), Value(to->types.size()), 1, like.where, like.scope, like.caller, like.space};
    to->types.push_back(std::move(type));
    to->nodes.push_back(std::move(node));
    return to->nodes.back().first;
  }
  /// The vector laid along dimensions of a larger shape that begin at `first`.
  Value spread(Value x, std::vector<Dim> shape, size_t first, const Node &like) {
    AffineIndices map;
    for (size_t i = 0; i < to->types[x].shape.size(); ++i)
      map.push_back({{{uint32_t(first + i), 1}}, 0});
    return add(Op::View, {x}, {Elem::F32, std::move(shape)}, {{"map", std::move(map)}}, like);
  }
  Value wide(Value x, const Node &like) { return add(Op::Cast, {x}, {Elem::F32, to->types[x].shape}, {}, like); }
  Value times(Value x, Value y, const Node &like) { return add(Op::Mul, {x, y}, to->types[x], {}, like); }
  Value number(double value, std::vector<Dim> shape, const Node &like) {
    return add(Op::Constant, {}, {Elem::F32, std::move(shape)}, {{"number", value}}, like);
  }

  Function rewritten(const Function &f) {
    Function copy = f;
    to = &copy;
    copy.nodes.clear(), copy.types.clear();
    std::map<Value, std::pair<Value, int>> scaleOf; // argument of a weight -> that of its scales
    std::map<Value, int> weights;                   // -> tensor
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
    for (const Arg &a : copy.args)
      copy.types.push_back(a.type);
    std::vector<Value> values(f.types.size());
    for (size_t a = 0; a < f.args.size(); ++a)
      values[a] = Value(a);

    for (const Node &node : f.nodes) {
      if (node.op == Op::Gather && weights.count(node.operands[0])) {
        values[node.first] = lookedUp(node, values, scaleOf, f.types[node.first]);
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
        Value decoded = wide(operand, node);
        if (auto found = scaleOf.find(operand); found != scaleOf.end()) {
          auto [scales, axis] = found->second;
          decoded = times(decoded, spread(scales, to->types[decoded].shape, size_t(axis), node), node);
        }
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

  Value lookedUp(const Node &node, const std::vector<Value> &values, const std::map<Value, std::pair<Value, int>> &scaleOf, const TensorType &type) {
    Value table = node.operands[0], ids = values[node.operands[1]];
    Value rows = wide(add(Op::Gather, {table, ids}, {to->types[table].elem, type.shape}, node.attrs, node), node);
    auto scale = scaleOf.find(table);
    if (scale == scaleOf.end())
      return rows;
    Value scales = add(Op::Gather, {scale->second.first, ids}, {Elem::F32, to->types[ids].shape}, node.attrs, node);
    return times(rows, spread(scales, type.shape, 0, node), node);
  }

  /// An initial weight in fewer bits.
  void encode(Output &o, const Function &f, std::vector<Output> &more) {
    const TensorDecl &decl = out.tensors[size_t(o.tensor)];
    Node like{Op::Cast, {}, {}, 0, 1, f.nodes.empty() ? SourceRange{} : f.nodes.back().where};
    if (decl.scales < 0) {
      o.value = add(Op::Cast, {o.value}, decl.type, {}, like);
      return;
    }
    const std::vector<Dim> &shape = decl.type.shape;
    std::vector<int64_t> dims;
    for (size_t d = 0; d < shape.size(); ++d)
      if (int(d) != decl.axis)
        dims.push_back(int64_t(d));
    std::vector<Dim> row{shape[size_t(decl.axis)]};
    Value most = add(Op::ReduceMax, {add(Op::Abs, {o.value}, {Elem::F32, shape}, {}, like)}, {Elem::F32, row}, {{"dims", dims}}, like);
    Value scale = times(most, number(1.0 / 127, row, like), like);
    // A row of zeros has the scale 0, and 0 over 1 is as good a number for it as any.
    Value divisor = add(Op::Max, {scale, number(1e-30, row, like)}, {Elem::F32, row}, {}, like);
    Value steps = add(Op::Div, {o.value, spread(divisor, shape, size_t(decl.axis), like)}, {Elem::F32, shape}, {}, like);
    o.value = add(Op::Cast, {add(Op::Round, {steps}, {Elem::F32, shape}, {}, like)}, decl.type, {}, like);
    more.push_back({o.name + ".scale", scale, decl.scales});
  }

  const Program &from;
  Program out;
  std::map<int, Kept> kept; // by tensor
  Function *to = nullptr;
};
} // namespace

Program narrowed(const Program &program, const std::vector<DeployProgram> &deploys) {
  return Narrowing(program, keptBy(program, deploys)).run();
}

} // namespace bigm
