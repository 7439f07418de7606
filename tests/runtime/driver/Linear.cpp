#include "Linear.h"
#include "runtime/data/Order.h"
#include "runtime/data/Picture.h"
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace bigm::driver {

LinearSwitches linearSwitches;

namespace {

constexpr int kPixels = 16;
using json = nlohmann::ordered_json;

template <class T> T &scalar(void *p) { return *static_cast<T *>(p); }
float *floats(void *p) { return static_cast<float *>(p); }
int32_t *ints(void *p) { return static_cast<int32_t *>(p); }

/// linear.init: seed -> w, b, w/m, b/m
int32_t init(void *, const int64_t *, void *const *a, char *) {
  for (int i = 0; i < 9; ++i)
    floats(a[1])[i] = float(data::threefry(uint64_t(scalar<int64_t>(a[0])), 0, uint64_t(i)) >> 8) * 0x1p-24f - .5f;
  std::memset(a[2], 0, 3 * 4);
  std::memset(a[3], 0, 9 * 4);
  std::memset(a[4], 0, 3 * 4);
  return 0;
}

/// colours.prepare: picture -> image = picture / 255
int32_t prepare(void *, const int64_t *d, void *const *a, char *) {
  for (int64_t i = 0; i < d[0] * 3 * kPixels; ++i)
    floats(a[1])[i] = float(static_cast<uint8_t *>(a[0])[i]) / 255;
  return 0;
}

/// colours.prepare_train: picture, seed -> image, each record brighter or darker
int32_t prepareTrain(void *, const int64_t *d, void *const *a, char *) {
  for (int64_t n = 0; n < d[0]; ++n) {
    float light = .8f + .4f * float(data::threefry(uint64_t(scalar<int64_t>(a[1])), 5, uint64_t(n)) >> 8) * 0x1p-24f;
    for (int64_t i = n * 3 * kPixels; i < (n + 1) * 3 * kPixels; ++i)
      floats(a[2])[i] = light * float(static_cast<uint8_t *>(a[0])[i]) / 255;
  }
  return 0;
}

/// normal.begin: -> sum, count, mean
int32_t fitBegin(void *, const int64_t *, void *const *a, char *) {
  std::memset(a[0], 0, 3 * 4);
  scalar<float>(a[1]) = 0;
  std::memset(a[2], 0, 3 * 4);
  return 0;
}
/// normal.step: image -> sum, count, mean
int32_t fitStep(void *, const int64_t *d, void *const *a, char *) {
  for (int64_t n = 0; n < d[0]; ++n)
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < kPixels; ++p)
        floats(a[1])[c] += floats(a[0])[(n * 3 + c) * kPixels + p];
  scalar<float>(a[2]) += float(d[0] * kPixels);
  for (int c = 0; c < 3; ++c)
    floats(a[3])[c] = floats(a[1])[c] / scalar<float>(a[2]);
  return 0;
}

void probabilities(const float *image, const float *w, const float *b, const float *mean, float *x, float *p) {
  float top = -1e30f, sum = 0;
  for (int c = 0; c < 3; ++c) {
    x[c] = -mean[c];
    for (int i = 0; i < kPixels; ++i)
      x[c] += image[c * kPixels + i] / kPixels;
  }
  for (int o = 0; o < 3; ++o) {
    p[o] = b[o];
    for (int c = 0; c < 3; ++c)
      p[o] += w[o * 3 + c] * x[c];
    top = std::max(top, p[o]);
  }
  for (int o = 0; o < 3; ++o)
    sum += p[o] = std::exp(p[o] - top);
  for (int o = 0; o < 3; ++o)
    p[o] /= sum;
}

/// linear.*.step: image, colour, seed, step, steps, mean (read), w, b, w/m, b/m (update) -> loss
int32_t step(void *, const int64_t *d, void *const *a, char *) {
  ++linearSwitches.steps;
  float *w = floats(a[6]), *b = floats(a[7]), *wm = floats(a[8]), *bm = floats(a[9]);
  float gw[9] = {}, gb[3] = {}, loss = 0, n = float(d[0]);
  for (int64_t i = 0; i < d[0]; ++i) {
    float x[3], p[3];
    probabilities(floats(a[0]) + i * 3 * kPixels, w, b, floats(a[5]), x, p);
    int32_t t = ints(a[1])[i];
    loss -= std::log(p[t]) / n;
    for (int o = 0; o < 3; ++o) {
      float g = (p[o] - float(o == t)) / n;
      gb[o] += g;
      for (int c = 0; c < 3; ++c)
        gw[o * 3 + c] += g * x[c];
    }
  }
  // A little noise by seed, as dropout would be, and a rate that falls over the training.
  float noise = float(data::threefry(uint64_t(scalar<int64_t>(a[2])), 9, 0) >> 8) * 0x1p-24f * 1e-3f;
  float rate = .5f * (1 - scalar<float>(a[3]) / scalar<float>(a[4])) + noise;
  for (int i = 0; i < 9; ++i)
    w[i] -= rate * (wm[i] = .9f * wm[i] + gw[i]);
  for (int i = 0; i < 3; ++i)
    b[i] -= rate * (bm[i] = .9f * bm[i] + gb[i]);
  if (int(scalar<float>(a[3])) == linearSwitches.nanAtStep)
    loss = w[4] = std::nanf("");
  scalar<float>(a[10]) = loss;
  return 0;
}

/// linear.evaluate.begin: -> hits, seen
int32_t evaluateBegin(void *, const int64_t *, void *const *a, char *) {
  scalar<float>(a[0]) = scalar<float>(a[1]) = 0;
  return 0;
}
/// linear.evaluate.step: image, colour, mean, w, b, hits, seen -> accuracy, table, loss
int32_t evaluateStep(void *, const int64_t *d, void *const *a, char *) {
  float loss = 0;
  for (int64_t i = 0; i < d[0]; ++i) {
    float x[3], p[3];
    probabilities(floats(a[0]) + i * 3 * kPixels, floats(a[3]), floats(a[4]), floats(a[2]), x, p);
    int32_t t = ints(a[1])[i];
    loss -= std::log(p[t]) / float(d[0]);
    scalar<float>(a[5]) += float(std::max_element(p, p + 3) - p == t);
    scalar<float>(a[6]) += 1;
  }
  scalar<float>(a[7]) = scalar<float>(a[5]) / scalar<float>(a[6]);
  std::memset(a[8], 0, 9 * 4);
  scalar<float>(a[9]) = loss;
  return 0;
}

/// linear.estimate: image, a state. Stands in for running statistics.
int32_t estimate(void *, const int64_t *, void *const *, char *) {
  ++linearSwitches.estimates;
  return 0;
}
/// linear.predict: picture, mean, w, b -> colour, colour.score
int32_t predict(void *, const int64_t *d, void *const *a, char *) {
  for (int64_t i = 0; i < d[0]; ++i) {
    float image[3 * kPixels], x[3], p[3];
    for (int k = 0; k < 3 * kPixels; ++k)
      image[k] = float(static_cast<uint8_t *>(a[0])[i * 3 * kPixels + k]) / 255;
    probabilities(image, floats(a[2]), floats(a[3]), floats(a[1]), x, p);
    ints(a[4])[i] = int32_t(std::max_element(p, p + 3) - p);
    floats(a[5])[i] = *std::max_element(p, p + 3);
  }
  return 0;
}

const bigm_entry kEntries[] = {init, prepare, prepareTrain, fitBegin, fitStep, step, evaluateBegin, evaluateStep, predict, estimate};

json makeManifest() {
  enum { W, B, WM, BM, Sum, Count, Mean, Hits, Seen };
  auto tensor = [](const char *name, const char *kind, std::vector<int> shape) {
    return json{{"name", name}, {"kind", kind}, {"dtype", "f32"}, {"shape", shape}};
  };
  json tensors = {tensor("linear.w", "param", {3, 3}),       tensor("linear.b", "param", {3}),
                  tensor("linear.w/m", "slot", {3, 3}),      tensor("linear.b/m", "slot", {3}),
                  tensor("normal.sum", "fit", {3}),          tensor("normal.count", "fit", {}),
                  tensor("normal.mean", "fit", {3}),         tensor("evaluate.hits", "metric", {}),
                  tensor("evaluate.seen", "metric", {})};
  auto value = [](const char *name, const char *role, const char *dtype, json shape) {
    return json{{"name", name}, {"role", role}, {"dtype", dtype}, {"shape", shape}};
  };
  auto held = [&](int t, const char *access) {
    return json{{"name", tensors[size_t(t)]["name"]}, {"role", "tensor"}, {"tensor", t}, {"access", access}};
  };
  json none = json::array();
  json picture = value("picture", "input", "u8", {"N", 3, 4, 4}), image = value("image", "input", "f32", {"N", 3, 4, 4}),
       colour = value("colour", "input", "i32", json::array({"N"})), imageOut = value("image", "output", "f32", {"N", 3, 4, 4}),
       seed = value("seed", "seed", "i64", none), stepArg = value("step", "step", "f32", none),
       steps = value("steps", "steps", "f32", none), loss = value("loss", "output", "f32", none),
       accuracy = value("accuracy", "output", "f32", none), table = value("confusion", "output", "f32", {3, 3}),
       said = value("colour", "output", "i32", json::array({"N"})), score = value("colour.score", "output", "f32", json::array({"N"}));
  auto function = [](const char *name, bool batched, json args) {
    return json{{"name", name}, {"symbols", batched ? json::array({"N"}) : json::array()}, {"args", args}, {"arena", json::array()}};
  };
  json functions = json::array();
  functions.push_back(function("linear.init", false, {seed, held(W, "write"), held(B, "write"), held(WM, "write"), held(BM, "write")}));
  functions.push_back(function("colours.prepare", true, {picture, imageOut}));
  functions.push_back(function("colours.prepare_train", true, {picture, seed, imageOut}));
  functions.push_back(function("normal.begin", false, {held(Sum, "write"), held(Count, "write"), held(Mean, "write")}));
  functions.push_back(function("normal.step", true, {image, held(Sum, "update"), held(Count, "update"), held(Mean, "write")}));
  functions.push_back(function("linear.step", true,
                               {image, colour, seed, stepArg, steps, held(Mean, "read"), held(W, "update"), held(B, "update"),
                                held(WM, "update"), held(BM, "update"), loss}));
  functions.push_back(function("linear.evaluate.begin", false, {held(Hits, "write"), held(Seen, "write")}));
  functions.push_back(function("linear.evaluate.step", true,
                               {image, colour, held(Mean, "read"), held(W, "read"), held(B, "read"), held(Hits, "update"),
                                held(Seen, "update"), accuracy, table, loss}));
  functions.push_back(function("linear.predict", true, {picture, held(Mean, "read"), held(W, "read"), held(B, "read"), said, score}));
  functions.push_back(function("linear.estimate", true, {image, held(Seen, "update")}));

  json m = {{"bigm", 1}, {"name", "colours"}, {"source_sha256", "feed"}, {"compiler", "bigmc test"}, {"target", "x86-64"},
            {"tensors", tensors}, {"functions", functions}};
  json from = {{"name", "csv"}, {"strings", json::array({"colours.csv"})}, {"options", json::object()}}, test = from;
  test["strings"] = json::array({"test.csv"});
  m["data"] = json::array({{{"name", "colours"},
                {"from", from},
                {"test", test},
                {"fields",
                 {{{"name", "picture"}, {"kind", "image"}, {"dtype", "u8"}, {"shape", {3, 4, 4}}},
                  {{"name", "colour"}, {"kind", "label"}, {"dtype", "i32"}, {"shape", none}, {"classes", 3}, {"labels", {"red", "green", "blue"}}}}},
                {"split", json::array({json::array({"train", 60}), json::array({"valid", 20})})},
                {"seed", 7},
                {"derived", json::array({"image"})},
                {"prepare", "colours.prepare"},
                {"prepare_train", "colours.prepare_train"}}});
  m["fits"] = json::array({{{"name", "normal"}, {"data", "colours"}, {"split", "train"}, {"begin", "normal.begin"}, {"step", "normal.step"}}});
  auto phase = [](const char *name, double epochs, int batch) {
    return json{{"name", name},          {"epochs", epochs},     {"batch", batch},  {"step", "linear.step"}, {"start_from", ""},
                {"start_if_present", false}, {"own_schedule", false}, {"stop_metric", ""}, {"stop_compare", ""},  {"stop_value", 0},
                {"learned", {"linear.w", "linear.b"}}};
  };
  m["trains"] = json::array({{{"name", "linear"}, {"data", "colours"}, {"init", "linear.init"}, {"forward", ""}, {"predict", "linear.predict"},
                  {"validate", "linear"}, {"seed", 3}, {"phases", {phase("first", 2, 8), phase("second", 6, 16)}}}});
  m["evaluates"] = json::array({{{"name", "linear"}, {"train", "linear"}, {"data", "colours"}, {"split", "test"},
                     {"begin", "linear.evaluate.begin"}, {"step", "linear.evaluate.step"},
                     {"metrics", json::array({{{"name", "accuracy"}, {"output", "accuracy"}}, {{"name", "confusion"}, {"output", "confusion"}}})},
                     {"requires", json::array({{{"text", "accuracy >= 0.9"}, {"metric", "accuracy"}, {"compare", ">="}, {"value", .9}}})}}});
  m["deploys"] = none;
  return m;
}

} // namespace

