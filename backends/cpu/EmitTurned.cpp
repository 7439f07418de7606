// Nests that turn memory: transposes, packing of weights, changes of layout.
//
// Such a nest writes along one loop and reads along others. Gathering an element at a time costs about 3 ns each; here
// squares of lanes x lanes elements are read in whole vectors and turned in registers, by rounds of interleaving (log2 of
// the lanes): out[2i], out[2i + 1] are the lower and upper half of the interleaving of in[i] and in[i + lanes / 2].
#include "backends/cpu/EmitNest.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

SmallVector<Value> cpu::turnSquare(ImplicitLocOpBuilder &b, SmallVector<Value> square) {
  unsigned lanes = square.size();
  SmallVector<int64_t> low, high;
  for (unsigned i = 0; i < lanes; ++i) {
    low.push_back(i / 2 + (i % 2) * lanes);
    high.push_back(low.back() + lanes / 2);
  }
  for (unsigned round = 1; round < lanes; round *= 2) {
    SmallVector<Value> next;
    for (unsigned i = 0; i < lanes / 2; ++i) {
      next.push_back(vector::ShuffleOp::create(b, square[i], square[i + lanes / 2], low));
      next.push_back(vector::ShuffleOp::create(b, square[i], square[i + lanes / 2], high));
    }
    square = next;
  }
  return square;
}

namespace {
class TurnedEmitter {
public:
  explicit TurnedEmitter(Emitter &e) : e(e), s(e.schedule), b(e.builder), lanes(e.target.lanes) {}

  SmallVector<Launch> run(const std::string &name) {
    NestOp nest = s.nest;
    nest->walk([&](LoadOp load) {
      if (isTurned(s, load))
        loads.push_back(load);
    });
    e.openFunction(name);
    auto units = scf::ForOp::create(b, e.begin, e.end, e.constant(1));
    b.setInsertionPointToStart(units.getBody());
    Value rest = units.getInductionVar();
    int64_t block = Schedule::turnedBlock;
    auto blocks = [&](AffineExpr size) { return (size + (block - 1)).floorDiv(block); };
    point.dims.assign(nest.dims(), Value());
    point.vectorDim = s.vector->dim;
    Value column = e.mul(e.digit(rest, blocks(s.vector->size)), e.constant(block));
    Value row = e.mul(e.digit(rest, blocks(s.turnedSize())), e.constant(block));
    for (const Loop &outer : llvm::reverse(s.outer))
      point.dims[outer.dim] = e.digit(rest, outer.size);
    columns = e.evaluate(s.vector->size), rows = e.evaluate(s.turnedSize());
    over(row, e.minimum(e.add(row, e.constant(block)), rows), [&](Value row) {
      over(column, e.minimum(e.add(column, e.constant(block)), columns), [&](Value column) { square(row, column); });
    });
    b.setInsertionPointAfter(units);
    e.closeFunction();
    return {{name, s.units, s.cost}};
  }

private:
  template <class Each> void over(Value from, Value to, Each each) {
    auto loop = scf::ForOp::create(b, from, to, e.constant(lanes));
    b.setInsertionPointToStart(loop.getBody());
    each(loop.getInductionVar());
    b.setInsertionPointAfter(loop);
  }
  Value below(Value a, Value c) { return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, a, c); }

