// Classical pipelines, the domain `ai.onnx.ml`: scalers and linear models as scikit-learn's converter writes them, and what all of
// the domain's operators share.
#include "OnnxClassical.h"
#include <algorithm>
#include <numbers>

namespace bigm::sema::onnx_import {

Val rows(NodeCall &c, Type type) {
  Val x = c.t.cast(c.ranked(1, 2), type);
  return x.rank() == 1 ? c.t.unsqueeze(x, {0}) : x;
}

Val vector(NodeCall &c, const std::vector<double> &v) { return c.t.reals(v, {sizeOf(v.size())}); }

Val transformed(NodeCall &c, const Val &scores, const std::string &how) {
  if (how == "NONE")
    return scores;
  if (how == "SOFTMAX")
    return c.t.softmax(scores, 1, false);
  if (how == "LOGISTIC")
    return c.t.unary(Op::Sigmoid, scores);
  if (how == "SOFTMAX_ZERO") { // a score of zero stays zero
    Val top = c.t.reduce(Op::ReduceMax, scores, {1}, true), e = c.t.unary(Op::Exp, c.t.sub(scores, top));
    e = c.t.select(c.t.compare(Op::Gt, c.t.unary(Op::Abs, scores), 1e-7), e, c.t.mul(scores, c.t.unary(Op::Exp, c.t.unary(Op::Neg, top))));
    return c.t.div(e, c.t.sum(e, {1}, true));
  }
  if (how == "PROBIT") { // by Winitzki's formula for the inverse of erf, which ONNX Runtime has
    Val x = c.t.sub(c.t.mul(scores, 2), 1), log = c.t.unary(Op::Log, c.t.mul(c.t.sub(c.t.scalar(1, x.type), x), c.t.add(x, 1)));
    Val v = c.t.add(c.t.mul(log, 0.5), 2 / (std::numbers::pi * 0.147)), root = c.t.sub(c.t.mul(v, v), c.t.div(log, 0.147));
    Val size = c.t.unary(Op::Sqrt, c.t.mul(c.t.sub(c.t.unary(Op::Sqrt, root), v), 2));
    return c.t.select(c.t.compare(Op::Lt, x, 0), c.t.unary(Op::Neg, size), size);
  }
  refuse("the transform `" + how + "`");
}

std::vector<Dim> classesOf(NodeCall &c, const std::string &ints, const std::string &names) {
  std::vector<Dim> out;
  for (int64_t n : c.integers(ints, {}))
    out.push_back(n);
  if (auto *texts = c.attribute(names); texts && out.empty())
    for (size_t i = 0; i < texts->texts.size(); ++i)
      out.push_back(sizeOf(i));
  if (out.empty())
    refuse("no classes");
  return out;
}

Val labelled(NodeCall &c, const Val &places, const std::vector<Dim> &classes) {
  for (size_t i = 0; i < classes.size(); ++i)
    if (classes[i] != sizeOf(i))
      return c.t.gather(c.t.wholes(classes), places);
  return places;
}

Vals decided(NodeCall &c, Val scores, const std::vector<Dim> &classes, bool positive) {
  Tensors &t = c.t;
  Val best;
  if (classes.size() == 2 && scores.shape[1] == Dim(1)) {
    best = t.cast(t.reshape(t.compare(Op::Gt, scores, positive ? 0.5 : 0), {scores.shape[0]}), Type::I64);
    if (c.text("post_transform", "NONE") == "LOGISTIC") {
      scores = t.unary(Op::Sigmoid, t.concat({t.unary(Op::Neg, scores), scores}, 1));
    } else {
      Val other = positive ? t.sub(t.scalar(1, Type::F32), scores) : t.unary(Op::Neg, scores);
      scores = t.concat({other, scores}, 1);
    }
  } else {
    best = t.argument(Op::ArgMax, scores, 1);
    scores = transformed(c, scores);
  }
  return {labelled(c, best, classes), scores};
}

namespace {

Vals scaler(NodeCall &c) {
  std::vector<double> offset = c.reals("offset"), scale = c.reals("scale");
  Val x = rows(c);
  if (!offset.empty())
    x = c.t.sub(x, vector(c, offset));
  return {scale.empty() ? x : c.t.mul(x, vector(c, scale))};
}

Vals normalizer(NodeCall &c) {
  Val x = rows(c);
  std::string norm = c.text("norm", "MAX");
  if (norm == "L1" || norm == "MAX") {
    Val by = c.t.unary(Op::Abs, x);
    by = norm == "L1" ? c.t.sum(by, {1}, true) : c.t.reduce(Op::ReduceMax, x, {1}, true);
    return {c.t.select(c.t.compare(Op::Ne, by, 0), c.t.div(x, by), x)};
  }
  if (norm != "L2")
    refuse("the norm `" + norm + "`");
  Val by = c.t.unary(Op::Sqrt, c.t.sum(c.t.mul(x, x), {1}, true));
  return {c.t.select(c.t.compare(Op::Ne, by, 0), c.t.div(x, by), x)};
}

Vals binarizer(NodeCall &c) {
  Val x = c.t.cast(c.x(), Type::F32);
  return {c.t.cast(c.t.cast(c.t.compare(Op::Gt, x, c.real("threshold", 0)), Type::F32), c.x().type)};
}

Vals imputer(NodeCall &c) {
  Val x = rows(c);
  std::vector<double> values = c.reals("imputed_value_floats");
  double missing = c.real("replaced_value_float", 0);
  if (values.empty())
    refuse("no values in floating point");
  Val gone = missing != missing ? c.t.pointwise(Op::Ne, {x, x}) : c.t.compare(Op::Eq, x, missing);
  return {c.t.select(gone, values.size() == 1 ? c.t.scalar(values[0], Type::F32) : vector(c, values), x)};
}

Vals extractor(NodeCall &c) {
  const Val &x = c.ranked(1);
  Val ids = c.t.reshape(c.x(1), {product(c.x(1).shape)});
  Val picked = c.t.take(x, ids, x.rank() - 1);
  return {x.rank() == 1 ? c.t.unsqueeze(picked, {0}) : picked};
}

Vals vectorizer(NodeCall &c) {
  Vals parts;
  for (const Val &v : c.in)
    parts.push_back(c.t.cast(v.rank() == 1 ? c.t.unsqueeze(v, {1}) : v, Type::F32));
  if (parts.empty())
    refuse("no operand");
  return {c.t.concat(parts, 1)};
}

/// The probabilities as they are: what a table of names and numbers would hold.
Vals zipMap(NodeCall &c) { return {c.x()}; }

Val affine(NodeCall &c, const std::vector<double> &weights, const std::vector<double> &bias, size_t outputs) {
  Val x = rows(c);
  if (!outputs || weights.size() % outputs || x.shape[1] != sizeOf(weights.size() / outputs))
    refuse(std::to_string(weights.size()) + " coefficients for " + typeText(x));
  Val w = c.t.transpose(c.t.reals(weights, {sizeOf(outputs), sizeOf(weights.size() / outputs)}), {1, 0}), y = c.t.matmul(x, w);
  return bias.empty() ? y : c.t.add(y, vector(c, bias));
}

Vals linearRegressor(NodeCall &c) {
  return {transformed(c, affine(c, c.reals("coefficients"), c.reals("intercepts"), size_t(c.integer("targets", 1))))};
}

Vals linearClassifier(NodeCall &c) {
  std::vector<Dim> classes = classesOf(c, "classlabels_ints", "classlabels_strings");
  std::vector<double> bias = c.reals("intercepts");
  return decided(c, affine(c, c.reals("coefficients"), bias, bias.empty() ? classes.size() : bias.size()), classes, false);
}

} // namespace

void addClassical(Table &t) {
  const std::pair<const char *, Operator> mine[] = {
      {"Scaler", scaler}, {"Normalizer", normalizer}, {"Binarizer", binarizer}, {"Imputer", imputer}, {"ArrayFeatureExtractor", extractor},
      {"FeatureVectorizer", vectorizer}, {"ZipMap", zipMap}, {"LinearRegressor", linearRegressor}, {"LinearClassifier", linearClassifier}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kClassical) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
