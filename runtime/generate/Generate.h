// Continues sequences of tokens with a model: the loop from a prompt to its end.
//
//   Engine engine(model, "gpt", 1024, 4);
//   Options options;
//   options.sampling.topP = 0.9f;
//   std::vector<Continuation> all = generate(engine, prompts, options, {.decode = ..., .stream = ...});
//
// As many prompts as the engine has slots are under way at a time; the next begins where one ends. What is chosen for a
// prompt depends on its tokens, the seed and (but for `drawAlone`) its number, not on those beside it.
#pragma once
#include "Engine.h"
#include "Sampler.h"
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::generate {

struct Options {
  Sampling sampling;
  int32_t atMost = 256;            // new tokens of each sequence
  std::vector<int32_t> endTokens;  // tokens that end a sequence; they are no part of it
  std::vector<std::string> stop;   // texts that end a sequence; they are no part of it. Need `decode`
  int32_t beams = 1;               // more: the most probable whole continuation that a search this wide finds; draws nothing
  /// Where a sequence has filled the engine's positions its later half is read again, as if it began there, and it goes on; else it
  /// ends. A search by beams ends in any case.
  bool pastCapacity = true;
  bool drawAlone = false;          // each prompt draws what it would draw alone, whatever its number
  float lengthPenalty = 1;         // of beams: log-probabilities are divided by length to this power
};

/// Why a sequence ended: a token or text of Options, `atMost`, the engine's capacity, or the caller.
enum class End { Token, Stop, Length, Capacity, Caller };
const char *name(End end); // "token", "stop", "length", "capacity", "caller"

struct Continuation {
  std::vector<int32_t> tokens;
  std::string text;          // where there is `decode`
  double logProbability = 0; // of the tokens, in the model's eyes
  End end = End::Length;
};

struct Callbacks {
  /// Appends to `text` what a token of a sequence adds to it; tokens of one sequence come in order. With `last` no more
  /// follow, and `token` is -1.
  std::function<void(size_t sequence, int32_t token, bool last, std::string &text)> decode;
  /// Called for each new token, with the text that is settled by now, and once more with token -1 when text is left at the
  /// end. False ends the sequence.
  std::function<bool(size_t sequence, int32_t token, std::string_view text)> stream;
};

/// Throws Error. Prompts have at least one token each.
std::vector<Continuation> generate(Engine &engine, const std::vector<std::vector<int32_t>> &prompts, const Options &options,
                                   const Callbacks &callbacks = {});

/// The same for one prompt by a search over `options.beams` sequences; the engine has as many slots (Beams.cpp).
Continuation searchBeams(Engine &engine, const std::vector<int32_t> &prompt, const Options &options);

} // namespace bigm::generate
