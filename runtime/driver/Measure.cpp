#include "Measure.h"
#include "FrozenPart.h"
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include <algorithm>

namespace bigm::driver {
namespace {

constexpr int64_t kBatch = 256;
constexpr size_t kWorst = 12;

int64_t integerAt(const data::Tensor &t, int64_t i) {
  return t.elem == data::Elem::I64 ? t.as<int64_t>()[i] : t.elem == data::Elem::U8 ? t.as<uint8_t>()[i] : t.as<int32_t>()[i];
}

} // namespace

std::optional<double> Measured::value(const std::string &metric) const {
  for (auto &[name, v] : metrics)
    if (name == metric)
      return v;
  if (auto found = scalars.find(metric); found != scalars.end())
    return found->second;
  if (metric == "loss")
    return loss;
  return std::nullopt;
}

std::vector<int64_t> someOf(std::vector<int64_t> records, int64_t most) {
  const int64_t count = int64_t(records.size());
  if (most <= 0 || count <= most)
    return records;
  for (int64_t i = 0; i < most; ++i)
    records[size_t(i)] = records[size_t(i * count / most)];
  records.resize(size_t(most));
  return records;
}

/// A word behind `at_most`, or where the tokenizer cuts, has no pieces, so `present(starts(...))` leaves it out of what is compared.
static void countCutWords(const DataProgram &data, const data::Batch &batch, Measured &out) {
  for (const HostStep &step : data.host) {
    if (step.op != "pieces")
      continue;
    auto all = batch.fields.find(step.input.substr(0, step.input.find('.')) + ".length"), left = batch.fields.find(step.outputs.at(3));
    if (all == batch.fields.end() || left == batch.fields.end())
      continue;
    for (int64_t i = 0; i < batch.size; ++i) {
      out.words += all->second.as<int32_t>()[i];
      out.cutWords += all->second.as<int32_t>()[i] - left->second.as<int32_t>()[i];
    }
  }
}

Measured measure(Session &session, DataSets &data, const EvaluateProgram &evaluate, const std::string &split, int64_t most,
                 FrozenPart *frozen) {
  Measured out;
  auto records = someOf(data.records(evaluate.data, split), most);
  out.records = int64_t(records.size());
  auto loader = data.batches(evaluate.data, split, std::move(records), kBatch, data.modeFor(evaluate.data, evaluate.step), 0);
  if (!evaluate.begin.empty())
    session.run(evaluate.begin, {}, {});
  double lossSum = 0;
  Values last;
  for (data::Batch batch; loader.next(batch);) {
    if (frozen)
      frozen->fill(batch);
    last = session.run(evaluate.step, batch, {});
    countCutWords(session.program().dataNamed(evaluate.data), batch, out);
    if (auto loss = last.find("loss"); loss != last.end())
      lossSum += scalarOf(loss->second) * double(batch.size);
  }
  for (auto &[name, tensor] : last)
    if (tensor.count() == 1)
      out.scalars[name] = scalarOf(tensor);
  // A metric accumulates in the program; the loss is that of each batch.
  if (last.count("loss"))
    out.scalars["loss"] = lossSum / double(out.records);
  bool lossIsMetric = false;
  for (auto &m : evaluate.metrics)
    lossIsMetric |= m.output == "loss";
  for (auto &m : evaluate.metrics)
    if (auto scalar = out.scalars.find(m.output); scalar != out.scalars.end())
      out.metrics.emplace_back(m.name, scalar->second);
  if (!lossIsMetric && last.count("loss")) {
    out.loss = out.scalars["loss"];
  }
  return out;
}

std::vector<HeadOutputs> headsOf(const FunctionInfo &predict) {
  std::vector<HeadOutputs> heads;
  for (auto &arg : predict.args) {
    if (arg.role != "output" || arg.shape.size() != 1)
      continue;
    if (arg.elem != data::Elem::F32 && arg.elem != data::Elem::F64)
      heads.push_back({arg.name, "", &arg});
  }
  for (auto &head : heads)
    for (auto &arg : predict.args)
      if (arg.role == "output" && arg.elem == data::Elem::F32 && arg.shape.size() == 1 && arg.name == head.name + ".score")
        head.score = arg.name;
  return heads;
}

const data::Field *fieldOf(const HeadOutputs &head, const DataProgram &data) {
  const data::Field *only = nullptr;
  int labels = 0;
  for (auto &f : data.fields) {
    if (f.name == head.name && f.isLabel())
      return &f;
    if (f.isLabel())
      only = &f, ++labels;
  }
  return labels == 1 ? only : nullptr;
}

std::string className(const HeadOutputs &head, const data::Field *field, int64_t value) {
  if (head.arg && value >= 0 && value < int64_t(head.arg->labels.size()))
    return head.arg->labels[size_t(value)];
  if (field && value >= 0 && value < int64_t(field->labels.size()))
    return field->labels[size_t(value)];
  return std::to_string(value);
}

std::vector<report::Head> analyse(Session &session, DataSets &data, const TrainProgram &train, const std::string &dataName,
                                  const std::string &split) {
  std::vector<report::Head> out;
  if (train.predict.empty())
    return out;
  const DataProgram &program = session.program().dataNamed(dataName);
  const FunctionInfo &predict = session.program().function(train.predict);
  // The predict function may have been made for other data than this.
  for (auto &arg : predict.args)
    if (arg.role == "input" && !isRaw(program, arg.name))
      return out;
  struct Wrong {
    int64_t record;
    int64_t truth, guess;
    double score;
  };
  struct Open {
    HeadOutputs outputs;
    const data::Field *field;
    std::vector<Wrong> wrong;
  };
  std::vector<Open> heads;
  for (auto &h : headsOf(predict))
    if (auto *field = fieldOf(h, program); field && field->classes > 0 && field->classes <= 1000) {
      heads.push_back({h, field, {}});
      report::Head head;
      head.name = h.name;
      for (int64_t c = 0; c < field->classes; ++c)
        head.classes.push_back(className(h, field, c));
      head.counts.assign(size_t(field->classes), std::vector<int64_t>(size_t(field->classes)));
      out.push_back(std::move(head));
    }
  if (heads.empty())
    return out;

  auto records = data.records(dataName, split);
  int64_t at = 0;
  auto loader = data.batches(dataName, split, records, kBatch, DataSets::Mode::Raw, 0);
  for (data::Batch batch; loader.next(batch); at += batch.size) {
    Values said = session.run(train.predict, batch, {});
    for (size_t h = 0; h < heads.size(); ++h) {
      const data::Tensor &guess = said.at(heads[h].outputs.name), &truth = batch.fields.at(heads[h].field->name);
      for (int64_t i = 0; i < batch.size; ++i) {
        int64_t g = integerAt(guess, i), t = integerAt(truth, i);
        if (g < 0 || g >= heads[h].field->classes)
          continue;
        ++out[h].counts[size_t(t)][size_t(g)];
        if (g != t)
          heads[h].wrong.push_back(
              {records[size_t(at + i)], t, g,
               heads[h].outputs.score.empty() ? 0 : double(said.at(heads[h].outputs.score).as<float>()[i])});
      }
    }
  }
  const data::Table &table = data.table(dataName, split);
  auto pictured = std::find_if(table.fields.begin(), table.fields.end(), [](auto &f) { return f.isPicture(); });
  for (size_t h = 0; h < heads.size(); ++h) {
    auto &wrong = heads[h].wrong;
    std::sort(wrong.begin(), wrong.end(),
              [](auto &a, auto &b) { return std::pair(b.score, a.record) < std::pair(a.score, b.record); });
    out[h].mistakes = int64_t(wrong.size());
    wrong.resize(std::min(wrong.size(), kWorst));
    for (auto &w : wrong) {
      report::Mistake m{out[h].classes[size_t(w.truth)], out[h].classes[size_t(w.guess)], w.score, w.record, {}};
      if (pictured != table.fields.end()) {
        data::Tensor pixels = table.batch(&w.record, 1).fields.at(pictured->name);
        auto &shape = pictured->shape;
        m.picture = {shape.size() == 3 ? int(shape[0]) : 1, int(shape[shape.size() - 2]), int(shape.back()),
                     std::move(pixels.bytes)};
      }
      out[h].worst.push_back(std::move(m));
    }
  }
  return out;
}

} // namespace bigm::driver
