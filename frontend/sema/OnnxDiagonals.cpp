// Masks that a file stores: matrices of two numbers that change at a diagonal, as `tril(ones(1024, 1024))` is kept beside the weights
// of a decoder. They are computed from positions instead. That takes no memory, attention is known to be causal, and a mask
// of floating-point numbers is no parameter that training would change.
#include "OnnxFold.h"
#include <cstring>

namespace bigm::sema::onnx_import {
namespace {

/// Below this a matrix may have such elements by chance, as a small weight of zeros and ones.
constexpr int64_t kLeastSide = 4;

/// `low` where column - row <= offset, else `high`: numbers of two elements that show them.
struct Diagonal {
  int64_t offset, low, high;
};

/// `bytes` are the elements, of `width` bytes each. All matrices of the last two dimensions must be so.
std::optional<Diagonal> diagonalOf(std::string_view bytes, size_t width, const std::vector<int64_t> &shape) {
  if (shape.size() < 2 || bytes.empty())
    return std::nullopt;
  int64_t rows = shape[shape.size() - 2], columns = shape.back(), size = rows * columns;
  if (rows < kLeastSide || columns < kLeastSide || bytes.size() % (size_t(size) * width) != 0)
    return std::nullopt;
  auto same = [&](int64_t a, int64_t b) { return std::memcmp(&bytes[size_t(a) * width], &bytes[size_t(b) * width], width) == 0; };
  Diagonal d{-1, (rows - 1) * columns, columns - 1};
  if (same(d.low, d.high))
    return std::nullopt;
  // Where the numbers change is seen in the first row, or where this is all high, in the first column.
  if (same(0, d.low))
    while (same(d.offset + 1, d.low))
      ++d.offset;
  else
    while (same(-d.offset * columns, d.high))
      --d.offset;
  for (int64_t i = 0, count = int64_t(bytes.size() / width); i < count; ++i) {
    int64_t row = i % size / columns, column = i % columns;
    if (!same(i, column - row <= d.offset ? d.low : d.high))
      return std::nullopt;
  }
  return d;
}

} // namespace

std::optional<Value> Tensors::fromPositions(const Val &v, std::string_view bytes, size_t width) {
  std::vector<int64_t> shape;
  for (const Dim &d : v.shape)
    shape.push_back(d.constant().value_or(0));
  std::optional<Diagonal> d = diagonalOf(bytes, width, shape);
  if (!d)
    return std::nullopt;
  auto number = [&](int64_t i) {
    Number n = v.known ? (*v.known)[size_t(i)] : elementAt(*v.file, i);
    return isFloat(v.type) ? n.real : double(*n.whole.constant());
  };
  std::vector<Dim> square = {shape[shape.size() - 2], shape.back()};
  // Recorded as such: what is known would be a table again.
  auto places = [&](int64_t dim) { return recorded(rec.add(Op::Iota, {}, {Elem::I64, square, 0}, {{"dim", dim}}), Type::I64); };
  Val below = pointwise(Op::Le, {places(1), add(places(0), double(d->offset))});
  if (v.type == Type::Bool)
    return use(broadcast(number(d->low) ? below : unary(Op::Not, below), v.shape));
  auto scalar = [&](int64_t i) { return recorded(rec.constant(number(i), {elem(v.type), {}, 0}), v.type); };
  return use(broadcast(select(below, scalar(d->low), scalar(d->high)), v.shape));
}

} // namespace bigm::sema::onnx_import
