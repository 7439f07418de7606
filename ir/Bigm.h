// The bigm dialect: types of its ops and the helpers that go with them.
#pragma once
#include "ir/Dims.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::bigm {
LogicalResult verifySizedTypes(Operation *op);

/// Checks the encodings of operands and results.
template <class Concrete> class SizedTypes : public OpTrait::TraitBase<Concrete, SizedTypes> {
public:
  static LogicalResult verifyTrait(Operation *op) { return verifySizedTypes(op); }
};
/// The derivative is zero wherever it exists.
template <class Concrete> class ZeroGradient : public OpTrait::TraitBase<Concrete, ZeroGradient> {};

/// Names of attributes on functions, their arguments and their results.
namespace attrs {
constexpr llvm::StringLiteral symbols("bigm.symbols"), name("bigm.name"), role("bigm.role"), tensor("bigm.tensor"),
    updates("bigm.updates"), prepared("bigm.prepared"),
    again("bigm.again"); // of what is computed again behind so many heavy ops: no duplicate of the original
}

/// How many symbols the sizes in a function are over: the names in its `bigm.symbols`, 0 without.
unsigned symbolCount(Operation *function);
/// The folder of all pointwise ops: what x * 1, x + 0, -(-x) and their like are.
OpFoldResult foldPointwise(Operation *op);
/// The number when every element of the value is one known number.
std::optional<double> splatNumber(Value value);
/// A constant of the given tensor type.
Value constant(OpBuilder &builder, Location loc, Type type, double number);
/// `x` reduced, transposed or folded so that it becomes the adjoint of a view: result[i] = sum of x[d] with map(d) = i.
/// Uses reduce_sum, view and pad where they do, which every backend runs faster than a general fold.
Value buildFold(OpBuilder &builder, Location loc, Value x, AffineMap map, RankedTensorType result);
/// The same, or nothing when a fold is needed: the map uses every dimension of x and is no strided placement.
Value buildPlainFold(OpBuilder &builder, Location loc, Value x, AffineMap map, RankedTensorType result);
/// `x` with the given dimensions (ascending, in the result's numbering) inserted and filled by copies.
Value buildBroadcast(OpBuilder &builder, Location loc, Value x, llvm::ArrayRef<int64_t> dims, RankedTensorType result);
} // namespace mlir::bigm

#include "ir/BigmDialect.h.inc"
#include "ir/BigmInterfaces.h.inc"
#define GET_OP_CLASSES
#include "ir/BigmOps.h.inc"
