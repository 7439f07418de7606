// See OnnxExact.h.
#include "OnnxExact.h"
#include "Unify.h"
#include <cmath>
#include <utility>

namespace bigm::sema::onnx_import {
namespace {

constexpr size_t kMost = 64; // elements; shapes are short
constexpr int64_t kMostUnder = 4096;

Ratio lowest(Dim over, int64_t under) {
  Dim whole = over.floorDiv(under);
  return whole * Dim(under) == over ? Ratio{whole, 1} : Ratio{over, under};
}

/// The fraction with a small denominator that a number in single precision stands for.
std::optional<Ratio> ratioOf(double x) {
  if (!std::isfinite(x) || std::fabs(x) > 1e9)
    return std::nullopt;
  double rest = std::fabs(x);
  int64_t p0 = 0, q0 = 1, p1 = 1, q1 = 0;
  for (int i = 0; i < 20; ++i) {
    auto whole = int64_t(std::floor(rest));
    int64_t p = whole * p1 + p0, q = whole * q1 + q0;
    if (q > kMostUnder)
      return std::nullopt;
    if (std::fabs(double(p) / double(q) - std::fabs(x)) <= 1e-7 * std::fabs(x))
      return Ratio{Dim(x < 0 ? -p : p), q};
    p0 = std::exchange(p1, p);
    q0 = std::exchange(q1, q);
    rest = 1 / (rest - double(whole));
  }
  return std::nullopt;
}

std::optional<Ratio> combined(Op op, const Ratio &a, const Ratio &b) {
  int64_t under = a.under * b.under;
  if (under > (int64_t(1) << 40))
    return std::nullopt;
  switch (op) {
  case Op::Add: return lowest(a.over * Dim(b.under) + b.over * Dim(a.under), under);
  case Op::Sub: return lowest(a.over * Dim(b.under) - b.over * Dim(a.under), under);
  case Op::Mul: return lowest(a.over * b.over, under);
  case Op::Div: {
    if (auto n = b.over.constant(); n && *n > 0)
      return lowest(a.over * Dim(b.under), a.under * *n);
    auto whole = divideExactly(a.over * Dim(b.under), b.over * Dim(a.under));
    return whole ? std::optional(Ratio{*whole, 1}) : std::nullopt;
  }
  default: return std::nullopt;
  }
}

std::optional<Ratio> combined(Op op, const Ratio &a) {
  switch (op) {
  case Op::Neg: return Ratio{Dim(0) - a.over, a.under};
  case Op::Floor: return Ratio{a.over.floorDiv(a.under), 1};
  case Op::Ceil: return Ratio{(a.over + Dim(a.under - 1)).floorDiv(a.under), 1};
  default: return std::nullopt;
  }
}

} // namespace

Ratios ratiosOf(const Val &v) {
  if (v.ratios)
    return v.ratios;
  if (!v.known || v.learnable || v.known->size() > kMost)
    return nullptr;
  auto out = std::make_shared<std::vector<Ratio>>();
  for (const Number &n : *v.known) {
    auto ratio = isFloat(v.type) ? ratioOf(n.real) : std::optional(Ratio{n.whole, 1});
    if (!ratio)
      return nullptr;
    out->push_back(*ratio);
  }
  return out;
}

Ratios combined(Op op, const Vals &operands, const std::vector<Dim> &shape) {
  auto count = product(shape).constant();
  std::vector<Ratios> all;
  bool sizes = false;
  for (const Val &v : operands) {
    sizes |= bool(v.ratios);
    all.push_back(ratiosOf(v));
    if (!all.back() || !count || *count > int64_t(kMost) || (all.back()->size() != 1 && int64_t(all.back()->size()) != *count))
      return nullptr;
  }
  if (!sizes || all.empty() || all.size() > 2)
    return nullptr;
  auto out = std::make_shared<std::vector<Ratio>>();
  auto at = [](const Ratios &r, int64_t i) { return (*r)[r->size() == 1 ? 0 : size_t(i)]; };
  for (int64_t i = 0; i < *count; ++i) {
    auto ratio = all.size() == 1 ? combined(op, at(all[0], i)) : combined(op, at(all[0], i), at(all[1], i));
    if (!ratio)
      return nullptr;
    out->push_back(*ratio);
  }
  return out;
}

Ratios unlessNegative(const Vals &operands, const std::vector<Dim> &shape) {
  if (operands.size() != 2 || !isInteger(operands[0].type) || product(shape) != Dim(1))
    return nullptr;
  const Dim &a = (*operands[0].known)[0].whole, &b = (*operands[1].known)[0].whole;
  if (a != Dim(0) && b != Dim(0))
    return nullptr;
  return std::make_shared<std::vector<Ratio>>(1, Ratio{a == Dim(0) ? b : a, 1});
}

std::vector<Dim> wholeOf(const std::vector<Ratio> &ratios) {
  std::vector<Dim> out;
  for (const Ratio &r : ratios)
    out.push_back(r.over.floorDiv(r.under));
  return out;
}

} // namespace bigm::sema::onnx_import
