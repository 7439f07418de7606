// Work that depends on weights alone is done once, not on every call.
//
// What fusion left as a kernel of its own although it reads nothing but weights (copies into the layout that a
// contraction wants, scales of a normalisation, weights with such a scale in them) moves to the function `prepare`,
// which the runtime runs when weights have changed. Its results stay where it put them; entries take them as arguments
// in the layouts that were chosen for them. Equal values of several entries are one.
//
// Runs after choose-layout, which makes most of these kernels, and before plan-memory, which then finds their memory
// outside of the arena. What a consumer computes as it reads (fuse-kernels) is no kernel any more and stays.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/InferenceEntries.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_HOISTPREPARE
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// A result may be larger than what it is made of by this factor (Winograd's weights grow by 16/9) and these bytes; a
/// table that a few numbers spread to is cheaper to compute than to keep.
constexpr int64_t growth = 4, freeBytes = int64_t(1) << 20;

int64_t bytesOf(Type tensor) { return cast<RankedTensorType>(tensor).getNumElements() * elementBytes(tensor); }

/// The function's symbols, which come before those of computed places, vanish from all maps of an op; none uses them.
void dropSymbols(Operation *root, unsigned symbols) {
  if (symbols == 0)
    return;
  root->walk([&](Operation *op) {
    MLIRContext *context = op->getContext();
    auto shifted = [&](unsigned count) {
      SmallVector<AffineExpr> replacements(symbols, getAffineConstantExpr(0, context));
      for (unsigned i = symbols; i < count; ++i)
        replacements.push_back(getAffineSymbolExpr(i - symbols, context));
      return replacements;
    };
    for (NamedAttribute attribute : llvm::to_vector(op->getAttrs())) {
      if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue())) {
        AffineMap old = map.getValue();
        unsigned count = old.getNumSymbols();
        if (count >= symbols)
          op->setAttr(attribute.getName(), AffineMapAttr::get(old.replaceDimsAndSymbols(
                                               {}, shifted(count), old.getNumDims(), count - symbols)));
      } else if (auto set = dyn_cast<IntegerSetAttr>(attribute.getValue())) {
        IntegerSet old = set.getValue();
        unsigned count = old.getNumSymbols();
        SmallVector<AffineExpr> dims;
        for (unsigned i = 0; i < old.getNumDims(); ++i)
          dims.push_back(getAffineDimExpr(i, context));
        if (count >= symbols)
          op->setAttr(attribute.getName(), IntegerSetAttr::get(old.replaceDimsAndSymbols(
                                               dims, shifted(count), old.getNumDims(), count - symbols)));
      }
    }
  });
}

bool usesSymbols(Operation *root, unsigned symbols) {
  bool found = false;
  auto look = [&](AffineExpr expr) {
    for (unsigned i = 0; i < symbols; ++i)
      found |= expr.isFunctionOfSymbol(i);
  };
  root->walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs())
      if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue()))
        llvm::for_each(map.getValue().getResults(), look);
      else if (auto set = dyn_cast<IntegerSetAttr>(attribute.getValue()))
        llvm::for_each(set.getValue().getConstraints(), look);
  });
  return found;
}

