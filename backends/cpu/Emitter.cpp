#include "backends/cpu/Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

Emitter::Emitter(const Schedule &schedule, const Target &target, ImplicitLocOpBuilder &builder)
    : schedule(schedule), target(target), builder(builder) {}

LLVM::LLVMFuncOp Emitter::openFunction(StringRef name) {
  MLIRContext *context = builder.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          {pointer, builder.getI64Type(), builder.getI64Type()});
  // Of the library alone; the same kernel in two libraries that are linked into one program is one.
  function = LLVM::LLVMFuncOp::create(builder, name, type, LLVM::Linkage::WeakODR);
  function.setVisibility_(LLVM::Visibility::Hidden);
  entry = function.addEntryBlock(builder);
  begin = entry->getArgument(1), end = entry->getArgument(2);
  loaded.clear();
  builder.setInsertionPointToEnd(entry);
  return function;
}

void Emitter::closeFunction() {
  LLVM::ReturnOp::create(builder, ValueRange());
  builder.setInsertionPointAfter(function);
}

// ---------------------------------------------------------------- scalars

Value Emitter::slotValue(const Slot &slot) {
  auto it = llvm::find(slots, slot);
  int position = it - slots.begin();
  if (it == slots.end())
    slots.push_back(slot);
  Value &value = loaded[position];
  if (!value) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(entry);
    auto pointerType = LLVM::LLVMPointerType::get(builder.getContext());
    Value place = LLVM::GEPOp::create(builder, pointerType, builder.getI64Type(), entry->getArgument(0),
                                      ArrayRef<LLVM::GEPArg>{position});
    Type type = slot.kind == Slot::Size ? Type(builder.getI64Type()) : Type(pointerType);
    value = LLVM::LoadOp::create(builder, type, place, 8, /*isVolatile=*/false, /*isNonTemporal=*/false,
                                 /*isInvariant=*/true);
  }
  return value;
}
Value Emitter::pointer(const Slot &slot) { return slotValue(slot); }

Value Emitter::constant(int64_t value) {
  return arith::ConstantOp::create(builder, builder.getI64IntegerAttr(value));
}
static std::optional<int64_t> known(Value value) {
  APInt result;
  return matchPattern(value, m_ConstantInt(&result)) ? std::optional(result.getSExtValue()) : std::nullopt;
}
Value Emitter::add(Value a, Value b) {
  if (known(a) == 0)
    return b;
  if (known(b) == 0)
    return a;
  if (known(a) && known(b))
    return constant(*known(a) + *known(b));
  return arith::AddIOp::create(builder, a, lift(b, a.getType()));
}
Value Emitter::sub(Value a, Value b) {
  if (known(b) == 0)
    return a;
  return arith::SubIOp::create(builder, a, b);
}
Value Emitter::mul(Value a, Value b) {
  if (known(a) == 1)
    return b;
  if (known(b) == 1)
    return a;
  if (known(a) && known(b))
    return constant(*known(a) * *known(b));
  return arith::MulIOp::create(builder, a, lift(b, a.getType()));
}
Value Emitter::minimum(Value a, Value b) {
  if (known(a) && known(b))
    return constant(std::min(*known(a), *known(b)));
  return arith::MinSIOp::create(builder, a, b);
}

/// Scalars and vectors meet as vectors.
static void alike(Emitter &emitter, Value &a, Value &b) {
  if (isa<VectorType>(a.getType()) && !isa<VectorType>(b.getType()))
    b = emitter.splat(b);
  if (isa<VectorType>(b.getType()) && !isa<VectorType>(a.getType()))
    a = emitter.splat(a);
}

/// Sums and products of dimensions, symbols and numbers that are not negative.
static bool isNotNegative(AffineExpr expr) {
  if (auto number = constantOf(expr))
    return *number >= 0;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  return !binary || (isNotNegative(binary.getLHS()) && isNotNegative(binary.getRHS()));
}

