// What has no form of its own: the operations that the importer recorded for a node, one by one.
//
// Every operator is written over a few primitives, and each of them can be said in the language: strides, windows and repeats in
// index notation, tables as states. It reads less well than a layer, and computes the same.
#include "frontend/import/Writer.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace bigm::writing {
namespace {

template <class T> const T &attr(const Node &node, const char *name) { return std::get<T>(node.attrs.at(name)); }

std::string term(const std::string &letter, int64_t times) { return times == 1 ? letter : fmt::format("{} * {}", letter, times); }

const char *sign(Op op) {
  switch (op) {
  case Op::Add: return "+";
  case Op::Sub: return "-";
  case Op::Mul: return "*";
  case Op::Div: return "/";
  case Op::Pow: return "^";
  case Op::And: return "and";
  case Op::Or: return "or";
  case Op::Eq: return "==";
  case Op::Ne: return "!=";
  case Op::Lt: return "<";
  case Op::Le: return "<=";
  case Op::Gt: return ">";
  case Op::Ge: return ">=";
  default: return nullptr;
  }
}

bool isPointwise(Op op) { return op >= Op::Neg && op <= Op::Select && (op < Op::BitAnd || op > Op::ShiftRight); }

/// Elements of a tensor as f32; nothing where that would round.
std::optional<std::string> asF32(std::string_view bytes, Elem elem) {
  if (elem == Elem::F32)
    return std::string(bytes);
  std::string out;
  auto each = [&](auto zero) {
    for (size_t at = 0; at + sizeof zero <= bytes.size(); at += sizeof zero) {
      auto n = zero;
      std::memcpy(&n, bytes.data() + at, sizeof n);
      float x = float(n);
      if (decltype(zero)(x) != n)
        return false;
      out.append(reinterpret_cast<const char *>(&x), sizeof x);
    }
    return true;
  };
  bool exact = elem == Elem::I64   ? each(int64_t())
               : elem == Elem::I32 ? each(int32_t())
               : elem == Elem::U8  ? each(uint8_t())
               : elem == Elem::I8  ? each(int8_t())
               : elem == Elem::Bool ? each(uint8_t())
                                    : false;
  return exact ? std::optional(out) : std::nullopt;
}

} // namespace

/// A name for a value that the importer recorded.
std::string Body::named(const Seen &seen, Value v) {
  for (size_t i = 0; !graph.step && i < seen.in.size() && i < seen.node->inputs.size(); ++i)
    if (seen.in[i].value == v && !seen.node->inputs[i].empty())
      return simple(seen, seen.node->inputs[i]);
  if (auto found = primitives.find(v); found != primitives.end())
    return found->second;
  for (auto [known, end] = f.byValue.equal_range(v); !graph.step && known != end; ++known)
    if (pieces.count(f.resolve(known->second)))
      return simple(seen, known->second);
  const Node *node = graph.maker(v);
  if (node && node->op == Op::Scan) {
    scan(seen, *node);
    return primitives.at(v);
  }
  std::string name = node ? primitive(seen, *node, v) : leaf(v);
  return primitives[v] = isName(name) ? name : statement(seen, name);
}

/// A tensor of the file, or one that the importer made.
std::string Body::leaf(Value v) {
  int number = graph.step ? -1 : f.rec->tensorOf(v);
  if (number < 0)
    throw Unwritable{"an input of the graph, which is not visible here"};
  const TensorDecl &t = (*f.tensors)[size_t(number)];
  if (auto of = f.values.find(t.name); !t.name.empty() && of != f.values.end() && of->second.file && of->second.file->bytes.view == t.initial.view)
    return parameter(of->second, t.name);
  std::vector<int64_t> shape;
  for (const Dim &d : t.type.shape)
    shape.push_back(d.constant().value_or(-1));
  return converted(t.initial.view, t.type.elem, shape, "table");
}

/// Elements of any type as a state, which is f32, and what they are converted to.
std::string Body::converted(std::string_view elements, Elem elem, const std::vector<int64_t> &shape, const std::string &wish) {
  auto bytes = asF32(elements, elem);
  if (!bytes)
    throw Unwritable{std::string("a table of ") + bigm::name(elem) + " that f32 does not hold"};
  Weight w{fresh(wish), Elem::F32, shape, nullptr, false, *bytes};
  lines.push_back(fmt::format("state {}: f32{} = 0", w.name, listOf(w.shape)));
  weights.push_back(w);
  if (elem == Elem::F32)
    return w.name;
  std::string name = fresh(wish);
  statements.push_back(elem == Elem::Bool ? fmt::format("{} = {} != 0", name, w.name)
                                          : fmt::format("{} = {}({})", name, bigm::name(elem), w.name));
  return name;
}

