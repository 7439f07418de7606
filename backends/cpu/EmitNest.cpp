// Loops of a nest: units of parallel work outside, reductions inside, vectors innermost.
//
// A unit is one iteration of all outer loops together with one block of the vector loop. Units write disjoint elements
// and each is computed in one fixed order, so a result does not depend on how units are spread over threads. A sum that
// is split writes its parts to scratch memory in a first function; a second one adds them in order.
#include "backends/cpu/Panels.h"
#include "backends/cpu/Windows.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
class NestEmitter {
public:
  explicit NestEmitter(Emitter &e) : e(e), s(e.schedule), b(e.builder), lanes(e.target.lanes), abreast(s.vectors) {}

  SmallVector<Launch> run(const std::string &name) {
    NestOp nest = s.nest;
    AffineExpr cost = s.cost;
    if (auto panels = Panels::of(nest))
      return emitPanels(e, *panels, name);
    if (!s.turned.empty())
      return emitTurned(e, name);
    if (s.pair)
      return emitPairs(e, name);
    if (!nest.reduces()) {
      forUnits(name, 1, [&](Point &point, Value, Value blockBegin) {
        inPieces(point, [&] { inside(point, 0, [&] { pointwise(point, blockBegin); }); });
      });
      return {{name, s.units, cost}};
    }
    if (s.splits == 1) {
      forUnits(name, 1, [&](Point &point, Value, Value blockBegin) {
        inPieces(point, [&] {
          if (s.wholeRows)
            return alongRow(point);
          inBlockPieces(blockBegin, [&] { finish(point, blockBegin, reduce(point, blockBegin, {}, {})); });
        });
      });
      return {{name, s.units, cost}};
    }
    std::string parts = name + "_parts";
    forUnits(parts, s.splits, [&](Point &point, Value unit, Value blockBegin) {
      Value split = arith::RemUIOp::create(b, unit, e.constant(s.splits));
      const Loop &loop = s.reduced.empty() ? *s.vector : s.reduced.front();
      Value size = e.evaluate(loop.size);
      // Whole vectors in each part.
      int64_t grain = s.reduced.empty() && s.vectorReduced ? lanes : 1;
      Value chunks = arith::CeilDivUIOp::create(b, size, e.constant(grain * s.splits));
      Value length = e.mul(chunks, e.constant(grain));
      Value from = e.minimum(e.mul(split, length), size);
      Value to = e.minimum(e.add(from, length), size);
      SmallVector<Value> accumulators = reduce(point, blockBegin, from, to);
      for (auto [i, value] : llvm::enumerate(accumulators))
        e.storeRaw(value, scratchPlace(unit, i), 8);
    });
    forUnits(name, 1, [&](Point &point, Value unit, Value blockBegin) {
      SmallVector<Value> identity = e.identities(s.vectors);
      Value first = e.mul(unit, e.constant(s.splits));
      auto loop = scf::ForOp::create(b, e.constant(0), e.constant(s.splits), e.constant(1), identity);
      b.setInsertionPointToStart(loop.getBody());
      Value part = e.add(first, loop.getInductionVar());
      SmallVector<Value> values;
      for (auto [i, value] : llvm::enumerate(identity))
        values.push_back(e.load(value.getType(), scratchPlace(part, i), 8));
      scf::YieldOp::create(b, e.merge(loop.getRegionIterArgs(), values));
      b.setInsertionPointAfter(loop);
      finish(point, blockBegin, SmallVector<Value>(loop.getResults()));
    });
    return {{parts, s.units * int64_t(s.splits), cost}, {name, s.units, s.units * 500}};
  }

private:
  Value scratchPlace(Value part, unsigned accumulator) {
    unsigned bytes = s.accumulatorBytes(e.target);
    unsigned perPart = s.vectors * e.accumulatorsPerRegister();
    Value index = e.add(e.mul(part, e.constant(int64_t(perPart) * bytes)), e.constant(int64_t(accumulator) * bytes));
    return e.elementPointer(e.pointer({Slot::Scratch, {}, 0, {}}), index, b.getI8Type());
  }

