// What an ONNX graph computes with: tensors that are recorded, or known while the program is checked.
//
// ONNX passes sizes, axes and repeats around as tensors of integers. So every primitive here folds: of operands whose
// elements are all known it gives a result whose elements are known, with symbolic dimensions as elements; otherwise it
// records. All operators are written over these primitives, and chains such as Shape, Gather, Concat, Reshape vanish
// without a rule of their own.
//
// Element types that the language lacks are held in wider ones (int16 and uint16 in i32, uint32 and uint64 in i64);
// what leaves their range is wrapped where it arises.
#pragma once
#include "Recorder.h"
#include "frontend/onnx/Onnx.h"
#include <functional>
#include <optional>

namespace bigm::sema::onnx_import {
using onnx::Type;

/// One known element: `whole` of integers and bools, `real` of floats.
struct Number {
  Dim whole;
  double real = 0;
};

struct Ratio; // OnnxExact.h

/// The sizes of a value. A file may give an operator a tensor of any rank, so a dimension that is not there is a refusal.
struct Sizes : std::vector<Dim> {
  using std::vector<Dim>::vector;
  Sizes(std::vector<Dim> sizes) : std::vector<Dim>(std::move(sizes)) {}
  const Dim &operator[](size_t d) const { return d < size() ? data()[d] : lacks(d); }
  Dim &operator[](size_t d) { return d < size() ? data()[d] : lacks(d); }
  const Dim &back() const { return (*this)[size() - 1]; }
  Dim &back() { return (*this)[size() - 1]; }

private:
  [[noreturn]] Dim &lacks(size_t d) const;
};

/// A value of the graph. `Undefined` without a sequence: an operand left out, or what a node gives that cannot be
/// imported.
struct Val {
  Type type = Type::Undefined;
  Sizes shape;
  std::shared_ptr<const std::vector<Number>> known;
  std::optional<Value> value;
  std::shared_ptr<const onnx::Tensor> file;          // where its elements are, when they are the file's
  bool learnable = false;                            // a parameter: it is never folded away
  std::shared_ptr<const std::vector<Ratio>> ratios;  // of numbers that are made of sizes (OnnxExact.h)
  std::shared_ptr<const std::vector<Val>> sequence;  // of a sequence
  bool some() const { return type != Type::Undefined || sequence; }
  size_t rank() const { return shape.size(); }
};
using Vals = std::vector<Val>;

/// Two sizes that would have to be one.
using Unequal = std::pair<Dim, Dim>;
/// Why a node cannot be imported.
struct Refusal {
  std::string why;
  bool needsKnown = false; // only because an operand's elements are not known
  std::optional<Unequal> unequal = {};
};
[[noreturn]] void refuse(std::string why);
[[noreturn]] void refuse(std::string why, const Dim &a, const Dim &b); // because they are not the same

bool isFloat(Type);
bool isInteger(Type);
std::optional<Elem> elemOf(Type); // nothing: not to be held in any
Elem elem(Type);                  // which is refused

/// Where persistent tensors come from.
struct Store {
  virtual ~Store() = default;
  /// The tensor of that name in the function being built; `bytes` are its initial elements, of the element type.
  virtual Value tensor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, Bytes bytes) = 0;
};

class Tensors {
public:
  Tensors(Recorder &rec, Store &store) : rec(rec), store(store) {}

  // ------------------------------------------------------------ in and out
  Val recorded(Value v, Type type);
  /// An initialiser, or with `constant` what a node of the graph holds.
  Val fromFile(const std::shared_ptr<const onnx::Tensor> &tensor, bool constant);
  /// A tensor of the file that training does not change: running statistics.
  Val fixed(const Val &v) { return v.learnable && !v.value ? recorded(use(v, TensorDecl::Kind::State), v.type) : v; }
  Val whole(const std::vector<Dim> &elements, std::vector<Dim> shape, Type type = Type::I64);
  Val wholes(const std::vector<Dim> &elements) { return whole(elements, {Dim(int64_t(elements.size()))}); }
  Val reals(const std::vector<double> &elements, std::vector<Dim> shape, Type type = Type::F32);
  Val scalar(double number, Type type);
  /// As an operand of a recorded operation.
  Value use(const Val &v) { return use(v, TensorDecl::Kind::Param); }
  Value use(const Val &v, TensorDecl::Kind kind);
  /// Elements that must be known.
  std::vector<Dim> dims(const Val &v, const char *what);
  std::vector<int64_t> ints(const Val &v, const char *what);
  std::vector<double> doubles(const Val &v, const char *what);
  int64_t number(const Dim &d, const char *what); // a size that must be a number
  /// The one element of a scalar or of a vector of one.
  Dim oneDim(const Val &v, const char *what);
  int64_t oneInt(const Val &v, const char *what) { return number(oneDim(v, what), what); }
  double oneReal(const Val &v, const char *what);