/// As an operand of a pointwise operation: a number where all elements are one, a smaller tensor where that stretches by itself.
std::string Body::operand(const Seen &seen, Value v, bool mayStretch) {
  const Node *node = graph.maker(v);
  if (node && mayStretch && node->op == Op::Constant && std::isfinite(attr<double>(*node, "number"))) {
    double x = attr<double>(*node, "number");
    if (graph.type(v).elem == Elem::Bool)
      return x ? "true" : "false";
    return x < 0 ? "(" + numberText(x) + ")" : numberText(x);
  }
  if (node && mayStretch && node->op == Op::View) {
    const auto &from = graph.type(node->operands[0]).shape, &to = graph.type(v).shape;
    const auto &map = attr<AffineIndices>(*node, "map");
    bool trailing = from.size() <= to.size() && !from.empty();
    for (size_t i = 0; i < from.size() && trailing; ++i) {
      size_t d = to.size() - from.size() + i;
      bool same = map[i].terms.size() == 1 && map[i].terms[0].first == d && map[i].terms[0].second == 1 && map[i].offset == 0;
      trailing = (same && from[i] == to[d]) || (map[i].terms.empty() && map[i].offset == 0 && from[i] == Dim(1));
    }
    if (trailing)
      return named(seen, node->operands[0]);
  }
  return named(seen, v);
}

/// x[map], for letters of these sizes; letters that no index has are left out of the result and of `used`.
std::string Body::indexed(const Seen &seen, Value of, const AffineIndices &map, const std::vector<Dim> &sizes, std::vector<bool> &sized,
                          std::vector<bool> &used) {
  std::vector<Dim> shape = graph.type(of).shape;
  std::string base = named(seen, of), cut, list;
  std::vector<int64_t> turned;
  bool cuts = false;
  // An index of one letter reads from its first place to its last, so that the letter counts as far as it should.
  for (size_t d = 0; d < map.size(); ++d) {
    std::string items = ":", at;
    if (map[d].terms.empty()) {
      at = std::to_string(map[d].offset);
    } else if (map[d].terms.size() == 1) {
      auto [letter, times] = map[d].terms[0];
      Dim span = (sizes[letter] - Dim(1)) * Dim(std::abs(times));
      Dim low = times > 0 ? Dim(map[d].offset) : Dim(map[d].offset) - span, high = low + span + Dim(1);
      if (low != Dim(0) || high != shape[d]) {
        cuts = true;
        items = fmt::format("{}..{}", low == Dim(0) ? "" : low.str(), high == shape[d] ? "" : high.str());
      }
      if (times < 0)
        turned.push_back(int64_t(d));
      at = term(f.letters[letter], std::abs(times));
      sized[letter] = true;
    } else {
      for (auto [letter, times] : map[d].terms)
        at += (at.empty() ? "" : " + ") + term(f.letters[letter], times);
      if (map[d].offset)
        at += fmt::format(" {} {}", map[d].offset < 0 ? "-" : "+", std::abs(map[d].offset));
    }
    for (auto [letter, times] : map[d].terms)
      used[letter] = true;
    cut += (d ? ", " : "") + items;
    list += (d ? ", " : "") + at;
  }
  if (cuts)
    base = statement(seen, base + "[" + cut + "]");
  for (int64_t d : turned)
    base = statement(seen, fmt::format("flip({}, {})", base, d));
  return base + (list.empty() ? "" : "[" + list + "]");
}

/// Factors that do nothing but say how far a letter counts which stands in sums of letters alone.
std::string Body::sizing(const std::vector<Dim> &sizes, const std::vector<bool> &sized, const std::vector<bool> &used, Elem elem) {
  std::string out;
  for (size_t l = 0; l < sizes.size(); ++l)
    if (used[l] && !sized[l]) {
      if (elem == Elem::Bool)
        throw Unwritable{"windows of bools"};
      std::string one = fresh("one");
      statements.push_back(fmt::format("{} = {}(full([{}], 1))", one, bigm::name(elem), sizes[l].str()));
      out += fmt::format(" * {}[{}]", one, f.letters[l]);
    }
  return out;
}

/// What an index notation over the result's dimensions gave, where some of them are in no index.
std::string Body::stretched(const std::string &y, const std::vector<Dim> &shape, const std::vector<bool> &used) {
  std::vector<Dim> ones = shape;
  bool all = true;
  for (size_t d = 0; d < shape.size(); ++d)
    if (!used[d]) {
      ones[d] = Dim(1);
      all = false;
    }
  return all ? y : fmt::format("broadcast(reshape({}, {}), {})", y, listOf(ones), listOf(shape));
}

