// bf16 and f16 are ways to keep numbers, not to compute with them: a nest reads them, computes and sums in f32, and
// rounds once, where it writes. Runs on fused nests, so that what passes between fused ops is not rounded either: as
// exact as op by op or better, and a conversion an element read or written is all it costs.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_WIDENFLOATS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
bool isNarrow(Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() == 16; }

/// A nest that only moves elements needs no arithmetic.
bool isCopy(NestOp nest) {
  return !nest.reduces() && llvm::all_of(nest.getBody().front(), [](Operation &op) {
    return isa<LoadOp, YieldOp, IndexOp, TestOp, arith::ConstantOp>(op);
  });
}

struct WidenFloats : bigm::impl::WidenFloatsBase<WidenFloats> {
  void runOnOperation() override {
    getOperation().walk([&](NestOp nest) {
      if (isCopy(nest))
        return;
      for (Region *region : {&nest.getBody(), &nest.getFinish()})
        if (!region->empty())
          widen(nest, region->front());
    });
  }

  void widen(NestOp nest, Block &block) {
    OpBuilder builder(nest.getContext());
    Type f32 = builder.getF32Type();
    for (BlockArgument argument : block.getArguments())
      if (isNarrow(argument.getType()))
        argument.setType(f32);
    for (Operation &op : llvm::make_early_inc_range(block)) {
      builder.setInsertionPoint(&op);
      if (auto load = dyn_cast<LoadOp>(op)) {
        // What is given outside the tensor has the tensor's type.
        Value otherwise = load.getOtherwise();
        if (otherwise && otherwise.getType() != load.getType())
          load.getOtherwiseMutable().assign(arith::TruncFOp::create(builder, op.getLoc(), load.getType(), otherwise));
        if (isNarrow(load.getType()))
          extend(builder, load.getResult());
      } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        if (auto number = dyn_cast<FloatAttr>(constant.getValue()); number && isNarrow(number.getType()))
          constant.getResult().replaceAllUsesWith(
              arith::ConstantOp::create(builder, op.getLoc(), builder.getF32FloatAttr(number.getValueAsDouble())));
      } else if (auto wider = dyn_cast<arith::ExtFOp>(op); wider && wider.getIn().getType() == wider.getType()) {
        wider.replaceAllUsesWith(wider.getIn());
        wider.erase();
      } else if (auto rounded = dyn_cast<arith::TruncFOp>(op); rounded && isNarrow(rounded.getType())) {
        extend(builder, rounded.getResult()); // the program asks for the rounding
      } else if (auto yield = dyn_cast<YieldOp>(op)) {
        if (&block == &nest.last())
          for (auto [i, type] : llvm::enumerate(nest.getResultTypes()))
            if (Type element = scalarType(type); yield.getOperand(i).getType() != element)
              yield.setOperand(i, arith::TruncFOp::create(builder, op.getLoc(), element, yield.getOperand(i)));
      } else {
        for (Value result : op.getResults())
          if (isNarrow(result.getType()))
            result.setType(f32);
      }
    }
  }

  static void extend(OpBuilder &builder, Value narrow) {
    builder.setInsertionPointAfterValue(narrow);
    auto wide = arith::ExtFOp::create(builder, narrow.getLoc(), builder.getF32Type(), narrow);
    narrow.replaceAllUsesExcept(wide, wide);
  }
};
} // namespace
