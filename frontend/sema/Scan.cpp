// Recurrence: `scan x in xs over 1 from h = start { ... }`.
//
// A step is evaluated once, on one row of each sequence and on the states, and recorded like everything else; then what
// depends on these is cut out of the function as the body of one operation. What does not is left where it is: a product
// of weights alone, or of values that are the same at every step, is computed once.
#include "Checker.h"
#include <algorithm>
#include <functional>
#include <utility>

namespace bigm::sema {

// ------------------------------------------------------------------------------------------------ recording

Recorder::Step Recorder::beginScan() { return {fn.nodes.size(), {}, {}, known, stored}; }

Value Recorder::stepInput(const TensorType &type) {
  Entry e;
  e.type = type;
  values.push_back(std::move(e));
  return values.size() - 1;
}

std::set<int> Recorder::storedSince(const Step &step) const {
  std::set<int> changed;
  for (auto &[i, value] : stored) {
    auto before = step.stored.find(i);
    if (before == step.stored.end() || before->second != value)
      changed.insert(i);
  }
  return changed;
}

/// A copy inside the body of what costs nothing there: constants, and what only moves elements of another value.
Value Recorder::leaf(Value v, std::map<Value, Value> &inside, Function &body) {
  if (auto found = inside.find(v); found != inside.end())
    return found->second;
  Node n = fn.nodes[values[v].node];
  for (Value &operand : n.operands)
    operand = leaf(operand, inside, body);
  n.first = Value(body.types.size());
  body.types.push_back(values[v].type);
  body.nodes.push_back(n);
  return inside[v] = n.first;
}

std::vector<Value> Recorder::endScan(const Step &step, const std::vector<Value> &starts, const std::vector<Value> &xs,
                                     const std::vector<Value> &states, const std::vector<Value> &given, const Dim &count,
                                     bool reverse) {
  size_t end = fn.nodes.size();
  std::vector<bool> varies(values.size()), live(values.size());
  for (auto *inputs : {&step.states, &step.rows})
    for (Value v : *inputs)
      varies[v] = true;
  for (size_t i = step.firstNode; i < end; ++i) {
    const Node &n = fn.nodes[i];
    if (std::any_of(n.operands.begin(), n.operands.end(), [&](Value v) { return varies[v]; }))
      for (unsigned r = 0; r < n.results; ++r)
        varies[n.first + r] = true;
  }
  std::vector<Value> outputs = states;
  outputs.insert(outputs.end(), given.begin(), given.end());
  for (Value v : outputs)
    live[v] = true;
  std::vector<size_t> nodes; // of the body
  for (size_t i = end; i-- > step.firstNode;) {
    const Node &n = fn.nodes[i];
    bool needed = false;
    for (unsigned r = 0; r < n.results; ++r)
      needed |= live[n.first + r] && varies[n.first + r];
    if (!needed)
      continue;
    nodes.push_back(i);
    for (Value v : n.operands)
      live[v] = true;
  }
  std::reverse(nodes.begin(), nodes.end());

  // What comes from outside, through views, which the body makes itself.
  auto moves = [&](Value v) {
    if (values[v].node < 0)
      return false;
    Op op = fn.nodes[values[v].node].op;
    return op == Op::View || op == Op::Constant || op == Op::Iota;
  };
  std::vector<Value> captures;
  std::function<void(Value)> capture = [&](Value v) {
    if (varies[v])
      return;
    if (moves(v))
      for (Value operand : fn.nodes[values[v].node].operands)
        capture(operand);
    else if (std::find(captures.begin(), captures.end(), v) == captures.end())
      captures.push_back(v);
  };
  for (size_t i : nodes)
    for (Value v : fn.nodes[i].operands)
      capture(v);
  for (Value v : outputs)
    capture(v);

  auto body = std::make_shared<Function>();
  body->name = "scan";
  std::map<Value, Value> inside;
  auto argument = [&](const std::string &name, Value v) {
    inside[v] = Value(body->types.size());
    body->types.push_back(values[v].type);
    body->args.push_back({name, Role::Input, -1, values[v].type, where});
  };
  for (size_t i = 0; i < step.states.size(); ++i)
    argument("state." + std::to_string(i), step.states[i]);
  std::vector<Value> rows; // that the step reads
  for (size_t i = 0; i < step.rows.size(); ++i)
    if (live[step.rows[i]]) {
      argument("row." + std::to_string(i), step.rows[i]);
      rows.push_back(xs[i]);
    }
  for (size_t i = 0; i < captures.size(); ++i)
    argument("capture." + std::to_string(i), captures[i]);
  auto renumber = [&](Value v) { return varies[v] ? inside.at(v) : leaf(v, inside, *body); };
  for (size_t i : nodes) {
    Node n = fn.nodes[i];
    for (Value &v : n.operands)
      v = renumber(v);
    Value first = n.first;
    n.first = Value(body->types.size());
    for (unsigned r = 0; r < n.results; ++r) {
      inside[first + r] = Value(body->types.size());
      body->types.push_back(values[first + r].type);
    }
    body->nodes.push_back(std::move(n));
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    body->outputs.push_back({(i < states.size() ? "state." : "given.") + std::to_string(i), renumber(outputs[i]), -1});

  // Nobody outside may find what is computed inside.
  known = step.known;
  Node n{Op::Scan, starts, {}, Value(values.size()), unsigned(outputs.size()), where, scope, caller(), space, body};
  n.operands.insert(n.operands.end(), rows.begin(), rows.end());
  n.operands.insert(n.operands.end(), captures.begin(), captures.end());
  n.attrs = {{"starts", int64_t(starts.size())},
             {"xs", int64_t(rows.size())},
             {"steps", std::vector<Dim>{count}},
             {"reverse", int64_t(reverse)}};
  std::vector<Value> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    Entry e;
    e.node = int(fn.nodes.size());
    e.result = unsigned(i);
    e.type = values[outputs[i]].type;
    e.type.classes = 0;
    if (i >= states.size())
      e.type.shape.insert(e.type.shape.begin(), count);
    values.push_back(std::move(e));
    results.push_back(values.size() - 1);
  }
  fn.nodes.push_back(std::move(n));
  return results;
}

// ------------------------------------------------------------------------------------------------ evaluating

namespace {
/// The map of a view in which dimension `from` of the operand is dimension `to` of the result.
AffineIndices movedDim(size_t rank, size_t from, size_t to) {
  std::vector<uint32_t> order; // of the operand's dimensions, in the result
  for (uint32_t d = 0; d < rank; ++d)
    if (d != from)
      order.push_back(d);
  order.insert(order.begin() + int64_t(to), uint32_t(from));
  AffineIndices map(rank);
  for (size_t d = 0; d < rank; ++d)
    map[order[d]] = index(uint32_t(d));
  return map;
}
std::vector<Dim> movedShape(const std::vector<Dim> &shape, size_t from, size_t to) {
  std::vector<Dim> out = shape;
  out.erase(out.begin() + int64_t(from));
  out.insert(out.begin() + int64_t(to), shape[from]);
  return out;
}
} // namespace

Val Checker::evalScan(const ast::ScanExpr &e, const ScopePtr &scope) {
  if (scope->inFlow())
    return fail(Diag::ScanInFlow, e.range, {}, "put it into a model or a function; a flow applies them");
  bool reverse = false, ok = true;
  int64_t axis = 0;
  if (e.axis) {
    auto n = wholeNumber(eval(*e.axis, scope), e.axis->range, "the axis of `scan`");
    if (!n)
      return {};
    axis = *n;
  }
  if (e.reverse) {
    Val v = eval(*e.reverse, scope);
    if (v.poison())
      return {};
    if (v.is(Val::Kind::Unknown))
      v = Val::of(false);
    if (!v.is(Val::Kind::Bool))
      return fail(Diag::NotACondition, e.reverse->range, {describe(v)});
    reverse = v.boolean;
  }

  // Sequences, steps first, and the states at the start.
  std::vector<Value> xs, starts;
  std::optional<Dim> count;
  size_t place = 0; // of the steps
  for (auto &row : e.rows) {
    Val v = eval(*row.value, scope);
    if (v.is(Val::Kind::Unknown))
      return v;
    ok &= !v.poison();
    if (v.poison())
      continue;
    if (!v.is(Val::Kind::Tensor)) {
      fail(Diag::ScanNeedsTensor, row.value->range, {source(row.value->range), describe(v)});
      ok = false;
      continue;
    }
    int64_t rank = int64_t(v.type.shape.size()), at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank) {
      fail(Diag::AxisOutOfRange, (e.axis ? *e.axis : *row.value).range,
           {"scan", std::to_string(axis), std::to_string(rank)});
      ok = false;
      continue;
    }
    const std::vector<Dim> shape = v.type.shape;
    if (count && *count != shape[size_t(at)]) {
      fail(Diag::ScanLengths, row.value->range, {count->str(), shape[size_t(at)].str()});
      ok = false;
      continue;
    }
    count = shape[size_t(at)];
    place = size_t(at);
    xs.push_back(rec->view(v.tensor, movedShape(shape, size_t(at), 0), movedDim(shape.size(), size_t(at), 0)));
  }
  for (auto &state : e.states) {
    Val v = eval(*state.value, scope);
    if (v.is(Val::Kind::Unknown))
      return v;
    if (state.name.text == "steps") {
      fail(Diag::ScanStepsIsTaken, state.name.range, {}, "give it another name");
      ok = false;
    }
    ok &= !v.poison();
    if (v.poison())
      continue;
    if (!v.is(Val::Kind::Tensor)) {
      fail(Diag::ScanStart, state.value->range, {state.name.text, describe(v)},
           "`full([N, 8], 0)` is a tensor of zeros");
      ok = false;
      continue;
    }
    starts.push_back(v.tensor);
  }
  if (!ok)
    return {};