struct HoistPrepare : bigm::impl::HoistPrepareBase<HoistPrepare> {
  func::FuncOp prepare;
  SmallVector<Value> results;           // of prepare
  DenseMap<int64_t, Value> tensors;     // persistent tensor -> argument of prepare
  SmallVector<Operation *> kernels;     // of prepare, in order

  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    results.clear(), tensors.clear(), kernels.clear();
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    prepare = func::FuncOp::create(builder, module.getLoc(), "bigm.prepare", FunctionType::get(context, {}, {}));
    prepare->setAttr(attrs::prepared, UnitAttr::get(context));
    prepare->setAttr(attrs::symbols, builder.getArrayAttr({}));
    prepare.addEntryBlock();
    for (func::FuncOp func : inferenceEntries(module))
      if (func != prepare)
        hoist(func);
    if (results.empty())
      return prepare.erase();
    Block &body = prepare.getBody().front();
    builder.setInsertionPointToEnd(&body);
    func::ReturnOp::create(builder, module.getLoc(), results);
    prepare.setFunctionType(FunctionType::get(context, body.getArgumentTypes(), ValueRange(results).getTypes()));
    for (unsigned i = 0; i < results.size(); ++i)
      prepare.setResultAttr(i, attrs::prepared, builder.getI64IntegerAttr(i));
  }

  void hoist(func::FuncOp func) {
    SteadyValues steady(func);
    unsigned symbols = symbolCount(func);
    llvm::SmallPtrSet<Operation *, 16> moved;
    auto isMoved = [&](Value value) {
      Value root = rootOf(value);
      auto argument = dyn_cast<BlockArgument>(root);
      return argument ? steady.isSteadyTensor(argument) : moved.contains(root.getDefiningOp());
    };
    IRMapping values; // of this function -> of prepare
    Block &block = func.getBody().front();
    for (Operation &op : block) {
      auto nest = dyn_cast<NestOp>(op);
      if (!nest || usesSymbols(nest, symbols))
        continue;
      int64_t from = 0, to = 0;
      // What the function returns would have to be copied out.
      bool fits = llvm::all_of(nest.getResults(), [](Value result) {
        return cast<RankedTensorType>(result.getType()).hasStaticShape() &&
               llvm::none_of(result.getUsers(), llvm::IsaPred<func::ReturnOp>);
      });
      nest->walk([&](LoadOp load) {
        bool known = isMoved(load.getTensor());
        fits &= known;
        from += known ? bytesOf(load.getTensor().getType()) : 0;
      });
      if (!fits)
        continue;
      for (Type type : nest.getResultTypes())
        to += bytesOf(type);
      if (to > growth * from + freeBytes)
        continue;
      moved.insert(nest);
    }
    if (moved.empty())
      return;

    OpBuilder builder(&getContext());
    Builder attributes(&getContext());
    for (Operation &op : block) {
      if (auto alias = dyn_cast<AliasOp>(op); alias && isMoved(alias.getResult())) {
        builder.setInsertionPointToEnd(&prepare.getBody().front());
        values.map(alias.getResult(),
                   AliasOp::create(builder, alias.getLoc(), alias.getType(), valueOf(func, alias.getTensor(), values))
                       .getResult());
      } else if (moved.contains(&op)) {
        copyToPrepare(func, cast<NestOp>(op), values, symbols);
      }
    }
    // What stays reads what moved as arguments.
    for (Operation &op : block) {
      if (!moved.contains(&op))
        continue;
      for (Value result : op.getResults()) {
        bool needed = false;
        SmallVector<Value> memory{result};
        while (!memory.empty()) {
          Value value = memory.pop_back_val();
          for (Operation *user : value.getUsers())
            if (auto alias = dyn_cast<AliasOp>(user))
              memory.push_back(alias.getResult());
            else
              needed |= !moved.contains(user->getParentOp());
        }
        if (!needed)
          continue;
        Value value = values.lookup(result);
        auto at = llvm::find(results, value);
        int64_t number = at - results.begin();
        if (at == results.end())
          results.push_back(value);
        unsigned index = func.getNumArguments();
        SmallVector<NamedAttribute> about{
            {attributes.getStringAttr(attrs::name), attributes.getStringAttr("prepared." + Twine(number))},
            {attributes.getStringAttr(attrs::role), attributes.getStringAttr("prepared")},
            {attributes.getStringAttr(attrs::prepared), attributes.getI64IntegerAttr(number)},
            {attributes.getStringAttr(layoutAttr), attributes.getDenseI64ArrayAttr(layoutOf(result))}};
        if (failed(func.insertArgument(index, result.getType(), attributes.getDictionaryAttr(about), result.getLoc())))
          return signalPassFailure();
        result.replaceUsesWithIf(func.getArgument(index), [&](OpOperand &use) {
          return !moved.contains(use.getOwner()->getParentOp());
        });
      }
    }
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if ((moved.contains(&op) || isa<AliasOp>(op)) && op.use_empty())
        op.erase();
  }

  /// The value of prepare that stands for a tensor of an entry.
  Value valueOf(func::FuncOp func, Value value, IRMapping &values) {
    if (Value known = values.lookupOrNull(value))
      return known;
    auto argument = cast<BlockArgument>(value);
    auto tensor = func.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), attrs::tensor);
    Value &own = tensors[tensor.getInt()];
    if (!own) {
      Builder builder(&getContext());
      SmallVector<NamedAttribute> about{{builder.getStringAttr(attrs::role), builder.getStringAttr("tensor")},
                                        {builder.getStringAttr(attrs::tensor), tensor}};
      unsigned number = prepare.getNumArguments();
      (void)prepare.insertArgument(number, value.getType(), builder.getDictionaryAttr(about), value.getLoc());
      own = prepare.getArgument(number);
    }
    values.map(value, own);
    return own;
  }

  void copyToPrepare(func::FuncOp func, NestOp nest, IRMapping &values, unsigned symbols) {
    nest->walk([&](LoadOp load) { valueOf(func, load.getTensor(), values); });
    OpBuilder builder = OpBuilder::atBlockEnd(&prepare.getBody().front());
    Operation *copy = builder.clone(*nest, values);
    dropSymbols(copy, symbols);
    for (Operation *other : kernels)
      if (OperationEquivalence::isEquivalentTo(other, copy, OperationEquivalence::IgnoreLocations)) {
        copy->erase();
        values.map(nest.getResults(), other->getResults());
        return;
      }
    kernels.push_back(copy);
    values.map(nest.getResults(), copy->getResults());
  }
};
} // namespace
