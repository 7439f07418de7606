// Both functions are built node by node from the one over whole sequences, by the layouts of its values (Positions.h).
//
// In `decode` a position is past[n] + t: what depends on positions alone, and was one for all sequences, now is one for
// each. Such a value gets a dimension of sequences in front ("led") and loses it where it meets values that have one.
// The logits behind the last token are computed for that position alone: what all positions need anyway (it leads to
// keys and values) is computed for all, and from there on one row is followed.
#include "Incremental.h"
#include "PositionBias.h"
#include "Positions.h"
#include "Recorder.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace bigm::sema {
namespace {

struct Made {
  Value value = 0;
  bool led = false; // has a dimension of sequences in front of those that it had
};

class Builder {
public:
  Builder(const Function &f, const Positions &positions, const std::vector<TensorDecl> &tensors, std::string name, bool decode)
      : f(f), positions(positions), tensors(tensors), rec(std::move(name)), decode(decode),
        batch(Dim::symbol(positions.batch)) {}

  Function build() {
    Pass all{Dim::symbol(positions.length), {}, std::nullopt, false};
    const TensorType perSequence{Elem::I32, {batch}, 0};
    for (const Arg &arg : f.args)
      if (arg.role == Role::Input)
        rec.input(arg.name, arg.type, arg.where);
    Value count = rec.input("count", perSequence, {});
    if (decode) {
      all.first = past = rec.input("past", perSequence, {});
      slot = rec.input("slot", perSequence, {});
    }
    all.made.resize(f.types.size());
    for (size_t i = 0; i < f.args.size(); ++i)
      all.made[i] = argument(f.args[i]);
    rows = &all;
    const std::vector<bool> ofBias = neededByBiasAlone(f);
    for (size_t i = 0; i < f.nodes.size(); ++i)
      if (!decode || !ofBias[i])
        all.made[f.nodes[i].first] = make(f.nodes[i], all);

    // One position of each sequence: the last that counts.
    last = rec.add(Op::Sub, {count, rec.constant(1, perSequence)}, perSequence);
    Pass one{Dim(1), {}, decode ? rec.add(Op::Add, {past, last}, perSequence) : last, true};
    one.made.resize(f.types.size());
    markShared();
    Value logits = f.outputs[0].value;
    Made made = follow(logits, one);
    rec.output("logits", rec.reshape(made.value, {batch, f.types[logits].shape[2]}));
    for (size_t i = 0; i < fresh.size(); ++i)
      rec.output(cacheName(i, "new."), fresh[i]);
    return rec.finish(tensors, true);
  }
  size_t caches() const { return fresh.size(); }

private:
  /// A way through the function: for all positions, or for one of each sequence.
  struct Pass {
    Dim length;                           // what the number of positions is
    std::vector<std::optional<Made>> made;
    std::optional<Value> first;           // i32[N]: the position of the first; 0 without
    bool one;
  };

  static std::string cacheName(size_t i, const std::string &prefix) {
    return prefix + std::to_string(i / 2) + (i % 2 ? ".v" : ".k");
  }
  std::vector<Dim> sizes(const std::vector<Dim> &shape, const Pass &pass) const {
    std::vector<Dim> result;
    for (const Dim &size : shape)
      result.push_back(size.substitute([&](const std::string &symbol) -> std::optional<Dim> {
        return symbol == positions.length ? std::optional(pass.length) : std::nullopt;
      }));
    return result;
  }
  std::vector<Dim> led(std::vector<Dim> shape) const {
    shape.insert(shape.begin(), batch);
    return shape;
  }
  static AffineIndices shifted(const AffineIndices &map) {
    AffineIndices result = map;
    for (AffineIndex &i : result)
      for (auto &[dim, c] : i.terms)
        ++dim;
    return result;
  }
  const TensorType &type(const Node &n) const { return f.types[n.first]; }
  Made argument(const Arg &arg) {
    if (arg.role == Role::Input)
      return {rec.input(arg.name, arg.type, arg.where), false};
    return {rec.tensor(arg.tensor, tensors[arg.tensor]), false};
  }