  // One step.
  auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  inner->module = scope->module;
  auto border = std::make_shared<Scope>(); // nothing outside may be assigned
  border->parent = scope;
  border->module = scope->module;
  border->tensorBranch = true;
  inner->parent = border;
  Recorder::Step step = rec->beginScan();
  struct Drop { // unless the step comes to its end
    Recorder *rec;
    const Recorder::Step &step;
    ~Drop() {
      if (rec)
        rec->dropScan(step);
    }
  } drop{rec, step};
  auto name = [&](const ast::ScanExpr::Part &part, const TensorType &type, std::vector<Value> &into) {
    if (inner->names.count(part.name.text)) {
      fail(Diag::DeclaredTwice, part.name.range, {part.name.text});
      ok = false;
    }
    TensorType plain = type;
    into.push_back(rec->stepInput(plain));
    inner->names[part.name.text] = {tensorVal(into.back()), part.name.range};
  };
  for (size_t i = 0; i < e.rows.size(); ++i) {
    TensorType row = rec->type(xs[i]);
    row.shape.erase(row.shape.begin());
    name(e.rows[i], row, step.rows);
  }
  for (size_t i = 0; i < e.states.size(); ++i)
    name(e.states[i], rec->type(starts[i]), step.states);
  if (!ok)
    return {};
  Val result = evalBlock(*e.body, inner);
  for (int i : rec->storedSince(step)) {
    fail(Diag::ScanStores, e.range, {program->tensors[size_t(i)].name},
         "carry it as a state of `scan`, and assign it behind");
    return {};
  }

