#include "backends/cpu/Contraction.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Epilogues up to this many ops are unrolled over the block; longer ones run in a loop over its rows in memory.
constexpr unsigned longestUnrolledEpilogue = 6;

/// One shape of block: full or what is left at an edge.
struct Shape {
  unsigned tile = 1;    // rows of the tiled loop
  unsigned vectors = 1; // registers abreast
  bool masked = false;  // the last register is not full
};

/// Where a block stands.
struct Place {
  SmallVector<Value> dims; // outer loops, and the first row of the tiled one
  Value tileFirst;          // first row of the whole tile; a rest of it begins later
  Value vectorBegin;
  SmallVector<Value> masks; // for each register; null where full
  Value unit, split;        // numbers, when the sum is split
  Value from, to;           // of the first reduction loop, when split
  Value passed, passes;     // blocks that a panel of this group has served, and all that it will serve; null when nothing
                            // is fetched ahead
  Value nextBegin;          // the column whose panel they fetch meanwhile
};

class BlockEmitter {
public:
  BlockEmitter(Emitter &e, const Contraction &c) : e(e), c(c), b(e.builder), nest(c.s.nest), lanes(e.target.lanes) {
    element = nest.getBody().front().getTerminator()->getOperand(0).getType();
    elementA = LoadOp(c.a).getType(), elementB = LoadOp(c.b).getType();
    placeA = c.s.exprs.find(LoadOp(c.a))->second[0];
    placeB = c.s.exprs.find(LoadOp(c.b))->second[0];
  }

