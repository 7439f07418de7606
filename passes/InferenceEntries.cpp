#include "passes/InferenceEntries.h"

using namespace mlir;
using namespace mlir::bigm;

static llvm::SmallDenseSet<int64_t> updatedBy(func::FuncOp func) {
  llvm::SmallDenseSet<int64_t> tensors;
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    if (auto tensor = func.getResultAttrOfType<IntegerAttr>(i, attrs::updates))
      tensors.insert(tensor.getInt());
  return tensors;
}

SmallVector<func::FuncOp> bigm::inferenceEntries(ModuleOp module) {
  llvm::SmallDenseSet<int64_t> predicting;
  for (auto func : module.getOps<func::FuncOp>())
    if (updatedBy(func).empty())
      for (BlockArgument argument : func.getArguments())
        if (auto tensor = func.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), attrs::tensor);
            tensor && !argument.use_empty())
          predicting.insert(tensor.getInt());
  SmallVector<func::FuncOp> entries;
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isPrivate() && llvm::none_of(updatedBy(func), [&](int64_t tensor) { return predicting.contains(tensor); }))
      entries.push_back(func);
  return entries;
}

SteadyValues::SteadyValues(func::FuncOp func) : func(func), updated(updatedBy(func)) {}

bool SteadyValues::isSteadyTensor(BlockArgument argument) const {
  auto tensor = func::FuncOp(func).getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), attrs::tensor);
  return tensor && !updated.contains(tensor.getInt());
}

bool SteadyValues::contains(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return isSteadyTensor(argument);
  auto [it, fresh] = known.try_emplace(value, false);
  if (!fresh)
    return it->second;
  Operation *op = value.getDefiningOp();
  bool steady = isa<BigmDialect>(op->getDialect()) && !isa<SizeOp>(op) &&
                cast<RankedTensorType>(value.getType()).hasStaticShape() &&
                llvm::all_of(op->getOperands(), [&](Value operand) { return contains(operand); });
  if (auto contract = dyn_cast<ContractOp>(op))
    steady &= llvm::all_of(contract.iterationSizes(), [](AffineExpr size) { return isa<AffineConstantExpr>(size); });
  return known[value] = steady;
}
