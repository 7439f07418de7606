// Accumulators of reductions: their neutral elements and how they combine, lane by lane, across lanes and across parts.
#include "backends/cpu/Emitter.h"
#include "backends/cpu/Windows.h"
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

static bool isArg(StringRef kind) { return kind.starts_with("arg"); }
/// Types of what the body yields.
static SmallVector<Type> bodyTypes(NestOp nest) {
  return llvm::to_vector(nest.getBody().front().getTerminator()->getOperandTypes());
}
static StringRef kindOf(NestOp nest, unsigned i) { return cast<StringAttr>(nest.getKinds()[i]).getValue(); }

unsigned Emitter::accumulatorsPerRegister() {
  unsigned count = 0;
  NestOp nest = schedule.nest;
  for (unsigned i = 0; i < nest.getKinds().size(); ++i)
    count += isArg(kindOf(nest, i)) ? 2 : 1;
  return count;
}

SmallVector<Value> Emitter::identities(unsigned vectors) {
  SmallVector<Value> values;
  NestOp nest = schedule.nest;
  for (unsigned v = 0; v < vectors; ++v)
    for (auto [i, type] : llvm::enumerate(bodyTypes(nest))) {
      StringRef kind = kindOf(nest, i);
      Value one = arith::ConstantOp::create(builder, formula::element(type, identityOf(kind)));
      values.push_back(schedule.vector ? splat(one) : one);
      if (isArg(kind)) {
        // Where nothing is better than the identity (all are, or all are NaN), the first element is the answer.
        Value none = arith::ConstantOp::create(builder, builder.getI32IntegerAttr(0));
        values.push_back(schedule.vector ? splat(none) : none);
      }
    }
  return values;
}

Value Emitter::accumulate(StringRef kind, Value a, Value b) {
  bool real = isa<FloatType>(getElementTypeOrSelf(a.getType()));
  if (kind == "sum")
    return real ? Value(arith::AddFOp::create(builder, a, b)) : Value(arith::AddIOp::create(builder, a, b));
  if (kind == "prod")
    return real ? Value(arith::MulFOp::create(builder, a, b)) : Value(arith::MulIOp::create(builder, a, b));
  bool larger = kind == "max";
  Value take = real ? Value(arith::CmpFOp::create(builder, larger ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT,
                                                  b, a))
                    : Value(arith::CmpIOp::create(builder, larger ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt,
                                                  b, a));
  return arith::SelectOp::create(builder, take, b, a);
}

SmallVector<Value> Emitter::merge(ValueRange a, ValueRange b) {
  SmallVector<Value> merged;
  NestOp nest = schedule.nest;
  unsigned at = 0;
  for (unsigned i = 0; at < a.size(); i = (i + 1) % nest.getKinds().size()) {
    StringRef kind = kindOf(nest, i);
    if (!isArg(kind)) {
      merged.push_back(accumulate(kind, a[at], b[at]));
      ++at;
      continue;
    }
    // The better value, and among equals the smaller index.
    bool larger = kind == "argmax";
    bool real = isa<FloatType>(getElementTypeOrSelf(a[at].getType()));
    auto compareValues = [&](arith::CmpFPredicate f, arith::CmpIPredicate n) -> Value {
      return real ? Value(arith::CmpFOp::create(builder, f, b[at], a[at]))
                  : Value(arith::CmpIOp::create(builder, n, b[at], a[at]));
    };
    Value better = compareValues(larger ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT,
                                 larger ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt);
    Value equal = compareValues(arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
    Value earlier = arith::CmpIOp::create(builder, arith::CmpIPredicate::slt, b[at + 1], a[at + 1]);
    Value take = arith::OrIOp::create(builder, better, arith::AndIOp::create(builder, equal, earlier));
    merged.push_back(arith::SelectOp::create(builder, take, b[at], a[at]));
    merged.push_back(arith::SelectOp::create(builder, take, b[at + 1], a[at + 1]));
    at += 2;
  }
  return merged;
}

SmallVector<Value> Emitter::combine(ValueRange accumulators, ValueRange values, const Point &point, bool masked) {
  NestOp nest = schedule.nest;
  SmallVector<Value> elements;
  for (auto [i, value] : llvm::enumerate(values)) {
    elements.push_back(schedule.vector ? splat(value) : value);
    if (isArg(kindOf(nest, i))) {
      // One reduced dimension: its index.
      unsigned dim = nest.getParallel();
      bool alone = constantOf(nest.size(dim)) == 1; // then it has no loop
      Value index = alone ? constant(0) : evaluate(getAffineDimExpr(dim, builder.getContext()), point.dims, {}, point.vectorDim);
      Type i32 = builder.getI32Type();
      if (auto vector = dyn_cast<VectorType>(index.getType()))
        i32 = vector.clone(i32);
      index = arith::TruncIOp::create(builder, i32, index);
      elements.push_back(schedule.vector ? splat(index) : index);
    }
  }
  SmallVector<Value> merged = merge(accumulators, elements);
  if (masked)
    for (auto [value, old] : llvm::zip(merged, accumulators))
      value = arith::SelectOp::create(builder, point.mask, value, old);
  return merged;
}

SmallVector<Value> Emitter::acrossLanes(ValueRange accumulators) {
  SmallVector<Value> values(accumulators);
  for (unsigned width = target.lanes; width > 1; width /= 2) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(0, width / 2));
    SmallVector<int64_t> high = llvm::to_vector(llvm::seq<int64_t>(width / 2, width));
    SmallVector<Value> left, right;
    for (Value value : values) {
      left.push_back(vector::ShuffleOp::create(builder, value, value, low));
      right.push_back(vector::ShuffleOp::create(builder, value, value, high));
    }
    values = merge(left, right);
  }
  for (Value &value : values)
    value = vector::ExtractOp::create(builder, value, ArrayRef<int64_t>{0});
  return values;
}

SmallVector<Value> Emitter::finishArguments(ValueRange accumulators) {
  SmallVector<Value> arguments;
  NestOp nest = schedule.nest;
  unsigned at = 0;
  for (unsigned i = 0; i < nest.getKinds().size(); ++i) {
    at += isArg(kindOf(nest, i));
    arguments.push_back(accumulators[at++]);
  }
  return arguments;
}
