// What each value of a function has of each record of the batch that the function is given.
//
// A value is row-wise along one of its dimensions when the part of it at record n follows from record n alone (and from
// what is the same for all). Such a value can be computed for some records of a batch and put together with those of others
// that were computed before. What is not understood counts as mixed, so that an answer is never wrong, only less.
#pragma once
#include "frontend/Graph.h"
#include <optional>
#include <set>

namespace bigm {

struct Rows {
  enum class Kind {
    Same,  // does not depend on the records, and does not change along a dimension that counts them
    Each,  // row-wise along `dim`: a multiple of the batch, record after record
    Mixed, // depends on several records at once, on chance, or on what changes between calls
  } kind = Kind::Mixed;
  size_t dim = 0;
  bool operator==(const Rows &) const = default;

  static Rows same() { return {Kind::Same, 0}; }
  static Rows each(size_t dim) { return {Kind::Each, dim}; }
  static Rows mixed() { return {}; }
};

/// For all values, from those of the arguments. `batch` is the symbol of how many records there are; values in `mixed` count
/// as mixed whatever they are.
std::vector<Rows> rowsOf(const Function &, const std::vector<Rows> &args, const std::string &batch, const std::set<Value> &mixed = {});

/// The symbol that is the first dimension of every input that has one; nothing where there are several.
std::optional<std::string> batchOf(const Function &);

} // namespace bigm
