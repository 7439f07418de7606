// Panels for the register-blocked kernel.
//
// The kernel reads its vector operand a block of columns at a time, for all of the sum. In a row-major operand every step
// of the sum then lies a row further: another page, and for rows of 1 KiB or more the same few sets of the cache. Packed as
// [column / width][sum][width] a block is one run of memory. The same holds for the rows of the other operand when the sum
// walks through it in long strides (x^T g). One core on a product of 1024^3: 64 GFLOP/s without panels, 161 with; x^T g
// 46 and 153.
//
// Packing is a nest of its own, in front of the contraction: what packs weights depends on nothing else and can be hoisted.
// Runs after choose-layout and before plan-memory, because the width is that of the target's block.
#pragma once
#include "backends/cpu/Target.h"
#include "passes/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::bigm::cpu {

/// Winograd's filtering, tiles of AMX and instructions for words want operands in forms of their own: makes these, and marks the
/// contractions that run so.
void transformOperands(func::FuncOp func, const Target &target);
/// Packs the operands of all other contractions in panels where that pays.
void packOperands(func::FuncOp func, const Target &target);

/// Packs both operands of a product of f32 or bf16 for the tiles of AMX (PackTiles.cpp) and marks it; whether it did.
bool packTiles(kernel::NestOp nest, unsigned symbols);
/// Packs the operands of a product of bf16 or of eight bits for instructions that add up products of neighbours (PackDots.cpp) and
/// marks it; whether it did.
bool packDots(kernel::NestOp nest, const Target &target, unsigned symbols);

/// A copy of what the load reads, which it then reads. `sizes` are those of the copy; `dims` says of each dimension of the
/// contraction where the copy's element stands in it, zeros stand where one of `inside` is negative. The load's map is left to
/// the caller. Its elements are those of the load, or `convert` makes ones of the type `element` of them.
/// What made the operand by a copy is passed over, or with `throughCopy` false read.
Value packBy(kernel::NestOp nest, kernel::LoadOp load, ArrayRef<AffineExpr> sizes, ArrayRef<AffineExpr> dims,
             ArrayRef<AffineExpr> inside, unsigned symbols, Type element = {},
             llvm::function_ref<Value(OpBuilder &, Value)> convert = {}, bool throughCopy = true);
/// The same where `places` says which element of the tensor the copy has.
Value packAt(kernel::NestOp nest, kernel::LoadOp load, ArrayRef<AffineExpr> sizes, SmallVector<AffineExpr> places,
             ArrayRef<AffineExpr> inside, unsigned symbols, Type element = {},
             llvm::function_ref<Value(OpBuilder &, Value)> convert = {}, bool throughCopy = true);

/// Whether every index is a dimension of its own or a constant.
bool isPlain(llvm::ArrayRef<AffineExpr> indices);
/// Whether the load reads, as it lies or by a copy, a tensor that calls do not change.
bool isSteady(kernel::LoadOp load);

/// The load of a nest that only copies, when the tensor is the result of one.
kernel::LoadOp copiedBy(Value tensor);
/// The tensor to read in place of what `load` reads: what `copy`, the copy that made it, reads itself, `places` becoming those
/// in it. Without a copy both stay.
Value behindCopy(kernel::LoadOp load, kernel::LoadOp copy, SmallVectorImpl<AffineExpr> &places);
/// Erases the nest of a copy that nothing reads any more; there may be none.
void eraseUnread(kernel::LoadOp copy);

} // namespace mlir::bigm::cpu
