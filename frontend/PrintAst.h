// The syntax tree as text, a node a line: `bigmc emit --stage ast`, and the tests' way to compare trees.
#pragma once
#include "Ast.h"
#include "Source.h"
#include <string>

namespace bigm {

/// `places`: ends each line with the node's line and column.
std::string printAst(const ast::File &file, const SourceManager &sources, bool places = true);

} // namespace bigm
