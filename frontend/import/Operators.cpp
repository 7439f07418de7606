// Pointwise operators, shapes, reductions.
#include "frontend/import/Writer.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::writing {
using sema::onnx_import::elemOf;
using sema::onnx_import::isFloat;

const std::map<std::string, Body::Call> &Body::operators() {
  using B = Body;
  static const std::map<std::string, Call> table = {
      {"Abs", &B::unary}, {"Neg", &B::unary}, {"Sign", &B::unary}, {"Exp", &B::unary}, {"Log", &B::unary},
      {"Sqrt", &B::unary}, {"Sin", &B::unary}, {"Cos", &B::unary}, {"Atan", &B::unary}, {"Tanh", &B::unary},
      {"Erf", &B::unary}, {"Sigmoid", &B::unary}, {"Floor", &B::unary}, {"Ceil", &B::unary}, {"Round", &B::unary},
      {"Relu", &B::unary}, {"Softplus", &B::unary}, {"Mish", &B::unary}, {"HardSwish", &B::unary}, {"Not", &B::unary},
      {"Reciprocal", &B::unary}, {"Softsign", &B::unary},
      {"Add", &B::binary}, {"Sub", &B::binary}, {"Mul", &B::binary}, {"Div", &B::binary}, {"Pow", &B::binary},
      {"Mod", &B::binary}, {"And", &B::binary}, {"Or", &B::binary}, {"Equal", &B::binary}, {"Less", &B::binary},
      {"LessOrEqual", &B::binary}, {"Greater", &B::binary}, {"GreaterOrEqual", &B::binary},
      {"Max", &B::variadic}, {"Min", &B::variadic}, {"Sum", &B::variadic}, {"Mean", &B::variadic},
      {"Cast", &B::cast}, {"Clip", &B::clip}, {"LeakyRelu", &B::activation}, {"Elu", &B::activation},
      {"Selu", &B::activation}, {"Gelu", &B::activation}, {"HardSigmoid", &B::activation}, {"PRelu", &B::prelu},
      {"Softmax", &B::softmax}, {"LogSoftmax", &B::softmax}, {"Where", &B::select},
      {"IsNaN", &B::isNaN}, {"Trilu", &B::trilu},
      {"Conv", &B::convolution}, {"MaxPool", &B::pool}, {"AveragePool", &B::pool},
      {"GlobalAveragePool", &B::globalPool}, {"GlobalMaxPool", &B::globalPool},
      {"BatchNormalization", &B::normalization}, {"LayerNormalization", &B::normalization},
      {"LSTM", &B::recurrent}, {"GRU", &B::recurrent}, {"RNN", &B::recurrent},
      {"Gemm", &B::gemm}, {"MatMul", &B::matmul}, {"Einsum", &B::einsum},
      {"Reshape", &B::reshape}, {"Flatten", &B::reshape}, {"Squeeze", &B::reshape}, {"Unsqueeze", &B::reshape},
      {"Transpose", &B::transpose}, {"Concat", &B::concat}, {"Slice", &B::slice}, {"Split", &B::split},
      {"Gather", &B::gather}, {"Expand", &B::expand}, {"Pad", &B::pad}, {"Range", &B::range}, {"Resize", &B::resize},
      {"ReduceSum", &B::reduction}, {"ReduceMean", &B::reduction}, {"ReduceMax", &B::reduction},
      {"ReduceMin", &B::reduction}, {"ReduceProd", &B::reduction}, {"ReduceSumSquare", &B::reduction},
      {"ReduceL1", &B::reduction}, {"ReduceL2", &B::reduction}, {"ArgMax", &B::argument}, {"ArgMin", &B::argument}};
  return table;
}

// ---------------------------------------------------------------- pointwise

