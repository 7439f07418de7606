#include "FlowMetrics.h"
#include "runtime/flow/Overlap.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace bigm::driver {
namespace {
using json = FlowMetric::json;
using Box = std::array<double, 4>;

std::string textOf(const data::SourceSpec &s, const char *key) { return s.text(key).value_or(""); }
double numberOf(const data::SourceSpec &s, const char *key, double otherwise) { return s.number(key).value_or(otherwise); }
std::vector<std::string> listOf(const std::string &text) {
  std::vector<std::string> all;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    all.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}
/// What a path of names leads to; null on the way is null.
const json &follow(const json &from, const std::string &path) {
  static const json none;
  const json *at = &from;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    auto found = at->is_object() ? at->find(path.substr(begin, end - begin)) : at->end();
    if (!at->is_object() || found == at->end())
      return none;
    at = &*found;
    begin = end + 1;
  }
  return *at;
}

struct Thing {
  Box box;
  double score = 1;
  std::string label;
  const json *whole = nullptr;
};

/// The lists of boxes that a metric compares.
class BoxMetric : public FlowMetric {
public:
  explicit BoxMetric(const data::SourceSpec &s)
      : answerPath(s.strings.at(0)), truthPath(s.strings.at(1)), box(textOf(s, "box")), trueBox(textOf(s, "true_box")), score(textOf(s, "by")),
        label(textOf(s, "label")), trueLabel(textOf(s, "true_label")) {}

protected:
  /// Boxes that are not finite are null in JSON, and bound nothing.
  static std::vector<Thing> things(const json &list, const std::string &box, const std::string &score, const std::string &label) {
    std::vector<Thing> out;
    for (auto &one : list) {
      Thing t;
      const json &b = one.at(box);
      for (size_t i = 0; i < 4; ++i)
        t.box[i] = b[i].is_number() ? b[i].get<double>() : 0;
      if (!score.empty())
        t.score = one.at(score).is_number() ? one.at(score).get<double>() : -1e300;
      if (!label.empty())
        t.label = one.at(label).dump();
      t.whole = &one;
      out.push_back(t);
    }
    return out;
  }
  std::vector<Thing> found(const json &answer) const { return things(follow(answer, answerPath), box, score, label); }
  std::vector<Thing> truth(const json &record) const { return things(follow(record, truthPath), trueBox, "", trueLabel); }

private:
  std::string answerPath, truthPath, box, trueBox, score, label, trueLabel;
};

/// Mean over classes of the area under the curve of precision over recall.
class AveragePrecision : public BoxMetric {
public:
  /// As Pascal VOC has it since 2010 (every point of the curve, one overlap), or as COCO has it (101 points, 100 things a
  /// record, mean over overlaps of 0.5, 0.55, .. 0.95).
  AveragePrecision(const data::SourceSpec &s, bool coco) : BoxMetric(s), coco(coco) {
    if (!coco)
      overlaps = {numberOf(s, "iou", 0.5)};
    for (int i = 0; coco && i < 10; ++i)
      overlaps.push_back(0.5 + 0.05 * i);
  }

  void add(const json &answer, const json &record, double) override {
    auto seen = found(answer), real = truth(record);
    std::map<std::string, std::pair<std::vector<Thing>, std::vector<Thing>>> byClass;
    for (auto &t : real)
      byClass[t.label].second.push_back(t);
    for (auto &t : seen)
      byClass[t.label].first.push_back(t);
    for (auto &[label, both] : byClass)
      judge(classes[label], std::move(both.first), both.second);
  }

  double value() const override {
    double sum = 0;
    size_t counted = 0;
    for (auto &[label, c] : classes) {
      if (c.truths == 0)
        continue; // its precision says nothing of what there is to find
      ++counted;
      for (size_t i = 0; i < overlaps.size(); ++i)
        sum += area(c, i) / double(overlaps.size());
    }
    return counted ? sum / double(counted) : 0;
  }

private:
  struct Judged {
    double score;
    std::vector<bool> right; // by overlap
  };
  struct Class {
    int64_t truths = 0;
    std::vector<Judged> all;
  };

