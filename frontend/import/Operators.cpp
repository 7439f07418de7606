// Which operators have a form of their own, and those that are pointwise.
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

} // namespace bigm::writing
