// The loop over a model written by hand, whose next token follows from everything that came before: kept rows hold the
// tokens, and the most probable token is their sum modulo the vocabulary. A wrong row, slot or length gives another text.
#include "runtime/generate/Generate.h"
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>
#include <numeric>

using namespace bigm::generate;

static std::atomic<int64_t> allocations = 0;
void *operator new(size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

namespace {
constexpr int64_t vocab = 11;

void logitsFor(int64_t sum, float *logits) {
  for (int64_t v = 0; v < vocab; ++v)
    logits[v] = v == sum % vocab ? 3.0f : v == (sum + 1) % vocab ? 2.0f : 0.0f;
}
const float *rows(void *const *buffers, int i) { return static_cast<const float *>(buffers[i]); }
const int32_t *numbers(void *const *buffers, int i) { return static_cast<const int32_t *>(buffers[i]); }

// Arguments: ids, count, then logits, new.0.k, new.0.v.
int32_t prefill(void *, const int64_t *dims, void *const *buffers, char *) {
  int64_t N = dims[0], T = dims[1];
  float *logits = static_cast<float *>(buffers[2]), *k = static_cast<float *>(buffers[3]), *v = static_cast<float *>(buffers[4]);
  for (int64_t n = 0; n < N; ++n) {
    int64_t sum = 0;
    for (int64_t t = 0; t < T; ++t) {
      k[n * T + t] = v[n * T + t] = float(numbers(buffers, 0)[n * T + t]);
      if (t < numbers(buffers, 1)[n])
        sum += numbers(buffers, 0)[n * T + t];
    }
    logitsFor(sum, logits + n * vocab);
  }
  return 0;
}
// ids, count, past, slot, cache.0.k, cache.0.v, then as above.
int32_t decode(void *, const int64_t *dims, void *const *buffers, char *) {
  int64_t N = dims[0], T = dims[1], L = dims[3];
  float *logits = static_cast<float *>(buffers[6]), *k = static_cast<float *>(buffers[7]), *v = static_cast<float *>(buffers[8]);
  for (int64_t n = 0; n < N; ++n) {
    int64_t sum = 0;
    const float *kept = rows(buffers, 4) + numbers(buffers, 3)[n] * L;
    for (int64_t j = 0; j < numbers(buffers, 2)[n]; ++j)
      sum += int64_t(kept[j]);
    for (int64_t t = 0; t < T; ++t) {
      k[n * T + t] = v[n * T + t] = float(numbers(buffers, 0)[n * T + t]);
      sum += numbers(buffers, 0)[n * T + t];
    }
    logitsFor(sum, logits + n * vocab);
  }
  return 0;
}

std::string argument(const std::string &name, const std::string &role, const std::string &dtype, const std::string &shape) {
  return R"({"name":")" + name + R"(","role":")" + role + R"(","dtype":")" + dtype + R"(","shape":[)" + shape + "]}";
}
std::string manifest(int positions) {
  std::string start = argument("ids", "input", "i32", R"("N","T")") + "," + argument("count", "input", "i32", R"("N")"),
              end = argument("logits", "output", "f32", R"("N",11)") + "," + argument("new.0.k", "output", "f32", R"("N","T",1,1)") +
                    "," + argument("new.0.v", "output", "f32", R"("N","T",1,1)"),
              middle = argument("past", "input", "i32", R"("N")") + "," + argument("slot", "input", "i32", R"("N")") + "," +
                       argument("cache.0.k", "input", "f32", R"("B","L",1,1)") + "," +
                       argument("cache.0.v", "input", "f32", R"("B","L",1,1)");
  return R"({"bigm":1,"name":"toy","tensors":[],"functions":[{"name":"sum.prefill","symbols":["N","T"],"args":[)" + start +
         "," + end + R"(],"arena":[]},{"name":"sum.decode","symbols":["N","T","B","L"],"args":[)" + start + "," + middle + "," +
         end + R"(],"arena":[]}],"data":[],"fits":[],"trains":[],"evaluates":[],"deploys":[],"generates":[{"name":"sum",)" +
         R"("prefill":"sum.prefill","decode":"sum.decode","ids":"ids","caches":2,"positions":)" + std::to_string(positions) + "}]}";
}

struct Model {
  explicit Model(int positions = 0) : text(manifest(positions)) {
    bigm_module_source source = BIGM_INIT(bigm_module_source);
    source.manifest = text.c_str(), source.manifest_size = text.size(), source.entries = entries;
    if (bigm_module_create(&source, &module) != BIGM_OK || bigm_model_create(module, &model) != BIGM_OK)
      ADD_FAILURE() << bigm_last_error();
  }
  ~Model() {
    bigm_model_destroy(model);
    bigm_module_destroy(module);
  }
  static constexpr bigm_entry entries[] = {prefill, decode};
  std::string text;
  bigm_module *module = nullptr;
  bigm_model *model = nullptr;
};

std::vector<int32_t> expected(std::vector<int32_t> tokens, int count) {
  int64_t sum = std::accumulate(tokens.begin(), tokens.end(), int64_t(0));
  std::vector<int32_t> result;
  for (int i = 0; i < count; ++i) {
    result.push_back(int32_t(sum % vocab));
    sum += result.back();
  }
  return result;
}
Options greedy(int32_t atMost) {
  Options options;
  options.sampling.temperature = 0;
  options.atMost = atMost;
  return options;
}
void letters(size_t, int32_t token, bool last, std::string &text) {
  if (!last)
    text += char('a' + token);
}
const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, {7}, {4, 4, 4, 4, 9}, {10, 1}, {5, 5}};
} // namespace

