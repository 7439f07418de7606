// Activations: pointwise formulas with settings.
#include "Onnx.h"
#include "OnnxNode.h"
#include <cmath>

namespace bigm::sema::onnx_import {
namespace {

Vals relu(NodeCall &c) { return {c.t.max(c.x(), 0)}; }
Vals leakyRelu(NodeCall &c) {
  const Val &x = c.x();
  return {c.t.select(c.t.compare(Op::Lt, x, 0), c.t.mul(x, c.real("alpha", 0.01)), x)};
}
Vals prelu(NodeCall &c) {
  const Val &x = c.x();
  Val slope = c.x(1);
  // A slope for each channel, as old exporters write it: [C] against [N, C, ...].
  if (slope.rank() == 1 && x.rank() > 2 && slope.shape[0] == x.shape[1] && slope.shape[0] != Dim(1) &&
      slope.shape[0] != x.shape.back()) {
    std::vector<Dim> shape(x.rank() - 1, Dim(1));
    shape[0] = slope.shape[0];
    slope = c.t.reshape(slope, shape);
  }
  return {c.t.select(c.t.compare(Op::Lt, x, 0), c.t.mul(x, slope), x)};
}
Val elu(Tensors &t, const Val &x, double alpha, double scale = 1, double inner = 1) {
  Val low = t.mul(t.unary(Op::Expm1, inner == 1 ? t.min(x, 0) : t.div(t.min(x, 0), inner)), alpha);
  Val y = t.select(t.compare(Op::Lt, x, 0), low, x);
  return scale == 1 ? y : t.mul(y, scale);
}
Vals eluOf(NodeCall &c) { return {elu(c.t, c.x(), c.real("alpha", 1))}; }
Vals selu(NodeCall &c) {
  return {elu(c.t, c.x(), c.real("alpha", 1.67326319217681884765625), c.real("gamma", 1.05070102214813232421875))};
}
Vals celu(NodeCall &c) {
  double alpha = c.real("alpha", 1);
  return {elu(c.t, c.x(), alpha, 1, alpha)};
}
Vals hardSigmoid(NodeCall &c) {
  return {c.t.min(c.t.max(c.t.add(c.t.mul(c.x(), c.real("alpha", 0.2)), c.real("beta", 0.5)), 0), 1)};
}
Vals hardSwish(NodeCall &c) {
  return {c.t.mul(c.x(), c.t.min(c.t.max(c.t.add(c.t.mul(c.x(), 1.0 / 6), 0.5), 0), 1))};
}
/// log(1 + exp(x)) without overflow.
Val softplus(Tensors &t, const Val &x) {
  return t.add(t.max(x, 0), t.unary(Op::Log1p, t.unary(Op::Exp, t.unary(Op::Neg, t.unary(Op::Abs, x)))));
}
Vals softplusOf(NodeCall &c) { return {softplus(c.t, c.x())}; }
Vals softsign(NodeCall &c) { return {c.t.div(c.x(), c.t.add(c.t.unary(Op::Abs, c.x()), 1))}; }
Vals mish(NodeCall &c) { return {c.t.mul(c.x(), c.t.unary(Op::Tanh, softplus(c.t, c.x())))}; }
Vals swish(NodeCall &c) { return {c.t.mul(c.x(), c.t.unary(Op::Sigmoid, c.t.mul(c.x(), c.real("alpha", 1))))}; }
Vals gelu(NodeCall &c) {
  const Val &x = c.x();
  Val inside = c.text("approximate", "none") == "tanh"
                   ? c.t.unary(Op::Tanh, c.t.mul(c.t.add(x, c.t.mul(c.t.mul(c.t.mul(x, x), x), 0.044715)),
                                                 std::sqrt(2 / std::numbers::pi)))
                   : c.t.unary(Op::Erf, c.t.mul(x, std::sqrt(0.5)));
  return {c.t.mul(c.t.mul(x, 0.5), c.t.add(inside, 1))};
}
Vals shrink(NodeCall &c) {
  const Val &x = c.x();
  double lambda = c.real("lambd", 0.5), bias = c.real("bias", 0);
  if (!isFloat(x.type)) {
    lambda = std::floor(lambda);
    bias = std::floor(bias);
  }
  Val zero = c.t.scalar(0, x.type);
  Val high = c.t.select(c.t.compare(Op::Gt, x, lambda), c.t.sub(x, bias), zero);
  return {c.t.select(c.t.compare(Op::Lt, x, -lambda), c.t.add(x, bias), high)};
}
Vals thresholdedRelu(NodeCall &c) {
  return {c.t.select(c.t.compare(Op::Gt, c.x(), c.real("alpha", 1)), c.x(), c.t.scalar(0, c.x().type))};
}

/// Up to version 12 all dimensions from `axis` on are one.
template <class Body> Vals alongAxis(NodeCall &c, Body body) {
  const Val &x = c.x();
  if (c.version >= 13)
    return {body(x, axisOf(c.integer("axis", -1), x.rank()))};
  int64_t axis = c.integer("axis", 1), from = axis == int64_t(x.rank()) ? axis : axisOf(axis, x.rank());
  Dim rows = product({x.shape.begin(), x.shape.begin() + from}),
      columns = product({x.shape.begin() + from, x.shape.end()});
  return {c.t.reshape(body(c.t.reshape(x, {rows, columns}), 1), x.shape)};
}
Vals softmax(NodeCall &c) {
  return alongAxis(c, [&](const Val &x, int64_t axis) { return c.t.softmax(x, axis, false); });
}
Vals logSoftmax(NodeCall &c) {
  return alongAxis(c, [&](const Val &x, int64_t axis) { return c.t.softmax(x, axis, true); });
}
Vals hardmax(NodeCall &c) {
  return alongAxis(c, [&](const Val &x, int64_t axis) {
    Val best = c.t.unsqueeze(c.t.argument(Op::ArgMax, x, size_t(axis)), {axis});
    return c.t.cast(c.t.pointwise(Op::Eq, {c.t.iota(x.shape, size_t(axis), Type::I64), best}), x.type);
  });
}

Vals swiglu(NodeCall &c) {
  // As the standard's function: one half gates the other.
  const Val &x = c.x(0);
  double alpha = c.real("alpha", 1);
  auto gate = [&](const Val &a) { return c.t.mul(a, c.t.unary(Op::Sigmoid, c.t.mul(a, alpha))); };
  int64_t axis = axisOf(c.integer("axis", -1), x.rank());
  if (c.has(1))
    return {c.t.mul(gate(x), c.x(1))};
  int64_t half = c.t.number(x.shape[axis], "the size of what is halved") / 2;
  Val a = c.t.slice(x, size_t(axis), 0, half), b = c.t.slice(x, size_t(axis), half, half);
  return {c.t.mul(gate(a), b)};
}

Vals dropout(NodeCall &c) {
  const Val &x = c.x();
  double ratio = c.has(1) ? c.t.oneReal(c.in[1], "`ratio`") : c.real("ratio", 0.5);
  // A file that was exported in training mode says so of its nodes. In use nothing is dropped all the same, as ONNX Runtime has it.
  bool training = c.evaluation.training && c.has(2) && c.t.oneInt(c.in[2], "`training_mode`");
  Val mask = c.t.broadcast(c.t.scalar(1, Type::Bool), x.shape);
  if (!training || ratio == 0)
    return {x, mask};
  mask = c.t.compare(Op::Ge, c.t.recorded(c.t.rec.random(x.shape), Type::F32), ratio);
  return {c.t.mul(c.t.mul(x, c.t.cast(mask, x.type)), 1 / (1 - ratio)), mask};
}

} // namespace

void addActivations(Table &t) {
  const Table mine = {
      {"Relu", relu}, {"LeakyRelu", leakyRelu}, {"PRelu", prelu}, {"Elu", eluOf}, {"Selu", selu}, {"Celu", celu},
      {"HardSigmoid", hardSigmoid}, {"HardSwish", hardSwish}, {"Softplus", softplusOf}, {"Softsign", softsign},
      {"Mish", mish}, {"Swish", swish}, {"Gelu", gelu}, {"Shrink", shrink}, {"ThresholdedRelu", thresholdedRelu},
      {"Softmax", softmax}, {"LogSoftmax", logSoftmax}, {"Hardmax", hardmax}, {"Dropout", dropout}, {"SwiGLU", swiglu},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
