// The frontend as one call: a file in, the typed program or a list of errors out.
#pragma once
#include "Diagnostics.h"
#include "Graph.h"
#include "Source.h"
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bigm {

/// `--set path=value`: replaces one value of the program, see docs/language.md.
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// Reads the program at `path` and the modules it uses (`std.x` from the library inside this binary, others from beside
/// the file), checks all of it, and returns the typed program; nothing when there are errors, all of them in `diags`.
std::optional<Program> check(SourceManager &sources, const std::string &path, Diagnostics &diags,
                             const Overrides &overrides = {});

/// Text of a library module (`std.nn`), or null when there is none of that name.
const std::string *libraryModule(const std::string &name);
/// Names of all library modules.
std::vector<std::string> libraryModules();

} // namespace bigm
