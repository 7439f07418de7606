// The syntax tree as text, a node a line: `bigmc emit --stage ast`, and the tests' way to compare trees.
#pragma once
#include "Ast.h"
#include "Source.h"
#include <iosfwd>

namespace bigm {

/// With `places`, each line ends with its node's line and column.
void printAst(std::ostream &out, const ast::File &file, const SourceManager *places = nullptr);

} // namespace bigm
