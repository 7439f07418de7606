#include "GgufTokenizer.h"
#include "GgufPairs.h"
#include "runtime/core/Failure.h"
#include "runtime/core/File.h"
#include "runtime/data/Error.h"
#include "runtime/text/Ggml.h"
#include <fstream>

namespace bigm::weights {

bool isGgufFile(const std::string &path) {
  char begin[4] = {};
  return std::ifstream(path, std::ios::binary).read(begin, 4) && std::string_view(begin, 4) == "GGUF";
}

std::string ggufTokenizerJson(const uint8_t *data, size_t size, const std::string &name) {
  GgufPairs pairs = parseGgufPairs(data, size, name);
  if (pairs.flag("tokenizer.ggml.treat_whitespace_as_suffix").value_or(false))
    data::fail("{}: its tokens have their spaces behind them, and those with spaces in front are read", name);
  text::GgmlVocabulary v;
  v.model = pairs.text("tokenizer.ggml.model").value_or("");
  v.pre = pairs.text("tokenizer.ggml.pre").value_or("");
  v.name = pairs.text("general.name").value_or("");
  v.architecture = pairs.text("general.architecture").value_or("");
  v.tokens = pairs.texts("tokenizer.ggml.tokens");
  v.merges = pairs.texts("tokenizer.ggml.merges");
  v.scores = pairs.numbers("tokenizer.ggml.scores");
  v.types = pairs.wholes("tokenizer.ggml.token_type");
  v.charsmap = pairs.bytes("tokenizer.ggml.precompiled_charsmap");
  v.begin = pairs.whole("tokenizer.ggml.bos_token_id");
  v.end = pairs.whole("tokenizer.ggml.eos_token_id");
  v.unknown = pairs.whole("tokenizer.ggml.unknown_token_id");
  v.separator = pairs.whole("tokenizer.ggml.seperator_token_id"); // as it is written there
  v.classes = pairs.whole("tokenizer.ggml.cls_token_id");
  v.padding = pairs.whole("tokenizer.ggml.padding_token_id");
  v.addBegin = pairs.flag("tokenizer.ggml.add_bos_token");
  v.addEnd = pairs.flag("tokenizer.ggml.add_eos_token");
  v.spacePrefix = pairs.flag("tokenizer.ggml.add_space_prefix");
  v.mergeSpaces = pairs.flag("tokenizer.ggml.remove_extra_whitespaces");
  v.lowercase = pairs.flag("tokenizer.ggml.normalizer.lowercase");
  v.stripAccents = pairs.flag("tokenizer.ggml.normalizer.strip_accents");
  return text::tokenizerJson(v, name);
}

text::Tokenizer ggufTokenizer(const std::string &path) {
  try {
    rt::MappedFile file(path);
    return text::Tokenizer::fromJson(ggufTokenizerJson(file.data(), file.size(), path), path);
  } catch (const rt::Failure &failure) {
    throw data::Error(failure.what());
  }
}

} // namespace bigm::weights
