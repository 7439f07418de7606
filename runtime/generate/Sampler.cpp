#include "Sampler.h"
#include "Engine.h"
#include "runtime/core/Threefry.h"
#include <algorithm>
#include <cmath>

namespace bigm::generate {

void check(const Sampling &s) {
  auto demand = [](bool holds, const std::string &text) {
    if (!holds)
      throw Error(text);
  };
  demand(std::isfinite(s.temperature) && s.temperature >= 0, "temperature is 0 or more, and here it is " + std::to_string(s.temperature));
  demand(s.topK >= 0, "top_k is 0 (all) or more, and here it is " + std::to_string(s.topK));
  demand(s.topP > 0 && s.topP <= 1, "top_p is above 0 and at most 1, and here it is " + std::to_string(s.topP));
  demand(std::isfinite(s.repetitionPenalty) && s.repetitionPenalty > 0,
         "the repetition penalty is above 0, and here it is " + std::to_string(s.repetitionPenalty));
}

Sampler::Sampler(int64_t vocab) : candidates(size_t(vocab)), seen(size_t(vocab), 0) {}

double Sampler::logSum(std::span<const float> logits) {
  float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits)
    sum += std::exp(double(x) - most);
  return most + std::log(sum);
}

void Sampler::penalise(std::span<float> logits, std::span<const int32_t> before, float penalty) {
  if (penalty == 1)
    return;
  if (++round == 0) {
    std::fill(seen.begin(), seen.end(), 0u);
    round = 1;
  }
  for (int32_t token : before) {
    if (seen[size_t(token)] == round)
      continue;
    seen[size_t(token)] = round;
    float &x = logits[size_t(token)];
    x = x > 0 ? x / penalty : x * penalty;
  }
}

int32_t Sampler::pick(std::span<float> logits, std::span<const int32_t> before, const Sampling &s, uint64_t sequence,
                      uint64_t position, double &logProbability) {
  for (float x : logits)
    if (std::isnan(x) || x == INFINITY)
      throw Error("the model gave logits that are no numbers");
  double all = logSum(logits);
  if (!std::isfinite(all))
    throw Error("the model gave logits that are no numbers");
  auto chosen = [&](int32_t token, float own) {
    logProbability = double(own) - all;
    return token;
  };
  // Only what the penalty changes is needed twice, and it changes few.
  auto original = [&](int32_t token) {
    float x = logits[size_t(token)];
    bool changed = s.repetitionPenalty != 1 && seen[size_t(token)] == round;
    return !changed ? x : x > 0 ? x * s.repetitionPenalty : x / s.repetitionPenalty;
  };
  penalise(logits, before, s.repetitionPenalty);
  if (s.temperature == 0 || s.topK == 1) {
    auto token = int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
    return chosen(token, original(token));
  }

  size_t count = logits.size();
  for (size_t i = 0; i < count; ++i)
    candidates[i] = {logits[i], int32_t(i)};
  // The more probable first; among equals the lower number.
  auto better = [](const Candidate &a, const Candidate &b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  };
  size_t sorted = 0; // how many from the start are in order
  auto sort = [&](size_t upTo) {
    upTo = std::min(upTo, count);
    if (upTo < count)
      std::nth_element(candidates.begin() + sorted, candidates.begin() + upTo, candidates.begin() + count, better);
    std::sort(candidates.begin() + sorted, candidates.begin() + upTo, better);
    sorted = std::max(sorted, upTo);
  };
  if (s.topK > 0 && size_t(s.topK) < count)
    sort(size_t(s.topK)), count = size_t(s.topK);
  auto most = std::max_element(candidates.begin(), candidates.begin() + count,
                               [](const Candidate &a, const Candidate &b) { return a.first < b.first; })->first;
  auto weight = [&](size_t i) { return std::exp((double(candidates[i].first) - most) / s.temperature); };
  double sum = 0;
  for (size_t i = 0; i < count; ++i)
    sum += weight(i);
  if (s.topP < 1) {
    double mass = 0;
    size_t kept = 0;
    while (kept < count && mass < s.topP * sum) {
      if (kept == sorted)
        sort(sorted ? 4 * sorted : 64);
      mass += weight(kept++);
    }
    count = kept, sum = mass;
  }
  // Uniform over 48 bits: a probability of 2^-24 would be drawn too often or never.
  uint64_t bits = uint64_t(rt::threefry(s.seed, sequence, 2 * position) >> 8) << 24 |
                  rt::threefry(s.seed, sequence, 2 * position + 1) >> 8;
  double place = double(bits) * 0x1p-48 * sum;
  size_t i = 0;
  for (double upTo = weight(0); i + 1 < count && place >= upTo; upTo += weight(i))
    ++i;
  return chosen(candidates[i].second, original(candidates[i].second));
}

} // namespace bigm::generate
