// Texts and pictures on their way to compiled code: the program's tokenizers, and the steps of the data loader, which make
// tensors of both.
//
// A tokenizer is read from its file or fitted on the training split before anything else, and kept in the run folder as
// `tokenizer.NAME.json`, which Hugging Face's library reads as well; names of classes that the data determined are kept
// as `classes.json`.
#pragma once
#include "Program.h"
#include "runtime/text/Tokenizer.h"
#include <functional>
#include <map>

namespace bigm::driver {

/// Ids of one text as a step cuts it.
std::vector<int32_t> idsOf(const text::Tokenizer &tokenizer, const std::string &text, const HostStep &step);
/// The same of the words of a list.
text::WordIds piecesOf(const text::Tokenizer &tokenizer, const std::vector<std::string> &words, const HostStep &step);

/// The tokenizer in a file of the program: beside it, or in the data folder. Throws data::Error.
text::Tokenizer readTokenizer(const TokenizerProgram &tokenizer, const std::string &sourceDir, const std::string &dataDir);
/// The tokenizer that texts determine, given one after the other by `next` until it gives null. Throws data::Error when
/// there are more tokens than the program says.
text::Tokenizer fitTokenizer(const TokenizerProgram &tokenizer, const std::function<const std::string *()> &next);

/// Runs the steps of a data set on a batch. Throws data::Error for a text that the vocabulary cannot express.
void runHostSteps(const std::vector<HostStep> &steps, const std::map<std::string, text::Tokenizer> &tokenizers, data::Batch &batch);
/// Whether a function's input is a field as its source gives it, a part of a list, or what such a step makes.
bool isRaw(const DataProgram &data, const std::string &input);

} // namespace bigm::driver
