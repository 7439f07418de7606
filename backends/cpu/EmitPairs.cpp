// Nests that write pairs of what they read from two places: panels for instructions that add products of pairs.
//
// Written element by element along the pair such a nest would gather two at a time. Here two vectors are read, one for
// each half of the pairs, and interleaved on their way to memory: 1024^2 bf16 took 0.8 ms an element at a time.
#include "backends/cpu/EmitNest.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

SmallVector<Launch> cpu::emitPairs(Emitter &e, const std::string &name) {
  const Schedule &s = e.schedule;
  ImplicitLocOpBuilder &b = e.builder;
  NestOp nest = s.nest;
  auto over = [&](Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body) {
    auto loop = scf::ForOp::create(b, from, to, e.constant(step));
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
    b.setInsertionPointAfter(loop);
  };
  e.openFunction(name);
  over(e.begin, e.end, 1, [&](Value unit) {
    Point point;
    point.dims.assign(nest.dims(), Value());
    Value rest = unit;
    auto digit = [&](AffineExpr size) {
      if (constantOf(size) == 1)
        return e.constant(0);
      Value count = e.evaluate(size);
      Value value = arith::RemUIOp::create(b, rest, count);
      rest = arith::DivUIOp::create(b, rest, count);
      return value;
    };
    // The innermost of the other loops runs inside of a unit, in blocks.
    Value from = e.constant(0), to = e.constant(1);
    if (!s.outer.empty()) {
      AffineExpr size = s.outer.back().size;
      from = e.mul(digit((size + (Schedule::pairsBlock - 1)).floorDiv(Schedule::pairsBlock)), e.constant(Schedule::pairsBlock));
      to = e.minimum(e.add(from, e.constant(Schedule::pairsBlock)), e.evaluate(size));
      for (const Loop &loop : llvm::reverse(ArrayRef(s.outer).drop_back()))
        point.dims[loop.dim] = digit(loop.size);
    }
    point.vectorDim = s.vector->dim;
    over(from, to, 1, [&](Value inside) {
      if (!s.outer.empty())
        point.dims[s.outer.back().dim] = inside;
      for (int64_t at = 0; at < *constantOf(s.vector->size); at += e.target.lanes) {
        point.dims[s.vector->dim] = e.constant(at);
        SmallVector<Value> halves;
        for (int64_t half : {0, 1}) {
          point.dims[s.pair->dim] = e.constant(half);
          Value value = e.emitBlock(nest.getBody().front(), point).front();
          halves.push_back(isa<VectorType>(value.getType()) ? value : e.splat(value));
        }
        point.dims[s.pair->dim] = e.constant(0);
        Value pairs = vector::InterleaveOp::create(b, halves[0], halves[1]);
        Type element = cast<RankedTensorType>(nest.getResult(0).getType()).getElementType();
        Value place = e.elementPointer(e.pointer({Slot::Result, {}, 0, {}}), e.evaluate(s.stores[0], point.dims), element);
        e.storeRaw(pairs, place, element.getIntOrFloatBitWidth() / 8);
      }
    });
  });
  e.closeFunction();
  return {{name, s.units, s.cost}};
}
