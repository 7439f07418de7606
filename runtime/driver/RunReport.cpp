#include "RunReport.h"
#include "Progress.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include <cmath>
#include <sstream>

namespace bigm::driver {
using json = nlohmann::ordered_json;

namespace {

bool isShare(const std::vector<report::Curve> &curves) {
  for (auto &c : curves)
    for (auto &[x, y] : c.points)
      if (!(y >= 0 && y <= 1))
        return false;
  return !curves.empty();
}

/// Curves of one train: its losses, and each metric of the validation.
void addCharts(report::Report &out, const std::vector<json> &lines, const TrainProgram &train, bool many) {
  report::Chart loss, metrics;
  std::string prefix = many ? train.name + ": " : "";
  loss.title = prefix + "loss";
  metrics.title = prefix + "validation";
  report::Curve steps{"training", {}, false}, valid{"validation", {}, true};
  std::vector<report::Curve> others;
  std::string phase;
  for (auto &j : lines) {
    if (j.value("train", "") != train.name || !j.contains("step"))
      continue;
    double step = j["step"].get<double>();
    if (j.value("phase", "") != phase) {
      phase = j.value("phase", "");
      double begin = j.value("phase_begin", step);
      loss.phases.emplace_back(begin, phase);
      metrics.phases.emplace_back(begin, phase);
    }
    if (!j.contains("epoch")) {
      if (j.contains("loss") && j["loss"].is_number())
        steps.points.emplace_back(step, j["loss"].get<double>());
      continue;
    }
    if (!j.contains("valid") || !j["valid"].is_object())
      continue;
    for (auto &[name, value] : j["valid"].items()) {
      if (!value.is_number())
        continue;
      if (name == "loss") {
        valid.points.emplace_back(step, value.get<double>());
        continue;
      }
      auto found = std::find_if(others.begin(), others.end(), [&, &name = name](auto &c) { return c.name == name; });
      if (found == others.end())
        found = others.insert(others.end(), {name, {}, true});
      found->points.emplace_back(step, value.get<double>());
    }
  }
  if (!steps.points.empty())
    loss.curves.push_back(steps);
  if (!valid.points.empty())
    loss.curves.push_back(valid);
  if (!loss.curves.empty())
    out.charts.push_back(loss);
  // Shares in one chart; what has another scale in its own.
  report::Chart shares = metrics;
  for (auto &c : others)
    if (isShare({c})) {
      shares.curves.push_back(c);
    } else {
      report::Chart own = metrics;
      own.title = metrics.title + " " + c.name;
      own.curves.push_back(c);
      out.charts.push_back(own);
    }
  shares.share = true;
  if (!shares.curves.empty())
    out.charts.push_back(shares);
}

} // namespace

void writeReport(const RunFolder &folder, const Program &program, std::vector<report::Head> heads,
                 const std::string &headsTitle) {
  report::Report out;
  json run = folder.readJson("run.json"), evaluation = folder.readJson("evaluation.json");
  out.title = program.name;
  if (run.is_object()) {
    out.subtitle = fmt::format("trained {}, {} in all, {}", run.value("started", ""), clockText(run.value("seconds", 0.0)),
                               run.value("status", ""));
    report::Table settings{"Settings", {}}, seeds{"Seeds", {}}, versions{"Versions", {}};
    auto fill = [](report::Table &table, const json &object) {
      if (object.is_object())
        for (auto &[key, value] : object.items())
          table.rows.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    };
    for (auto &t : program.trains)
      for (auto &p : t.phases) {
        std::string rule = p.stopMetric.empty() ? "" : fmt::format(", stops when {} {} {}", p.stopMetric, p.stopCompare, p.stopValue);
        settings.rows.emplace_back(fmt::format("{}.{}", t.name, p.name),
                                   fmt::format("{} epoch{} in batches of {}, {} tensors learned{}", p.epochs,
                                               p.epochs == 1 ? "" : "s", p.batch, p.learned.size(), rule));
      }
    if (run.contains("settings") && run["settings"].is_object())
      for (auto &[key, value] : run["settings"].items())
        settings.rows.emplace_back("--set " + key, value.is_string() ? value.get<std::string>() : value.dump());
    settings.rows.emplace_back("threads", fmt::format("{}", run.value("threads", 0)));
    fill(seeds, run.value("seeds", json::object()));
    fill(versions, run.value("versions", json::object()));
    versions.rows.emplace_back("source", run.value("source_sha256", ""));
    out.tables = {settings, seeds, versions};
  }
  if (evaluation.is_object()) {
    auto &results = evaluation["results"];
    if (results.is_object())
      for (auto &[name, metrics] : results.items()) {
        if (!metrics.is_object())
          continue;
        for (auto &[metric, value] : metrics.items()) {
          std::string shown = value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : "nan";
          out.numbers.emplace_back(results.size() > 1 ? name + " " + metric : metric, shown);
        }
      }
    if (evaluation["requires"].is_array())
      for (auto &r : evaluation["requires"])
        out.gates.push_back({r.value("text", ""), r.value("held", false), r.value("seen", "")});
  }
  if (folder.has("metrics.jsonl")) {
    std::vector<json> lines;
    std::istringstream text(data::readText(folder.file("metrics.jsonl"), uint64_t(1) << 30));
    for (std::string line; std::getline(text, line);) {
      json j = json::parse(line, nullptr, false);
      if (j.is_object())
        lines.push_back(std::move(j));
    }
    for (auto &t : program.trains)
      addCharts(out, lines, t, program.trains.size() > 1);
    if (!evaluation.is_object())
      for (auto it = lines.rbegin(); it != lines.rend(); ++it)
        if (it->contains("valid") && (*it)["valid"].is_object()) {
          for (auto &[name, value] : (*it)["valid"].items())
            if (value.is_number())
              out.numbers.emplace_back("valid " + name, fmt::format("{:.4f}", value.get<double>()));
          break;
        }
  }
  out.heads = std::move(heads);
  out.headsTitle = headsTitle;
  std::string page = report::render(out);
  data::writeAtomically(folder.file("report.html"), page.data(), page.size());
}

} // namespace bigm::driver
