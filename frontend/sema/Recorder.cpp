// See Recorder.h. The key that finds equal operations is their text; graphs have some hundred nodes, so this is cheap.
#include "Recorder.h"
#include "Sizes.h"
#include <algorithm>
#include <utility>
#include <cassert>
#include <functional>
#include <tuple>

namespace bigm::sema {

AffineIndex index(uint32_t dim, int64_t coefficient, int64_t offset) {
  AffineIndex i;
  if (coefficient)
    i.terms = {{dim, coefficient}};
  i.offset = offset;
  return i;
}

AffineIndices identityMap(size_t rank) {
  AffineIndices map;
  for (size_t i = 0; i < rank; ++i)
    map.push_back(index(i));
  return map;
}

static bool isIdentity(const AffineIndices &map, size_t rank) {
  if (map.size() != rank)
    return false;
  for (size_t i = 0; i < rank; ++i)
    if (map[i].offset || map[i].terms.size() != 1 || map[i].terms[0] != std::pair<uint32_t, int64_t>(i, 1))
      return false;
  return true;
}

Value Recorder::argument(Arg arg) {
  Entry e;
  e.arg = fn.args.size();
  e.type = arg.type;
  fn.args.push_back(std::move(arg));
  values.push_back(std::move(e));
  return values.size() - 1;
}

Value Recorder::input(const std::string &name, const TensorType &type, SourceRange place) {
  auto found = inputs.find(name);
  if (found != inputs.end())
    return found->second;
  return inputs[name] = argument({name, Role::Input, -1, type, place});
}

Value Recorder::tensor(int i, const TensorDecl &decl) {
  auto now = stored.find(i);
  if (now != stored.end())
    return now->second;
  auto found = loaded.find(i);
  if (found != loaded.end())
    return found->second;
  return loaded[i] = argument({decl.name, Role::Tensor, i, decl.type, decl.where});
}

void Recorder::store(int i, const TensorDecl &, Value value) { stored[i] = value; }

std::set<int> Recorder::storedTensors() const {
  std::set<int> all;
  for (auto &[i, value] : stored)
    all.insert(i);
  return all;
}

void Recorder::storeOnlyWhen(Value condition, const std::vector<TensorDecl> &tensors) {
  auto now = std::exchange(stored, {});
  for (auto [i, value] : now) {
    Value before = tensor(i, tensors[i]);
    if (before == value)
      continue;
    const TensorType type = values[value].type;
    Value holds = broadcast(condition, type.shape);
    stored[i] = add(Op::Select, {holds, value, before}, type);
  }
}

void Recorder::storeOnly(const std::set<int> &tensors) {
  std::erase_if(stored, [&](auto &entry) { return !tensors.count(entry.first); });
}

Value Recorder::seed() {
  if (seedValue < 0)
    seedValue = argument({"seed", Role::Seed, -1, {Elem::I64, {}, 0}, {}});
  return seedValue;
}
Value Recorder::step() {
  if (stepValue < 0)
    stepValue = argument({"step", Role::Step, -1, {Elem::F32, {}, 0}, {}});
  return stepValue;
}
Value Recorder::steps() {
  if (stepsValue < 0)
    stepsValue = argument({"steps", Role::Steps, -1, {Elem::F32, {}, 0}, {}});
  return stepsValue;
}

static void appendNumber(std::string &out, int64_t n) { out += std::to_string(n) + ","; }

static std::string keyOf(Op op, const std::vector<Value> &operands, const TensorType &type,
                         const std::map<std::string, Attr> &attrs) {
  std::string key;
  key.reserve(96);
  appendNumber(key, int64_t(op));
  for (Value v : operands)
    appendNumber(key, v);
  key += bigm::name(type.elem);
  for (const Dim &d : type.shape)
    key += "|" + d.str();
  if (type.classes != Dim(0))
    key += "#" + type.classes.str();
  for (auto &[name, attr] : attrs) {
    key += ";" + name + "=";
    if (auto *i = std::get_if<int64_t>(&attr))
      appendNumber(key, *i);
    else if (auto *d = std::get_if<double>(&attr))
      key.append(reinterpret_cast<const char *>(d), sizeof *d);
    else if (auto *s = std::get_if<std::string>(&attr))
      key += *s;
    else if (auto *v = std::get_if<std::vector<int64_t>>(&attr))
      for (int64_t n : *v)
        appendNumber(key, n);
    else if (auto *dims = std::get_if<std::vector<Dim>>(&attr))
      for (const Dim &n : *dims)
        key += n.str() + ",";
    else
      for (const AffineIndex &a : std::get<AffineIndices>(attr)) {
        for (auto [dim, c] : a.terms) {
          appendNumber(key, dim);
          appendNumber(key, c);
        }
        key += "+";
        appendNumber(key, a.offset);
      }
  }
  return key;
}

SourceRange Recorder::caller() const {
  auto library = [&](SourceRange range) { return sources->name(range.file).rfind("std.", 0) == 0; };
  if (!calls || !sources || !where.valid() || !library(where))
    return {};
  for (auto call = calls->rbegin(); call != calls->rend(); ++call)
    if (call->first.valid() && !library(call->first))
      return call->first;
  return {};
}

Value Recorder::add(Op op, std::vector<Value> operands, TensorType type, std::map<std::string, Attr> attrs) {
  std::string key = keyOf(op, operands, type, attrs);
  auto found = known.find(key);
  if (found != known.end())
    return found->second;
  Node n{op, std::move(operands), std::move(attrs), Value(values.size()), 1, where, scope, caller(), space};
  Entry e;
  e.node = fn.nodes.size();
  e.type = std::move(type);
  fn.nodes.push_back(std::move(n));
  values.push_back(std::move(e));
  return known[key] = values.size() - 1;
}

static bool endsGradients(Op op) {
  switch (op) {
  case Op::Sign: case Op::Floor: case Op::Ceil: case Op::Round: case Op::Not: case Op::BitAnd: case Op::BitOr: case Op::BitXor:
  case Op::ShiftLeft: case Op::ShiftRight: case Op::And: case Op::Or:
  case Op::Eq: case Op::Ne: case Op::Lt: case Op::Le: case Op::Gt: case Op::Ge:
  case Op::ArgMax: case Op::ArgMin: case Op::Iota: case Op::Random: case Op::Constant: case Op::StopGradient:
    return true;
  default:
    return false;
  }
}

namespace {
/// The operation without a gradient on a path from what is `active` to what is `needed`, if there is one. Both grow.
const Node *blocking(const std::vector<Node> &nodes, std::vector<bool> &needed, std::vector<bool> &active,
                     const std::function<const TensorType &(Value)> &typeOf) {
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node &n = nodes[i];
    bool live = false;
    for (unsigned r = 0; r < n.results; ++r)
      live |= needed[n.first + r];
    if (live && !endsGradients(n.op))
      for (Value v : n.operands)
        needed[v] = true;
  }
  for (const Node &n : nodes) {
    bool any = false, allowed = true, symbolic = false, live = false;
    for (Value v : n.operands) {
      any |= active[v];
      // The gradient of a concatenation is a view of each part, at a place that must be a number.
      if (n.op == Op::Concat) {
        allowed &= !(active[v] && symbolic);
        symbolic |= !typeOf(v).shape[size_t(std::get<int64_t>(n.attrs.at("dim")))].constant();
      }
    }
    for (unsigned r = 0; r < n.results; ++r)
      live |= needed[n.first + r];
    if (!any || endsGradients(n.op) || !live)
      continue;
    if (!allowed)
      return &n;
    if (n.body) { // what is active may come back to each state
      std::vector<bool> inside(n.body->types.size()), wanted(n.body->types.size());
      for (size_t i = 0; i < n.operands.size(); ++i)
        inside[i] = active[n.operands[i]] || i < size_t(std::get<int64_t>(n.attrs.at("starts")));
      for (const Output &o : n.body->outputs)
        wanted[o.value] = true;
      if (auto *found = blocking(n.body->nodes, wanted, inside, [&](Value v) -> const TensorType & { return n.body->types[v]; }))
        return found;
    }
    for (unsigned r = 0; r < n.results; ++r)
      active[n.first + r] = typeOf(n.first + r).elem != Elem::I32 && typeOf(n.first + r).elem != Elem::Bool;
  }
  return nullptr;
}
} // namespace

