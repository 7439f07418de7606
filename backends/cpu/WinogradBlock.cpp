#include "backends/cpu/WinogradBlock.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

WinogradCode::WinogradCode(Emitter &e, const Contraction &c, const Window &window, const Filtering &filtering)
    : BlockCode(e, c), window(window), filtering(filtering), points(filtering.size), transformed(element),
      channelsAbreast(window.whole ? 2 * lanes : lanes) {
  if (window.whole)
    partOfWord = transformed = b.getI16Type();
}

SmallVector<Value> WinogradCode::dimsOf(Value tile) {
  SmallVector<Value> dims(nest.dims(), e.constant(0));
  Value rest = tile;
  for (size_t i = c.rows.size(); i-- > 0;) {
    const Loop &loop = c.rows[i];
    Value digit = i ? e.digit(rest, loop.size) : rest;
    bool picture = i + 2 < c.rows.size();
    dims[loop.dim] = picture ? digit : e.mul(digit, e.constant(c.winograd));
  }
  return dims;
}

Value WinogradCode::both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }

/// Whether `count` places from `from` on are places of the picture along an axis.
Value WinogradCode::isInside(const Picture &picture, Value from, int64_t count, unsigned axis) {
  Value size = e.evaluate(sizesOf(picture.load.getTensor().getType())[axis]);
  Value begins = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, from, e.constant(0));
  return both(begins, atMost(e.add(from, e.constant(count)), size));
}

Value WinogradCode::loadChannels(const Picture &picture, Value from, Value channel) {
  Type type = VectorType::get({channelsAbreast}, picture.load.getType());
  if (!picture.left && picture.channels % channelsAbreast == 0)
    return e.load(type, from, picture.load.getType().getIntOrFloatBitWidth() / 8);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  Value mask = e.maskBelow(e.sub(picture.left ? picture.left : e.constant(picture.channels), channel));
  return LLVM::MaskedLoadOp::create(b, type, from, mask, zero, 4);
}

void WinogradCode::transform(const Picture &picture, ArrayRef<Value> dims, const Matrix &matrix, Value to, int64_t position) {
  int64_t side = picture.side, line = lineOf(picture.channels);
  Type element = picture.load.getType();
  unsigned align = element.getIntOrFloatBitWidth() / 8, alignTo = transformed.getIntOrFloatBitWidth() / 8;
  AffineMap map = picture.load.getMap();
  Value y = e.evaluate(map.getResult(picture.axisY), dims), x = e.evaluate(map.getResult(picture.axisX), dims);
  Value base = e.elementPointer(e.pointer({Slot::Tensor, picture.load.getTensor(), 0, {}}), e.evaluate(picture.place, dims), element);
  Value stepY = e.evaluate(*coefficientOf(picture.place, picture.stepY));
  Value stepX = e.evaluate(*coefficientOf(picture.place, picture.stepX));
  Value whole = both(isInside(picture, y, side, picture.axisY), isInside(picture, x, side, picture.axisX));
  choose(whole, [] {}, [&] {
    loop(e.constant(0), e.constant(side), 1, [&](Value i) {
      loop(e.constant(0), e.constant(side), 1, [&](Value j) {
        Value there = both(isInside(picture, e.add(y, i), 1, picture.axisY), isInside(picture, e.add(x, j), 1, picture.axisX));
        Value from = e.elementPointer(base, e.add(e.mul(i, stepY), e.mul(j, stepX)), element);
        Value pixel = e.elementPointer(picture.edge, e.mul(e.add(e.mul(i, e.constant(side)), j), e.constant(line)), element);
        auto copy = [&](bool reads) {
          loop(e.constant(0), e.constant(picture.channels), channelsAbreast, [&](Value channel) {
            Value value = reads ? loadChannels(picture, e.elementPointer(from, channel, element), channel)
                                : arith::ConstantOp::create(b, b.getZeroAttr(VectorType::get({channelsAbreast}, element)));
            e.storeRaw(value, e.elementPointer(pixel, channel, element), align);
          });
        };
        choose(there, [&] { copy(true); }, [&] { copy(false); });
      });
    });
  });
  auto select = [&](Value inside, Value atEdge) -> Value { return arith::SelectOp::create(b, whole, inside, atEdge); };
  Value from = LLVM::SelectOp::create(b, whole, base, picture.edge);
  stepY = select(stepY, e.constant(side * line)), stepX = select(stepX, e.constant(line));
  auto widened = [&](Value value) -> Value {
    Type wide = VectorType::get({channelsAbreast}, transformed);
    if (value.getType() == wide)
      return value;
    return isUnsigned(picture.load) ? Value(arith::ExtUIOp::create(b, wide, value)) : Value(arith::ExtSIOp::create(b, wide, value));
  };
  loop(e.constant(0), e.constant(picture.channels), channelsAbreast, [&](Value channel) {
    SmallVector<SmallVector<Value>> columns;
    for (int64_t j = 0; j < side; ++j) {
      SmallVector<Value> column;
      for (int64_t i = 0; i < side; ++i) {
        Value offset = e.add(e.add(e.mul(e.constant(i), stepY), e.mul(e.constant(j), stepX)), channel);
        column.push_back(widened(loadChannels(picture, e.elementPointer(from, offset, element), channel)));
      }
      columns.push_back(timesRows(matrix, column));
    }
    for (int64_t i = 0; i < points; ++i) {
      SmallVector<Value> row;
      for (int64_t j = 0; j < side; ++j)
        row.push_back(columns[j][i]);
      for (auto [j, value] : llvm::enumerate(timesRows(matrix, row))) {
        Value offset = e.add(e.constant((i * points + int64_t(j)) * position), channel);
        e.storeRaw(value, e.elementPointer(to, offset, transformed), alignTo);
      }
    }
  });
}

