// See Unify.h. One free name is solved for when it stands linearly: c * name + rest = actual.
#include "Unify.h"
#include <algorithm>

namespace bigm::sema {

std::string asWritten(std::string text) {
  std::string out;
  for (char c : text)
    if (c != '?')
      out += c;
  return out;
}

Dim apply(const Dim &declared, const Bindings &bindings) {
  return declared.substitute([&](const std::string &symbol) -> std::optional<Dim> {
    if (!isFree(symbol))
      return std::nullopt;
    auto found = bindings.find(symbol.substr(1));
    return found == bindings.end() ? std::nullopt : std::optional<Dim>(found->second);
  });
}

bool hasFree(const Dim &dim) {
  std::vector<std::string> symbols;
  dim.symbols(symbols);
  return std::any_of(symbols.begin(), symbols.end(), isFree);
}

/// One term of a normal form.
static Dim termOf(const Dim::Terms::value_type &term) {
  Dim product = term.second;
  for (const Dim::Atom &atom : term.first)
    product = product * (atom.num ? atom.num->floorDiv(atom.den) : Dim::symbol(atom.symbol));
  return product;
}

std::optional<Dim> divideExactly(const Dim &a, const Dim &b) {
  const Dim::Terms divisors = b.normalForm();
  if (divisors.empty())
    return std::nullopt;
  if (divisors.size() != 1) { // a sum that stands in `a` as a factor of one term
    Dim first = termOf(*divisors.begin());
    for (auto &part : a.normalForm())
      if (auto times = divideExactly(termOf(part), first); times && *times * b == a)
        return times;
    return std::nullopt;
  }
  auto &[divisorAtoms, divisor] = *divisors.begin();
  Dim quotient;
  for (auto &[atoms, c] : a.normalForm()) {
    if (c % divisor)
      return std::nullopt;
    std::vector<Dim::Atom> rest = atoms;
    for (const Dim::Atom &atom : divisorAtoms) {
      auto found = std::find(rest.begin(), rest.end(), atom);
      if (found == rest.end())
        return std::nullopt;
      rest.erase(found);
    }
    quotient = quotient + termOf({rest, c / divisor});
  }
  return quotient;
}

Match unify(const Dim &declared, const Dim &actual, Bindings &bindings) {
  Dim d = sema::apply(declared, bindings);
  if (d == actual)
    return Match::Equal;
  std::vector<std::string> symbols;
  d.symbols(symbols);
  symbols.erase(std::remove_if(symbols.begin(), symbols.end(), [](auto &s) { return !isFree(s); }), symbols.end());
  if (symbols.empty())
    return Match::Different;
  if (symbols.size() > 1)
    return Match::Deferred;
  Dim rest, coefficient;
  for (auto &[atoms, c] : d.normalForm()) {
    Dim others = c;
    int times = 0;
    for (const Dim::Atom &atom : atoms) {
      if (atom.num && hasFree(*atom.num))
        return Match::Deferred;
      if (!atom.num && atom.symbol == symbols[0])
        ++times;
      else
        others = others * (atom.num ? atom.num->floorDiv(atom.den) : Dim::symbol(atom.symbol));
    }
    if (times > 1)
      return Match::Deferred;
    (times ? coefficient : rest) = (times ? coefficient : rest) + others;
  }
  auto solved = divideExactly(actual - rest, coefficient);
  if (!solved)
    return Match::Different;
  if (auto c = solved->constant(); c && *c < 0)
    return Match::Different;
  bindings[symbols[0].substr(1)] = *solved;
  return Match::Bound;
}

} // namespace bigm::sema