  /// The function over units; `each` gets the point of the unit, the unit's number and the first element of its block.
  template <class Each> void forUnits(const std::string &name, unsigned splits, Each each) {
    e.openFunction(name);
    auto loop = scf::ForOp::create(b, e.begin, e.end, e.constant(1));
    b.setInsertionPointToStart(loop.getBody());
    Value unit = loop.getInductionVar(), rest = unit;
    Point point;
    point.dims.assign(NestOp(s.nest).dims(), Value());
    if (splits > 1)
      rest = arith::DivUIOp::create(b, rest, e.constant(splits));
    Value blockBegin;
    bool blocks = s.vector && !s.vectorReduced;
    SmallVector<std::pair<int, AffineExpr>> digits; // innermost first
    if (blocks) {
      int64_t block = *constantOf(s.block);
      AffineExpr count = (s.vector->size + (block - 1)).floorDiv(block);
      digits.push_back({-1, count});
    }
    for (const Schedule::Inside &each : llvm::reverse(s.inside))
      digits.push_back({int(each.loop.dim), each.blocks()});
    for (const Loop &outer : llvm::reverse(s.outer))
      digits.push_back({int(outer.dim), outer.size});
    for (auto [i, digit] : llvm::enumerate(digits)) {
      Value value = rest;
      if (constantOf(digit.second) == 1) {
        value = e.constant(0);
      } else if (i + 1 < digits.size()) {
        value = e.digit(rest, digit.second);
      }
      if (digit.first < 0)
        blockBegin = e.mul(value, e.constant(*constantOf(s.block)));
      else
        point.dims[digit.first] = value;
    }
    each(point, unit, blockBegin);
    b.setInsertionPointAfter(loop);
    e.closeFunction();
  }

  /// The loops that a unit goes through itself; the point has the numbers of its blocks.
  void inside(Point &point, size_t depth, llvm::function_ref<void()> body) {
    if (depth == s.inside.size())
      return body();
    auto &[loop, block] = s.inside[depth];
    Value from = e.mul(point.dims[loop.dim], e.constant(block));
    Value to = e.minimum(e.add(from, e.constant(block)), e.evaluate(loop.size));
    e.loop(from, to, 1, [&](Value at) {
      Value number = std::exchange(point.dims[loop.dim], at);
      inside(point, depth + 1, body);
      point.dims[loop.dim] = number;
    });
  }

  void emitAndStore(Block &block, const Point &point, ValueRange arguments = {}) {
    SmallVector<Value> values = e.emitBlock(block, point, arguments);
    for (auto [i, value] : llvm::enumerate(values))
      e.store(i, value, point);
  }

