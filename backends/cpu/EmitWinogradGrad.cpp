// The gradient to the weights of a 3 x 3 convolution. A unit is a part of all tiles by some panels of columns:
//
//   some tiles at a time           input to V[position][tile][channel], gradient to Z[position][tile][column]
//   each position                  S[position][panel][channel][width] += V[position]^T * Z[position]
//
// Then the parts are added in order, and S becomes 3 x 3 gradients, through the epilogue of the nest.
#include "backends/cpu/WinogradBlock.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Elements between two positions beyond their own, so that they do not all fall in one set of the first level cache.
constexpr int64_t apart = 16;
/// Tiles that are transformed together: enough for a sum to be worth its way from memory and back.
constexpr int64_t leastTiles = 4, mostTiles = 24;

class SumsEmitter : WinogradCode {
public:
  SumsEmitter(Emitter &e, const Contraction &c, const Window &window)
      : WinogradCode(e, c, window, Filtering(3, 4)), channels(*constantOf(nest.size(window.channel))),
        line(lineOf(channels)), columns(c.panels * c.width()),
        most(std::clamp(e.target.ownBytes / 4 / (points * points * 4 * (line + columns)), leastTiles, mostTiles)),
        positionV(most * line + apart), positionZ(most * columns + apart) {}

  void run(const std::string &name) {
    forUnits(name, c.splits, [&](Unit unit) { emitUnit(unit); });
  }

private:
  void emitUnit(const Unit &unit) {
    rows = allocateElements(points * points * positionV, element), factors = allocateElements(points * points * positionZ, element);
    sums = partsOf(c, unit.number, unit.split);
    Value firstColumn = e.mul(unit.inner, e.constant(columns));
    auto [axisY, axisX] = *axesOf(window);
    Picture input{window.input, placeA, window.axisY, window.axisX, window.ky, window.kx, points, channels,
                  allocateElements(points * points * line, element)};
    Picture gradient{window.weights, placeB, axisY, axisX, window.y, window.x, 4, columns, allocateElements(16 * columns, element)};
    if (auto size = *constantOf(c.vectorSize); size % columns)
      gradient.left = e.sub(e.constant(size), firstColumn);

    Value zero = zeros(1, 1).front();
    loop(e.constant(0), e.constant(c.accumulators()), 1,
         [&](Value i) { e.storeRaw(zero, accumulatorPlace(sums, i), 4); });
    loop(unit.from, unit.to, most, [&](Value first) {
      Value count = e.minimum(e.sub(unit.to, first), e.constant(most));
      loop(e.constant(0), count, 1, [&](Value tile) {
        SmallVector<Value> dims = dimsOf(e.add(first, tile));
        transform(input, dims, filtering.b, e.elementPointer(rows, e.mul(tile, e.constant(line)), element), positionV);
        dims[window.column] = firstColumn;
        transform(gradient, dims, filtering.g, e.elementPointer(factors, e.mul(tile, e.constant(columns)), element), positionZ);
      });
      loop(e.constant(0), e.constant(points * points), 1, [&](Value position) {
        loop(e.constant(0), e.constant(c.panels), 1, [&](Value panel) {
          loop(e.constant(0), e.constant(c.tiles), 1, [&](Value block) { multiplyBlock(position, panel, block, count); });
        });
      });
    });
  }

  void multiplyBlock(Value position, Value panel, Value block, Value count) {
    Value row = e.mul(block, e.constant(c.tile));
    Value from = e.elementPointer(rows, e.add(e.mul(position, e.constant(positionV)), row), element);
    Value by = e.elementPointer(
        factors, e.add(e.mul(position, e.constant(positionZ)), e.mul(panel, e.constant(c.width()))), element);
    Value first = e.add(e.mul(e.add(e.mul(position, e.constant(c.panels)), panel), e.constant(int64_t(c.tile) * c.tiles)), row);
    auto place = [&](size_t i) {
      return accumulatorPlace(sums, e.add(e.mul(first, e.constant(c.vectors)), e.constant(int64_t(i))));
    };
    SmallVector<Value> start;
    for (size_t i = 0; i < size_t(c.tile) * c.vectors; ++i)
      start.push_back(loadVector(place(i)));
    SmallVector<Value> added = multiply(count, from, line, 1, by, columns, start);
    for (size_t i = 0; i < size_t(c.tile) * c.vectors; ++i)
      e.storeRaw(added[i], place(i), 4);
  }

  int64_t channels, line, columns; // line: elements of a pixel's channels in whole vectors; columns of a unit
  int64_t most, positionV, positionZ;
  Value rows, factors, sums;
};

/// A unit is one channel and one panel of columns.
class ResultsEmitter : WinogradCode {
public:
  ResultsEmitter(Emitter &e, const Contraction &c, const Contraction &sums, const Window &window)
      : WinogradCode(e, c, window, Filtering(3, 4)), of(sums) {}

  void run(const std::string &name) {
    forUnits(name, 1, [&](Unit unit) {
      Value added = allocateElements(points * points * lanes, element), results = allocateElements(9 * lanes, element);
      Value panels = e.evaluate((c.vectorSize + (c.width() - 1)).floorDiv(c.width()));
      Value channel = arith::DivUIOp::create(b, unit.inner, panels);
      Value panel = arith::RemUIOp::create(b, unit.inner, panels);
      Value block = arith::DivUIOp::create(b, panel, e.constant(of.panels));
      Value inside = arith::RemUIOp::create(b, panel, e.constant(of.panels));
      byColumns(e.mul(panel, e.constant(c.width())), [&](const Columns &columns) {
        for (unsigned v = 0; v < columns.vectors; ++v) {
          loop(e.constant(0), e.constant(points * points), 1, [&](Value position) {
            Value row = e.add(e.mul(e.add(e.mul(position, e.constant(of.panels)), inside),
                                    e.constant(int64_t(of.tile) * of.tiles)),
                              channel);
            Value index = e.add(e.mul(row, e.constant(of.vectors)), e.constant(v));
            e.storeRaw(sumOfParts(of, block, index), e.elementPointer(added, e.mul(position, e.constant(lanes)), element), 4);
          });
          transformBack(filtering.a, [&](int64_t at) { return e.elementPointer(added, e.constant(at * lanes), element); }, results);
          loop(e.constant(0), e.constant(3), 1, [&](Value y) {
            loop(e.constant(0), e.constant(3), 1, [&](Value x) {
              SmallVector<Value> dims(nest.dims(), e.constant(0));
              dims[window.ky] = y, dims[window.kx] = x, dims[window.channel] = channel;
              Value index = e.mul(e.add(e.mul(y, e.constant(3)), x), e.constant(lanes));
              store(dims, columns, v, loadVector(e.elementPointer(results, index, element)));
            });
          });
        }
      });
    });
  }

private:
  const Contraction &of;
};
} // namespace

SmallVector<Launch> cpu::emitWinogradGrad(Emitter &emitter, const Contraction &plan, const Window &window,
                                          const std::string &name) {
  std::string parts = name + "_parts";
  SumsEmitter(emitter, plan, window).run(parts);
  Contraction results = plan;
  AffineExpr panels = (plan.vectorSize + (plan.width() - 1)).floorDiv(plan.width());
  results.inner = results.units = *constantOf(NestOp(plan.s.nest).size(window.channel)) * panels;
  ResultsEmitter(emitter, results, plan, window).run(name);
  return {{parts, plan.units * int64_t(plan.splits), plan.cost}, {name, results.units, results.units * 4000}};
}
