#include "backends/cpu/AttentionBlocks.h"
#include "backends/cpu/Approximations.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

AttentionBlocks::AttentionBlocks(Emitter &e, const AttentionPlan &plan)
    : e(e), plan(plan), b(e.builder), registerLanes(e.target.lanes) {}

// ---------------------------------------------------------------- scalars and vectors

Value AttentionBlocks::number(AffineExpr expr) {
  if (auto known = constantOf(expr))
    return e.constant(*known);
  return e.pointer({Slot::Size, {}, 0, expr});
}
Value AttentionBlocks::real(double number) {
  return e.splat(arith::ConstantOp::create(b, b.getF32FloatAttr(number)));
}
Value AttentionBlocks::least(Value x, Value y) { return e.minimum(x, y); }
Value AttentionBlocks::most(Value x, Value y) { return arith::MaxSIOp::create(b, x, y); }
Value AttentionBlocks::isBelow(Value x, Value y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
}
Value AttentionBlocks::fadd(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
Value AttentionBlocks::fsub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
Value AttentionBlocks::fmul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
/// As the machine's instruction does, which compares once.
Value AttentionBlocks::fmax(Value x, Value y) {
  Value larger = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(b, larger, x, y);
}
Value AttentionBlocks::scaled(Value x, double factor) {
  if (factor == 1)
    return x;
  Value number = arith::ConstantOp::create(b, b.getF32FloatAttr(factor));
  return fmul(x, isa<VectorType>(x.getType()) ? e.splat(number) : number);
}
Value AttentionBlocks::exp(Value x) { return expOfWeight(b, x); }
Value AttentionBlocks::readNumber(Value place) { return e.load(b.getF32Type(), place, 4); }
Value AttentionBlocks::readVector(Value place, Value mask) {
  Type type = e.vectorOf(b.getF32Type());
  if (!mask)
    return e.load(type, place, 4);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return LLVM::MaskedLoadOp::create(b, type, place, mask, zero, 4);
}
void AttentionBlocks::write(Value value, Value place, Value mask) {
  if (mask)
    LLVM::MaskedStoreOp::create(b, value, place, mask, 4);
  else
    e.storeRaw(value, place, 4);
}
Value AttentionBlocks::at(Value base, Value elements) { return e.elementPointer(base, elements, b.getF32Type()); }

// ---------------------------------------------------------------- places

Value AttentionBlocks::stack(int64_t elements) {
  return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getF32Type(), e.constant(elements), 64);
}

AttentionBlocks::Place AttentionBlocks::place(const AttentionTensor &tensor, Value n, Value h) {
  Value first = e.add(number(tensor.first),
                      e.add(e.mul(n, number(tensor.batch)), e.mul(h, number(tensor.head))));
  return {at(e.pointer(tensor.slot), first), number(tensor.position)};
}

Value AttentionBlocks::hiddenScore() {
  return real(bigm::hiddenScore(b.getF32Type(), plan.op.getStrict()));
}

AttentionBlocks::Place AttentionBlocks::maskOf(Value n) {
  const AttentionTensor &tensor = plan.mask();
  Value first = e.add(number(tensor.first), e.mul(n, number(tensor.batch)));
  return {e.elementPointer(e.pointer(tensor.slot), first, b.getI8Type()), number(tensor.position)};
}

// ---------------------------------------------------------------- loops

void AttentionBlocks::loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body) {
  auto over = scf::ForOp::create(b, from, to, e.constant(step));
  b.setInsertionPointToStart(over.getBody());
  body(over.getInductionVar());
  b.setInsertionPointAfter(over);
}
AttentionBlocks::Vectors AttentionBlocks::loop(Value from, Value to, int64_t step, ValueRange start,
                                               llvm::function_ref<Vectors(Value, ValueRange)> body) {
  auto over = scf::ForOp::create(b, from, to, e.constant(step), start);
  b.setInsertionPointToStart(over.getBody());
  scf::YieldOp::create(b, body(over.getInductionVar(), over.getRegionIterArgs()));
  b.setInsertionPointAfter(over);
  return Vectors(over.getResults());
}
void AttentionBlocks::when(Value condition, llvm::function_ref<void()> body) {
  auto inside = scf::IfOp::create(b, condition, /*withElse=*/false);
  b.setInsertionPointToStart(inside.thenBlock());
  body();
  b.setInsertionPointAfter(inside);
}
AttentionBlocks::Vectors AttentionBlocks::choose(Value condition, const Vectors &otherwise,
                                                 llvm::function_ref<Vectors()> where) {
  auto branch = scf::IfOp::create(b, TypeRange(ValueRange(otherwise)), condition, /*withElse=*/true);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, where());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, otherwise);
  b.setInsertionPointAfter(branch);
  return Vectors(branch.getResults());
}

void AttentionBlocks::overRows(Value count, llvm::function_ref<void(Value, unsigned)> body) {
  int64_t rows = plan.rows;
  auto enough = scf::IfOp::create(b, isBelow(count, e.constant(rows)), /*withElse=*/true);
  b.setInsertionPointToStart(enough.thenBlock());
  loop(e.constant(0), count, 1, [&](Value row) { body(row, 1); });
  b.setInsertionPointToStart(enough.elseBlock());
  Value last = e.sub(count, e.constant(rows));
  loop(e.constant(0), count, rows, [&](Value row) { body(least(row, last), rows); });
  b.setInsertionPointAfter(enough);
}
void AttentionBlocks::overRowsOnce(Value count, llvm::function_ref<void(Value, unsigned)> body) {
  Value from = e.constant(0);
  for (int64_t rows : {int64_t(plan.rows), int64_t(plan.rows / 2), int64_t(1)}) {
    Value rest = arith::RemUIOp::create(b, e.sub(count, from), e.constant(rows));
    Value to = e.sub(count, rest);
    loop(from, to, rows, [&](Value row) { body(row, rows); });
    from = to;
  }
}
void AttentionBlocks::overWidth(llvm::function_ref<void(Value, unsigned)> body) {
  int64_t blocks = llvm::divideCeil(plan.width, plan.rows), rows = plan.width / blocks, larger = plan.width % blocks;
  int64_t middle = larger * (rows + 1);
  if (larger)
    loop(e.constant(0), e.constant(middle), rows + 1, [&](Value first) { body(first, rows + 1); });
  loop(e.constant(middle), e.constant(plan.width), rows, [&](Value first) { body(first, rows); });
}

