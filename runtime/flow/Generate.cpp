// Texts that a model writes, in a flow.
#include "Flow.h"
#include "runtime/data/Error.h"
#include "runtime/generate/Generate.h"
#include <algorithm>

namespace bigm::flow {
namespace {

constexpr int64_t kSlots = 8;     // sequences that are written at a time
constexpr int64_t kRounding = 64; // positions; so that prompts of other lengths seldom need another engine

double option(const Step &s, const char *name, double otherwise) {
  auto found = s.options.find(name);
  return found == s.options.end() ? otherwise : std::get<double>(found->second);
}

/// Tokens by which the usual tokenizers say that a text ends.
std::vector<int32_t> endTokens(const text::Tokenizer &tokenizer) {
  std::vector<int32_t> ids;
  for (const char *name : {"</s>", "<|endoftext|>", "<eos>", "<|eot_id|>", "<|im_end|>", "[EOS]"})
    if (auto id = tokenizer.id(name); id && tokenizer.special(*id))
      ids.push_back(*id);
  return ids;
}

generate::Engine &engineFor(const std::string &name, int64_t positions, int64_t slots, const Surroundings &around) {
  auto &[asked, engine] = around.engines[name];
  if (!engine || asked < positions || engine->slots() < slots) {
    engine.reset(); // its memory first
    asked = (positions + kRounding - 1) / kRounding * kRounding;
    engine = std::make_shared<generate::Engine>(around.model, name, asked, slots, around.threads);
  }
  return *engine; // of a model that tells fewer positions apart it has as many as that
}

} // namespace

void writeTexts(const Step &s, Slots &slots, const Surroundings &around) {
  const text::Tokenizer &tokenizer = around.tokenizer(s.strings.at(0));
  const data::Tensor &ids = slots.tensors.at(s.inputs.at(0)), &lengths = slots.tensors.at(s.inputs.at(1));
  generate::Options options;
  options.atMost = int32_t(option(s, "at_most", options.atMost));
  options.beams = int32_t(option(s, "beams", 1));
  options.sampling.temperature = float(option(s, "temperature", 1));
  options.sampling.topK = int32_t(option(s, "top_k", 0));
  options.sampling.topP = float(option(s, "top_p", 1));
  options.sampling.repetitionPenalty = float(option(s, "repetition_penalty", 1));
  options.sampling.seed = uint64_t(option(s, "seed", 0));
  options.stop.assign(s.strings.begin() + 1, s.strings.end());
  options.endTokens = endTokens(tokenizer);

  std::vector<std::vector<int32_t>> prompts;
  int64_t width = ids.shape.at(1), longest = 0;
  for (int64_t r = 0; r < slots.records; ++r) {
    int32_t length = lengths.as<int32_t>()[r];
    if (length == 0)
      data::fail("a text to continue has no tokens; it needs one at least");
    const int32_t *row = ids.as<int32_t>() + r * width;
    prompts.emplace_back(row, row + length);
    longest = std::max<int64_t>(longest, length);
  }
  std::vector<text::Decoder> decoders(prompts.size(), text::Decoder(tokenizer));
  generate::Callbacks callbacks;
  callbacks.decode = [&](size_t sequence, int32_t token, bool last, std::string &text) {
    text += last ? decoders[sequence].finish() : decoders[sequence].push(token);
  };
  if (around.stream)
    callbacks.stream = [&](size_t sequence, int32_t, std::string_view piece) {
      if (!piece.empty())
        around.stream(sequence, piece);
      return true;
    };
  try {
    int64_t needed = options.beams > 1 ? options.beams : std::min<int64_t>(kSlots, slots.records);
    generate::Engine &engine = engineFor(s.name, longest + options.atMost, needed, around);
    if (longest >= engine.capacity())
      data::fail("a text to continue has {} tokens, and `{}` can tell {} positions apart; cut it with `at_most` of `tokens`", longest,
                 s.name, engine.capacity());
    Texts texts;
    for (auto &continuation : generate::generate(engine, prompts, options, callbacks))
      texts.push_back(std::move(continuation.text));
    slots.texts[s.outputs.at(0)] = std::move(texts);
  } catch (const generate::Error &e) {
    throw data::Error(e.what());
  }
}

} // namespace bigm::flow
