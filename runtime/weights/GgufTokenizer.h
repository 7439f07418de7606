// The tokenizer that a GGUF file carries beside its weights.
#pragma once
#include "runtime/text/Tokenizer.h"

namespace bigm::weights {

/// Whether a file begins as GGUF files do; false where it cannot be read.
bool isGgufFile(const std::string &path);
/// Throws data::Error or text::Error, which name the file.
text::Tokenizer ggufTokenizer(const std::string &path);
/// The same of a file in memory, as the text of a tokenizer.json. Takes at most 128 times the file's size in memory (and a
/// megabyte).
std::string ggufTokenizerJson(const uint8_t *data, size_t size, const std::string &name);

} // namespace bigm::weights
