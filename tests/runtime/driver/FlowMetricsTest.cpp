// Metrics of flows against what other programs say of the same boxes (inputs/boxes.py), and on cases that can be counted
// by hand.
#include "runtime/driver/FlowMetrics.h"
#include <fstream>
#include <gtest/gtest.h>

namespace bigm::driver {
namespace {
using json = FlowMetric::json;

MetricProgram metric(const std::string &name, std::map<std::string, std::variant<double, std::string>> options = {}) {
  MetricProgram m;
  m.name = name;
  m.host.name = name;
  m.host.strings = {"found", "truth"};
  m.host.options = {{"box", "where"}, {"true_box", "where"}, {"by", "score"}};
  for (auto &[key, value] : options)
    m.host.options[key] = value;
  return m;
}
const std::map<std::string, std::variant<double, std::string>> kKinds = {{"label", "kind"}, {"true_label", "kind"}};

double ofFile(MetricProgram program) {
  auto computed = makeFlowMetric(program);
  std::ifstream in(BIGM_DRIVER_INPUTS "/boxes.json");
  for (auto &record : json::parse(in))
    computed->add(record, record, 0);
  return computed->value();
}
double of(MetricProgram program, const std::vector<std::pair<const char *, const char *>> &records) {
  auto computed = makeFlowMetric(program);
  for (auto &[answer, truth] : records)
    computed->add(json::parse(answer), json::parse(truth), 2);
  return computed->value();
}

TEST(FlowMetrics, AveragePrecisionIsThatOfCoco) {
  EXPECT_NEAR(ofFile(metric("coco_average_precision", kKinds)), 0.12353433564585631, 1e-9);
}

TEST(FlowMetrics, AveragePrecisionIsThatOfVoc) {
  auto at = [](double iou) {
    auto m = metric("average_precision", kKinds);
    m.host.options["iou"] = iou;
    return m;
  };
  EXPECT_NEAR(ofFile(at(0.5)), 0.3967976772546929, 1e-9);
  EXPECT_NEAR(ofFile(at(0.75)), 0.035411822695902095, 1e-9);
}

const char *kTwo = R"({"truth": [{"where": [0, 0, 10, 10], "kind": "a", "hue": "red"}, {"where": [20, 0, 30, 10], "kind": "b", "hue": "red"}]})";

TEST(FlowMetrics, CountsByHand) {
  const char *found = R"({"found": [{"where": [0, 0, 10, 9], "kind": "a", "hue": "blue", "score": 0.9},
                                    {"where": [20, 0, 30, 10], "kind": "b", "hue": "red", "score": 0.6},
                                    {"where": [50, 0, 60, 10], "kind": "b", "hue": "red", "score": 0.2}]})";
  EXPECT_DOUBLE_EQ(of(metric("precision"), {{found, kTwo}}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of(metric("recall"), {{found, kTwo}}), 1);
  EXPECT_DOUBLE_EQ(of(metric("precision", {{"score", 0.5}}), {{found, kTwo}}), 1);
  EXPECT_DOUBLE_EQ(of(metric("f1", {{"same", "kind,hue"}}), {{found, kTwo}}), 2.0 / 5);
  EXPECT_DOUBLE_EQ(of(metric("recall", {{"iou", 0.95}}), {{found, kTwo}}), 0.5);
  EXPECT_DOUBLE_EQ(of(metric("count_error"), {{found, kTwo}, {R"({"found": []})", kTwo}}), 1.5);
}

TEST(FlowMetrics, NothingToFindAndNothingFoundIsRight) {
  const char *none = R"({"found": []})", *truth = R"({"truth": []})";
  EXPECT_DOUBLE_EQ(of(metric("f1"), {{none, truth}}), 1);
  EXPECT_DOUBLE_EQ(of(metric("average_precision", kKinds), {{none, truth}}), 0);
  EXPECT_DOUBLE_EQ(of(metric("recall"), {{none, kTwo}}), 0);
}

TEST(FlowMetrics, BoxesThatAreNotFiniteMeetNothing) {
  const char *found = R"({"found": [{"where": [null, null, null, null], "kind": "a", "score": null}]})";
  EXPECT_DOUBLE_EQ(of(metric("average_precision", kKinds), {{found, kTwo}}), 0);
}

TEST(FlowMetrics, ThresholdKeepsAsManyAsStayRight) {
  auto m = metric("threshold", {{"accuracy", 0.75}});
  m.host.strings = {"sure", "found", "truth"};
  std::vector<std::pair<const char *, const char *>> records = {
      {R"({"sure": 0.9, "found": "a"})", R"({"truth": "a"})"}, {R"({"sure": 0.8, "found": "a"})", R"({"truth": "b"})"},
      {R"({"sure": 0.7, "found": "a"})", R"({"truth": "a"})"}, {R"({"sure": 0.7, "found": "a"})", R"({"truth": "a"})"},
      {R"({"sure": 0.6, "found": "a"})", R"({"truth": "b"})"}};
  EXPECT_DOUBLE_EQ(of(m, records), 0.7); // 3 of 4
  m.host.options["accuracy"] = 1.0;
  EXPECT_DOUBLE_EQ(of(m, records), 0.9);
  EXPECT_GT(of(m, {{R"({"sure": 0.5, "found": "a"})", R"({"truth": "b"})"}}), 0.5);
}

TEST(FlowMetrics, ClassesNumbersAndWhatIsMissing) {
  EXPECT_DOUBLE_EQ(of(metric("accuracy"), {{R"({"found": "x"})", R"({"truth": "x"})"}, {R"({"found": null})", R"({"truth": "x"})"}}), 0.5);
  EXPECT_DOUBLE_EQ(of(metric("mean"), {{R"({"found": 3})", "{}"}, {R"({"found": null})", "{}"}, {R"({"found": true})", "{}"}}), 2);
  EXPECT_DOUBLE_EQ(of(metric("mean_absolute_error"), {{R"({"found": 3})", R"({"truth": 5})"}, {R"({"found": null})", R"({"truth": 5})"}}), 2);
  EXPECT_DOUBLE_EQ(of(metric("share"), {{R"({"found": 3})", "{}"}, {R"({"found": null})", "{}"}}), 0.5);
  EXPECT_DOUBLE_EQ(of(metric("milliseconds"), {{"{}", "{}"}}), 2);
}

} // namespace
} // namespace bigm::driver
