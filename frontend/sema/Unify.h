// Dimensions of a signature against those of the values in a call.
//
// A declared dimension is arithmetic over names. Names that nothing has fixed yet are free: written as symbols that start
// with '?'. The first value that meets a free name fixes it; all later ones must agree.
#pragma once
#include "frontend/Dim.h"

namespace bigm::sema {

using Bindings = std::map<std::string, Dim>; // free name, without '?' -> what it is

inline std::string freeName(const std::string &name) { return "?" + name; }
inline bool isFree(const std::string &symbol) { return !symbol.empty() && symbol[0] == '?'; }
/// As people see it: `N`.
std::string asWritten(std::string text);

enum class Match {
  Equal,     // nothing was left to fix, and both are the same
  Bound,     // fixed a free name
  Deferred,  // several free names, or one under a division: ask again when more is known
  Different,
};
Match unify(const Dim &declared, const Dim &actual, Bindings &bindings);
/// `declared` with what is known put in.
Dim apply(const Dim &declared, const Bindings &bindings);
bool hasFree(const Dim &dim);
/// a / b when it divides without rest, for b one product.
std::optional<Dim> divideExactly(const Dim &a, const Dim &b);

} // namespace bigm::sema
