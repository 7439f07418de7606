// A dimension of the manifest: a number or an expression over a function's symbols.
//
// Parsed once into postfix order, so that evaluating it in a call needs neither memory nor text. The grammar is what
// `Dim::str()` of the compiler writes: + - * / (floor) and parentheses.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::rt {

class DimExpr {
public:
  DimExpr(int64_t value = 0) : code{{Op::Number, value}} {}
  /// Throws Failure when the text is no expression over `symbols`.
  static DimExpr parse(std::string_view text, const std::vector<std::string> &symbols);

  /// The value under `dims` (one number a symbol). Throws Failure when it does not fit 64 bits or divides by zero.
  int64_t eval(const int64_t *dims) const;
  bool uses(int32_t symbol) const;
  /// The symbol's number when this is exactly one symbol, else -1.
  int32_t asSymbol() const { return code.size() == 1 && code[0].op == Op::Symbol ? int32_t(code[0].value) : -1; }

private:
  enum class Op : uint8_t { Number, Symbol, Add, Sub, Mul, Div, Neg };
  struct Step {
    Op op;
    int64_t value = 0;
  };
  static constexpr int kDepth = 64; // of the evaluation stack; parse refuses what needs more
  std::vector<Step> code;
  friend class DimParser;
};

/// Finds the symbols' values from sizes that are known: `exprs[i]` must come out as `sizes[i]`. `dims` holds one number
/// for each symbol, 0 where unknown, and is filled in. Returns false when an unknown one stays open. It is not checked
/// that all equations hold.
bool solve(const std::vector<const DimExpr *> &exprs, const std::vector<int64_t> &sizes, std::vector<int64_t> &dims);

} // namespace bigm::rt