std::string Body::view(const Seen &seen, const Node &node, Value v) {
  const auto &from = graph.type(node.operands[0]), &to = graph.type(v);
  const auto &map = attr<AffineIndices>(node, "map");
  if (to.shape.size() > f.letters.size())
    throw Unwritable{"more dimensions than there are letters"};
  std::vector<int64_t> order(to.shape.size(), -1);
  bool permutes = map.size() == to.shape.size() && from.shape.size() == to.shape.size();
  for (size_t d = 0; d < map.size() && permutes; ++d) {
    permutes = map[d].terms.size() == 1 && map[d].terms[0].second == 1 && map[d].offset == 0 && from.shape[d] == to.shape[map[d].terms[0].first];
    if (permutes)
      order[map[d].terms[0].first] = int64_t(d);
  }
  if (permutes && std::count(order.begin(), order.end(), -1) == 0)
    return fmt::format("transpose({}, {})", named(seen, node.operands[0]), listOf(order));
  std::vector<bool> sized(to.shape.size(), false), used = sized;
  std::string read = indexed(seen, node.operands[0], map, to.shape, sized, used), list;
  read += sizing(to.shape, sized, used, to.elem);
  for (size_t d = 0; d < used.size(); ++d)
    list += used[d] ? (list.empty() ? "" : ", ") + f.letters[d] : "";
  if (list.empty()) { // one element
    std::string one = read == named(seen, node.operands[0]) ? read : statement(seen, read);
    return to.shape.empty() ? one : fmt::format("broadcast({}, {})", one, listOf(to.shape));
  }
  // Read as it stands: no more than its name.
  std::string all = "[" + list + "]";
  if (read.ends_with(all) && isName(read.substr(0, read.size() - all.size())))
    return stretched(read.substr(0, read.size() - all.size()), to.shape, used);
  std::string y = fresh(local(seen.scope, "x"));
  statements.push_back(fmt::format("{}[{}] = {}", y, list, read));
  return stretched(y, to.shape, used);
}

std::string Body::contraction(const Seen &seen, const Node &node, Value v) {
  const auto &to = graph.type(v);
  std::vector<Dim> sizes = to.shape;
  std::visit([&](const auto &reduced) {
    if constexpr (std::is_same_v<decltype(reduced), const std::vector<Dim> &> || std::is_same_v<decltype(reduced), const std::vector<int64_t> &>)
      sizes.insert(sizes.end(), reduced.begin(), reduced.end()); // numbers where all are
  }, node.attrs.at("reduced"));
  if (sizes.size() > f.letters.size())
    throw Unwritable{"more dimensions than there are letters"};
  std::vector<bool> sized(sizes.size(), false), used = sized;
  std::string left = indexed(seen, node.operands[0], attr<AffineIndices>(node, "lhs_map"), sizes, sized, used),
              right = indexed(seen, node.operands[1], attr<AffineIndices>(node, "rhs_map"), sizes, sized, used), list, over;
  auto wide = [&](const std::string &x, Value of) {
    return graph.type(of).elem == to.elem ? x : fmt::format("{}({})", bigm::name(to.elem), x);
  };
  std::string body = wide(left, node.operands[0]) + " * " + wide(right, node.operands[1]) + sizing(sizes, sized, used, to.elem);
  for (size_t d = 0; d < sizes.size(); ++d) {
    std::string &into = d < to.shape.size() ? list : over;
    if (!used[d] && d >= to.shape.size())
      throw Unwritable{"a sum over what is not read"};
    into += used[d] ? (into.empty() ? "" : ", ") + f.letters[d] : "";
  }
  if (!over.empty())
    body = fmt::format("sum({}: {})", over, body);
  if (list.empty())
    throw Unwritable{"a product without dimensions"};
  std::string y = fresh(local(seen.scope, "x"));
  statements.push_back(fmt::format("{}[{}] = {}", y, list, body));
  return stretched(y, to.shape, used);
}