Value Emitter::evaluate(AffineExpr expr, ArrayRef<Value> dims, ValueRange at, int vectorDim) {
  if (auto number = constantOf(expr))
    return constant(*number);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    unsigned own = schedule.nest.symbols();
    if (symbol.getPosition() >= own) {
      Value value = at[symbol.getPosition() - own];
      Type i64 = builder.getI64Type();
      if (auto vector = dyn_cast<VectorType>(value.getType()))
        i64 = vector.clone(i64);
      if (value.getType() == i64)
        return value;
      return arith::ExtSIOp::create(builder, i64, value);
    }
    return slotValue({Slot::Size, {}, 0, expr});
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    Value base = dims[dim.getPosition()];
    if (int(dim.getPosition()) != vectorDim)
      return base;
    SmallVector<int64_t> lanes = llvm::to_vector(llvm::seq<int64_t>(0, target.lanes));
    Value steps = arith::ConstantOp::create(builder, builder.getI64VectorAttr(lanes));
    return arith::AddIOp::create(builder, splat(base), steps);
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  // A size of the function alone is one slot: nothing is computed per call of the kernel.
  Value a = evaluate(binary.getLHS(), dims, at, vectorDim), b = evaluate(binary.getRHS(), dims, at, vectorDim);
  alike(*this, a, b);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return add(a, b);
  case AffineExprKind::Mul:
    return mul(a, b);
  case AffineExprKind::FloorDiv:
  case AffineExprKind::Mod: {
    if (isNotNegative(binary.getLHS())) {
      if (expr.getKind() == AffineExprKind::Mod)
        return arith::RemUIOp::create(builder, a, b);
      return arith::DivUIOp::create(builder, a, b);
    }
    // Numerators may be negative where a guard then fails: divide as floor does.
    Value quotient = arith::FloorDivSIOp::create(builder, a, b);
    if (expr.getKind() == AffineExprKind::FloorDiv)
      return quotient;
    Value rest = arith::SubIOp::create(builder, a, arith::MulIOp::create(builder, quotient, b));
    return rest;
  }
  default:
    llvm_unreachable("symbols, dimensions and constants are handled above");
  }
}

// ---------------------------------------------------------------- vectors and memory

Value Emitter::digit(Value &rest, AffineExpr size) {
  if (constantOf(size) == 1)
    return constant(0);
  Value count = evaluate(size), value = arith::RemUIOp::create(builder, rest, count);
  rest = arith::DivUIOp::create(builder, rest, count);
  return value;
}

void Emitter::loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body) {
  auto over = scf::ForOp::create(builder, from, to, constant(step));
  builder.setInsertionPointToStart(over.getBody());
  body(over.getInductionVar());
  builder.setInsertionPointAfter(over);
}

VectorType Emitter::vectorOf(Type element) { return VectorType::get({int64_t(target.lanes)}, element); }
Value Emitter::splat(Value scalar) {
  if (isa<VectorType>(scalar.getType()))
    return scalar;
  Attribute attr;
  if (matchPattern(scalar, m_Constant(&attr)))
    return arith::ConstantOp::create(builder, SplatElementsAttr::get(vectorOf(scalar.getType()), attr));
  return vector::BroadcastOp::create(builder, vectorOf(scalar.getType()), scalar);
}
Value Emitter::lift(Value value, Type like) {
  return isa<VectorType>(like) ? splat(value) : value;
}
Value Emitter::maskBelow(Value count) {
  SmallVector<int32_t> lanes = llvm::to_vector(llvm::seq<int32_t>(0, target.lanes));
  Value steps = arith::ConstantOp::create(builder, builder.getI32VectorAttr(lanes));
  Value bound = minimum(count, constant(target.lanes));
  bound = arith::TruncIOp::create(builder, builder.getI32Type(), bound);
  return arith::CmpIOp::create(builder, arith::CmpIPredicate::slt, steps, splat(bound));
}

Value Emitter::elementPointer(Value base, Value index, Type element) {
  Type pointer = base.getType();
  if (auto vector = dyn_cast<VectorType>(index.getType()))
    pointer = LLVM::getVectorType(pointer, vector.getNumElements());
  return LLVM::GEPOp::create(builder, pointer, element, base, ArrayRef<LLVM::GEPArg>{index});
}
Value Emitter::load(Type type, Value pointer, unsigned align) {
  return LLVM::LoadOp::create(builder, type, pointer, align);
}
void Emitter::storeRaw(Value value, Value pointer, unsigned align) {
  LLVM::StoreOp::create(builder, value, pointer, align);
}

/// The type of an element in memory: a bool is a byte.
static Type memoryType(Type element) {
  return element.isInteger(1) ? IntegerType::get(element.getContext(), 8) : element;
}

