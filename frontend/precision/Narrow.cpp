#include "frontend/precision/Narrow.h"
#include <algorithm>
#include <optional>
#include <set>

namespace bigm {
namespace {

/// Weights below stay as they are: what they cost is not worth an error.
constexpr int64_t leastElements = 1024;

int64_t countOf(const TensorType &type) {
  int64_t count = 1;
  for (const Dim &d : type.shape)
    count *= d.constant().value_or(0);
  return count;
}

bool within(const std::string &name, const std::string &part) {
  return name == part || (name.size() > part.size() && name.compare(0, part.size(), part) == 0 && name[part.size()] == '.');
}

/// The dimension of the weight that is a dimension of the result: the channels. Nothing when the node says none.
std::optional<int> channelsOf(const Function &f, const Node &node, Value weight) {
  if (node.op == Op::Gather)
    return node.operands[0] == weight ? std::optional(0) : std::nullopt;
  if (node.op != Op::Contract)
    return std::nullopt;
  size_t rank = f.types[node.first].shape.size();
  const auto &map = std::get<AffineIndices>(node.attrs.at(node.operands[0] == weight ? "lhs_map" : "rhs_map"));
  std::optional<int> found;
  for (size_t i = 0; i < map.size(); ++i)
    if (map[i].offset == 0 && map[i].terms.size() == 1 && map[i].terms[0].first < rank && map[i].terms[0].second == 1)
      found = int(i); // the last: what stands before are groups
  return found;
}

class Narrowing {
public:
  Narrowing(const Program &program, Elem elem) : from(program), out(program), elem(elem), int8(elem == Elem::I8) {}

  Program run() {
    choose();
    if (chosen.empty())
      return out;
    for (auto &[tensor, axis] : chosen) {
      TensorDecl &decl = out.tensors[size_t(tensor)];
      decl.narrowed = true;
      decl.type.elem = elem;
      if (!int8)
        continue;
      TensorDecl scales{TensorDecl::Kind::Param, decl.name + ".scale", {Elem::F32, {decl.type.shape[size_t(axis)]}}, decl.where};
      decl.scales = int(out.tensors.size()), decl.axis = axis;
      out.tensors.push_back(std::move(scales)); // `decl` is gone
    }
    std::set<std::string> inits;
    for (const TrainProgram &t : from.trains)
      inits.insert(t.init);
    out.functions.clear();
    std::set<std::string> gone;
    for (const Function &f : from.functions) {
      bool writes = std::any_of(f.outputs.begin(), f.outputs.end(), [&](const Output &o) { return chosen.count(o.tensor); });
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
  /// The weights that the deploys ship, of two dimensions and more, without what they keep.
  void choose() {
    std::set<int> shipped;
    // A program that ships nothing by name has the precision that the command line asks for in all its parts.
    std::vector<DeployProgram> deploys = from.deploys;
    if (deploys.empty())
      deploys.emplace_back();
    for (const DeployProgram &d : deploys) {
      std::set<int> here;
      for (size_t i = 0; i < from.tensors.size(); ++i)
        if (d.train.empty() || within(from.tensors[i].name, d.train))
          here.insert(int(i));
      for (const TrainProgram &t : from.trains)
        if (t.name == d.train)
          for (const Function &f : from.functions)
            if (f.name == t.forward)
              for (const Arg &a : f.args)
                if (a.role == Role::Tensor)
                  here.insert(a.tensor);
      for (int i : here) {
        const TensorDecl &decl = from.tensors[size_t(i)];
        bool kept = std::any_of(d.keep.begin(), d.keep.end(), [&](const std::string &part) {
          return within(decl.name, part) || within(decl.name, d.train + "." + part);
        });
        if (!kept && decl.kind == TensorDecl::Kind::Param && decl.type.elem == Elem::F32 && decl.type.shape.size() >= 2 &&
            countOf(decl.type) >= leastElements)
          shipped.insert(i);
      }
    }
    for (int tensor : shipped)
      chosen[tensor] = axisOf(tensor);
  }

  /// A table is looked up by rows, so these have the scales; else what the first product says.
  int axisOf(int tensor) {
    std::optional<int> axis;
    for (const Function &f : from.functions)
      for (size_t a = 0; a < f.args.size(); ++a)
        if (f.args[a].tensor == tensor)
          for (const Node &node : f.nodes)
            if (std::find(node.operands.begin(), node.operands.end(), Value(a)) != node.operands.end()) {
              if (node.op == Op::Gather && node.operands[0] == a)
                return 0;
              if (!axis)
                axis = channelsOf(f, node, Value(a));
            }
    return axis.value_or(0);
  }

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
      if (f.args[a].role == Role::Tensor && chosen.count(f.args[a].tensor)) {
        copy.args[a].type.elem = out.tensors[size_t(f.args[a].tensor)].type.elem;
        weights[Value(a)] = f.args[a].tensor;
      }
    if (int8)
      for (auto &[argument, tensor] : weights) {
        int scales = out.tensors[size_t(tensor)].scales;
        scaleOf[argument] = {Value(copy.args.size()), chosen[tensor]};
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
        if (int8) {
          auto [scales, axis] = scaleOf[operand];
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
      if (chosen.count(o.tensor))
        encode(o, f, more);
    }
    copy.outputs.insert(copy.outputs.end(), more.begin(), more.end());
    return copy;
  }

  Value lookedUp(const Node &node, const std::vector<Value> &values, std::map<Value, std::pair<Value, int>> &scaleOf, const TensorType &type) {
    Value table = node.operands[0], ids = values[node.operands[1]];
    Value rows = wide(add(Op::Gather, {table, ids}, {to->types[table].elem, type.shape}, node.attrs, node), node);
    if (!int8)
      return rows;
    Value scales = add(Op::Gather, {scaleOf[table].first, ids}, {Elem::F32, to->types[ids].shape}, node.attrs, node);
    return times(rows, spread(scales, type.shape, 0, node), node);
  }

  /// An initial weight in fewer bits.
  void encode(Output &o, const Function &f, std::vector<Output> &more) {
    const TensorDecl &decl = out.tensors[size_t(o.tensor)];
    Node like{Op::Cast, {}, {}, 0, 1, f.nodes.empty() ? SourceRange{} : f.nodes.back().where};
    if (!int8) {
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
  Elem elem;
  bool int8;
  std::map<int, int> chosen; // tensor -> the dimension of its channels
  Function *to = nullptr;
};
} // namespace

Program narrowed(const Program &program, const std::string &precision) {
  if (precision == "f32")
    return program;
  return Narrowing(program, precision == "int8" ? Elem::I8 : precision == "f16" ? Elem::F16 : Elem::BF16).run();
}

std::string precisionOf(const Program &program) {
  std::string found;
  for (const DeployProgram &d : program.deploys) {
    std::string own = d.precision.empty() ? "f32" : d.precision;
    if (!found.empty() && found != own)
      return "f32";
    found = own;
  }
  return found.empty() ? "f32" : found;
}

} // namespace bigm
