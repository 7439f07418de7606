// Trees of the domain `ai.onnx.ml`.
//
// A forest is walked in as many steps as its deepest tree has: all records in all trees go down one node at a step, and stay in a
// leaf that they have reached. Classes that have names are given by their number.
#include "OnnxClassical.h"
#include <algorithm>

namespace bigm::sema::onnx_import {
namespace {

struct Forest {
  std::vector<Dim> feature, yes, no, roots; // yes and no: numbers of nodes; a leaf's are its own
  std::vector<double> value, track;
  std::vector<std::string> mode;
  std::vector<double> weights; // [nodes, outputs]
  std::map<std::pair<int64_t, int64_t>, size_t> place; // tree and node

  size_t add(const std::string &how, int64_t of, double than, bool missing) {
    mode.push_back(how);
    feature.push_back(of);
    value.push_back(than);
    track.push_back(missing);
    yes.push_back(sizeOf(yes.size()));
    no.push_back(yes.back());
    return mode.size() - 1;
  }
  size_t leaf() { return add("LEAF", 0, 0, false); }
};

/// Steps from the roots to the deepest leaf.
int64_t depthOf(const Forest &f) {
  std::vector<size_t> level;
  for (const Dim &root : f.roots)
    level.push_back(size_t(*root.constant()));
  if (level.empty())
    refuse("trees without a root");
  int64_t depth = -1;
  for (; !level.empty(); ++depth) {
    std::vector<size_t> below;
    for (size_t i : level)
      if (f.mode[i] != "LEAF") {
        below.push_back(size_t(*f.yes[i].constant()));
        below.push_back(size_t(*f.no[i].constant()));
      }
    if (depth > 1000 || below.size() > f.mode.size())
      refuse("trees whose branches meet");
    level = std::move(below);
  }
  return depth;
}

Forest forestOf(NodeCall &c) {
  Forest f;
  auto trees = c.integers("nodes_treeids", {}), nodes = c.integers("nodes_nodeids", {}), features = c.integers("nodes_featureids", {}),
       yes = c.integers("nodes_truenodeids", {}), no = c.integers("nodes_falsenodeids", {}), track = c.integers("nodes_missing_value_tracks_true", {});
  std::vector<double> values = c.reals("nodes_values");
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
    return sizeOf(found->second);
  };
  for (size_t i = 0; i < n; ++i) {
    if (modes->texts[i] == "LEAF") {
      f.leaf();
      continue;
    }
    f.add(modes->texts[i], features[i], values[i], i < track.size() && track[i]);
    f.yes[i] = at(i, yes[i]);
    f.no[i] = at(i, no[i]);
  }
  for (size_t i = 0; i < n; ++i)
    if (!child[i])
      f.roots.push_back(sizeOf(i));
  return f;
}

/// What the node says that its leaves give, of `outputs` numbers each.
void weigh(NodeCall &c, Forest &f, const std::string &prefix, size_t outputs, const std::vector<int64_t> &ids) {
  auto trees = c.integers(prefix + "_treeids", {}), nodes = c.integers(prefix + "_nodeids", {});
  std::vector<double> weights = c.reals(prefix + "_weights");
  if (trees.size() != weights.size() || nodes.size() != weights.size() || ids.size() != weights.size())
    refuse("lists of leaves that have different lengths");
  f.weights.assign(f.mode.size() * outputs, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = f.place.find({trees[i], nodes[i]});
    if (found == f.place.end() || ids[i] < 0 || size_t(ids[i]) >= outputs)
      refuse("a weight of a leaf that is not there");
    f.weights[found->second * outputs + size_t(ids[i])] += weights[i];
  }
}

/// What the leaves give that a record falls into: [N, trees, outputs].
Val fallen(NodeCall &c, const Forest &f, size_t outputs, Type type = Type::F32) {
  Tensors &t = c.t;
  Type seenAs = c.x().type == Type::F64 ? Type::F64 : Type::F32;
  Val x = rows(c, seenAs);
  int64_t features = t.number(x.shape[1], "the number of features"), depth = depthOf(f);
  for (const Dim &d : f.feature)
    if (*d.constant() < 0 || *d.constant() >= features)
      refuse("a comparison of a feature that is not there");
  std::vector<Dim> at = {x.shape[0], sizeOf(f.roots.size())};
  Val flat = t.reshape(x, {x.shape[0] * x.shape[1]}), first = t.mul(t.iota(at, 0, Type::I64), t.scalar(double(features), Type::I64));
  Val here = t.broadcast(t.wholes(f.roots), at);
  static const std::vector<std::pair<std::string, Op>> modes = {{"BRANCH_LEQ", Op::Le}, {"BRANCH_LT", Op::Lt}, {"BRANCH_GTE", Op::Ge},
                                                                {"BRANCH_GT", Op::Gt}, {"BRANCH_EQ", Op::Eq}, {"BRANCH_NEQ", Op::Ne}};
  std::vector<std::pair<std::string, Op>> used;
  size_t known = size_t(std::count(f.mode.begin(), f.mode.end(), "LEAF"));
  for (auto &mode : modes)
    if (auto n = std::count(f.mode.begin(), f.mode.end(), mode.first)) {
      used.push_back(mode);
      known += size_t(n);
    }
  if (known != f.mode.size())
    refuse("a comparison that is not known");
  auto reals = [&](const std::vector<double> &v) { return t.reals(v, {sizeOf(v.size())}, seenAs); };
  bool tracks = std::find(f.track.begin(), f.track.end(), 1) != f.track.end();
  for (int64_t step = 0; step < depth; ++step) {
    Val seen = t.gather(flat, t.add(first, t.gather(t.wholes(f.feature), here))), than = t.gather(reals(f.value), here), holds;
    for (auto &[name, op] : used) {
      Val now = t.pointwise(op, {seen, than});
      std::vector<Dim> mine;
      for (auto &mode : f.mode)
        mine.push_back(mode == name);
      holds = holds.some() ? t.select(t.compare(Op::Gt, t.gather(t.wholes(mine), here), 0), now, holds) : now;
    }
    if (tracks)
      holds = t.pointwise(Op::Or, {holds, t.pointwise(Op::And, {t.pointwise(Op::Ne, {seen, seen}),
                                                                t.compare(Op::Gt, t.gather(reals(f.track), here), 0)})});
    here = t.select(holds, t.gather(t.wholes(f.yes), here), t.gather(t.wholes(f.no), here));
  }
  return t.gather(t.reals(f.weights, {sizeOf(f.mode.size()), sizeOf(outputs)}, type), here);
}

Val aggregated(NodeCall &c, const Forest &f, const Val &all, const std::string &how) {
  if (how == "MIN" || how == "MAX")
    return c.t.reduce(how == "MIN" ? Op::ReduceMin : Op::ReduceMax, all, {1}, false);
  if (how != "SUM" && how != "AVERAGE")
    refuse("the aggregation `" + how + "`");
  Val sum = c.t.sum(all, {1}, false);
  return how == "SUM" ? sum : c.t.div(sum, double(f.roots.size()));
}

Val based(NodeCall &c, const Val &scores) {
  std::vector<double> base = c.reals("base_values");
  return base.empty() ? scores : c.t.add(scores, vector(c, base));
}

Vals treeRegressor(NodeCall &c) {
  Forest f = forestOf(c);
  size_t targets = size_t(c.integer("n_targets", 1));
  weigh(c, f, "target", targets, c.integers("target_ids", {}));
  return {transformed(c, based(c, aggregated(c, f, fallen(c, f, targets), c.text("aggregate_function", "SUM"))))};
}

/// The operator that replaced the two others in version 5: leaves stand in lists of their own.
Vals treeEnsemble(NodeCall &c) {
  Tensors &t = c.t;
  auto numbers = [&](const char *name) {
    auto *a = c.attribute(name);
    if (!a || !a->tensor)
      refuse(std::string("`") + name + "` is left out");
    return t.doubles(t.fromFile(a->tensor, true), name);
  };
  auto roots = c.integers("tree_roots", {}), features = c.integers("nodes_featureids", {}), yes = c.integers("nodes_truenodeids", {}),
       no = c.integers("nodes_falsenodeids", {}), yesLeaf = c.integers("nodes_trueleafs", {}), noLeaf = c.integers("nodes_falseleafs", {}),
       track = c.integers("nodes_missing_value_tracks_true", {}), ids = c.integers("leaf_targetids", {});
  std::vector<double> splits = numbers("nodes_splits"), modes = numbers("nodes_modes"), weights = numbers("leaf_weights"), members;
  if (c.attribute("membership_values"))
    members = numbers("membership_values");
  size_t n = features.size(), targets = size_t(c.integer("n_targets", 1));
  if (!n || splits.size() != n || modes.size() != n || yes.size() != n || no.size() != n || yesLeaf.size() != n || noLeaf.size() != n ||
      ids.size() != weights.size() || !targets || targets > (1 << 20))
    refuse("lists of nodes or leaves that have different lengths");
  static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_EQ"};
  Forest f;
  for (size_t i = 0; i < n; ++i) {
    if (modes[i] < 0 || modes[i] > 6)
      refuse("a comparison that is not known");
    f.add(names[size_t(modes[i])], features[i], splits[i], i < track.size() && track[i]);
  }
  for (size_t i = 0; i < weights.size(); ++i)
    f.leaf();
  auto place = [&](int64_t to, bool leaf) {
    if (to < 0 || size_t(to) >= (leaf ? weights.size() : n))
      refuse("a branch to a node that is not there");
    return sizeOf(size_t(to) + (leaf ? n : 0));
  };
  size_t member = 0;
  for (size_t i = 0; i < n; ++i) {
    Dim taken = place(yes[i], yesLeaf[i]), other = place(no[i], noLeaf[i]);
    size_t last = i;
    if (modes[i] == 6) // one of several numbers, whose list ends with none: one comparison after the other
      for (bool start = true; member < members.size(); ++member, start = false) {
        if (members[member] != members[member]) {
          ++member;
          break;
        }
        if (start) {
          f.value[i] = members[member];
          continue;
        }
        f.yes[last] = taken;
        size_t next = f.add("BRANCH_EQ", features[i], members[member], f.track[i] != 0);
        f.no[last] = sizeOf(next);
        last = next;
      }
    f.yes[last] = taken;
    f.no[last] = other;
  }
  for (int64_t root : roots)
    f.roots.push_back(place(root, false));
  f.weights.assign(f.mode.size() * targets, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (ids[i] < 0 || size_t(ids[i]) >= targets)
      refuse("a weight of a target that is not there");
    f.weights[(n + i) * targets + size_t(ids[i])] += weights[i];
  }
  static const char *const how[] = {"AVERAGE", "SUM", "MIN", "MAX"},
                    *const after[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  int64_t sum = c.integer("aggregate_function", 1), transform = c.integer("post_transform", 0);
  if (sum < 0 || sum > 3 || transform < 0 || transform > 4)
    refuse("an aggregation or a transform that is not known");
  Val all = fallen(c, f, targets, c.attribute("leaf_weights")->tensor->type);
  return {transformed(c, aggregated(c, f, all, how[sum]), after[transform])};
}

Vals treeClassifier(NodeCall &c) {
  Forest f = forestOf(c);
  std::vector<Dim> classes = classesOf(c, "classlabels_int64s", "classlabels_strings");
  std::vector<int64_t> ids = c.integers("class_ids", {});
  // Two classes may be told by the weights of one.
  bool one = classes.size() == 2 && std::all_of(ids.begin(), ids.end(), [&](int64_t id) { return id == ids[0]; });
  std::vector<double> weights = c.reals("class_weights");
  bool positive = std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0; });
  if (one)
    std::fill(ids.begin(), ids.end(), 0);
  size_t outputs = one ? 1 : classes.size();
  weigh(c, f, "class", outputs, ids);
  Val scores = based(c, c.t.sum(fallen(c, f, outputs), {1}, false));
  return decided(c, scores, classes, positive && c.text("post_transform", "NONE") == "NONE");
}

} // namespace

void addTrees(Table &t) {
  const std::pair<const char *, Operator> mine[] = {
      {"TreeEnsembleRegressor", treeRegressor}, {"TreeEnsembleClassifier", treeClassifier},
      {"TreeEnsemble", treeEnsemble}};
  for (auto &[name, op] : mine)
    t.emplace(std::string(kClassical) + "." + name, op);
}

} // namespace bigm::sema::onnx_import