const Node *Recorder::withoutGradient(Value of, const std::vector<Value> &by) const {
  std::vector<bool> needed(values.size()), active(values.size());
  needed[of] = true;
  for (Value v : by)
    active[v] = true;
  return blocking(fn.nodes, needed, active, [&](Value v) -> const TensorType & { return values[v].type; });
}

std::vector<Value> Recorder::gradient(Value of, const std::vector<Value> &by) {
  Node n{Op::Gradient, {of}, {}, Value(values.size()), unsigned(by.size()), where, scope, caller()};
  n.operands.insert(n.operands.end(), by.begin(), by.end());
  std::vector<Value> results;
  for (unsigned i = 0; i < by.size(); ++i) {
    Entry e;
    e.node = fn.nodes.size();
    e.result = i;
    e.type = values[by[i]].type;
    values.push_back(e);
    results.push_back(values.size() - 1);
  }
  fn.nodes.push_back(std::move(n));
  return results;
}

Value Recorder::constant(double value, const TensorType &type) {
  TensorType t = type;
  t.classes = 0;
  return add(Op::Constant, {}, t, {{"number", value}});
}

Value Recorder::cast(Value v, Elem elem) {
  TensorType t = values[v].type;
  if (t.elem == elem)
    return v;
  t.elem = elem;
  t.classes = 0;
  return add(Op::Cast, {v}, t);
}