  // ------------------------------------------------------------------ values with a dimension of sequences in front
  Value lead(Made x, const std::vector<Dim> &shape) {
    return x.led ? x.value : rec.view(x.value, led(shape), shifted(identityMap(shape.size())));
  }
  /// A value that is led, as an operand beside values whose layout is `beside`: of each sequence its own.
  Made meet(Made x, const Layout &beside, const std::vector<Dim> &shape, const Pass &pass) {
    if (!x.led || !has(beside, Factor::Batch))
      return x;
    std::vector<Dim> split;
    AffineIndices own(1);
    for (const Factors &factors : beside)
      for (const Factor &factor : factors) {
        if (factor.kind == Factor::Batch)
          own[0] = index(split.size());
        split.push_back(sizes({factor.size}, pass)[0]);
      }
    AffineIndices map = identityMap(split.size());
    map.insert(map.begin(), own[0]);
    Value apart = rec.view(rec.reshape(x.value, led(split)), split, map);
    return {rec.reshape(apart, shape), false};
  }
  /// Operands of one layout: all led or none.
  bool agree(std::vector<Made> &operands, const Node &n, const Layout &layout, Pass &pass) {
    bool any = false;
    for (size_t i = 0; i < operands.size(); ++i) {
      operands[i] = meet(operands[i], layout, sizes(f.types[n.operands[i]].shape, pass), pass);
      any |= operands[i].led;
    }
    for (size_t i = 0; any && i < operands.size(); ++i)
      operands[i] = {lead(operands[i], sizes(f.types[n.operands[i]].shape, pass)), true};
    return any;
  }

  // ------------------------------------------------------------------ nodes
  Made add(const Node &n, std::vector<Value> operands, bool isLed, std::map<std::string, Attr> attrs, Pass &pass) {
    TensorType t = type(n);
    t.shape = sizes(t.shape, pass);
    if (isLed)
      t.shape = led(t.shape);
    return {rec.add(n.op, std::move(operands), t, std::move(attrs)), isLed};
  }

  Made make(const Node &n, Pass &pass) {
    rec.where = n.caller.valid() ? n.caller : n.where;
    rec.scope = n.scope;
    std::vector<Made> x;
    const size_t operands = decode && positionBias(n) ? 3 : n.operands.size(); // the bias is made for its keys: overKept
    for (size_t i = 0; i < operands; ++i)
      x.push_back(*pass.made[n.operands[i]]);
    std::map<std::string, Attr> attrs = n.attrs;
    auto shiftDim = [&](const char *attr) { attrs[attr] = std::get<int64_t>(attrs[attr]) + 1; };
    switch (n.op) {
    case Op::Constant: return add(n, {}, false, attrs, pass);
    case Op::Iota: return makeIota(n, pass);
    case Op::Reshape: {
      std::vector<Dim> shape = sizes(type(n).shape, pass);
      return {rec.reshape(x[0].value, x[0].led ? led(shape) : shape), x[0].led};
    }
    case Op::View: return makeView(n, x[0], pass);
    case Op::Contract: return makeContract(n, x, pass);
    case Op::Attention: return makeAttention(n, x, pass);
    case Op::Gather:
      return add(n, {x[0].value, x[1].value}, x[1].led, attrs, pass);
    case Op::StopGradient: return x[0];
    case Op::Pad:
      if (x[0].led)
        for (const char *attr : {"low", "high", "interior"}) {
          auto &numbers = std::get<std::vector<int64_t>>(attrs[attr]);
          numbers.insert(numbers.begin(), 0);
        }
      return add(n, {x[0].value, x[1].value}, x[0].led, attrs, pass);
    case Op::ReduceSum: case Op::ReduceMax: case Op::ReduceMin: case Op::ReduceProd:
      if (x[0].led)
        for (int64_t &dim : std::get<std::vector<int64_t>>(attrs["dims"]))
          ++dim;
      return add(n, {x[0].value}, x[0].led, attrs, pass);
    case Op::ArgMax: case Op::ArgMin:
      if (x[0].led)
        shiftDim("dim");
      return add(n, {x[0].value}, x[0].led, attrs, pass);
    default: { // of one layout, or untouched by positions
      bool any = n.operands.size() && agree(x, n, positions.of(n.first), pass);
      if (any && n.op == Op::Concat)
        shiftDim("dim");
      std::vector<Value> operands;
      for (const Made &m : x)
        operands.push_back(m.value);
      return add(n, operands, any, attrs, pass);
    }
    }
  }

