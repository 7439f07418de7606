// Attention and rotary embeddings of the newer operator sets.
#include "OnnxNode.h"
#include <cmath>
#include <limits>

namespace bigm::sema::onnx_import {
namespace {

/// [N, T, heads * D] -> [N, heads, T, D]; four dimensions stay.
Val headed(Tensors &t, const Val &x, int64_t heads) {
  if (x.rank() == 4)
    return x;
  if (x.rank() != 3 || heads < 1)
    refuse(std::to_string(heads) + " heads over " + typeText(x));
  return t.transpose(t.reshape(x, {x.shape[0], x.shape[1], Dim(heads), x.shape[2].floorDiv(heads)}), {0, 2, 1, 3});
}

Vals attention(NodeCall &c) {
  Tensors &t = c.t;
  bool flat = c.ranked(3, 4).rank() == 3;
  int64_t heads = c.integer("q_num_heads", 0), groups = c.integer("kv_num_heads", 0);
  Val q = headed(t, c.x(0), heads), k = headed(t, c.x(1), groups), v = headed(t, c.x(2), groups);
  Type type = q.type;
  Dim past = 0;
  if (c.has(4)) {
    past = c.in[4].shape[2];
    k = t.concat({c.in[4], k}, 2);
    v = t.concat({c.x(5), v}, 2);
  }
  Val presentK = k, presentV = v;
  // Each group of heads shares one head of keys and values.
  if (q.shape[1] != k.shape[1]) {
    int64_t each =
        t.number(q.shape[1], "the number of heads") / std::max<int64_t>(1, t.number(k.shape[1], "the number of heads"));
    auto repeated = [&](const Val &x) {
      std::vector<Dim> wide = {x.shape[0], x.shape[1], Dim(each), x.shape[2], x.shape[3]};
      return t.reshape(t.view(x, wide, {index(0), index(1), index(3), index(4)}),
                       {x.shape[0], q.shape[1], x.shape[2], x.shape[3]});
    };
    k = repeated(k);
    v = repeated(v);
  }
  Val scale = c.attribute("scale") ? t.scalar(c.real("scale", 1), type)
                                   : t.unary(Op::Rsqrt, t.size(q.shape[3], type));
  // The root of the scale on both sides, as the standard says.
  Val root = t.unary(Op::Sqrt, scale);
  Val scores = t.matmul(t.mul(q, root), t.transpose(t.mul(k, root), {0, 1, 3, 2}));
  int64_t mode = c.integer("qk_matmul_output_mode", 0);
  Val shown = scores;
  double cap = c.real("softcap", 0);
  auto capped = [&](const Val &s) { return cap == 0 ? s : t.mul(t.unary(Op::Tanh, t.div(s, cap)), cap); };
  bool newer = c.version >= 24;
  Val hidden = t.scalar(-std::numeric_limits<double>::infinity(), type);
  std::vector<Dim> square = {q.shape[2], k.shape[2]};
  Val bias;
  auto addBias = [&](const Val &b) { bias = bias.some() ? t.add(bias, b) : b; };
  if (c.has(3)) {
    Val m = c.in[3];
    if (m.type == Type::Bool)
      m = t.select(m, t.scalar(0, type), hidden);
    // A mask for fewer keys than there are hides the rest.
    if (m.shape.back() != k.shape[2]) {
      std::vector<int64_t> low(m.rank(), 0), high = low, none = low;
      high.back() = t.number(k.shape[2] - m.shape.back(), "the keys that the mask leaves out");
      m = t.pad(m, low, high, none, hidden);
    }
    addBias(m);
  }
  if (c.has(6)) { // how many keys each batch has
    Val n = t.reshape(t.cast(c.in[6], Type::I64), {c.in[6].shape[0], Dim(1), Dim(1), Dim(1)});
    Val in = t.pointwise(Op::Lt, {t.iota({Dim(1), Dim(1), Dim(1), k.shape[2]}, 3, Type::I64), n});
    addBias(t.select(in, t.scalar(0, type), hidden));
  }
  int64_t left = c.integer("left_window_size", -1), right = c.integer("right_window_size", -1);
  if (c.integer("is_causal", 0) || left >= 0 || right >= 0) {
    Val row = t.iota(square, 0, Type::I64), column = t.iota(square, 1, Type::I64);
    Val offset = t.size(past, Type::I64);
    if (c.has(6) && newer)
      offset = t.sub(t.reshape(t.cast(c.in[6], Type::I64), {c.in[6].shape[0], Dim(1), Dim(1), Dim(1)}),
                     t.size(q.shape[2], Type::I64));
    Val here = t.add(row, offset);
    auto see = [&](const Val &seen) { addBias(t.select(seen, t.scalar(0, type), hidden)); };
    if (c.integer("is_causal", 0))
      see(t.pointwise(Op::Ge, {here, column}));
    if (left >= 0)
      see(t.pointwise(Op::Ge, {column, t.sub(here, double(left))}));
    if (right >= 0)
      see(t.pointwise(Op::Le, {column, t.add(here, double(right))}));
  }
  scores = capped(scores);
  Val before = scores;
  if (bias.some())
    scores = t.add(scores, bias);
  // 0: the product, 1: with the mask, 2: after the soft cap, 3: after the softmax. The cap stands before the mask.
  if (mode == 1)
    shown = newer || cap != 0 ? before : scores;
  else if (mode == 2)
    shown = scores;
  Type inner = c.attribute("softmax_precision") ? typeOf(c.integer("softmax_precision", 1)) : type;
  Val wide = t.cast(scores, inner);
  // A row that sees nothing gives zeros.
  Val top = t.reduce(Op::ReduceMax, wide, {3}, true);
  Val none = t.compare(Op::Eq, top, -std::numeric_limits<double>::infinity());
  Val e = t.unary(Op::Exp, t.sub(wide, t.select(none, t.scalar(0, inner), top)));
  Val sum = t.sum(e, {3}, true);
  Val weights = t.cast(t.div(e, t.select(none, t.scalar(1, inner), sum)), type);
  if (mode == 3)
    shown = weights;
  Val y = t.matmul(weights, v);
  if (flat)
    y = t.reshape(t.transpose(y, {0, 2, 1, 3}), {y.shape[0], y.shape[2], y.shape[1] * y.shape[3]});
  return {y, presentK, presentV, shown};
}

Vals rotary(NodeCall &c) {
  Tensors &t = c.t;
  const Val &given = c.ranked(3, 4);
  bool flat = given.rank() == 3;
  Val x = flat ? headed(t, given, c.integer("num_heads", 0)) : given; // [N, heads, T, D]
  int64_t size = t.number(x.shape[3], "the size of a head"), turned = c.integer("rotary_embedding_dim", 0);
  if (!turned)
    turned = size;
  int64_t half = turned / 2;
  Val cosine = c.x(1), sine = c.x(2);
  if (c.has(3)) { // tables [most, half], looked up by position [N, T]
    cosine = t.take(cosine, c.in[3], 0);
    sine = t.take(sine, c.in[3], 0);
  }
  for (const Val *table : {&cosine, &sine})
    if (table->rank() != 3 || (table->shape[2].isConstant() && *table->shape[2].constant() < half))
      refuse("tables of cosines and sines that do not fit the heads");
  if (turned < 2 || turned > size || turned % 2)
    refuse("`rotary_embedding_dim` is " + std::to_string(turned) + ", and heads are " + std::to_string(size) + " wide");
  cosine = t.unsqueeze(t.slice(cosine, 2, 0, Dim(half)), {1});
  sine = t.unsqueeze(t.slice(sine, 2, 0, Dim(half)), {1});
  Val front = t.slice(x, 3, 0, Dim(turned));
  bool interleaved = c.integer("interleaved", 0);
  Val a = interleaved ? t.slice(front, 3, 0, Dim(half), 2) : t.slice(front, 3, 0, Dim(half));
  Val b = interleaved ? t.slice(front, 3, 1, Dim(half), 2) : t.slice(front, 3, Dim(half), Dim(half));
  Val left = t.sub(t.mul(a, cosine), t.mul(b, sine)), right = t.add(t.mul(a, sine), t.mul(b, cosine));
  Val y = interleaved ? t.reshape(t.concat({t.unsqueeze(left, {-1}), t.unsqueeze(right, {-1})}, 4), front.shape)
                      : t.concat({left, right}, 3);
  if (turned != size)
    y = t.concat({y, t.slice(x, 3, Dim(turned), Dim(size - turned))}, 3);
  if (flat)
    y = t.reshape(t.transpose(y, {0, 2, 1, 3}), given.shape);
  return {y};
}

} // namespace

void addAttention(Table &t) {
  const Table mine = {{"Attention", attention}, {"RotaryEmbedding", rotary}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
