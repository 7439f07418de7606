// Normal form of symbolic dimensions: see Dim.h. Terms with coefficient zero are never stored, so equality of maps is
// equality of dimensions; a floor division keeps its remainder-free part outside (`(4*T + 2)/4` is `T + (2)/4` = `T`).
#include "frontend/Dim.h"
#include <algorithm>
#include <tuple>

namespace bigm {

bool Dim::Atom::operator==(const Atom &o) const { return !(*this < o) && !(o < *this); }

bool Dim::Atom::operator<(const Atom &o) const {
  if (symbol != o.symbol || !num || !o.num)
    return std::make_tuple(symbol, bool(num)) < std::make_tuple(o.symbol, bool(o.num));
  if (den != o.den)
    return den < o.den;
  return *num < *o.num;
}

Dim::Dim(int64_t value) {
  if (value)
    terms[{}] = value;
}

Dim Dim::symbol(std::string name) {
  Dim d;
  d.terms[{Atom{std::move(name), nullptr, 1}}] = 1;
  return d;
}

static void addTerm(Dim::Terms &terms, const std::vector<Dim::Atom> &atoms, int64_t coefficient) {
  int64_t &c = terms[atoms];
  c += coefficient;
  if (c == 0)
    terms.erase(atoms);
}

Dim Dim::operator+(const Dim &o) const {
  Dim r = *this;
  for (auto &[atoms, c] : o.terms)
    addTerm(r.terms, atoms, c);
  return r;
}

Dim Dim::operator-(const Dim &o) const {
  Dim r = *this;
  for (auto &[atoms, c] : o.terms)
    addTerm(r.terms, atoms, -c);
  return r;
}

Dim Dim::operator*(const Dim &o) const {
  Dim r;
  for (auto &[a, ca] : terms)
    for (auto &[b, cb] : o.terms) {
      std::vector<Atom> atoms = a;
      atoms.insert(atoms.end(), b.begin(), b.end());
      std::sort(atoms.begin(), atoms.end());
      addTerm(r.terms, atoms, ca * cb);
    }
  return r;
}

static int64_t floorDivide(int64_t a, int64_t b) {
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

Dim Dim::floorDiv(int64_t by) const {
  if (by == 1)
    return *this;
  // floor((k*by + rest) / by) = k + floor(rest / by): what divides leaves the division.
  Dim whole, rest;
  for (auto &[atoms, c] : terms) {
    int64_t q = floorDivide(c, by), r = c - q * by;
    if (q)
      whole.terms[atoms] = q;
    if (r)
      rest.terms[atoms] = r;
  }
  if (rest.isConstant())
    return whole; // 0 <= rest < by
  // floor(floor(x / a) / b) = floor(x / (a*b)) when the rest is one bare division.
  if (rest.terms.size() == 1 && rest.terms.begin()->second == 1 && rest.terms.begin()->first.size() == 1 &&
      rest.terms.begin()->first[0].num) {
    const Atom inner = rest.terms.begin()->first[0];
    return whole + inner.num->floorDiv(inner.den * by);
  }
  Dim quotient;
  quotient.terms[{Atom{"", std::make_shared<Dim>(rest), by}}] = 1;
  return whole + quotient;
}

bool Dim::isConstant() const { return terms.empty() || (terms.size() == 1 && terms.begin()->first.empty()); }

std::optional<int64_t> Dim::constant() const {
  if (!isConstant())
    return std::nullopt;
  return terms.empty() ? 0 : terms.begin()->second;
}

std::optional<std::string> Dim::asSymbol() const {
  if (terms.size() != 1 || terms.begin()->second != 1 || terms.begin()->first.size() != 1)
    return std::nullopt;
  const Atom &atom = terms.begin()->first[0];
  return atom.num ? std::nullopt : std::optional<std::string>(atom.symbol);
}

Dim Dim::substitute(const std::function<std::optional<Dim>(const std::string &)> &lookup) const {
  Dim sum;
  for (auto &[atoms, c] : terms) {
    Dim product = c;
    for (const Atom &atom : atoms) {
      if (atom.num) {
        product = product * atom.num->substitute(lookup).floorDiv(atom.den);
      } else if (auto to = lookup(atom.symbol)) {
        product = product * *to;
      } else {
        product = product * symbol(atom.symbol);
      }
    }
    sum = sum + product;
  }
  return sum;
}

void Dim::symbols(std::vector<std::string> &out) const {
  for (auto &[atoms, c] : terms)
    for (const Atom &atom : atoms) {
      if (atom.num)
        atom.num->symbols(out);
      else if (std::find(out.begin(), out.end(), atom.symbol) == out.end())
        out.push_back(atom.symbol);
    }
}

static std::string atomText(const Dim::Atom &atom) {
  if (!atom.num)
    return atom.symbol;
  std::string inner = atom.num->str();
  bool simple = inner.find_first_of(" +-*/") == std::string::npos;
  return (simple ? inner : "(" + inner + ")") + "/" + std::to_string(atom.den);
}

std::string Dim::str() const {
  std::string out;
  // The map puts the constant first; people write it last.
  for (int constants = 0; constants < 2; ++constants)
    for (auto &[atoms, c] : terms) {
      if (atoms.empty() != bool(constants))
        continue;
      int64_t magnitude = c < 0 ? -c : c;
      out += out.empty() ? (c < 0 ? "-" : "") : (c < 0 ? " - " : " + ");
      std::string product;
      if (magnitude != 1 || atoms.empty())
        product = std::to_string(magnitude);
      for (const Atom &atom : atoms) {
        std::string text = atomText(atom);
        // `a * b/2` would read as (a*b)/2.
        if (!product.empty() && atom.num)
          text = "(" + text + ")";
        product += (product.empty() ? "" : "*") + text;
      }
      out += product;
    }
  return out.empty() ? "0" : out;
}

} // namespace bigm