  // ------------------------------------------------------------ primitives
  Val pointwise(Op op, const Vals &operands);
  Val cast(const Val &v, Type type);
  Val select(const Val &condition, const Val &a, const Val &b) { return pointwise(Op::Select, {condition, a, b}); }
  Val reshape(const Val &v, std::vector<Dim> shape);
  Val view(const Val &v, std::vector<Dim> shape, AffineIndices map);
  Val broadcast(const Val &v, const std::vector<Dim> &shape);
  Val pad(const Val &v, std::vector<int64_t> low, std::vector<int64_t> high, std::vector<int64_t> interior,
          const Val &fill);
  Val concat(const Vals &parts, size_t dim);
  Val reduce(Op op, const Val &v, std::vector<int64_t> dims, bool keep);
  Val argument(Op op, const Val &v, size_t dim);           // int64, the dimension gone
  Val gather(const Val &table, const Val &ids);            // rows; ids in range
  Val scatterAdd(const Val &updates, const Val &ids, const Dim &rows); // into zeros
  Val iota(std::vector<Dim> shape, size_t dim, Type type);
  Val contract(const Val &lhs, const Val &rhs, AffineIndices lhsMap, AffineIndices rhsMap, std::vector<Dim> shape,
               std::vector<Dim> reduced);

  // ------------------------------------------------------------ written over them
  Val add(const Val &a, const Val &b) { return pointwise(Op::Add, {a, b}); }
  Val sub(const Val &a, const Val &b) { return pointwise(Op::Sub, {a, b}); }
  Val mul(const Val &a, const Val &b) { return pointwise(Op::Mul, {a, b}); }
  Val div(const Val &a, const Val &b) { return pointwise(Op::Div, {a, b}); }
  Val add(const Val &a, double b) { return add(a, scalar(b, a.type)); }
  Val sub(const Val &a, double b) { return sub(a, scalar(b, a.type)); }
  Val mul(const Val &a, double b) { return mul(a, scalar(b, a.type)); }
  Val div(const Val &a, double b) { return div(a, scalar(b, a.type)); }
  Val max(const Val &a, double b) { return pointwise(Op::Max, {a, scalar(b, a.type)}); }
  Val min(const Val &a, double b) { return pointwise(Op::Min, {a, scalar(b, a.type)}); }
  Val unary(Op op, const Val &a) { return pointwise(op, {a}); }
  Val compare(Op op, const Val &a, double b) { return pointwise(op, {a, scalar(b, a.type)}); }
  Val sum(const Val &v, std::vector<int64_t> dims, bool keep) {
    return reduce(Op::ReduceSum, v, std::move(dims), keep);
  }
  Val mean(const Val &v, std::vector<int64_t> dims, bool keep);
  /// A dimension as a scalar.
  Val size(const Dim &d, Type type) { return cast(whole({d}, {}), type); }
  Val transpose(const Val &v, const std::vector<int64_t> &order);
  /// Elements start, start + step, ... of one dimension; step may be negative.
  Val slice(const Val &v, size_t dim, const Dim &start, const Dim &count, int64_t step = 1);
  Val unsqueeze(const Val &v, std::vector<int64_t> dims); // of the result, sorted
  Val squeeze(const Val &v, const std::vector<int64_t> &dims);
  /// Windows over the last `sizes.size()` dimensions: [..., H, W] -> [..., P, Q, h, w].
  Val windows(const Val &v, const std::vector<int64_t> &sizes, const std::vector<int64_t> &strides,
              const std::vector<int64_t> &dilations);
  Val matmul(const Val &a, const Val &b); // as numpy's
  Val softmax(const Val &v, int64_t dim, bool log);
  /// Rows along `dim` by ids of any shape, negative ones from the end.
  Val take(const Val &v, const Val &ids, size_t dim);
  Val nonNegative(const Val &ids, const Dim &size);
  /// Sums (or products) of all elements up to each along `dim`.
  Val cumulative(Op op, const Val &v, size_t dim);
  Val flip(const Val &v, size_t dim);

  /// A recurrence: `step` is told the states and a row of each of `xs`, whose first dimension is `count`, and gives the new
  /// states, of the types of `starts`, and then what it hands out. The states after the last step, and what was handed out,
  /// stacked along a new first dimension. Nothing where `step` gives something that could not be imported.
  using Step = std::function<Vals(const Vals &states, const Vals &rows)>;
  Vals scan(const Vals &starts, const Vals &xs, const Dim &count, bool reverse, const Step &step);

  Recorder &rec;

private:
  Val fold(Op op, const Vals &operands, const std::vector<Dim> &shape, Type type);
  Val wrapped(Val v); // into the range of a type that is held in a wider one
  Value stored(const Val &v); // what is known, as a tensor
  /// Elements that follow from their positions, where `bytes`, all of them, show that they do.
  std::optional<Value> fromPositions(const Val &v, std::string_view bytes, size_t width);

  Store &store;
};

std::vector<Dim> broadcastShape(const Vals &operands);
Dim product(const std::vector<Dim> &dims);
/// As many as nothing: an axis that may count from the end, in range.
int64_t axisOf(int64_t axis, size_t rank);
std::string typeText(const Val &v);

} // namespace bigm::sema::onnx_import
