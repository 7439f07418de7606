// Branches, loops, sequences. What is known when the program is checked decides there: a branch is chosen, a loop unrolled, and
// a sequence is a list of values. A loop of as many rounds as an open size says, or that the run may end, is a recurrence.
#include "Onnx.h"
#include <algorithm>

namespace bigm::sema::onnx_import {
namespace {

const onnx::Graph &graph(NodeCall &c, const char *name) {
  auto *a = c.attribute(name);
  if (!a || !a->graph)
    refuse(std::string("`") + name + "` is missing");
  return *a->graph;
}
bool isKnown(const Val &v) { return v.known && (*v.known)[0].whole.isConstant(); }
/// Known, and true.
bool surely(const Val &v) { return isKnown(v) && (*v.known)[0].whole != Dim(0); }
bool truth(NodeCall &c, const Val &v, const char *what) { return c.t.oneInt(v, what) != 0; }

Vals branch(NodeCall &c) {
  const Val &condition = c.x();
  if (product(condition.shape) != Dim(1))
    refuse("a condition " + typeText(condition));
  if (isKnown(condition))
    return c.evaluation.run(graph(c, truth(c, condition, "the condition") ? "then_branch" : "else_branch"), {});
  // Both, where they give tensors of one shape: the run chooses.
  size_t problems = c.evaluation.problems.size();
  Vals yes = c.evaluation.run(graph(c, "then_branch"), {}), no = c.evaluation.run(graph(c, "else_branch"), {}), out;
  if (c.evaluation.problems.size() > problems)
    return {}; // named where it arose
  for (size_t i = 0; i < yes.size() && i < no.size(); ++i) {
    if (!yes[i].some() || !no[i].some() || yes[i].sequence || no[i].sequence || yes[i].type != no[i].type ||
        yes[i].shape != no[i].shape)
      throw Refusal{
          "the run decides which branch is taken, and they give " + typeText(yes[i]) + " and " + typeText(no[i]), true};
    out.push_back(c.t.select(c.t.reshape(condition, {}), yes[i], no[i]));
  }
  return out;
}

Val stacked(NodeCall &c, const Vals &rows, size_t axis) {
  Vals parts;
  for (const Val &row : rows)
    parts.push_back(c.t.unsqueeze(row, {int64_t(axis)}));
  return c.t.concat(parts, axis);
}

/// As many rounds as some size says: one operation. Where the run decides that it stops earlier, it goes on, and what is
/// carried stays as it is.
Vals openLoop(NodeCall &c, const onnx::Graph &body, const Dim &trips, const Vals &starts) {
  Tensors &t = c.t;
  Vals carried = starts;
  carried.push_back(c.has(1) ? t.reshape(c.in[1], {}) : t.scalar(1, Type::Bool)); // whether it still goes
  const bool always = surely(carried.back());
  const size_t n = starts.size();
  Vals results = t.scan(carried, {t.iota({trips}, 0, Type::I64)}, trips, false, [&](const Vals &states, const Vals &rows) {
    Vals in = {rows[0], always ? t.scalar(1, Type::Bool) : states[n]};
    in.insert(in.end(), states.begin(), states.begin() + int64_t(n));
    Vals out = c.evaluation.run(body, in);
    if (std::any_of(out.begin(), out.end(), [](const Val &v) { return !v.some(); }))
      return Vals{Val()};
    const bool stays = always && surely(out[0]);
    if (!stays && out.size() > n + 1)
      refuse("a loop that the run may end, and that collects something");
    Vals next(out.begin() + 1, out.end());
    for (size_t k = 0; k < n && !stays; ++k)
      next[k] = t.select(states[n], next[k], states[k]);
    next.insert(next.begin() + int64_t(n), stays ? states[n] : t.pointwise(Op::And, {states[n], t.reshape(out[0], {})}));
    return next;
  });
  if (!results.empty())
    results.erase(results.begin() + int64_t(n));
  return results;
}

/// More than these bound nothing: exporters write the largest number where they know none.
constexpr int64_t kMostRounds = int64_t(1) << 24;

[[noreturn]] Vals unbounded() {
  refuse("the run decides how many rounds there are, and nothing bounds them: give the loop a largest number of rounds");
}

Vals loop(NodeCall &c) {
  const onnx::Graph &body = graph(c, "body");
  int64_t trips = INT64_MAX;
  const size_t carried = c.in.size() < 2 ? 0 : c.in.size() - 2;
  if (body.inputs.size() != carried + 2 || body.outputs.size() < carried + 1)
    refuse("a body of other inputs or outputs than the loop carries");
  const Vals starts(c.in.begin() + int64_t(std::min<size_t>(2, c.in.size())), c.in.end());
  if (c.has(0)) {
    Dim rounds = c.t.oneDim(c.in[0], "the number of rounds");
    if (!rounds.isConstant() || (c.has(1) && !isKnown(c.in[1]) && *rounds.constant() <= kMostRounds))
      return openLoop(c, body, rounds, starts);
    trips = *rounds.constant();
  }
  if (c.has(1) && !isKnown(c.in[1]))
    unbounded();
  bool goes = !c.has(1) || truth(c, c.in[1], "the condition of the loop");
  Vals state = starts;
  std::vector<Vals> rows(body.outputs.size() - 1 - carried);
  for (int64_t i = 0; i < trips && goes; ++i) {
    c.evaluation.spend();
    Vals in = {c.t.scalar(double(i), Type::I64), c.t.scalar(1, Type::Bool)};
    in.insert(in.end(), state.begin(), state.end());
    Vals out = c.evaluation.run(body, in);
    for (const Val &v : out)
      if (!v.some())
        return {}; // named where it arose
    if (i + 1 < trips && !isKnown(out[0])) // from here on the run decides
      return trips > kMostRounds ? unbounded() : openLoop(c, body, trips, starts);
    goes = i + 1 < trips && truth(c, out[0], "the condition of the loop");
    for (size_t k = 0; k < carried; ++k)
      state[k] = out[1 + k];
    for (size_t k = 0; k < rows.size(); ++k)
      rows[k].push_back(out[1 + carried + k]);
  }
  Vals result = state;
  for (auto &list : rows) {
    if (list.empty())
      refuse("a loop without a round that collects something");
    result.push_back(stacked(c, list, 0));
  }
  return result;
}

struct ScanAxes {
  size_t carried;
  Dim rounds;
  const std::vector<int64_t> &backwards, &axes, &outBackwards, &outAxes;
};
/// Over a size that is not known: one operation.
Vals openScan(NodeCall &c, const onnx::Graph &body, const Vals &in, const ScanAxes &how) {
  Tensors &t = c.t;
  Vals through;
  for (size_t k = how.carried; k < in.size(); ++k) {
    size_t i = k - how.carried, axis = size_t(axisOf(how.axes[i], in[k].rank()));
    if (in[k].shape[axis] != how.rounds)
      refuse("operands of different lengths", in[k].shape[axis], how.rounds);
    std::vector<int64_t> order = {int64_t(axis)};
    for (size_t d = 0; d < in[k].rank(); ++d)
      if (d != axis)
        order.push_back(int64_t(d));
    Val rows = t.transpose(in[k], order);
    through.push_back(how.backwards[i] == how.backwards[0] ? rows : t.flip(rows, 0));
  }
  Vals results = t.scan(Vals(in.begin(), in.begin() + int64_t(how.carried)), through, how.rounds, how.backwards[0] != 0,
                        [&](const Vals &states, const Vals &rows) {
                          Vals all = states;
                          all.insert(all.end(), rows.begin(), rows.end());
                          return c.evaluation.run(body, all);
                        });
  for (size_t k = how.carried; k < results.size(); ++k) {
    size_t i = k - how.carried, axis = size_t(axisOf(how.outAxes[i], results[k].rank()));
    // Rows stay where those are that they were made of.
    if (how.outBackwards[i] != how.backwards[0])
      results[k] = t.flip(results[k], 0);
    std::vector<int64_t> order;
    for (size_t d = 1; d < results[k].rank(); ++d)
      order.push_back(int64_t(d));
    order.insert(order.begin() + int64_t(axis), 0);
    results[k] = t.transpose(results[k], order);
  }
  return results;
}

Vals scan(NodeCall &c) {
  const onnx::Graph &body = graph(c, "body");
  size_t scanned = size_t(c.integer("num_scan_inputs", 0));
  bool batched = c.version == 8; // has lengths and a batch dimension
  if (c.in.empty())
    refuse("no operands");
  Vals given(c.in.begin() + batched, c.in.end());
  if (batched && c.has(0))
    refuse("`sequence_lens`");
  if (scanned > given.size() || !scanned)
    refuse("`num_scan_inputs` of " + std::to_string(scanned));
  size_t carried = given.size() - scanned;
  if (body.outputs.size() < carried)
    refuse("a body that gives less than is carried");
  auto backwards = c.integers("scan_input_directions", c.integers("directions", std::vector<int64_t>(scanned, 0)));
  auto axes = c.integers("scan_input_axes", std::vector<int64_t>(scanned, 0));
  size_t collected = body.outputs.size() - std::min(carried, body.outputs.size());
  auto outBackwards = c.integers("scan_output_directions", std::vector<int64_t>(collected, 0));
  auto outAxes = c.integers("scan_output_axes", std::vector<int64_t>(collected, 0));
  if (backwards.size() != scanned || axes.size() != scanned || outBackwards.size() != collected ||
      outAxes.size() != collected)
    refuse("directions or axes of another length");
  // One batch after the other in version 8.
  auto run = [&](const Vals &in) {
    Vals state(in.begin(), in.begin() + int64_t(carried));
    std::vector<Vals> rows(collected);
    const Dim rounds = in[carried].shape[size_t(axisOf(axes[0], in[carried].rank()))];
    if (!rounds.isConstant())
      return openScan(c, body, in, {carried, rounds, backwards, axes, outBackwards, outAxes});
    const int64_t length = *rounds.constant();
    for (int64_t i = 0; i < length; ++i) {
      c.evaluation.spend();
      Vals now = state;
      for (size_t k = 0; k < scanned; ++k) {
        size_t axis = size_t(axisOf(axes[k], in[carried + k].rank()));
        if (in[carried + k].shape[axis] != Dim(length))
          refuse("operands of different lengths");
        Val row = c.t.slice(in[carried + k], axis, backwards[k] ? length - 1 - i : i, 1);
        now.push_back(c.t.squeeze(row, {int64_t(axis)}));
      }
      Vals out = c.evaluation.run(body, now);
      for (const Val &v : out)
        if (!v.some())
          return Vals();
      for (size_t k = 0; k < carried; ++k)
        state[k] = out[k];
      for (size_t k = 0; k < collected; ++k)
        rows[k].insert(outBackwards[k] ? rows[k].begin() : rows[k].end(), out[carried + k]);
    }
    for (size_t k = 0; k < collected; ++k) {
      if (rows[k].empty())
        refuse("no round that collects something");
      state.push_back(stacked(c, rows[k], size_t(axisOf(outAxes[k], rows[k][0].rank() + 1))));
    }
    return state;
  };
  if (!batched)
    return run(given);
  std::vector<Vals> results;
  int64_t batches = c.t.number(given[0].shape[0], "the size of the batch");
  for (int64_t b = 0; b < batches; ++b) {
    Vals one;
    for (const Val &v : given)
      one.push_back(c.t.squeeze(c.t.slice(v, 0, b, 1), {0}));
    results.push_back(run(one));
  }
  Vals out;
  for (size_t k = 0; k < results.at(0).size(); ++k) {
    Vals rows;
    for (auto &r : results)
      rows.push_back(r.at(k));
    out.push_back(stacked(c, rows, 0));
  }
  return out;
}

// ---------------------------------------------------------------- sequences and optional values

Val list(Vals items) {
  Val out;
  out.sequence = std::make_shared<const Vals>(std::move(items));
  return out;
}
const Vals &items(NodeCall &c, size_t i = 0) {
  if (!c.x(i).sequence)
    refuse("a tensor where a sequence is needed");
  return *c.in[i].sequence;
}
size_t place(NodeCall &c, size_t operand, size_t size, bool end) {
  int64_t i = c.t.oneInt(c.x(operand), "`position`"), from = i < 0 ? i + int64_t(size) : i;
  if (from < 0 || from >= int64_t(size) + end)
    refuse("place " + std::to_string(i) + " of a sequence of " + std::to_string(size));
  return size_t(from);
}

Vals sequenceConstruct(NodeCall &c) { return {list(c.in)}; }
Vals sequenceEmpty(NodeCall &) { return {list({})}; }
Vals sequenceAt(NodeCall &c) { return {items(c)[place(c, 1, items(c).size(), false)]}; }
Vals sequenceLength(NodeCall &c) { return {c.t.scalar(double(items(c).size()), Type::I64)}; }
Vals sequenceInsert(NodeCall &c) {
  Vals all = items(c);
  all.insert(all.begin() + int64_t(c.has(2) ? place(c, 2, all.size(), true) : all.size()), c.x(1));
  return {list(all)};
}
Vals sequenceErase(NodeCall &c) {
  Vals all = items(c);
  if (all.empty())
    refuse("nothing to erase");
  all.erase(all.begin() + int64_t(c.has(1) ? place(c, 1, all.size(), false) : all.size() - 1));
  return {list(all)};
}
Vals concatFromSequence(NodeCall &c) {
  const Vals &all = items(c);
  if (all.empty())
    refuse("an empty sequence");
  bool fresh = c.integer("new_axis", 0);
  size_t axis = size_t(axisOf(c.integer("axis", 0), all[0].rank() + fresh));
  return {fresh ? stacked(c, all, axis) : c.t.concat(all, axis)};
}
Vals splitToSequence(NodeCall &c) {
  const Val &x = c.x();
  size_t axis = size_t(axisOf(c.integer("axis", 0), x.rank()));
  int64_t n = c.t.number(x.shape[axis], "the size of what is split");
  std::vector<int64_t> sizes;
  bool keep = true;
  if (!c.has(1)) {
    sizes.assign(size_t(n), 1);
    keep = c.integer("keepdims", 1);
  } else if (c.in[1].rank() == 0) {
    int64_t each = c.t.oneInt(c.in[1], "`split`");
    if (each < 1)
      refuse("parts of " + std::to_string(each));
    for (int64_t at = 0; at < n; at += each)
      sizes.push_back(std::min(each, n - at));
  } else {
    sizes = c.t.ints(c.in[1], "`split`");
  }
  Vals parts;
  int64_t at = 0;
  for (int64_t size : sizes) {
    if (size < 1 || size > n - at)
      refuse("parts that are not those of " + std::to_string(n));
    Val part = c.t.slice(x, axis, at, size);
    parts.push_back(keep ? part : c.t.squeeze(part, {int64_t(axis)}));
    at += size;
  }
  return {list(parts)};
}
Vals optional(NodeCall &c) { return {c.has(0) ? c.in[0] : Val()}; }
Vals optionalHas(NodeCall &c) { return {c.t.scalar(c.has(0), Type::Bool)}; }
Vals optionalGet(NodeCall &c) { return {c.x()}; }

Vals sequenceMap(NodeCall &c) {
  const onnx::Graph &body = graph(c, "body");
  size_t n = items(c).size();
  std::vector<Vals> results(body.outputs.size());
  for (size_t i = 0; i < n; ++i) {
    Vals in;
    for (const Val &v : c.in) {
      if (v.sequence && v.sequence->size() != n)
        refuse("sequences of different lengths");
      in.push_back(v.sequence ? (*v.sequence)[i] : v);
    }
    Vals out = c.evaluation.run(body, in);
    for (size_t k = 0; k < results.size(); ++k)
      results[k].push_back(out.at(k));
  }
  Vals out;
  for (auto &r : results)
    out.push_back(list(r));
  return out;
}

} // namespace

void addControl(Table &t) {
  const Table mine = {
      {"If", branch}, {"Loop", loop}, {"Scan", scan}, {"SequenceConstruct", sequenceConstruct},
      {"SequenceEmpty", sequenceEmpty}, {"SequenceAt", sequenceAt}, {"SequenceLength", sequenceLength},
      {"SequenceInsert", sequenceInsert}, {"SequenceErase", sequenceErase}, {"ConcatFromSequence", concatFromSequence},
      {"SplitToSequence", splitToSequence}, {"Optional", optional},
      {"OptionalHasElement", optionalHas}, {"OptionalGetElement", optionalGet}, {"SequenceMap", sequenceMap},
  };
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
