// The steps of lists, branches and detections, one by one.
#include "runtime/flow/Operations.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace bigm;
using namespace bigm::flow;

namespace {

data::Tensor ints(const std::vector<int32_t> &values) {
  data::Tensor t(data::Elem::I32, {int64_t(values.size())});
  std::copy(values.begin(), values.end(), t.as<int32_t>());
  return t;
}
data::Tensor floats(std::vector<int64_t> shape, const std::vector<float> &values) {
  data::Tensor t(data::Elem::F32, std::move(shape));
  std::copy(values.begin(), values.end(), t.as<float>());
  return t;
}
template <class T> std::vector<T> values(const Slots &slots, const std::string &name) {
  const data::Tensor &t = slots.tensors.at(name);
  return {t.as<T>(), t.as<T>() + t.count()};
}
Slots run(StepFunction f, Slots slots, std::vector<std::string> inputs, std::vector<std::string> outputs, const std::string &name = "",
          std::map<std::string, double> options = {}) {
  Step s;
  s.inputs = std::move(inputs);
  s.outputs = std::move(outputs);
  s.name = name;
  for (auto &[key, value] : options)
    s.options[key] = value;
  f(s, slots, {});
  return slots;
}
using Ints = std::vector<int32_t>;

// Each of four rows gets the list of the row outside that it belongs to, which has two elements, none or one.
TEST(Steps, AListIsSpreadOverRows) {
  Slots slots;
  slots.tensors["rows"] = ints({0, 0, 1, 2});
  slots.tensors["list"] = ints({0, 0, 2});
  slots = run(spread, slots, {"rows", "list"}, {"numbers", "positions"});
  EXPECT_EQ(values<int32_t>(slots, "numbers"), (Ints{0, 0, 1, 1, 3}));
  EXPECT_EQ(values<int32_t>(slots, "positions"), (Ints{0, 1, 0, 1, 2}));
  slots.tensors["rows"] = ints({});
  slots = run(spread, slots, {"rows", "list"}, {"numbers", "positions"});
  EXPECT_TRUE(values<int32_t>(slots, "positions").empty());
}

TEST(Steps, RowsWhereAndBack) {
  Slots slots;
  slots.records = 4;
  data::Tensor condition(data::Elem::Bool, {4});
  const uint8_t bits[] = {1, 0, 0, 1};
  std::copy(bits, bits + 4, condition.as<uint8_t>());
  slots.tensors["c"] = condition;
  slots.tensors["x"] = floats({4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  slots.texts["t"] = {"a", "b", "c", "d"};
  slots = run(rowsWhere, slots, {"c"}, {"yes"}, "", {{"holds", 1}});
  slots = run(rowsWhere, slots, {"c"}, {"no"}, "", {{"holds", 0}});
  EXPECT_EQ(values<int32_t>(slots, "yes"), (Ints{0, 3}));
  EXPECT_EQ(values<int32_t>(slots, "no"), (Ints{1, 2}));
  slots = run(takeRows, slots, {"yes", "t"}, {"first"}, "texts");
  slots = run(takeRows, slots, {"no", "t"}, {"second"}, "texts");
  EXPECT_EQ(slots.texts["second"], (Texts{"b", "c"}));
  slots = run(mergeRows, slots, {"yes", "first", "no", "second"}, {"whole"}, "texts");
  EXPECT_EQ(slots.texts["whole"], slots.texts["t"]);
  // A side without rows need not know its other sizes.
  slots.tensors["none"] = ints({});
  slots.tensors["all"] = ints({0, 1, 2, 3});
  slots.tensors["nothing"] = data::Tensor(data::Elem::F32, {0, 1});
  slots = run(mergeRows, slots, {"none", "nothing", "all", "x"}, {"y"}, "tensors");
  EXPECT_EQ(values<float>(slots, "y"), values<float>(slots, "x"));
}

TEST(Steps, ChooseTakesTheLargestOfEachRow) {
  Slots slots;
  slots.records = 4;
  float nan = std::numeric_limits<float>::quiet_NaN();
  slots.tensors["of"] = ints({0, 0, 0, 2, 3, 3});
  slots.tensors["key"] = floats({6}, {1, 3, 2, 5, nan, -1});
  Slots best = run(choose, slots, {"of", "key"}, {"to", "at"}, "", {{"at_most", 1}});
  EXPECT_EQ(values<int32_t>(best, "to"), (Ints{0, 2, 3}));
  EXPECT_EQ(values<int32_t>(best, "at"), (Ints{1, 3, 5})) << "what is no number comes last";
  Slots sorted = run(choose, slots, {"of", "key"}, {"to", "at"}, "", {{"at_most", 0}});
  EXPECT_EQ(values<int32_t>(sorted, "at"), (Ints{1, 2, 0, 3, 5, 4}));
  EXPECT_EQ(values<int32_t>(run(countRows, slots, {"of"}, {"n"}), "n"), (Ints{3, 0, 1, 2}));
}

TEST(Steps, AUnionHasTheFirstListBeforeTheSecond) {
  Slots slots;
  slots.records = 3;
  slots.tensors["a"] = ints({0, 0, 2});
  slots.tensors["b"] = ints({0, 1, 2, 2});
  slots = run(unite, slots, {"a", "b"}, {"u"});
  EXPECT_EQ(values<int32_t>(slots, "u"), (Ints{0, 0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(values<int32_t>(run(places, slots, {"a", "b"}, {"p"}, "", {{"second", 0}}), "p"), (Ints{0, 1, 4}));
  EXPECT_EQ(values<int32_t>(run(places, slots, {"a", "b"}, {"p"}, "", {{"second", 1}}), "p"), (Ints{2, 3, 5, 6}));
}

/// What greedy suppression says, written as its definition.
std::vector<int> expectedOf(const std::vector<float> &boxes, const std::vector<float> &scores, float score, float iou) {
  std::vector<int> order, kept;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > score)
      order.push_back(int(i));
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[size_t(a)] > scores[size_t(b)]; });
  auto area = [&](const float *b) { return double(b[2] - b[0]) * double(b[3] - b[1]); };
  for (int i : order) {
    bool stays = true;
    for (int k : kept) {
      const float *a = &boxes[size_t(i) * 4], *b = &boxes[size_t(k) * 4];
      double w = std::max(0.0, double(std::min(a[2], b[2])) - std::max(a[0], b[0])), h = std::max(0.0, double(std::min(a[3], b[3])) - std::max(a[1], b[1]));
      stays &= w * h / (area(a) + area(b) - w * h) <= iou;
    }
    if (stays)
      kept.push_back(i);
  }
  return kept;
}

TEST(Nms, IsWhatItsDefinitionSays) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> place(0, 60), size(1, 30), chance(0, 1);
  for (int round = 0; round < 20; ++round) {
    std::vector<float> boxes, scores;
    for (int i = 0; i < 150; ++i) {
      float x = place(random), y = place(random);
      boxes.insert(boxes.end(), {x, y, x + size(random), y + size(random)});
      scores.push_back(chance(random));
    }
    Slots slots;
    slots.records = 1;
    slots.tensors["b"] = floats({1, 150, 4}, boxes);
    slots.tensors["s"] = floats({1, 150}, scores);
    slots = run(suppress, slots, {"b", "s"}, {"of", "box", "score"}, "", {{"score", 0.3}, {"iou", 0.4}, {"at_most", 1000}});
    std::vector<float> expected;
    for (int i : expectedOf(boxes, scores, 0.3f, 0.4f))
      expected.push_back(scores[size_t(i)]);
    ASSERT_EQ(values<float>(slots, "score"), expected);
  }
}

TEST(Nms, ManyBoxesOddBoxesAndClasses) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  Slots slots;
  slots.records = 2;
  // Record 0: one box of two classes, one without area, one not finite; record 1: nothing above the score.
  slots.tensors["b"] = floats({2, 3, 4}, {0, 0, 4, 4, 5, 5, 5, 9, nan, 0, 4, 4, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  slots.tensors["s"] = floats({2, 3, 2}, {0.9f, 0.8f, 0.9f, 0.9f, 0.9f, 0.9f, 0.1f, nan, 0, 0, 0, 0});
  slots = run(suppress, slots, {"b", "s"}, {"of", "box", "score", "label"}, "", {{"score", 0.5}, {"iou", 0.5}, {"at_most", 10}});
  EXPECT_EQ(values<int32_t>(slots, "of"), (Ints{0, 0}));
  EXPECT_EQ(values<int32_t>(slots, "label"), (Ints{0, 1}));

  std::vector<float> boxes, scores;
  for (int i = 0; i < 10000; ++i) {
    float x = float(i % 100) * 10, y = float(i / 100) * 10;
    boxes.insert(boxes.end(), {x, y, x + 5, y + 5});
    scores.push_back(0.5f + float(i) / 30000);
  }
  Slots many;
  many.records = 1;
  many.tensors["b"] = floats({1, 10000, 4}, boxes);
  many.tensors["s"] = floats({1, 10000}, scores);
  many = run(suppress, many, {"b", "s"}, {"of", "box", "score"}, "", {{"score", 0}, {"iou", 0.5}, {"at_most", 10000}});
  EXPECT_EQ(many.tensors["of"].count(), 10000);
  EXPECT_EQ(values<float>(many, "score").front(), scores.back());
}

TEST(Nms, SoftlyLowersInsteadOfDropping) {
  Slots slots;
  slots.records = 1;
  slots.tensors["b"] = floats({1, 2, 4}, {0, 0, 10, 10, 0, 0, 10, 8});
  slots.tensors["s"] = floats({1, 2}, {0.9f, 0.8f});
  slots = run(suppress, slots, {"b", "s"}, {"of", "box", "score"}, "", {{"score", 0.1}, {"iou", 0.5}, {"at_most", 10}, {"soft", 0.5}});
  auto scores = values<float>(slots, "score");
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_NEAR(scores[1], 0.8 * std::exp(-0.8 * 0.8 / 0.5), 1e-6);
}

TEST(Call, RunsInPartsAndNotAtAllWithoutRows) {
  Flow flow;
  flow.name = "f";
  Step call;
  call.op = "call";
  call.name = "double";
  call.inputs = {"of", "table", "x"};
  call.outputs = {"y"};
  call.strings = {"of", "x"};
  call.options["rows"] = std::string("of");
  flow.steps.push_back(call);
  std::map<int64_t, int64_t> known; // calls
  for (auto [rows, threads] : std::vector<std::pair<int64_t, int>>{{0, 1}, {1, 1}, {50, 1}, {1000, 1}, {1, 3}, {50, 3}, {1000, 3}}) {
    int64_t calls = 0, most = 0;
    Surroundings around;
    if (threads > 1) { // parts in any order
      around.threads = threads;
      around.inParts = [&](size_t parts, const std::function<void(size_t, const Caller &)> &body) {
        EXPECT_EQ(parts % 4, 0u) << "two and four threads have as many";
        for (size_t part = parts; part-- > 0;)
          body(part, around.call);
      };
    }
    around.call = [&](const std::string &, const data::Batch &batch) {
      ++calls;
      most = std::max(most, batch.size);
      EXPECT_EQ(batch.fields.at("table").count(), 3) << "what is outside is given whole";
      const data::Tensor &x = batch.fields.at("x");
      EXPECT_EQ(x.shape[0], batch.size);
      data::Tensor y(data::Elem::F32, x.shape);
      for (int64_t i = 0; i < x.count(); ++i)
        y.as<float>()[i] = 2 * x.as<float>()[i];
      return std::map<std::string, data::Tensor>{{"y", y}};
    };
    around.none = [](const std::string &) { return std::map<std::string, data::Tensor>{{"y", data::Tensor(data::Elem::F32, {0, 2})}}; };
    Slots slots;
    slots.records = 1;
    slots.tensors["of"] = ints(Ints(size_t(rows), 0));
    slots.tensors["table"] = floats({3}, {1, 2, 3});
    std::vector<float> x, expected;
    for (int64_t i = 0; i < 2 * rows; ++i) {
      x.push_back(float(i));
      expected.push_back(float(2 * i));
    }
    slots.tensors["x"] = floats({rows, 2}, x);
    run(flow, slots, around);
    EXPECT_EQ(values<float>(slots, "y"), expected);
    EXPECT_EQ(slots.tensors["y"].shape[0], rows);
    EXPECT_LE(calls, rows == 0 ? 0 : rows <= 64 ? 1 : (rows + 63) / 64 + 3) << "no more calls than parts";
    EXPECT_EQ(calls, known.emplace(rows, calls).first->second) << "whatever the number of threads";
    EXPECT_LE(most, 64);
    EXPECT_EQ(rows == 0, calls == 0);
  }
}

} // namespace
