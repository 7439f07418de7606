// Contractions of which both operands run along the vectors: depthwise convolutions and their gradients. A block is a tile
// of rows along one loop, and short loops that lie whole in it. Two loads for each product would keep the units for multiplication
// idle half the time, so where windows of the rows overlap, the innermost loop of the sum is one body that loads each place once.
#include "backends/cpu/Block.h"
#include "backends/cpu/Epilogue.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
class DepthwiseEmitter : BlockCode {
public:
  DepthwiseEmitter(Emitter &e, const Contraction &c) : BlockCode(e, c) {}

  SmallVector<Launch> run(const std::string &name) {
    if (c.splits == 1) {
      forBlocks(name, 1, [&](Unit unit, unsigned tile, const Columns &columns) {
        finish(unit, tile, columns, accumulate(unit, tile, columns));
      });
      return {{name, c.units, c.cost}};
    }
    std::string parts = name + "_parts";
    forBlocks(parts, c.splits, [&](Unit unit, unsigned tile, const Columns &columns) {
      Value memory = partsOf(c, unit.number, unit.split);
      for (auto [i, value] : llvm::enumerate(accumulate(unit, tile, columns)))
        e.storeRaw(value, accumulatorPlace(memory, e.constant(i)), 8);
    });
    forBlocks(name, 1, [&](Unit unit, unsigned tile, const Columns &columns) {
      SmallVector<Value> sums = zeros(tile * c.unrolledRows(), columns.vectors);
      auto loop = scf::ForOp::create(b, e.constant(0), e.constant(c.splits), e.constant(1), sums);
      b.setInsertionPointToStart(loop.getBody());
      Value memory = partsOf(c, unit.number, loop.getInductionVar());
      SmallVector<Value> added;
      for (auto [i, sum] : llvm::enumerate(loop.getRegionIterArgs())) {
        Value part = e.load(sum.getType(), accumulatorPlace(memory, e.constant(i)), 8);
        added.push_back(arith::AddFOp::create(b, sum, part));
      }
      scf::YieldOp::create(b, added);
      b.setInsertionPointAfter(loop);
      finish(unit, tile, columns, SmallVector<Value>(loop.getResults()));
    });
    return {{parts, c.units * int64_t(c.splits), c.cost}, {name, c.units, c.units * 4000}};
  }

private:
  template <class Each> void forBlocks(const std::string &name, unsigned splits, Each each) {
    tileMemory = {};
    forUnits(name, splits, [&](Unit unit) {
      Value tileNumber = unit.inner, vectorBlock = e.constant(0);
      if (constantOf(c.columnBlocks()) != 1) {
        Value blocks = e.evaluate(c.columnBlocks());
        vectorBlock = arith::RemUIOp::create(b, unit.inner, blocks);
        tileNumber = arith::DivUIOp::create(b, unit.inner, blocks);
      }
      Value first = e.mul(vectorBlock, e.constant(c.panels));
      AffineExpr all = canonical((c.vectorSize + (c.width() - 1)).floorDiv(c.width()));
      auto known = constantOf(all);
      Value panels = known && *known % c.panels == 0 ? e.constant(c.panels)
                                                     : e.minimum(e.sub(e.evaluate(all), first), e.constant(c.panels));
      byRows(unit, tileNumber, [&](Unit unit, unsigned tile) {
        auto panel = [&](Value number) {
          byColumns(e.mul(e.add(first, number), e.constant(c.width())),
                    [&](const Columns &columns) { each(unit, tile, columns); });
        };
        c.panels == 1 ? panel(e.constant(0)) : loop(e.constant(0), panels, 1, panel);
      });
    });
  }

  /// Full tiles, and the rows left after them: as a smaller tile when their number is known, else by fours and ones.
  template <class Each> void byRows(Unit unit, Value tileNumber, Each each) {
    if (c.rows.empty())
      return each(unit, 1);
    const Loop &tiled = c.rows.front();
    Value first = e.mul(tileNumber, e.constant(c.tile)), size = e.evaluate(tiled.size);
    unit.dims[tiled.dim] = first;
    auto known = constantOf(tiled.size);
    if (c.tile == 1 || (known && *known % c.tile == 0))
      return each(unit, c.tile);
    choose(
        atMost(e.add(first, e.constant(c.tile)), size), [&] { each(unit, c.tile); },
        [&] {
          if (known)
            return each(unit, *known % c.tile);
          auto over = [&](Value from, Value to, unsigned rows) {
            loop(from, to, rows, [&](Value row) {
              unit.dims[tiled.dim] = row;
              each(unit, rows);
            });
          };
          if (c.tile > 4) {
            Value rest = arith::RemUIOp::create(b, e.sub(size, first), e.constant(4));
            Value fours = e.sub(size, rest);
            over(first, fours, 4);
            first = fours;
          }
          over(first, size, 1);
        });
  }

  /// Offsets of the rows of a block from its first, by dimension; the tiled loop slowest.
  SmallVector<SmallVector<std::pair<unsigned, int64_t>>> rowsOf(unsigned tile) {
    SmallVector<SmallVector<std::pair<unsigned, int64_t>>> rows(1);
    auto spread = [&](unsigned dim, int64_t count) {
      SmallVector<SmallVector<std::pair<unsigned, int64_t>>> more;
      for (auto &row : rows)
        for (int64_t i = 0; i < count; ++i) {
          more.push_back(row);
          more.back().push_back({dim, i});
        }
      rows = more;
    };
    if (!c.rows.empty())
      spread(c.rows.front().dim, tile);
    for (const Loop &loop : c.unrolled)
      spread(loop.dim, *constantOf(loop.size));
    return rows;
  }

