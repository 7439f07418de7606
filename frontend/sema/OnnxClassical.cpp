// Classical pipelines, the domain `ai.onnx.ml`: scalers, linear models and trees as scikit-learn's converter writes them.
//
// A forest is walked in as many steps as its deepest tree has: all records in all trees go down one node at a step, and stay in a
// leaf that they have reached. Classes that have names are given by their number.
#include "OnnxNode.h"
#include <algorithm>

namespace bigm::sema::onnx_import {
namespace {

std::vector<double> realsOf(NodeCall &c, const std::string &name) {
  auto *a = c.attribute(name);
  return a ? std::vector<double>(a->reals.begin(), a->reals.end()) : std::vector<double>();
}

Dim sizeOf(size_t n) { return Dim(int64_t(n)); }

/// Numbers of any kind as f32 [N, F].
Val rows(NodeCall &c) {
  Val x = c.t.cast(c.ranked(1, 2), Type::F32);
  return x.rank() == 1 ? c.t.unsqueeze(x, {0}) : x;
}

Val vector(NodeCall &c, const std::vector<double> &v) { return c.t.reals(v, {sizeOf(v.size())}); }

Vals scaler(NodeCall &c) {
  std::vector<double> offset = realsOf(c, "offset"), scale = realsOf(c, "scale");
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
  std::vector<double> values = realsOf(c, "imputed_value_floats");
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

Val transformed(NodeCall &c, const Val &scores) {
  std::string how = c.text("post_transform", "NONE");
  if (how == "NONE")
    return scores;
  if (how == "SOFTMAX")
    return c.t.softmax(scores, 1, false);
  if (how == "LOGISTIC")
    return c.t.unary(Op::Sigmoid, scores);
  refuse("the transform `" + how + "`");
}

Val affine(NodeCall &c, const std::vector<double> &weights, const std::vector<double> &bias, size_t outputs) {
  Val x = rows(c);
  if (!outputs || weights.size() % outputs || x.shape[1] != sizeOf(weights.size() / outputs))
    refuse(std::to_string(weights.size()) + " coefficients for " + typeText(x));
  Val w = c.t.transpose(c.t.reals(weights, {sizeOf(outputs), sizeOf(weights.size() / outputs)}), {1, 0}), y = c.t.matmul(x, w);
  return bias.empty() ? y : c.t.add(y, vector(c, bias));
}

/// How many classes the model has, and what stands for each: the file's numbers, else 0, 1, ...
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

/// Class and scores. One score for two classes is that of the second; `positive` says that it is a probability.
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
  bool counted = true;
  for (size_t i = 0; i < classes.size(); ++i)
    counted &= classes[i] == sizeOf(i);
  return {counted ? best : t.gather(t.wholes(classes), best), scores};
}

Vals linearRegressor(NodeCall &c) {
  return {transformed(c, affine(c, realsOf(c, "coefficients"), realsOf(c, "intercepts"), size_t(c.integer("targets", 1))))};
}

Vals linearClassifier(NodeCall &c) {
  std::vector<Dim> classes = classesOf(c, "classlabels_ints", "classlabels_strings");
  std::vector<double> bias = realsOf(c, "intercepts");
  return decided(c, affine(c, realsOf(c, "coefficients"), bias, bias.empty() ? classes.size() : bias.size()), classes, false);
}

// ---------------------------------------------------------------- trees

struct Forest {
  std::vector<Dim> feature, yes, no, roots; // yes and no: numbers of nodes; a leaf's are its own
  std::vector<double> value, track;
  std::vector<double> weights; // [nodes, outputs]
  int64_t depth = 0;
  std::string mode;
  std::map<std::pair<int64_t, int64_t>, size_t> place; // tree and node
};

Forest forestOf(NodeCall &c) {
  Forest f;
  auto trees = c.integers("nodes_treeids", {}), nodes = c.integers("nodes_nodeids", {}), features = c.integers("nodes_featureids", {}),
       yes = c.integers("nodes_truenodeids", {}), no = c.integers("nodes_falsenodeids", {}), track = c.integers("nodes_missing_value_tracks_true", {});
  std::vector<double> values = realsOf(c, "nodes_values");
  auto *modes = c.attribute("nodes_modes");
  size_t n = nodes.size();
  if (!modes || trees.size() != n || features.size() != n || yes.size() != n || no.size() != n || values.size() != n || modes->texts.size() != n || !n)
    refuse("lists of nodes that have different lengths");
  for (size_t i = 0; i < n; ++i)
    if (!f.place.emplace(std::pair(trees[i], nodes[i]), i).second)
      refuse("a node that stands twice");
  std::vector<bool> child(n, false);
  auto at = [&](size_t i, int64_t node) {
    auto found = f.place.find({trees[i], node});
    if (found == f.place.end())
      refuse("a branch to a node that is not there");
    child[found->second] = true;
    return found->second;
  };
  std::vector<std::pair<size_t, size_t>> next(n);
  for (size_t i = 0; i < n; ++i) {
    bool leaf = modes->texts[i] == "LEAF";
    if (!leaf && !f.mode.empty() && f.mode != modes->texts[i])
      refuse("comparisons of several kinds");
    if (!leaf)
      f.mode = modes->texts[i];
    next[i] = leaf ? std::pair(i, i) : std::pair(at(i, yes[i]), at(i, no[i]));
    f.feature.push_back(leaf ? Dim(0) : Dim(features[i]));
    f.value.push_back(leaf ? 0 : values[i]);
    f.yes.push_back(sizeOf(next[i].first));
    f.no.push_back(sizeOf(next[i].second));
    f.track.push_back(!leaf && i < track.size() && track[i] ? 1 : 0);
  }
  std::vector<size_t> level;
  for (size_t i = 0; i < n; ++i)
    if (!child[i]) {
      f.roots.push_back(sizeOf(i));
      level.push_back(i);
    }
  if (f.roots.empty())
    refuse("trees without a root");
  for (; !level.empty(); ++f.depth) {
    std::vector<size_t> below;
    for (size_t i : level)
      if (next[i].first != i) {
        below.push_back(next[i].first);
        below.push_back(next[i].second);
      }
    if (f.depth > 1000 || below.size() > n)
      refuse("trees whose branches meet");
    level = std::move(below);
  }
  --f.depth; // steps to the deepest leaf
  return f;
}

/// What the leaves give that a record falls into, summed over all trees: [N, outputs].
Val fallen(NodeCall &c, Forest &f, const std::string &prefix, size_t outputs, const std::vector<int64_t> &ids) {
  Tensors &t = c.t;
  auto trees = c.integers(prefix + "_treeids", {}), nodes = c.integers(prefix + "_nodeids", {});
  std::vector<double> weights = realsOf(c, prefix + "_weights");
  if (trees.size() != weights.size() || nodes.size() != weights.size() || ids.size() != weights.size())
    refuse("lists of leaves that have different lengths");
  f.weights.assign(f.value.size() * outputs, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = f.place.find({trees[i], nodes[i]});
    if (found == f.place.end() || ids[i] < 0 || size_t(ids[i]) >= outputs)
      refuse("a weight of a leaf that is not there");
    f.weights[found->second * outputs + size_t(ids[i])] += weights[i];
  }
  Val x = rows(c);
  int64_t features = t.number(x.shape[1], "the number of features");
  for (const Dim &d : f.feature)
    if (*d.constant() < 0 || *d.constant() >= features)
      refuse("a comparison of a feature that is not there");
  std::vector<Dim> at = {x.shape[0], sizeOf(f.roots.size())};
  Val flat = t.reshape(x, {x.shape[0] * x.shape[1]}), first = t.mul(t.iota(at, 0, Type::I64), t.scalar(double(features), Type::I64));
  Val here = t.broadcast(t.wholes(f.roots), at);
  static const std::map<std::string, Op> modes = {{"BRANCH_LEQ", Op::Le}, {"BRANCH_LT", Op::Lt}, {"BRANCH_GTE", Op::Ge},
                                                  {"BRANCH_GT", Op::Gt}, {"BRANCH_EQ", Op::Eq}, {"BRANCH_NEQ", Op::Ne}};
  auto mode = modes.find(f.mode);
  if (f.depth && mode == modes.end())
    refuse("the comparison `" + f.mode + "`");
  bool tracks = std::find(f.track.begin(), f.track.end(), 1) != f.track.end();
  for (int64_t step = 0; step < f.depth; ++step) {
    Val seen = t.gather(flat, t.add(first, t.gather(t.wholes(f.feature), here)));
    Val holds = t.pointwise(mode->second, {seen, t.gather(vector(c, f.value), here)});
    if (tracks)
      holds = t.pointwise(Op::Or, {holds, t.pointwise(Op::And, {t.pointwise(Op::Ne, {seen, seen}),
                                                                t.compare(Op::Gt, t.gather(vector(c, f.track), here), 0)})});
    here = t.select(holds, t.gather(t.wholes(f.yes), here), t.gather(t.wholes(f.no), here));
  }
  return t.gather(t.reals(f.weights, {sizeOf(f.value.size()), sizeOf(outputs)}), here); // [N, trees, outputs]
}

Val based(NodeCall &c, const Val &scores) {
  std::vector<double> base = realsOf(c, "base_values");
  return base.empty() ? scores : c.t.add(scores, vector(c, base));
}

Vals treeRegressor(NodeCall &c) {
  Forest f = forestOf(c);
  size_t targets = size_t(c.integer("n_targets", 1));
  Val all = fallen(c, f, "target", targets, c.integers("target_ids", {}));
  std::string how = c.text("aggregate_function", "SUM");
  Val one = how == "MIN"   ? c.t.reduce(Op::ReduceMin, all, {1}, false)
            : how == "MAX" ? c.t.reduce(Op::ReduceMax, all, {1}, false)
                           : c.t.sum(all, {1}, false);
  if (how == "AVERAGE")
    one = c.t.div(one, double(f.roots.size()));
  return {transformed(c, based(c, one))};
}

Vals treeClassifier(NodeCall &c) {
  Forest f = forestOf(c);
  std::vector<Dim> classes = classesOf(c, "classlabels_int64s", "classlabels_strings");
  std::vector<int64_t> ids = c.integers("class_ids", {});
  // Two classes may be told by the weights of one.
  bool one = classes.size() == 2 && std::all_of(ids.begin(), ids.end(), [&](int64_t id) { return id == ids[0]; });
  std::vector<double> weights = realsOf(c, "class_weights");
  bool positive = std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0; });
  if (one)
    std::fill(ids.begin(), ids.end(), 0);
  Val scores = based(c, c.t.sum(fallen(c, f, "class", one ? 1 : classes.size(), ids), {1}, false));
  return decided(c, scores, classes, positive && c.text("post_transform", "NONE") == "NONE");
}

} // namespace

void addClassical(Table &t) {
  const std::pair<const char *, Operator> mine[] = {
      {"Scaler", scaler}, {"Normalizer", normalizer}, {"Binarizer", binarizer}, {"Imputer", imputer}, {"ArrayFeatureExtractor", extractor},
      {"FeatureVectorizer", vectorizer}, {"ZipMap", zipMap}, {"LinearRegressor", linearRegressor}, {"LinearClassifier", linearClassifier},
      {"TreeEnsembleRegressor", treeRegressor}, {"TreeEnsembleClassifier", treeClassifier}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kClassical) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
