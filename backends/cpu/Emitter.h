// Emission of one kernel function: `void kernel(ptr closure, i64 begin, i64 end)`.
//
// The closure is an array of 8-byte slots: pointers to tensors and sizes, in the order in which the code asks for them.
// Expressions of a nest are evaluated at a point: some dimensions are i64 scalars, at most one is a vector of
// consecutive indices. A value stays a scalar until it meets a vector.
#pragma once
#include "backends/cpu/Pieces.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::bigm::cpu {

/// What a closure slot holds: a tensor's memory, the nest's scratch memory, or a size.
struct Slot {
  enum Kind { Tensor, Result, Scratch, Size } kind = Size;
  Value tensor;        // Tensor
  unsigned result = 0; // Result: number of the nest's result
  AffineExpr size;     // Size: over the function's symbols
  bool operator==(const Slot &o) const {
    return kind == o.kind && tensor == o.tensor && result == o.result && size == o.size;
  }
};

/// Where an expression is evaluated.
struct Point {
  SmallVector<Value> dims;  // i64 by dimension; the vector dimension's is that of lane 0
  int vectorDim = -1;       // no vector: scalars
  Value mask;               // vector<lanes x i1> of the lanes that count; all without
  unsigned count = 0;       // with a mask: the first lanes that are in it, where that is known
};

class Emitter {
public:
  Emitter(const Schedule &schedule, const Target &target, ImplicitLocOpBuilder &builder);

  /// Opens a kernel function; `begin` and `end` are its range. Slots are shared by all functions of the nest.
  LLVM::LLVMFuncOp openFunction(StringRef name);
  void closeFunction();
  Value begin, end;
  SmallVector<Slot> slots;

  // Scalars, i64.
  Value constant(int64_t value);
  Value evaluate(AffineExpr expr, ArrayRef<Value> dims = {}, ValueRange at = {}, int vectorDim = -1);
  Value add(Value a, Value b);
  Value mul(Value a, Value b);
  Value sub(Value a, Value b);
  Value minimum(Value a, Value b);
  /// The lowest digit of a number in base `size`; the number without it stays in `rest`.
  Value digit(Value &rest, AffineExpr size);

  /// Loop from `from` to `to` by `step`; the builder stands behind it afterwards.
  void loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body);

  // Vectors.
  VectorType vectorOf(Type element);
  Value splat(Value scalar);
  /// Lanes below `count` (i64).
  Value maskBelow(Value count);

  /// What is known of dimensions where code is emitted now: guards that it decides are not tested.
  SmallVector<Within> within;
  /// Constraints, `>= 0`, that hold there.
  SmallVector<AffineExpr> satisfied;
  /// Evaluates the ops of a block of the nest; `arguments` are the block's. Returns what it yields: scalars or vectors.
  SmallVector<Value> emitBlock(Block &block, const Point &point, ValueRange arguments = {});
  /// Values of loads that were read beforehand; emitBlock takes them from here.
  llvm::DenseMap<Operation *, Value> ready;
  /// Stores the first lanes of a vector, in pieces of powers of two: stores under a mask are slow where the target has no masks.
  void storeFirst(Value value, Value place, unsigned count, unsigned align);
  /// Stores element(s) of result `i` at the point.
  void store(unsigned i, Value value, const Point &point);

  /// The neutral element of a reduction (`argmax` has two registers: value and index).
  SmallVector<Value> identities(unsigned vectors);
  /// Combines the accumulators of one register of each kind with new values at a point.
  SmallVector<Value> combine(ValueRange accumulators, ValueRange values, const Point &point, bool masked);
  /// Combines two sets of accumulators, the first one's elements coming first.
  SmallVector<Value> merge(ValueRange a, ValueRange b);
  /// All lanes into one, in a fixed tree.
  SmallVector<Value> acrossLanes(ValueRange accumulators);
  /// The values for the block `finish`.
  SmallVector<Value> finishArguments(ValueRange accumulators);
  unsigned accumulatorsPerRegister();

  /// The conjunction of constraints: i1 scalar or vector; null when there are none.
  Value emitConstraints(ArrayRef<AffineExpr> exprs, IntegerSet set, const Point &point, ValueRange at);

  Value pointer(const Slot &slot);
  Value elementPointer(Value base, Value index, Type element);
  Value load(Type type, Value pointer, unsigned align);
  void storeRaw(Value value, Value pointer, unsigned align);

  const Schedule &schedule;
  const Target &target;
  ImplicitLocOpBuilder &builder;

private:
  Value slotValue(const Slot &slot);
  Value emitLoad(kernel::LoadOp load, const Point &point, IRMapping &values);
  Value lift(Value value, Type like);
  Value accumulate(StringRef kind, Value a, Value b);

  LLVM::LLVMFuncOp function;
  Block *entry = nullptr;
  llvm::DenseMap<int, Value> loaded; // slot -> value in the entry block of the open function
};

} // namespace mlir::bigm::cpu