Value Emitter::emitConstraints(ArrayRef<AffineExpr> exprs, IntegerSet set, const Point &point, ValueRange at) {
  Value all;
  for (auto [i, expr] : llvm::enumerate(exprs)) {
    bool equality = set.isEq(i);
    if (auto number = constantOf(expr)) {
      if (equality ? *number == 0 : *number >= 0)
        continue;
    }
    if (!equality && llvm::is_contained(satisfied, expr))
      continue;
    std::optional<bool> decided;
    for (const Within &piece : within)
      if (auto holds = holdsWithin(expr, equality, piece))
        decided = holds;
    if (decided && *decided)
      continue;
    if (decided)
      return arith::ConstantOp::create(builder, builder.getBoolAttr(false));
    Value value = evaluate(expr, point.dims, at, point.vectorDim);
    Value zero = lift(constant(0), value.getType());
    Value holds = arith::CmpIOp::create(builder, equality ? arith::CmpIPredicate::eq : arith::CmpIPredicate::sge,
                                        value, zero);
    if (all) {
      alike(*this, all, holds);
      holds = arith::AndIOp::create(builder, all, holds);
    }
    all = holds;
  }
  return all;
}

Value Emitter::emitLoad(LoadOp load, const Point &point, IRMapping &values) {
  ArrayRef<AffineExpr> exprs = schedule.exprs.find(load)->second;
  SmallVector<Value> at;
  bool atVector = false;
  for (Value value : load.getAt()) {
    at.push_back(values.lookup(value));
    atVector |= isa<VectorType>(at.back().getType());
  }
  Value guard;
  if (load.getInside())
    guard = emitConstraints(exprs.drop_front(), *load.getInside(), point, at);
  Value otherwise = load.getOtherwise() ? values.lookup(load.getOtherwise()) : Value();
  if (guard && matchPattern(guard, m_Zero()))
    return otherwise;
  if (!guard)
    otherwise = {};

  Value base = pointer({Slot::Tensor, load.getTensor(), 0, {}});
  Type element = scalarType(load.getTensor().getType()), memory = memoryType(element);
  unsigned align = elementBytes(load.getTensor().getType());
  auto decode = [&](Value value) -> Value {
    if (!element.isInteger(1))
      return value;
    Value zero = arith::ConstantOp::create(builder, builder.getZeroAttr(value.getType()));
    return arith::CmpIOp::create(builder, arith::CmpIPredicate::ne, value, zero);
  };

  std::optional<AffineExpr> step = getAffineConstantExpr(0, builder.getContext());
  if (point.vectorDim >= 0)
    step = coefficientOf(exprs[0], point.vectorDim);
  bool uniform = step && constantOf(*step) == 0 && !atVector;
  if (uniform && (!guard || !isa<VectorType>(guard.getType()))) {
    Value index = evaluate(exprs[0], point.dims, at);
    // Every tensor has an element 0, so a place outside becomes 0 and the value is dropped.
    if (guard)
      index = arith::SelectOp::create(builder, guard, index, constant(0));
    Value value = decode(this->load(memory, elementPointer(base, index, memory), align));
    if (guard) {
      if (isa<VectorType>(otherwise.getType()))
        guard = splat(guard), value = splat(value);
      value = arith::SelectOp::create(builder, guard, value, otherwise);
    }
    return value;
  }

  Value mask = point.mask;
  if (guard) {
    guard = splat(guard);
    mask = mask ? arith::AndIOp::create(builder, mask, guard).getResult() : guard;
  }
  Value value;
  VectorType type = vectorOf(memory);
  if (step && constantOf(*step) == 1 && !atVector) {
    Value place = elementPointer(base, evaluate(exprs[0], point.dims, at), memory);
    if (mask) {
      Value zeros = arith::ConstantOp::create(builder, builder.getZeroAttr(type));
      value = LLVM::MaskedLoadOp::create(builder, type, place, mask, zeros, align);
    } else {
      value = this->load(type, place, align);
    }
  } else {
    Value index = splat(evaluate(exprs[0], point.dims, at, point.vectorDim));
    Value places = elementPointer(base, index, memory);
    if (!mask)
      mask = arith::ConstantOp::create(builder, DenseElementsAttr::get(vectorOf(builder.getI1Type()), true));
    Value zeros = arith::ConstantOp::create(builder, builder.getZeroAttr(type));
    value = LLVM::masked_gather::create(builder, type, places, mask, ValueRange(zeros),
                                        builder.getI32IntegerAttr(align));
  }
  value = decode(value);
  if (guard)
    value = arith::SelectOp::create(builder, guard, value, splat(otherwise));
  return value;
}