  void square(Value row, Value column) {
    auto multiple = [&](AffineExpr size) {
      auto known = constantOf(size);
      return known && *known % lanes == 0;
    };
    // So few columns that a square has room for all: panels of rows.
    auto few = constantOf(s.vector->size);
    fewColumns = few && *few < lanes ? unsigned(*few) : 0;
    if ((fewColumns || multiple(s.vector->size)) && multiple(s.turnedSize()))
      return emit(row, column, false);
    Value most = e.constant(lanes);
    Value full = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, e.add(row, most), rows);
    if (!fewColumns)
      full = arith::AndIOp::create(b, full, arith::CmpIOp::create(b, arith::CmpIPredicate::sle, e.add(column, most), columns));
    auto choose = scf::IfOp::create(b, full, /*withElse=*/true);
    b.setInsertionPointToStart(choose.thenBlock());
    emit(row, column, false);
    b.setInsertionPointToStart(choose.elseBlock());
    emit(row, column, true);
    b.setInsertionPointAfter(choose);
  }

  /// Sets the turned dimensions to those of the index among all.
  void setRow(Point &at, Value index) {
    for (size_t i = s.turned.size(); i-- > 0;) {
      Value value = index;
      if (i > 0) {
        Value size = e.evaluate(s.turned[i].size);
        value = arith::RemUIOp::create(b, index, size);
        index = arith::DivUIOp::create(b, index, size);
      }
      at.dims[s.turned[i].dim] = value;
    }
  }

  void emit(Value row, Value column, bool edge) {
    SmallVector<SmallVector<Value>> turned;
    Value rowMask = edge ? e.maskBelow(e.sub(rows, row)) : Value();
    for (LoadOp load : loads) {
      SmallVector<Value> read;
      for (unsigned i = 0; i < lanes; ++i)
        read.push_back(fewColumns && i >= fewColumns ? Value(arith::ConstantOp::create(b, b.getZeroAttr(e.vectorOf(load.getType()))))
                                                     : readAlong(load, row, e.add(column, e.constant(i)), rowMask));
      turned.push_back(turnSquare(b, std::move(read)));
    }
    Block &body = NestOp(s.nest).getBody().front();
    for (unsigned i = 0; i < lanes; ++i) {
      Point at = point;
      Value index = e.add(row, e.constant(i));
      at.dims[s.vector->dim] = column;
      if (fewColumns)
        at.mask = e.maskBelow(e.constant(fewColumns)), at.count = fewColumns;
      auto emitRow = [&] {
        setRow(at, index);
        for (auto [load, values] : llvm::zip(loads, turned))
          e.ready[load] = values[i];
        for (auto [r, value] : llvm::enumerate(e.emitBlock(body, at)))
          e.store(r, value, at);
      };
      if (!edge) {
        emitRow();
        continue;
      }
      auto inside = scf::IfOp::create(b, below(index, rows), /*withElse=*/false);
      b.setInsertionPointToStart(inside.thenBlock());
      if (!fewColumns)
        at.mask = e.maskBelow(e.sub(columns, column));
      emitRow();
      b.setInsertionPointAfter(inside);
    }
    e.ready.clear();
  }

  /// One vector along the turned loops, zeros where the column does not exist or its guard fails.
  Value readAlong(LoadOp load, Value row, Value column, Value rowMask) {
    Point at = point;
    setRow(at, row);
    at.dims[s.vector->dim] = column;
    at.vectorDim = -1;
    ArrayRef<AffineExpr> exprs = s.exprs.find(load)->second;
    Type element = load.getType();
    unsigned bytes = element.getIntOrFloatBitWidth() / 8;
    VectorType type = e.vectorOf(element);
    Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
    auto read = [&]() -> Value {
      Value place = e.elementPointer(e.pointer({Slot::Tensor, load.getTensor(), 0, {}}), e.evaluate(exprs[0], at.dims),
                                     element);
      if (rowMask)
        return LLVM::MaskedLoadOp::create(b, type, place, rowMask, zeros, bytes);
      return e.load(type, place, bytes);
    };
    Value holds = rowMask && !fewColumns ? below(column, columns) : Value();
    if (load.getInside())
      if (Value guard = e.emitConstraints(exprs.drop_front(), *load.getInside(), at, {}))
        holds = holds ? arith::AndIOp::create(b, holds, guard).getResult() : guard;
    if (!holds)
      return read();
    auto choose = scf::IfOp::create(b, type, holds, /*withElse=*/true);
    b.setInsertionPointToStart(choose.thenBlock());
    scf::YieldOp::create(b, read());
    b.setInsertionPointToStart(choose.elseBlock());
    scf::YieldOp::create(b, zeros);
    b.setInsertionPointAfter(choose);
    return choose.getResult(0);
  }

  Emitter &e;
  const Schedule &s;
  ImplicitLocOpBuilder &b;
  unsigned lanes;
  Point point;
  Value rows, columns;
  unsigned fewColumns = 0; // all of them, where a square has room for more
  SmallVector<LoadOp> loads;
};
} // namespace

SmallVector<Launch> cpu::emitTurned(Emitter &emitter, const std::string &name) {
  return TurnedEmitter(emitter).run(name);
}
