// Texts to ids: of each text, or of the texts of a list together.
#include "Operations.h"
#include "Rows.h"
#include "runtime/data/Error.h"

namespace bigm::flow {
namespace {

text::EncodeOptions optionsOf(const Step &s, int64_t length) {
  text::EncodeOptions options;
  options.pad = false;
  options.atMost = length ? length : int64_t(s.number("at_most", 0));
  options.special = s.number("special", 1) != 0;
  return options;
}

void put(Slots &slots, const Step &s, size_t first, IdRows rows) {
  slots.tensors[s.outputs.at(first)] = std::move(rows.ids);
  slots.tensors[s.outputs.at(first + 1)] = std::move(rows.lengths);
}

/// What a text of a user does is an error of theirs.
template <class Body> void onTexts(Body body) {
  try {
    body();
  } catch (const text::Error &e) {
    throw data::Error(e.what());
  }
}

} // namespace

void tokens(const Step &s, Slots &slots, const Surroundings &around) {
  int64_t length = int64_t(s.number("length", 0));
  auto dress = s.options.find("around");
  onTexts([&] {
    put(slots, s, 0, idRows(around.tokenizer(s.strings.at(0)), slots.texts.at(s.inputs.at(0)), optionsOf(s, length), length,
                            dress == s.options.end() ? std::string_view() : std::get<std::string>(dress->second)));
  });
}

void pieces(const Step &s, Slots &slots, const Surroundings &around) {
  int64_t length = int64_t(s.number("length", 0));
  onTexts([&] {
    PieceRows rows = pieceRows(around.tokenizer(s.strings.at(0)), slots.texts.at(s.inputs.at(0)), countsOf(s, slots, s.inputs.at(1)),
                               optionsOf(s, length), length);
    put(slots, s, 0, std::move(rows.ids));
    put(slots, s, 2, std::move(rows.starts));
  });
}

void elementTokens(const Step &s, Slots &slots, const Surroundings &around) {
  onTexts([&] {
    put(slots, s, 0, elementRows(around.tokenizer(s.strings.at(0)), slots.texts.at(s.inputs.at(0)), countsOf(s, slots, s.inputs.at(1)), s.strings.at(0)));
  });
}

} // namespace bigm::flow