SmallVector<Value> Emitter::emitBlock(Block &block, const Point &point, ValueRange arguments) {
  IRMapping values;
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    values.map(argument, value);
  SmallVector<Value> yielded;
  for (Operation &op : block) {
    if (auto yield = dyn_cast<YieldOp>(op)) {
      for (Value value : yield.getValues())
        yielded.push_back(values.lookup(value));
      break;
    }
    if (auto load = dyn_cast<LoadOp>(op)) {
      auto it = ready.find(&op);
      values.map(load.getResult(), it != ready.end() ? it->second : emitLoad(load, point, values));
      continue;
    }
    if (auto index = dyn_cast<IndexOp>(op)) {
      values.map(index.getResult(),
                 evaluate(schedule.exprs.find(&op)->second[0], point.dims, {}, point.vectorDim));
      continue;
    }
    if (auto test = dyn_cast<TestOp>(op)) {
      Value holds = emitConstraints(schedule.exprs.find(&op)->second, test.getSet(), point, {});
      if (!holds)
        holds = arith::ConstantOp::create(builder, builder.getBoolAttr(true));
      values.map(test.getResult(), holds);
      continue;
    }
    bool anyVector = llvm::any_of(op.getOperands(), [&](Value operand) {
      return isa<VectorType>(values.lookup(operand).getType());
    });
    Operation *clone = builder.clone(op, values);
    if (anyVector) {
      builder.setInsertionPoint(clone);
      for (OpOperand &operand : clone->getOpOperands())
        operand.set(splat(operand.get()));
      for (Value result : clone->getResults())
        result.setType(vectorOf(result.getType()));
      builder.setInsertionPointAfter(clone);
    }
    values.map(op.getResults(), clone->getResults());
  }
  return yielded;
}

void Emitter::storeFirst(Value value, Value place, unsigned count, unsigned align) {
  Type element = cast<VectorType>(value.getType()).getElementType();
  unsigned at = 0;
  for (unsigned piece = llvm::bit_floor(count); count; count -= piece, piece = llvm::bit_floor(count)) {
    Value part = piece == target.lanes ? value
                                       : vector::ExtractStridedSliceOp::create(builder, value, {int64_t(at)}, {int64_t(piece)}, {1}).getResult();
    storeRaw(part, elementPointer(place, constant(at), element), align);
    at += piece;
  }
}

void Emitter::store(unsigned i, Value value, const Point &point) {
  Value result = schedule.nest->getResult(i);
  Type element = scalarType(result.getType()), memory = memoryType(element);
  unsigned align = elementBytes(result.getType());
  Value base = pointer({Slot::Result, {}, i, {}});
  if (point.vectorDim >= 0)
    value = splat(value);
  if (element.isInteger(1)) {
    Type wide = point.vectorDim >= 0 ? Type(vectorOf(memory)) : memory;
    value = arith::ExtUIOp::create(builder, wide, value);
  }
  AffineExpr expr = schedule.stores[i];
  if (point.vectorDim < 0) {
    storeRaw(value, elementPointer(base, evaluate(expr, point.dims), memory), align);
    return;
  }
  auto step = coefficientOf(expr, point.vectorDim);
  if (step && constantOf(*step) == 1) {
    Value place = elementPointer(base, evaluate(expr, point.dims), memory);
    if (point.mask && point.count && !target.masks)
      storeFirst(value, place, point.count, align);
    else if (point.mask)
      LLVM::MaskedStoreOp::create(builder, value, place, point.mask, align);
    else
      storeRaw(value, place, align);
    return;
  }
  Value places = elementPointer(base, evaluate(expr, point.dims, {}, point.vectorDim), memory);
  Value mask = point.mask;
  if (!mask)
    mask = arith::ConstantOp::create(builder, DenseElementsAttr::get(vectorOf(builder.getI1Type()), true));
  LLVM::masked_scatter::create(builder, value, places, mask, builder.getI32IntegerAttr(align));
}
