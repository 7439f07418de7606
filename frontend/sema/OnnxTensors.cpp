// The primitives that record. Their folding on known elements is in OnnxFold.cpp.
#include "OnnxTensors.h"
#include "OnnxExact.h"
#include "OnnxFold.h"
#include "Unify.h"
#include <algorithm>
#include <cstring>
#include <numeric>

namespace bigm::sema::onnx_import {

std::vector<Dim> broadcastShape(const Vals &operands) {
  size_t rank = 0;
  for (const Val &v : operands)
    rank = std::max(rank, v.rank());
  std::vector<Dim> shape(rank, Dim(1));
  for (const Val &v : operands)
    for (size_t i = 0; i < v.rank(); ++i) {
      Dim &s = shape[rank - v.rank() + i];
      if (s == Dim(1))
        s = v.shape[i];
      else if (v.shape[i] != Dim(1) && v.shape[i] != s) {
        std::string all;
        for (const Val &o : operands)
          all += (all.empty() ? "" : " and ") + typeText(o);
        refuse(all + " do not fit: " + s.str() + " against " + v.shape[i].str(), s, v.shape[i]);
      }
    }
  return shape;
}

static bool isComparison(Op op) {
  return op == Op::Eq || op == Op::Ne || op == Op::Lt || op == Op::Le || op == Op::Gt || op == Op::Ge;
}
static bool isLogic(Op op) { return op == Op::And || op == Op::Or || op == Op::Not; }

Val Tensors::pointwise(Op op, const Vals &operands) {
  for (const Val &v : operands)
    if (!v.some() || v.sequence)
      refuse("an operand that is no tensor");
  const Val &first = operands[op == Op::Select ? 1 : 0];
  for (size_t i = op == Op::Select ? 1 : 0; i < operands.size(); ++i)
    if (operands[i].type != first.type)
      refuse("operands of different types: " + typeText(first) + " and " + typeText(operands[i]));
  std::vector<Dim> shape = broadcastShape(operands);
  Type type = isComparison(op) || isLogic(op) ? Type::Bool : first.type;
  bool known = true;
  for (const Val &v : operands)
    known &= v.known && !v.learnable;
  if (known)
    if (Val folded = fold(op, operands, shape, type); folded.some())
      return folded;
  // Comparing bools is comparing 0 and 1.
  if (first.type == Type::Bool && isComparison(op))
    return pointwise(op, {cast(operands[0], Type::I32), cast(operands[1], Type::I32)});
  std::vector<Value> values;
  for (const Val &v : operands)
    values.push_back(rec.broadcast(use(v), shape));
  Val out = recorded(rec.add(op, values, {elem(type), shape, 0}), type);
  if (isFloat(type))
    out.ratios = combined(op, operands, shape);
  else if (known && op == Op::Max)
    out.ratios = unlessNegative(operands, shape);
  switch (op) {
  case Op::Add: case Op::Sub: case Op::Mul: case Op::Neg: case Op::Pow: return wrapped(out);
  default: return out;
  }
}

Val Tensors::wrapped(Val v) {
  int64_t span = 0, low = 0;
  switch (v.type) {
  case Type::U16: span = 1 << 16; break;
  case Type::I16: span = 1 << 16; low = -(1 << 15); break;
  case Type::U32: span = int64_t(1) << 32; break;
  case Type::U4: span = 16; break;
  case Type::I4: span = 16; low = -8; break;
  default: return v;
  }
  TensorType t = rec.type(use(v));
  if (t.elem == Elem::U8 || t.elem == Elem::I8)
    t.elem = Elem::I32;
  auto number = [&](int64_t n) { return rec.constant(double(n), t); };
  Value x = rec.add(Op::Sub, {rec.cast(use(v), t.elem), number(low)}, t);
  x = rec.add(Op::Mod, {x, number(span)}, t);
  x = rec.add(Op::Mod, {rec.add(Op::Add, {x, number(span)}, t), number(span)}, t);
  return recorded(rec.cast(rec.add(Op::Add, {x, number(low)}, t), elem(v.type)), v.type);
}

Val Tensors::cast(const Val &v, Type type) {
  if (v.type == type)
    return v;
  elem(type);
  if ((type == Type::I4 || type == Type::U4) && isFloat(v.type)) // to be wrapped as a whole number
    return cast(cast(v, Type::I32), type);
  if (v.known && !v.learnable)
    if (Val folded = foldCast(v, type); folded.some())
      return folded;
  if (v.ratios && isInteger(type) && isFloat(v.type))
    return whole(wholeOf(*v.ratios), v.shape, type);
  Value from = use(v);
  // Whether a number is not zero.
  if (type == Type::Bool)
    return pointwise(Op::Ne, {v, scalar(0, v.type)});
  Val out = recorded(rec.cast(from, elem(type)), type);
  if (isFloat(type) && v.type != Type::Bool)
    out.ratios = ratiosOf(v);
  else if (isInteger(type) && isInteger(v.type))
    out.ratios = v.ratios;
  return isInteger(v.type) ? wrapped(out) : out;
}

Val Tensors::reshape(const Val &v, std::vector<Dim> shape) {
  if (product(shape) != product(v.shape)) {
    Val to = v;
    to.shape = shape;
    refuse(typeText(v) + " cannot become " + typeText(to) + ": another number of elements", product(v.shape), product(shape));
  }
  Val out;
  out.type = v.type;
  out.known = v.known;
  out.learnable = v.learnable;
  out.ratios = v.ratios;
  out.shape = shape;
  if (!v.known || v.value || v.learnable)
    out.value = rec.reshape(use(v), std::move(shape));
  return out;
}

Val Tensors::view(const Val &v, std::vector<Dim> shape, AffineIndices map) {
  if (v.known && !v.learnable)
    if (Val folded = foldView(v, shape, map); folded.some())
      return folded;
  return recorded(rec.view(use(v), std::move(shape), std::move(map)), v.type);
}

Val Tensors::broadcast(const Val &v, const std::vector<Dim> &shape) {
  if (v.shape == shape)
    return v;
  size_t lead = shape.size() - v.rank();
  AffineIndices map;
  for (size_t i = 0; i < v.rank(); ++i) {
    if (v.shape[i] != shape[lead + i] && v.shape[i] != Dim(1))
      refuse(typeText(v) + " cannot be repeated to size " + shape[lead + i].str());
    map.push_back(v.shape[i] == shape[lead + i] ? index(lead + i) : index(0, 0));
  }
  return view(v, shape, std::move(map));
}

Val Tensors::pad(const Val &v, std::vector<int64_t> low, std::vector<int64_t> high, std::vector<int64_t> interior,
                 const Val &fill) {
  bool nothing = true;
  std::vector<Dim> shape;
  for (size_t i = 0; i < v.rank(); ++i) {
    nothing &= !low[i] && !high[i] && !interior[i];
    shape.push_back(v.shape[i] + Dim(low[i] + high[i]) + (v.shape[i] - Dim(1)) * Dim(interior[i]));
    if (auto n = shape.back().constant(); n && *n < 0)
      refuse("more is cut off than there is: " + typeText(v));
  }
  if (nothing)
    return v;
  if (v.type == Type::Bool)
    return cast(pad(cast(v, Type::U8), low, high, interior, cast(fill, Type::U8)), Type::Bool);
  return recorded(rec.add(Op::Pad, {use(v), use(fill)}, {elem(v.type), shape, 0},
                          {{"low", std::move(low)}, {"high", std::move(high)}, {"interior", std::move(interior)}}),
                  v.type);
}

Val Tensors::concat(const Vals &parts, size_t dim) {
  Vals some;
  Dim size = 0;
  bool known = true;
  for (const Val &v : parts) {
    if (v.type != parts[0].type || v.rank() != parts[0].rank())
      refuse("parts of different types: " + typeText(parts[0]) + " and " + typeText(v));
    for (size_t i = 0; i < v.rank(); ++i)
      if (i != dim && v.shape[i] != parts[0].shape[i])
        refuse("parts do not fit: " + typeText(parts[0]) + " and " + typeText(v), parts[0].shape[i], v.shape[i]);
    size = size + v.shape[dim];
    if (v.shape[dim] == Dim(0))
      continue;
    some.push_back(v);
    known &= v.known && !v.learnable;
  }
  if (some.empty())
    return parts[0];
  if (some.size() == 1)
    return some[0];
  std::vector<Dim> shape = some[0].shape;
  shape[dim] = size;
  if (known)
    if (Val folded = foldConcat(some, shape, dim); folded.some())
      return folded;
  std::vector<Value> values;
  for (const Val &v : some)
    values.push_back(use(v));
  Val out = recorded(rec.add(Op::Concat, values, {elem(parts[0].type), shape, 0}, {{"dim", int64_t(dim)}}), parts[0].type);
  if (shape.size() == 1 && isFloat(out.type)) {
    auto all = std::make_shared<std::vector<Ratio>>();
    for (const Val &v : some)
      if (Ratios part = ratiosOf(v); part && all)
        all->insert(all->end(), part->begin(), part->end());
      else
        all = nullptr;
    out.ratios = all;
  }
  return out;
}

Val Tensors::reduce(Op op, const Val &v, std::vector<int64_t> dims, bool keep) {
  std::sort(dims.begin(), dims.end());
  std::vector<Dim> kept, rest;
  for (size_t i = 0; i < v.rank(); ++i) {
    bool gone = std::binary_search(dims.begin(), dims.end(), int64_t(i));
    kept.push_back(gone ? Dim(1) : v.shape[i]);
    if (!gone)
      rest.push_back(v.shape[i]);
  }
  Val out;
  if (dims.empty())
    out = v;
  else if (v.known && !v.learnable)
    out = foldReduce(op, v, rest, dims);
  if (!out.some() && v.type == Type::Bool)
    out = compare(Op::Gt, reduce(op, cast(v, Type::I32), dims, false),
                  0); // of no elements the least is true, the most false
  if (!out.some())
    out = wrapped(recorded(rec.reduce(op, use(v), dims), v.type));
  return keep ? reshape(out, kept) : out;
}

Val Tensors::argument(Op op, const Val &v, size_t dim) {
  std::vector<Dim> shape = v.shape;
  shape.erase(shape.begin() + dim);
  Val x = v.type == Type::Bool ? cast(v, Type::I32) : v;
  return cast(recorded(rec.add(op, {use(x)}, {Elem::I32, shape, 0}, {{"dim", int64_t(dim)}}), Type::I32), Type::I64);
}

Val Tensors::gather(const Val &table, const Val &ids) {
  if (table.known && ids.known && !table.learnable)
    if (Val folded = foldGather(table, ids); folded.some())
      return folded;
  std::vector<Dim> shape = ids.shape;
  shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
  Val i = ids.type == Type::I32 || ids.type == Type::I64 ? ids : cast(ids, Type::I32);
  Val out = recorded(rec.add(Op::Gather, {use(table), use(i)}, {elem(table.type), shape, 0}), table.type);
  if (table.ratios && table.rank() == 1 && ids.known) {
    auto picked = std::make_shared<std::vector<Ratio>>();
    for (const Number &n : *ids.known)
      if (auto at = n.whole.constant(); at && *at >= 0 && size_t(*at) < table.ratios->size())
        picked->push_back((*table.ratios)[size_t(*at)]);
    if (picked->size() == ids.known->size())
      out.ratios = picked;
  }
  return out;
}

Val Tensors::scatterAdd(const Val &updates, const Val &ids, const Dim &rows) {
  std::vector<Dim> shape = {rows};
  shape.insert(shape.end(), updates.shape.begin() + ids.rank(), updates.shape.end());
  return recorded(rec.add(Op::ScatterAdd, {use(updates), use(ids)}, {elem(updates.type), shape, 0}), updates.type);
}

Val Tensors::iota(std::vector<Dim> shape, size_t dim, Type type) {
  if (Val folded = foldIota(shape, dim, type); folded.some())
    return folded;
  if (type == Type::Bool || elem(type) == Elem::U8 || elem(type) == Elem::I8)
    return cast(iota(std::move(shape), dim, Type::I32), type);
  return recorded(rec.add(Op::Iota, {}, {elem(type), std::move(shape), 0}, {{"dim", int64_t(dim)}}), type);
}

Val Tensors::contract(const Val &lhs, const Val &rhs, AffineIndices lhsMap, AffineIndices rhsMap,
                      std::vector<Dim> shape, std::vector<Dim> reduced) {
  if (lhs.type != rhs.type)
    refuse("factors of different types: " + typeText(lhs) + " and " + typeText(rhs));
  bool numbers = std::all_of(reduced.begin(), reduced.end(), [](const Dim &d) { return d.isConstant(); });
  Attr sizes = reduced;
  if (numbers) {
    std::vector<int64_t> plain;
    for (const Dim &d : reduced)
      plain.push_back(*d.constant());
    sizes = plain;
  }
  return wrapped(recorded(rec.add(Op::Contract, {use(lhs), use(rhs)}, {elem(lhs.type), std::move(shape), 0},
                                  {{"lhs_map", std::move(lhsMap)}, {"rhs_map", std::move(rhsMap)}, {"reduced", sizes}}),
                          lhs.type));
}

} // namespace bigm::sema::onnx_import
