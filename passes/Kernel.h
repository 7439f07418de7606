// The kernel dialect and the questions that passes ask of its nests.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "passes/KernelDialect.h.inc"
namespace mlir {
class PatternRewriter;
}
#define GET_OP_CLASSES
#include "passes/KernelOps.h.inc"

namespace mlir::bigm::kernel {

/// Whether the op computes its results when its turn comes, rather than name memory that is there.
bool isKernel(Operation *op);

/// The tensor type's element as it stands in a register: signless.
Type scalarType(Type tensor);
/// Bytes of one element in memory; a bool takes one.
int64_t elementBytes(Type tensor);

/// A new nest without ops in its regions; `finish` gets its arguments. The caller fills both and yields.
NestOp createNest(OpBuilder &builder, Location loc, ArrayRef<Type> results, ArrayRef<AffineExpr> sizes,
                  unsigned symbols, unsigned parallel, ArrayRef<StringRef> kinds = {}, ArrayRef<Type> reduced = {});

/// A nest that copies a tensor into a layout (row-major without).
NestOp createCopy(OpBuilder &builder, Value tensor, unsigned symbols, ArrayRef<int64_t> layout = {});
/// Sets the layout of one result.
void setLayout(NestOp nest, unsigned result, ArrayRef<int64_t> layout);

/// On an argument of a function: the order of its dimensions in memory; row-major without.
constexpr llvm::StringLiteral layoutAttr("kernel.layout");
/// Attribute of a nest with one result that lies in the middle of a larger tensor of zeros: of each dimension how many are
/// before it and behind it.
constexpr llvm::StringLiteral marginsAttr("margins");
/// Attribute of nests that run together, slice by slice (backends/cpu/Chains.h): an array that begins with the number of
/// their chain. What one of them makes or reads is alive as long as the chain runs.
constexpr llvm::StringLiteral chainAttr("chain");

/// The order in memory of any tensor value (nest result, alias, argument).
SmallVector<int64_t> layoutOf(Value tensor);
/// The row-major strides of a tensor in its layout, by logical dimension, in elements.
SmallVector<AffineExpr> stridesOf(Value tensor);
/// The value whose memory a tensor is: looks through aliases.
Value rootOf(Value tensor);

} // namespace mlir::bigm::kernel