std::string Body::primitive(const Seen &seen, const Node &node, Value v) {
  const TensorType &to = graph.type(v);
  auto x = [&](size_t i) { return named(seen, node.operands[i]); };
  auto shape = [&] { return listOf(to.shape); };
  if (isPointwise(node.op)) {
    // One operand at least has to have the result's shape and type.
    std::vector<std::string> texts;
    size_t first = node.op == Op::Select, whole = first;
    for (size_t i = first; i < node.operands.size(); ++i) {
      const Node *of = graph.maker(node.operands[i]);
      if (!of || (of->op != Op::Constant && of->op != Op::View))
        whole = i;
    }
    for (size_t i = 0; i < node.operands.size(); ++i)
      texts.push_back(operand(seen, node.operands[i], i != whole && i >= first));
    const char *infix = sign(node.op);
    if (infix && node.op != Op::Pow)
      return fmt::format("{} {} {}", texts[0], infix, texts[1]);
    if (node.op == Op::Neg)
      return "(-" + texts[0] + ")";
    if (node.op == Op::Not)
      return "not " + texts[0];
    std::string call = node.op == Op::Cast ? bigm::name(to.elem) : bigm::name(node.op), list;
    for (const std::string &text : texts)
      list += (list.empty() ? "" : ", ") + text;
    return node.op == Op::Cast && to.elem == Elem::Bool ? texts[0] + " != 0" : fmt::format("{}({})", call, list);
  }
  switch (node.op) {
  case Op::Constant: {
    double number = attr<double>(node, "number");
    if (to.elem == Elem::Bool)
      return fmt::format("full({}, {}) > 0", shape(), number ? 1 : 0);
    // What is infinite or no number the language has no word for.
    std::string full = std::isfinite(number) ? fmt::format("full({}, {})", shape(), numberText(number))
                                             : fmt::format("{}log(full({}, {}))", number > 0 ? "-" : "", shape(), std::isnan(number) ? -1 : 0);
    return to.elem == Elem::F32 ? full : fmt::format("{}({})", bigm::name(to.elem), full);
  }
  case Op::Iota: {
    size_t dim = size_t(attr<int64_t>(node, "dim"));
    std::vector<Dim> ones(to.shape.size(), Dim(1));
    ones[dim] = to.shape[dim];
    std::string count = fmt::format("iota({})", to.shape[dim].str());
    if (to.elem != Elem::I32)
      count = fmt::format("{}({})", bigm::name(to.elem), count);
    if (to.shape.size() > 1)
      count = fmt::format("reshape({}, {})", count, listOf(ones));
    return ones == to.shape ? count : fmt::format("broadcast({}, {})", count, shape());
  }
  case Op::Reshape: return fmt::format("reshape({}, {})", x(0), shape());
  case Op::View: return view(seen, node, v);
  case Op::Contract: return contraction(seen, node, v);
  case Op::Pad: {
    const Node *value = graph.maker(node.operands[1]);
    if (!value || value->op != Op::Constant)
      throw Unwritable{"padding by a value that the run decides"};
    return fmt::format("pad({}, {}, {}, {}, {})", x(0), listOf(attr<std::vector<int64_t>>(node, "low")),
                       listOf(attr<std::vector<int64_t>>(node, "high")), listOf(attr<std::vector<int64_t>>(node, "interior")),
                       numberText(attr<double>(*value, "number")));
  }
  case Op::Concat: {
    std::string list;
    for (size_t i = 0; i < node.operands.size(); ++i)
      list += (i ? ", " : "") + x(i);
    return fmt::format("concat([{}], axis: {})", list, attr<int64_t>(node, "dim"));
  }
  case Op::ReduceSum: case Op::ReduceMax: case Op::ReduceMin: case Op::ReduceProd:
    return fmt::format("{}({}, axis: {})", bigm::name(node.op) + std::strlen("reduce_"), x(0), listOf(attr<std::vector<int64_t>>(node, "dims")));
  case Op::ArgMax: case Op::ArgMin:
    return fmt::format("{}({}, {})", node.op == Op::ArgMax ? "argmax" : "argmin", x(0), attr<int64_t>(node, "dim"));
  case Op::Gather: return fmt::format("gather({}, {})", x(0), x(1));
  case Op::ScatterAdd: return fmt::format("scatter_add({}, {}, {})", x(0), x(1), to.shape[0].str());
  default: throw Unwritable{"the language has no form for it here"};
  }
}

void Body::recorded(const Seen &seen) {
  for (size_t i = 0; i < seen.out.size() && i < seen.node->outputs.size(); ++i)
    if (f.uses.count(seen.node->outputs[i])) {
      if (!seen.out[i].value)
        throw Unwritable{"the language has no form for it here"};
      // A constant stands where it is read, if anything reads it in the end.
      const Node *maker = graph.maker(*seen.out[i].value);
      if (maker && maker->op == Op::Constant)
        pieces[seen.node->outputs[i]] = {primitive(seen, *maker, *seen.out[i].value), Or};
      else
        give(seen, i, named(seen, *seen.out[i].value), Atom);
    }
}

} // namespace bigm::writing
