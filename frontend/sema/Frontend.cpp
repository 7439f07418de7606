// The frontend as one call: read, parse, check.
#include "frontend/Frontend.h"
#include "Checker.h"

namespace bigm {

std::optional<Program> check(SourceManager &sources, const std::string &path, Diagnostics &diags,
                             const Overrides &overrides) {
  Program program;
  size_t slash = path.rfind('/');
  std::string stem = slash == std::string::npos ? path : path.substr(slash + 1);
  program.name = stem.substr(0, stem.find('.'));
  sema::Checker checker(sources, diags, program, overrides);
  sema::Module *main = checker.load(path);
  if (main)
    checker.check(*main);
  if (diags.hasErrors())
    return std::nullopt;
  return program;
}

} // namespace bigm
