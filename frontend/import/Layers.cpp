// Layers: convolutions, products, pools and norms, as those of `std.nn` where they are the same, else in index notation.
#include "frontend/import/Writer.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::writing {
using sema::onnx_import::elemOf;

Body::Window Body::window(const Seen &seen, const std::vector<int64_t> &kernel) const {
  size_t n = kernel.size();
  Window w{kernel, integers(seen, "strides"), integers(seen, "dilations"), {}, {}};
  w.strides.resize(n, 1);
  w.dilations.resize(n, 1);
  std::vector<int64_t> pads = integers(seen, "pads");
  pads.resize(2 * n, 0);
  std::string automatic = word(seen, "auto_pad", "NOTSET");
  for (size_t i = 0; i < n; ++i) {
    int64_t reach = (kernel[i] - 1) * w.dilations[i] + 1;
    auto in = seen.in[0].shape[i + 2].constant(), out = seen.out[0].shape[i + 2].constant();
    w.low.push_back(automatic == "NOTSET" ? pads[i] : 0);
    w.high.push_back(automatic == "NOTSET" ? pads[n + i] : 0);
    if (automatic.starts_with("SAME")) {
      bool dense = w.strides[i] == 1; // each place has its window, whatever the size
      if (!dense && (!in || !out))
        throw Unwritable{"padding that follows from an open size"};
      int64_t all = dense ? reach - 1 : std::max<int64_t>(0, (*out - 1) * w.strides[i] + reach - *in);
      w.low[i] = automatic == "SAME_LOWER" ? (all + 1) / 2 : all / 2;
      w.high[i] = all - w.low[i];
    } else if (integer(seen, "ceil_mode", 0)) {
      if (!in || !out)
        throw Unwritable{"sizes rounded up from an open one"};
      w.high[i] = std::max(w.high[i], (*out - 1) * w.strides[i] + reach - *in - w.low[i]);
    }
  }
  return w;
}

bool Body::Window::square(int64_t *padding) const {
  *padding = low[0];
  return kernel.size() == 2 && kernel[0] == kernel[1] && strides[0] == strides[1] && dilations[0] == dilations[1] &&
         low[0] == low[1] && high == low;
}

void Body::convolution(const Seen &seen) {
  const Val &x = seen.in[0], &w = seen.in[1];
  if (!isFile(w) || w.type != onnx::Type::F32 || w.rank() < 3)
    throw Unwritable{"weights that are no f32 tensor of the file"};
  bool bias = has(seen, 2);
  if (bias && !isFile(seen.in[2]))
    throw Unwritable{"a bias that is no tensor of the file"};
  std::vector<int64_t> shape = w.file->shape;
  Window win = window(seen, {shape.begin() + 2, shape.end()});
  int64_t groups = integer(seen, "group", 1), padding = 0;
  if (win.square(&padding)) {
    std::string call = fmt::format("Conv2d({}", shape[0]);
    auto say = [&](const char *name, int64_t value, int64_t usual) {
      if (value != usual)
        call += fmt::format(", {}: {}", name, value);
    };
    say("kernel", shape[2], 3);
    say("stride", win.strides[0], 1);
    say("padding", padding, win.dilations[0] * (shape[2] - 1) / 2);
    say("dilation", win.dilations[0], 1);
    say("groups", groups, 1);
    std::vector<std::pair<std::string, Weight>> its = {{"weight", fileWeight(w)}};
    if (bias)
      its.push_back({"bias", fileWeight(seen.in[2])});
    else
      call += ", bias: false";
    return pipe(seen, instance(seen, in(seen, 1), "conv", call + ")", its));
  }
  // y[n, g, o, i, j] = sum over channels and the window.
  static const std::vector<std::string> pixels = {"i", "j", "k"}, taps = {"a", "b", "d"};
  size_t n = win.kernel.size();
  if (n > 3)
    throw Unwritable{"more than three dimensions"};
  std::string z = piped(in(seen, 0));
  if (win.low != std::vector<int64_t>(n, 0) || win.high != win.low)
    z += " |> pad(" + listOf(win.low) + (win.high == win.low ? ")" : ", " + listOf(win.high) + ")");
  std::string weight = use(in(seen, 1), Atom).text;
  std::vector<Dim> parted = x.shape, kernels;
  for (size_t i = 0; i < n; ++i)
    parted[i + 2] = parted[i + 2] + Dim(win.low[i] + win.high[i]);
  for (int64_t size : shape)
    kernels.push_back(size);
  if (groups > 1) {
    parted[1] = Dim(shape[1]);
    parted.insert(parted.begin() + 1, Dim(groups));
    kernels[0] = Dim(shape[0] / groups);
    kernels.insert(kernels.begin(), Dim(groups));
    z += " |> reshape(" + listOf(parted) + ")";
    weight = statement(seen, fmt::format("reshape({}, {})", weight, listOf(kernels)));
  }
  std::string image = statement(seen, z), y = fresh(local(seen.scope, "x"));
  std::string g = groups > 1 ? "g, " : "", outs, reads, window, over = "c";
  for (size_t i = 0; i < n; ++i) {
    auto times = [](const std::string &letter, int64_t by) { return by == 1 ? letter : fmt::format("{} * {}", letter, by); };
    outs += ", " + pixels[i];
    window += ", " + taps[i];
    over += ", " + taps[i];
    reads += fmt::format(", {} + {}", times(pixels[i], win.strides[i]), times(taps[i], win.dilations[i]));
  }
  statements.push_back(fmt::format("{}[n, {}o{}] = sum({}: {}[n, {}c{}] * {}[{}o, c{}])", y, g, outs, over, image, g, reads, weight, g, window));
  std::string text = groups > 1 ? y + " |> merge(1, 2)" : y;
  if (bias) {
    std::string whole = groups > 1 ? statement(seen, text) : y;
    return give(seen, 0, fmt::format("{0} + along({1}, {0}, 1)", whole, use(in(seen, 2), Or).text), Add);
  }
  give(seen, 0, text, groups > 1 ? Pipe : Atom);
}

