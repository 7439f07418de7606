// Which functions of a program are for inference, and what in them does not change between calls.
//
// A tensor is steady for a function when the function does not update it. A function is for inference when it updates
// no tensor that a function without updates reads: an evaluation adds to its metrics and is one, a train step changes
// weights that predictions read and is none. What depends on steady tensors alone is worth computing once, ahead of the
// calls of inference; a train step would spoil it with each call.
#pragma once
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::bigm {

/// On a product of weights and a scale that fold-scales made: it is computed once, so sink-scales leaves it and takes the mark away.
constexpr llvm::StringLiteral foldedAttr("bigm.folded");

/// The functions for inference, in the module's order; steps of scans are none.
SmallVector<func::FuncOp> inferenceEntries(ModuleOp module);

/// Answers whether values of one function depend on steady tensors and constants alone.
class SteadyValues {
public:
  explicit SteadyValues(func::FuncOp func);
  /// Looks through bigm ops; sizes that are symbols of the function are not steady.
  bool contains(Value value);
  /// Whether the argument is a persistent tensor that the function does not update.
  bool isSteadyTensor(BlockArgument argument) const;

private:
  func::FuncOp func;
  llvm::SmallDenseSet<int64_t> updated;
  llvm::DenseMap<Value, bool> known;
};

} // namespace mlir::bigm
