#include "runtime/generate/Engine.h"
#include "runtime/generate/Sampler.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace bigm::generate;

namespace {
/// How often each token comes in `draws` draws.
std::map<int32_t, int> draw(const std::vector<float> &logits, const Sampling &sampling, int draws,
                            const std::vector<int32_t> &before = {}) {
  Sampler sampler(int64_t(logits.size()));
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i) {
    std::vector<float> own = logits;
    double probability = 0;
    ++counts[sampler.pick(own, before, sampling, 0, uint64_t(i), probability)];
  }
  return counts;
}
std::vector<float> logsOf(const std::vector<double> &probabilities) {
  std::vector<float> logits;
  for (double p : probabilities)
    logits.push_back(float(std::log(p)) + 3);
  return logits;
}
/// Counts agree with probabilities within five standard deviations.
void expectShares(const std::map<int32_t, int> &counts, const std::vector<double> &probabilities, int draws) {
  for (size_t i = 0; i < probabilities.size(); ++i) {
    double p = probabilities[i], count = counts.count(int32_t(i)) ? counts.at(int32_t(i)) : 0;
    if (p == 0)
      EXPECT_EQ(count, 0) << "token " << i;
    else
      EXPECT_NEAR(count, p * draws, 5 * std::sqrt(draws * p * (1 - p)) + 1) << "token " << i;
  }
}
constexpr int draws = 20000;
} // namespace

TEST(Sampler, DrawsByProbability) {
  std::vector<double> p = {0.5, 0.05, 0.25, 0.2};
  expectShares(draw(logsOf(p), {}, draws), p, draws);
}
TEST(Sampler, Temperature) {
  std::vector<double> p = {0.5, 0.05, 0.25, 0.2}, squares = {0.25, 0.0025, 0.0625, 0.04};
  double sum = 0.355;
  for (double &x : squares)
    x /= sum;
  expectShares(draw(logsOf(p), {.temperature = 0.5}, draws), squares, draws);
}
TEST(Sampler, TopK) { expectShares(draw(logsOf({0.5, 0.05, 0.25, 0.2}), {.topK = 2}, draws), {2. / 3, 0, 1. / 3, 0}, draws); }
TEST(Sampler, TopP) {
  // 0.5 + 0.25 reach 0.7; one token always stays.
  expectShares(draw(logsOf({0.5, 0.05, 0.25, 0.2}), {.topP = 0.7f}, draws), {2. / 3, 0, 1. / 3, 0}, draws);
  EXPECT_EQ(draw(logsOf({0.5, 0.05, 0.25, 0.2}), {.topP = 0.01f}, 100), (std::map<int32_t, int>{{0, 100}}));
}
TEST(Sampler, TopPAmongManyEqualTokens) {
  // 300 of 1000 equal tokens, those with the lowest numbers.
  auto counts = draw(std::vector<float>(1000, 0), {.topP = 0.3f}, 3000);
  EXPECT_LT(counts.rbegin()->first, 301);
  EXPECT_GT(counts.size(), 280u);
}
TEST(Sampler, GreedyTakesTheFirstOfEquals) {
  EXPECT_EQ(draw({1, 4, 4, 0}, {.temperature = 0}, 3), (std::map<int32_t, int>{{1, 3}}));
}
TEST(Sampler, RepetitionPenalty) {
  // 4 / 2 = 2 is below 3, and -1 * 2 below -1.5.
  EXPECT_EQ(draw({4, 3, -9}, {.temperature = 0, .repetitionPenalty = 2}, 1, {0, 0}), (std::map<int32_t, int>{{1, 1}}));
  EXPECT_EQ(draw({-1, -1.5f}, {.temperature = 0, .repetitionPenalty = 2}, 1, {0}), (std::map<int32_t, int>{{1, 1}}));
}
TEST(Sampler, ProbabilityIsTheModels) {
  Sampler sampler(3);
  std::vector<float> logits = logsOf({0.7, 0.2, 0.1});
  double probability = 0;
  std::vector<int32_t> before = {0};
  EXPECT_EQ(sampler.pick(logits, before, {.temperature = 0, .repetitionPenalty = 1.1f}, 0, 0, probability), 0);
  EXPECT_NEAR(std::exp(probability), 0.7, 1e-5);
}
TEST(Sampler, TheSameSeedDrawsTheSame) {
  std::vector<float> logits = logsOf({0.3, 0.3, 0.4});
  auto row = [&](uint64_t seed, uint64_t sequence) {
    Sampler sampler(3);
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < 50; ++i) {
      std::vector<float> own = logits;
      double probability;
      tokens.push_back(sampler.pick(own, {}, {.seed = seed}, sequence, i, probability));
    }
    return tokens;
  };
  EXPECT_EQ(row(1, 2), row(1, 2));
  EXPECT_NE(row(1, 2), row(2, 2));
  EXPECT_NE(row(1, 2), row(1, 3));
}
TEST(Sampler, RefusesWhatIsNoNumber) {
  EXPECT_THROW(draw({1, NAN}, {}, 1), Error);
  EXPECT_THROW(draw({1, INFINITY}, {}, 1), Error);
  EXPECT_THROW(draw({-INFINITY, -INFINITY}, {}, 1), Error);
  EXPECT_EQ(draw({-INFINITY, 0}, {}, 5), (std::map<int32_t, int>{{1, 5}}));
  for (Sampling wrong : {Sampling{.temperature = -1}, Sampling{.topK = -1}, Sampling{.topP = 0}, Sampling{.topP = 1.5f},
                         Sampling{.repetitionPenalty = 0}, Sampling{.temperature = NAN}})
    EXPECT_THROW(check(wrong), Error);
}
