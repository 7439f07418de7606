// Chooses the declarations of the library that a program can reach, so that only those are parsed.
//
// A declaration of the library is wanted when its name stands as a word in the program's text, or in that of another
// wanted one. What is not wanted is left out line by line, so that places in the rest stay those of the whole file.
// Parsing is what `check` spends its time on; this halves it.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::sema {

class LibraryReader {
public:
  /// `texts`: module name -> source; must outlive the reader.
  explicit LibraryReader(const std::map<std::string, std::string> &texts);
  /// Modules on the `use` lines of a library module.
  static std::vector<std::string> uses(const std::string &text);
  /// Wants everything that a text names.
  void need(std::string_view text);
  /// A module's text with empty lines for what is not wanted.
  std::string wanted(const std::string &module) const;
  std::vector<std::string> names(const std::string &module) const;

private:
  struct Piece {
    std::string name; // empty for `use` lines
    std::string_view text;
    bool wanted = false;
  };
  std::map<std::string, std::vector<Piece>> modules;
  std::map<std::string, std::vector<Piece *>, std::less<>> byName;
  std::set<std::string, std::less<>> seen;
};

} // namespace bigm::sema
