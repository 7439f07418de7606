// Flows answer in batches; texts of similar length share one, since all rows of a batch are as long as its longest.
#include "Answer.h"
#include "DataSets.h"
#include "Guard.h"
#include "Pretrained.h"
#include "RunFolder.h"
#include "Session.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

namespace bigm::driver {
using data::fail;
using json = nlohmann::ordered_json;

namespace {

constexpr size_t kBatch = 32;
constexpr size_t kWindow = 64 * kBatch; // inputs that are sorted by length together

class Answerer {
public:
  Answerer(const bigm_module *module, const PredictOptions &options, std::vector<flow::Flow> all)
      : options(options), session(module, options.threads), places{options.dataDir, options.sourceDir},
        data(session, options.dataDir, 1), flows(std::move(all)) {
    around.call = [this](const std::string &function, const data::Batch &batch) { return session.run(function, batch, {}); };
    around.engine = [this](const std::string &name, int64_t positions, int64_t slots) -> generate::Engine & {
      return engineOf(name, positions, slots);
    };
    around.tokenizer = [this](const std::string &name) -> const text::Tokenizer & { return data.tokenizers().at(name); };
  }

  Result run(const std::vector<std::string> &inputs) {
    choose();
    loadWeights();
    for (auto &input : inputs) {
      if (input == "-") {
        for (std::string line; std::getline(std::cin, line);)
          take(line);
      } else {
        take(input);
      }
    }
    finish();
    if (bad > 0)
      return {kUserError, fmt::format("{} of {} inputs could not be answered", bad, all)};
    return {};
  }

private:
  void choose() {
    if (options.flow.empty()) {
      chosen = &flows.back();
      return;
    }
    std::string names;
    for (auto &f : flows) {
      names += (names.empty() ? "`" : ", `") + f.name + "`";
      if (f.name == options.flow)
        chosen = &f;
    }
    if (!chosen)
      fail("there is no flow `{}`; the program has {}", options.flow, names);
  }

  void loadWeights() {
    const Program &program = session.program();
    if (!options.runDir.empty()) {
      RunFolder folder(options.runDir, true);
      folder.loadFor(program, session.model());
      data.loadTexts(folder);
      return;
    }
    bool fitted = std::any_of(program.tokenizers.begin(), program.tokenizers.end(), [](auto &t) { return t.kind != "file"; });
    if (!program.trains.empty() || !program.fits.empty() || fitted)
      fail("`{}` answers with what a training made: say with `--run` where that is", program.name);
    for (auto &model : program.models)
      session.initialise(model, 0);
    loadPretrained(program, session.model(), places);
    data.makeTokenizers(options.sourceDir, [](const std::string &, int64_t) {});
  }

  /// One for each model; a larger one takes its place where longer texts come.
  generate::Engine &engineOf(const std::string &name, int64_t positions, int64_t slots) {
    auto &[engine, asked] = engines[name];
    if (!engine || engine->slots() < slots || asked < positions) {
      slots = std::max<int64_t>(slots, 4); // texts that are written side by side
      engine.reset();
      engine = std::make_unique<generate::Engine>(session.model(), name, positions, slots, options.threads);
      asked = positions;
    }
    return *engine;
  }

  void take(const std::string &input) {
    ++all;
    waiting.push_back(input);
    if (waiting.size() >= kWindow)
      finish();
  }

  /// Whether the flow takes one text: then an input is that text, and no JSON.
  bool plainText() const {
    return chosen->inputs.size() == 1 && chosen->inputs[0].second.kind == flow::RichType::Kind::Text;
  }
  bool anyOpenSize() const {
    for (auto &[name, type] : chosen->inputs)
      for (auto &size : type.shape)
        if (!std::all_of(size.begin(), size.end(), [](unsigned char c) { return std::isdigit(c); }))
          return true;
    return false;
  }

  void finish() {
    std::vector<size_t> order(waiting.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return waiting[a].size() < waiting[b].size(); });
    std::vector<json> answers(waiting.size());
    size_t each = anyOpenSize() ? 1 : kBatch;
    for (size_t begin = 0; begin < order.size(); begin += each) {
      flow::Slots slots;
      std::vector<size_t> rows;
      for (size_t k = begin; k < std::min(begin + each, order.size()); ++k) {
        try {
          flow::append(*chosen, parsed(waiting[order[k]]), slots);
          rows.push_back(order[k]);
        } catch (const data::Error &e) {
          refuse(answers[order[k]], e.what());
        }
      }
      if (rows.empty())
        continue;
      // One text that is written goes out as it comes; what several write would mix.
      bool streams = options.stream && !options.json && waiting.size() == 1 && chosen->result.stream;
      around.stream = streams ? options.stream : nullptr;
      flow::run(*chosen, slots, around);
      if (streams) {
        options.stream("\n");
        waiting.clear();
        return;
      }
      for (size_t r = 0; r < rows.size(); ++r)
        answers[rows[r]] = flow::result(*chosen, slots, int64_t(r));
    }
    for (auto &a : answers)
      options.print(line(a));
    waiting.clear();
  }

  json parsed(const std::string &input) const {
    if (plainText())
      return input;
    json value = json::parse(input, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded())
      fail("{}: is no JSON; `{}` takes {}", input, chosen->name,
           chosen->inputs.size() == 1 ? "its input as JSON" : "an object with its inputs");
    return value;
  }
  void refuse(json &answer, const std::string &why) {
    ++bad;
    std::cerr << "bigmc: error: " << why << "\n";
    answer = json{{"error", why}};
  }

  std::string line(const json &answer) const {
    if (!options.json && answer.is_string())
      return answer;
    if (!options.json && answer.is_object()) {
      std::string out;
      for (auto &[key, value] : answer.items())
        out += (out.empty() ? "" : "  ") + key + ": " + (value.is_string() ? value.get<std::string>() : dumped(value));
      return out;
    }
    return dumped(answer);
  }
  static std::string dumped(const json &value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

  const PredictOptions &options;
  Session session;
  Places places;
  DataSets data; // for its tokenizers
  std::vector<flow::Flow> flows;
  const flow::Flow *chosen = nullptr;
  flow::Surroundings around;
  std::map<std::string, std::pair<std::unique_ptr<generate::Engine>, int64_t>> engines; // and the positions asked for
  std::vector<std::string> waiting;
  size_t all = 0, bad = 0;
};

} // namespace

Result answer(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs,
              std::vector<flow::Flow> flows) {
  return guarded([&] { return Answerer(module, options, std::move(flows)).run(inputs); });
}

} // namespace bigm::driver
