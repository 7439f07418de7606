// See OnnxFold.h. Integers fold as dimensions, so `Shape -> Gather -> Mul -> Reshape` gives `2*T` and not a number; a
// comparison folds when its sides differ by a number, or by sizes that are never negative.
#include "OnnxFold.h"
#include "Unify.h"
#include <algorithm>
#include <cmath>

namespace bigm::sema::onnx_import {
namespace {

using Elements = std::vector<Number>;

/// The sizes as numbers, when all are and the product is small.
std::optional<std::vector<int64_t>> small(const std::vector<Dim> &shape) {
  std::vector<int64_t> out;
  for (const Dim &d : shape) {
    auto n = d.constant();
    if (!n)
      return std::nullopt;
    out.push_back(*n);
  }
  auto count = onnx::countOf(out);
  if (!count || *count > kFoldLimit)
    return std::nullopt;
  return out;
}

int64_t total(const std::vector<int64_t> &shape) {
  int64_t n = 1;
  for (int64_t d : shape)
    n *= d;
  return n;
}

template <class Body> void each(const std::vector<int64_t> &shape, Body body) {
  std::vector<int64_t> at(shape.size(), 0);
  for (int64_t n = total(shape); n > 0; --n) {
    body(at);
    for (size_t d = shape.size(); d-- > 0 && ++at[d] == shape[d];)
      at[d] = 0;
  }
}

Val make(Type type, std::vector<Dim> shape, Elements elements) {
  Val out;
  out.type = type;
  out.shape = std::move(shape);
  out.known = std::make_shared<const Elements>(std::move(elements));
  return out;
}

/// The least value of a sum of sizes, which are never negative; nothing when a term is subtracted.
std::optional<int64_t> least(const Dim &d) {
  int64_t constant = 0;
  for (auto &[atoms, c] : d.normalForm()) {
    if (atoms.empty())
      constant = c;
    else if (c < 0)
      return std::nullopt;
  }
  return constant;
}

/// The same of sizes that have names, each of which stands for at least one.
std::optional<int64_t> leastOfNamed(const Dim &d) {
  auto low = least(d);
  for (auto &[atoms, c] : d.normalForm())
    if (low && !atoms.empty() && std::none_of(atoms.begin(), atoms.end(), [](const Dim::Atom &a) { return bool(a.num); }))
      *low += c;
  return low;
}

/// The sign of a - b where it is the same for all sizes; 2 where it is not.
int order(const Dim &a, const Dim &b) {
  Dim d = a - b;
  if (auto c = d.constant())
    return *c < 0 ? -1 : *c > 0;
  if (auto low = leastOfNamed(d); low && *low > 0)
    return 1;
  if (auto low = leastOfNamed(b - a); low && *low > 0)
    return -1;
  return 2;
}

int64_t wrap(int64_t n, Type type) {
  switch (type) {
  case Type::U8: return uint8_t(n);
  case Type::I8: return int8_t(n);
  case Type::U16: return uint16_t(n);
  case Type::I16: return int16_t(n);
  case Type::I32: return int32_t(n);
  case Type::U32: return uint32_t(n);
  case Type::U4: return n & 15;
  case Type::I4: return int8_t(uint8_t(n) << 4) >> 4;
  case Type::Bool: return n != 0;
  default: return n;
  }
}

double real(Op op, double x, double y) {
  switch (op) {
  case Op::Neg: return -x;
  case Op::Abs: return std::fabs(x);
  case Op::Sign: return x > 0 ? 1 : x < 0 ? -1 : x;
  case Op::Exp: return std::exp(x);
  case Op::Log: return std::log(x);
  case Op::Log1p: return std::log1p(x);
  case Op::Expm1: return std::expm1(x);
  case Op::Sqrt: return std::sqrt(x);
  case Op::Rsqrt: return 1 / std::sqrt(x);
  case Op::Sin: return std::sin(x);
  case Op::Cos: return std::cos(x);
  case Op::Atan: return std::atan(x);
  case Op::Tanh: return std::tanh(x);
  case Op::Erf: return std::erf(x);
  case Op::Sigmoid: return 1 / (1 + std::exp(-x));
  case Op::Floor: return std::floor(x);
  case Op::Ceil: return std::ceil(x);
  case Op::Round: return std::nearbyint(x);
  case Op::Add: return x + y;
  case Op::Sub: return x - y;
  case Op::Mul: return x * y;
  case Op::Div: return x / y;
  case Op::Pow: return std::pow(x, y);
  case Op::Max: return y > x ? y : x;
  case Op::Min: return y < x ? y : x;
  case Op::Mod: return std::fmod(x, y);
  default: refuse("a constant that needs " + std::string(bigm::name(op)));
  }
}

std::optional<bool> compared(Op op, int sign) {
  switch (op) {
  case Op::Eq: return sign == 0;
  case Op::Ne: return sign != 0;
  case Op::Lt: return sign < 0;
  case Op::Le: return sign <= 0;
  case Op::Gt: return sign > 0;
  case Op::Ge: return sign >= 0;
  default: return std::nullopt;
  }
}

std::optional<Dim> whole(Op op, const Dim &x, const Dim &y, Type type) {
  auto a = x.constant(), b = y.constant();
  if (int sign; compared(op, 0)) {
    sign = order(x, y);
    if (sign != 2)
      return Dim(*compared(op, sign));
    if (atLeast(x, y) && compared(op, 0) == compared(op, 1))
      return Dim(*compared(op, 1));
    if (atLeast(y, x) && compared(op, 0) == compared(op, -1))
      return Dim(*compared(op, -1));
    return std::nullopt;
  }
  bool numbers = a && b;
  auto wrapped = [&](const Dim &d) { return d.constant() ? Dim(wrap(*d.constant(), type)) : d; };
  switch (op) {
  case Op::Neg: return wrapped(Dim(0) - x);
  case Op::Add: return wrapped(x + y);
  case Op::Sub: return wrapped(x - y);
  case Op::Mul: return wrapped(x * y);
  case Op::Not: return a ? std::optional<Dim>(*a == 0) : std::nullopt;
  case Op::And: return numbers ? std::optional<Dim>(*a && *b) : std::nullopt;
  case Op::Or: return numbers ? std::optional<Dim>(*a || *b) : std::nullopt;
  case Op::Abs:
    return a                            ? std::optional<Dim>(wrap(*a < 0 ? -*a : *a, type))
           : least(x).value_or(-1) >= 0 ? std::optional(x)
                                        : std::nullopt;
  case Op::Sign: return order(x, 0) == 2 ? std::nullopt : std::optional<Dim>(order(x, 0));
  case Op::Floor: case Op::Ceil: case Op::Round: return x;
  case Op::Max: case Op::Min: {
    int sign = order(x, y);
    if (sign == 2)
      sign = atLeast(x, y) ? 1 : atLeast(y, x) ? -1 : 2;
    return sign == 2 ? std::nullopt : std::optional<Dim>((sign >= 0) == (op == Op::Max) ? x : y);
  }
  case Op::Div:
    if (b && *b == 0)
      return std::nullopt;
    if (numbers)
      return *b == -1 ? Dim(wrap(-*a, type)) : Dim(*a / *b);
    if (auto q = divideExactly(x, y))
      return q;
    return b && *b > 0 && leastOfNamed(x).value_or(-1) >= 0 ? std::optional(x.floorDiv(*b)) : std::nullopt;
  case Op::Mod:
    if (b && *b == 0)
      return std::nullopt;
    if (numbers)
      return *b == -1 ? Dim(0) : Dim(*a % *b);
    return b && *b > 0 && leastOfNamed(x).value_or(-1) >= 0 ? std::optional(x - x.floorDiv(*b) * Dim(*b)) : std::nullopt;
  case Op::Pow:
    if (b && *b >= 0 && *b < 64 && a) {
      int64_t p = 1;
      for (int64_t i = 0; i < *b; ++i)
        p = int64_t(uint64_t(p) * uint64_t(*a));
      return Dim(wrap(p, type));
    }
    return std::nullopt;
  default: return std::nullopt;
  }
}

} // namespace

bool atLeast(const Dim &a, const Dim &b) { return leastOfNamed(a - b).value_or(-1) >= 0; }

Val Tensors::fold(Op op, const Vals &operands, const std::vector<Dim> &shape, Type type) {
  auto sizes = small(shape);
  if (!sizes)
    return {};
  Vals wide;
  for (const Val &v : operands)
    wide.push_back(foldView(v, shape, [&] {
      AffineIndices map;
      for (size_t i = 0, lead = shape.size() - v.rank(); i < v.rank(); ++i)
        map.push_back(v.shape[i] == shape[lead + i] ? index(lead + i) : index(0, 0));
      return map;
    }()));
  Elements out;
  bool floats = isFloat(operands[op == Op::Select ? 1 : 0].type);
  for (int64_t i = 0, n = total(*sizes); i < n; ++i) {
    if (op == Op::Select) {
      auto condition = (*wide[0].known)[i].whole.constant();
      if (!condition)
        return {};
      out.push_back((*wide[*condition ? 1 : 2].known)[i]);
      continue;
    }
    const Number &x = (*wide[0].known)[i], &y = (*wide.back().known)[i];
    if (!floats) {
      auto d = onnx_import::whole(op, x.whole, y.whole, type);
      if (!d)
        return {};
      out.push_back({*d, 0});
    } else if (auto holds = compared(op, x.real < y.real ? -1 : x.real > y.real)) {
      bool unordered = x.real != x.real || y.real != y.real;
      out.push_back({Dim(unordered ? op == Op::Ne : *holds), 0});
    } else {
      out.push_back({Dim(), rounded(real(op, x.real, y.real), type)});
    }
  }
  return make(type, shape, std::move(out));
}

Val foldCast(const Val &v, Type type) {
  Elements out;
  for (const Number &n : *v.known) {
    if (isFloat(v.type)) {
      if (isFloat(type))
        out.push_back({Dim(), rounded(n.real, type)});
      else if (type == Type::Bool)
        out.push_back({Dim(n.real != 0), 0});
      else if (std::fabs(n.real) < 9e18)
        out.push_back({Dim(wrap(int64_t(n.real), type)), 0});
      else
        return {};
    } else if (auto c = n.whole.constant()) {
      if (isFloat(type))
        out.push_back({Dim(), rounded(double(*c), type)});
      else
        out.push_back({Dim(wrap(*c, type)), 0});
    } else if (!isFloat(type) && type != Type::Bool) {
      out.push_back(n); // a dimension fits wherever dimensions are held
    } else {
      return {};
    }
  }
  return make(type, v.shape, std::move(out));
}

Val foldView(const Val &v, const std::vector<Dim> &shape, const AffineIndices &map) {
  auto sizes = small(shape), from = small(v.shape);
  if (!sizes || !from)
    return {};
  Elements out;
  each(*sizes, [&](const std::vector<int64_t> &at) {
    int64_t position = 0;
    for (size_t d = 0; d < map.size(); ++d) {
      int64_t i = map[d].offset;
      for (auto [dim, c] : map[d].terms)
        i += c * at[dim];
      if (i < 0 || i >= (*from)[d])
        refuse("an index that lies outside");
      position = position * (*from)[d] + i;
    }
    out.push_back((*v.known)[size_t(position)]);
  });
  return make(v.type, shape, std::move(out));
}

Val foldConcat(const Vals &parts, const std::vector<Dim> &shape, size_t dim) {
  auto sizes = small(shape);
  if (!sizes)
    return {};
  Elements out;
  each(*sizes, [&](const std::vector<int64_t> &at) {
    int64_t along = at[dim];
    const Val *part = parts.data();
    for (; along >= *part->shape[dim].constant(); ++part)
      along -= *part->shape[dim].constant();
    int64_t position = 0;
    for (size_t d = 0; d < at.size(); ++d)
      position = position * *part->shape[d].constant() + (d == dim ? along : at[d]);
    out.push_back((*part->known)[size_t(position)]);
  });
  return make(parts[0].type, shape, std::move(out));
}

Val foldReduce(Op op, const Val &v, const std::vector<Dim> &rest, const std::vector<int64_t> &dims) {
  auto from = small(v.shape), to = small(rest);
  if (!from || !to || (total(*from) == 0 && total(*to) > 0))
    return {};
  static const std::map<Op, Op> combine = {{Op::ReduceSum, Op::Add}, {Op::ReduceProd, Op::Mul},
                                           {Op::ReduceMax, Op::Max}, {Op::ReduceMin, Op::Min}};
  std::vector<std::optional<Number>> sums(size_t(total(*to)));
  bool ok = true;
  size_t next = 0;
  each(*from, [&](const std::vector<int64_t> &at) {
    int64_t position = 0;
    for (size_t d = 0, k = 0; d < at.size(); ++d)
      if (!std::binary_search(dims.begin(), dims.end(), int64_t(d)))
        position = position * (*to)[k++] + at[d];
    const Number &n = (*v.known)[next++];
    auto &sum = sums[size_t(position)];
    if (!sum) {
      sum = n;
    } else if (isFloat(v.type)) {
      sum->real = real(combine.at(op), sum->real, n.real);
    } else if (auto d = whole(combine.at(op), sum->whole, n.whole, v.type)) {
      sum->whole = *d;
    } else {
      ok = false;
    }
  });
  if (!ok)
    return {};
  Elements out;
  for (auto &sum : sums)
    out.push_back({sum->whole, rounded(sum->real, v.type)});
  return make(v.type, rest, std::move(out));
}

Val foldGather(const Val &table, const Val &ids) {
  std::vector<Dim> shape = ids.shape;
  shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
  auto sizes = small(shape), from = small(table.shape);
  if (!sizes || !from)
    return {};
  int64_t row = total(*from) / std::max<int64_t>(1, (*from)[0]);
  Elements out;
  for (const Number &n : *ids.known) {
    auto id = n.whole.constant();
    if (!id)
      return {};
    if (*id < 0 || *id >= (*from)[0])
      refuse("index " + std::to_string(*id) + " of " + std::to_string((*from)[0]) + " rows");
    out.insert(out.end(), table.known->begin() + *id * row, table.known->begin() + (*id + 1) * row);
  }
  return make(table.type, shape, std::move(out));
}

Val foldIota(const std::vector<Dim> &shape, size_t dim, Type type) {
  auto sizes = small(shape);
  if (!sizes || total(*sizes) > 64) // longer ones are recorded as what they are
    return {};
  Elements out;
  each(*sizes, [&](const std::vector<int64_t> &at) {
    out.push_back({isFloat(type) ? Dim() : Dim(at[dim]), isFloat(type) ? double(at[dim]) : 0});
  });
  return make(type, shape, std::move(out));
}

} // namespace bigm::sema::onnx_import