  SmallVector<Launch> run(const std::string &name) {
    if (c.splits == 1) {
      forUnits(name, 1, [&](Place place, Shape shape) { finish(place, shape, accumulate(place, shape)); });
      return {{name, c.units, c.cost}};
    }
    std::string parts = name + "_parts";
    forUnits(parts, c.splits, [&](Place place, Shape shape) {
      SmallVector<Value> sums = accumulate(place, shape);
      for (auto [i, value] : llvm::enumerate(sums))
        e.storeRaw(value, scratchPlace(place.unit, place.split, i), 8);
    });
    forUnits(name, 1, [&](Place place, Shape shape) {
      SmallVector<Value> sums = zeros(shape);
      auto loop = scf::ForOp::create(b, e.constant(0), e.constant(c.splits), e.constant(1), sums);
      b.setInsertionPointToStart(loop.getBody());
      SmallVector<Value> added;
      for (auto [i, sum] : llvm::enumerate(loop.getRegionIterArgs())) {
        Value part = e.load(sum.getType(), scratchPlace(place.unit, loop.getInductionVar(), i), 8);
        added.push_back(arith::AddFOp::create(b, sum, part));
      }
      scf::YieldOp::create(b, added);
      b.setInsertionPointAfter(loop);
      finish(place, shape, SmallVector<Value>(loop.getResults()));
    });
    return {{parts, c.units * int64_t(c.splits), c.cost}, {name, c.units, c.units * 4000}};
  }

private:
  Value scratchPlace(Value unit, Value split, unsigned accumulator) {
    int64_t each = c.s.accumulatorBytes(e.target), block = int64_t(c.rows()) * c.vectors * each;
    Value part = e.add(e.mul(split, e.evaluate(c.units)), unit);
    Value at = e.add(e.mul(part, e.constant(block)), e.constant(accumulator * each));
    return e.elementPointer(e.pointer({Slot::Scratch, {}, 0, {}}), at, b.getI8Type());
  }
  /// The operands may be kept in fewer bits than the sum.
  Value widened(Value value) {
    Type wide = isa<VectorType>(value.getType()) ? e.vectorOf(element) : element;
    return value.getType() == wide ? value : arith::ExtFOp::create(b, wide, value).getResult();
  }
  SmallVector<Value> zeros(Shape shape) {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(e.vectorOf(element)));
    return SmallVector<Value>(shape.tile * c.unrolledRows() * shape.vectors, zero);
  }

  // ---------------------------------------------------------------- units
  template <class Each> void forUnits(const std::string &name, unsigned splits, Each each) {
    LLVM::LLVMFuncOp function = e.openFunction(name);
    entry = &function.getBody().front();
    tileMemory = {};
    auto loop = scf::ForOp::create(b, e.begin, e.end, e.constant(1));
    b.setInsertionPointToStart(loop.getBody());
    Place place;
    place.dims.assign(nest.dims(), Value());
    Value rest = loop.getInductionVar();
    if (splits > 1) {
      // Parts outermost: all blocks pass over one part of the operands before the next.
      Value units = e.evaluate(c.units);
      place.split = arith::DivUIOp::create(b, rest, units);
      rest = arith::RemUIOp::create(b, rest, units);
      Value size = e.evaluate(c.reduced.front().size);
      Value length = arith::CeilDivUIOp::create(b, size, e.constant(splits));
      place.from = e.minimum(e.mul(place.split, length), size);
      place.to = e.minimum(e.add(place.from, length), size);
    }
    place.unit = rest;

    int64_t width = int64_t(c.vectors) * lanes;
    AffineExpr vectorBlocks = c.vectorBlocks();
    Value vectorBlock, group, tileNumber;
    struct Digit {
      AffineExpr count;
      Value *number;
      int dim;
    };
    SmallVector<Digit> digits; // innermost first
    digits.push_back({c.group ? b.getAffineConstantExpr(c.group) : vectorBlocks, &vectorBlock, -1});
    if (c.tiled)
      digits.push_back({(c.tiled->size + (c.tile - 1)).floorDiv(c.tile), &tileNumber, -1});
    for (const Loop &outer : llvm::reverse(c.outer))
      digits.push_back({outer.size, nullptr, int(outer.dim)});
    if (c.group)
      digits.push_back({(vectorBlocks + (c.group - 1)).floorDiv(c.group), &group, -1});
    for (auto [i, digit] : llvm::enumerate(digits)) {
      Value value = rest;
      if (constantOf(digit.count) == 1) {
        value = e.constant(0);
      } else if (i + 1 < digits.size()) {
        Value count = e.evaluate(digit.count);
        value = arith::RemUIOp::create(b, rest, count);
        rest = arith::DivUIOp::create(b, rest, count);
      }
      if (digit.number)
        *digit.number = value;
      else
        place.dims[digit.dim] = value;
    }
    scf::IfOp inside;
    if (c.group) {
      vectorBlock = e.add(e.mul(group, e.constant(c.group)), vectorBlock);
      auto blocks = constantOf(canonical(vectorBlocks));
      if (!blocks || *blocks % c.group) { // the last group may have fewer
        inside = scf::IfOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::slt, vectorBlock,
                                                            e.evaluate(vectorBlocks)),
                                   /*withElse=*/false);
        b.setInsertionPointToStart(inside.thenBlock());
      }
    }
    place.vectorBegin = e.mul(vectorBlock, e.constant(width));
    if (fetchesAhead()) {
      place.passes = tileNumber ? e.evaluate(digits[1].count) : e.constant(1);
      place.passed = tileNumber ? tileNumber : e.constant(0);
      for (const Loop &outer : c.outer) {
        Value size = e.evaluate(outer.size);
        place.passes = e.mul(place.passes, size);
        place.passed = e.add(e.mul(place.passed, size), place.dims[outer.dim]);
      }
      // Units of this range alone: what another thread reads is in another cache.
      Value unitsOfGroup = e.mul(place.passes, e.constant(c.group));
      Value next = e.mul(e.add(group, e.constant(1)), unitsOfGroup);
      Value own = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, next, e.end);
      Value column = e.add(place.vectorBegin, e.constant(c.group * width));
      place.nextBegin = arith::SelectOp::create(b, own, column, place.vectorBegin);
    }
    byRows(place, tileNumber, [&](Place place, unsigned tile) { byColumns(place, tile, each); });
    if (inside)
      b.setInsertionPointAfter(inside);
    b.setInsertionPointAfter(loop);
    e.closeFunction();
  }

  template <class Then, class Else> void choose(Value condition, Then then, Else otherwise) {
    auto when = scf::IfOp::create(b, condition, /*withElse=*/true);
    b.setInsertionPointToStart(when.thenBlock());
    then();
    b.setInsertionPointToStart(when.elseBlock());
    otherwise();
    b.setInsertionPointAfter(when);
  }
  Value atMost(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::sle, x, y); }

  /// Full tiles, and the rows left after them: as a smaller tile when their number is known, else by fours and ones.
  template <class Each> void byRows(Place place, Value tileNumber, Each each) {
    if (!c.tiled)
      return each(place, 1);
    Value first = e.mul(tileNumber, e.constant(c.tile)), size = e.evaluate(c.tiled->size);
    place.dims[c.tiled->dim] = place.tileFirst = first;
    auto known = constantOf(c.tiled->size);
    if (c.tile == 1 || (known && *known % c.tile == 0))
      return each(place, c.tile);
    choose(
        atMost(e.add(first, e.constant(c.tile)), size), [&] { each(place, c.tile); },
        [&] {
          if (known)
            return each(place, *known % c.tile);
          // Fours, then ones.
          auto over = [&](Value from, Value to, unsigned rows) {
            auto loop = scf::ForOp::create(b, from, to, e.constant(rows));
            b.setInsertionPointToStart(loop.getBody());
            place.dims[c.tiled->dim] = loop.getInductionVar();
            each(place, rows);
            b.setInsertionPointAfter(loop);
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
  template <class Each> void byColumns(Place place, unsigned tile, Each each) {
    Shape full{tile, c.vectors, false};
    place.masks.assign(c.vectors, Value());
    int64_t width = int64_t(c.vectors) * lanes;
    auto known = constantOf(c.vectorSize);
    if (known && *known % width == 0)
      return each(place, full);
    Value size = e.evaluate(c.vectorSize);
    auto edge = [&] {
      Shape shape{tile, c.vectors, true};
      if (known)
        shape.vectors = (*known % width + lanes - 1) / lanes;
      for (unsigned j = 0; j < shape.vectors; ++j) {
        Value begin = e.add(place.vectorBegin, e.constant(int64_t(j) * lanes));
        bool whole = known && *known % width >= int64_t(j + 1) * lanes;
        place.masks[j] = whole ? Value() : e.maskBelow(e.sub(size, begin));
      }
      each(place, shape);
    };
    if (known && *known < width)
      return edge();
    choose(atMost(e.add(place.vectorBegin, e.constant(width)), size), [&] { each(place, full); }, edge);
  }

  // ---------------------------------------------------------------- the block
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
    if (c.tiled)
      spread(c.tiled->dim, tile);
    for (const Loop &loop : c.unrolled)
      spread(loop.dim, *constantOf(loop.size));
    return rows;
  }

  SmallVector<Value> accumulate(const Place &place, Shape shape) {
    // Places of the block's first elements; the loops add to them.
    SmallVector<Value> dims = place.dims;
    for (Value &dim : dims)
      if (!dim)
        dim = e.constant(0);
    dims[c.vectorDim] = place.vectorBegin;
    Value firstRow = c.packedRows ? dims[c.tiled->dim] : Value();
    if (c.packedRows)
      dims[c.tiled->dim] = place.tileFirst;
    Value beginA = e.evaluate(placeA, dims);
    if (c.packedRows)
      beginA = e.add(beginA, e.sub(firstRow, place.tileFirst));
    Value baseA = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.a).getTensor(), 0, {}}), beginA, elementA);
    Value baseB = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}),
                                   e.evaluate(placeB, dims), elementB);
    auto rows = rowsOf(shape.tile);
    SmallVector<Value> rowOffsets;
    for (auto &row : rows) {
      Value offset = e.constant(0);
      for (auto [dim, i] : row) {
        bool adjacent = c.packedRows && dim == c.tiled->dim;
        Value step = adjacent ? e.constant(1) : e.evaluate(*coefficientOf(placeA, dim));
        offset = e.add(offset, e.mul(step, e.constant(i)));
      }
      rowOffsets.push_back(offset);
    }
    Value ahead;
    if (place.nextBegin) {
      // The share of the next panel that belongs to this block.
      dims[c.vectorDim] = place.nextBegin;
      Value panel = e.constant(int64_t(c.vectors) * lanes);
      for (const Loop &loop : c.reduced)
        panel = e.mul(panel, e.evaluate(loop.size));
      Value share = arith::DivUIOp::create(b, e.mul(panel, place.passed), place.passes);
      ahead = e.elementPointer(e.pointer({Slot::Tensor, LoadOp(c.b).getTensor(), 0, {}}),
                               e.add(e.evaluate(placeB, dims), share), elementB);
    }
    return reduceLoop(0, place, shape, baseA, baseB, ahead, rowOffsets, zeros(shape));
  }

  /// Whether panels of the next group are fetched into the second level cache while those of this one are passed over:
  /// the first block to read them would else wait for memory.
  bool fetchesAhead() const {
    return c.group && c.packed && c.splits == 1 && !c.vectorsOfA && llvm::all_of(c.outer, [&](const Loop &loop) {
             auto step = coefficientOf(placeB, loop.dim);
             return step && constantOf(*step) == 0;
           });
  }

  SmallVector<Value> reduceLoop(size_t depth, const Place &place, Shape shape, Value a, Value bPlace, Value ahead,
                                ArrayRef<Value> rowOffsets, SmallVector<Value> sums) {
    if (depth == c.reduced.size()) {
      auto loadVectors = [&](Value base, Type inMemory) {
        SmallVector<Value> vectors;
        unsigned bytes = inMemory.getIntOrFloatBitWidth() / 8;
        for (unsigned j = 0; j < shape.vectors; ++j) {
          Value at = e.elementPointer(base, e.constant(int64_t(j) * lanes), inMemory);
          Type type = e.vectorOf(inMemory);
          if (place.masks[j]) {
            Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
            vectors.push_back(LLVM::MaskedLoadOp::create(b, type, at, place.masks[j], zero, bytes));
          } else {
            vectors.push_back(e.load(type, at, bytes));
          }
          vectors.back() = widened(vectors.back());
        }
        return vectors;
      };
      if (ahead)
        LLVM::Prefetch::create(b, ahead, /*rw=*/0, /*hint=*/2, /*cache=*/1);
      SmallVector<Value> vectors = loadVectors(bPlace, elementB), result;
      for (auto [i, offset] : llvm::enumerate(rowOffsets)) {
        Value row = e.elementPointer(a, offset, elementA);
        SmallVector<Value> factors = c.vectorsOfA ? loadVectors(row, elementA) : SmallVector<Value>(shape.vectors);
        if (!c.vectorsOfA)
          llvm::fill(factors, e.splat(widened(e.load(elementA, row, elementA.getIntOrFloatBitWidth() / 8))));
        for (unsigned j = 0; j < shape.vectors; ++j) {
          Value sum = sums[i * shape.vectors + j];
          result.push_back(LLVM::FMulAddOp::create(b, sum.getType(), factors[j], vectors[j], sum));
        }
      }
      return result;
    }
    const Loop &reduced = c.reduced[depth];
    bool first = depth == 0 && place.from;
    Value low = first ? place.from : e.constant(0), high = first ? place.to : e.evaluate(reduced.size);
    auto loop = scf::ForOp::create(b, low, high, e.constant(1), sums);
    b.setInsertionPointToStart(loop.getBody());
    auto step = [&](Value base, AffineExpr place, Type inMemory) {
      Value offset = e.mul(loop.getInductionVar(), e.evaluate(*coefficientOf(place, reduced.dim)));
      return e.elementPointer(base, offset, inMemory);
    };
    Value aheadOfStep = ahead;
    if (ahead) {
      // As far in its share as the loop is in the panel.
      int64_t bytesB = elementB.getIntOrFloatBitWidth() / 8;
      Value bytesOfStep = e.mul(e.evaluate(*coefficientOf(placeB, reduced.dim)), e.constant(bytesB));
      Value slower = arith::DivUIOp::create(b, bytesOfStep, place.passes);
      aheadOfStep = e.elementPointer(ahead, e.mul(loop.getInductionVar(), slower), b.getI8Type());
    }
    SmallVector<Value> inner = reduceLoop(depth + 1, place, shape, step(a, placeA, elementA),
                                          step(bPlace, placeB, elementB), aheadOfStep, rowOffsets,
                                          SmallVector<Value>(loop.getRegionIterArgs()));
    scf::YieldOp::create(b, inner);
    b.setInsertionPointAfter(loop);
    return SmallVector<Value>(loop.getResults());
  }

  // ---------------------------------------------------------------- epilogue
  Point pointOf(const Place &place, unsigned j) {
    Point point;
    point.dims = place.dims;
    point.vectorDim = c.vectorDim;
    point.dims[c.vectorDim] = e.add(place.vectorBegin, e.constant(int64_t(j) * lanes));
    point.mask = place.masks[j];
    return point;
  }
  void emitAndStore(const Point &point, Value sum) {
    SmallVector<Value> values = e.emitBlock(nest.getFinish().front(), point, sum);
    for (auto [i, value] : llvm::enumerate(values))
      e.store(i, value, point);
  }

  void finish(Place place, Shape shape, const SmallVector<Value> &sums) {
    auto rows = rowsOf(shape.tile);
    if (llvm::range_size(nest.getFinish().front()) <= longestUnrolledEpilogue) {
      for (auto [i, row] : llvm::enumerate(rows)) {
        Place at = place;
        for (auto [dim, offset] : row)
          at.dims[dim] = at.dims[dim] ? e.add(place.dims[dim], e.constant(offset)) : e.constant(offset);
        for (unsigned j = 0; j < shape.vectors; ++j)
          emitAndStore(pointOf(at, j), sums[i * shape.vectors + j]);
      }
      return;
    }
    if (!tileMemory) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(entry);
      tileMemory = LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), e.vectorOf(element),
                                          e.constant(int64_t(c.rows()) * c.vectors), 64);
    }
    int64_t registerBytes = int64_t(lanes) * element.getIntOrFloatBitWidth() / 8;
    auto memory = [&](Value index) {
      return e.elementPointer(tileMemory, e.mul(index, e.constant(registerBytes)), b.getI8Type());
    };
    for (auto [i, sum] : llvm::enumerate(sums))
      e.storeRaw(sum, memory(e.constant(i)), registerBytes);
    // Rows in the same order as above.
    auto nestLoops = [&](auto &self, size_t depth, Place at, Value row) -> void {
      unsigned count = c.unrolled.size() + (c.tiled ? 1 : 0);
      if (depth == count) {
        for (unsigned j = 0; j < shape.vectors; ++j) {
          Value index = e.add(e.mul(row, e.constant(shape.vectors)), e.constant(j));
          emitAndStore(pointOf(at, j), e.load(e.vectorOf(element), memory(index), registerBytes));
        }
        return;
      }
      bool tiled = c.tiled && depth == 0;
      const Loop &loop = tiled ? *c.tiled : c.unrolled[depth - (c.tiled ? 1 : 0)];
      int64_t size = tiled ? shape.tile : *constantOf(loop.size);
      auto over = scf::ForOp::create(b, e.constant(0), e.constant(size), e.constant(1));
      b.setInsertionPointToStart(over.getBody());
      Value i = over.getInductionVar();
      at.dims[loop.dim] = at.dims[loop.dim] ? e.add(at.dims[loop.dim], i) : i;
      self(self, depth + 1, at, e.add(e.mul(row, e.constant(size)), i));
      b.setInsertionPointAfter(over);
    };
    nestLoops(nestLoops, 0, place, e.constant(0));
  }

  Emitter &e;
  const Contraction &c;
  ImplicitLocOpBuilder &b;
  NestOp nest;
  unsigned lanes;
  Type element, elementA, elementB; // of the sum, and of the operands in memory
  AffineExpr placeA, placeB;
  Block *entry = nullptr;
  Value tileMemory;
};
} // namespace

SmallVector<Launch> cpu::emitContraction(Emitter &emitter, const Contraction &plan, const std::string &name) {
  return BlockEmitter(emitter, plan).run(name);
}