TEST(Generate, ContinuesEachPromptWhateverTheSlots) {
  Model model;
  for (int64_t slots : {1, 2, 3, 8}) {
    Engine engine(model.model, "sum", 64, slots);
    auto all = generate(engine, prompts, greedy(20));
    ASSERT_EQ(all.size(), prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(all[i].tokens, expected(prompts[i], 20)) << "prompt " << i << " with " << slots << " slots";
      EXPECT_EQ(all[i].end, End::Length);
      EXPECT_LT(all[i].logProbability, 0);
    }
  }
}

TEST(Generate, EndsWhereItShould) {
  Model model;
  Engine engine(model.model, "", 12, 2);
  Options options = greedy(100);
  options.pastCapacity = false;
  auto full = generate(engine, {{1, 2, 3}}, options);
  EXPECT_EQ(full[0].end, End::Capacity);
  EXPECT_EQ(full[0].tokens, expected({1, 2, 3}, 10)); // the last one needs no row
  options.endTokens = {expected({7}, 4)[3]};
  auto ended = generate(engine, {{7}}, options);
  EXPECT_EQ(ended[0].end, End::Token);
  EXPECT_EQ(ended[0].tokens, expected({7}, 3));
}

TEST(Generate, ReadsTheLaterHalfAgainWherePositionsAreFull) {
  Model model;
  for (int64_t slots : {1, 2}) {
    Engine engine(model.model, "", 12, slots);
    // Another prompt beside it begins later and is full at other times.
    auto all = generate(engine, {{1, 2, 3}, {4}, {5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6}}, greedy(50));
    for (const Continuation &one : all) {
      EXPECT_EQ(one.end, End::Length);
      EXPECT_EQ(one.tokens.size(), 50u);
    }
    // The sum begins anew with six tokens whenever twelve are kept.
    std::vector<int32_t> tokens = {1, 2, 3};
    size_t from = 0;
    while (tokens.size() < 53) {
      if (tokens.size() - from > 12)
        from = tokens.size() - 6;
      tokens.push_back(int32_t(std::accumulate(tokens.begin() + int64_t(from), tokens.end(), 0) % vocab));
    }
    EXPECT_EQ(all[0].tokens, std::vector<int32_t>(tokens.begin() + 3, tokens.end())) << slots << " slots";
  }
}

TEST(Generate, StopsAtATextAndStreamsUpToIt) {
  Model model;
  Engine engine(model.model, "sum", 64, 2);
  Options options = greedy(12);
  std::string whole;
  for (int32_t token : expected({1, 2, 3}, 12))
    whole += char('a' + token);
  options.stop = {whole.substr(5, 3)};
  std::string streamed;
  int tokens = 0;
  auto stopped = generate(engine, {{1, 2, 3}}, options, {letters, [&](size_t, int32_t token, std::string_view text) {
                                                           streamed += text;
                                                           tokens += token >= 0;
                                                           return true;
                                                         }});
  EXPECT_EQ(stopped[0].end, End::Stop);
  EXPECT_EQ(stopped[0].text, whole.substr(0, 5));
  EXPECT_EQ(streamed, stopped[0].text);
  EXPECT_EQ(tokens, 8);
  int calls = 0;
  options.stop.clear();
  auto left = generate(engine, {{1, 2, 3}}, options, {letters, [&](size_t, int32_t, std::string_view) { return ++calls < 4; }});
  EXPECT_EQ(left[0].end, End::Caller);
  EXPECT_EQ(left[0].tokens.size(), 4u);
}

