#include "DimExpr.h"
#include "Failure.h"
#include <algorithm>

namespace bigm::rt {

/// Recursive descent over: sum := product (('+'|'-') product)*, product := unary (('*'|'/') unary)*.
class DimParser {
public:
  DimParser(std::string_view text, const std::vector<std::string> &symbols) : text(text), symbols(symbols) {}

  DimExpr run() {
    expr.code.clear();
    sum(0);
    if (skip(), at != text.size())
      fail();
    return std::move(expr);
  }

private:
  using Op = DimExpr::Op;
  std::string_view text;
  const std::vector<std::string> &symbols;
  size_t at = 0;
  int depth = 0;
  DimExpr expr;

  [[noreturn]] void fail() const {
    throw Failure(BIGM_ERROR_FORMAT, "the dimension `" + std::string(text.substr(0, 80)) + "` is no expression that can be read");
  }
  void skip() {
    while (at < text.size() && text[at] == ' ')
      ++at;
  }
  bool take(char c) {
    skip();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  void push(Op op, int64_t value = 0) {
    depth += op == Op::Number || op == Op::Symbol ? 1 : op == Op::Neg ? 0 : -1;
    if (depth > DimExpr::kDepth)
      fail();
    expr.code.push_back({op, value});
  }
  void sum(int nesting) {
    product(nesting);
    for (;;) {
      if (take('+'))
        product(nesting), push(Op::Add);
      else if (take('-'))
        product(nesting), push(Op::Sub);
      else
        return;
    }
  }
  void product(int nesting) {
    unary(nesting);
    for (;;) {
      if (take('*'))
        unary(nesting), push(Op::Mul);
      else if (take('/'))
        unary(nesting), push(Op::Div);
      else
        return;
    }
  }
  void unary(int nesting) {
    if (nesting > DimExpr::kDepth)
      fail();
    if (take('-')) {
      unary(nesting + 1);
      push(Op::Neg);
    } else if (take('(')) {
      sum(nesting + 1);
      if (!take(')'))
        fail();
    } else {
      leaf();
    }
  }
  void leaf() {
    skip();
    size_t end = text.find_first_of(" +-*/()", at);
    std::string_view word = text.substr(at, end == std::string_view::npos ? end : end - at);
    if (word.empty())
      fail();
    if (word[0] >= '0' && word[0] <= '9') {
      int64_t value = 0;
      for (char c : word)
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, c - '0', &value))
          fail();
      push(Op::Number, value);
    } else {
      auto found = std::find(symbols.begin(), symbols.end(), word);
      if (found == symbols.end())
        fail();
      push(Op::Symbol, found - symbols.begin());
    }
    at += word.size();
  }
};

DimExpr DimExpr::parse(std::string_view text, const std::vector<std::string> &symbols) {
  return DimParser(text, symbols).run();
}

int64_t DimExpr::eval(const int64_t *dims) const {
  int64_t stack[kDepth];
  int top = -1;
  for (const Step &step : code) {
    if (step.op == Op::Number || step.op == Op::Symbol) {
      stack[++top] = step.op == Op::Number ? step.value : dims[step.value];
      continue;
    }
    bool bad;
    if (step.op == Op::Neg) {
      bad = __builtin_sub_overflow(int64_t(0), stack[top], &stack[top]);
    } else {
      int64_t right = stack[top--], &left = stack[top];
      switch (step.op) {
      case Op::Add:
        bad = __builtin_add_overflow(left, right, &left);
        break;
      case Op::Sub:
        bad = __builtin_sub_overflow(left, right, &left);
        break;
      case Op::Mul:
        bad = __builtin_mul_overflow(left, right, &left);
        break;
      default:
        bad = right <= 0;
        if (!bad)
          left = left / right - (left % right < 0);
      }
    }
    if (bad)
      throw Failure(BIGM_ERROR_SHAPE, "a dimension is too large to be computed");
  }
  return stack[0];
}

bool DimExpr::uses(int32_t symbol) const {
  return std::any_of(code.begin(), code.end(), [&](const Step &s) { return s.op == Op::Symbol && s.value == symbol; });
}

bool solve(const std::vector<const DimExpr *> &exprs, const std::vector<int64_t> &sizes, std::vector<int64_t> &dims) {
  // An equation with one unknown that is a straight line in it gives the unknown; each round may open others.
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t i = 0; i < exprs.size(); ++i) {
      int32_t unknown = -1, count = 0;
      for (int32_t s = 0; s < int32_t(dims.size()); ++s)
        if (dims[s] == 0 && exprs[i]->uses(s))
          unknown = s, ++count;
      if (count != 1)
        continue;
      auto at = [&](int64_t value) {
        dims[unknown] = value;
        int64_t result = exprs[i]->eval(dims.data());
        dims[unknown] = 0;
        return result;
      };
      int64_t slope = at(2) - at(1), value = 0;
      if (exprs[i]->asSymbol() >= 0)
        value = sizes[i];
      else if (slope != 0 && (sizes[i] - at(1)) % slope == 0)
        value = 1 + (sizes[i] - at(1)) / slope;
      if (value < 1 || at(value) != sizes[i] || at(value + 1) == sizes[i])
        continue;
      dims[unknown] = value;
      progress = true;
    }
  }
  return std::find(dims.begin(), dims.end(), 0) == dims.end();
}

} // namespace bigm::rt
