// Weights of `model name = Model(...) from pretrained("path")`: found, matched by the program's rules, written.
#pragma once
#include "Program.h"
#include "bigm/bigm.h"

namespace bigm::driver {

/// Where files that a program names are looked for, in this order. Empty ones are left out.
struct Places {
  std::string dataDir;   // `--data`: DIR/path, then DIR itself when it holds weights
  std::string sourceDir; // the program's folder
  const std::vector<std::pair<std::string, std::string_view>> *given = nullptr; // as CommonOptions
};

/// The file or folder that a program names; `what` it is of stands in the error that is thrown when it is nowhere.
std::string find(const std::string &path, const std::string &what, const Places &places);

/// Fills the tensors of all instances whose weights come from files. Everything that does not fit is named in one error,
/// and then nothing was written. Throws data::Error.
void loadPretrained(const Program &program, bigm_model *model, const Places &places);

} // namespace bigm::driver
