// The one formatter: lines of at most 110 columns, two spaces of indentation, the author's comments, blank lines and
// breaks of pipelines kept, everything else in the one way to write it.
#pragma once
#include "Ast.h"
#include "Source.h"
#include <string>

namespace bigm {

/// The file's text in canonical form. It parses to the same tree, and formatting it again changes nothing. `file` must be
/// what parseFile made of a text in `sources`.
std::string format(const ast::File &file, const SourceManager &sources);

} // namespace bigm
