// RNN, GRU and LSTM: one scan for each direction, so the number of steps may be open. What does not wait for the step
// before, the product with the input, is computed for all steps at once.
#include "OnnxQuantized.h"
#include <algorithm>

namespace bigm::sema::onnx_import {
namespace {

/// What the three share: x [T, N, I], weights for each direction, lengths, activations, layout.
struct Recurrence {
  NodeCall &c;
  Tensors &t;
  int64_t gates, states; // hidden units times gates; states: h, or h and c
  Val x, lengths;
  Dim batch, steps;
  int64_t hidden;
  bool batchFirst, forward, backward;
  std::vector<std::string> activations;
  std::vector<float> alphas, betas;
  size_t quantised = 0; // the operand from which on scales and zero points of both weights stand, which are [I, gates * H] then

  Recurrence(NodeCall &c, int64_t gates, int64_t states, std::vector<std::string> defaults)
      : c(c), t(c.t), gates(gates), states(states) {
    batchFirst = c.integer("layout", 0);
    x = batchFirst ? t.transpose(c.x(0), {1, 0, 2}) : c.x(0);
    if (x.rank() != 3)
      refuse("a sequence " + typeText(x));
    if (c.x(2).rank() != 3)
      refuse("weights " + typeText(c.x(2)) + " of what the steps hand on");
    steps = x.shape[0];
    batch = x.shape[1];
    hidden = c.integer("hidden_size", c.x(2).shape.back().constant().value_or(0));
    std::string direction = c.text("direction", "forward");
    forward = direction != "reverse";
    backward = direction != "forward";
    size_t n = directions(), each = defaults.size();
    for (size_t d = 0; d < n; ++d)
      activations.insert(activations.end(), defaults.begin(), defaults.end());
    if (auto *a = c.attribute("activations"))
      activations = a->texts;
    if (activations.size() != n * each)
      refuse("`activations` of another length");
    if (auto *a = c.attribute("activation_alpha"))
      alphas = a->reals;
    if (auto *a = c.attribute("activation_beta"))
      betas = a->reals;
    if (c.has(4))
      lengths = t.cast(c.in[4], Type::I32);
  }
  size_t directions() const { return size_t(forward + backward); }

  /// Bounds are on what gates are made of; ONNX Runtime leaves a cell as it is.
  Val activate(const std::string &name, Val v, size_t which, bool bounded = true) {
    if (bounded && c.attribute("clip"))
      v = t.min(t.max(v, -c.real("clip", 0)), c.real("clip", 0));
    double alpha = which < alphas.size() ? alphas[which] : name == "LeakyRelu" ? 0.01 : name == "HardSigmoid" ? 0.2 : 1;
    double beta = which < betas.size() ? betas[which] : name == "HardSigmoid" ? 0.5 : 0;
    if (name == "Sigmoid")
      return t.unary(Op::Sigmoid, v);
    if (name == "Tanh")
      return t.unary(Op::Tanh, v);
    if (name == "Relu")
      return t.max(v, 0);
    if (name == "Affine")
      return t.add(t.mul(v, alpha), beta);
    if (name == "LeakyRelu")
      return t.select(t.compare(Op::Lt, v, 0), t.mul(v, alpha), v);
    if (name == "ScaledTanh")
      return t.mul(t.unary(Op::Tanh, t.mul(v, beta)), alpha);
    if (name == "HardSigmoid")
      return t.min(t.max(t.add(t.mul(v, alpha), beta), 0), 1);
    if (name == "Elu")
      return t.select(t.compare(Op::Lt, v, 0), t.mul(t.unary(Op::Expm1, t.min(v, 0)), alpha), v);
    if (name == "Softsign")
      return t.div(v, t.add(t.unary(Op::Abs, v), 1));
    refuse("the activation `" + name + "`");
  }