void LinearProgram::SetUp() {
  std::string pattern = (std::filesystem::temp_directory_path() / "bigm-driver-XXXXXX").string();
  dir = mkdtemp(pattern.data());
  logFile = std::tmpfile();
  linearSwitches.nanAtStep = -1;
  linearSwitches.steps = 0;
  linearSwitches.estimates = 0;
  manifest = makeManifest();
  const char *names[] = {"red", "green", "blue"};
  for (auto [file, count, first] : {std::tuple("colours.csv", 80, 0), std::tuple("test.csv", 16, 1000)}) {
    std::string list = "file,colour\n";
    for (int i = first; i < first + count; ++i) {
      auto random = [&](int k) { return int(data::threefry(42, uint64_t(i), uint64_t(k)) % 60); };
      int colour = i % 3;
      data::Picture p{3, 4, 4, {}};
      for (int c = 0; c < 3; ++c)
        for (int k = 0; k < kPixels; ++k)
          p.pixels.push_back(uint8_t((c == colour ? 130 : 60) + random(c * kPixels + k)));
      auto png = data::encodePng(p);
      write(fmt::format("{}.png", i), std::string(png.begin(), png.end()));
      list += fmt::format("{}.png,{}\n", i, names[colour]);
    }
    write(file, list);
  }
}

