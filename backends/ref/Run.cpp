// The interpreter. An affine map over row-major tensors is one linear function from the iteration space to positions, so
// each op that moves or sums is a walk over an iteration space that adds to such positions.
#include "backends/ref/Ref.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace mlir::bigm::ref {
namespace {

int64_t product(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// Calls `body(index)` for every index of the space in row-major order.
template <class Body> void each(ArrayRef<int64_t> shape, Body body) {
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t n = product(shape); n > 0; --n) {
    body(index);
    for (int64_t d = int64_t(shape.size()) - 1; d >= 0 && ++index[d] == shape[d]; --d)
      index[d] = 0;
  }
}

/// Where a map reads or writes a tensor of `shape`, as a position in row-major order.
struct Access {
  SmallVector<int64_t> coefficients;
  int64_t offset = 0;
  bool inRange = true; // over the whole iteration space

  Access(AffineMap map, ArrayRef<int64_t> space, ArrayRef<int64_t> shape) : coefficients(space.size(), 0) {
    SmallVector<Linear> indices = *linear(map);
    int64_t stride = 1;
    for (int64_t d = int64_t(shape.size()) - 1; d >= 0; stride *= shape[d--]) {
      int64_t least = indices[d].offset, most = least;
      offset += indices[d].offset * stride;
      for (auto [i, coefficient] : llvm::enumerate(indices[d].coefficients)) {
        coefficients[i] += coefficient * stride;
        (coefficient < 0 ? least : most) += coefficient * (space[i] - 1);
      }
      inRange &= product(space) == 0 || (least >= 0 && most < shape[d]);
    }
  }
  int64_t operator()(ArrayRef<int64_t> index) const {
    int64_t position = offset;
    for (auto [coefficient, i] : llvm::zip(coefficients, index))
      position += coefficient * i;
    return position;
  }
};

class Interpreter {
public:
  Interpreter(ArrayRef<int64_t> symbols, Mode mode) : symbols(symbols), mode(mode) {}

  FailureOr<std::vector<Tensor>> run(func::FuncOp function, ArrayRef<Tensor> arguments) {
    if (arguments.size() != function.getNumArguments())
      return function.emitError() << "has " << function.getNumArguments() << " arguments, given are "
                                  << arguments.size();
    if (unsigned own = symbolCount(function); own > symbols.size())
      return function.emitError() << "has " << own << " symbols, given are " << symbols.size();
    for (auto [argument, tensor] : llvm::zip(function.getArguments(), arguments)) {
      if (tensor.shape != shapeOf(argument.getType()) || int64_t(tensor.data.size()) != product(tensor.shape))
        return function.emitError() << "argument " << argument.getArgNumber() << " has another shape than "
                                    << argument.getType();
      values[argument] = tensor;
      round(values[argument], argument.getType());
    }
    for (Operation &op : function.getBody().front()) {
      if (auto result = dyn_cast<func::ReturnOp>(op)) {
        std::vector<Tensor> results;
        for (Value value : result.getOperands())
          results.push_back(values[value]);
        return results;
      }
      std::vector<Tensor> out(op.getNumResults());
      for (auto [tensor, type] : llvm::zip(out, op.getResultTypes()))
        tensor.shape = shapeOf(type);
      if (failed(evaluate(&op, out)))
        return failure();
      for (auto [tensor, result] : llvm::zip(out, op.getResults())) {
        round(tensor, result.getType());
        values[result] = std::move(tensor);
      }
    }
    return function.emitError() << "does not return";
  }

private:
  int64_t evaluate(AffineExpr size) {
    SmallVector<AffineExpr> numbers;
    for (int64_t symbol : symbols)
      numbers.push_back(getAffineConstantExpr(symbol, size.getContext()));
    return cast<AffineConstantExpr>(size.replaceDimsAndSymbols({}, numbers)).getValue();
  }
  std::vector<int64_t> shapeOf(Type type) {
    std::vector<int64_t> shape;
    for (AffineExpr size : sizesOf(type))
      shape.push_back(evaluate(size));
    return shape;
  }

