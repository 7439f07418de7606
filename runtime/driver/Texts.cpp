#include "Texts.h"
#include "Driver.h"
#include "Pretrained.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/flow/Flow.h"
#include "runtime/flow/Rows.h"
#include "runtime/text/Fit.h"
#include "runtime/weights/GgufTokenizer.h"
#include <algorithm>

namespace bigm::driver {

namespace {
text::EncodeOptions optionsOf(const HostStep &step) {
  text::EncodeOptions options;
  options.special = step.special;
  options.pad = false; // the same as in a flow: cut as the file says, unless the program says otherwise
  options.atMost = step.length > 0 ? step.length : step.atMost;
  return options;
}
/// What the program puts around each text; mostly nothing.
std::string aroundOf(const HostStep &step) { return step.settings.text("around").value_or(""); }
} // namespace

std::vector<int32_t> idsOf(const text::Tokenizer &tokenizer, const std::string &text, const HostStep &step) {
  return tokenizer.encode(text::inside(aroundOf(step), text), optionsOf(step)).ids;
}

text::WordIds piecesOf(const text::Tokenizer &tokenizer, const std::vector<std::string> &words, const HostStep &step) {
  return tokenizer.encodeWords(words, optionsOf(step));
}

text::Tokenizer readTokenizer(const TokenizerProgram &program, const std::string &sourceDir, const std::string &dataDir) {
  std::string path = find(program.file, "the file of the tokenizer `" + program.name + "`", {dataDir, sourceDir});
  try {
    auto tokenizer = weights::isGgufFile(path) ? weights::ggufTokenizer(path) : text::Tokenizer::fromFile(path);
    if (program.atMost > 0 && tokenizer.size() > program.atMost)
      data::fail("tokenizer `{}`: {} has {} tokens, and the program says `at_most: {}`", program.name, path, tokenizer.size(), program.atMost);
    return tokenizer;
  } catch (const text::Error &e) {
    data::fail("tokenizer `{}`: {}", program.name, e.what());
  }
}

std::vector<std::pair<std::string, std::string>> tokenizerFiles(const std::string &manifest, const CommonOptions &options) {
  std::vector<std::pair<std::string, std::string>> files;
  for (auto &t : parseProgram(manifest).tokenizers) {
    std::string name = "tokenizer." + t.name + ".json";
    if (!options.runDir.empty())
      files.emplace_back(name, data::readText(options.runDir + "/" + name));
    else if (t.kind == "file")
      files.emplace_back(name, readTokenizer(t, options.sourceDir, options.dataDir).json());
  }
  return files;
}

text::Tokenizer fitTokenizer(const TokenizerProgram &program, const std::function<const std::string *()> &next) {
  bool characters = program.kind == "characters";
  using Kind = text::VocabularyFit::Kind;
  text::VocabularyFit fit(characters ? Kind::Characters : program.elements ? Kind::Elements : Kind::Words, {program.atLeast, program.atMost, program.unknown, program.lower});
  while (const std::string *text = next())
    fit.add(*text);
  if (characters && !program.unknown && program.atMost > 0 && fit.different() > size_t(program.atMost))
    data::fail("fit `{}`: the training split has {} different characters, and the program says `at_most: {}`; more room, or "
               "`unknown: true` for the rare ones",
               program.name, fit.different(), program.atMost);
  try {
    return fit.finish();
  } catch (const text::Error &e) {
    data::fail("fit `{}`: {}", program.name, e.what());
  }
}

/// A step of a flow on the pictures of a field, on the thread that prepares the batch.
static void onPictures(const HostStep &step, data::Batch &batch) {
  auto pictures = batch.pictures.find(step.input);
  if (pictures == batch.pictures.end())
    return; // not of this batch: a function that needs it says so
  flow::Step one;
  one.op = step.op;
  one.inputs = {step.input};
  one.outputs = step.outputs;
  one.name = step.settings.name;
  one.strings = step.settings.strings;
  one.options = step.settings.options;
  flow::Slots slots;
  slots.records = batch.size;
  slots.images[step.input] = pictures->second;
  flow::Surroundings around;
  around.threads = 1;
  flow::run(one, slots, around);
  for (auto &output : step.outputs)
    batch.fields[output] = std::move(slots.tensors.at(output));
}

void runHostSteps(const std::vector<HostStep> &steps, const std::map<std::string, text::Tokenizer> &tokenizers, data::Batch &batch) {
  for (auto &step : steps) {
    if (step.op != "tokens" && step.op != "pieces") {
      onPictures(step, batch);
      continue;
    }
    auto tokenizer = tokenizers.find(step.tokenizer);
    auto texts = batch.texts.find(step.input);
    if (tokenizer == tokenizers.end() || texts == batch.texts.end())
      continue; // not made yet, or not of this batch: a function that needs it says so
    try {
      if (step.each) {
        const data::Tensor &lengths = batch.fields.at(step.input.substr(0, step.input.find('.')) + ".length");
        std::span counts(lengths.as<int32_t>(), size_t(lengths.count()));
        if (step.op == "pieces") {
          flow::PieceRows rows = flow::pieceRows(tokenizer->second, texts->second, counts, optionsOf(step), step.length);
          batch.fields[step.outputs.at(2)] = std::move(rows.starts.ids);
          batch.fields[step.outputs.at(3)] = std::move(rows.starts.lengths);
          batch.fields[step.output] = std::move(rows.ids.ids);
          batch.fields[step.output + ".length"] = std::move(rows.ids.lengths);
          continue;
        }
        batch.fields[step.output + ".length"] = lengths;
        batch.fields[step.output] = flow::elementRows(tokenizer->second, texts->second, counts, step.tokenizer).ids;
        continue;
      }
      // The ids of a window of a longer text are there already; with more around it they are others.
      std::string around = aroundOf(step);
      auto known = around.empty() ? batch.ids.find(step.input + "." + step.tokenizer) : batch.ids.end();
      flow::IdRows rows = known != batch.ids.end() ? flow::paddedRows(known->second, tokenizer->second.padding(), step.length, step.atMost)
                                                   : flow::idRows(tokenizer->second, texts->second, optionsOf(step), step.length, around);
      batch.fields[step.output] = std::move(rows.ids);
      batch.fields[step.output + ".length"] = std::move(rows.lengths);
    } catch (const text::Error &e) {
      data::fail("a text of the field `{}` has no ids by `{}`: {}", step.input, step.tokenizer, e.what());
    }
  }
}

bool isRaw(const DataProgram &data, const std::string &input) {
  for (auto &f : data.fields)
    if (f.isList() ? input.starts_with(f.name + ".") : f.name == input)
      return true;
  auto made = [&](const HostStep &s) { return std::find(s.outputs.begin(), s.outputs.end(), input) != s.outputs.end(); };
  return std::any_of(data.host.begin(), data.host.end(), made);
}

} // namespace bigm::driver