void Body::unary(const Seen &seen) {
  const std::string &op = seen.node->op, &x = in(seen, 0);
  if (op == "Neg")
    return give(seen, 0, "-" + use(x, Power).text, Negate);
  if (op == "Not")
    return give(seen, 0, "not " + use(x, Compare).text, Not);
  if (op == "Reciprocal")
    return give(seen, 0, "1 / " + use(x, Negate).text, Multiply);
  if (op == "Softsign") {
    std::string name = simple(seen, x);
    return give(seen, 0, fmt::format("{0} / (1 + abs({0}))", name), Multiply);
  }
  if (op == "HardSwish")
    return pipe(seen, "hard_swish");
  std::string call = op;
  std::transform(call.begin(), call.end(), call.begin(), [](unsigned char c) { return char(tolower(c)); });
  pipe(seen, call);
}

void Body::binary(const Seen &seen) {
  struct Sign {
    const char *text;
    Level level;
    bool commutes;
  };
  static const std::map<std::string, Sign> signs = {
      {"Add", {"+", Add, true}},          {"Sub", {"-", Add, false}},       {"Mul", {"*", Multiply, true}},
      {"Div", {"/", Multiply, false}},    {"Pow", {"^", Power, false}},     {"And", {"and", And, true}},
      {"Or", {"or", Or, true}},           {"Equal", {"==", Compare, false}}, {"Less", {"<", Compare, false}},
      {"LessOrEqual", {"<=", Compare, false}}, {"Greater", {">", Compare, false}}, {"GreaterOrEqual", {">=", Compare, false}}};
  // A number stands for a tensor of one number where it changes no size.
  auto operand = [&](size_t i, Level least) {
    const Val &v = seen.in[i], &other = seen.in[1 - i];
    auto number = splat(v);
    if (number && v.shape.size() <= other.shape.size() && other.shape == seen.out[0].shape)
      return number->level < least ? "(" + number->text + ")" : number->text;
    return use(in(seen, i), least).text;
  };
  if (seen.node->op == "Mod") {
    if (!isFloat(seen.in[0].type) && !integer(seen, "fmod", 0))
      throw Unwritable{"the remainder with the divisor's sign"};
    return give(seen, 0, fmt::format("mod({}, {})", operand(0, Or), operand(1, Or)), Atom);
  }
  const Sign &sign = signs.at(seen.node->op);
  Level right = Level(sign.level + (sign.level == Power ? 0 : 1)), left = Level(sign.level + (sign.level == Power || sign.level == Compare ? 1 : 0));
  if (seen.node->op == "Pow" && seen.in[1].type != seen.in[0].type && !splat(seen.in[1]))
    throw Unwritable{"a power of another type than its base"};
  std::string a = operand(0, left), b = operand(1, right);
  give(seen, 0, fmt::format("{} {} {}", a, sign.text, b), sign.level);
}

void Body::variadic(const Seen &seen) {
  const std::string &op = seen.node->op;
  bool sum = op == "Sum" || op == "Mean";
  std::string text = use(in(seen, 0), sum ? Add : Or).text;
  for (size_t i = 1; i < seen.in.size(); ++i) {
    std::string next = use(in(seen, i), sum ? Multiply : Or).text;
    text = sum ? text + " + " + next : fmt::format("{}({}, {})", op == "Max" ? "max" : "min", text, next);
  }
  if (op == "Mean" && seen.in.size() > 1)
    return give(seen, 0, fmt::format("({}) / {}", text, seen.in.size()), Multiply);
  give(seen, 0, text, sum && seen.in.size() > 1 ? Add : seen.in.size() > 1 ? Atom : Pipe);
}

void Body::cast(const Seen &seen) {
  auto elem = elemOf(seen.out[0].type);
  if (!elem)
    throw Unwritable{"a conversion to a type that the language lacks"};
  if (*elem == Elem::Bool)
    return give(seen, 0, use(in(seen, 0), Add).text + " != 0", Compare);
  give(seen, 0, fmt::format("{}({})", bigm::name(*elem), use(in(seen, 0), Or).text), Atom);
}