  void round(Tensor &tensor, Type type) {
    Type element = cast<RankedTensorType>(type).getElementType();
    if (auto real = dyn_cast<FloatType>(element)) {
      if (mode == Mode::Double || real.isF64())
        return;
      for (double &x : tensor.data) {
        if (real.isF32()) {
          x = float(x);
          continue;
        }
        APFloat number(x);
        bool loses;
        number.convert(real.getFloatSemantics(), APFloat::rmNearestTiesToEven, &loses);
        number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
        x = number.convertToDouble();
      }
      return;
    }
    unsigned width = element.getIntOrFloatBitWidth();
    for (double &x : tensor.data) {
      if (width == 1)
        x = x != 0;
      else if (width == 64)
        x = std::trunc(x);
      else { // wraps as the machine's integers do
        double whole = std::trunc(x), span = std::ldexp(1.0, width);
        double low = element.isUnsignedInteger() ? 0 : -span / 2;
        x = whole - span * std::floor((whole - low) / span);
      }
    }
  }

  LogicalResult evaluate(Operation *op, MutableArrayRef<Tensor> results) {
    SmallVector<const Tensor *> in;
    for (Value operand : op->getOperands())
      in.push_back(&values[operand]);
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      attend(in, Attending(attention), results);
      return success();
    }
    if (auto gradient = dyn_cast<AttentionGradOp>(op)) {
      attendGrad(in, Attending(gradient), results);
      return success();
    }
    if (auto recurrence = dyn_cast<ScanOp>(op))
      return scan(recurrence, in, results);
    if (results.size() != 1)
      return op->emitOpError() << "cannot be run by the reference backend";
    if (isa<CachedAttentionOp>(op))
      return attendCached(in, results[0]) ? success() : op->emitOpError() << "has a slot or a length out of range";
    Tensor &out = results[0];
    if (auto pointwise = dyn_cast<Pointwise>(op)) {
      SmallVector<double> x(in.size());
      for (int64_t i = 0, n = product(out.shape); i < n; ++i) {
        for (unsigned k = 0; k < in.size(); ++k)
          x[k] = in[k]->data[i];
        out.data.push_back(pointwise.evaluate(x));
      }
      return success();
    }
    if (auto reduction = dyn_cast<Reduction>(op))
      return reduce(reduction, *in[0], out);
    if (auto contraction = dyn_cast<Contraction>(op))
      return contract(contraction, *in[0], *in[1], out);
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](ConstantOp constant) {
          out.data.assign(product(out.shape), constant.getDouble());
          return success();
        })
        .Case([&](SizeOp size) {
          out.data = {double(evaluate(size.getSize().getResult(0)))};
          return success();
        })
        .Case([&](IotaOp iota) {
          each(out.shape, [&](ArrayRef<int64_t> i) { out.data.push_back(i[iota.getDim()]); });
          return success();
        })
        .Case([&](RandomOp random) {
          for (int64_t i = 0, n = product(out.shape); i < n; ++i)
            out.data.push_back(uniform(int64_t(in[0]->data[0]), random.getStream(), i));
          return success();
        })
        .Case<ReshapeOp, StopGradientOp>([&](auto same) -> LogicalResult {
          if (product(out.shape) != product(in[0]->shape))
            return same.emitOpError() << "changes the number of elements";
          out.data = in[0]->data;
          return success();
        })
        .Case([&](ViewOp view) -> LogicalResult {
          Access read(view.getMap(), out.shape, in[0]->shape);
          if (!read.inRange)
            return view.emitOpError() << "reads outside of its operand";
          each(out.shape, [&](ArrayRef<int64_t> i) { out.data.push_back(in[0]->data[read(i)]); });
          return success();
        })
        .Case([&](FoldOp fold) -> LogicalResult {
          Access write(fold.getMap(), in[0]->shape, out.shape);
          if (!write.inRange)
            return fold.emitOpError() << "writes outside of its result";
          out.data.assign(product(out.shape), 0);
          const double *next = in[0]->data.data();
          each(in[0]->shape, [&](ArrayRef<int64_t> i) { out.data[write(i)] += *next++; });
          return success();
        })
        .Case([&](PadOp pad) {
          out.data.assign(product(out.shape), in[1]->data[0]);
          const double *next = in[0]->data.data();
          each(in[0]->shape, [&](ArrayRef<int64_t> i) {
            double x = *next++;
            int64_t position = 0;
            for (unsigned d = 0; d < i.size(); ++d) {
              int64_t at = pad.getLow()[d] + i[d] * (pad.getInterior()[d] + 1);
              if (at < 0 || at >= out.shape[d])
                return; // cropped
              position = position * out.shape[d] + at;
            }
            out.data[position] = x;
          });
          return success();
        })
        .Case([&](ConcatOp concat) {
          each(out.shape, [&](ArrayRef<int64_t> i) {
            int64_t at = i[concat.getDim()];
            const Tensor *const *source = in.begin();
            for (; at >= (*source)->shape[concat.getDim()]; ++source)
              at -= (*source)->shape[concat.getDim()];
            int64_t position = 0;
            for (unsigned d = 0; d < i.size(); ++d)
              position = position * (*source)->shape[d] + (d == concat.getDim() ? at : i[d]);
            out.data.push_back((*source)->data[position]);
          });
          return success();
        })
        .Case([&](ArgMaxOp arg) { return argOf(arg.getDim(), *in[0], out, [](double x, double y) { return x > y; }); })
        .Case([&](ArgMinOp arg) { return argOf(arg.getDim(), *in[0], out, [](double x, double y) { return x < y; }); })
        .Case([&](GatherOp gather) -> LogicalResult {
          int64_t row = product(ArrayRef(in[0]->shape).drop_front());
          for (double id : in[1]->data) {
            if (id < 0 || id >= in[0]->shape[0])
              return gather.emitOpError() << "has id " << id << " for a table of " << in[0]->shape[0];
            auto start = in[0]->data.begin() + int64_t(id) * row;
            out.data.insert(out.data.end(), start, start + row);
          }
          return success();
        })
        .Case([&](ScatterAddOp scatter) -> LogicalResult {
          int64_t row = product(ArrayRef(out.shape).drop_front());
          out.data.assign(product(out.shape), 0);
          const double *next = in[0]->data.data();
          for (double id : in[1]->data) {
            if (id < 0 || id >= out.shape[0])
              return scatter.emitOpError() << "has id " << id << " for a table of " << out.shape[0];
            for (int64_t k = 0; k < row; ++k)
              out.data[int64_t(id) * row + k] += *next++;
          }
          return success();
        })
        .Case([&](WarpOp op) {
          out = warp(*in[0], *in[1], out.shape, op.getFill().convertToDouble());
          return success();
        })
        .Case([&](ResizeOp op) {
          out = resize(*in[0], out.shape, op.getMode(), op.getAntialias());
          return success();
        })
        .Default([&](Operation *other) { return other->emitOpError() << "cannot be run by the reference backend"; });
  }

  LogicalResult scan(ScanOp op, ArrayRef<const Tensor *> in, MutableArrayRef<Tensor> results) {
    auto body = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getBodyAttr());
    size_t states = op.getStarts().size(), xs = op.getXs().size();
    std::vector<Tensor> arguments;
    for (const Tensor *tensor : in)
      arguments.push_back(*tensor);
    for (Tensor &stacked : results.drop_front(states))
      stacked.data.resize(product(stacked.shape));
    int64_t steps = evaluate(op.stepCount());
    for (int64_t i = 0; i < steps; ++i) {
      int64_t t = op.getReverse() ? steps - 1 - i : i;
      for (size_t x = states; x < states + xs; ++x) {
        Tensor &row = arguments[x];
        row.shape.assign(in[x]->shape.begin() + 1, in[x]->shape.end());
        int64_t count = product(row.shape);
        row.data.assign(in[x]->data.begin() + t * count, in[x]->data.begin() + (t + 1) * count);
      }
      FailureOr<std::vector<Tensor>> out = Interpreter(symbols, mode).run(body, arguments);
      if (failed(out))
        return failure();
      for (size_t s = 0; s < states; ++s)
        arguments[s] = (*out)[s];
      for (size_t y = states; y < results.size(); ++y)
        std::copy((*out)[y].data.begin(), (*out)[y].data.end(),
                  results[y].data.begin() + t * int64_t((*out)[y].data.size()));
    }
    for (size_t s = 0; s < states; ++s)
      results[s].data = arguments[s].data;
    return success();
  }

  LogicalResult reduce(Reduction op, const Tensor &x, Tensor &out) {
    SmallVector<AffineExpr> kept;
    for (unsigned d = 0; d < x.shape.size(); ++d)
      if (!llvm::is_contained(op.getReducedDims(), int64_t(d)))
        kept.push_back(getAffineDimExpr(d, op->getContext()));
    Access write(AffineMap::get(x.shape.size(), 0, kept, op->getContext()), x.shape, out.shape);
    TypedAttr identity = op.getIdentity();
    double start = isa<FloatAttr>(identity) ? cast<FloatAttr>(identity).getValueAsDouble()
                   : identity.getType().isUnsignedInteger()
                       ? double(cast<IntegerAttr>(identity).getValue().getZExtValue())
                       : double(cast<IntegerAttr>(identity).getValue().getSExtValue());
    out.data.assign(product(out.shape), start);
    const double *next = x.data.data();
    each(x.shape, [&](ArrayRef<int64_t> i) {
      double &sum = out.data[write(i)];
      sum = op.combine(sum, *next++);
    });
    return success();
  }

  LogicalResult contract(Contraction op, const Tensor &lhs, const Tensor &rhs, Tensor &out) {
    std::vector<int64_t> space;
    for (AffineExpr size : op.iterationSizes())
      space.push_back(evaluate(size));
    Access left(op.lhsIndexing(), space, lhs.shape), right(op.rhsIndexing(), space, rhs.shape);
    if (!left.inRange || !right.inRange)
      return op->emitOpError() << "reads outside of a factor";
    SmallVector<AffineExpr> first;
    for (unsigned d = 0; d < out.shape.size(); ++d)
      first.push_back(getAffineDimExpr(d, op->getContext()));
    Access write(AffineMap::get(space.size(), 0, first, op->getContext()), space, out.shape);
    out.data.assign(product(out.shape), 0);
    each(space, [&](ArrayRef<int64_t> i) { out.data[write(i)] += lhs.data[left(i)] * rhs.data[right(i)]; });
    return success();
  }

  template <class Better> LogicalResult argOf(int64_t dim, const Tensor &x, Tensor &out, Better better) {
    int64_t inner = product(ArrayRef(x.shape).drop_front(dim + 1)), size = x.shape[dim];
    for (int64_t i = 0, n = product(out.shape); i < n; ++i) {
      int64_t start = i / inner * size * inner + i % inner, best = 0;
      for (int64_t k = 1; k < size; ++k)
        if (better(x.data[start + k * inner], x.data[start + best * inner]))
          best = k;
      out.data.push_back(best);
    }
    return success();
  }

  ArrayRef<int64_t> symbols;
  Mode mode;
  llvm::DenseMap<Value, Tensor> values;
};

} // namespace