void Body::pool(const Seen &seen) {
  if (seen.node->outputs.size() > 1 && f.uses.count(seen.node->outputs[1]))
    throw Unwritable{"the places of the largest"};
  Window w = window(seen, integers(seen, "kernel_shape"));
  bool largest = seen.node->op == "MaxPool", padded = w.low != std::vector<int64_t>(w.low.size(), 0) || w.high != w.low;
  int64_t padding = 0, size = w.kernel.empty() ? 0 : w.kernel[0];
  bool plain = w.square(&padding) && w.dilations[0] == 1 && seen.in[0].type == onnx::Type::F32;
  std::string list;
  if (plain) {
    list = std::to_string(size) + (w.strides[0] == size ? "" : fmt::format(", stride: {}", w.strides[0])) +
           (padding ? fmt::format(", padding: {}", padding) : "");
    if (largest)
      return pipe(seen, "max_pool(" + list + ")");
    if (!padded || integer(seen, "count_include_pad", 0))
      return pipe(seen, "avg_pool(" + list + ")");
  }
  if (largest && seen.in[0].type != onnx::Type::F32)
    throw Unwritable{"another type than f32"};
  std::vector<int64_t> axes;
  for (size_t i = 0; i < w.kernel.size(); ++i)
    axes.push_back(int64_t(seen.in[0].rank() + i));
  std::string windows = fmt::format("windows({}, {}, {})", listOf(w.kernel), listOf(w.strides), listOf(w.dilations));
  std::string around = padded ? "pad(" + listOf(w.low) + ", " + listOf(w.high) + (largest ? ", value: -3.4e38" : "") + ") |> " : "";
  std::string call = around + windows + " |> " + (largest ? "max" : "mean") + "(axis: " + listOf(axes) + ")";
  if (largest || !padded || (integer(seen, "count_include_pad", 0) && !integer(seen, "ceil_mode", 0)))
    return pipe(seen, call);
  if (integer(seen, "count_include_pad", 0))
    throw Unwritable{"padding that counts, with sizes rounded up"};
  // Padding does not count: the mean over what is no padding.
  std::string x = simple(seen, in(seen, 0));
  std::string sums = statement(seen, x + " |> " + call), shares = statement(seen, "ones_like(" + x + ") |> " + call);
  give(seen, 0, sums + " / " + shares, Multiply);
}