  void judge(Class &c, std::vector<Thing> seen, const std::vector<Thing> &real) const {
    c.truths += int64_t(real.size());
    std::stable_sort(seen.begin(), seen.end(), [](auto &a, auto &b) { return a.score > b.score; });
    if (coco && seen.size() > 100)
      seen.resize(100);
    size_t first = c.all.size();
    for (auto &s : seen)
      c.all.push_back({s.score, std::vector<bool>(overlaps.size())});
    for (size_t o = 0; o < overlaps.size(); ++o) {
      std::vector<bool> taken(real.size());
      for (size_t i = 0; i < seen.size(); ++i) {
        // VOC asks which thing a box overlaps most, and whether that one is still free; COCO which free one it overlaps most.
        double best = std::min(overlaps[o], 1 - 1e-10);
        size_t which = real.size();
        for (size_t r = 0; r < real.size(); ++r) {
          if (coco && taken[r])
            continue;
          double met = flow::overlap(seen[i].box.data(), real[r].box.data());
          if (coco ? met >= best : (met > best || (which == real.size() && met >= best))) {
            best = met;
            which = r;
          }
        }
        if (which == real.size() || taken[which])
          continue;
        taken[which] = true;
        c.all[first + i].right[o] = true;
      }
    }
  }

  double area(const Class &c, size_t o) const {
    std::vector<size_t> order(c.all.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return c.all[a].score > c.all[b].score; });
    std::vector<double> recall, precision;
    int64_t right = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      right += c.all[order[i]].right[o];
      recall.push_back(double(right) / double(c.truths));
      precision.push_back(double(right) / double(i + 1));
    }
    for (size_t i = precision.size(); i-- > 1;) // what is reached at this recall or beyond
      precision[i - 1] = std::max(precision[i - 1], precision[i]);
    double sum = 0;
    if (coco) {
      for (int p = 0; p <= 100; ++p) {
        auto at = std::lower_bound(recall.begin(), recall.end(), p / 100.0);
        sum += at == recall.end() ? 0 : precision[size_t(at - recall.begin())];
      }
      return sum / 101;
    }
    for (size_t i = 0; i < recall.size(); ++i)
      sum += (recall[i] - (i ? recall[i - 1] : 0)) * precision[i];
    return sum;
  }

  bool coco;
  std::vector<double> overlaps;
  std::map<std::string, Class> classes;
};

/// Precision, recall or their harmonic mean of things whose score is `score` at least: a thing is right when its box
/// overlaps a true one by `iou` and all parts under `same` agree. Boxes choose in the order of their scores, each the free one
/// that it overlaps most.
class Matched : public BoxMetric {
public:
  Matched(const data::SourceSpec &s, std::string what)
      : BoxMetric(s), what(std::move(what)), iou(numberOf(s, "iou", 0.5)), least(numberOf(s, "score", 0)), same(listOf(textOf(s, "same"))) {}

  void add(const json &answer, const json &record, double) override {
    auto seen = found(answer), real = truth(record);
    std::erase_if(seen, [&](auto &t) { return t.score < least; });
    std::stable_sort(seen.begin(), seen.end(), [](auto &a, auto &b) { return a.score > b.score; });
    answers += int64_t(seen.size());
    truths += int64_t(real.size());
    std::vector<bool> taken(real.size());
    for (auto &s : seen) {
      double best = iou;
      size_t which = real.size();
      for (size_t r = 0; r < real.size(); ++r)
        if (double met = flow::overlap(s.box.data(), real[r].box.data()); !taken[r] && met >= best) {
          best = met;
          which = r;
        }
      if (which == real.size())
        continue;
      taken[which] = true;
      right += std::all_of(same.begin(), same.end(), [&](auto &part) { return s.whole->at(part) == real[which].whole->at(part); });
    }
  }
  double value() const override {
    int64_t of = what == "precision" ? answers : what == "recall" ? truths : answers + truths;
    if (of == 0)
      return 1; // nothing to find, and nothing found
    return double(what == "f1" ? 2 * right : right) / double(of);
  }

private:
  std::string what;
  double iou, least;
  std::vector<std::string> same;
  int64_t right = 0, answers = 0, truths = 0;
};

/// How far the number of things found is from the true one, a record.
class CountError : public BoxMetric {
public:
  explicit CountError(const data::SourceSpec &s) : BoxMetric(s), least(numberOf(s, "score", 0)) {}
  void add(const json &answer, const json &record, double) override {
    auto seen = found(answer);
    auto counted = std::count_if(seen.begin(), seen.end(), [&](auto &t) { return t.score >= least; });
    sum += std::abs(double(counted) - double(truth(record).size()));
    ++records;
  }
  double value() const override { return records ? sum / double(records) : 0; }

private:
  double least, sum = 0;
  int64_t records = 0;
};

