// draw-portraits: the command line. Portraits are drawn on all cores; each depends on (seed, number) alone, so the
// files do not depend on how many there are.
#include "Gallery.h"
#include "Portrait.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/data/Threads.h"
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace bigm;
using json = nlohmann::ordered_json; // heads stay in the order of the model

namespace {

void writeFile(const std::string &path, const void *bytes, size_t size) {
  std::FILE *file = std::fopen(path.c_str(), "wb");
  bool good = file && std::fwrite(bytes, 1, size, file) == size;
  int reason = errno;
  if (file && std::fclose(file) != 0) {
    good = false;
    reason = errno;
  }
  if (!good) {
    if (file)
      std::remove(path.c_str()); // no half pictures
    data::fail("{}: cannot be written: {}", path, std::strerror(reason));
  }
}

/// Draws number i, writes its picture under the given name and returns its line of the list.
using DrawOne = std::string (*)(uint64_t seed, uint64_t i, const std::string &name, const std::string &path);

void writePicture(const std::string &path, const data::Picture &picture) {
  auto png = data::encodePng(picture, 1);
  writeFile(path, png.data(), png.size());
}

std::string drawPortrait(uint64_t seed, uint64_t i, const std::string &name, const std::string &path) {
  auto portrait = portraits::draw(seed, i);
  writePicture(path, portrait.picture);
  return fmt::format("{},{},{},{}\n", name, portraits::kHair[portrait.hair], portraits::kEyes[portrait.eyes], portraits::kNose[portrait.nose]);
}

std::string drawScene(uint64_t seed, uint64_t i, const std::string &name, const std::string &path) {
  auto scene = portraits::drawScene(seed, i);
  writePicture(path, scene.picture);
  json faces = json::array();
  auto rounded = [](double v) { return std::round(v * 100) / 100; };
  for (auto &f : scene.faces)
    faces.push_back({{"where", {rounded(f.left), rounded(f.top), rounded(f.right), rounded(f.bottom)}},
                     {"hair", portraits::kHair[f.hair]},
                     {"eyes", portraits::kEyes[f.eyes]},
                     {"nose", portraits::kNose[f.nose]}});
  return json{{"photo", name}, {"faces", faces}}.dump() + "\n";
}

void drawAll(DrawOne draw, const std::string &listName, const std::string &head, uint64_t count, uint64_t seed, const std::string &dir, unsigned threads) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error || ::access(dir.c_str(), W_OK) != 0)
    data::fail("{}: the folder cannot be written: {}", dir, error ? error.message() : std::strerror(errno));
  std::vector<std::string> rows(count);
  data::onThreads(count, threads, [&](size_t i) {
    std::string name = fmt::format("{:05}.png", i);
    rows[i] = draw(seed, i, name, (fs::path(dir) / name).string());
  });
  // The list comes last: a folder with a list is whole.
  std::string list = head;
  for (auto &row : rows)
    list += row;
  data::writeAtomically((fs::path(dir) / listName).string(), list.data(), list.size());
}

/// file name -> column -> value, of a labels.csv.
std::map<std::string, std::map<std::string, std::string>> readTruth(const std::string &path) {
  std::istringstream text(data::readText(path));
  std::map<std::string, std::map<std::string, std::string>> truth;
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, ',');)
      cells.push_back(cell);
    if (names.empty())
      names = cells;
    else
      for (size_t i = 1; i < cells.size() && i < names.size(); ++i)
        truth[cells[0]][names[i]] = cells[i];
  }
  return truth;
}

