// Any bytes through the parser, the printer of errors and the formatter. What must hold: no crash, no leak, a tree exactly
// when there is no error, and a formatted program that parses to the same tree and formats to itself.
#include "../Parsing.h"
#include <cstdio>
#include <cstdlib>

using bigm::test::Parsed;

static void require(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Parsed first(std::string(reinterpret_cast<const char *>(data), size));
  require((first.file == nullptr) == first.diagnostics.hasErrors(), "a tree exactly when there is no error");
  if (!first.file) {
    require(!first.errors().empty(), "errors are printed");
    return 0;
  }
  std::string once = first.formatted();
  Parsed second(once);
  require(second.file != nullptr, "a formatted program parses");
  require(first.tree() == second.tree(), "formatting keeps the tree");
  require(second.formatted() == once, "formatting twice changes nothing");
  return 0;
}
