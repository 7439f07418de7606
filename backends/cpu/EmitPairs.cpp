// Nests that write pairs of what they read from two places: panels for instructions that add products of pairs.
//
// Written element by element along the pair such a nest would gather two at a time. Here two vectors are read, one for
// each half of the pairs, and interleaved on their way to memory: 1024^2 bf16 took 0.8 ms an element at a time.
#include "backends/cpu/EmitNest.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

SmallVector<Launch> cpu::emitPairs(Emitter &e, const std::string &name) {
  const Schedule &s = e.schedule;
  ImplicitLocOpBuilder &b = e.builder;
  NestOp nest = s.nest;
  e.openFunction(name);
  e.loop(e.begin, e.end, 1, [&](Value unit) {
    Point point;
    point.dims.assign(nest.dims(), Value());
    Value rest = unit;
    // The innermost of the other loops runs inside of a unit, in blocks.
    Value from = e.constant(0), to = e.constant(1);
    if (!s.outer.empty()) {
      AffineExpr size = s.outer.back().size;
      AffineExpr blocks = (size + (Schedule::pairsBlock - 1)).floorDiv(Schedule::pairsBlock);
      from = e.mul(e.digit(rest, blocks), e.constant(Schedule::pairsBlock));
      to = e.minimum(e.add(from, e.constant(Schedule::pairsBlock)), e.evaluate(size));
      for (const Loop &loop : llvm::reverse(ArrayRef(s.outer).drop_back()))
        point.dims[loop.dim] = e.digit(rest, loop.size);
    }
    point.vectorDim = s.vector->dim;
    e.loop(from, to, 1, [&](Value inside) {
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
