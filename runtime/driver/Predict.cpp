// Prediction: files of the user's own, made into the program's raw field, answered in batches.
#include "Answer.h"
#include "DataSets.h"
#include "Driver.h"
#include "FlowHost.h"
#include "Guard.h"
#include "Measure.h"
#include "Progress.h"
#include "RunFolder.h"
#include "Session.h"
#include "runtime/data/Error.h"
#include "runtime/data/Npy.h"
#include "runtime/data/Picture.h"
#include <fmt/ranges.h>
#include <algorithm>
#include <cstring>

namespace bigm::driver {
using data::fail;
using json = nlohmann::ordered_json;

namespace {

constexpr int64_t kBatch = 64;

/// One record to answer, or why there is none.
struct Request {
  std::string name;
  data::Bytes record;
  std::string error;
  std::string text = {}; // of a program that reads text
  std::shared_ptr<const data::Picture> picture = nullptr; // of one that reads pictures of any size
};

class Predictor {
public:
  Predictor(const bigm_module *module, const PredictOptions &options)
      : options(options), session(module, options.threads), program(session.program()), log(options.log, true),
        data(session, options.dataDir, 1) {}

  Result run(const std::vector<std::string> &inputs) {
    if (options.runDir.empty())
      fail("`{}` answers with what a training made: say with `--run` where that is", program.name);
    RunFolder folder(options.runDir, true);
    folder.loadFor(program, session.model());
    data.loadTexts(folder);
    choose();
    for (auto &input : inputs) {
      if (field.isText() && input == "-") {
        readLines();
        continue;
      }
      read(input);
      if (int64_t(waiting.size()) >= kBatch)
        answer();
    }
    answer();
    if (resizedCount > 0)
      log.line(fmt::format("{} picture{} resized to {} x {}", resizedCount, resizedCount == 1 ? " was" : "s were",
                           field.shape.back(), field.shape[field.shape.size() - 2]));
    if (unreadable > 0)
      return {kUserError, fmt::format("{} of {} inputs could not be read", unreadable, inputs.size())};
    return {};
  }

private:
  /// What the program's first model takes, of one record, as a flow would declare it.
  std::string inputsOfFirst() const {
    std::string all;
    for (auto &t : program.trains)
      if (!t.forward.empty() && all.empty())
        for (auto &arg : program.function(t.forward).args)
          if (arg.role == "input") {
            std::vector<std::string> shape(arg.shape.empty() ? arg.shape.end() : arg.shape.begin() + 1, arg.shape.end());
            all += fmt::format("{}{}: {}{}", all.empty() ? "" : ", ", arg.name, data::name(arg.elem), shape.empty() ? "" : fmt::format("[{}]", fmt::join(shape, ", ")));
          }
    return all.empty() ? "x: f32[12]" : all;
  }
  /// The train that answers and the raw field that it reads.
  void choose() {
    for (auto &t : program.trains)
      if (!t.predict.empty() && !train)
        train = &t;
    if (!train)
      fail("`{}` has no model whose outputs are classes: `predict` has nothing to say; a flow would say it, such as `flow answer({}) -> f32 "
           "{{ ... }}`", program.name, inputsOfFirst());
    const DataProgram &d = program.dataNamed(train->data);
    const FunctionInfo &predict = program.function(train->predict);
    int count = 0;
    for (auto &f : d.fields)
      for (auto &step : d.host)
        if (f.name == step.input && (count == 0 || field.name != f.name) &&
            std::any_of(predict.args.begin(), predict.args.end(), [&](auto &a) { return a.role == "input" && (a.name == step.output || a.name == step.output + ".length"); })) {
          ++count;
          field = f;
        }
    host = d.host;
    for (auto &arg : predict.args)
      if (arg.role == "input")
        for (auto &f : d.fields)
          if (f.name == arg.name) {
            // A label that the function names without needing it: there is none here, so any will do.
            if (f.isLabel()) {
              labels.push_back(f);
              continue;
            }
            ++count;
            field = f;
          }
    if (count != 1)
      fail("`predict` answers for programs that read one field from a file, and `{}` reads {}", train->name, count);
    heads = headsOf(predict);
    for (auto &h : heads)
      fields.push_back(fieldOf(h, d));
    for (auto &arg : predict.args) // numbers that belong to no class are told as they are
      if (arg.role == "output" && std::none_of(heads.begin(), heads.end(), [&](auto &h) { return h.name == arg.name || h.score == arg.name; }))
        others.push_back(arg.name);
  }

  void refuse(const std::string &name, const std::string &reason) {
    ++unreadable;
    log.line("error: " + reason);
    waiting.push_back({name, {}, reason});
  }

  /// A text a line from standard input, answered as they come.
  void readLines() {
    std::string line;
    for (int c; (c = std::fgetc(stdin)) != EOF || !line.empty();) {
      if (c != '\n' && c != EOF) {
        line += char(c);
        continue;
      }
      read(line);
      answer();
      line.clear();
    }
  }