Value Recorder::reshape(Value v, std::vector<Dim> shape) {
  TensorType t = values[v].type;
  if (t.shape == shape)
    return v;
  // Of a chain only the last matters.
  if (values[v].node >= 0 && fn.nodes[values[v].node].op == Op::Reshape)
    return reshape(fn.nodes[values[v].node].operands[0], std::move(shape));
  t.shape = std::move(shape);
  return add(Op::Reshape, {v}, t);
}

Value Recorder::view(Value v, std::vector<Dim> shape, AffineIndices map) {
  TensorType t = values[v].type;
  if (t.shape == shape && isIdentity(map, shape.size()))
    return v;
  if (values[v].node >= 0) {
    const Node &made = fn.nodes[values[v].node];
    if (made.op == Op::Constant) {
      t.shape = shape;
      return add(Op::Constant, {}, t, made.attrs);
    }
    if (made.op == Op::View) {
      AffineIndices through;
      for (const AffineIndex &inner : std::get<AffineIndices>(made.attrs.at("map"))) {
        std::map<uint32_t, int64_t> terms;
        AffineIndex out;
        out.offset = inner.offset;
        for (auto [dim, c] : inner.terms) {
          out.offset += c * map[dim].offset;
          for (auto [d, k] : map[dim].terms)
            terms[d] += c * k;
        }
        for (auto [d, k] : terms)
          if (k)
            out.terms.push_back({d, k});
        through.push_back(std::move(out));
      }
      return view(made.operands[0], std::move(shape), std::move(through));
    }
  }
  t.shape = std::move(shape);
  return add(Op::View, {v}, t, {{"map", std::move(map)}});
}

Value Recorder::broadcast(Value v, const std::vector<Dim> &shape) {
  const std::vector<Dim> from = values[v].type.shape;
  if (from == shape)
    return v;
  size_t lead = shape.size() - from.size();
  AffineIndices map;
  for (size_t i = 0; i < from.size(); ++i)
    map.push_back(from[i] == shape[lead + i] ? index(lead + i) : index(0, 0));
  return view(v, shape, std::move(map));
}

Value Recorder::reduce(Op op, Value v, std::vector<int64_t> dims) {
  if (dims.empty())
    return v;
  std::sort(dims.begin(), dims.end());
  TensorType t = values[v].type;
  std::vector<Dim> kept;
  for (size_t i = 0; i < t.shape.size(); ++i)
    if (!std::binary_search(dims.begin(), dims.end(), int64_t(i)))
      kept.push_back(t.shape[i]);
  t.shape = std::move(kept);
  t.classes = 0;
  return add(op, {v}, t, {{"dims", std::move(dims)}});
}

Value Recorder::random(std::vector<Dim> shape) {
  return add(Op::Random, {seed()}, {Elem::F32, std::move(shape), 0}, {{"stream", streams++}});
}

Value Recorder::dimension(const Dim &dim, Elem elem) {
  if (auto c = dim.constant())
    return constant(double(*c), {elem, {}, 0});
  // One symbolic product is counted by summing ones over it; a sum of products is a sum of such counts.
  Value sum = 0;
  bool first = true;
  for (auto &[atoms, coefficient] : dim.normalForm()) {
    Value term;
    if (atoms.empty()) {
      term = constant(double(coefficient), {elem, {}, 0});
    } else {
      std::vector<Dim> shape;
      std::vector<int64_t> all;
      for (const Dim::Atom &atom : atoms) {
        all.push_back(shape.size());
        shape.push_back(atom.num ? atom.num->floorDiv(atom.den) : Dim::symbol(atom.symbol));
      }
      term = reduce(Op::ReduceSum, constant(double(coefficient), {elem, shape, 0}), all);
    }
    sum = first ? term : add(Op::Add, {sum, term}, {elem, {}, 0});
    first = false;
  }
  return sum;
}

