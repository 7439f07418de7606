// The door to the parser.
#pragma once
#include "Ast.h"
#include "Diagnostics.h"
#include "Source.h"
#include <memory>

namespace bigm {

/// Parses a file that `sources` holds. Returns null exactly when it reported an error; errors are about characters and
/// syntax alone. Any bytes are safe: time is linear in their number, and the depth of the tree is bounded
/// (kDeepestTree), so later phases may recurse over it.
std::unique_ptr<ast::File> parseFile(SourceManager &sources, uint32_t file, Diagnostics &diagnostics);

constexpr unsigned kDeepestBrackets = 256; // open brackets at one place
constexpr unsigned kDeepestTree = 1000;    // nodes from a declaration to a leaf
constexpr unsigned kMostTokens = 1000000;  // in one file

} // namespace bigm
