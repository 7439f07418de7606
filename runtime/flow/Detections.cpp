// Greedy non-maximum suppression: the box with the largest score stays, and what overlaps it by more than `iou` goes; class
// by class. With `soft`, nothing goes at once: each overlap lowers a score by exp(-iou^2 / soft) (Bodla et al., Soft-NMS,
// 2017), until it is below `score`.
#include "Operations.h"
#include "Overlap.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace bigm::flow {
namespace {

struct Found {
  int64_t anchor;
  int32_t label;
  float score;
};

/// Finite, and with an area; nothing else can be told apart or cut out.
bool sound(const float *b) {
  return std::isfinite(b[0]) && std::isfinite(b[1]) && std::isfinite(b[2]) && std::isfinite(b[3]) && b[2] > b[0] && b[3] > b[1];
}

struct Rule {
  float score, iou, soft;
  size_t most;
};

void greedy(std::vector<Found> &candidates, const float *boxes, const Rule &rule, std::vector<Found> &kept) {
  std::stable_sort(candidates.begin(), candidates.end(), [](auto &a, auto &b) { return a.score > b.score; });
  size_t before = kept.size();
  for (auto &c : candidates) {
    // The best `most` of all classes are kept in the end, so no class needs more.
    if (kept.size() - before >= rule.most)
      break;
    bool stays = true;
    for (size_t k = before; k < kept.size() && stays; ++k)
      stays = overlap(boxes + 4 * c.anchor, boxes + 4 * kept[k].anchor) <= rule.iou;
    if (stays)
      kept.push_back(c);
  }
}

void softly(std::vector<Found> candidates, const float *boxes, const Rule &rule, std::vector<Found> &kept) {
  for (size_t n = 0; !candidates.empty() && n < rule.most; ++n) {
    auto best = std::max_element(candidates.begin(), candidates.end(), [](auto &a, auto &b) { return a.score < b.score; });
    Found chosen = *best;
    candidates.erase(best);
    kept.push_back(chosen);
    for (auto &c : candidates) {
      float o = overlap(boxes + 4 * c.anchor, boxes + 4 * chosen.anchor);
      c.score *= std::exp(-o * o / rule.soft);
    }
    std::erase_if(candidates, [&](auto &c) { return !(c.score > rule.score); });
  }
}

} // namespace

void suppress(const Step &s, Slots &slots, const Surroundings &) {
  const data::Tensor &boxes = slots.tensors.at(s.inputs[0]), &scores = slots.tensors.at(s.inputs[1]);
  int64_t rows = boxes.shape[0], anchors = boxes.shape[1], classes = scores.shape.size() == 3 ? scores.shape[2] : 1;
  Rule rule{float(s.number("score", 0.5)), float(s.number("iou", 0.45)), float(s.number("soft", 0)), size_t(s.number("at_most", 100))};
  std::vector<int32_t> numbers;
  std::vector<Found> all;
  for (int64_t n = 0; n < rows; ++n) {
    const float *box = boxes.as<float>() + n * anchors * 4, *score = scores.as<float>() + n * anchors * classes;
    std::vector<Found> kept, candidates;
    for (int64_t c = 0; c < classes; ++c) {
      candidates.clear();
      for (int64_t a = 0; a < anchors; ++a)
        if (score[a * classes + c] > rule.score && sound(box + 4 * a))
          candidates.push_back({a, int32_t(c), score[a * classes + c]});
      if (rule.soft > 0)
        softly(candidates, box, rule, kept);
      else
        greedy(candidates, box, rule, kept);
    }
    std::stable_sort(kept.begin(), kept.end(), [](auto &a, auto &b) { return a.score > b.score; });
    if (kept.size() > rule.most)
      kept.resize(rule.most);
    for (auto &k : kept) {
      numbers.push_back(int32_t(n));
      all.push_back({k.anchor + n * anchors, k.label, k.score});
    }
  }
  int64_t found = int64_t(all.size());
  data::Tensor of(data::Elem::I32, {found}), where(data::Elem::F32, {found, 4}), how(data::Elem::F32, {found}), what(data::Elem::I32, {found});
  for (int64_t i = 0; i < found; ++i) {
    of.as<int32_t>()[i] = numbers[size_t(i)];
    std::copy_n(boxes.as<float>() + all[size_t(i)].anchor * 4, 4, where.as<float>() + 4 * i);
    how.as<float>()[i] = all[size_t(i)].score;
    what.as<int32_t>()[i] = all[size_t(i)].label;
  }
  slots.tensors[s.outputs[0]] = std::move(of);
  slots.tensors[s.outputs[1]] = std::move(where);
  slots.tensors[s.outputs[2]] = std::move(how);
  if (s.outputs.size() > 3)
    slots.tensors[s.outputs[3]] = std::move(what);
}

} // namespace bigm::flow