void annotate(const std::string &predictions, const std::string &truthFile, const std::string &out, int columns) {
  decltype(readTruth("")) truth;
  std::string readFrom; // the list that `truth` holds
  std::vector<portraits::Exhibit> exhibits;
  std::istringstream lines(data::readText(predictions, 64 << 20));
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    json said = json::parse(line, nullptr, false);
    if (said.is_discarded() || !said.is_object() || !said.contains("input") || !said["input"].is_string())
      data::fail("{}:{}: expected one JSON object a line with an `input`, as `bigmc predict --json` prints them",
                 predictions, number);
    if (said.contains("error"))
      continue;
    std::string input = said["input"];
    portraits::Exhibit exhibit{data::readPicture(input), {}};
    std::string list = truthFile.empty() ? (fs::path(input).parent_path() / "labels.csv").string() : truthFile;
    if (list != readFrom) {
      truth.clear();
      if (!truthFile.empty() || fs::exists(list))
        truth = readTruth(list);
      readFrom = list;
    }
    auto known = truth.find(fs::path(input).filename().string());
    for (auto &[head, guess] : said.items()) {
      if (!guess.is_object() || !guess.contains("label"))
        continue;
      std::string label = guess["label"].is_string() ? guess["label"].get<std::string>() : guess["label"].dump();
      portraits::Exhibit::Line text{head + ": " + label, 0};
      if (guess.contains("score") && guess["score"].is_number())
        text.text += fmt::format("  {:.0f} %", 100 * guess["score"].get<double>());
      if (known != truth.end() && known->second.count(head)) {
        text.verdict = known->second[head] == label ? 1 : -1;
        if (text.verdict < 0)
          text.text = head + ": " + label + ", not " + known->second[head];
      }
      exhibit.lines.push_back(text);
    }
    exhibits.push_back(std::move(exhibit));
  }
  if (exhibits.empty())
    data::fail("{}: holds no prediction", predictions);
  auto png = data::encodePng(portraits::gallery(exhibits, columns));
  data::writeAtomically(out, png.data(), png.size());
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"Draws faces of 48 x 48 pixels whose hair, eyes and nose are known, for examples/portraits.\n"
               "DIR gets 00000.png, 00001.png, ... and labels.csv (file,hair,eyes,nose). The same seed gives the same "
               "files; --annotate lays out pictures with what a model said. With --scenes the pictures are 320 x 240 pixels "
               "with none to twenty faces, and the list is scenes.jsonl (photo, faces: where, hair, eyes, nose).\n\n"
               "hair: black brown blond red    eyes: blue brown green closed    nose: small long wide"};
  app.footer("Example:\n  draw-portraits --count 10000 --seed 1 --out portraits\n"
             "  bigmc predict portraits.bigm --run RUN --json portraits/0000*.png > said.jsonl\n"
             "  draw-portraits --annotate said.jsonl --out annotated.png");
  uint64_t count = 1000, seed = 0;
  std::string dir;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  app.add_option("--count", count, "How many pictures")->capture_default_str()->check(CLI::Range(1, 10'000'000));
  app.add_option("--seed", seed, "Which set of portraits")->capture_default_str();
  app.add_option("--out", dir, "The folder to write, made if it is not there")->required();
  app.add_option("--threads", threads, "How many threads draw")->capture_default_str()->check(CLI::Range(1, 256));
  bool scenes = false;
  app.add_flag("--scenes", scenes, "Several faces on each picture");
  std::string predictions, truth;
  int columns = 6;
  app.add_option("--annotate", predictions,
                 "Draw no portraits: lay those of this file out in a grid, with what a model said below each, and write\n"
                 "the PNG file --out. The file is what `bigmc predict --json` printed");
  app.add_option("--truth", truth, "With --annotate: labels.csv of the folder, to colour right answers green and wrong ones\n"
                                   "red (default: the labels.csv beside the pictures, when there is one)");
  app.add_option("--columns", columns, "With --annotate: pictures in a row")->capture_default_str()->check(CLI::Range(1, 64));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    if (!predictions.empty())
      annotate(predictions, truth, dir, columns);
    else
      scenes ? drawAll(drawScene, "scenes.jsonl", "", count, seed, dir, threads)
             : drawAll(drawPortrait, "labels.csv", "file,hair,eyes,nose\n", count, seed, dir, threads);
    return 0;
  } catch (const std::exception &e) {
    std::fprintf(stderr, "draw-portraits: error: %s\n", e.what());
    return 1;
  }
}