// ---------------------------------------------------------------- products

/// Processors do not foresee the end of a loop of 32 steps, but that of a loop of 4.
unsigned AttentionBlocks::widthTogether() const {
  unsigned together = 8;
  while (plan.width % together)
    together /= 2;
  return together;
}

AttentionBlocks::Vectors AttentionBlocks::multiply(Value a, Value rowStep, Value stepA, Value bPlace, Value stepB,
                                                   Value count, unsigned rows, Vectors sums, Value mask,
                                                   unsigned together) {
  unsigned vectors = sums.size() / rows;
  auto step = [&](Value x, ValueRange sums) {
    Value aPlace = at(a, e.mul(x, stepA)), bRow = at(bPlace, e.mul(x, stepB));
    Vectors factors, result;
    for (unsigned v = 0; v < vectors; ++v)
      factors.push_back(readVector(at(bRow, v * registerLanes), v + 1 == vectors ? mask : Value()));
    for (unsigned r = 0; r < rows; ++r) {
      Value factor = e.splat(readNumber(at(aPlace, e.mul(rowStep, e.constant(r)))));
      for (unsigned v = 0; v < vectors; ++v) {
        Value sum = sums[r * vectors + v];
        result.push_back(LLVM::FMulAddOp::create(b, sum.getType(), factor, factors[v], sum));
      }
    }
    return result;
  };
  return loop(e.constant(0), count, together, sums, [&](Value x, ValueRange start) {
    Vectors sums(start);
    for (unsigned i = 0; i < together; ++i)
      sums = step(e.add(x, e.constant(i)), sums);
    return sums;
  });
}
void AttentionBlocks::writeRows(Value matrix, Value row, const Vectors &values) {
  Value place = rowOf(matrix, row);
  for (auto [i, value] : llvm::enumerate(values))
    write(value, at(place, int64_t(i) * registerLanes));
}

// ---------------------------------------------------------------- between memory and the stack

void AttentionBlocks::bySquares(Value count, Value size, llvm::function_ref<void(int64_t lane, Value d)> square,
                                llvm::function_ref<void(Value lane, Value d)> single) {
  Value zero = e.constant(0), whole = e.sub(size, arith::RemUIOp::create(b, size, e.constant(registerLanes)));
  auto oneByOne = [&](Value from, Value to, Value first) {
    loop(from, to, 1, [&](Value lane) { loop(first, size, 1, [&](Value d) { single(lane, d); }); });
  };
  for (int64_t lane = 0; lane < plan.lanes; lane += registerLanes) {
    Value from = e.constant(lane), to = e.constant(lane + registerLanes);
    auto partial = scf::IfOp::create(b, isBelow(count, to), /*withElse=*/true);
    b.setInsertionPointToStart(partial.thenBlock());
    oneByOne(from, count, zero);
    b.setInsertionPointToStart(partial.elseBlock());
    loop(zero, whole, registerLanes, [&](Value d) { square(lane, d); });
    oneByOne(from, to, whole);
    b.setInsertionPointAfter(partial);
  }
}

void AttentionBlocks::clear(Value matrix) {
  loop(e.constant(0), e.constant(plan.width * plan.lanes), registerLanes,
       [&](Value i) { write(real(0), at(matrix, i)); });
}

void AttentionBlocks::gather(Value matrix, Place from, Value first, Value count, double scale) {
  when(isBelow(count, e.constant(plan.lanes)), [&] { clear(matrix); });
  bySquares(
      count, e.constant(plan.width),
      [&](int64_t lane, Value d) {
        Vectors square;
        for (int64_t i = 0; i < registerLanes; ++i)
          square.push_back(readVector(at(at(from, e.add(first, e.constant(lane + i))), d)));
        for (auto [i, row] : llvm::enumerate(turnSquare(b, square)))
          write(scaled(row, scale), at(rowOf(matrix, e.add(d, e.constant(i))), lane));
      },
      [&](Value lane, Value d) {
        Value read = readNumber(at(at(from, e.add(first, lane)), d));
        e.storeRaw(scaled(read, scale), at(rowOf(matrix, d), lane), 4);
      });
}

void AttentionBlocks::scatter(Value matrix, Place to, Value first, Value count, double scale) {
  bySquares(
      count, e.constant(plan.width),
      [&](int64_t lane, Value d) {
        Vectors square;
        for (int64_t i = 0; i < registerLanes; ++i)
          square.push_back(scaled(readVector(at(rowOf(matrix, e.add(d, e.constant(i))), lane)), scale));
        for (auto [i, row] : llvm::enumerate(turnSquare(b, square)))
          write(row, at(at(to, e.add(first, e.constant(lane + i))), d));
      },
      [&](Value lane, Value d) {
        Value read = readNumber(at(rowOf(matrix, d), lane));
        e.storeRaw(scaled(read, scale), at(at(to, e.add(first, lane)), d), 4);
      });
}
