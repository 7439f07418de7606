#include "Generate.h"
#include "StopText.h"
#include <algorithm>

namespace bigm::generate {

const char *name(End end) {
  static const char *const names[] = {"token", "stop", "length", "capacity", "caller"};
  return names[int(end)];
}

namespace {
void check(const Engine &engine, const Options &options, const Callbacks &callbacks) {
  check(options.sampling);
  if (options.atMost < 1)
    throw Error("at_most is 1 or more, and here it is " + std::to_string(options.atMost));
  if (options.beams < 1 || options.beams > engine.slots())
    throw Error("beams are 1 to " + std::to_string(engine.slots()) + ", the slots there are, and here they are " +
                std::to_string(options.beams));
  if (!options.stop.empty() && (!callbacks.decode || options.beams > 1))
    throw Error("texts that end a sequence need its text, and one beam");
  for (const std::string &stop : options.stop)
    if (stop.empty())
      throw Error("a text that ends a sequence is empty");
}

/// One prompt under way.
struct Running {
  size_t prompt = 0;
  std::vector<int32_t> tokens; // the prompt's and those after it
  size_t start = 0;
  StopText text;
  double logProbability = 0;
  std::optional<End> end;
  bool full = false; // the engine's positions: what is kept of it must be read again

  explicit Running(std::span<const std::string> stops) : text(stops) {}
};

class Loop {
public:
  Loop(Engine &engine, const std::vector<std::vector<int32_t>> &prompts, const Options &options, const Callbacks &callbacks)
      : engine(engine), prompts(prompts), options(options), callbacks(callbacks), sampler(engine.vocab()) {}

  std::vector<Continuation> run() {
    results.resize(prompts.size());
    std::vector<Running> slots(std::min(size_t(engine.slots()), prompts.size()), Running(options.stop));
    size_t waiting = 0;
    std::vector<int32_t> fresh, active, tokens;
    std::vector<std::span<const int32_t>> begun;
    active.reserve(slots.size()), tokens.reserve(slots.size());
    std::vector<bool> used(slots.size(), false);
    for (;;) {
      fresh.clear(), begun.clear(), active.clear(), tokens.clear();
      for (size_t slot = 0; slot < slots.size(); ++slot) {
        if (used[slot] && slots[slot].full) {
          begun.push_back(laterHalf(slots[slot].tokens));
          fresh.push_back(int32_t(slot));
          slots[slot].full = false;
        } else if (used[slot]) {
          active.push_back(int32_t(slot)), tokens.push_back(slots[slot].tokens.back());
        } else if (waiting < prompts.size()) {
          begin(slots[slot], waiting);
          begun.push_back(prompts[waiting++]);
          fresh.push_back(int32_t(slot));
          used[slot] = true;
        }
      }
      if (fresh.empty() && active.empty())
        return std::move(results);
      if (!fresh.empty())
        take(engine.prefill(begun, fresh), fresh, slots, used);
      if (!active.empty())
        take(engine.decode(tokens, active), active, slots, used);
    }
  }

private:
  void begin(Running &r, size_t prompt) {
    r.prompt = prompt;
    r.tokens.reserve(prompts[prompt].size() + size_t(options.atMost));
    r.tokens.assign(prompts[prompt].begin(), prompts[prompt].end());
    r.start = r.tokens.size();
    r.text = StopText(options.stop);
    r.text.reserve(callbacks.decode ? 8 * size_t(options.atMost) + 64 : 0);
    r.logProbability = 0;
    r.end.reset();
    r.full = false;
  }

  /// Of as many tokens as the engine keeps. A token then costs one more on average, and none sees less than half of that.
  std::span<const int32_t> laterHalf(const std::vector<int32_t> &tokens) const {
    return std::span(tokens).last(size_t(std::max<int64_t>(1, engine.capacity() / 2)));
  }

  /// A token for each sequence of a call.
  void take(float *logits, const std::vector<int32_t> &numbers, std::vector<Running> &slots, std::vector<bool> &used) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      Running &r = slots[size_t(numbers[i])];
      std::span<float> own(logits + int64_t(i) * engine.vocab(), size_t(engine.vocab()));
      double probability = 0;
      int32_t token = sampler.pick(own, r.tokens, options.sampling, options.drawAlone ? 0 : r.prompt, r.tokens.size() - r.start, probability);
      r.logProbability += probability;
      advance(r, token, engine.length(numbers[i]) >= engine.capacity());
      if (r.end) {
        finish(r);
        used[size_t(numbers[i])] = false;
      }
    }
  }

  void advance(Running &r, int32_t token, bool full) {
    if (std::find(options.endTokens.begin(), options.endTokens.end(), token) != options.endTokens.end()) {
      r.end = End::Token;
      return;
    }
    r.tokens.push_back(token);
    if (callbacks.decode) {
      callbacks.decode(r.prompt, token, false, r.text.text);
      if (r.text.add())
        r.end = End::Stop;
    }
    if (callbacks.stream && !callbacks.stream(r.prompt, token, r.text.ready(false)) && !r.end)
      r.end = End::Caller;
    if (!r.end && int32_t(r.tokens.size() - r.start) == options.atMost)
      r.end = End::Length;
    if (!r.end && full && !options.pastCapacity)
      r.end = End::Capacity;
    r.full = full && !r.end;
  }

  void finish(Running &r) {
    if (callbacks.decode && *r.end != End::Stop) {
      callbacks.decode(r.prompt, -1, true, r.text.text);
      if (r.text.add())
        r.end = End::Stop;
    }
    std::string_view rest = r.text.ready(true);
    if (callbacks.stream && !rest.empty() && *r.end != End::Caller)
      callbacks.stream(r.prompt, -1, rest);
    Continuation &result = results[r.prompt];
    result.tokens.assign(r.tokens.begin() + int64_t(r.start), r.tokens.end());
    result.text = r.text.text;
    result.logProbability = r.logProbability;
    result.end = *r.end;
  }

  Engine &engine;
  const std::vector<std::vector<int32_t>> &prompts;
  const Options &options;
  const Callbacks &callbacks;
  Sampler sampler;
  std::vector<Continuation> results;
};
} // namespace

std::vector<Continuation> generate(Engine &engine, const std::vector<std::vector<int32_t>> &prompts, const Options &options,
                                   const Callbacks &callbacks) {
  check(engine, options, callbacks);
  if (options.beams == 1)
    return Loop(engine, prompts, options, callbacks).run();
  std::vector<Continuation> results;
  for (size_t i = 0; i < prompts.size(); ++i) {
    Continuation &result = results.emplace_back(searchBeams(engine, prompts[i], options));
    // Which text it is is known at the end only.
    for (int32_t token : result.tokens)
      if (callbacks.decode)
        callbacks.decode(i, token, false, result.text);
    if (callbacks.decode)
      callbacks.decode(i, -1, true, result.text);
    if (callbacks.stream)
      callbacks.stream(i, -1, result.text);
  }
  return results;
}

} // namespace bigm::generate
