// Values of a graph: types, where they come from, and what is known of them.
#include "OnnxExact.h"
#include "OnnxFold.h"
#include "OnnxTensors.h"
#include <algorithm>
#include <map>

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

Elem elem(Type type) {
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

/// A number that PyTorch's second exporter computed: the scale of attention, say, is `val_43` f32[1], where its first one wrote a
/// Constant. Weights that it computes have such names too, but a single weight keeps its module's name.
static bool isComputedNumber(const onnx::Tensor &tensor) {
  return tensor.name.starts_with("val_") && onnx::countOf(tensor.shape) == 1 &&
         tensor.name.find_first_not_of("0123456789", 4) == std::string::npos;
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
  out.learnable = !constant && isFloat(out.type) && out.rank() > 0 && !isComputedNumber(*tensor);
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
      return stored(v);
  }
  if (!v.file)
    refuse("an operand has no value");
  if (unsigned bits = onnx::bitsOf(v.type); bits % 8 == 0)
    if (auto computed = fromPositions(v, v.file->bytes.view, bits / 8))
      return *computed;
  if (!v.learnable)
    kind = TensorDecl::Kind::State;
  if (onnx::bitsOf(v.type) != 8 * sizeOf(type.elem)) {
    auto wide = std::make_shared<const std::string>(widened(*v.file, type.elem));
    return store.tensor(v.file->name, kind, type, {wide, *wide});
  }
  return store.tensor(v.file->name, kind, type, v.file->bytes);
}

Value Tensors::stored(const Val &v) {
  TensorType type{elem(v.type), v.shape, 0};
  auto bytes = std::make_shared<const std::string>(bytesOf(*v.known, type.elem));
  if (auto computed = fromPositions(v, *bytes, sizeOf(type.elem)))
    return *computed;
  return store.tensor("", TensorDecl::Kind::State, type, {bytes, *bytes});
}

[[noreturn]] static void needsKnown(const char *what) {
  throw Refusal{std::string(what) + " must be known when the program is checked, and here the run decides", true};
}

std::vector<Dim> Tensors::dims(const Val &v, const char *what) {
  if (v.ratios) // whole numbers in floating point, or places that are no number below 0
    if (std::vector<Dim> whole = wholeOf(*v.ratios); std::all_of(v.ratios->begin(), v.ratios->end(), [](auto &r) { return r.under == 1; }))
      return whole;
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

} // namespace bigm::sema::onnx_import