  /// The part of operand i that belongs to direction d: its first dimension, or the second with the batch first.
  Val part(size_t i, size_t d) {
    Val v = c.x(i);
    if (batchFirst && i >= 5 && i <= 6)
      v = t.transpose(v, {1, 0, 2});
    return t.squeeze(t.slice(v, 0, Dim(int64_t(d)), 1), {0});
  }
  /// Columns of gate k.
  Val gate(const Val &v, int64_t k) { return t.slice(v, v.rank() - 1, Dim(k * hidden), Dim(hidden)); }

  /// A product of direction d with the weights of operand i. Weights in eight bits are multiplied by x in eight bits, over the
  /// range that it has.
  Val times(const Val &v, size_t i, size_t d) {
    if (!quantised)
      return t.matmul(v, t.transpose(part(i, d), {1, 0}));
    size_t at = quantised + 2 * (i - 1);
    auto own = [&](size_t k) { return t.squeeze(t.slice(c.x(k), 0, Dim(int64_t(d)), 1), {0}); };
    Vals x = dynamicallyQuantized(t, v);
    return scaledProduct(c, {x[0], part(i, d), x[1], own(at), x[2], own(at + 1)});
  }

  /// One direction. `step` takes x_t W' + bias for all gates, the states and gives new states. Adds what the steps give,
  /// [T, N, H], and the last states.
  template <class Step> void run(size_t d, bool reverse, Step step, Vals &outputs, std::vector<Vals> &last) {
    Val projected = times(x, 1, d); // all steps at once
    Val bias;
    if (c.has(3)) {
      bias = part(3, d);
      projected = t.add(projected, t.slice(bias, 0, 0, Dim(gates * hidden)));
      bias = t.slice(bias, 0, Dim(gates * hidden), Dim(gates * hidden));
    }
    Vals state;
    std::vector<Dim> shape = {batch, Dim(hidden)};
    for (int64_t s = 0; s < states; ++s)
      state.push_back(c.has(size_t(5 + s)) ? part(size_t(5 + s), d) : t.broadcast(t.scalar(0, x.type), shape));
    Val lives; // [T, N]: whether a sequence has this step
    if (lengths.some())
      lives = t.pointwise(Op::Lt, {t.iota({steps, batch}, 0, Type::I32), lengths});
    // New states, then what the step gives: after its end a sequence keeps its states, and gives zeros.
    auto cell = [&](const Val &now, const Val &alive, const Vals &before) {
      Vals next = step(now, before, bias, d);
      next.push_back(next[0]);
      if (alive.some())
        for (size_t s = 0; s < next.size(); ++s)
          next[s] = t.select(t.unsqueeze(alive, {1}), next[s], s < before.size() ? before[s] : t.scalar(0, x.type));
      return next;
    };
    Vals found;
    if (steps.constant() == 1) {
      found = cell(t.squeeze(projected, {0}), lives.some() ? t.squeeze(lives, {0}) : lives, state);
      found.back() = t.unsqueeze(found.back(), {0});
    } else {
      Vals through = {projected};
      if (lives.some())
        through.push_back(lives);
      found = t.scan(state, through, steps, reverse, [&](const Vals &before, const Vals &rows) {
        return cell(rows[0], rows.size() > 1 ? rows[1] : Val(), before);
      });
    }
    outputs.push_back(found.back());
    found.pop_back();
    last.push_back(found);
  }

