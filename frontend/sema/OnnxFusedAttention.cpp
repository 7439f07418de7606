// Attention as ONNX Runtime's optimiser writes it: the product with the weights, the heads, masks of several forms, and what was
// seen before. All of it comes down to the attention of the default domain.
#include "OnnxNode.h"
#include "OnnxQuantized.h"
#include <limits>
#include <utility>

namespace bigm::sema::onnx_import {
namespace {

/// What is added to the scores so that a mask hides: one of ones and zeros [N, S], [N, T, S] or [N, 1, T, S], or where each
/// sequence ends [N], perhaps followed by where it starts [2 * N].
Val hiding(NodeCall &c, const Val &mask, const Dim &batch, const Dim &keys, Type type) {
  Tensors &t = c.t;
  Val hidden = t.scalar(c.real("mask_filter_value", -10000), type), none = t.scalar(0, type), seen;
  if (mask.rank() == 1) {
    Val place = t.iota({Dim(1), Dim(1), Dim(1), keys}, 3, mask.type);
    auto bound = [&](const Dim &from) { return t.reshape(t.slice(mask, 0, from, batch), {batch, Dim(1), Dim(1), Dim(1)}); };
    if (mask.shape[0] != batch && mask.shape[0] != batch * Dim(2))
      refuse("a mask " + typeText(mask) + " of packed sequences");
    seen = t.pointwise(Op::Lt, {place, bound(0)});
    if (mask.shape[0] != batch)
      seen = t.pointwise(Op::And, {seen, t.pointwise(Op::Ge, {place, bound(batch)})});
  } else {
    seen = mask.type == Type::Bool ? mask : t.compare(Op::Gt, mask, 0);
    if (mask.rank() == 2)
      seen = t.unsqueeze(seen, {1, 2});
    else if (mask.rank() == 3)
      seen = t.unsqueeze(seen, {1});
    else if (mask.rank() != 4)
      refuse("a mask " + typeText(mask));
  }
  return t.select(seen, none, hidden);
}

/// What the attention of the default domain is told of the heads, and the scale where the node has one.
std::map<std::string, onnx::Attribute> headsOf(NodeCall &c, int64_t queries, int64_t keys) {
  std::map<std::string, onnx::Attribute> how = {{"q_num_heads", attributeOf(queries)}, {"kv_num_heads", attributeOf(keys)}};
  if (c.real("scale", 0) != 0)
    how["scale"] = attributeOf(c.real("scale", 0));
  return how;
}

struct Heads {
  Val q, k, v; // [N, T, heads * D]
  Val mask, bias, pastK, pastV = {}; // the mask as the file has it, the past [N, heads, T, D]
};
/// The result [N, T, heads * D] and keys and values, past ones included.
Vals attended(NodeCall &c, const Heads &h) {
  Tensors &t = c.t;
  Type type = h.q.type;
  int64_t heads = c.integer("num_heads", 0);
  Dim keys = h.k.shape[h.k.rank() - 2] + (h.pastK.some() ? h.pastK.shape[2] : Dim(0));
  Val bias = h.bias;
  if (h.mask.some()) {
    Val mask = hiding(c, h.mask, h.q.shape[0], keys, type);
    bias = bias.some() ? t.add(bias, mask) : mask;
  }
  auto how = headsOf(c, heads, heads);
  how["is_causal"] = attributeOf(c.integer("unidirectional", 0));
  return c.as("Attention", 23, {h.q, h.k, h.v, bias, h.pastK, h.pastV}, how);
}

/// Of queries, keys and values side by side [N, T, 3 * heads * D].
Vals selfAttended(NodeCall &c, const Val &all, const Val &mask, const Val &past, const Val &bias) {
  Tensors &t = c.t;
  if (c.integer("do_rotary", 0) || c.integer("past_present_share_buffer", 0))
    refuse("rotary positions, or a past that shares its memory");
  std::vector<int64_t> sizes = c.integers("qkv_hidden_sizes", {});
  std::vector<Dim> widths(3, all.shape.back().floorDiv(3));
  if (!sizes.empty() && sizes.size() != 3)
    refuse("`qkv_hidden_sizes` of another length");
  for (size_t i = 0; i < sizes.size(); ++i)
    widths[i] = sizes[i];
  Heads h;
  h.q = t.slice(all, 2, 0, widths[0]);
  h.k = t.slice(all, 2, widths[0], widths[1]);
  h.v = t.slice(all, 2, widths[0] + widths[1], widths[2]);
  h.mask = mask;
  h.bias = bias;
  if (past.some()) { // [2, N, heads, P, D]
    h.pastK = t.squeeze(t.slice(past, 0, 0, 1), {0});
    h.pastV = t.squeeze(t.slice(past, 0, 1, 1), {0});
  }
  Vals out = attended(c, h);
  if (!c.wants(1))
    return {out[0]};
  return {out[0], t.concat({t.unsqueeze(out[1], {0}), t.unsqueeze(out[2], {0})}, 0)};
}

Vals attention(NodeCall &c) {
  // x, weights, bias, mask, past, what is added to the scores
  Val all = c.t.matmul(c.ranked(3, 3), c.x(1));
  if (c.has(2))
    all = c.t.add(all, c.in[2]);
  return selfAttended(c, all, c.operand(3), c.operand(4), c.operand(5));
}

Vals quantizedAttention(NodeCall &c) {
  // x, weights, bias, scales of both, mask, zero points of both, past
  Val all = scaledProduct(c, {c.ranked(3, 3), c.x(1), c.x(3), c.x(4), c.operand(6), c.operand(7)});
  return selfAttended(c, c.t.add(all, c.x(2)), c.operand(5), c.operand(8), Val());
}

Vals multiHead(NodeCall &c) {
  // query, key, value, bias of the three, mask of the keys, what is added to the scores, past keys and values
  Tensors &t = c.t;
  for (size_t i : {8u, 9u})
    if (c.has(i))
      refuse("a past that shares its memory");
  Heads h;
  Dim at = 0;
  auto one = [&](const Val &v) {
    if (v.rank() > 4)
      refuse("queries, keys and values in one tensor: " + typeText(v));
    if (v.rank() == 4 || !c.has(3))
      return v;
    Dim from = std::exchange(at, at + v.shape.back());
    return t.add(v, t.slice(c.in[3], 0, from, v.shape.back()));
  };
  h.q = one(c.x(0));
  h.k = one(c.x(1));
  h.v = one(c.x(2));
  h.mask = c.operand(4);
  h.bias = c.operand(5);
  h.pastK = c.operand(6);
  h.pastV = c.operand(7);
  return attended(c, h);
}

Vals rotary(NodeCall &c) {
  // x, positions, cosines, sines
  Tensors &t = c.t;
  const Val &x = c.ranked(3, 4), &cosines = c.x(2);
  if (c.integer("is_packed_batching", 0) || c.real("scale", 1) != 1 || cosines.rank() != 2)
    refuse("packed sequences, or a scale");
  size_t steps = x.rank() - 2;
  Val at = c.x(1);
  if (at.rank() == 1) // where the first one stands
    at = t.broadcast(t.add(t.iota({Dim(1), x.shape[steps]}, 1, at.type), t.reshape(at, {Dim(1), Dim(1)})), {x.shape[0], x.shape[steps]});
  int64_t heads = c.integer("num_heads", 0);
  if (!heads && x.rank() == 3)
    heads = t.number(x.shape[2], "the width") / std::max<int64_t>(1, 2 * t.number(cosines.shape[1], "the width of the table"));
  return c.as("RotaryEmbedding", 23, {x, cosines, c.x(3), at},
              {{"num_heads", attributeOf(heads)}, {"interleaved", attributeOf(c.integer("interleaved", 0))},
               {"rotary_embedding_dim", attributeOf(c.integer("rotary_embedding_dim", 0))}});
}

/// Queries, each group of which shares keys and values, behind what was seen before. A sequence may have seen less than the past has
/// room for; what is new stands behind that.
Vals grouped(NodeCall &c) {
  // query, key, value, past keys and values, ends of the sequences, the longest of them, cosines, sines, positions, what is added
  Tensors &t = c.t;
  int64_t heads = c.integer("num_heads", 0), groups = c.integer("kv_num_heads", 0), window = c.integer("local_window_size", -1);
  for (const char *other : {"smooth_softmax", "qk_output", "sliding_window_cache", "kv_cache_bit_width"})
    if (c.integer(other, 0))
      refuse(std::string("`") + other + "`");
  for (size_t i = 11; i < c.in.size(); ++i)
    if (c.has(i))
      refuse("operand " + std::to_string(i));
  if (heads < 1 || groups < 1 || heads % groups || !c.integer("causal", 1))
    refuse(std::to_string(heads) + " heads in " + std::to_string(groups) + " groups, or keys to come");
  Val q = c.ranked(3, 3), k = c.operand(1), v = c.operand(2);
  const Dim n = q.shape[0], steps = q.shape[1];
  if (!k.some()) { // all three side by side
    Val all = q;
    Dim each = all.shape[2].floorDiv(heads + 2 * groups);
    q = t.slice(all, 2, 0, each * Dim(heads));
    k = t.slice(all, 2, each * Dim(heads), each * Dim(groups));
    v = t.slice(all, 2, each * Dim(heads + groups), each * Dim(groups));
  }
  const Dim size = k.shape[2].floorDiv(groups), room = c.has(3) ? c.in[3].shape[2] : Dim(0), keys = room + steps;
  Val before = t.scalar(0, Type::I64); // how much a sequence has seen
  if (room != Dim(0))
    before = t.reshape(t.sub(t.add(t.cast(c.x(5), Type::I64), 1), t.size(steps, Type::I64)), {n, Dim(1)});
  Val place = t.broadcast(t.add(t.iota({Dim(1), steps}, 1, Type::I64), before), {n, steps});
  if (c.integer("do_rotary", 0))
    for (auto [x, count] : {std::pair(&q, heads), std::pair(&k, groups)})
      *x = c.as("RotaryEmbedding", 23, {*x, c.x(7), c.x(8), c.has(9) ? c.in[9] : place},
                {{"num_heads", attributeOf(count)}, {"interleaved", attributeOf(c.integer("rotary_interleaved", 0))},
                 {"rotary_embedding_dim", attributeOf(t.number(c.x(7).shape[1], "the width of the table") * 2)}})[0];
  auto behind = [&](const Val &now, size_t past) { // [N, groups, keys, D]
    std::vector<Dim> split = {n, steps, Dim(groups), size};
    if (room == Dim(0))
      return t.transpose(t.reshape(now, split), {0, 2, 1, 3});
    Val all = t.concat({t.transpose(c.x(past), {0, 2, 1, 3}), t.reshape(now, split)}, 1);
    Val j = t.iota({Dim(1), keys}, 1, Type::I64), last = t.size(keys - Dim(1), Type::I64);
    Val from = t.select(t.pointwise(Op::Lt, {j, before}), j,
                        t.pointwise(Op::Min, {t.add(t.sub(j, before), t.size(room, Type::I64)), last}));
    from = t.add(from, t.mul(t.iota({n, Dim(1)}, 0, Type::I64), t.size(keys, Type::I64)));
    Val rows = t.gather(t.reshape(all, {n * keys, Dim(groups), size}), from);
    Val filled = t.pointwise(Op::Lt, {j, t.add(before, t.size(steps, Type::I64))}); // the rest is zeros
    rows = t.select(t.unsqueeze(filled, {2, 3}), rows, t.scalar(0, rows.type));
    return t.transpose(rows, {0, 2, 1, 3});
  };
  k = behind(k, 3);
  v = behind(v, 4);
  Val here = t.unsqueeze(place, {1, 3}), key = t.iota({Dim(1), Dim(1), Dim(1), keys}, 3, Type::I64);
  Val seen = t.pointwise(Op::Le, {key, here});
  if (window > 0)
    seen = t.pointwise(Op::And, {seen, t.pointwise(Op::Gt, {t.add(key, double(window)), here})});
  Val bias = t.select(seen, t.scalar(0, q.type), t.scalar(-std::numeric_limits<double>::infinity(), q.type));
  if (c.has(10))
    bias = t.add(bias, c.in[10]);
  auto how = headsOf(c, heads, groups);
  how["softcap"] = attributeOf(c.real("softcap", 0));
  return {c.as("Attention", 23, {q, k, v, bias}, how)[0], k, v};
}

} // namespace

void addFusedAttention(Table &t) {
  const std::pair<const char *, Operator> mine[] = {{"Attention", attention}, {"QAttention", quantizedAttention},
                                                    {"MultiHeadAttention", multiHead}, {"RotaryEmbedding", rotary},
                                                    {"GroupQueryAttention", grouped}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kContributed) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