  void read(const std::string &input) {
    if (field.isText()) { // the input is the text itself
      waiting.push_back({input, {}, "", input});
      return;
    }
    try {
      size_t each = size_t(data::product(field.shape)) * data::sizeOf(field.elem);
      if (input.ends_with(".npy")) {
        data::Tensor t = data::readNpyTensor(input);
        auto record = field.shape;
        bool one = t.shape == record;
        bool several = t.shape.size() == record.size() + 1 && std::equal(record.begin(), record.end(), t.shape.begin() + 1);
        if (t.elem != field.elem || (!one && !several))
          fail("{}: holds {}{}; expected {}, or several of them", input, data::name(t.elem), data::shapeText(t.shape), field.typeText());
        int64_t n = one ? 1 : t.shape[0];
        for (int64_t i = 0; i < n; ++i)
          waiting.push_back({one ? input : fmt::format("{}[{}]", input, i),
                             {t.bytes.begin() + i * int64_t(each), t.bytes.begin() + (i + 1) * int64_t(each)}, ""});
        return;
      }
      if (field.isPhoto()) {
        waiting.push_back({input, {}, "", "", std::make_shared<const data::Picture>(data::readPicture(input))});
        return;
      }
      if (!field.isPicture())
        fail("{}: expected an .npy file with {}", input, field.typeText());
      data::Picture picture = data::readPicture(input);
      int channels = field.shape.size() == 3 ? int(field.shape[0]) : 1;
      int height = int(field.shape[field.shape.size() - 2]), width = int(field.shape.back());
      picture = data::withChannels(std::move(picture), channels);
      if (picture.height != height || picture.width != width) {
        picture = data::resized(picture, height, width);
        ++resizedCount;
      }
      waiting.push_back({input, std::move(picture.pixels), ""});
    } catch (const data::Error &e) {
      refuse(input, e.what());
    }
  }

  void answer() {
    data::Batch batch;
    std::vector<int64_t> shape = field.shape;
    if (field.isText())
      return answerTexts();
    if (field.isPhoto())
      return answerPhotos();
    for (auto &r : waiting)
      batch.size += r.error.empty();
    shape.insert(shape.begin(), batch.size);
    data::Tensor records(field.elem, shape);
    size_t at = 0;
    for (auto &r : waiting)
      if (r.error.empty()) {
        std::memcpy(records.bytes.data() + at, r.record.data(), r.record.size());
        at += r.record.size();
      }
    batch.fields.emplace(field.name, std::move(records));
    say(batch);
  }

  void say(data::Batch &batch) {
    for (auto &l : labels) {
      data::Tensor none(l.elem, {batch.size});
      std::fill(none.bytes.begin(), none.bytes.end(), uint8_t(0));
      batch.fields.emplace(l.name, std::move(none));
    }
    Values said;
    if (batch.size > 0)
      said = session.run(train->predict, batch, {});
    int64_t i = 0;
    for (auto &r : waiting)
      options.print(r.error.empty() ? line(r.name, said, i++) : errorLine(r));
    waiting.clear();
  }

  void answerPhotos() {
    data::Batch batch;
    for (auto &r : waiting)
      if (r.error.empty()) {
        batch.pictures[field.name].push_back(std::move(r.picture));
        ++batch.size;
      }
    if (batch.size > 0)
      runHostSteps(host, data.tokenizers(), batch);
    say(batch);
  }

  /// Texts that the vocabulary cannot express are named, and the others answered.
  void answerTexts() {
    data::Batch batch;
    for (auto &r : waiting) {
      data::Batch one;
      one.size = 1;
      one.texts[field.name] = {r.text};
      try {
        runHostSteps(host, data.tokenizers(), one);
      } catch (const data::Error &e) {
        ++unreadable;
        r.error = e.what();
        log.line("error: " + r.error);
        continue;
      }
      batch.texts[field.name].push_back(r.text);
      ++batch.size;
    }
    runHostSteps(host, data.tokenizers(), batch);
    say(batch);
  }

  std::string errorLine(const Request &r) const {
    return options.json ? json{{"input", r.name}, {"error", r.error}}.dump(-1, ' ', false, json::error_handler_t::replace)
                        : r.name + ": cannot be read";
  }

  std::string line(const std::string &name, const Values &said, int64_t i) const {
    json j = {{"input", name}};
    std::string text = name + ":";
    for (size_t h = 0; h < heads.size(); ++h) {
      const data::Tensor &t = said.at(heads[h].name);
      int64_t value = t.elem == data::Elem::I64 ? t.as<int64_t>()[i] : t.elem == data::Elem::I32 ? t.as<int32_t>()[i] : t.as<uint8_t>()[i];
      std::string label = className(heads[h], fields[h], value);
      json answer = {{"label", label}, {"class", value}};
      text += fmt::format("{} {} {}", h ? "," : "", heads[h].name, label);
      if (!heads[h].score.empty()) {
        double score = plain(said.at(heads[h].score).as<float>()[i]);
        answer["score"] = score;
        text += fmt::format(" ({:.2f})", score);
      }
      j[heads[h].name] = answer;
    }
    for (auto &other : others) {
      const data::Tensor &t = said.at(other);
      int64_t each = t.shape.empty() ? 1 : t.count() / t.shape[0];
      if (t.elem != data::Elem::F32 || t.shape.empty())
        continue;
      std::vector<double> values;
      for (int64_t k = 0; k < each; ++k)
        values.push_back(plain(t.as<float>()[i * each + k]));
      j[other] = each == 1 ? json(values[0]) : json(values);
      if (heads.empty())
        text += fmt::format(" {} {}", other, j[other].dump());
    }
    return options.json ? j.dump(-1, ' ', false, json::error_handler_t::replace) : text;
  }

  const PredictOptions &options;
  Session session;
  const Program &program;
  Progress log;
  DataSets data;
  std::vector<HostStep> host;
  const TrainProgram *train = nullptr;
  data::Field field;
  std::vector<data::Field> labels;
  std::vector<HeadOutputs> heads;
  std::vector<const data::Field *> fields; // beside heads; null where there is none
  std::vector<std::string> others;
  std::vector<Request> waiting;
  size_t resizedCount = 0, unreadable = 0;
};

} // namespace

Result predict(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs) {
  if (auto flows = flowsOf(module); !flows.empty())
    return answer(module, options, inputs, std::move(flows));
  return guarded([&] { return Predictor(module, options).run(inputs); });
}

} // namespace bigm::driver