void Body::clip(const Seen &seen) {
  std::optional<std::string> low, high;
  auto bound = [&](const char *name, size_t i) -> std::optional<std::string> {
    if (has(seen, i)) {
      auto number = splat(seen.in[i]);
      return number ? number->text : use(in(seen, i), Or).text;
    }
    auto *a = attribute(seen, name);
    return a ? std::optional(numberText(a->real)) : std::nullopt;
  };
  low = bound("min", 1);
  high = bound("max", 2);
  if (low == "0" && high == "6" && seen.out[0].type == onnx::Type::F32)
    return pipe(seen, "relu6");
  std::string text = use(in(seen, 0), Or).text;
  if (low)
    text = fmt::format("max({}, {})", text, *low);
  if (high)
    text = fmt::format("min({}, {})", text, *high);
  give(seen, 0, text, low || high ? Atom : Pipe);
}

void Body::activation(const Seen &seen) {
  const std::string &op = seen.node->op;
  auto given = [&](const char *name, double value, double usual) {
    return std::abs(value - usual) < 1e-7 * std::abs(usual) ? std::string() : fmt::format("({}: {})", name, numberText(value));
  };
  if (op == "LeakyRelu")
    return pipe(seen, "leaky_relu" + given("slope", real(seen, "alpha", 0.01), 0.01));
  if (op == "Elu")
    return pipe(seen, "elu" + given("alpha", real(seen, "alpha", 1), 1));
  if (op == "Gelu")
    return pipe(seen, word(seen, "approximate", "none") == "tanh" ? "gelu_tanh" : "gelu");
  if (op == "Selu") {
    if (attribute(seen, "alpha") || attribute(seen, "gamma"))
      throw Unwritable{"numbers of its own"};
    return pipe(seen, "selu");
  }
  std::string x = use(in(seen, 0), Multiply).text; // HardSigmoid
  give(seen, 0, fmt::format("min(max({} * {} + {}, 0), 1)", x, numberText(real(seen, "alpha", 0.2f)), numberText(real(seen, "beta", 0.5))), Atom);
}

void Body::prelu(const Seen &seen) {
  std::string slope = use(in(seen, 1), Multiply).text, x = simple(seen, in(seen, 0));
  give(seen, 0, fmt::format("select({0} > 0, {0}, {1} * {0})", x, slope), Atom);
}

void Body::softmax(const Seen &seen) {
  int64_t rank = int64_t(seen.in[0].rank()), axis = integer(seen, "axis", f.opset >= 13 ? -1 : 1);
  axis += axis < 0 ? rank : 0;
  std::string call = seen.node->op == "Softmax" ? "softmax" : "log_softmax";
  if (axis == rank - 1)
    return pipe(seen, call);
  if (f.opset < 13)
    throw Unwritable{"over several dimensions at once"};
  std::vector<int64_t> order;
  for (int64_t i = 0; i < rank; ++i)
    order.push_back(i);
  std::swap(order[size_t(axis)], order.back());
  std::string turn = "transpose(" + listOf(order) + ")";
  pipe(seen, turn + " |> " + call + " |> " + turn);
}

void Body::select(const Seen &seen) {
  auto v = [&](size_t i) -> const Val & { return seen.in[i]; };
  auto branch = [&](size_t i) {
    auto number = splat(v(i));
    const Val &other = seen.in[3 - i];
    bool fits = other.shape == seen.out[0].shape || (seen.in[0].shape == seen.out[0].shape && v(i).shape.size() <= seen.out[0].shape.size() &&
                                                     !(other.known && other.known->size() == 1));
    return number && fits ? number->text : use(in(seen, i), Or).text;
  };
  give(seen, 0, fmt::format("select({}, {}, {})", use(in(seen, 0), Or).text, branch(1), branch(2)), Atom);
}

void Body::isNaN(const Seen &seen) {
  std::string x = simple(seen, in(seen, 0));
  give(seen, 0, x + " != " + x, Compare);
}

