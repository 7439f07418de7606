// LSTM, GRU and RNN as the layers of `std.sequence`, which have PyTorch's order of gates and the batch first.
//
// ONNX has the steps first and one node for both directions. Exporters put transpositions and reshapes around it; those that do
// nothing but turn its results are written as no step at all.
#include "frontend/import/Writer.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace bigm::writing {
namespace {

struct Kind {
  const char *model;
  std::vector<int> gates; // which of the file's is PyTorch's first, second, ...
  bool cell;
};
const std::map<std::string, Kind> kinds = {
    {"LSTM", {"LSTM", {0, 2, 3, 1}, true}}, {"GRU", {"GRU", {1, 0, 2}, false}}, {"RNN", {"RNN", {0}, false}}};

std::vector<float> elements(const Val &v) {
  std::vector<float> out;
  if (v.type != onnx::Type::F32 || (!v.known && !v.file) || v.value)
    throw Unwritable{"weights that are no f32 tensor of the file"};
  if (v.known) {
    for (const Number &n : *v.known)
      out.push_back(float(n.real));
    return out;
  }
  std::string_view bytes = v.file->bytes.view;
  out.resize(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

/// Rows of one direction, `count` a gate and `width` long, the gates in the model's order; `block` is which of several such
/// tensors one row of the file holds.
Weight gated(const std::vector<float> &all, const std::vector<int> &gates, size_t start, int64_t count, int64_t width, bool vector) {
  Weight w{"", Elem::F32, {int64_t(gates.size()) * count}, nullptr, false, {}};
  if (!vector)
    w.shape.push_back(width);
  for (int gate : gates) {
    size_t from = start + size_t(gate) * size_t(count * width), size = size_t(count * width);
    if (from + size > all.size())
      throw Unwritable{"weights of another size than its own"};
    w.own.append(reinterpret_cast<const char *>(all.data() + from), size * sizeof(float));
  }
  return w;
}

bool swapsFirst(const std::vector<int64_t> &order) { return order == std::vector<int64_t>{1, 0, 2}; }

} // namespace

bool Body::isZero(const Val &v) const {
  if (auto number = splat(v))
    return number->text == "0";
  if (!v.value)
    return false;
  const Node *node = f.rec->maker(*v.value);
  while (node && (node->op == Op::View || node->op == Op::Reshape))
    node = f.rec->maker(node->operands[0]);
  return node && node->op == Op::Constant && std::get<double>(node->attrs.at("number")) == 0;
}

/// A value [T, N, D] as [N, T, D].
std::string Body::batchFirst(const std::string &given) {
  const std::string &name = f.resolve(given);
  if (auto found = turned.find(name); found != turned.end())
    return found->second;
  auto made = f.maker.find(name);
  if (made != f.maker.end())
    if (const Seen &maker = f.nodes[made->second]; maker.node->op == "Transpose" && swapsFirst(integers(maker, "perm")))
      return use(in(maker, 0), Or).text;
  return fmt::format("transpose({}, [1, 0, 2])", use(name, Or).text);
}

void Body::recurrent(const Seen &seen) {
  const Kind &kind = kinds.at(seen.node->op);
  const Val &x = seen.in[0];
  std::string direction = word(seen, "direction", "forward");
  size_t directions = direction == "bidirectional" ? 2 : 1;
  if (integer(seen, "layout", 0) || attribute(seen, "clip") || integer(seen, "input_forget", 0) || has(seen, 7))
    throw Unwritable{"a layout, bounds, coupled gates or peepholes of its own"};
  if (auto *given = attribute(seen, "activations")) {
    static const std::map<std::string, std::vector<std::string>> usual = {
        {"LSTM", {"Sigmoid", "Tanh", "Tanh"}}, {"GRU", {"Sigmoid", "Tanh"}}, {"RNN", {"Tanh"}}};
    const auto &own = usual.at(seen.node->op);
    for (size_t i = 0; i < given->texts.size(); ++i)
      if (given->texts[i] != own[i % own.size()])
        throw Unwritable{"other activations than usual"};
  }
  if (seen.node->op == "GRU" && !integer(seen, "linear_before_reset", 0))
    throw Unwritable{"the reset before the product"};
  const std::vector<Dim> &shape = seen.in[1].shape;
  auto rows = shape.size() == 3 ? shape[1].constant() : std::nullopt, width = shape.size() == 3 ? shape[2].constant() : std::nullopt;
  if (!rows || !width)
    throw Unwritable{"weights whose size is not known"};
  int64_t gates = int64_t(kind.gates.size()), units = *rows / gates;
  std::vector<float> w = elements(seen.in[1]), r = elements(seen.in[2]), b;
  if (has(seen, 3))
    b = elements(seen.in[3]);

  std::string input = batchFirst(in(seen, 0)), mask = "none";
  if (input.size() > 44 || (directions == 2 && input.find('(') != std::string::npos))
    input = statement(seen, input);
  Dim steps = x.shape[0], batch = x.shape[1];
  if (has(seen, 4) && !(splat(seen.in[4]) && Dim((*seen.in[4].known)[0].whole) == steps))
    mask = statement(seen, fmt::format("reshape(iota({}), [1, {}]) < reshape({}, [{}, 1])", steps.str(), steps.str(),
                                       use(in(seen, 4), Or).text, batch.str()));
  std::vector<std::string> runs;
  for (size_t d = 0; d < directions; ++d) {
    bool reverse = direction == "reverse" || d == 1;
    std::vector<std::pair<std::string, Weight>> its = {
        {"weight_ih", gated(w, kind.gates, d * size_t(*rows * *width), units, *width, false)},
        {"weight_hh", gated(r, kind.gates, d * size_t(*rows * units), units, units, false)}};
    if (!b.empty()) {
      its.push_back({"bias_ih", gated(b, kind.gates, d * size_t(2 * *rows), units, 1, true)});
      its.push_back({"bias_hh", gated(b, kind.gates, d * size_t(2 * *rows) + size_t(*rows), units, 1, true)});
    }
    std::string call = fmt::format("{}({}{}{})", kind.model, units, reverse ? ", reverse: true" : "", b.empty() ? ", bias: false" : "");
    std::string own = instance(seen, in(seen, 1), "layer", call, its), list = input;
    auto start = [&](size_t i) {
      if (!has(seen, i) || isZero(seen.in[i]))
        return std::string("none");
      return fmt::format("{}[{}]", simple(seen, in(seen, i)), d);
    };
    std::vector<std::string> more = {mask, start(5)};
    if (kind.cell)
      more.push_back(start(6));
    while (!more.empty() && more.back() == "none")
      more.pop_back();
    for (const std::string &one : more)
      list += ", " + one;
    runs.push_back(statement(seen, fmt::format("{}({})", own, list)));
  }

  // Last states: [directions, N, units].
  auto last = [&](size_t output, const char *field) {
    if (output >= seen.node->outputs.size() || !f.uses.count(seen.node->outputs[output]))
      return;
    give(seen, output, directions == 2 ? fmt::format("stack([{0}.{2}, {1}.{2}], axis: 0)", runs[0], runs[1], field)
                                       : fmt::format("reshape({}.{}, [1, {}, {}])", runs[0], field, batch.str(), units), Atom);
  };
  last(1, "h");
  if (kind.cell)
    last(2, "c");

  // All steps: [T, directions, N, units], which exporters make [T, N, directions * units] next.
  if (seen.node->outputs.empty() || !f.uses.count(seen.node->outputs[0]))
    return;
  std::string all = directions == 2 ? fmt::format("concat([{}.steps, {}.steps], axis: 2)", runs[0], runs[1]) : runs[0] + ".steps";
  std::vector<Dim> joined = {steps, batch, Dim(int64_t(directions) * units)};
  const Seen *next = onlyReader(seen.node->outputs[0]), *end = next;
  if (next && next->node->op == "Transpose" && integers(*next, "perm") == std::vector<int64_t>{0, 2, 1, 3})
    end = onlyReader(next->node->outputs[0]);
  bool plain = end && end->scope.starts_with(prefix) && end->out[0].shape == joined &&
               (directions == 1 || end != next) && (end->node->op == "Reshape" || end->node->op == "Squeeze");
  if (plain) {
    const std::string &name = end->node->outputs[0];
    done.insert({next->node, end->node});
    turned[name] = directions == 2 ? statement(seen, all) : all;
    return give(*end, 0, fmt::format("transpose({}, [1, 0, 2])", turned[name]), Atom);
  }
  auto first = [&](const std::string &run) { return fmt::format("transpose({}.steps, [1, 0, 2])", run); };
  give(seen, 0, directions == 2 ? fmt::format("stack([{}, {}], axis: 1)", first(runs[0]), first(runs[1]))
                                : fmt::format("reshape({}, {})", first(runs[0]), listOf(seen.out[0].shape)), Atom);
}

} // namespace bigm::writing