Value Recorder::lookUp(Value v, size_t dim, const Dim &start, const Dim &count, int64_t step) {
  const TensorType whole = values[v].type, line{Elem::I32, {count}, 0};
  Value at = view(dimension(start, Elem::I32), {count}, {});
  Value places = add(Op::Iota, {}, line, {{"dim", int64_t(0)}});
  if (step != 1)
    places = add(Op::Mul, {places, constant(double(step), line)}, line);
  places = add(Op::Add, {places, at}, line);
  // Rows are what is looked up.
  const size_t rank = whole.shape.size();
  std::vector<Dim> rows = whole.shape, result = whole.shape;
  AffineIndices toFront, back;
  for (size_t i = 0; i < rank; ++i) {
    toFront.push_back(index(i == dim ? 0 : i < dim ? i + 1 : i));
    back.push_back(index(i == 0 ? dim : i <= dim ? i - 1 : i));
  }
  std::rotate(rows.begin(), rows.begin() + int64_t(dim), rows.begin() + int64_t(dim) + 1);
  Value moved = view(v, rows, std::move(toFront));
  rows[0] = result[dim] = count;
  TensorType type = whole;
  type.shape = rows;
  const Dim last = start + Dim(step) * (count - Dim(1));
  std::vector<Dim> inside = {step < 0 ? last : start, whole.shape[dim] - Dim(1) - (step < 0 ? start : last)};
  return view(add(Op::Gather, {moved, places}, type, {{"inside", inside}}), result, std::move(back));
}

Function Recorder::finish(const std::vector<TensorDecl> &tensors, bool keepInputs) {
  for (auto &[i, value] : stored) {
    auto before = loaded.find(i);
    if (before == loaded.end() || before->second != value)
      outputs.push_back({tensors[i].name, value, i});
  }
  // What outputs need, from the back.
  std::vector<bool> liveNode(fn.nodes.size()), liveArg(fn.args.size());
  auto touch = [&](Value v) {
    if (values[v].node >= 0)
      liveNode[values[v].node] = true;
    else
      liveArg[values[v].arg] = true;
  };
  for (const Output &o : outputs)
    touch(o.value);
  for (size_t i = fn.nodes.size(); i-- > 0;)
    if (liveNode[i])
      for (Value v : fn.nodes[i].operands)
        touch(v);

  // A size is read from the shapes of inputs, so one of it stays where only the size is used: how many rows are drawn.
  std::vector<std::string> used, told;
  for (size_t i = 0; i < fn.nodes.size(); ++i)
    if (liveNode[i]) {
      for (unsigned r = 0; r < fn.nodes[i].results; ++r)
        symbolsOf(values[fn.nodes[i].first + r].type, used);
      symbolsOf(fn.nodes[i], used);
    }
  for (size_t i = 0; i < fn.args.size(); ++i)
    if (liveArg[i] && fn.args[i].role == Role::Input)
      symbolsOf(fn.args[i].type, told);
  for (size_t i : argumentsForSizes(used, told, fn.args.size(), [&](size_t i) {
         return fn.args[i].role == Role::Input ? &fn.args[i].type : nullptr;
       }))
    liveArg[i] = true;

  // Arguments: inputs as declared, persistent tensors as created, then seed, step, steps.
  std::vector<int> order;
  for (size_t i = 0; i < fn.args.size(); ++i)
    if (liveArg[i] || (keepInputs && fn.args[i].role == Role::Input))
      order.push_back(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    auto rank = [&](int i) { return std::make_tuple(int(fn.args[i].role), fn.args[i].tensor, i); };
    return rank(a) < rank(b);
  });
  Function out;
  out.name = fn.name;
  std::vector<Value> argValue(fn.args.size()), nodeValue(fn.nodes.size());
  for (int i : order) {
    argValue[i] = out.types.size();
    out.types.push_back(fn.args[i].type);
    out.args.push_back(fn.args[i]);
  }
  auto renumber = [&](Value v) {
    const Entry &e = values[v];
    return e.node >= 0 ? nodeValue[e.node] + e.result : argValue[e.arg];
  };
  for (size_t i = 0; i < fn.nodes.size(); ++i) {
    if (!liveNode[i])
      continue;
    Node n = fn.nodes[i];
    for (Value &v : n.operands)
      v = renumber(v);
    Value provisional = n.first;
    n.first = nodeValue[i] = out.types.size();
    for (unsigned r = 0; r < n.results; ++r)
      out.types.push_back(values[provisional + r].type);
    out.nodes.push_back(std::move(n));
  }
  for (Output o : outputs) {
    o.value = renumber(o.value);
    out.outputs.push_back(std::move(o));
  }
  out.symbols = symbolsOf(out);
  return out;
}

} // namespace bigm::sema