  template <class Step> Vals all(Step step) {
    Vals outputs;
    std::vector<Vals> last;
    if (forward)
      run(0, false, step, outputs, last);
    if (backward)
      run(directions() - 1, true, step, outputs, last);
    for (Val &side : outputs)
      side = t.unsqueeze(side, {1});
    Vals out = {t.concat(outputs, 1)}; // [T, D, N, H]
    if (batchFirst)
      out[0] = t.transpose(out[0], {2, 0, 1, 3});
    for (int64_t s = 0; s < states; ++s) {
      Vals sides;
      for (auto &l : last)
        sides.push_back(t.unsqueeze(l[size_t(s)], {0}));
      out.push_back(t.concat(sides, 0));
      if (batchFirst)
        out.back() = t.transpose(out.back(), {1, 0, 2});
    }
    return out;
  }
};

Vals rnn(NodeCall &c) {
  Recurrence r(c, 1, 1, {"Tanh"});
  return r.all([&](const Val &x, const Vals &state, const Val &bias, size_t d) {
    Val sum = r.t.add(x, r.times(state[0], 2, d));
    if (bias.some())
      sum = r.t.add(sum, bias);
    return Vals{r.activate(r.activations[d], sum, d)};
  });
}

Vals gru(NodeCall &c) {
  Recurrence r(c, 3, 1, {"Sigmoid", "Tanh"});
  bool after = c.integer("linear_before_reset", 0);
  return r.all([&](const Val &x, const Vals &state, const Val &bias, size_t d) {
    Tensors &t = r.t;
    Val weights = t.transpose(r.part(2, d), {1, 0}); // [H, 3 H]: z, r, h
    Val hidden = t.matmul(state[0], after ? weights : t.slice(weights, 1, 0, Dim(2 * r.hidden)));
    auto biased = [&](Val v, int64_t k) { return bias.some() ? t.add(v, r.gate(bias, k)) : v; };
    const std::string &f = r.activations[2 * d], &g = r.activations[2 * d + 1];
    Val z = r.activate(f, t.add(r.gate(x, 0), biased(r.gate(hidden, 0), 0)), 2 * d);
    Val reset = r.activate(f, t.add(r.gate(x, 1), biased(r.gate(hidden, 1), 1)), 2 * d);
    Val inner = after ? t.mul(reset, biased(r.gate(hidden, 2), 2))
                      : biased(t.matmul(t.mul(reset, state[0]), r.gate(weights, 2)), 2);
    Val fresh = r.activate(g, t.add(r.gate(x, 2), inner), 2 * d + 1);
    return Vals{t.add(t.mul(t.sub(t.scalar(1, z.type), z), fresh), t.mul(z, state[0]))};
  });
}

Vals longShort(NodeCall &c, size_t quantised) {
  Recurrence r(c, 4, 2, {"Sigmoid", "Tanh", "Tanh"});
  r.quantised = quantised;
  if (quantised)
    r.hidden = c.integer("hidden_size", c.x(2).shape[1].constant().value_or(0));
  bool coupled = c.integer("input_forget", 0);
  return r.all([&](const Val &x, const Vals &state, const Val &bias, size_t d) {
    Tensors &t = r.t;
    Val all = t.add(x, r.times(state[0], 2, d)); // i, o, f, c
    if (bias.some())
      all = t.add(all, bias);
    Val peep = c.has(7) ? r.part(7, d) : Val(); // i, o, f
    auto seen = [&](Val v, int64_t k, const Val &cell) {
      return peep.some() ? t.add(v, t.mul(r.gate(peep, k), cell)) : v;
    };
    const std::string &f = r.activations[3 * d], &g = r.activations[3 * d + 1], &h = r.activations[3 * d + 2];
    Val in = r.activate(f, seen(r.gate(all, 0), 0, state[1]), 3 * d);
    Val forget = coupled ? t.sub(t.scalar(1, in.type), in) : r.activate(f, seen(r.gate(all, 2), 2, state[1]), 3 * d);
    Val cell = t.add(t.mul(forget, state[1]), t.mul(in, r.activate(g, r.gate(all, 3), 3 * d + 1)));
    Val out = r.activate(f, seen(r.gate(all, 1), 1, cell), 3 * d);
    return Vals{t.mul(out, r.activate(h, cell, 3 * d + 2, false)), cell};
  });
}

Vals lstm(NodeCall &c) { return longShort(c, 0); }
Vals quantizedLstm(NodeCall &c) { return longShort(c, 8); }

} // namespace

void addRecurrent(Table &t) {
  const Table mine = {{"RNN", rnn}, {"GRU", gru}, {"LSTM", lstm}, {std::string(kContributed) + ".DynamicQuantizeLSTM", quantizedLstm}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
