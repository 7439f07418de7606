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

Dim::Dim(Terms terms) {
  if (terms.empty())
    return;
  if (terms.size() == 1 && terms.begin()->first.empty())
    value = terms.begin()->second;
  else
    form = std::make_shared<const Terms>(std::move(terms));
}

Dim::Terms Dim::normalForm() const {
  if (form)
    return *form;
  return value ? Terms{{{}, value}} : Terms{};
}

Dim Dim::symbol(std::string name) { return Dim(Terms{{{Atom{std::move(name), nullptr, 1}}, 1}}); }

static void addTerm(Dim::Terms &terms, const std::vector<Dim::Atom> &atoms, int64_t coefficient) {
  int64_t &c = terms[atoms];
  c += coefficient;
  if (c == 0)
    terms.erase(atoms);
}

Dim Dim::operator+(const Dim &o) const {
  if (!form && !o.form)
    return value + o.value;
  Terms sum = normalForm();
  for (auto &[atoms, c] : o.normalForm())
    addTerm(sum, atoms, c);
  return Dim(std::move(sum));
}

Dim Dim::operator-(const Dim &o) const { return *this + o * -1; }

Dim Dim::operator*(const Dim &o) const {
  if (!form && !o.form)
    return value * o.value;
  Terms product;
  const Terms left = normalForm(), right = o.normalForm();
  for (auto &[a, ca] : left)
    for (auto &[b, cb] : right) {
      std::vector<Atom> atoms = a;
      atoms.insert(atoms.end(), b.begin(), b.end());
      std::sort(atoms.begin(), atoms.end());
      addTerm(product, atoms, ca * cb);
    }
  return Dim(std::move(product));
}

static int64_t floorDivide(int64_t a, int64_t b) {
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

Dim Dim::floorDiv(int64_t by) const {
  if (by == 1)
    return *this;
  if (!form)
    return floorDivide(value, by);
  // floor((k*by + rest) / by) = k + floor(rest / by): what divides leaves the division.
  Terms quotients, remainders;
  for (auto &[atoms, c] : *form) {
    int64_t q = floorDivide(c, by), r = c - q * by;
    if (q)
      quotients[atoms] = q;
    if (r)
      remainders[atoms] = r;
  }
  Dim whole(std::move(quotients)), rest(std::move(remainders));
  if (rest.isConstant())
    return whole; // 0 <= rest < by
  // floor((floor(x / a) + k) / b) = floor((x + k*a) / (a*b)) when the rest is one bare division and a number.
  Terms division = *rest.form;
  Dim number;
  if (auto constant = division.find({}); constant != division.end()) {
    number = constant->second;
    division.erase(constant);
  }
  const auto &[atoms, c] = *division.begin();
  if (division.size() == 1 && c == 1 && atoms.size() == 1 && atoms[0].num)
    return whole + (*atoms[0].num + number * Dim(atoms[0].den)).floorDiv(atoms[0].den * by);
  return whole + Dim(Terms{{{Atom{"", std::make_shared<Dim>(rest), by}}, 1}});
}

std::optional<int64_t> Dim::constant() const { return form ? std::nullopt : std::optional(value); }

std::optional<std::string> Dim::asSymbol() const {
  if (!form || form->size() != 1 || form->begin()->second != 1 || form->begin()->first.size() != 1)
    return std::nullopt;
  const Atom &atom = form->begin()->first[0];
  return atom.num ? std::nullopt : std::optional<std::string>(atom.symbol);
}

Dim Dim::substitute(const std::function<std::optional<Dim>(const std::string &)> &lookup) const {
  if (!form)
    return *this;
  Dim sum;
  for (auto &[atoms, c] : *form) {
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
  if (!form)
    return;
  for (auto &[atoms, c] : *form)
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
  if (!form)
    return std::to_string(value);
  // The map puts the constant first; people write it last, and begin with what is added: dimensions have no sign of their own.
  std::vector<std::pair<const std::vector<Atom> *, int64_t>> terms;
  for (auto &[atoms, c] : *form)
    terms.emplace_back(&atoms, c);
  std::stable_partition(terms.begin(), terms.end(), [](auto &t) { return !t.first->empty(); });
  auto added = std::find_if(terms.begin(), terms.end(), [](auto &t) { return t.second > 0; });
  if (added != terms.end())
    std::rotate(terms.begin(), added, added + 1);
  std::string out;
  for (auto &[atoms, c] : terms) {
    int64_t magnitude = c < 0 ? -c : c;
    const bool negated = out.empty() && c < 0;
    out += out.empty() ? (c < 0 ? "-" : "") : (c < 0 ? " - " : " + ");
    std::string product;
    if (magnitude != 1 || atoms->empty())
      product = std::to_string(magnitude);
    for (const Atom &atom : *atoms) {
      std::string text = atomText(atom);
      // `a * b/2` would read as (a*b)/2, and `-a/2` as (-a)/2.
      if ((!product.empty() || negated) && atom.num)
        text = "(" + text + ")";
      product += (product.empty() ? "" : "*") + text;
    }
    out += product;
  }
  return out;
}

} // namespace bigm
