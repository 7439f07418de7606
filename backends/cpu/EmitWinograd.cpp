// The kernel of Winograd.h. A unit is a few tiles of pictures by some panels of columns:
//
//   each tile                      input, (m + 2) x (m + 2) pixels, to V[position][tile][channel]
//   each panel, each position      M[tile][position][width] = V[position] * U[panel][position]
//   each panel, each tile          M to m x m results, through the epilogue
#include "backends/cpu/Block.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Elements between two positions of V beyond its own, so that they do not all fall in one set of the first level cache.
constexpr int64_t apart = 16;

class WinogradEmitter : BlockCode {
public:
  WinogradEmitter(Emitter &e, const Contraction &c)
      : BlockCode(e, c), window(*windowOf(c.s.nest)), filtering(c.winograd), points(filtering.size),
        channels(*constantOf(nest.size(window.channel))), line(llvm::alignTo(channels, lanes)),
        most(int64_t(c.tile) * c.tiles), position(most * line + apart) {}

  SmallVector<Launch> run(const std::string &name) {
    forUnits(name, 1, [&](Unit unit) { emitUnit(unit); });
    return {{name, c.units, c.cost}};
  }

private:
  void emitUnit(const Unit &of) {
    unit = of;
    transformed = allocate(points * points * position);
    edge = allocate(points * points * line);
    sums = allocate(most * points * points * c.width());
    results = allocate(int64_t(filtering.m) * filtering.m * lanes);
    Value blocks = e.evaluate(c.rowBlocks());
    Value rowBlock = arith::RemUIOp::create(b, unit.inner, blocks);
    Value columnBlock = arith::DivUIOp::create(b, unit.inner, blocks);
    first = e.mul(rowBlock, e.constant(most));
    Value left = e.sub(e.evaluate(c.rowCount()), first);
    Value count = e.minimum(left, e.constant(most));
    Value tiles = arith::CeilDivUIOp::create(b, count, e.constant(c.tile));
    loop(e.constant(0), e.mul(tiles, e.constant(c.tile)), 1, [&](Value tile) { transformInput(tile); });

    Value firstPanel = e.mul(columnBlock, e.constant(c.panels));
    Value panelCount = e.evaluate((c.vectorSize + (c.width() - 1)).floorDiv(c.width()));
    Value panels = e.minimum(e.sub(panelCount, firstPanel), e.constant(c.panels));
    Value weights = e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}});
    loop(e.constant(0), panels, 1, [&](Value number) {
      Value panel = e.add(firstPanel, number);
      loop(e.constant(0), e.constant(points * points), 1, [&](Value place) {
        Value index = e.add(e.mul(panel, e.constant(points * points)), place);
        Value own = e.elementPointer(weights, e.mul(index, e.constant(channels * c.width())), element);
        loop(e.constant(0), tiles, 1, [&](Value block) { multiply(place, block, own); });
      });
      byColumns(e.mul(panel, e.constant(c.width())), [&](const Columns &columns) {
        loop(e.constant(0), count, 1, [&](Value tile) { transformSums(tile, columns); });
      });
    });
  }

  /// The first result of a tile, in the dimensions of the nest.
  SmallVector<Value> dimsOf(Value tile) {
    SmallVector<Value> dims(nest.dims(), e.constant(0));
    Value rest = tile;
    for (size_t i = c.rows.size(); i-- > 0;) {
      const Loop &loop = c.rows[i];
      Value size = i ? e.evaluate(loop.size) : Value();
      Value digit = i ? Value(arith::RemUIOp::create(b, rest, size)) : rest;
      if (i)
        rest = arith::DivUIOp::create(b, rest, size);
      bool picture = i + 2 < c.rows.size();
      dims[loop.dim] = picture ? digit : e.mul(digit, e.constant(filtering.m));
    }
    return dims;
  }

  // ---------------------------------------------------------------- input
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  /// Whether `count` places from `from` on are places of the input along an axis.
  Value isInside(Value from, int64_t count, unsigned axis) {
    Value size = e.evaluate(sizesOf(window.input.getTensor().getType())[axis]);
    Value begins = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, from, e.constant(0));
    return both(begins, atMost(e.add(from, e.constant(count)), size));
  }
  Value loadChannels(Value from, Value channel) {
    Type type = e.vectorOf(element);
    if (channels % lanes == 0)
      return e.load(type, from, 4);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
    Value mask = e.maskBelow(e.sub(e.constant(channels), channel));
    return LLVM::MaskedLoadOp::create(b, type, from, mask, zero, 4);
  }

  void transformInput(Value number) {
    // Rows of the last block that do not count are the last tile once more.
    Value last = e.sub(e.evaluate(c.rowCount()), e.constant(1));
    SmallVector<Value> dims = dimsOf(e.minimum(e.add(first, number), last));
    AffineMap map = window.input.getMap();
    Value y = e.evaluate(map.getResult(window.axisY), dims), x = e.evaluate(map.getResult(window.axisX), dims);
    Value base = e.elementPointer(e.pointer({Slot::Tensor, window.input.getTensor(), 0, {}}), e.evaluate(placeA, dims), element);
    Value stepY = e.evaluate(*coefficientOf(placeA, window.ky)), stepX = e.evaluate(*coefficientOf(placeA, window.kx));
    Value whole = both(isInside(y, points, window.axisY), isInside(x, points, window.axisX));
    choose(whole, [] {}, [&] {
      loop(e.constant(0), e.constant(points), 1, [&](Value i) {
        loop(e.constant(0), e.constant(points), 1, [&](Value j) {
          Value there = both(isInside(e.add(y, i), 1, window.axisY), isInside(e.add(x, j), 1, window.axisX));
          Value from = e.elementPointer(base, e.add(e.mul(i, stepY), e.mul(j, stepX)), element);
          Value to = e.elementPointer(edge, e.mul(e.add(e.mul(i, e.constant(points)), j), e.constant(line)), element);
          auto copy = [&](bool reads) {
            loop(e.constant(0), e.constant(channels), lanes, [&](Value channel) {
              Value value = reads ? loadChannels(e.elementPointer(from, channel, element), channel) : zeros(1, 1).front();
              e.storeRaw(value, e.elementPointer(to, channel, element), 4);
            });
          };
          choose(there, [&] { copy(true); }, [&] { copy(false); });
        });
      });
    });
    auto select = [&](Value inside, Value atEdge) -> Value { return arith::SelectOp::create(b, whole, inside, atEdge); };
    Value from = LLVM::SelectOp::create(b, whole, base, edge);
    stepY = select(stepY, e.constant(points * line)), stepX = select(stepX, e.constant(line));
    Value to = e.elementPointer(transformed, e.mul(number, e.constant(line)), element);
    loop(e.constant(0), e.constant(channels), lanes, [&](Value channel) {
      SmallVector<SmallVector<Value>> pixels(points), columns(points);
      for (int64_t i = 0; i < points; ++i)
        for (int64_t j = 0; j < points; ++j) {
          Value offset = e.add(e.add(e.mul(e.constant(i), stepY), e.mul(e.constant(j), stepX)), channel);
          pixels[j].push_back(loadChannels(e.elementPointer(from, offset, element), channel));
        }
      for (int64_t j = 0; j < points; ++j)
        columns[j] = timesRows(pixels[j]);
      for (int64_t i = 0; i < points; ++i) {
        SmallVector<Value> row;
        for (int64_t j = 0; j < points; ++j)
          row.push_back(columns[j][i]);
        for (auto [j, value] : llvm::enumerate(timesRows(row))) {
          Value offset = e.add(e.constant((i * points + int64_t(j)) * position), channel);
          e.storeRaw(value, e.elementPointer(to, offset, element), 4);
        }
      }
    });
  }

  // ---------------------------------------------------------------- products
  void multiply(Value place, Value block, Value weights) {
    Value row = e.mul(block, e.constant(c.tile));
    Value rows = e.elementPointer(transformed, e.add(e.mul(place, e.constant(position)), e.mul(row, e.constant(line))), element);
    auto over = scf::ForOp::create(b, e.constant(0), e.constant(channels), e.constant(1), zeros(c.tile, c.vectors));
    b.setInsertionPointToStart(over.getBody());
    Value channel = over.getInductionVar();
    SmallVector<Value> factors, next;
    for (unsigned j = 0; j < c.vectors; ++j) {
      Value offset = e.add(e.mul(channel, e.constant(c.width())), e.constant(int64_t(j) * lanes));
      factors.push_back(e.load(e.vectorOf(element), e.elementPointer(weights, offset, element), 4));
    }
    for (unsigned i = 0; i < c.tile; ++i) {
      Value at = e.elementPointer(rows, e.add(channel, e.constant(i * line)), element);
      Value factor = e.splat(e.load(element, at, 4));
      for (unsigned j = 0; j < c.vectors; ++j) {
        Value sum = over.getRegionIterArg(i * c.vectors + j);
        next.push_back(LLVM::FMulAddOp::create(b, sum.getType(), factor, factors[j], sum));
      }
    }
    scf::YieldOp::create(b, next);
    b.setInsertionPointAfter(over);
    for (unsigned i = 0; i < c.tile; ++i)
      for (unsigned j = 0; j < c.vectors; ++j)
        e.storeRaw(over.getResult(i * c.vectors + j), sumPlace(e.add(row, e.constant(i)), place, j), 4);
  }
  Value sumPlace(Value tile, Value place, unsigned vector) {
    Value index = e.add(e.mul(tile, e.constant(points * points)), place);
    return e.elementPointer(sums, e.add(e.mul(index, e.constant(c.width())), e.constant(int64_t(vector) * lanes)), element);
  }

  // ---------------------------------------------------------------- results
  void transformSums(Value number, const Columns &columns) {
    SmallVector<Value> dims = dimsOf(e.add(first, number));
    Value side = e.constant(filtering.m);
    auto left = [&](unsigned dim) { return e.minimum(e.sub(e.evaluate(nest.size(dim)), dims[dim]), side); };
    Value height = left(window.y), width = left(window.x);
    for (unsigned v = 0; v < columns.vectors; ++v) {
      SmallVector<SmallVector<Value>> lines(points), turned(points);
      for (int64_t i = 0; i < points; ++i)
        for (int64_t j = 0; j < points; ++j)
          lines[j].push_back(e.load(e.vectorOf(element), sumPlace(number, e.constant(i * points + j), v), 4));
      for (int64_t j = 0; j < points; ++j)
        turned[j] = timesColumns(lines[j]);
      for (unsigned i = 0; i < filtering.m; ++i) {
        SmallVector<Value> row;
        for (int64_t j = 0; j < points; ++j)
          row.push_back(turned[j][i]);
        for (auto [j, value] : llvm::enumerate(timesColumns(row)))
          e.storeRaw(value, e.elementPointer(results, e.constant((i * filtering.m + int64_t(j)) * lanes), element), 4);
      }
      loop(e.constant(0), height, 1, [&](Value i) {
        loop(e.constant(0), width, 1, [&](Value j) {
          Value index = e.mul(e.add(e.mul(i, side), j), e.constant(lanes));
          SmallVector<Value> at(dims);
          at[window.y] = e.add(dims[window.y], i), at[window.x] = e.add(dims[window.x], j);
          store(at, columns, v, e.load(e.vectorOf(element), e.elementPointer(results, index, element), 4));
        });
      });
    }
  }

  // ---------------------------------------------------------------- transforms
  Value scaled(double factor, Value x) {
    Value number = e.splat(arith::ConstantOp::create(b, b.getF32FloatAttr(float(factor))));
    return arith::MulFOp::create(b, number, x);
  }
  Value sum(ArrayRef<double> factors, ArrayRef<Value> values) {
    Value all;
    for (auto [factor, value] : llvm::zip(factors, values)) {
      if (factor == 0)
        continue;
      if (!all)
        all = factor == 1 ? value : scaled(factor, value);
      else if (factor == 1)
        all = arith::AddFOp::create(b, all, value);
      else if (factor == -1)
        all = arith::SubFOp::create(b, all, value);
      else
        all = LLVM::FMulAddOp::create(
            b, value.getType(), e.splat(arith::ConstantOp::create(b, b.getF32FloatAttr(float(factor)))), value, all);
    }
    return all ? all : zeros(1, 1).front();
  }
  /// B^T x. The rows of p and -p differ in the signs of every other element: both are made from the two halves.
  SmallVector<Value> timesRows(ArrayRef<Value> x) {
    SmallVector<Value> result(points);
    for (int64_t row : {int64_t(0), points - 1})
      result[row] = sum(filtering.b[row], x);
    for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
      size_t plus = 2 * pair + 1;
      std::vector<double> same(points), other(points);
      for (int64_t i = 0; i < points; ++i) {
        same[i] = (filtering.b[plus][i] + filtering.b[plus + 1][i]) / 2;
        other[i] = (filtering.b[plus][i] - filtering.b[plus + 1][i]) / 2;
      }
      Value p = sum(same, x), q = sum(other, x);
      result[plus] = arith::AddFOp::create(b, p, q), result[plus + 1] = arith::SubFOp::create(b, p, q);
    }
    return result;
  }
  /// A^T x, in the same way: powers of p and -p differ in sign or not at all.
  SmallVector<Value> timesColumns(ArrayRef<Value> x) {
    SmallVector<Value> added, subtracted, result;
    for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
      Value p = x[2 * pair + 1], q = x[2 * pair + 2];
      added.push_back(arith::AddFOp::create(b, p, q)), subtracted.push_back(arith::SubFOp::create(b, p, q));
    }
    for (unsigned row = 0; row < filtering.m; ++row) {
      std::vector<double> factors = {filtering.a[row].front(), filtering.a[row].back()};
      SmallVector<Value> values = {x.front(), x.back()};
      for (unsigned pair = 0; pair < filtering.pairs; ++pair) {
        factors.push_back(filtering.a[row][2 * pair + 1]);
        values.push_back(row % 2 ? subtracted[pair] : added[pair]);
      }
      result.push_back(sum(factors, values));
    }
    return result;
  }

  /// Memory of the function's frame, in elements.
  Value allocate(int64_t elements) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), e.constant(elements * 4), 64);
  }

  Window window;
  Filtering filtering;
  int64_t points, channels, line; // line: elements of a pixel's channels, in whole vectors
  int64_t most, position;         // tiles of a unit; elements of a position of V
  Unit unit;
  Value transformed, edge, sums, results;
  Value first;
};
} // namespace

SmallVector<Launch> cpu::emitWinograd(Emitter &emitter, const Contraction &plan, const std::string &name) {
  return WinogradEmitter(emitter, plan).run(name);
}
