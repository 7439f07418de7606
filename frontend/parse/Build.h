// Parse tree to syntax tree, for a declaration that parsed without error.
#pragma once
#include "Ast.h"
#include "BigmParser.h"
#include "Diagnostics.h"

namespace bigm {

/// Never null. Reports what the grammar cannot say: unknown units and escapes, `epochs = 4`, a tree that is too deep.
ast::DeclPtr buildDeclaration(generated::BigmParser::DeclarationContext *tree, const SourceManager &sources,
                              uint32_t file, Diagnostics &diagnostics);

/// The words that begin clauses.
const std::vector<std::string> &clauseWords();
/// The clause that other libraries call so: `batch` for `batch_size`; empty when there is none.
std::string clauseElsewhere(const std::string &word);

} // namespace bigm