void Body::trilu(const Seen &seen) {
  const Val &x = seen.in[0];
  int64_t k = 0;
  if (has(seen, 1)) {
    auto number = seen.in[1].known ? (*seen.in[1].known)[0].whole.constant() : std::nullopt;
    if (!number)
      throw Unwritable{"a diagonal that is not known"};
    k = *number;
  }
  if (x.rank() < 2)
    throw Unwritable{"a vector"};
  std::string rows = x.shape[x.rank() - 2].str(), columns = x.shape.back().str();
  std::string kept = fmt::format("iota({}) {} reshape(iota({}), [{}, 1])", columns, integer(seen, "upper", 1) ? ">=" : "<=", rows, rows);
  if (k)
    kept += fmt::format(" {} {}", k < 0 ? "-" : "+", std::abs(k));
  auto number = splat(x);
  if (x.type == onnx::Type::Bool) {
    if (number && x.rank() == 2 && number->text == "true")
      return give(seen, 0, kept, Compare);
    return give(seen, 0, use(in(seen, 0), Compare).text + " and " + kept, And);
  }
  give(seen, 0, fmt::format("select({}, {}, 0)", kept, use(in(seen, 0), Or).text), Atom);
}

// ---------------------------------------------------------------- shapes

void Body::reshape(const Seen &seen) {
  const auto &from = seen.in[0].shape, &to = seen.out[0].shape;
  if (from == to) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  if (seen.node->op == "Flatten" && integer(seen, "axis", 1) == 1 && from.size() > 2)
    return pipe(seen, "flatten");
  pipe(seen, "reshape(" + listOf(to) + ")");
}

void Body::transpose(const Seen &seen) {
  std::vector<int64_t> order = integers(seen, "perm");
  for (size_t i = seen.in[0].rank(); order.empty() && i-- > 0;)
    for (size_t k = seen.in[0].rank(); k-- > 0;)
      order.push_back(int64_t(k));
  if (auto found = turned.find(f.resolve(in(seen, 0))); found != turned.end() && order == std::vector<int64_t>{1, 0, 2})
    return give(seen, 0, found->second, Atom);
  pipe(seen, "transpose(" + listOf(order) + ")");
}

void Body::concat(const Seen &seen) {
  int64_t axis = integer(seen, "axis", 1);
  std::string parts;
  for (size_t i = 0; i < seen.in.size(); ++i)
    parts += (i ? ", " : "") + use(in(seen, i), Or).text;
  give(seen, 0, fmt::format("concat([{}], axis: {})", parts, axis < 0 ? axis + int64_t(seen.in[0].rank()) : axis), Atom);
}

static std::string picked(const std::vector<std::string> &items) {
  size_t last = items.size();
  while (last > 1 && items[last - 1] == ":")
    --last;
  std::string out = "[";
  for (size_t i = 0; i < last; ++i)
    out += (i ? ", " : "") + items[i];
  return out + "]";
}

void Body::slice(const Seen &seen) {
  auto starts = either(seen, "starts", 1), axes = either(seen, "axes", 3), steps = either(seen, "steps", 4);
  if (!starts)
    throw Unwritable{"starts that are not known"};
  const auto &from = seen.in[0].shape, &to = seen.out[0].shape;
  std::vector<std::string> items(from.size(), ":");
  std::vector<int64_t> turned;
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes ? (*axes)[i] : int64_t(i), step = steps ? (*steps)[i] : 1, start = (*starts)[i];
    axis += axis < 0 ? int64_t(from.size()) : 0;
    size_t d = size_t(axis);
    if (from[d] == to[d] && step == 1)
      continue;
    if (step == -1 && from[d] == to[d]) {
      turned.push_back(axis);
      continue;
    }
    auto size = from[d].constant();
    if (step != 1)
      throw Unwritable{"steps other than 1"};
    if (start < 0 && !size)
      throw Unwritable{"a start from the end of an open size"};
    start = start < 0 ? std::max<int64_t>(0, start + *size) : start;
    std::string last = Dim(start) + to[d] == from[d] ? "" : (Dim(start) + to[d]).str();
    items[d] = (start || last.empty() ? std::to_string(start) : "") + ".." + last;
  }
  std::string text = use(in(seen, 0), Atom).text;
  if (std::any_of(items.begin(), items.end(), [](auto &item) { return item != ":"; }))
    text += picked(items);
  for (int64_t axis : turned)
    text = fmt::format("flip({}, {})", text, axis);
  give(seen, 0, text, Atom);
}