void LinearProgram::TearDown() {
  for (auto &[text, m] : modules)
    bigm_module_destroy(m);
  std::fclose(logFile);
  for (auto &entry : std::filesystem::recursive_directory_iterator(dir))
    if (entry.is_directory())
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
  std::filesystem::remove_all(dir);
}

bigm_module *LinearProgram::module() {
  std::string now = manifest.dump();
  for (auto &[text, m] : modules)
    if (text == now)
      return m;
  modules.emplace_back(now, nullptr);
  modules.reserve(64); // the text must stay where it is
  auto source = BIGM_INIT(bigm_module_source);
  source.manifest = modules.back().first.c_str();
  source.manifest_size = modules.back().first.size();
  source.entries = kEntries;
  EXPECT_EQ(bigm_module_create(&source, &modules.back().second), BIGM_OK) << bigm_last_error();
  return modules.back().second;
}

TrainOptions LinearProgram::options(const std::string &run) const {
  TrainOptions o;
  o.threads = 2;
  o.dataDir = dir;
  o.sourceDir = dir;
  o.runDir = path(run);
  o.log = logFile;
  o.catchInterrupt = false;
  return o;
}

Result LinearProgram::trainInto(const std::string &run, bool resume) {
  TrainOptions o = options(run);
  o.resume = resume;
  return train(module(), o);
}

std::string LinearProgram::contents(const std::string &name) const {
  std::ifstream file(path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<nlohmann::json> LinearProgram::lines(const std::string &name) const {
  std::vector<nlohmann::json> out;
  std::ifstream file(path(name));
  for (std::string line; std::getline(file, line);)
    out.push_back(nlohmann::json::parse(line));
  return out;
}

std::string LinearProgram::log() const {
  std::fflush(logFile);
  std::rewind(logFile);
  std::string text;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, logFile)) > 0;)
    text.append(buffer, n);
  std::fseek(logFile, 0, SEEK_END);
  return text;
}

} // namespace bigm::driver
