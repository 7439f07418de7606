// Operators that make tensors.
#include "OnnxNode.h"
#include <cmath>

namespace bigm::sema::onnx_import {
namespace {

Vals constant(NodeCall &c) {
  if (auto *a = c.attribute("value")) {
    if (!a->tensor)
      refuse("a `value` that is no tensor");
    auto named = std::make_shared<onnx::Tensor>(*a->tensor);
    named->name = c.node.name.empty() ? c.node.outputs.at(0) : c.node.name;
    return {c.t.fromFile(named, true)};
  }
  if (auto *a = c.attribute("value_int"))
    return {c.t.scalar(double(a->integer), Type::I64)};
  if (auto *a = c.attribute("value_float"))
    return {c.t.scalar(a->real, Type::F32)};
  if (auto *a = c.attribute("value_ints")) {
    std::vector<Dim> all(a->integers.begin(), a->integers.end());
    return {c.t.wholes(all)};
  }
  if (auto *a = c.attribute("value_floats"))
    return {c.t.reals({a->reals.begin(), a->reals.end()}, {Dim(int64_t(a->reals.size()))})};
  refuse("a constant that is no tensor of numbers");
}

Vals constantOfShape(NodeCall &c) {
  std::vector<Dim> shape = c.t.dims(c.x(), "the shape");
  for (const Dim &d : shape)
    if (auto n = d.constant(); n && *n < 0)
      refuse("a size of " + std::to_string(*n));
  auto *a = c.attribute("value");
  Val value = a && a->tensor ? c.t.reshape(c.t.fromFile(a->tensor, true), {}) : c.t.scalar(0, Type::F32);
  return {c.t.broadcast(value, shape)};
}

Vals range(NodeCall &c) {
  const Val &start = c.x(0), &limit = c.x(1), &step = c.x(2);
  Type type = start.type;
  Dim count;
  if (isFloat(type) && limit.ratios) { // up to a size
    count = c.t.oneDim(limit, "`limit`");
    if (c.t.oneReal(start, "`start`") != 0 || c.t.oneReal(step, "`delta`") != 1)
      refuse("a range up to " + count.str() + " that does not count 0, 1, 2, ...");
  } else if (isFloat(type)) {
    double from = c.t.oneReal(start, "`start`"), to = c.t.oneReal(limit, "`limit`"), by = c.t.oneReal(step, "`delta`");
    double n = std::ceil((to - from) / by);
    if (!(n < 1e9))
      refuse("a range of " + std::to_string(n) + " elements");
    count = Dim(int64_t(std::max(n, 0.0)));
  } else {
    Dim from = c.t.oneDim(start, "`start`"), to = c.t.oneDim(limit, "`limit`");
    int64_t by = c.t.number(c.t.oneDim(step, "`delta`"), "`delta`");
    if (by == 0)
      refuse("a step of 0");
    Dim room = by > 0 ? to - from : from - to;
    count = (room + Dim(std::abs(by) - 1)).floorDiv(std::abs(by));
    if (auto n = count.constant(); n && *n < 0)
      count = 0;
  }
  Val i = c.t.iota({count}, 0, type);
  return {c.t.add(c.t.mul(i, step), start)};
}

Vals eyeLike(NodeCall &c) {
  const Val &x = c.ranked(2, 2);
  Type type = c.attribute("dtype") ? typeOf(c.integer("dtype", 1)) : x.type;
  Val row = c.t.iota(x.shape, 0, Type::I64), column = c.t.iota(x.shape, 1, Type::I64);
  return {c.t.cast(c.t.pointwise(Op::Eq, {c.t.add(row, double(c.integer("k", 0))), column}), type)};
}

Val uniform(NodeCall &c, std::vector<Dim> shape) { return c.t.recorded(c.t.rec.random(std::move(shape)), Type::F32); }
std::vector<Dim> shapeOf(NodeCall &c) {
  std::vector<Dim> shape;
  for (int64_t n : c.integers("shape", {}))
    shape.push_back(n);
  return shape;
}
Vals finish(NodeCall &c, const Val &v, Type otherwise) {
  return {c.t.cast(v, c.attribute("dtype") ? typeOf(c.integer("dtype", 1)) : otherwise)};
}
Val uniformBetween(NodeCall &c, const std::vector<Dim> &shape) {
  double low = c.real("low", 0), high = c.real("high", 1);
  return c.t.add(c.t.mul(uniform(c, shape), high - low), low);
}
/// Box and Muller 1958.
Val normal(NodeCall &c, const std::vector<Dim> &shape) {
  Val u = uniform(c, shape), v = uniform(c, shape);
  Val radius = c.t.unary(Op::Sqrt, c.t.mul(c.t.unary(Op::Log, c.t.sub(c.t.scalar(1, Type::F32), u)), -2));
  Val z = c.t.mul(radius, c.t.unary(Op::Cos, c.t.mul(v, 2 * std::numbers::pi)));
  return c.t.add(c.t.mul(z, c.real("scale", 1)), c.real("mean", 0));
}
Vals randomUniform(NodeCall &c) { return finish(c, uniformBetween(c, shapeOf(c)), Type::F32); }
Vals randomNormal(NodeCall &c) { return finish(c, normal(c, shapeOf(c)), Type::F32); }
Vals randomUniformLike(NodeCall &c) { return finish(c, uniformBetween(c, c.x().shape), c.x().type); }
Vals randomNormalLike(NodeCall &c) { return finish(c, normal(c, c.x().shape), c.x().type); }
Vals bernoulli(NodeCall &c) {
  Val p = c.t.cast(c.x(), Type::F32);
  return finish(c, c.t.pointwise(Op::Lt, {uniform(c, p.shape), p}), c.x().type);
}

} // namespace

void addConstants(Table &t) {
  const Table mine = {
      {"Constant", constant}, {"ConstantOfShape", constantOfShape}, {"Range", range}, {"EyeLike", eyeLike},
      {"RandomUniform", randomUniform}, {"RandomNormal", randomNormal}, {"RandomUniformLike", randomUniformLike},
      {"RandomNormalLike", randomNormalLike}, {"Bernoulli", bernoulli},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