void WinogradCode::transformBack(const Matrix &matrix, llvm::function_ref<Value(int64_t)> at, Value to) {
  SmallVector<SmallVector<Value>> columns;
  for (int64_t j = 0; j < points; ++j) {
    SmallVector<Value> column;
    for (int64_t i = 0; i < points; ++i)
      column.push_back(loadVector(at(i * points + j)));
    columns.push_back(timesColumns(matrix, column));
  }
  for (size_t i = 0; i < matrix.size(); ++i) {
    SmallVector<Value> row;
    for (int64_t j = 0; j < points; ++j)
      row.push_back(columns[j][i]);
    for (auto [j, value] : llvm::enumerate(timesColumns(matrix, row))) {
      auto splat = [&](int32_t number) { return e.splat(arith::ConstantOp::create(b, b.getI32IntegerAttr(number))); };
      if (filtering.inverse != 1)
        value = arith::MulIOp::create(b, value, splat(filtering.inverse));
      if (filtering.shift)
        value = arith::ShRSIOp::create(b, value, splat(int32_t(filtering.shift)));
      e.storeRaw(value, e.elementPointer(to, e.constant(int64_t(i * matrix.size() + j) * lanes), element), 4);
    }
  }
}

Value WinogradCode::add(Value x, Value y) {
  return window.whole ? Value(arith::AddIOp::create(b, x, y)) : Value(arith::AddFOp::create(b, x, y));
}
Value WinogradCode::subtract(Value x, Value y) {
  return window.whole ? Value(arith::SubIOp::create(b, x, y)) : Value(arith::SubFOp::create(b, x, y));
}

/// What shares a factor but for its sign is added up first, the last one counting as positive: rows share such sums.
Value WinogradCode::wholeSum(ArrayRef<double> factors, ArrayRef<Value> values) {
  struct Term {
    Value value;
    bool negative;
  };
  std::map<int64_t, Term> terms; // by the magnitude of the factor
  for (size_t i = values.size(); i-- > 0;) {
    if (factors[i] == 0)
      continue;
    bool negative = factors[i] < 0;
    auto [at, first] = terms.try_emplace(int64_t(std::abs(factors[i])), Term{values[i], negative});
    if (!first)
      at->second.value = at->second.negative == negative ? add(at->second.value, values[i]) : subtract(at->second.value, values[i]);
  }
  Value all, zero = arith::ConstantOp::create(b, b.getZeroAttr(values.front().getType()));
  for (bool negative : {false, true})
    for (auto &[factor, term] : terms) {
      if (term.negative != negative)
        continue;
      Value value = term.value;
      if (factor != 1) {
        auto type = cast<VectorType>(value.getType());
        Value number = arith::ConstantOp::create(b, DenseElementsAttr::get(type, b.getIntegerAttr(type.getElementType(), factor)));
        value = arith::MulIOp::create(b, value, number);
      }
      all = negative ? subtract(all ? all : zero, value) : all ? add(all, value) : value;
    }
  return all ? all : zero;
}