  Made makeIota(const Node &n, Pass &pass) {
    size_t dim = std::get<int64_t>(n.attrs.at("dim"));
    if (!pass.first || !tagged(positions.of(n.first)[dim]))
      return add(n, {}, false, n.attrs, pass);
    TensorType t = type(n);
    t.shape = led(sizes(t.shape, pass));
    Value own = rec.add(Op::Iota, {}, t, {{"dim", int64_t(dim) + 1}});
    Value first = rec.view(rec.cast(*pass.first, t.elem), t.shape, {index(0)});
    return {rec.add(Op::Add, {own, first}, t), true};
  }

  Made makeView(const Node &n, Made x, Pass &pass) {
    std::vector<Dim> shape = sizes(type(n).shape, pass);
    auto &map = std::get<AffineIndices>(n.attrs.at("map"));
    auto table = positions.positionTable(n);
    if (!table || !pass.first) {
      AffineIndices own = x.led ? shifted(map) : map;
      if (x.led)
        own.insert(own.begin(), index(0));
      return {rec.view(x.value, x.led ? led(shape) : shape, own), x.led};
    }
    // Rows of a table by position: its rows first, then those that positions name, then as the view wants them.
    size_t p = *table;
    uint32_t d = map[p].terms[0].first;
    const std::vector<Dim> &from = f.types[n.operands[0]].shape;
    std::vector<Dim> turned{from[p]}, found{batch, pass.length};
    AffineIndices turn(from.size()), back{index(0), index(d + 1)};
    turn[p] = index(0);
    for (size_t i = 0; i < from.size(); ++i)
      if (i != p) {
        turn[i] = index(turned.size());
        turned.push_back(from[i]), found.push_back(from[i]);
        back.push_back(shifted({map[i]})[0]);
      }
    const TensorType ids{Elem::I32, {batch, pass.length}, 0};
    Value at = rec.add(Op::Add, {rec.add(Op::Iota, {}, ids, {{"dim", int64_t(1)}}), rec.view(*pass.first, ids.shape, {index(0)})},
                       ids);
    if (map[p].offset)
      at = rec.add(Op::Add, {at, rec.constant(double(map[p].offset), ids)}, ids);
    TensorType t = type(n);
    t.shape = found;
    Value rowsFound = rec.add(Op::Gather, {rec.view(x.value, turned, turn), at}, t);
    return {rec.view(rowsFound, led(shape), back), true};
  }

  Made makeContract(const Node &n, std::vector<Made> &x, Pass &pass) {
    std::map<std::string, Attr> attrs = n.attrs;
    const char *maps[] = {"lhs_map", "rhs_map"};
    const Layout &out = positions.of(n.first);
    if (!x[0].led && !x[1].led)
      return add(n, {x[0].value, x[1].value}, false, attrs, pass);
    // Where the result has sequences already, an operand of all sequences takes its own.
    int sequences = -1;
    for (size_t d = 0; d < out.size(); ++d)
      if (out[d].size() == 1 && out[d][0].kind == Factor::Batch)
        sequences = int(d);
    bool isLed = !has(out, Factor::Batch);
    for (int i : {0, 1}) {
      AffineIndices map = std::get<AffineIndices>(attrs[maps[i]]);
      Layout beside = positions.of(n.operands[i]);
      for (size_t p = 0; p < map.size(); ++p)
        if (map[p].terms.size() == 1 && map[p].terms[0].first < out.size() && !tagged(beside[p]) &&
            tagged(out[map[p].terms[0].first]) && f.types[n.operands[i]].shape[p] == type(n).shape[map[p].terms[0].first])
          beside[p] = out[map[p].terms[0].first];
      x[i] = meet(x[i], beside, sizes(f.types[n.operands[i]].shape, pass), pass);
      if (isLed)
        map = shifted(map);
      if (x[i].led)
        map.insert(map.begin(), isLed ? index(0) : index(sequences));
      attrs[maps[i]] = map;
    }
    return add(n, {x[0].value, x[1].value}, isLed, attrs, pass);
  }

