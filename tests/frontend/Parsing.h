// What the tests of the frontend share: a text in, tree or messages out.
#pragma once
#include "frontend/Format.h"
#include "frontend/PrintAst.h"
#include "frontend/parse/Parse.h"
#include <sstream>

namespace bigm::test {

struct Parsed {
  SourceManager sources;
  Diagnostics diagnostics{sources};
  std::unique_ptr<ast::File> file;

  explicit Parsed(std::string text) { file = parseFile(sources, sources.add("t.bigm", std::move(text)), diagnostics); }
  std::string errors() const {
    std::ostringstream out;
    diagnostics.print(out, false);
    return out.str();
  }
  std::string tree() const {
    std::ostringstream out;
    printAst(out, *file);
    return out.str();
  }
  std::string formatted() const { return format(*file, sources); }
};

/// All messages that parsing `text` gives, as printed.
inline std::string errorsOf(std::string text) { return Parsed(std::move(text)).errors(); }

} // namespace bigm::test