void Body::split(const Seen &seen) {
  int64_t axis = integer(seen, "axis", 0), start = 0;
  axis += axis < 0 ? int64_t(seen.in[0].rank()) : 0;
  std::string whole = simple(seen, in(seen, 0));
  for (size_t i = 0; i < seen.out.size(); ++i) {
    auto size = seen.out[i].shape[size_t(axis)].constant();
    if (!size)
      throw Unwritable{"parts of open sizes"};
    std::vector<std::string> items(seen.in[0].rank(), ":");
    items[size_t(axis)] = fmt::format("{}..{}", start, start + *size);
    give(seen, i, whole + picked(items), Atom);
    start += *size;
  }
}

void Body::gather(const Seen &seen) {
  const Val &data = seen.in[0], &ids = seen.in[1];
  int64_t axis = integer(seen, "axis", 0);
  axis += axis < 0 ? int64_t(data.rank()) : 0;
  if (ids.known && ids.shape.empty()) {
    auto at = (*ids.known)[0].whole.constant();
    if (!at)
      throw Unwritable{"an index that depends on a size"};
    std::vector<std::string> items(data.rank(), ":");
    items[size_t(axis)] = std::to_string(*at);
    return give(seen, 0, use(in(seen, 0), Atom).text + picked(items), Atom);
  }
  if (axis != 0)
    throw Unwritable{"along another dimension than the first"};
  // Exporters write ids of the data as they are; negative ones are the importer's (`from onnx`) to count from the end.
  Piece at = use(in(seen, 1), Or);
  if (isFile(data) && data.rank() == 2 && data.type == onnx::Type::F32) {
    std::string name = instance(seen, in(seen, 0), "embedding",
                                fmt::format("Embedding({}, {})", data.shape[0].str(), data.shape[1].str()),
                                {{"weight", fileWeight(data)}});
    std::string text = at.text.starts_with("i64(iota") ? at.text.substr(4, at.text.size() - 5)
                       : ids.type == onnx::Type::I32   ? at.text
                                                       : "i32(" + at.text + ")";
    return give(seen, 0, fmt::format("{}({})", name, text), Atom);
  }
  give(seen, 0, fmt::format("gather({}, {})", use(in(seen, 0), Or).text, at.text), Atom);
}

void Body::expand(const Seen &seen) {
  if (seen.in[0].shape == seen.out[0].shape) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  if (auto number = splat(seen.in[0]); number && isFloat(seen.in[0].type))
    return give(seen, 0, fmt::format("broadcast({}, {})", number->text, listOf(seen.out[0].shape)), Atom);
  if (splat(seen.in[0])) // a number alone would be f32
    return recorded(seen);
  pipe(seen, "broadcast(" + listOf(seen.out[0].shape) + ")");
}

void Body::pad(const Seen &seen) {
  if (word(seen, "mode", "constant") != "constant")
    throw Unwritable{"the mode `" + word(seen, "mode", "") + "`"};
  auto pads = either(seen, "pads", 1);
  if (!pads || pads->size() != 2 * seen.in[0].rank() || has(seen, 3))
    throw Unwritable{"amounts that are not known"};
  std::vector<int64_t> low(pads->begin(), pads->begin() + int64_t(seen.in[0].rank())),
      high(pads->begin() + int64_t(seen.in[0].rank()), pads->end());
  std::string value;
  if (has(seen, 2) && splat(seen.in[2]))
    value = splat(seen.in[2])->text;
  else if (attribute(seen, "value"))
    value = numberText(real(seen, "value", 0));
  pipe(seen, fmt::format("pad({}{}{})", listOf(low), low == high ? "" : ", " + listOf(high),
                         value.empty() || value == "0" ? "" : ", value: " + value));
}

void Body::range(const Seen &seen) {
  auto number = [&](size_t i) { return seen.in[i].known ? literal(seen.in[i]).text : std::string(); };
  auto elem = elemOf(seen.out[0].type);
  if (number(0) != "0" || number(2) != "1" || !elem || seen.out[0].shape.size() != 1)
    throw Unwritable{"other numbers than 0, 1, 2, ..."};
  give(seen, 0, fmt::format("{}(iota({}))", bigm::name(*elem), seen.out[0].shape[0].str()), Atom);
}

