// How the next token is chosen from logits.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace bigm::generate {

struct Sampling {
  float temperature = 1;       // 0: always the most probable token
  int32_t topK = 0;            // only the most probable k; 0: all
  float topP = 1;              // only the most probable that together have probability p (Holtzman et al. 2020)
  float repetitionPenalty = 1; // logits of tokens that were there are divided by it, negative ones multiplied (Keskar 2019)
  uint64_t seed = 0;
};
/// Throws Error where a number is out of range.
void check(const Sampling &sampling);

class Sampler {
public:
  explicit Sampler(int64_t vocab);

  /// Changes `logits` in place. The choice depends on (seed, sequence, position) and the logits alone. Throws Error where
  /// the logits are no numbers. `logProbability` is the model's own, before any of the settings.
  int32_t pick(std::span<float> logits, std::span<const int32_t> before, const Sampling &sampling, uint64_t sequence,
               uint64_t position, double &logProbability);
  /// Lowers tokens that stand in `before`.
  void penalise(std::span<float> logits, std::span<const int32_t> before, float penalty);
  /// log(sum(exp(logits))), of 64-bit numbers.
  static double logSum(std::span<const float> logits);

private:
  using Candidate = std::pair<float, int32_t>;
  std::vector<Candidate> candidates;
  std::vector<uint32_t> seen; // by token, the round in which it was seen
  uint32_t round = 0;
};

} // namespace bigm::generate