Value WinogradCode::sum(ArrayRef<double> factors, ArrayRef<Value> values) {
  if (window.whole)
    return wholeSum(factors, values);
  Value all;
  for (auto [factor, value] : llvm::zip(factors, values)) {
    if (factor == 0)
      continue;
    Value number;
    if (factor != 1 && factor != -1)
      number = e.splat(arith::ConstantOp::create(b, b.getF32FloatAttr(float(factor))));
    if (!all)
      all = factor == 1    ? value
            : factor == -1 ? Value(arith::NegFOp::create(b, value))
                           : Value(arith::MulFOp::create(b, number, value));
    else if (factor == 1)
      all = arith::AddFOp::create(b, all, value);
    else if (factor == -1)
      all = arith::SubFOp::create(b, all, value);
    else
      all = LLVM::FMulAddOp::create(b, value.getType(), number, value, all);
  }
  return all ? all : zeros(1, 1).front();
}

SmallVector<Value> WinogradCode::timesRows(const Matrix &matrix, ArrayRef<Value> x) {
  SmallVector<Value> result(points);
  for (int64_t row = 0; row < points; row = row ? row + 1 : 2 * filtering.pairs + 1)
    result[row] = sum(matrix[row], x);
  for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
    size_t plus = 2 * pair + 1;
    std::vector<double> same, other;
    for (size_t i = 0; i < x.size(); ++i) {
      same.push_back((matrix[plus][i] + matrix[plus + 1][i]) / 2);
      other.push_back((matrix[plus][i] - matrix[plus + 1][i]) / 2);
    }
    Value p = sum(same, x), q = sum(other, x);
    result[plus] = add(p, q), result[plus + 1] = subtract(p, q);
  }
  return result;
}

SmallVector<Value> WinogradCode::timesColumns(const Matrix &matrix, ArrayRef<Value> x) {
  SmallVector<Value> added, subtracted, result;
  for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
    Value p = x[2 * pair + 1], q = x[2 * pair + 2];
    added.push_back(add(p, q)), subtracted.push_back(subtract(p, q));
  }
  for (size_t row = 0; row < matrix.size(); ++row) {
    std::vector<double> factors = {matrix[row].front(), matrix[row].back()};
    SmallVector<Value> values = {x.front(), x.back()};
    for (int64_t other = 2 * filtering.pairs + 1; other + 1 < points; ++other)
      factors.push_back(matrix[row][other]), values.push_back(x[other]);
    for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
      factors.push_back(matrix[row][2 * pair + 1]);
      values.push_back(row % 2 ? subtracted[pair] : added[pair]);
    }
    result.push_back(sum(factors, values));
  }
  return result;
}

SmallVector<Value> WinogradCode::multiply(Value count, Value a, int64_t stepA, int64_t apart, Value by, int64_t stepB,
                                          SmallVector<Value> sums) {
  Columns whole{{}, c.vectors, SmallVector<Value>(c.vectors)};
  SmallVector<Value> rowOffsets;
  for (unsigned i = 0; i < c.tile; ++i)
    rowOffsets.push_back(e.constant(i * apart));
  auto over = scf::ForOp::create(b, e.constant(0), count, e.constant(1), sums);
  b.setInsertionPointToStart(over.getBody());
  Value index = over.getInductionVar();
  scf::YieldOp::create(b, step(whole, e.elementPointer(a, e.mul(index, e.constant(stepA)), element),
                               e.elementPointer(by, e.mul(index, e.constant(stepB)), element), rowOffsets,
                               SmallVector<Value>(over.getRegionIterArgs())));
  b.setInsertionPointAfter(over);
  return SmallVector<Value>(over.getResults());
}