void Body::globalPool(const Seen &seen) {
  std::vector<int64_t> axes;
  for (int64_t i = 2; i < int64_t(seen.in[0].rank()); ++i)
    axes.push_back(i);
  bool mean = seen.node->op == "GlobalAveragePool";
  const Seen *next = onlyReader(seen.node->outputs[0]);
  if (next && next->node->op == "Flatten" && integer(*next, "axis", 1) == 1 && axes.size() == 2 && next->scope.starts_with(prefix)) {
    done.insert(next->node);
    std::string text = piped(in(seen, 0));
    return give(*next, 0, text + (mean ? "\n |> global_avg_pool" : "\n |> global_max_pool"), Pipe);
  }
  pipe(seen, fmt::format("{}(axis: {}, keep: true)", mean ? "mean" : "max", listOf(axes)));
}

void Body::normalization(const Seen &seen) {
  bool batch = seen.node->op == "BatchNormalization";
  for (size_t i = 1; i < (batch ? 5u : 3u); ++i)
    if (!has(seen, i) || !isFile(seen.in[i]) || seen.in[i].type != onnx::Type::F32 || seen.in[i].rank() != 1)
      throw Unwritable{"a scale or shift that is no f32 vector of the file"};
  for (size_t i = 1; i < seen.node->outputs.size(); ++i)
    if (f.uses.count(seen.node->outputs[i]))
      throw Unwritable{"its statistics as results"};
  int64_t axis = integer(seen, "axis", -1);
  if (!batch && axis != -1 && axis != int64_t(seen.in[0].rank()) - 1)
    throw Unwritable{"over several dimensions"};
  double epsilon = real(seen, "epsilon", 1e-5f);
  std::string how = std::abs(epsilon - 1e-5) < 1e-11 ? "" : (batch ? "epsilon: " : "") + numberText(epsilon);
  std::vector<std::pair<std::string, Weight>> its = {{"weight", fileWeight(seen.in[1])}, {"bias", fileWeight(seen.in[2])}};
  if (batch) {
    its.push_back({"running_mean", fileWeight(seen.in[3])});
    its.push_back({"running_var", fileWeight(seen.in[4])});
  }
  pipe(seen, instance(seen, in(seen, 1), "norm", (batch ? "BatchNorm(" : "LayerNorm(") + how + ")", its));
}

// ---------------------------------------------------------------- products

void Body::linear(const Seen &seen, const std::string &x, size_t matrix, bool transposed, const Val *bias, const Seen &last) {
  const Val &w = seen.in[matrix];
  std::vector<std::pair<std::string, Weight>> its = {{"weight", fileWeight(w, !transposed)}};
  std::string call = fmt::format("Linear({}", its[0].second.shape[0]);
  if (bias)
    its.push_back({"bias", fileWeight(*bias)});
  else
    call += ", bias: false";
  std::string name = instance(seen, in(seen, matrix), "linear", call + ")", its);
  std::string text = piped(x);
  size_t line = text.rfind('\n');
  bool full = text.size() - (line == std::string::npos ? 0 : line) + name.size() > 84;
  give(last, 0, text + (full ? "\n |> " : " |> ") + name, Pipe);
}

static bool vectorOf(const Val &v, const Dim &size) { return v.rank() == 1 && v.shape[0] == size && v.type == onnx::Type::F32; }

void Body::gemm(const Seen &seen) {
  const Val &b = seen.in[1];
  bool ta = integer(seen, "transA", 0) != 0, tb = integer(seen, "transB", 0) != 0, add = has(seen, 2);
  double alpha = real(seen, "alpha", 1), beta = real(seen, "beta", 1);
  const Dim &columns = b.shape[tb ? 0 : 1];
  if (isFile(b) && b.type == onnx::Type::F32 && !ta && alpha == 1 && (!add || (beta == 1 && isFile(seen.in[2]) && vectorOf(seen.in[2], columns))))
    return linear(seen, in(seen, 0), 1, tb, add ? &seen.in[2] : nullptr, seen);
  std::string left = simple(seen, in(seen, 0)), right = simple(seen, in(seen, 1)), y = fresh(local(seen.scope, "x"));
  const std::string &i = f.letters.at(0), &j = f.letters.at(1), &k = f.letters.at(2);
  auto pair = [](bool turned, const std::string &one, const std::string &other) { return turned ? other + ", " + one : one + ", " + other; };
  statements.push_back(fmt::format("{}[{}, {}] = sum({}: {}[{}] * {}[{}])", y, i, j, k, left, pair(ta, i, k), right, pair(tb, k, j)));
  std::string text = alpha == 1 ? y : fmt::format("{} * {}", y, numberText(alpha));
  if (add)
    text += " + " + use(in(seen, 2), Multiply).text + (beta == 1 ? "" : " * " + numberText(beta));
  give(seen, 0, text, add ? Add : alpha == 1 ? Atom : Multiply);
}