  Made makeAttention(const Node &n, std::vector<Made> &x, Pass &pass) {
    const Layout &out = positions.of(n.first);
    for (size_t i = 0; i < x.size(); ++i) {
      Layout beside = positions.of(n.operands[i]);
      beside[0] = out[0];
      x[i] = meet(x[i], beside, sizes(f.types[n.operands[i]].shape, pass), pass);
    }
    std::vector<Value> operands;
    for (const Made &m : x)
      operands.push_back(m.value);
    if (!has(positions.of(n.operands[1]), Factor::Position))
      return add(n, operands, false, n.attrs, pass);
    // Where heads of queries share keys, these are kept once.
    size_t cache = fresh.size();
    Value kinds[] = {n.operands[1], n.operands[2]};
    std::vector<Value> repeated = operands;
    for (size_t i : {0u, 1u})
      if (auto single = beforeRepeat(kinds[i])) {
        kinds[i] = *single;
        operands[1 + i] = pass.made[*single]->value;
      }
    if (f.types[kinds[0]].shape != f.types[kinds[1]].shape)
      operands = repeated, kinds[0] = n.operands[1], kinds[1] = n.operands[2];
    fresh.push_back(operands[1]), fresh.push_back(operands[2]);
    if (!decode)
      return add(n, repeated, false, n.attrs, pass);
    for (size_t i : {0u, 1u}) {
      TensorType t = f.types[kinds[i]];
      t.shape[0] = free("B"), t.shape[1] = free("L");
      operands.push_back(rec.input(cacheName(cache + i, "cache."), t, n.caller.valid() ? n.caller : n.where));
    }
    if (auto bias = positionBias(n))
      return {overKept(n, operands, *bias), false};
    // Attention over kept rows has the scale of its width alone.
    if (auto scale = n.attrs.find("scale"); scale != n.attrs.end()) {
      TensorType t = rec.type(operands[0]);
      double width = double(t.shape[3].constant().value_or(1));
      operands[0] = rec.add(Op::Mul, {operands[0], rec.constant(std::get<double>(scale->second) * std::sqrt(width), t)}, t);
    }
    operands.push_back(slot), operands.push_back(past);
    return {rec.add(Op::CachedAttention, operands, type(n)), false};
  }
  /// Attention with a bias by positions, over a copy of the rows that are kept of each sequence and its new ones. Operands are
  /// q, k, v, keys, values. Rows that were not written are zeros in the copy: 0 * NaN is none.
  Value overKept(const Node &n, const std::vector<Value> &x, Value bias) {
    const TensorType q = rec.type(x[0]), kept = rec.type(x[3]);
    const Dim rowsKept = kept.shape[1], queries = q.shape[1], keys = rowsKept + queries;
    auto places = [&](const Dim &count, size_t dim, const std::vector<Dim> &shape) {
      Value counted = rec.add(Op::Iota, {}, {Elem::I32, {count}, 0}, {{"dim", int64_t(0)}});
      return rec.view(counted, shape, {index(uint32_t(dim))});
    };
    auto ofSequence = [&](Value v, const std::vector<Dim> &shape) { return rec.view(v, shape, {index(0)}); };
    const TensorType old{Elem::I32, {batch, rowsKept}, 0}, fresh{Elem::I32, {batch, queries}, 0};
    Value query = rec.add(Op::Add, {places(queries, 1, fresh.shape), ofSequence(past, fresh.shape)}, fresh);
    Value key = rec.add(Op::Concat, {places(rowsKept, 1, old.shape), query}, {Elem::I32, {batch, keys}, 0}, {{"dim", int64_t(1)}});
    Value there = rec.add(Op::Lt, {places(rowsKept, 1, old.shape), ofSequence(past, old.shape)}, {Elem::Bool, old.shape, 0});

    std::vector<Value> operands{x[0]};
    for (size_t i : {0u, 1u}) {
      TensorType rows = kept, both = kept;
      rows.shape[0] = both.shape[0] = batch, both.shape[1] = keys;
      Value own = rec.add(Op::Gather, {x[3 + i], slot}, rows);
      own = rec.add(Op::Select, {rec.view(there, rows.shape, {index(0), index(1)}), own, rec.constant(0, rows)}, rows);
      Value all = rec.add(Op::Concat, {own, x[1 + i]}, both, {{"dim", int64_t(1)}});
      if (both.shape[2] != q.shape[2]) { // each head of keys as often as heads of queries share it
        std::vector<Dim> apart = both.shape;
        apart.insert(apart.begin() + 3, *quotient(q.shape[2], both.shape[2]));
        both.shape[2] = q.shape[2];
        all = rec.reshape(rec.view(all, apart, {index(0), index(1), index(2), index(4)}), both.shape);
      }
      operands.push_back(all);
    }

    // What a query may not see: kept rows that are not there, and new ones behind it.
    auto made = makePositionBias(f, tensors, positions.length, bias, {batch, queries, keys, query, key}, rec);
    Value added = std::get<Value>(made); // Positions has asked
    TensorType scores = rec.type(added);
    const TensorType pairs{Elem::Bool, {batch, queries, keys}, 0}, numbers{Elem::I32, pairs.shape, 0};
    Value place = rec.add(Op::Concat, {rec.add(Op::Select, {there, places(rowsKept, 1, old.shape), rec.constant(INT32_MAX, old)}, old),
                                       query},
                          {Elem::I32, {batch, keys}, 0}, {{"dim", int64_t(1)}});
    Value seen = rec.add(Op::Le, {rec.view(place, numbers.shape, {index(0), index(2)}), rec.view(query, numbers.shape, {index(0), index(1)})},
                         pairs);
    Value hidden = rec.constant(-double(std::numeric_limits<float>::max()), scores);
    operands.push_back(rec.add(Op::Select, {rec.view(seen, scores.shape, {index(0), index(2), index(3)}), added, hidden}, scores));
    std::map<std::string, Attr> attrs = n.attrs;
    attrs["causal"] = attrs["masked"] = int64_t(0);
    return rec.add(Op::Attention, operands, type(n), attrs);
  }
  /// [N, T, G, D] of which the value is a copy with each head several times.
  std::optional<Value> beforeRepeat(Value v) {
    if (v < f.args.size())
      return std::nullopt;
    const Node &reshape = *nodeOf(v);
    if (reshape.op != Op::Reshape || reshape.operands[0] < f.args.size())
      return std::nullopt;
    const Node &view = *nodeOf(reshape.operands[0]);
    const std::vector<Dim> &shape = type(view).shape;
    if (view.op != Op::View || shape.size() != 5 || type(reshape).shape.size() != 4 || shape[4] != type(reshape).shape[3] ||
        shape[1] != type(reshape).shape[1] || f.types[view.operands[0]].shape.size() != 4)
      return std::nullopt;
    const AffineIndices own{index(0), index(1), index(2), index(4)};
    auto &map = std::get<AffineIndices>(view.attrs.at("map"));
    for (size_t i = 0; i < own.size(); ++i)
      if (map[i].terms != own[i].terms || map[i].offset)
        return std::nullopt;
    return view.operands[0];
  }
  /// A symbol that the function does not use.
  Dim free(std::string symbol) const {
    while (std::find(f.symbols.begin(), f.symbols.end(), symbol) != f.symbols.end())
      symbol += "_";
    return Dim::symbol(symbol);
  }

