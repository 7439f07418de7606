#include "Trace.h"
#include <algorithm>
#include <limits>

namespace bigm {
namespace {

bool isFloat(Elem e) { return e == Elem::F32 || e == Elem::F64 || e == Elem::BF16 || e == Elem::F16; }

double largest(Elem e) {
  switch (e) {
  case Elem::F64:
    return std::numeric_limits<double>::max();
  case Elem::F16:
    return 65504;
  case Elem::BF16:
    return 0x1.fep127;
  default:
    return std::numeric_limits<float>::max();
  }
}

} // namespace

Trace traceOf(const Function &from, const std::string &output) {
  Trace trace;
  Function &to = trace.function;
  to.name = from.name + ".trace";
  to.symbols = from.symbols;
  to.args = from.args;
  to.types.assign(from.types.begin(), from.types.begin() + long(from.args.size()));

  auto goal = std::find_if(from.outputs.begin(), from.outputs.end(), [&](auto &o) { return o.name == output; });
  if (goal == from.outputs.end())
    return trace;
  std::vector<bool> needed(from.types.size());
  needed[goal->value] = true;
  std::vector<const Node *> nodes;
  for (auto node = from.nodes.rbegin(); node != from.nodes.rend(); ++node) {
    bool live = false;
    for (unsigned r = 0; r < node->results; ++r)
      live |= needed[node->first + r];
    if (!live)
      continue;
    for (Value v : node->operands)
      needed[v] = true;
    nodes.push_back(&*node);
  }
  std::reverse(nodes.begin(), nodes.end());

  std::vector<Value> number(from.types.size());
  for (size_t i = 0; i < from.args.size(); ++i)
    number[i] = Value(i);
  auto add = [&](Node node, TensorType type) {
    node.first = Value(to.types.size());
    to.types.push_back(std::move(type));
    to.nodes.push_back(std::move(node));
    return to.nodes.back().first;
  };
  for (const Node *source : nodes) {
    Node copy = *source;
    for (Value &v : copy.operands)
      v = number[v];
    copy.first = Value(to.types.size());
    for (unsigned r = 0; r < copy.results; ++r) {
      number[source->first + r] = Value(to.types.size());
      to.types.push_back(from.types[source->first + r]);
    }
    to.nodes.push_back(copy);
    const TensorType type = from.types[source->first];
    if (source->op == Op::Constant || source->op == Op::Iota || source->op == Op::Random || copy.results != 1 ||
        !isFloat(type.elem))
      continue;
    auto look = [&](Op op, std::vector<Value> operands, TensorType t, std::map<std::string, Attr> attrs = {}) {
      return add({op, std::move(operands), std::move(attrs), 0, 1, source->where, source->scope}, std::move(t));
    };
    TensorType truth = type, f32 = type;
    truth.elem = Elem::Bool;
    f32.elem = Elem::F32;
    std::vector<int64_t> all;
    for (size_t d = 0; d < type.shape.size(); ++d)
      all.push_back(int64_t(d));
    auto every = [&](const char *name, Value holds) {
      Value one = look(Op::Cast, {holds}, f32);
      if (!all.empty())
        one = look(Op::ReduceMin, {one}, {Elem::F32, {}, 0}, {{"dims", all}});
      to.outputs.push_back({name + ("." + std::to_string(trace.looks.size())), one, -1});
    };
    Value limit = look(Op::Constant, {}, type, {{"number", largest(type.elem)}});
    Value size = look(Op::Abs, {copy.first}, type);
    every("finite", look(Op::Le, {size, limit}, truth));
    every("number", look(Op::Eq, {copy.first, copy.first}, truth));
    trace.looks.push_back(*source);
  }
  return trace;
}

} // namespace bigm