  std::vector<Value> states, given;
  std::vector<std::string> names; // of the fields of a record that a step gives
  for (size_t i = 0; i < e.states.size(); ++i) {
    const auto &state = e.states[i];
    const Scope::Binding &binding = inner->names.at(state.name.text);
    const Val &v = binding.value;
    if (v.poison() || v.is(Val::Kind::Unknown))
      return v;
    const TensorType start = rec->type(starts[i]);
    std::optional<Value> now = v.numeric() ? toTensor(v, start.elem, binding.where)
                               : v.is(Val::Kind::Tensor) ? std::optional(v.tensor) : std::nullopt;
    if (now && rec->type(*now).elem == start.elem && rec->type(*now).shape.empty())
      now = rec->broadcast(*now, start.shape);
    if (!now || rec->type(*now).elem != start.elem || rec->type(*now).shape != start.shape) {
      Diagnostic &d = error(Diag::ScanChangesType, binding.where, {state.name.text, start.str(), describe(v)});
      note(d, state.value->range, "starts here");
      return {};
    }
    states.push_back(*now);
  }
  auto give = [&](const Val &v, SourceRange where) {
    if (!v.is(Val::Kind::Tensor)) {
      fail(Diag::ScanResult, where, {describe(v)});
      return false;
    }
    if (v.type.shape.size() < place) {
      fail(Diag::ScanResultAxis, where, {v.type.str(), std::to_string(place)});
      return false;
    }
    given.push_back(v.tensor);
    return true;
  };
  if (result.poison() || result.is(Val::Kind::Unknown))
    return result;
  SourceRange last = e.body->statements.empty() ? e.body->range : e.body->statements.back()->range;
  if (result.is(Val::Kind::Record)) {
    names = result.names;
    for (const Val &item : result.items)
      if (!give(item, last))
        return {};
  } else if (!result.is(Val::Kind::None) && !give(result, last)) {
    return {};
  }

  drop.rec = nullptr;
  std::vector<Value> results = rec->endScan(step, starts, xs, states, given, *count, reverse);
  Val out;
  out.kind = Val::Kind::Record;
  if (!given.empty()) {
    auto stacked = [&](size_t i) {
      const std::vector<Dim> shape = rec->type(results[states.size() + i]).shape;
      return tensorVal(rec->view(results[states.size() + i], movedShape(shape, 0, place), movedDim(shape.size(), 0, place)));
    };
    Val steps;
    if (result.is(Val::Kind::Record)) {
      steps.kind = Val::Kind::Record;
      steps.names = names;
      for (size_t i = 0; i < given.size(); ++i)
        steps.items.push_back(stacked(i));
    } else {
      steps = stacked(0);
    }
    out.names.push_back("steps");
    out.items.push_back(std::move(steps));
  }
  for (size_t i = 0; i < states.size(); ++i) {
    out.names.push_back(e.states[i].name.text);
    out.items.push_back(tensorVal(results[i]));
  }
  return out;
}

} // namespace bigm::sema