  /// The body once for each piece of the loop outside along which guards turn.
  void inPieces(const Point &point, llvm::function_ref<void()> body) {
    if (auto loop = outerInPieces(s))
      chooseAmong(turnsAlong(s, *loop), *loop, point.dims[loop->dim], body);
    else
      body();
  }
  /// The same for the vector loop of a reduction where no block lies in two pieces.
  void inBlockPieces(Value blockBegin, llvm::function_ref<void()> body) {
    SmallVector<int64_t> turns;
    if (s.vector && !s.vectorReduced)
      turns = turnsAlong(s, *s.vector);
    bool fit = !turns.empty() && llvm::all_of(turns, [&](int64_t turn) { return turn % (int64_t(s.vectors) * lanes) == 0; });
    if (fit)
      chooseAmong(turns, *s.vector, blockBegin, body);
    else
      body();
  }
  void chooseAmong(ArrayRef<int64_t> turns, const Loop &loop, Value at, llvm::function_ref<void()> body) {
    int64_t from = 0;
    auto upTo = [&](int64_t to) {
      e.within.push_back({loop.dim, from, to});
      body();
      e.within.pop_back();
      from = to;
    };
    OpBuilder::InsertionGuard guard(b);
    for (int64_t turn : turns) {
      Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at, e.constant(turn));
      auto choose = scf::IfOp::create(b, below, /*withElse=*/true);
      b.setInsertionPointToStart(choose.thenBlock());
      upTo(turn);
      b.setInsertionPointToStart(choose.elseBlock());
    }
    upTo(constantOf(loop.size).value_or(Within::farthest));
  }

  /// Runs `full` over whole vectors of [from, to) and `tail` for the rest, when there may be one: with `known` elements there are,
  /// or in blocks of whole vectors of so many, that decides it.
  template <class Full, class Tail> void overVectors(Value from, Value to, std::optional<int64_t> known, Full full, Tail tail) {
    Value length = e.sub(to, from);
    Value rest = arith::RemUIOp::create(b, length, e.constant(lanes));
    Value fullEnd = e.sub(to, rest);
    if (!known || *known >= int64_t(lanes))
      full(from, fullEnd);
    if (known && *known % lanes == 0)
      return;
    tail(fullEnd, rest);
  }

  void pointwise(Point &point, Value blockBegin) {
    Block &body = NestOp(s.nest).getBody().front();
    if (!s.vector) {
      emitAndStore(body, point);
      return;
    }
    unsigned dim = s.vector->dim;
    Value to = e.minimum(e.add(blockBegin, e.constant(*constantOf(s.block))), e.evaluate(s.vector->size));
    point.vectorDim = dim;
    auto size = constantOf(s.vector->size);
    if (SmallVector<int64_t> turns = turnsAlong(s, *s.vector); !turns.empty()) {
      turns.push_back(size.value_or(Within::farthest));
      bool whole = size && *size == constantOf(s.block);
      int64_t from = 0;
      for (int64_t turn : turns) {
        Value begin = whole ? e.constant(from) : Value(arith::MaxSIOp::create(b, blockBegin, e.constant(from)));
        Value end = whole ? e.constant(turn) : e.minimum(to, e.constant(turn));
        e.within.push_back({dim, from, turn});
        // A block may lie in other pieces alone: then its end comes before its beginning.
        if (whole)
          alongVector(body, point, begin, end, turn - from, turn - from);
        else
          alongVector(body, point, begin, arith::MaxSIOp::create(b, begin, end), {}, {});
        e.within.pop_back();
        from = turn;
      }
      return;
    }
    alongVector(body, point, blockBegin, to, size && *size == constantOf(s.block) ? size : std::nullopt, size);
  }

  /// The elements [from, to) of the vector loop: `length` of them where that is known, and whole vectors where `size` is.
  void alongVector(Block &body, Point &point, Value from, Value to, std::optional<int64_t> length, std::optional<int64_t> size) {
    unsigned dim = s.vector->dim;
    auto atVector = [&](Value v, Value mask) {
      point.dims[dim] = v;
      point.mask = mask;
      point.count = mask && length ? *length % lanes : 0;
      emitAndStore(body, point);
    };
    overVectors(
        from, to, size,
        [&](Value from, Value end) {
          auto loop = scf::ForOp::create(b, from, end, e.constant(lanes));
          b.setInsertionPointToStart(loop.getBody());
          atVector(loop.getInductionVar(), {});
          b.setInsertionPointAfter(loop);
        },
        [&](Value from, Value rest) {
          if (length) // there always is one
            return atVector(from, e.maskBelow(e.constant(*length % lanes)));
          Value any = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, rest, e.constant(0));
          auto when = scf::IfOp::create(b, any, /*withElse=*/false);
          b.setInsertionPointToStart(when.thenBlock());
          atVector(from, e.maskBelow(rest));
          b.setInsertionPointAfter(when);
        });
  }

  /// The point of register `j` of a block of a parallel vector loop.
  Point registerPoint(Point point, Value blockBegin, unsigned j) {
    if (!s.vector || s.vectorReduced)
      return point;
    point.vectorDim = s.vector->dim;
    point.dims[s.vector->dim] = e.add(blockBegin, e.constant(int64_t(j) * lanes));
    auto size = constantOf(s.vector->size);
    if (s.wholeRows) {
      if (last)
        point.mask = e.maskBelow(e.constant(last)), point.count = last;
    } else if (!size || *size % (int64_t(lanes) * s.vectors) != 0)
      point.mask = e.maskBelow(e.sub(e.evaluate(s.vector->size), point.dims[s.vector->dim]));
    return point;
  }

  /// Accumulates over all reduction loops; [from, to) limits the first one when given.
  SmallVector<Value> reduce(Point point, Value blockBegin, Value from, Value to) {
    SmallVector<Value> accumulators = e.identities(abreast);
    // Masks do not change inside the loops.
    SmallVector<Point> points;
    for (unsigned j = 0; j < abreast; ++j)
      points.push_back(registerPoint(point, blockBegin, j));
    return reduceLoop(0, points, accumulators, from, to);
  }

  SmallVector<Value> reduceLoop(size_t depth, SmallVector<Point> points, SmallVector<Value> accumulators, Value from,
                                Value to) {
    Block &body = NestOp(s.nest).getBody().front();
    auto accumulate = [&](ValueRange into, bool masked) {
      SmallVector<Value> result;
      unsigned per = e.accumulatorsPerRegister();
      for (auto [j, point] : llvm::enumerate(points)) {
        SmallVector<Value> values = e.emitBlock(body, point);
        SmallVector<Value> own(into.begin() + j * per, into.begin() + (j + 1) * per);
        llvm::append_range(result, e.combine(own, values, point, masked));
      }
      return result;
    };
    if (depth < s.reduced.size()) {
      const Loop &reduced = s.reduced[depth];
      Value low = from ? from : e.constant(0), high = to ? to : e.evaluate(reduced.size);
      // Only steps that lie inside.
      SmallVector<AffineExpr> edges = edgesOf(s, reduced);
      for (AffineExpr edge : edges) {
        int64_t step = *constantOf(*coefficientOf(edge, reduced.dim));
        AffineExpr start = canonical(edge.replace(getAffineDimExpr(reduced.dim, b.getContext()), getAffineConstantExpr(0, b.getContext())));
        // Divided here, for places may be negative and quotients in expressions are of sizes.
        Value by = e.constant(std::abs(step)), place = e.evaluate(step > 0 ? -start : start, points[0].dims);
        if (step > 0)
          low = arith::MaxSIOp::create(b, low, step == 1 ? place : Value(arith::CeilDivSIOp::create(b, place, by)));
        else
          high = e.minimum(high, e.add(step == -1 ? place : Value(arith::FloorDivSIOp::create(b, place, by)), e.constant(1)));
      }
      size_t knownBefore = e.satisfied.size();
      llvm::append_range(e.satisfied, edges);
      auto loop = scf::ForOp::create(b, low, high, e.constant(1), accumulators);
      b.setInsertionPointToStart(loop.getBody());
      for (Point &point : points)
        point.dims[reduced.dim] = loop.getInductionVar();
      SmallVector<Value> inner = reduceLoop(depth + 1, points, SmallVector<Value>(loop.getRegionIterArgs()), {}, {});
      scf::YieldOp::create(b, inner);
      b.setInsertionPointAfter(loop);
      e.satisfied.truncate(knownBefore);
      return SmallVector<Value>(loop.getResults());
    }
    if (!s.vectorReduced)
      return accumulate(accumulators, false);

    unsigned dim = s.vector->dim;
    Value low = from ? from : e.constant(0), high = to ? to : e.evaluate(s.vector->size);
    points[0].vectorDim = dim;
    overVectors(
        low, high, constantOf(s.vector->size),
        [&](Value start, Value stop) {
          auto loop = scf::ForOp::create(b, start, stop, e.constant(lanes), accumulators);
          b.setInsertionPointToStart(loop.getBody());
          points[0].dims[dim] = loop.getInductionVar();
          points[0].mask = {};
          SmallVector<Value> inner = accumulate(SmallVector<Value>(loop.getRegionIterArgs()), false);
          scf::YieldOp::create(b, inner);
          b.setInsertionPointAfter(loop);
          accumulators.assign(loop.getResults().begin(), loop.getResults().end());
        },
        [&](Value start, Value rest) {
          points[0].dims[dim] = start;
          points[0].mask = e.maskBelow(rest);
          accumulators = accumulate(accumulators, true);
        });
    return accumulators;
  }

  void finish(Point point, Value blockBegin, SmallVector<Value> accumulators) {
    Block &last = NestOp(s.nest).getFinish().front();
    if (s.vectorReduced)
      accumulators = e.acrossLanes(accumulators);
    unsigned per = e.accumulatorsPerRegister();
    for (unsigned j = 0; j < abreast; ++j) {
      SmallVector<Value> own(accumulators.begin() + j * per, accumulators.begin() + (j + 1) * per);
      emitAndStore(last, registerPoint(point, blockBegin, j), e.finishArguments(own));
    }
  }

  /// All of the vector loop: registers in the middle, whose windows lie inside, and those at the ends, which test their lanes.
  void alongRow(const Point &point) {
    Middle middle = *middleOf(s, *s.vector, lanes);
    auto registers = [&](Value begin, unsigned count) {
      abreast = count;
      finish(point, begin, reduce(point, begin, {}, {}));
    };
    auto end = [&](int64_t from, int64_t to) {
      for (int64_t at = from; at < to; at += lanes) {
        last = to - at < int64_t(lanes) ? unsigned(to - at) : 0;
        registers(e.constant(at), 1);
      }
      last = 0;
    };
    end(0, middle.from);
    size_t knownBefore = e.satisfied.size();
    llvm::append_range(e.satisfied, middle.constraints);
    int64_t block = int64_t(s.vectors) * lanes, blocks = (middle.to - middle.from) / block;
    int64_t rest = middle.from + blocks * block;
    if (blocks)
      e.loop(e.constant(middle.from), e.constant(rest), block, [&](Value begin) { registers(begin, s.vectors); });
    if (rest < middle.to)
      registers(e.constant(rest), unsigned((middle.to - rest) / lanes));
    e.satisfied.truncate(knownBefore);
    end(middle.to, *constantOf(s.vector->size));
  }

  Emitter &e;
  const Schedule &s;
  ImplicitLocOpBuilder &b;
  unsigned lanes;
  unsigned abreast;  // registers that are reduced side by side now
  unsigned last = 0; // lanes that count of the one at the end of a row; 0: all
};
} // namespace

SmallVector<Launch> cpu::emitNest(Emitter &emitter, const std::string &name) { return NestEmitter(emitter).run(name); }