  // ------------------------------------------------------------------ one position
  /// What keys and values come from is there for all positions.
  void markShared() {
    shared.assign(f.types.size(), false);
    for (size_t i = f.nodes.size(); i-- > 0;) {
      const Node &n = f.nodes[i];
      bool mixes = n.op == Op::Attention && has(positions.of(n.operands[1]), Factor::Position);
      if (mixes || shared[n.first])
        for (Value v : n.operands)
          shared[v] = true;
      if (mixes)
        shared[n.first] = true;
    }
    for (size_t i = 0; i < f.args.size(); ++i)
      shared[i] = true;
  }
  Made follow(Value v, Pass &one) {
    if (one.made[v])
      return *one.made[v];
    const Layout &layout = positions.of(v);
    const Made &all = *rows->made[v];
    bool position = has(layout, Factor::Position), sequence = has(layout, Factor::Batch);
    bool argument = v < f.args.size();
    if (position && sequence && shared[v])
      return *(one.made[v] = pick(all.value, v, one));
    if (argument)
      return *(one.made[v] = all);
    const Node &n = *nodeOf(v);
    for (Value operand : n.operands)
      follow(operand, one);
    return *(one.made[v] = make(n, one));
  }
  const Node *nodeOf(Value v) {
    auto at = std::upper_bound(f.nodes.begin(), f.nodes.end(), v, [](Value value, const Node &n) { return value < n.first; });
    return &*std::prev(at);
  }
  /// Of a value for all positions that of position `last` of each sequence.
  Made pick(Value all, Value v, Pass &one) {
    std::vector<Dim> split, single;
    size_t n = 0, t = 0;
    for (const Factors &factors : positions.of(v))
      for (const Factor &factor : factors) {
        if (factor.kind == Factor::Batch)
          n = split.size();
        if (factor.kind == Factor::Position)
          t = split.size();
        split.push_back(factor.size);
        single.push_back(factor.kind == Factor::Position ? Dim(1) : factor.size);
      }
    // Sequences and positions first, as rows of one table.
    std::vector<Dim> turned{split[n], split[t]}, table{split[n] * split[t]}, found{batch};
    AffineIndices turn(split.size()), back{index(n)};
    turn[n] = index(0), turn[t] = index(1);
    for (size_t i = 0; i < split.size(); ++i)
      if (i != n && i != t) {
        turn[i] = index(turned.size());
        back.push_back(index(i));
        turned.push_back(split[i]), table.push_back(split[i]), found.push_back(split[i]);
      }
    Value x = rec.reshape(rec.view(rec.reshape(all, split), turned, turn), table);
    const TensorType ids{Elem::I32, {batch}, 0};
    Value length = rec.broadcast(rec.dimension(split[t], Elem::I32), ids.shape);
    Value start = rec.add(Op::Mul, {rec.add(Op::Iota, {}, ids, {{"dim", int64_t(0)}}), length}, ids);
    TensorType type = f.types[v];
    type.shape = found;
    Value row = rec.add(Op::Gather, {x, rec.add(Op::Add, {start, last}, ids)}, type);
    return {rec.reshape(rec.view(row, single, back), sizes(f.types[v].shape, one)), false};
  }

