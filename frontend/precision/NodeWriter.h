// Appends operations to a function that is rewritten, each at the place of an operation that was there.
#pragma once
#include "frontend/Graph.h"
#include <utility>

namespace bigm {

class NodeWriter {
public:
  explicit NodeWriter(Function &to) : to(to) {}

  const TensorType &type(Value x) const { return to.types[x]; }

  Value add(Op op, std::vector<Value> operands, TensorType type, std::map<std::string, Attr> attrs, const Node &like) {
    Node node{op, std::move(operands), std::move(attrs), Value(to.types.size()), 1, like.where, like.scope, like.caller, like.space};
    to.types.push_back(std::move(type));
    to.nodes.push_back(std::move(node));
    return to.nodes.back().first;
  }
  /// The tensor laid along dimensions of a larger shape that begin at `first`.
  Value spread(Value x, std::vector<Dim> shape, size_t first, const Node &like) {
    AffineIndices map;
    for (size_t i = 0; i < to.types[x].shape.size(); ++i)
      map.push_back({{{uint32_t(first + i), 1}}, 0});
    return add(Op::View, {x}, {to.types[x].elem, std::move(shape)}, {{"map", std::move(map)}}, like);
  }
  /// Element `i` of a vector, everywhere.
  Value element(Value vector, int64_t i, std::vector<Dim> shape, const Node &like) {
    return add(Op::View, {vector}, {to.types[vector].elem, std::move(shape)}, {{"map", AffineIndices{{{}, i}}}}, like);
  }
  Value cast(Value x, Elem elem, const Node &like) { return add(Op::Cast, {x}, {elem, to.types[x].shape}, {}, like); }
  /// Of operands of one type.
  Value pointwise(Op op, std::vector<Value> operands, const Node &like) {
    TensorType type = to.types[operands.back()];
    return add(op, std::move(operands), std::move(type), {}, like);
  }
  Value number(double value, std::vector<Dim> shape, const Node &like, Elem elem = Elem::F32) {
    return add(Op::Constant, {}, {elem, std::move(shape)}, {{"number", value}}, like);
  }

private:
  Function &to;
};

} // namespace bigm