void Body::resize(const Seen &seen) {
  const Val &x = seen.in[0], &y = seen.out[0];
  if (x.rank() != 4 || !(x.shape[0] == y.shape[0]) || !(x.shape[1] == y.shape[1]) || x.type != onnx::Type::F32)
    throw Unwritable{"other dimensions than the last two of four"};
  std::string mode = word(seen, "mode", "nearest"), where = word(seen, "coordinate_transformation_mode", "half_pixel");
  auto h = y.shape[2].constant(), w = y.shape[3].constant(), ih = x.shape[2].constant(), iw = x.shape[3].constant();
  if (!h || !w || !ih || !iw)
    throw Unwritable{"open sizes"};
  bool whole = *h % *ih == 0 && *w % *iw == 0, same = where == "half_pixel" || where == "pytorch_half_pixel";
  std::string is;
  if (mode == "nearest" && whole && (where == "asymmetric" ? word(seen, "nearest_mode", "round_prefer_floor") == "floor" : same))
    is = "nearest";
  else if (mode == "linear" && same && !integer(seen, "antialias", 0))
    is = "bilinear";
  else if (mode == "cubic" && same && std::abs(real(seen, "cubic_coeff_a", -0.75) + 0.75) < 1e-9 &&
           !integer(seen, "exclude_outside", 0) && !integer(seen, "antialias", 0))
    is = "bicubic";
  if (is.empty())
    throw Unwritable{"the mode `" + mode + "` with `" + where + "` at these sizes"};
  pipe(seen, fmt::format("resample({}, {}, \"{}\", false)", *h, *w, is));
}

// ---------------------------------------------------------------- reductions

void Body::reduction(const Seen &seen) {
  const std::string &op = seen.node->op;
  auto axes = either(seen, "axes", 1);
  int64_t rank = int64_t(seen.in[0].rank());
  if ((!axes || axes->empty()) && integer(seen, "noop_with_empty_axes", 0)) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  std::vector<int64_t> list = axes.value_or(std::vector<int64_t>());
  if (list.empty()) // all
    for (int64_t i = 0; i < rank; ++i)
      list.push_back(i);
  for (int64_t &axis : list)
    axis += axis < 0 ? rank : 0;
  std::sort(list.begin(), list.end());
  bool keep = integer(seen, "keepdims", 1) != 0;
  std::string how = fmt::format("(axis: {}{})", list.size() == 1 ? std::to_string(list[0]) : listOf(list), keep ? ", keep: true" : "");
  if (op == "ReduceSumSquare" || op == "ReduceL2" || op == "ReduceL1") {
    std::string x = op == "ReduceL1" ? "abs(" + use(in(seen, 0), Or).text + ")" : simple(seen, in(seen, 0));
    std::string sum = (op == "ReduceL1" ? x : x + " * " + x) + " |> sum" + how;
    return give(seen, 0, op == "ReduceL2" ? sum + " |> sqrt" : sum, Pipe);
  }
  std::string call = op.substr(6);
  std::transform(call.begin(), call.end(), call.begin(), [](unsigned char c) { return char(tolower(c)); });
  pipe(seen, call + how);
}

void Body::argument(const Seen &seen) {
  int64_t rank = int64_t(seen.in[0].rank()), axis = integer(seen, "axis", 0);
  if (integer(seen, "select_last_index", 0))
    throw Unwritable{"the last of equal elements"};
  std::string text = fmt::format("i64({}({}, {}))", seen.node->op == "ArgMax" ? "argmax" : "argmin", use(in(seen, 0), Or).text,
                                 axis < 0 ? axis + rank : axis);
  if (integer(seen, "keepdims", 1))
    text = fmt::format("reshape({}, {})", text, listOf(seen.out[0].shape));
  give(seen, 0, text, Atom);
}

} // namespace bigm::writing
