// What a report shows, and the page made of it.
#pragma once
#include "runtime/data/Picture.h"
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bigm::report {

/// A line of a chart. With `dots`, each point is marked: values that were measured once an epoch.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points; // (step, value), ascending by step
  bool dots = false;
};
struct Chart {
  std::string title;
  std::vector<Curve> curves;
  std::vector<std::pair<double, std::string>> phases; // where each begins, and its name
  bool share = false; // values from 0 to 1, shown as percent
};
struct Mistake {
  std::string truth, guess;
  double score = 0;
  int64_t record = 0;
  data::Picture picture; // no channels when there is none
};
/// One classified thing: counts[truth][guess].
struct Head {
  std::string name;
  std::vector<std::string> classes;
  std::vector<std::vector<int64_t>> counts;
  std::vector<Mistake> worst;
  int64_t mistakes = 0;
};
struct Gate {
  std::string text;
  bool held = false;
  std::string seen; // "0.9931"
};
struct Table {
  std::string title;
  std::vector<std::pair<std::string, std::string>> rows;
};
struct Report {
  std::string title, subtitle;
  std::vector<std::pair<std::string, std::string>> numbers; // the headline: ("accuracy", "99.31 %")
  std::vector<Gate> gates;
  std::vector<Chart> charts;
  std::string headsTitle; // "on digits.test, 10,000 records"
  std::vector<Head> heads;
  std::vector<Table> tables;
};

/// One HTML page, UTF-8. All text is escaped.
std::string render(const Report &report);

} // namespace bigm::report
