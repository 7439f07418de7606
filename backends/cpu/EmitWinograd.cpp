// The kernel of Winograd.h. A unit is a few tiles of pictures by some panels of columns:
//
//   each tile                      input, (m + 2) x (m + 2) pixels, to V[position][tile][channel]
//   each panel, each position      M[tile][position][width] = V[position] * U[panel][position]
//   each panel, each tile          M to m x m results, through the epilogue
#include "backends/cpu/WinogradBlock.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Elements between two positions of V beyond its own, a line, so that they do not all fall in one set of the first level cache.
constexpr int64_t apartOf(bool whole) { return whole ? 32 : 16; }

class WinogradEmitter : WinogradCode {
public:
  WinogradEmitter(Emitter &e, const Contraction &c, const Window &window)
      : WinogradCode(e, c, window, Filtering(c.winograd, 3, window.whole)),
        channels(*constantOf(nest.size(window.channel))), steps(window.whole ? channels / 2 : channels), line(lineOf(channels)),
        most(int64_t(c.tile) * c.tiles), position(most * line + apartOf(window.whole)) {}

  SmallVector<Launch> run(const std::string &name) {
    forUnits(name, 1, [&](Unit unit) { emitUnit(unit); });
    return {{name, c.units, c.cost}};
  }

private:
  void emitUnit(const Unit &unit) {
    pictures = allocateElements(points * points * position, transformed);
    sums = allocateElements(most * points * points * c.width(), element);
    results = allocateElements(int64_t(filtering.m) * filtering.m * lanes, element);
    Picture picture{window.input, placeA,   window.axisY, window.axisX, window.ky,
                    window.kx,    points, channels, allocateElements(points * points * line, window.input.getType())};
    auto [rowBlock, columnBlock] = blocksOf(unit);
    first = e.mul(rowBlock, e.constant(most));
    Value count = e.minimum(e.sub(e.evaluate(c.rowCount()), first), e.constant(most));
    Value tiles = arith::CeilDivUIOp::create(b, count, e.constant(c.tile));
    // Rows of the last block that do not count are the last tile once more.
    Value last = e.sub(e.evaluate(c.rowCount()), e.constant(1));
    loop(e.constant(0), e.mul(tiles, e.constant(c.tile)), 1, [&](Value tile) {
      transform(picture, dimsOf(e.minimum(e.add(first, tile), last)), filtering.b,
                e.elementPointer(pictures, e.mul(tile, e.constant(line)), transformed), position);
    });

    Value firstPanel = e.mul(columnBlock, e.constant(c.panels));
    Value panelCount = e.evaluate((c.vectorSize + (c.width() - 1)).floorDiv(c.width()));
    Value panels = e.minimum(e.sub(panelCount, firstPanel), e.constant(c.panels));
    Value weights = e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}});
    loop(e.constant(0), panels, 1, [&](Value number) {
      Value panel = e.add(firstPanel, number);
      loop(e.constant(0), e.constant(points * points), 1, [&](Value place) {
        Value index = e.add(e.mul(panel, e.constant(points * points)), place);
        Value own = e.elementPointer(weights, e.mul(index, e.constant(steps * c.width())), element);
        loop(e.constant(0), tiles, 1, [&](Value block) { multiplyBlock(place, block, own); });
      });
      byColumns(e.mul(panel, e.constant(c.width())), [&](const Columns &columns) {
        loop(e.constant(0), count, 1, [&](Value tile) { transformSums(tile, columns); });
      });
    });
  }

  // ---------------------------------------------------------------- products
  void multiplyBlock(Value place, Value block, Value weights) {
    Value row = e.mul(block, e.constant(c.tile));
    Value rows = e.elementPointer(pictures, e.add(e.mul(place, e.constant(position)), e.mul(row, e.constant(line))), transformed);
    SmallVector<Value> added = multiply(e.constant(steps), rows, 1, window.whole ? line / 2 : line, weights, c.width(), zeros(c.tile, c.vectors));
    for (unsigned i = 0; i < c.tile; ++i)
      for (unsigned j = 0; j < c.vectors; ++j)
        e.storeRaw(added[i * c.vectors + j], sumPlace(e.add(row, e.constant(i)), place, j), 4);
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
      transformBack(filtering.a, [&](int64_t place) { return sumPlace(number, e.constant(place), v); }, results);
      loop(e.constant(0), height, 1, [&](Value i) {
        loop(e.constant(0), width, 1, [&](Value j) {
          Value index = e.mul(e.add(e.mul(i, side), j), e.constant(lanes));
          SmallVector<Value> at(dims);
          at[window.y] = e.add(dims[window.y], i), at[window.x] = e.add(dims[window.x], j);
          store(at, columns, v, loadVector(e.elementPointer(results, index, element)));
        });
      });
    }
  }

  int64_t channels, steps; // steps of the sum: channels, or pairs of them
  int64_t line;            // elements of a pixel's channels, in whole vectors
  int64_t most, position;  // tiles of a unit; elements of a position of V
  Value pictures, sums, results;
  Value first;
};
} // namespace

SmallVector<Launch> cpu::emitWinograd(Emitter &emitter, const Contraction &plan, const std::string &name) {
  Window window = *windowOf(plan.s.nest);
  return window.toWeights ? emitWinogradGrad(emitter, plan, window, name) : WinogradEmitter(emitter, plan, window).run(name);
}
