// Support vectors of the domain `ai.onnx.ml`, as libsvm computes with them.
//
// Classes are told apart two by two. The sums of all pairs are one product: each support vector has a coefficient for every pair
// that its class is in. Probabilities are those of Wu, Lin and Weng (2004), "Probability estimates for multi-class classification by
// pairwise coupling", in libsvm's hundred rounds, each of which changes nothing once it is near enough.
#include "OnnxClassical.h"
#include <cmath>
#include <tuple>

namespace bigm::sema::onnx_import {
namespace {

/// The kernel between records [N, F] and `count` vectors: [N, count].
Val kernels(NodeCall &c, const std::string &kind, const std::vector<double> &vectors, size_t count) {
  Tensors &t = c.t;
  Val x = rows(c);
  if (!count || vectors.size() % count || x.shape[1] != sizeOf(vectors.size() / count))
    refuse(std::to_string(count) + " vectors of " + std::to_string(vectors.size()) + " numbers in all for " + typeText(x));
  std::vector<double> numbers = c.reals("kernel_params");
  numbers.resize(3);
  auto [gamma, shift, degree] = std::tuple(numbers[0], numbers[1], numbers[2]);
  Val all = t.reals(vectors, {sizeOf(count), x.shape[1]});
  if (kind == "RBF") {
    Val apart = t.sub(t.unsqueeze(x, {1}), t.unsqueeze(all, {0}));
    return t.unary(Op::Exp, t.mul(t.sum(t.mul(apart, apart), {2}, false), -gamma));
  }
  Val dot = t.matmul(x, t.transpose(all, {1, 0}));
  if (kind == "LINEAR")
    return dot;
  dot = t.add(t.mul(dot, gamma), shift);
  if (kind == "SIGMOID")
    return t.unary(Op::Tanh, dot);
  if (kind != "POLY")
    refuse("the kernel `" + kind + "`");
  if (degree != std::floor(degree) || degree < 1 || degree > 16)
    return t.pointwise(Op::Pow, {dot, t.scalar(degree, Type::F32)});
  Val power = dot;
  for (int i = 1; i < int(degree); ++i)
    power = t.mul(power, dot);
  return power;
}

Vals regressor(NodeCall &c) {
  Tensors &t = c.t;
  std::vector<double> weights = c.reals("coefficients"), vectors = c.reals("support_vectors"), rho = c.reals("rho");
  int64_t count = c.integer("n_supports", 0);
  if (rho.empty() || count < 0 || (count && weights.size() != size_t(count)) || c.text("post_transform", "NONE") != "NONE")
    refuse("coefficients or `rho` that do not fit, or a transform");
  Val y = count ? t.matmul(kernels(c, c.text("kernel_type", "LINEAR"), vectors, size_t(count)), t.reals(weights, {Dim(count), Dim(1)}))
                : kernels(c, "LINEAR", weights, 1);
  y = t.add(y, rho[0]);
  if (c.integer("one_class", 0))
    y = t.sub(t.mul(t.cast(t.compare(Op::Gt, y, 0), Type::F32), 2), 1);
  return {y};
}

// ---------------------------------------------------------------- classes

/// All pairs of classes: (0, 1), (0, 2), ..., (1, 2), ...
std::vector<std::pair<size_t, size_t>> pairsOf(size_t classes) {
  std::vector<std::pair<size_t, size_t>> out;
  for (size_t i = 0; i < classes; ++i)
    for (size_t j = i + 1; j < classes; ++j)
      out.emplace_back(i, j);
  return out;
}

/// For each pair, its sum over the support vectors of both classes: [N, pairs].
Val sums(NodeCall &c, const std::vector<int64_t> &each, const std::vector<double> &rho) {
  std::vector<double> weights = c.reals("coefficients");
  std::vector<size_t> first = {0};
  for (int64_t n : each) {
    if (n < 0)
      refuse("a negative number of vectors");
    first.push_back(first.back() + size_t(n));
  }
  auto pairs = pairsOf(each.size());
  size_t count = first.back();
  if (weights.size() < (each.size() - 1) * count || rho.size() < pairs.size())
    refuse("coefficients or `rho` for fewer classes than there are");
  std::vector<double> matrix(count * pairs.size());
  for (size_t p = 0; p < pairs.size(); ++p) {
    auto [i, j] = pairs[p]; // a class has one row of coefficients for each other one
    for (size_t m = first[i]; m < first[i + 1]; ++m)
      matrix[m * pairs.size() + p] = weights[(j - 1) * count + m];
    for (size_t m = first[j]; m < first[j + 1]; ++m)
      matrix[m * pairs.size() + p] = weights[i * count + m];
  }
  Val all = kernels(c, c.text("kernel_type", "LINEAR"), c.reals("support_vectors"), count);
  return c.t.add(c.t.matmul(all, c.t.reals(matrix, {sizeOf(count), sizeOf(pairs.size())})),
                 vector(c, {rho.begin(), rho.begin() + int64_t(pairs.size())}));
}

/// Over pairs [N, pairs]: what they give for the first of each is `one`, for the second `other` less that, at `at(i, j)` of `width`.
template <class At> Val spread(NodeCall &c, const Val &pairs, size_t classes, size_t width, At at) {
  auto list = pairsOf(classes);
  std::vector<double> matrix(list.size() * width), rest(width);
  for (size_t p = 0; p < list.size(); ++p) {
    auto [i, j] = list[p];
    matrix[p * width + at(i, j)] += 1;
    matrix[p * width + at(j, i)] -= 1;
    rest[at(j, i)] += 1;
  }
  return c.t.add(c.t.matmul(pairs, c.t.reals(matrix, {sizeOf(list.size()), sizeOf(width)})), vector(c, rest));
}

/// Probabilities [N, K] such that those of all pairs fit best.
Val coupled(NodeCall &c, const Val &pairs, size_t k) {
  Tensors &t = c.t;
  const Dim n = pairs.shape[0], width = sizeOf(k);
  Val r = t.reshape(spread(c, pairs, k, k * k, [&](size_t i, size_t j) { return i * k + j; }), {n, width, width});
  // The probability is 1 less that of the other, which has no place on the diagonal.
  std::vector<double> unit(k * k);
  for (size_t i = 0; i < k; ++i)
    unit[i * k + i] = 1;
  Val eye = t.reals(unit, {width, width}), turned = t.transpose(r, {0, 2, 1});
  Val diagonal = t.sum(t.mul(r, r), {1}, false); // [N, K]
  Val q = t.sub(t.mul(t.unsqueeze(diagonal, {2}), eye), t.mul(r, turned));
  const Val start = t.broadcast(t.scalar(1 / double(k), Type::F32), {n, width});
  q = t.recorded(t.use(q), Type::F32);
  auto column = [&](const Val &v, size_t i) { return t.slice(v, 1, Dim(int64_t(i)), 1); };
  auto row = [&](size_t i) { return t.squeeze(t.slice(q, 1, Dim(int64_t(i)), 1), {1}); };
  return t.scan({start}, {}, 100, false, [&](const Vals &states, const Vals &) -> Vals {
    const Val &before = states[0];
    Val p = before, qp = t.sum(t.mul(q, t.unsqueeze(p, {1})), {2}, false), pqp = t.sum(t.mul(p, qp), {1}, true);
    Val error = t.reduce(Op::ReduceMax, t.unary(Op::Abs, t.sub(qp, pqp)), {1}, true);
    for (size_t i = 0; i < k; ++i) {
      Val own = column(diagonal, i), by = t.div(t.sub(pqp, column(qp, i)), own), scale = t.add(by, 1);
      pqp = t.div(t.div(t.add(pqp, t.mul(by, t.add(t.mul(by, own), t.mul(column(qp, i), 2)))), scale), scale);
      p = t.div(t.add(p, t.mul(by, t.squeeze(t.slice(eye, 0, Dim(int64_t(i)), 1), {0}))), scale);
      qp = t.div(t.add(qp, t.mul(by, row(i))), scale);
    }
    return {t.select(t.compare(Op::Lt, error, 0.005f / float(k)), before, p)};
  })[0];
}

Vals classifier(NodeCall &c) {
  Tensors &t = c.t;
  std::vector<Dim> classes = classesOf(c, "classlabels_ints", "classlabels_strings");
  std::vector<int64_t> each = c.integers("vectors_per_class", {});
  std::vector<double> rho = c.reals("rho"), a = c.reals("prob_a"), b = c.reals("prob_b");
  size_t k = classes.size();
  if (rho.empty())
    refuse("no `rho`");
  if (each.empty()) { // one row of coefficients for each class
    Val scores = t.add(kernels(c, "LINEAR", c.reals("coefficients"), k), rho[0]);
    return {labelled(c, t.argument(Op::ArgMax, scores, 1), classes), transformed(c, scores)};
  }
  if (each.size() != k || k < 2)
    refuse(std::to_string(each.size()) + " groups of vectors for " + std::to_string(k) + " classes");
  Val scores = sums(c, each, rho);
  Val wins = t.cast(t.compare(Op::Gt, scores, 0), Type::F32);
  Val votes = spread(c, wins, k, k, [](size_t i, size_t) { return i; });
  Val label = labelled(c, t.argument(Op::ArgMax, votes, 1), classes);
  if (!a.empty()) {
    size_t pairs = pairsOf(k).size();
    if (a.size() < pairs || b.size() < pairs)
      refuse("`prob_a` or `prob_b` for fewer classes than there are");
    a.resize(pairs);
    b.resize(pairs);
    Val one = t.unary(Op::Sigmoid, t.unary(Op::Neg, t.add(t.mul(scores, vector(c, a)), vector(c, b))));
    return {label, transformed(c, coupled(c, t.min(t.max(one, 1e-7f), 1 - 1e-7f), k))};
  }
  if (k > 2)
    return {label, transformed(c, scores)};
  // One score for two classes: of the second it is that, of the first its opposite.
  bool plain = c.text("post_transform", "NONE") == "NONE";
  return {label, t.concat({plain ? t.unary(Op::Neg, scores) : t.sub(t.scalar(1, Type::F32), scores), scores}, 1)};
}

} // namespace

void addSupportVectors(Table &t) {
  t.emplace(std::string(kClassical) + ".SVMRegressor", regressor);
  t.emplace(std::string(kClassical) + ".SVMClassifier", classifier);
}

} // namespace bigm::sema::onnx_import
