// Symbolic dimensions: integers, names, and arithmetic on them, kept in one normal form.
//
// A dimension is a sum of terms; a term is a coefficient times a product of atoms; an atom is a symbol (`N`) or a
// floor division `(d / k)` that did not divide out. Two dimensions are equal exactly when their normal forms are, so
// `2*T/2` is `T` and `T/4 + T/4` is `2*(T/4)`.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bigm {

class Dim {
public:
  /// What an atom of a term is.
  struct Atom {
    std::string symbol;             // a named dimension, or empty when this is a division
    std::shared_ptr<const Dim> num; // numerator of floor(num / den)
    int64_t den = 1;
    bool operator==(const Atom &) const;
    bool operator<(const Atom &) const;
  };
  /// Product of atoms (sorted, with repetition) -> coefficient; the empty product is the constant term.
  using Terms = std::map<std::vector<Atom>, int64_t>;

  Dim(int64_t value = 0) : value(value) {}
  static Dim symbol(std::string name);

  Dim operator+(const Dim &) const;
  Dim operator-(const Dim &) const;
  Dim operator*(const Dim &) const;
  /// Floor division by a positive number; divides out what it can.
  Dim floorDiv(int64_t by) const;
  bool operator==(const Dim &other) const {
    return form == other.form ? value == other.value : form && other.form && *form == *other.form;
  }
  bool operator!=(const Dim &other) const { return !(*this == other); }
  bool operator<(const Dim &other) const { return normalForm() < other.normalForm(); }

  bool isConstant() const { return !form; }
  std::optional<int64_t> constant() const;
  /// The symbol when this is exactly one symbol.
  std::optional<std::string> asSymbol() const;
  /// Replaces symbols; `lookup` returns nothing to keep one.
  Dim substitute(const std::function<std::optional<Dim>(const std::string &)> &lookup) const;
  void symbols(std::vector<std::string> &out) const; // in order of appearance, no repeats
  std::string str() const;                           // as the user would write it: `2*T + 1`, `T/4`
  Terms normalForm() const;

private:
  explicit Dim(Terms terms);
  // Most dimensions are numbers, and all are copied often: a number is kept as one, anything else is shared.
  int64_t value = 0;                 // 0 where there is a form
  std::shared_ptr<const Terms> form; // never a mere constant
};

} // namespace bigm
