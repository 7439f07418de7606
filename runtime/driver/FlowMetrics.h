// Metrics of a flow's answers: of lists of boxes, classes, what may be missing.
//
// Each is told the answer and the truth of one record after the other, as the JSON that `bigmc predict` prints and as the
// data's fields in the same form, and gives one number at the end. Which parts of a record are its box, score and class
// stands in the settings; frontend/sema/FlowEvaluate.cpp, which checks them, has the list of metrics.
#pragma once
#include "Program.h"
#include <memory>
#include <nlohmann/json.hpp>

namespace bigm::driver {

class FlowMetric {
public:
  using json = nlohmann::ordered_json;
  virtual ~FlowMetric() = default;
  /// `milliseconds` is what the record took, its share where it was answered with others.
  virtual void add(const json &answer, const json &truth, double milliseconds) = 0;
  virtual double value() const = 0;
};

/// Throws std::runtime_error for one that does not exist: a bug of ours.
std::unique_ptr<FlowMetric> makeFlowMetric(const MetricProgram &metric);

} // namespace bigm::driver
