#include "FitSettings.h"
#include "FlowMetrics.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

namespace bigm::driver {
namespace {
using json = FlowMetric::json;

constexpr size_t kMostTries = 8; // values that are measured once more

class Search {
public:
  Search(FlowHost &host, const EvaluateProgram &evaluate, const SettingFit &fit)
      : host(host), evaluate(evaluate), fit(fit), records(host, evaluate, evaluate.split), answers(records.count()) {
    auto &tensors = host.session().program().tensors;
    tensor = int32_t(std::find_if(tensors.begin(), tensors.end(), [&](auto &t) { return t.name == fit.tensor; }) - tensors.begin());
    before = *static_cast<const float *>(bigm_model_data(host.session().model(), tensor));
  }

  FittedSetting run() {
    if (records.count() == 0)
      data::fail("`{}` is fitted on {}.{}, which has no records", fit.name, evaluate.data, evaluate.split);
    try {
      ask();
      judge();
      return choose();
    } catch (...) {
      write(before);
      throw;
    }
  }

private:
  /// One of the values, from 0 to fit.steps.
  using Place = int64_t;
  struct Judged {
    Place place;
    std::vector<double> metrics; // beside evaluate.metrics
  };

  double valueAt(Place place) const { return fit.from + (fit.to - fit.from) * double(place) / double(fit.steps); }
  void write(float value) { expect(bigm_model_write(host.session().model(), tensor, &value, sizeof value)); }
  void askAt(Place place, const std::vector<size_t> &which) {
    write(float(valueAt(place)));
    records.answer(which, [&](size_t record, json answer, double) { answers[record][place] = std::move(answer); });
  }

  /// Halves every stretch of values over which a record's answer changes, until it is known where.
  void ask() {
    std::vector<size_t> all(records.count());
    std::iota(all.begin(), all.end(), size_t(0));
    askAt(0, all);
    askAt(fit.steps, all);
    struct Stretch {
      size_t record;
      Place low, high;
    };
    std::vector<Stretch> open;
    auto look = [&](size_t record, Place low, Place high) {
      if (high - low > 1 && answers[record].at(low) != answers[record].at(high))
        open.push_back({record, low, high});
    };
    for (size_t record : all)
      look(record, 0, fit.steps);
    while (!open.empty()) {
      std::map<Place, std::vector<size_t>> asked;
      for (auto &s : open)
        asked[(s.low + s.high) / 2].push_back(s.record);
      for (auto &[place, which] : asked)
        askAt(place, which);
      for (auto &s : std::exchange(open, {})) {
        Place middle = (s.low + s.high) / 2;
        look(s.record, s.low, middle);
        look(s.record, middle, s.high);
      }
    }
    // Answers that go on unchanged need not be kept twice.
    for (auto &known : answers)
      for (auto at = std::next(known.begin()); at != known.end();)
        at = at->second == std::prev(at)->second ? known.erase(at) : std::next(at);
  }

  /// The metrics at each value where some answer changes; between such values nothing does.
  void judge() {
    std::set<Place> places;
    for (auto &known : answers)
      for (auto &[place, answer] : known)
        places.insert(place);
    std::vector<json> truths;
    for (size_t record = 0; record < records.count(); ++record)
      truths.push_back(records.truth(record));
    for (Place place : places) {
      std::vector<std::unique_ptr<FlowMetric>> metrics;
      for (auto &m : evaluate.metrics)
        metrics.push_back(makeFlowMetric(m));
      for (size_t record = 0; record < records.count(); ++record)
        for (auto &m : metrics)
          m->add(std::prev(answers[record].upper_bound(place))->second, truths[record], 0);
      Judged j{place, {}};
      for (auto &m : metrics)
        j.metrics.push_back(m->value());
      judged.push_back(std::move(j));
    }
  }

  double metricOf(const Judged &j, const std::string &name) const {
    for (size_t m = 0; m < evaluate.metrics.size(); ++m)
      if (evaluate.metrics[m].name == name)
        return j.metrics[m];
    throw std::runtime_error(fmt::format("bug in bigmc: `{}` is fitted by `{}`, which nothing measures", fit.name, name));
  }

  FittedSetting choose() {
    std::vector<const Judged *> good;
    for (auto &j : judged)
      if (std::all_of(fit.bounds.begin(), fit.bounds.end(), [&](auto &b) { return b.holds(metricOf(j, b.metric)); }))
        good.push_back(&j);
    if (good.empty())
      refuse();
    std::stable_sort(good.begin(), good.end(), [&](auto *a, auto *b) {
      double x = metricOf(*a, fit.metric), y = metricOf(*b, fit.metric);
      return fit.most ? x > y : x < y;
    });
    for (size_t i = 0; i < std::min(good.size(), kMostTries); ++i) {
      FittedSetting out{fit.tensor, double(float(valueAt(good[i]->place))), {}};
      write(float(out.value));
      out.measured = measureFlow(host, evaluate, evaluate.split);
      if (std::all_of(fit.bounds.begin(), fit.bounds.end(), [&](auto &b) { return b.holds(*out.measured.value(b.metric)); }))
        return out;
    }
    data::fail("`{}` of `{}` cannot be fitted in {} steps from {} to {}: answers that are the same at two values differ in between; "
               "more steps may help",
               fit.name, evaluate.flow, fit.steps, fit.from, fit.to);
  }

  [[noreturn]] void refuse() const {
    std::string reached;
    for (auto &b : fit.bounds) {
      auto best = std::max_element(judged.begin(), judged.end(), [&](auto &x, auto &y) {
        double l = metricOf(x, b.metric), r = metricOf(y, b.metric);
        return b.compare[0] == '>' ? l < r : l > r;
      });
      reached += fmt::format("{}{} is {:.4f} at best (`{}: {:g}`)", reached.empty() ? "" : ", ", b.metric, metricOf(*best, b.metric), fit.name, valueAt(best->place));
    }
    std::string bounds;
    for (auto &b : fit.bounds)
      bounds += (bounds.empty() ? "`" : ", `") + b.text + "`";
    const RequireProgram &first = fit.bounds.front(); // without bounds every value is good
    data::fail("no value of `{}` from {:g} to {:g} reaches {} on {}.{}: {}; the training is saved, and goes on to other bounds with "
               "--resume --set evaluate.{}.fit.{}.{}=…",
               fit.tensor, fit.from, fit.to, bounds, evaluate.data, evaluate.split, reached, evaluate.flow, fit.name, first.metric);
  }

  FlowHost &host;
  const EvaluateProgram &evaluate;
  const SettingFit &fit;
  FlowRecords records;
  std::vector<std::map<Place, json>> answers; // by record, those that are known
  std::vector<Judged> judged;
  int32_t tensor = 0;
  float before = 0;
};

} // namespace

FittedSetting fitSetting(FlowHost &host, const EvaluateProgram &evaluate, const SettingFit &fit) { return Search(host, evaluate, fit).run(); }

} // namespace bigm::driver
