// Ranges of activations are found once for what they follow from, and kept: with a run in its folder, else where machine code is
// kept.
#pragma once
#include "Compiler.h"
#include "frontend/precision/Activations.h"
#include "runtime/driver/Driver.h"

namespace bigm::tool {

/// The ranges that the evaluations of `observed` (frontend/precision/Activations.h) show. They follow from the program's text and
/// settings, from `how` they are found, from the weights, of a run by content, and from the files of its data by size and time of
/// change. Pictures that a list names are taken to be as they were, and so is all data where no folder of it is given: who answers
/// with a run need not have what it was trained on.
class KeptRanges {
public:
  KeptRanges(const Checked &, const Program &observed, const std::string &how, const driver::CommonOptions &places, const CodeOptions &);

  /// Those that were kept under this key; nothing when they must be found.
  std::optional<Ranges> read() const;
  /// Keeps them, where that can be: a run that cannot be written is used as it is.
  void write(const Ranges &) const;

private:
  std::string file;         // empty: they are kept nowhere
  std::string weights, key; // digests
  std::string dataState;    // the same; empty without a folder
  bool fresh;               // what is kept is not read
};

} // namespace bigm::tool