  SmallVector<Value> accumulate(const Unit &unit, unsigned tile, const Columns &columns) {
    SmallVector<Value> dims = unit.dims;
    for (Value &dim : dims)
      if (!dim)
        dim = e.constant(0);
    dims[c.vectorDim] = columns.begin;
    Value a = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.a).getTensor(), 0, {}}), e.evaluate(placeA, dims), elementA);
    Value second =
        e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}), e.evaluate(placeB, dims), elementB);
    SmallVector<Value> offsets;
    known.clear();
    for (auto &row : rowsOf(tile)) {
      AffineExpr offset = b.getAffineConstantExpr(0);
      for (auto [dim, i] : row)
        offset = offset + *coefficientOf(placeA, dim) * i;
      offsets.push_back(e.evaluate(canonical(offset)));
      known.push_back(constantOf(canonical(offset)).value_or(0));
    }
    SmallVector<Value> sums = zeros(offsets.size(), columns.vectors);
    return reduce(0, columns, a, second, offsets, sums, unit.from, unit.to);
  }

  /// The innermost loop of the sum in one: what rows share of `a` is loaded once, and used up before the next is loaded. Each
  /// sum gets its products in the order of the loop.
  SmallVector<Value> step(const Columns &columns, Value a, Value bPlace, ArrayRef<Value> rowOffsets,
                          ArrayRef<Value> before) override {
    if (!c.window)
      return BlockCode::step(columns, a, bPlace, rowOffsets, before);
    const Loop &loop = c.reduced.back();
    int64_t steps = *constantOf(loop.size), move = *constantOf(*coefficientOf(placeA, loop.dim));
    std::map<int64_t, SmallVector<std::pair<unsigned, int64_t>>> uses; // row and step, by place in the order of the steps
    for (auto [row, offset] : llvm::enumerate(known))
      for (int64_t i = 0; i < steps; ++i)
        uses[(offset + i * move) * (move < 0 ? -1 : 1)].push_back({unsigned(row), i});
    SmallVector<SmallVector<Value>> factors;
    for (int64_t i = 0; i < steps; ++i)
      factors.push_back(loadVectors(c.b, columns, advance(bPlace, placeB, loop.dim, e.constant(i), elementB)));
    SmallVector<Value> sums(before);
    for (auto &[place, users] : uses) {
      auto [row, i] = users.front();
      Value at = e.elementPointer(advance(a, placeA, loop.dim, e.constant(i), elementA), rowOffsets[row], elementA);
      SmallVector<Value> vectors = loadVectors(c.a, columns, at);
      for (auto [row, i] : users)
        for (unsigned j = 0; j < columns.vectors; ++j) {
          Value &sum = sums[row * columns.vectors + j];
          sum = addProduct(sum, vectors[j], factors[i][j]);
        }
    }
    return sums;
  }

  void finish(Unit unit, unsigned tile, const Columns &columns, const SmallVector<Value> &sums) {
    auto rows = rowsOf(tile);
    if (unrollsEpilogue(nest)) {
      for (auto [i, row] : llvm::enumerate(rows)) {
        SmallVector<Value> at = unit.dims;
        for (auto [dim, offset] : row)
          at[dim] = at[dim] ? e.add(unit.dims[dim], e.constant(offset)) : e.constant(offset);
        for (unsigned j = 0; j < columns.vectors; ++j)
          store(at, columns, j, sums[i * columns.vectors + j]);
      }
      return;
    }
    if (!tileMemory) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(entry);
      tileMemory = LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), e.vectorOf(element),
                                          e.constant(c.accumulators()), 64);
    }
    unsigned registerBytes = lanes * element.getIntOrFloatBitWidth() / 8;
    auto memory = [&](Value index) { return accumulatorPlace(tileMemory, index); };
    for (auto [i, sum] : llvm::enumerate(sums))
      e.storeRaw(sum, memory(e.constant(i)), registerBytes);
    // Rows in the same order as above.
    auto nestLoops = [&](auto &self, size_t depth, SmallVector<Value> at, Value row) -> void {
      unsigned count = c.unrolled.size() + c.rows.size();
      if (depth == count) {
        for (unsigned j = 0; j < columns.vectors; ++j) {
          Value index = e.add(e.mul(row, e.constant(columns.vectors)), e.constant(j));
          store(at, columns, j, e.load(e.vectorOf(element), memory(index), registerBytes));
        }
        return;
      }
      bool tiled = depth < c.rows.size();
      const Loop &loop = tiled ? c.rows.front() : c.unrolled[depth - c.rows.size()];
      int64_t size = tiled ? tile : *constantOf(loop.size);
      this->loop(e.constant(0), e.constant(size), 1, [&](Value i) {
        SmallVector<Value> inner = at;
        inner[loop.dim] = at[loop.dim] ? e.add(at[loop.dim], i) : i;
        self(self, depth + 1, inner, e.add(e.mul(row, e.constant(size)), i));
      });
    };
    nestLoops(nestLoops, 0, unit.dims, e.constant(0));
  }

  Value tileMemory;
  SmallVector<int64_t> known; // offsets of the rows, where they are numbers
};
} // namespace

SmallVector<Launch> cpu::emitDepthwise(Emitter &emitter, const Contraction &plan, const std::string &name) {
  return DepthwiseEmitter(emitter, plan).run(name);
}
