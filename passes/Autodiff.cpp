// Expands bigm.gradient by reverse-mode differentiation.
//
// Gradients are expanded in program order: the y of a later one may depend on the results of an earlier one, never the
// other way round, so second order needs nothing special. For each, the active values are those that lie on a path from
// a wrt value to y; only they get cotangents, which is why what is frozen costs nothing. The ops are then walked
// backwards from y, each handing the sum of its cotangents to its operands through its Differentiable interface. The
// new ops stand where the gradient stood.
//
// The gradient of a scan needs functions of its own: ScanGradient.cpp.
//
// An op on such a path that has no gradient but an expanded form (Expandable) is replaced by that form first: an
// attention_grad, when what an inner gradient gave is differentiated once more.
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "passes/ScanGradient.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_AUTODIFF
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;

namespace {
bool isFloat(Value value) { return isa<FloatType>(cast<RankedTensorType>(value.getType()).getElementType()); }

/// Nothing flows through the op, by definition.
bool isBarrier(Operation *op) { return op->hasTrait<ZeroGradient>(); }

/// The ops before `gradient` on a path from a wrt value to y, in program order, and the active values.
struct Active {
  SmallVector<Operation *> ops;
  DenseSet<Value> values;

  explicit Active(GradientOp gradient) {
    DenseSet<Operation *> reachY; // what y depends on
    SmallVector<Value> work = {gradient.getY()};
    while (!work.empty()) {
      Operation *op = work.pop_back_val().getDefiningOp();
      if (op && !isBarrier(op) && reachY.insert(op).second)
        llvm::append_range(work, op->getOperands());
    }
    values.insert(gradient.getWrt().begin(), gradient.getWrt().end());
    Block *block = gradient->getBlock();
    for (Operation &op : llvm::make_range(block->begin(), gradient->getIterator())) {
      if (!reachY.contains(&op))
        continue;
      bool depends = llvm::any_of(op.getOperands(), [&](Value v) { return values.contains(v); });
      if (!depends)
        continue;
      ops.push_back(&op);
      for (Value result : op.getResults())
        if (isFloat(result))
          values.insert(result);
    }
  }
};

/// Replaces ops on a path from wrt to y whose gradient is that of their expanded form.
bool expandOnPath(GradientOp gradient) {
  bool any = false;
  for (Operation *op : Active(gradient).ops)
    if (auto expandable = dyn_cast<Expandable>(op); expandable && !isa<Differentiable>(op)) {
      OpBuilder builder(op);
      op->replaceAllUsesWith(expandable.expand(builder));
      op->erase();
      any = true;
    }
  return any;
}

/// `simplify` brings a function into its simplest form.
LogicalResult expand(GradientOp gradient, function_ref<LogicalResult(func::FuncOp)> simplify) {
  while (expandOnPath(gradient)) {
  }
  Active active(gradient);
  OpBuilder builder(gradient);
  DenseMap<Value, Value> cotangent;
  auto add = [&](Location loc, Value value, Value part) {
    Value &sum = cotangent[value];
    sum = sum ? AddOp::create(builder, loc, sum, part) : part;
  };
  add(gradient.getLoc(), gradient.getY(), constant(builder, gradient.getLoc(), gradient.getY().getType(), 1));

  for (Operation *op : llvm::reverse(active.ops)) {
    SmallVector<Value> incoming;
    for (Value result : op->getResults())
      incoming.push_back(cotangent.lookup(result));
    if (llvm::none_of(incoming, [](Value v) { return bool(v); }))
      continue;
    if (auto scan = dyn_cast<ScanOp>(op)) {
      SmallVector<bool> needed;
      for (Value operand : op->getOperands())
        needed.push_back(active.values.contains(operand) && isFloat(operand));
      SmallVector<Value> outgoing(op->getNumOperands());
      auto expandInner = [&](GradientOp inner) { return expand(inner, simplify); };
      ScanCalculus calculus{expandInner, simplify};
      FailureOr<ScanOp> keeping = differentiateScan(builder, scan, incoming, needed, outgoing, calculus);
      if (failed(keeping))
        return failure();
      for (auto [operand, part] : llvm::zip(op->getOperands(), outgoing))
        if (part)
          add(op->getLoc(), operand, part);
      if (*keeping == scan)
        continue;
      for (auto [old, now] : llvm::zip(scan.getResults(), keeping->getResults())) {
        if (Value sum = cotangent.lookup(old))
          cotangent[now] = sum;
        old.replaceAllUsesWith(now);
      }
      scan.erase();
      continue;
    }
    auto differentiable = dyn_cast<Differentiable>(op);
    if (!differentiable)
      return op->emitOpError() << "has no gradient";
    for (auto [value, result] : llvm::zip(incoming, op->getResults()))
      if (!value)
        value = constant(builder, op->getLoc(), result.getType(), 0);
    SmallVector<bool> needed;
    for (Value operand : op->getOperands())
      needed.push_back(active.values.contains(operand) && isFloat(operand));
    SmallVector<Value> outgoing(op->getNumOperands());
    if (failed(differentiable.buildGradient(builder, incoming, needed, outgoing)))
      return failure();
    for (auto [operand, part] : llvm::zip(op->getOperands(), outgoing))
      if (part)
        add(op->getLoc(), operand, part);
  }

  SmallVector<Value> results;
  for (Value x : gradient.getWrt()) {
    Value d = cotangent.lookup(x);
    results.push_back(d ? d : constant(builder, gradient.getLoc(), x.getType(), 0));
  }
  gradient->replaceAllUsesWith(results);
  gradient->erase();
  return success();
}

/// Gradients of one value become one op, so that what they share is computed once also where it cannot be recognised (a
/// scan backwards is a function for each).
void mergeGradients(func::FuncOp func) {
  DenseMap<Value, GradientOp> firsts;
  for (GradientOp later : llvm::to_vector(func.getBody().front().getOps<GradientOp>())) {
    auto [it, fresh] = firsts.try_emplace(later.getY(), later);
    GradientOp first = it->second;
    bool reachable = llvm::all_of(later.getWrt(), [&](Value x) {
      return isa<BlockArgument>(x) || x.getDefiningOp()->isBeforeInBlock(first);
    });
    if (fresh || !reachable)
      continue;
    SmallVector<Value> wrt(first.getWrt());
    for (Value x : later.getWrt())
      if (!llvm::is_contained(wrt, x))
        wrt.push_back(x);
    OpBuilder builder(first);
    auto both = GradientOp::create(builder, first.getLoc(), ValueRange(wrt).getTypes(), first.getY(), wrt);
    for (GradientOp old : {first, later}) {
      for (auto [x, result] : llvm::zip(old.getWrt(), old.getResults()))
        result.replaceAllUsesWith(both.getResult(llvm::find(wrt, x) - wrt.begin()));
      old.erase();
    }
    it->second = both;
  }
}

struct Autodiff : bigm::impl::AutodiffBase<Autodiff> {
  void runOnOperation() override {
    SmallVector<GradientOp> gradients;
    for (bool bodies : {true, false}) // of scans; what they are differentiated to has none left
      for (auto func : getOperation().getOps<func::FuncOp>())
        if (func.isPrivate() == bodies && !func.isExternal()) {
          mergeGradients(func);
          func.walk([&](GradientOp op) { gradients.push_back(op); });
        }
    OpPassManager simplest(func::FuncOp::getOperationName());
    addSimplify(simplest);
    auto simplify = [&](func::FuncOp func) { return runPipeline(simplest, func); };
    for (GradientOp gradient : gradients)
      if (failed(expand(gradient, simplify)))
        return signalPassFailure();
    getOperation().walk([](StopGradientOp op) {
      op.getResult().replaceAllUsesWith(op.getX());
      op->erase();
    });
  }
};
} // namespace
