// Values in and out, and the primitives that record. Their folding on known elements is in OnnxFold.cpp.
#include "OnnxTensors.h"
#include "OnnxFold.h"
#include "Unify.h"
#include <algorithm>
#include <cstring>
#include <numeric>

namespace bigm::sema::onnx_import {

void refuse(std::string why) { throw Refusal{std::move(why), false}; }
void refuse(std::string why, const Dim &a, const Dim &b) { throw Refusal{std::move(why), false, Unequal{a, b}}; }

bool isFloat(Type t) { return t == Type::F32 || t == Type::F64 || t == Type::F16 || t == Type::BF16; }
bool isInteger(Type t) { return elemOf(t) && !isFloat(t) && t != Type::Bool; }

std::optional<Elem> elemOf(Type type) {
  switch (type) {
  case Type::F32: return Elem::F32;
  case Type::F64: return Elem::F64;
  case Type::F16: return Elem::F16;
  case Type::BF16: return Elem::BF16;
  case Type::U8: return Elem::U8;
  case Type::I8: return Elem::I8;
  case Type::U4: return Elem::U8;
  case Type::I4: return Elem::I8;
  case Type::U16: case Type::I16: case Type::I32: return Elem::I32;
  case Type::U32: case Type::U64: case Type::I64: return Elem::I64;
  case Type::Bool: return Elem::Bool;
  default: return std::nullopt;
  }
}

static Elem elem(Type type) {
  auto e = elemOf(type);
  if (!e)
    refuse(std::string("the type ") + onnx::name(type));
  return *e;
}

Dim product(const std::vector<Dim> &dims) {
  Dim p = 1;
  for (const Dim &d : dims)
    p = p * d;
  return p;
}

int64_t axisOf(int64_t axis, size_t rank) {
  int64_t from = axis < 0 ? axis + int64_t(rank) : axis;
  if (from < 0 || from >= int64_t(rank))
    refuse("axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
  return from;
}

std::string typeText(const Val &v) {
  if (v.sequence)
    return "a sequence";
  std::string out = onnx::name(v.type);
  out += "[";
  for (size_t i = 0; i < v.shape.size(); ++i)
    out += (i ? ", " : "") + v.shape[i].str();
  return out + "]";
}

// ---------------------------------------------------------------- in and out

Val Tensors::recorded(Value v, Type type) {
  Val out;
  out.type = type;
  out.shape = rec.type(v).shape;
  out.value = v;
  return out;
}

/// The number of each text: texts that are alike have one, in the order in which they stand.
static std::vector<Dim> numbered(const std::vector<std::string> &texts) {
  std::map<std::string, int64_t> known;
  std::vector<Dim> out;
  for (const std::string &text : texts)
    out.push_back(known.emplace(text, int64_t(known.size())).first->second);
  return out;
}

Val Tensors::fromFile(const std::shared_ptr<const onnx::Tensor> &tensor, bool constant) {
  if (tensor->type == Type::String) // names of classes
    return whole(numbered(tensor->strings), {tensor->shape.begin(), tensor->shape.end()});
  Val out;
  out.type = tensor->type;
  for (int64_t size : tensor->shape)
    out.shape.push_back(size);
  elem(tensor->type);
  out.known = elementsOf(*tensor);
  out.learnable = !constant && isFloat(out.type) && out.rank() > 0;
  if (out.learnable || !out.known)
    out.file = tensor;
  return out;
}

Val Tensors::whole(const std::vector<Dim> &elements, std::vector<Dim> shape, Type type) {
  auto list = std::make_shared<std::vector<Number>>();
  for (const Dim &d : elements)
    list->push_back({d, 0});
  Val out;
  out.type = type;
  out.shape = std::move(shape);
  out.known = list;
  return out;
}

Val Tensors::reals(const std::vector<double> &elements, std::vector<Dim> shape, Type type) {
  auto list = std::make_shared<std::vector<Number>>();
  for (double d : elements)
    list->push_back({Dim(), d});
  Val out;
  out.type = type;
  out.shape = std::move(shape);
  out.known = list;
  return out;
}

Val Tensors::scalar(double number, Type type) {
  return isFloat(type) ? reals({number}, {}, type) : whole({Dim(int64_t(number))}, {}, type);
}

Value Tensors::use(const Val &v, TensorDecl::Kind kind) {
  if (v.value)
    return *v.value;
  if (v.sequence)
    refuse("a sequence where a tensor is needed");
  if (!v.some())
    refuse("an operand is left out that this needs");
  TensorType type{elem(v.type), v.shape, 0};
  if (v.known) {
    const auto &list = *v.known;
    bool real = isFloat(v.type), same = true, numbers = true;
    for (const Number &n : list) {
      numbers &= real || n.whole.isConstant();
      same &= real ? (n.real == list[0].real || (n.real != n.real && list[0].real != list[0].real))
                   : n.whole == list[0].whole;
    }
    if (same && !v.learnable)
      return list.empty() ? rec.constant(0, type)
             : numbers    ? rec.constant(real ? list[0].real : double(*list[0].whole.constant()), type)
                          : rec.broadcast(rec.dimension(list[0].whole, type.elem), v.shape);
    if (!numbers) {
      std::vector<Value> parts;
      for (const Number &n : list)
        parts.push_back(rec.reshape(rec.dimension(n.whole, type.elem), {1}));
      Value all = rec.add(Op::Concat, parts, {type.elem, {Dim(int64_t(parts.size()))}, 0}, {{"dim", int64_t(0)}});
      return rec.reshape(all, v.shape);
    }
    if (!v.file)
      return stored("", TensorDecl::Kind::State, list, v.type, v.shape);
  }
  if (!v.file)
    refuse("an operand has no value");
  if (!v.learnable)
    kind = TensorDecl::Kind::State;
  if (onnx::bitsOf(v.type) != 8 * sizeOf(type.elem)) {
    auto wide = std::make_shared<const std::string>(widened(*v.file, type.elem));
    return store.tensor(v.file->name, kind, type, {wide, *wide});
  }
  return store.tensor(v.file->name, kind, type, v.file->bytes);
}

Value Tensors::stored(const std::string &name, TensorDecl::Kind kind, const std::vector<Number> &elements, Type t,
                      const std::vector<Dim> &shape) {
  TensorType type{elem(t), shape, 0};
  auto bytes = std::make_shared<const std::string>(bytesOf(elements, type.elem));
  return store.tensor(name, kind, type, {bytes, *bytes});
}

[[noreturn]] static void needsKnown(const char *what) {
  throw Refusal{std::string(what) + " must be known when the program is checked, and here the run decides", true};
}

std::vector<Dim> Tensors::dims(const Val &v, const char *what) {
  if (!v.known || isFloat(v.type))
    needsKnown(what);
  std::vector<Dim> out;
  for (const Number &n : *v.known)
    out.push_back(n.whole);
  return out;
}

int64_t Tensors::number(const Dim &d, const char *what) {
  auto n = d.constant();
  if (!n)
    throw Refusal{std::string(what) + " must be a number, and here it is " + d.str(), false};
  return *n;
}

std::vector<int64_t> Tensors::ints(const Val &v, const char *what) {
  std::vector<int64_t> out;
  for (const Dim &d : dims(v, what))
    out.push_back(number(d, what));
  return out;
}

static void checkOne(const Val &v, const char *what) {
  if (v.known && v.known->size() != 1)
    refuse(std::string(what) + " must be one number, and here it is " + typeText(v));
}
Dim Tensors::oneDim(const Val &v, const char *what) {
  checkOne(v, what);
  return dims(v, what)[0];
}
double Tensors::oneReal(const Val &v, const char *what) {
  checkOne(v, what);
  return doubles(v, what)[0];
}

std::vector<double> Tensors::doubles(const Val &v, const char *what) {
  if (!v.known)
    needsKnown(what);
  std::vector<double> out;
  for (const Number &n : *v.known)
    out.push_back(isFloat(v.type) ? n.real : double(number(n.whole, what)));
  return out;
}

// ---------------------------------------------------------------- primitives

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
  Value from = use(v);
  // Whether a number is not zero.
  if (type == Type::Bool)
    return pointwise(Op::Ne, {v, scalar(0, v.type)});
  Val out = recorded(rec.cast(from, elem(type)), type);
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
  return recorded(rec.add(Op::Concat, values, {elem(parts[0].type), shape, 0}, {{"dim", int64_t(dim)}}), parts[0].type);
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
  return recorded(rec.add(Op::Gather, {use(table), use(i)}, {elem(table.type), shape, 0}), table.type);
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
