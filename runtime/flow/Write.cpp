#include "Write.h"
#include "runtime/data/Error.h"
#include "runtime/generate/Generate.h"
#include <algorithm>

namespace bigm::flow {

/// Texts that are written side by side: reading the weights once serves all of them, and each costs memory of its own.
constexpr size_t kSideBySide = 8;

void write(const Step &step, Slots &slots, const Surroundings &around) {
  const text::Tokenizer &tokenizer = around.tokenizer(step.strings.at(0));
  generate::Options options;
  options.atMost = int32_t(step.number("at_most", 256));
  options.sampling.temperature = float(step.number("temperature", 1));
  options.sampling.topP = float(step.number("top_p", 1));
  options.sampling.topK = int32_t(step.number("top_k", 0));
  options.sampling.repetitionPenalty = float(step.number("repetition", 1));
  options.sampling.seed = uint64_t(step.number("seed", 0));
  options.beams = int32_t(step.number("beams", 1));
  options.drawAlone = true;
  for (size_t i = 1; i < step.strings.size(); ++i) {
    const std::string &given = step.strings[i];
    if (given.rfind("stop ", 0) == 0) {
      options.stop.push_back(given.substr(5));
      continue;
    }
    auto token = tokenizer.id(given.substr(4));
    if (!token)
      data::fail("`{}` ends texts by `{}`, which is no token of `{}`", step.name, given.substr(4), step.strings[0]);
    options.endTokens.push_back(*token);
  }
  const data::Tensor &ids = slots.tensors.at(step.inputs.at(0)), &lengths = slots.tensors.at(step.inputs.at(1));
  std::vector<std::vector<int32_t>> prompts;
  size_t longest = 0, width = size_t(ids.shape.at(1));
  for (int64_t n = 0; n < slots.records; ++n) {
    const int32_t *row = ids.as<int32_t>() + size_t(n) * width;
    prompts.emplace_back(row, row + lengths.as<int32_t>()[n]);
    longest = std::max(longest, prompts.back().size());
  }
  std::vector<text::Decoder> decoders(prompts.size(), text::Decoder(tokenizer));
  generate::Callbacks callbacks;
  callbacks.decode = [&](size_t sequence, int32_t token, bool last, std::string &to) {
    if (last)
      decoders[sequence].finish(to);
    else
      decoders[sequence].push(token, to);
  };
  if (around.stream && around.streamed == step.outputs.at(0))
    callbacks.stream = [&](size_t sequence, int32_t, std::string_view piece) {
      return piece.empty() || around.stream(int64_t(sequence), piece);
    };
  Texts &texts = slots.texts[step.outputs.at(0)];
  texts.clear();
  try {
    size_t several = options.beams > 1 ? size_t(options.beams) : std::min(prompts.size(), kSideBySide);
    generate::Engine &engine = around.engine(step.name, int64_t(longest) + options.atMost, int64_t(several));
    for (generate::Continuation &c : generate::generate(engine, prompts, options, callbacks))
      texts.push_back(std::move(c.text));
  } catch (const generate::Error &e) {
    throw data::Error(e.what());
  }
}

} // namespace bigm::flow
