// Beam search: of all continuations of the sequences at hand by one token the most probable ones go on.
//
// A sequence that goes on in one way keeps its slot; what goes on in several is copied into slots of sequences that end.
#include "Generate.h"
#include <algorithm>
#include <cmath>

namespace bigm::generate {
namespace {

struct Beam {
  std::vector<int32_t> tokens;
  double logProbability = 0;
  int32_t slot = 0;
};
struct Step {
  double logProbability;
  size_t parent;
  int32_t token;
};

class Search {
public:
  Search(Engine &engine, const Options &options) : engine(engine), options(options), sampler(engine.vocab()) {}

  Continuation run(const std::vector<int32_t> &prompt) {
    width = size_t(options.beams);
    std::span<const int32_t> own[] = {prompt};
    const int32_t slot[] = {0};
    float *logits = engine.prefill(own, slot);
    beams.push_back({{}, 0, 0});
    for (;;) {
      collect(logits, prompt);
      bool full = advance();
      if (beams.empty() || done())
        break;
      auto length = int32_t(beams[0].tokens.size());
      if (length == options.atMost || full) {
        for (const Beam &beam : beams)
          finish(beam.tokens, beam.logProbability, length == options.atMost ? End::Length : End::Capacity);
        break;
      }
      tokens.clear(), slots.clear();
      for (const Beam &beam : beams)
        tokens.push_back(beam.tokens.back()), slots.push_back(beam.slot);
      logits = engine.decode(tokens, slots);
    }
    return *std::max_element(finished.begin(), finished.end(), [&](const Continuation &a, const Continuation &b) {
      return score(a.logProbability, a.tokens.size()) < score(b.logProbability, b.tokens.size());
    });
  }

private:
  double score(double logProbability, size_t length) const {
    return logProbability / std::pow(double(std::max<size_t>(length, 1)), double(options.lengthPenalty));
  }

  /// The 2 * width best steps: as many end as end, width go on.
  void collect(float *logits, const std::vector<int32_t> &prompt) {
    steps.clear();
    for (size_t b = 0; b < beams.size(); ++b) {
      std::span<float> own(logits + int64_t(b) * engine.vocab(), size_t(engine.vocab()));
      if (options.sampling.repetitionPenalty != 1) {
        history.assign(prompt.begin(), prompt.end());
        history.insert(history.end(), beams[b].tokens.begin(), beams[b].tokens.end());
        sampler.penalise(own, history, options.sampling.repetitionPenalty);
      }
      double all = Sampler::logSum(own);
      if (!std::isfinite(all))
        throw Error("the model gave logits that are no numbers");
      for (size_t token = 0; token < own.size(); ++token)
        steps.push_back({beams[b].logProbability + own[token] - all, b, int32_t(token)});
    }
    size_t most = std::min(steps.size(), 2 * width);
    std::partial_sort(steps.begin(), steps.begin() + int64_t(most), steps.end(), [](const Step &a, const Step &b) {
      return a.logProbability > b.logProbability ||
             (a.logProbability == b.logProbability && std::pair(a.parent, a.token) < std::pair(b.parent, b.token));
    });
    steps.resize(most);
  }

  /// Takes the steps. True when there is no room for another token.
  bool advance() {
    next.clear();
    std::vector<bool> parents(beams.size(), false);
    for (size_t rank = 0; rank < steps.size() && next.size() < width; ++rank) {
      const Step &step = steps[rank];
      const Beam &parent = beams[step.parent];
      if (std::count(options.endTokens.begin(), options.endTokens.end(), step.token)) {
        if (rank < width) // one that ends takes the place that it would have had
          finish(parent.tokens, step.logProbability, End::Token);
        continue;
      }
      Beam &beam = next.emplace_back(parent);
      beam.tokens.push_back(step.token);
      beam.logProbability = step.logProbability;
      if (parents[step.parent])
        beam.slot = -1 - parent.slot; // a copy of that
      parents[step.parent] = true;
    }
    std::vector<bool> taken(size_t(engine.slots()), false);
    for (const Beam &beam : next)
      if (beam.slot >= 0)
        taken[size_t(beam.slot)] = true;
    bool full = false;
    for (Beam &beam : next) {
      if (beam.slot < 0) {
        auto free = int32_t(std::find(taken.begin(), taken.end(), false) - taken.begin());
        engine.copy(-1 - beam.slot, free);
        taken[size_t(free)] = true;
        beam.slot = free;
      }
      full |= engine.length(beam.slot) >= engine.capacity();
    }
    std::swap(beams, next);
    return full;
  }

  void finish(const std::vector<int32_t> &all, double logProbability, End end) {
    Continuation result;
    result.tokens = all;
    result.logProbability = logProbability;
    result.end = end;
    finished.push_back(std::move(result));
  }
  /// Whether nothing that goes on can become better than the worst of the best `width` that ended.
  bool done() {
    if (finished.size() < width)
      return false;
    std::vector<double> scores;
    for (const Continuation &c : finished)
      scores.push_back(score(c.logProbability, c.tokens.size()));
    std::sort(scores.rbegin(), scores.rend());
    return score(beams[0].logProbability, beams[0].tokens.size()) <= scores[width - 1];
  }

  Engine &engine;
  const Options &options;
  Sampler sampler;
  size_t width = 1;
  std::vector<Beam> beams, next;
  std::vector<Step> steps;
  std::vector<Continuation> finished;
  std::vector<int32_t> history, tokens, slots;
};
} // namespace

Continuation searchBeams(Engine &engine, const std::vector<int32_t> &prompt, const Options &options) {
  return Search(engine, options).run(prompt);
}

} // namespace bigm::generate
