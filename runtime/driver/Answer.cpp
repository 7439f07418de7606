// Flows answer in batches; texts of similar length share one, since all rows of a batch are as long as its longest.
#include "Answer.h"
#include "Draw.h"
#include "FlowHost.h"
#include "Guard.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/data/Picture.h"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

namespace bigm::driver {
using data::fail;
using json = nlohmann::ordered_json;

namespace {

constexpr size_t kBatch = 32;
constexpr size_t kWindow = 64 * kBatch; // inputs that are sorted by length together

class Answerer {
public:
  Answerer(const bigm_module *module, const PredictOptions &options, std::vector<flow::Flow> all)
      : options(options), session(module, options.threads), data(session, options.dataDir, 1), host(session, data, options, std::move(all)), worker(host), around(worker.around) {}

  Result run(const std::vector<std::string> &inputs) {
    chosen = &host.choose(options.flow);
    checkDrawing(inputs);
    host.loadWeights();
    numbered = !takesOne(flow::RichType::Kind::Image) && (inputs.size() > 1 || inputs[0] == "-");
    for (auto &input : inputs) {
      if (input == "-") {
        for (std::string line; std::getline(std::cin, line);)
          take(line);
      } else if (takesOne(flow::RichType::Kind::Image) && std::filesystem::is_directory(input)) {
        takeFolder(input);
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
  /// Pictures are drawn onto the first image that the flow takes.
  void checkDrawing(const std::vector<std::string> &inputs) {
    if (options.draw.empty())
      return;
    for (auto &[name, type] : chosen->inputs)
      if (type.kind == flow::RichType::Kind::Image && canvas.empty())
        canvas = type.slot;
    if (canvas.empty())
      fail("`{}` takes no image, so there is nothing to draw on", chosen->name);
    bool single = inputs.size() == 1 && inputs[0] != "-" && !std::filesystem::is_directory(inputs[0]);
    drawFolder = !single || std::filesystem::is_directory(options.draw);
    if (!drawFolder)
      return;
    if (options.draw.ends_with(".png"))
      fail("{}: several pictures are drawn into a folder, and this names one file", options.draw);
    std::error_code error;
    std::filesystem::create_directories(options.draw, error);
    if (error)
      fail("{}: the folder cannot be made: {}", options.draw, error.message());
  }

  void takeFolder(const std::string &folder) {
    std::vector<std::string> files;
    std::error_code error;
    for (auto &entry : std::filesystem::directory_iterator(folder, error)) {
      std::string ending = entry.path().extension().string();
      std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
      if (entry.is_regular_file() && (ending == ".png" || ending == ".jpg" || ending == ".jpeg"))
        files.push_back(entry.path().string());
    }
    if (files.empty()) { // told in its turn, as a picture that cannot be read is
      unreadable[folder] = folder + ": " + (error ? "the folder cannot be read: " + error.message() : "there is no picture (.png, .jpg) in this folder");
      return take(folder);
    }
    std::sort(files.begin(), files.end());
    for (auto &file : files)
      take(file);
  }

  void take(const std::string &input) {
    std::vector<std::string> records = {input};
    try {
      records = recordsIn(*chosen, input);
    } catch (const data::Error &e) { // told in its turn
      unreadable[input] = e.what();
    }
    numbered |= records.size() > 1;
    for (auto &record : records) {
      ++all;
      waiting.push_back(std::move(record));
      // Pictures gain nothing from being sorted, and a stream of them is answered as it comes.
      if (waiting.size() >= (takesOne(flow::RichType::Kind::Image) ? kBatch : kWindow))
        finish();
    }
  }

  bool takesOne(flow::RichType::Kind kind) const { return driver::takesOne(*chosen, kind); }
  bool takesPlain() const { return takesOne(flow::RichType::Kind::Text) || takesOne(flow::RichType::Kind::Image); }
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
          if (auto why = unreadable.find(waiting[order[k]]); why != unreadable.end())
            fail("{}", why->second);
          flow::append(*chosen, parsed(waiting[order[k]]), slots, around);
          rows.push_back(order[k]);
        } catch (const data::Error &e) {
          refuse(order[k], answers[order[k]], e.what());
        }
      }
      if (rows.empty())
        continue;
      // One text that is written goes out as it comes; what several write would mix.
      bool streams = options.stream && !options.json && waiting.size() == 1 && chosen->result.stream;
      around.stream = nullptr;
      around.streamed = chosen->result.slot;
      if (streams)
        around.stream = [this](int64_t, std::string_view piece) { return options.stream(piece), true; };
      if (!answered(rows, slots, answers, streams))
        continue;
      if (streams) {
        options.stream("\n");
        waiting.clear();
        return;
      }
    }
    for (auto &a : answers)
      options.print(line(a));
    waiting.clear();
  }

  /// Runs the flow on a batch. Where that fails for what one of its inputs is, each is run by itself, so that the others
  /// are answered.
  bool answered(const std::vector<size_t> &rows, flow::Slots &slots, std::vector<json> &answers, bool streams) {
    try {
      flow::run(*chosen, slots, around);
    } catch (const data::Error &e) {
      if (rows.size() == 1) {
        refuse(rows[0], answers[rows[0]], (takesOne(flow::RichType::Kind::Image) ? waiting[rows[0]] + ": " : "") + e.what());
        return false;
      }
      for (size_t row : rows) {
        flow::Slots one;
        flow::append(*chosen, parsed(waiting[row]), one, around);
        answered({row}, one, answers, streams);
      }
      return true;
    }
    if (streams)
      return true;
    for (size_t r = 0; r < rows.size(); ++r) {
      answers[rows[r]] = flow::result(*chosen, slots, int64_t(r));
      if (!canvas.empty())
        draw(*slots.images.at(canvas).at(r), waiting[rows[r]], answers[rows[r]]);
    }
    return true;
  }

  void draw(const data::Picture &picture, const std::string &input, const json &answer) {
    std::string file = options.draw;
    if (drawFolder) {
      std::filesystem::path stem = takesPlain() ? std::filesystem::path(input).stem() : std::filesystem::path(std::to_string(all));
      for (int n = 1;; ++n) { // two folders may have files of one name
        file = (std::filesystem::path(options.draw) / stem).string() + (n > 1 ? "-" + std::to_string(n) : "") + ".png";
        if (drawnFiles.insert(file).second)
          break;
      }
    }
    std::vector<uint8_t> bytes = data::encodePng(drawn(picture, chosen->result, answer));
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
    if (!out.flush())
      fail("{}: the picture cannot be written", file);
  }

  json parsed(const std::string &input) const { return parsedRecord(*chosen, input); }
  /// Pictures are told by their files, other inputs by their number.
  void refuse(size_t row, json &answer, const std::string &why) {
    ++bad;
    std::cerr << "bigmc: error: " << (numbered ? fmt::format("input {}: ", all - waiting.size() + row + 1) : "") << why << "\n";
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
  DataSets data; // for its tokenizers
  FlowHost host;
  FlowHost::Worker worker;
  flow::Surroundings &around;
  const flow::Flow *chosen = nullptr;
  std::vector<std::string> waiting;
  std::string canvas; // slot of the image that results are drawn on; empty: nothing is drawn
  bool drawFolder = false, numbered = false;
  std::set<std::string> drawnFiles;
  std::map<std::string, std::string> unreadable; // inputs, and what is wrong with each
  size_t all = 0, bad = 0;
};

} // namespace

Result answer(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs,
              std::vector<flow::Flow> flows) {
  return guarded([&] { return Answerer(module, options, std::move(flows)).run(inputs); });
}

} // namespace bigm::driver