void Body::matmul(const Seen &seen) {
  const Val &a = seen.in[0], &b = seen.in[1], &out = seen.out[0];
  if (isFile(b) && b.rank() == 2 && b.type == onnx::Type::F32 && a.rank() >= 2) {
    // The bias is added next, if there is one.
    const Seen *next = onlyReader(seen.node->outputs[0]);
    if (next && next->node->op == "Add" && next->node->domain.empty() && next->out[0].shape == out.shape)
      for (size_t i = 0; i < 2; ++i)
        if (isFile(next->in[i]) && vectorOf(next->in[i], b.shape[1]) && next->scope == seen.scope) {
          done.insert(next->node);
          return linear(seen, in(seen, 0), 1, false, &next->in[i], *next);
        }
    return linear(seen, in(seen, 0), 1, false, nullptr, seen);
  }
  if (a.rank() < 2 || b.rank() < 2 || out.rank() + 1 > f.letters.size())
    throw Unwritable{"a product with a vector"};
  const std::string &i = f.letters[0], &j = f.letters[1], &k = f.letters[2], *batch = &f.letters[3];
  auto letters = [&](const Val &v, const std::string &rows, const std::string &columns) {
    std::string list;
    size_t shift = out.rank() - v.rank();
    for (size_t d = 0; d + 2 < v.rank(); ++d)
      list += (v.shape[d] == Dim(1) && !(out.shape[d + shift] == Dim(1)) ? "0" : batch[d + shift]) + ", ";
    return list + rows + ", " + columns;
  };
  std::string left = simple(seen, in(seen, 0)), right = simple(seen, in(seen, 1)), y = fresh(local(seen.scope, "x"));
  statements.push_back(fmt::format("{}[{}] = sum({}: {}[{}] * {}[{}])", y, letters(out, i, j), k, left, letters(a, i, k), right,
                                   letters(b, k, j)));
  give(seen, 0, y, Atom);
}

void Body::einsum(const Seen &seen) {
  std::string equation;
  for (char c : word(seen, "equation", ""))
    if (c != ' ')
      equation += c;
  size_t arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos)
    throw Unwritable{"an equation without `->`, or with `...`"};
  // The equation's own letters where no value may be called so, and others for the rest.
  std::map<char, std::string> own;
  std::vector<std::string> others;
  for (const std::string &letter : f.letters)
    if (equation.find(letter) != std::string::npos)
      own[letter[0]] = letter;
    else
      others.push_back(letter);
  for (char c : equation)
    if (isalpha((unsigned char)c) && !own.count(c)) {
      if (others.empty())
        throw Unwritable{"more dimensions than there are letters"};
      own[c] = others.back();
      others.pop_back();
    }
  auto spread = [&](const std::string &letters) {
    std::string out;
    for (char c : letters)
      out += (out.empty() ? "" : ", ") + own.at(c);
    return out;
  };
  std::string result = equation.substr(arrow + 2), factors, over, part;
  size_t i = 0;
  for (char c : equation.substr(0, arrow) + ",") {
    if (c != ',') {
      part += c;
      if (result.find(c) == std::string::npos && over.find(c) == std::string::npos)
        over += c;
      continue;
    }
    factors += (factors.empty() ? "" : " * ") + simple(seen, in(seen, i++)) + "[" + spread(part) + "]";
    part.clear();
  }
  if (result.empty())
    throw Unwritable{"a result without dimensions"};
  std::string y = fresh(local(seen.scope, "x"));
  statements.push_back(fmt::format("{}[{}] = {}", y, spread(result), over.empty() ? factors : fmt::format("sum({}: {})", spread(over), factors)));
  give(seen, 0, y, Atom);
}

} // namespace bigm::writing
