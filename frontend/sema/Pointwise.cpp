// Arithmetic: numbers are folded here, tensors are broadcast and recorded.
//
// A number takes the element type of the tensor it meets. Two tensors must have one element type; nothing is converted
// silently but labels, which are i32. Shapes follow the trailing-aligned rule of numpy, where a dimension stretches only
// when it is literally 1. Inside index notation dimensions are aligned by their letters instead.
#include "Checker.h"
#include <cmath>

namespace bigm::sema {

static bool isFloat(Elem e) { return e == Elem::F32 || e == Elem::F64 || e == Elem::BF16 || e == Elem::F16; }
static bool isComparison(Op op) {
  return op == Op::Eq || op == Op::Ne || op == Op::Lt || op == Op::Le || op == Op::Gt || op == Op::Ge;
}
static bool isLogic(Op op) { return op == Op::And || op == Op::Or || op == Op::Not; }
static bool needsFloat(Op op) {
  switch (op) {
  case Op::Exp: case Op::Log: case Op::Log1p: case Op::Expm1: case Op::Sqrt: case Op::Rsqrt: case Op::Sin: case Op::Cos:
  case Op::Atan:
  case Op::Tanh: case Op::Erf: case Op::Sigmoid: case Op::Pow: return true;
  default: return false;
  }
}

std::optional<Value> Checker::toTensor(const Val &v, Elem elem, SourceRange where) {
  if (v.is(Val::Kind::Tensor)) {
    if (v.function != serial) {
      fail(Diag::InputInInitialValue, where, {source(where)});
      return std::nullopt;
    }
    return v.tensor;
  }
  if (v.is(Val::Kind::Int)) {
    return rec->dimension(v.integer, elem);
  }
  if (v.is(Val::Kind::Number)) {
    if (!isFloat(elem) && v.number != std::floor(v.number)) {
      Diagnostic &d = error(Diag::FractionInInteger, where, {bigm::name(elem)});
      d.hint = "convert the tensor with `f32(...)` first";
      return std::nullopt;
    }
    return rec->constant(v.number, {elem, {}, 0});
  }
  if (v.is(Val::Kind::Bool) && elem == Elem::Bool)
    return rec->constant(v.boolean, {Elem::Bool, {}, 0});
  if (!v.poison() && !v.is(Val::Kind::Unknown))
    fail(Diag::NotATensor, where, {describe(v)});
  return std::nullopt;
}

Val Checker::foldNumbers(Op op, const std::vector<Val> &v, SourceRange where, const std::string &what) {
  bool ints = true;
  for (const Val &x : v)
    ints &= x.is(Val::Kind::Int);
  if (ints) {
    const Dim &a = v[0].integer;
    if (v.size() == 2) {
      const Dim &b = v[1].integer;
      auto ca = a.constant(), cb = b.constant();
      switch (op) {
      case Op::Add: return Val::of(a + b);
      case Op::Sub: return Val::of(a - b);
      case Op::Mul: return Val::of(a * b);
      case Op::Div:
        if (cb && *cb == 0)
          return fail(Diag::DivisionByZero, where);
        if (auto q = divideExactly(a, b))
          return Val::of(*q);
        if (!ca && cb && *cb > 0)
          return Val::of(a.floorDiv(*cb));
        if (generic && !cb)
          return Val::unknown(); // `D / heads` of a model that is checked alone: whole or not is the caller's choice
        break;
      case Op::Mod:
        if (ca && cb && *cb)
          return Val::of(Dim(((*ca % *cb) + *cb) % *cb));
        if (cb && *cb > 0)
          return Val::of(a - a.floorDiv(*cb) * Dim(*cb));
        break;
      case Op::Max:
      case Op::Min:
        if (auto d = (a - b).constant())
          return Val::of((*d >= 0) == (op == Op::Max) ? a : b);
        break;
      case Op::Pow:
        if (cb && *cb >= 0 && *cb < 16) {
          Dim p = 1;
          for (int64_t i = 0; i < *cb; ++i)
            p = p * a;
          return Val::of(p);
        }
        break;
      default:
        if (isComparison(op)) {
          auto d = (a - b).constant();
          if (!d)
            return Val::unknown();
          switch (op) {
          case Op::Eq: return Val::of(*d == 0);
          case Op::Ne: return Val::of(*d != 0);
          case Op::Lt: return Val::of(*d < 0);
          case Op::Le: return Val::of(*d <= 0);
          case Op::Gt: return Val::of(*d > 0);
          default: return Val::of(*d >= 0);
          }
        }
      }
    } else if (op == Op::Neg) {
      return Val::of(Dim(0) - a);
    } else if (op == Op::Floor || op == Op::Ceil || op == Op::Round) {
      return v[0];
    } else if (op == Op::Abs && a.constant()) {
      return Val::of(Dim(std::abs(*a.constant())));
    }
  }
  std::vector<double> x;
  for (const Val &n : v) {
    auto number = n.asNumber();
    if (!number) { // a symbolic dimension in fractional arithmetic: a scalar of the graph
      std::vector<Val> tensors;
      for (const Val &m : v) {
        auto t = toTensor(m, Elem::F32, where);
        if (!t)
          return {};
        tensors.push_back(tensorVal(*t));
      }
      return pointwise(op, tensors, where, what);
    }
    x.push_back(*number);
  }
  auto number = [&](double d) { return Val::of(d); };
  switch (op) {
  case Op::Neg: return number(-x[0]);
  case Op::Abs: return number(std::fabs(x[0]));
  case Op::Sign: return number((x[0] > 0) - (x[0] < 0));
  case Op::Exp: return number(std::exp(x[0]));
  case Op::Log: return number(std::log(x[0]));
  case Op::Log1p: return number(std::log1p(x[0]));
  case Op::Expm1: return number(std::expm1(x[0]));
  case Op::Sqrt: return number(std::sqrt(x[0]));
  case Op::Rsqrt: return number(1 / std::sqrt(x[0]));
  case Op::Sin: return number(std::sin(x[0]));
  case Op::Cos: return number(std::cos(x[0]));
  case Op::Atan: return number(std::atan(x[0]));
  case Op::Tanh: return number(std::tanh(x[0]));
  case Op::Erf: return number(std::erf(x[0]));
  case Op::Sigmoid: return number(1 / (1 + std::exp(-x[0])));
  case Op::Floor: return Val::of(Dim(int64_t(std::floor(x[0]))));
  case Op::Ceil: return Val::of(Dim(int64_t(std::ceil(x[0]))));
  case Op::Round: return Val::of(Dim(int64_t(std::nearbyint(x[0]))));
  case Op::Add: return number(x[0] + x[1]);
  case Op::Sub: return number(x[0] - x[1]);
  case Op::Mul: return number(x[0] * x[1]);
  case Op::Div: return x[1] == 0 ? fail(Diag::DivisionByZero, where) : number(x[0] / x[1]);
  case Op::Pow: return number(std::pow(x[0], x[1]));
  case Op::Max: return number(std::fmax(x[0], x[1]));
  case Op::Min: return number(std::fmin(x[0], x[1]));
  case Op::Mod: return number(x[0] - x[1] * std::floor(x[0] / x[1]));
  case Op::Eq: return Val::of(x[0] == x[1]);
  case Op::Ne: return Val::of(x[0] != x[1]);
  case Op::Lt: return Val::of(x[0] < x[1]);
  case Op::Le: return Val::of(x[0] <= x[1]);
  case Op::Gt: return Val::of(x[0] > x[1]);
  case Op::Ge: return Val::of(x[0] >= x[1]);
  default: return fail(Diag::CannotCombine, where, {what, describe(v[0]), describe(v.back())});
  }
}

bool Checker::broadcastShape(const std::vector<const Val *> &tensors, std::vector<Dim> &shape, SourceRange where,
                             const std::string &what) {
  size_t rank = 0;
  for (auto *t : tensors)
    rank = std::max(rank, t->type.shape.size());
  shape.assign(rank, Dim(1));
  for (auto *t : tensors) {
    size_t lead = rank - t->type.shape.size();
    for (size_t i = 0; i < t->type.shape.size(); ++i) {
      const Dim &d = t->type.shape[i];
      Dim &s = shape[lead + i];
      if (s == Dim(1)) {
        s = d;
      } else if (d != Dim(1) && d != s) {
        Diagnostic &e = error(Diag::ShapesDiffer, where,
                              {what, tensors[0]->type.str(), tensors.back()->type.str(), s.str(), d.str()});
        e.hint = "shapes are aligned at their last dimensions; only a dimension of 1 stretches";
        return false;
      }
    }
  }
  return true;
}

Val Checker::pointwise(Op op, const std::vector<Val> &operands, SourceRange where, const std::string &what) {
  bool numbers = true, bools = true, anyTensor = false;
  for (const Val &v : operands) {
    if (v.poison())
      return {};
    numbers &= v.numeric();
    bools &= v.is(Val::Kind::Bool);
    anyTensor |= v.is(Val::Kind::Tensor);
  }
  for (const Val &v : operands)
    if (v.is(Val::Kind::Unknown))
      return v;
  auto cannot = [&]() {
    if (operands.size() == 1)
      return fail(Diag::CannotApply, where, {what, describe(operands[0])});
    return fail(Diag::CannotCombine, where, {what, describe(operands[0]), describe(operands[1])});
  };
  if (bools) {
    bool a = operands[0].boolean, b = operands.back().boolean;
    switch (op) {
    case Op::Not: return Val::of(!a);
    case Op::And: return Val::of(a && b);
    case Op::Or: return Val::of(a || b);
    case Op::Eq: return Val::of(a == b);
    case Op::Ne: return Val::of(a != b);
    default: return cannot();
    }
  }
  if (numbers)
    return isLogic(op) ? cannot() : foldNumbers(op, operands, where, what);
  if (!anyTensor)
    return cannot();

  // One element type: that of the tensors.
  std::vector<const Val *> tensors;
  for (const Val &v : operands) {
    if (v.is(Val::Kind::Tensor))
      tensors.push_back(&v);
    else if (!v.numeric() && !(v.is(Val::Kind::Bool)))
      return cannot();
  }
  Elem elem = tensors[0]->type.elem;
  for (auto *t : tensors)
    if (t->type.elem != elem) {
      Diagnostic &d = error(Diag::ElementsDiffer, where, {what, tensors[0]->type.str(), t->type.str()});
      d.hint = "convert one of them: `f32(x)`, `i32(x)`";
      return {};
    }
  if (isLogic(op) != (elem == Elem::Bool) && !((op == Op::Eq || op == Op::Ne) && elem == Elem::Bool)) {
    if (elem == Elem::Bool) {
      Diagnostic &d = error(Diag::CannotApply, where, {what, tensors[0]->type.str()});
      d.hint = "write `f32(...)` to count `true` as 1";
      return {};
    }
    return cannot();
  }
  if (needsFloat(op) && !isFloat(elem)) {
    Diagnostic &d = error(Diag::NeedsFloat, where, {what, tensors[0]->type.str()});
    d.hint = "convert it with `f32(...)`";
    return {};
  }

  std::vector<const Val *> all;
  for (const Val &v : operands)
    all.push_back(&v);
  return applyPointwise(op, isComparison(op) ? Elem::Bool : elem, elem, all, where, what);
}

Val Checker::applyPointwise(Op op, Elem result, Elem elem, const std::vector<const Val *> &operands, SourceRange where,
                            const std::string &what) {
  std::vector<const Val *> tensors;
  std::vector<Letter *> order;
  bool letters = false;
  for (const Val *v : operands)
    if (v->is(Val::Kind::Tensor)) {
      tensors.push_back(v);
      letters |= v->indexed;
    }
  std::vector<Dim> shape;
  if (letters) {
    for (auto *t : tensors) {
      if (!t->indexed && !t->type.shape.empty())
        return fail(Diag::NeedsIndices, where, {t->type.str()});
      for (Letter *l : t->letters)
        if (std::find(order.begin(), order.end(), l) == order.end())
          order.push_back(l);
    }
    std::sort(order.begin(), order.end(), [](Letter *a, Letter *b) { return a->order < b->order; });
    for (Letter *l : order)
      shape.push_back(*l->size);
  } else if (!broadcastShape(tensors, shape, where, what)) {
    return {};
  }
  std::vector<Value> values;
  for (const Val *v : operands) {
    if (letters && v->is(Val::Kind::Tensor)) {
      values.push_back(alignLetters(*v, order).tensor);
      continue;
    }
    auto t = toTensor(*v, elem, where);
    if (!t)
      return {};
    values.push_back(rec->broadcast(*t, shape));
  }
  Val out = tensorVal(rec->add(op, values, {result, shape, 0}));
  out.indexed = letters;
  out.letters = order;
  return out;
}

Val Checker::select(const Val &condition, const Val &a, const Val &b, SourceRange where) {
  if (condition.poison() || a.poison() || b.poison())
    return {};
  for (const Val *v : {&condition, &a, &b})
    if (v->is(Val::Kind::Unknown))
      return *v;
  if (condition.is(Val::Kind::Bool))
    return condition.boolean ? a : b;
  if (!condition.is(Val::Kind::Tensor) || condition.type.elem != Elem::Bool)
    return fail(Diag::NotACondition, where, {describe(condition)});
  if ((!a.is(Val::Kind::Tensor) && !a.numeric()) || (!b.is(Val::Kind::Tensor) && !b.numeric()))
    return fail(Diag::BranchesDiffer, where, {describe(a), describe(b)});
  Elem elem = a.is(Val::Kind::Tensor) ? a.type.elem : b.is(Val::Kind::Tensor) ? b.type.elem : Elem::F32;
  if (a.is(Val::Kind::Tensor) && b.is(Val::Kind::Tensor) && a.type.elem != b.type.elem)
    return fail(Diag::BranchesDiffer, where, {describe(a), describe(b)});
  return applyPointwise(Op::Select, elem, elem, {&condition, &a, &b}, where, "when");
}

Val Checker::castTo(Elem elem, const Val &v, SourceRange where) {
  if (v.poison() || v.is(Val::Kind::Unknown))
    return v;
  if (v.numeric()) {
    if (isFloat(elem)) {
      if (auto n = v.asNumber())
        return Val::of(*n);
      auto t = toTensor(v, elem, where);
      return t ? tensorVal(*t) : Val{};
    }
    if (v.is(Val::Kind::Int))
      return v;
    return Val::of(Dim(int64_t(v.number)));
  }
  if (v.is(Val::Kind::Bool))
    return isFloat(elem) ? Val::of(v.boolean ? 1.0 : 0.0) : Val::of(Dim(v.boolean));
  if (!v.is(Val::Kind::Tensor))
    return fail(Diag::CannotApply, where, {bigm::name(elem), describe(v)});
  Val out = tensorVal(rec->cast(v.tensor, elem));
  out.indexed = v.indexed;
  out.letters = v.letters;
  out.type.classes = 0;
  return out;
}

} // namespace bigm::sema