TEST(Generate, DrawsTheSameForASeedWhateverTheSlots) {
  Model model;
  Options options;
  options.atMost = 30;
  options.sampling.seed = 5;
  std::vector<std::vector<std::vector<int32_t>>> runs;
  for (int64_t slots : {1, 3, 5}) {
    Engine engine(model.model, "sum", 64, slots);
    auto &run = runs.emplace_back();
    for (auto &c : generate(engine, prompts, options))
      run.push_back(c.tokens);
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
  EXPECT_NE(runs[0][0], expected(prompts[0], 30));
}

TEST(Generate, BeamsFindTheMostProbable) {
  Model model;
  Engine engine(model.model, "sum", 64, 4);
  Options options = greedy(3);
  options.beams = 4;
  // All tokens of this model are as probable whatever came before, so greedy is best; each beam must keep its own rows.
  auto found = generate(engine, {{1, 2, 3}, {8, 8}}, options);
  EXPECT_EQ(found[0].tokens, expected({1, 2, 3}, 3));
  EXPECT_EQ(found[1].tokens, expected({8, 8}, 3));
  double each = 3 - std::log(std::exp(3.0) + std::exp(2.0) + 9);
  EXPECT_NEAR(found[0].logProbability, 3 * each, 1e-5);
  // The best beam ends at once; a length penalty of 0 keeps it, a large one prefers longer texts.
  options.endTokens = {expected({1, 2, 3}, 1)[0]};
  options.lengthPenalty = 0;
  EXPECT_EQ(generate(engine, {{1, 2, 3}}, options)[0].tokens, std::vector<int32_t>());
  options.lengthPenalty = 3;
  EXPECT_EQ(generate(engine, {{1, 2, 3}}, options)[0].tokens.size(), 3u);
}

TEST(Generate, AllocatesNothingPerToken) {
  Model model;
  Engine engine(model.model, "sum", 4096, 2, 1);
  std::vector<int64_t> counts;
  counts.reserve(8192);
  Options options = greedy(2000);
  generate(engine, {{1, 2}, {3}}, options, {letters, [&](size_t, int32_t, std::string_view) {
                                              counts.push_back(allocations);
                                              return true;
                                            }});
  ASSERT_EQ(counts.size(), 4000u);
  EXPECT_EQ(counts[3990], counts[10]);
}

TEST(Generate, RefusesWhatMakesNoSense) {
  Model model, few(8);
  Engine engine(model.model, "sum", 16, 2);
  EXPECT_EQ(Engine(few.model, "sum", 0, 1).capacity(), 8);
  EXPECT_EQ(Engine(few.model, "sum", 20, 1).capacity(), 8);
  EXPECT_THROW(Engine(model.model, "sum", 0, 1), Error);
  EXPECT_THROW(Engine(model.model, "other", 8, 1), Error);
  EXPECT_THROW(Engine(model.model, "sum", 8, 0), Error);
  EXPECT_THROW(Engine(model.model, "sum", INT64_MAX / 8, 8), Error);
  EXPECT_THROW(generate(engine, {{}}, greedy(3)), Error);
  EXPECT_THROW(generate(engine, {{11}}, greedy(3)), Error);
  EXPECT_THROW(generate(engine, {{-1}}, greedy(3)), Error);
  EXPECT_THROW(generate(engine, {std::vector<int32_t>(17, 1)}, greedy(3)), Error);
  EXPECT_THROW(generate(engine, {{1}}, greedy(0)), Error);
  Options options = greedy(3);
  options.beams = 3;
  EXPECT_THROW(generate(engine, {{1}}, options), Error);
  options.beams = 1, options.stop = {"x"};
  EXPECT_THROW(generate(engine, {{1}}, options), Error);
}