/// The lowest score such that, of the answers that have it at least, a share of `accuracy` is right; above all scores where
/// there is none.
class Threshold : public FlowMetric {
public:
  explicit Threshold(const data::SourceSpec &s) : paths(s.strings), accuracy(numberOf(s, "accuracy", 0.99)) {}
  void add(const json &answer, const json &truth, double) override {
    const json &score = follow(answer, paths.at(0));
    if (score.is_number())
      seen.emplace_back(score.get<double>(), follow(answer, paths.at(1)) == follow(truth, paths.at(2)));
  }
  double value() const override {
    auto sorted = seen;
    std::stable_sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) { return a.first > b.first; });
    double bound = sorted.empty() ? 1 : std::nextafter(sorted[0].first, 1e300);
    size_t right = 0;
    for (size_t i = 0; i < sorted.size(); ++i) {
      right += sorted[i].second;
      bool last = i + 1 == sorted.size() || sorted[i + 1].first < sorted[i].first; // equal scores stand or fall together
      if (last && double(right) >= accuracy * double(i + 1))
        bound = sorted[i].first;
    }
    return bound;
  }

private:
  std::vector<std::string> paths;
  double accuracy;
  std::vector<std::pair<double, bool>> seen;
};

/// The mean of a number that a record and its answer give; records where there is none are left out.
class Mean : public FlowMetric {
public:
  using Read = std::optional<double> (*)(const data::SourceSpec &, const json &answer, const json &truth, double milliseconds);
  Mean(const data::SourceSpec &s, Read read) : spec(s), read(read) {}
  void add(const json &answer, const json &truth, double milliseconds) override {
    if (auto number = read(spec, answer, truth, milliseconds)) {
      sum += *number;
      ++count;
    }
  }
  double value() const override { return count ? sum / double(count) : 0; }

private:
  data::SourceSpec spec;
  Read read;
  double sum = 0;
  int64_t count = 0;
};

std::optional<double> sameAs(const data::SourceSpec &s, const json &answer, const json &truth, double) {
  return follow(answer, s.strings.at(0)) == follow(truth, s.strings.at(1));
}
std::optional<double> distance(const data::SourceSpec &s, const json &answer, const json &truth, double) {
  const json &a = follow(answer, s.strings.at(0)), &t = follow(truth, s.strings.at(1));
  return a.is_number() && t.is_number() ? std::optional(std::abs(a.get<double>() - t.get<double>())) : std::nullopt;
}
std::optional<double> numberAt(const data::SourceSpec &s, const json &answer, const json &, double) {
  const json &v = follow(answer, s.strings.at(0));
  if (v.is_boolean())
    return v.get<bool>();
  return v.is_number() ? std::optional(v.get<double>()) : std::nullopt;
}
std::optional<double> isThere(const data::SourceSpec &s, const json &answer, const json &, double) {
  const json &v = follow(answer, s.strings.at(0));
  return v.is_boolean() ? v.get<bool>() : !v.is_null();
}
std::optional<double> duration(const data::SourceSpec &, const json &, const json &, double milliseconds) { return milliseconds; }

} // namespace

std::unique_ptr<FlowMetric> makeFlowMetric(const MetricProgram &metric) {
  const data::SourceSpec &s = metric.host;
  if (s.name == "average_precision" || s.name == "coco_average_precision")
    return std::make_unique<AveragePrecision>(s, s.name[0] == 'c');
  if (s.name == "precision" || s.name == "recall" || s.name == "f1")
    return std::make_unique<Matched>(s, s.name);
  if (s.name == "count_error")
    return std::make_unique<CountError>(s);
  if (s.name == "threshold")
    return std::make_unique<Threshold>(s);
  static const std::map<std::string, Mean::Read> means = {{"accuracy", sameAs}, {"mean_absolute_error", distance}, {"mean", numberAt}, {"share", isThere}, {"milliseconds", duration}};
  if (auto mean = means.find(s.name); mean != means.end())
    return std::make_unique<Mean>(s, mean->second);
  throw std::runtime_error(fmt::format("bug in bigmc: there is no metric `{}`", s.name));
}

} // namespace bigm::driver
