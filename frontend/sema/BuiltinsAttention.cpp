// Attention as a built-in: masks, biases and windows come down to the operands of one operation.
#include "Checker.h"
#include <cmath>
#include <limits>

namespace bigm::sema {

/// Heads of keys or values, each as often as heads of queries share it: [N, S, G, D] to [N, S, H, D].
static Value repeatHeads(Recorder &rec, Value x, const Dim &heads, int64_t share) {
  std::vector<Dim> shape = rec.type(x).shape, apart = {shape[0], shape[1], shape[2], Dim(share), shape[3]};
  Value copies = rec.view(x, apart, {index(0), index(1), index(2), index(4)});
  shape[2] = heads;
  return rec.reshape(copies, shape);
}

/// What is added to scores [N, H, T, S]: numbers or bools that broadcast to them, as a tensor [N or 1, H or 1, T or 1, S].
static std::optional<Value> scoreBias(Recorder &rec, Value given, const std::vector<Dim> &scores) {
  std::vector<Dim> shape = rec.type(given).shape;
  if (shape.size() > 4)
    return std::nullopt;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != scores[4 - shape.size() + i] && shape[i] != Dim(1))
      return std::nullopt;
  shape.insert(shape.begin(), 4 - shape.size(), Dim(1));
  shape.back() = scores.back();
  Value bias = rec.broadcast(given, shape);
  if (rec.type(bias).elem == Elem::F32)
    return bias;
  TensorType type{Elem::F32, shape, 0};
  Value seen = rec.constant(0, type), hidden = rec.constant(-double(std::numeric_limits<float>::max()), type);
  return rec.add(Op::Select, {bias, seen, hidden}, type);
}

/// The same for a window: query i, the last of which stands at the last key, sees the last `window` keys up to its own.
static Value windowBias(Recorder &rec, int64_t window, const std::vector<Dim> &scores) {
  std::vector<Dim> shape = {Dim(1), Dim(1), scores[2], scores[3]};
  TensorType places{Elem::I64, shape, 0}, bits{Elem::Bool, shape, 0};
  Value query = rec.add(Op::Iota, {}, places, {{"dim", int64_t(2)}}), key = rec.add(Op::Iota, {}, places, {{"dim", int64_t(3)}});
  Value before = rec.broadcast(rec.dimension(scores[3] - scores[2] - Dim(window), Elem::I64), shape);
  Value near = rec.add(Op::Gt, {key, rec.add(Op::Add, {query, before}, places)}, bits);
  return *scoreBias(rec, near, scores);
}

// Attention without a matrix of scores in memory. A mask or bias that is `none` is none. Keys and values may have fewer
// heads, as long as these divide those of queries.
Val Checker::builtinAttend(const BuiltinCall &c) {
  for (int i = 0; i < 3; ++i)
    if (!needTensor(c.args[i], "attend"))
      return {};
  const TensorType q = typeOf(c.args[0]), k = typeOf(c.args[1]), v = typeOf(c.args[2]);
  TensorType keys = q;
  if (k.shape.size() == 4 && q.shape.size() == 4)
    keys.shape[1] = k.shape[1], keys.shape[2] = k.shape[2];
  bool fits = q.elem == Elem::F32 && q.shape.size() == 4 && k.elem == q.elem && v.elem == q.elem &&
              k.shape == keys.shape && v.shape == keys.shape;
  if (!fits)
    return fail(Diag::AttendTypes, c.where, {q.str(), k.str(), v.str()});
  auto heads = q.shape[2].constant(), groups = k.shape[2].constant();
  int64_t share = heads && groups && *groups > 0 && *heads % *groups == 0 ? *heads / *groups : 0;
  bool open = generic && !(heads && groups); // of a model that is checked alone
  if (q.shape[2] != k.shape[2] && !share && !open)
    return fail(Diag::AttendHeads, c.where, {q.shape[2].str(), k.shape[2].str()});
  std::vector<Value> operands = {c.args[0]->value.tensor, c.args[1]->value.tensor, c.args[2]->value.tensor};
  if (share > 1)
    for (size_t i : {1u, 2u})
      operands[i] = repeatHeads(*rec, operands[i], q.shape[2], share);
  if (c.args[3] && !c.args[3]->value.is(Val::Kind::None)) {
    TensorType mask{Elem::Bool, {keys.shape[0], keys.shape[1]}, 0};
    if (!needTensor(c.args[3], "attend"))
      return {};
    if (typeOf(c.args[3]).elem != Elem::Bool || typeOf(c.args[3]).shape != mask.shape)
      return fail(Diag::AttendMask, c.args[3]->where, {mask.str(), typeOf(c.args[3]).str()});
    operands.push_back(c.args[3]->value.tensor);
  }
  int64_t causal = c.args[4] && c.args[4]->value.is(Val::Kind::Bool) && c.args[4]->value.boolean;
  std::map<std::string, Attr> attrs = {{"causal", causal}, {"masked", int64_t(operands.size() > 3)}};
  const std::vector<Dim> scores = {q.shape[0], q.shape[2], q.shape[1], k.shape[1]};
  std::optional<Value> bias;
  if (const Given *given = c.args[5]; given && !given->value.is(Val::Kind::None)) {
    if (!needTensor(given, "attend"))
      return {};
    Elem elem = typeOf(given).elem;
    if (elem == Elem::F32 || elem == Elem::Bool)
      bias = scoreBias(*rec, given->value.tensor, scores);
    if (!bias)
      return fail(Diag::AttendBias, given->where, {TensorType{Elem::F32, scores, 0}.str(), typeOf(given).str()});
  }
  if (const Given *given = c.args[6]; given && !given->value.is(Val::Kind::None) && !given->value.is(Val::Kind::Unknown)) {
    auto scale = given->value.asNumber();
    if (!scale || !std::isfinite(*scale))
      return fail(Diag::ArgumentKind, given->where, {"attend", "scale", "a number", source(given->where)});
    attrs["scale"] = *scale;
  }
  if (const Given *given = c.args[7]; given && !given->value.is(Val::Kind::None) && !given->value.is(Val::Kind::Unknown)) {
    auto window = given->value.is(Val::Kind::Int) ? given->value.integer.constant() : std::nullopt;
    if (!window || *window < 1 || !causal)
      return fail(Diag::ArgumentKind, given->where,
                  {"attend", "window", causal ? "a whole number from 1 on" : "used together with `causal: true`", source(given->where)});
    Value near = windowBias(*rec, *window, scores);
    if (bias) {
      std::vector<Dim> shape = rec->type(*bias).shape;
      shape[2] = scores[2];
      near = rec->add(Op::Add, {rec->broadcast(*bias, shape), rec->broadcast(near, shape)}, {Elem::F32, shape, 0});
    }
    bias = near;
  }
  if (bias)
    operands.push_back(*bias);
  return tensorVal(rec->add(Op::Attention, operands, {q.elem, q.shape, 0}, attrs));
}

} // namespace bigm::sema