  const Function &f;
  const Positions &positions;
  const std::vector<TensorDecl> &tensors;
  Recorder rec;
  bool decode;
  Dim batch;
  Value past = 0, slot = 0, last = 0;
  Pass *rows = nullptr;
  std::vector<Value> fresh; // keys and values of the new positions, for each attention
  std::vector<bool> shared;
};

} // namespace

std::variant<Incremental, Refusal> makeIncremental(const Function &forward, const std::vector<TensorDecl> &tensors,
                                                   const std::string &name) {
  Positions positions(forward);
  if (auto refusal = positions.find())
    return *refusal;
  for (const Arg &arg : forward.args)
    if (arg.role != Role::Input && arg.role != Role::Tensor)
      return Refusal{arg.where, "", "is random"};
  if (forward.outputs.size() != 1 || forward.outputs[0].tensor >= 0)
    return Refusal{{}, "", "gives more than logits"};
  const Output &out = forward.outputs[0];
  const Layout &layout = positions.of(out.value);
  const TensorType &type = forward.types[out.value];
  auto is = [&](size_t d, Factor::Kind kind) { return layout[d].size() == 1 && layout[d][0].kind == kind; };
  if (type.elem != Elem::F32 || layout.size() != 3 || !is(0, Factor::Batch) || !is(1, Factor::Position) ||
      !type.shape[2].isConstant())
    return Refusal{{}, "", "gives " + type.str() + ", and needed are logits f32[N, T, V]"};
  Incremental made;
  made.program.name = name;
  made.program.prefill = name + ".prefill", made.program.decode = name + ".decode";
  made.program.ids = forward.args[positions.ids].name;
  Builder prefill(forward, positions, tensors, made.program.prefill, false);
  made.prefill = prefill.build();
  Builder decode(forward, positions, tensors, made.program.decode, true);
  made.decode = decode.build();
  made.program.caches = int64_t(decode.caches());
  made.program.positions = positions.most();
  if (!made.program.caches)
    return Refusal{{}, "", "has no causal attention"};
  return made;
}

} // namespace bigm::sema