FailureOr<std::vector<Tensor>> run(func::FuncOp function, ArrayRef<Tensor> arguments, ArrayRef<int64_t> symbols,
                                   Mode mode) {
  return Interpreter(symbols, mode).run(function, arguments);
}

std::pair<uint32_t, uint32_t> threefry(std::pair<uint32_t, uint32_t> key, std::pair<uint32_t, uint32_t> counter) {
  const uint32_t keys[3] = {key.first, key.second, 0x1BD11BDA ^ key.first ^ key.second};
  const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  uint32_t x = counter.first + keys[0], y = counter.second + keys[1];
  for (int round = 0; round < 20; ++round) {
    int r = rotations[round % 8];
    x += y;
    y = (y << r | y >> (32 - r)) ^ x;
    if (round % 4 == 3) {
      uint32_t injection = round / 4 + 1;
      x += keys[injection % 3];
      y += keys[(injection + 1) % 3] + injection;
    }
  }
  return {x, y};
}

double uniform(int64_t seed, int64_t stream, uint64_t i) {
  std::pair<uint32_t, uint32_t> key(uint32_t(seed), uint32_t(uint64_t(seed) >> 32));
  std::pair<uint32_t, uint32_t> counter(uint32_t(i), uint32_t(stream + (i >> 32) * 65536));
  return (threefry(key, counter).first >> 8) * std::ldexp(1.0, -24);
}

} // namespace mlir::bigm::ref
