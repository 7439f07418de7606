#include "passes/SubstituteNests.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/NestQueries.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// How often each element of the producer is computed when it is substituted at the load.
double repetition(LoadOp load) {
  constexpr double many = 1000; // stands for a symbolic factor
  auto nest = load->getParentOfType<NestOp>();
  double factor = 1;
  for (unsigned d = 0; d < nest.dims(); ++d)
    if (!load.getMap().isFunctionOfDim(d)) {
      auto size = dyn_cast<AffineConstantExpr>(nest.size(d));
      factor *= size ? double(size.getValue()) : many;
    }
  return factor;
}

/// A view of numbers that are kept in fewer bits than they are computed with, and widened as they are read: weights of
/// `precision bf16` and `int8`. An operand of a contraction may be one; its kernel widens whole registers.
LoadOp widenedView(NestOp nest) {
  Block &body = nest.getBody().front();
  if (nest.reduces() || nest.getNumResults() != 1 || body.getOperations().size() != 3)
    return {};
  auto load = dyn_cast<LoadOp>(body.front());
  Operation *wider = body.front().getNextNode();
  if (!load || load.getInside() || !load.getAt().empty() || !isa<arith::ExtFOp, arith::SIToFPOp>(wider) ||
      wider->getOperand(0) != load || body.getTerminator()->getOperand(0) != wider->getResult(0))
    return {};
  bool narrow = load.getType().isInteger(8) || (isa<FloatType>(load.getType()) && load.getType().getIntOrFloatBitWidth() == 16);
  return narrow && wider->getResult(0).getType().isF32() && isa<BlockArgument>(load.getTensor()) ? load : LoadOp();
}

/// Both hold; symbols of the one with more.
IntegerSet both(IntegerSet a, IntegerSet b) {
  SmallVector<AffineExpr> constraints(a.getConstraints());
  SmallVector<bool> equalities(a.getEqFlags());
  for (unsigned i = 0; i < b.getNumConstraints(); ++i)
    if (!llvm::is_contained(a.getConstraints(), b.getConstraint(i))) {
      constraints.push_back(b.getConstraint(i));
      equalities.push_back(b.isEq(i));
    }
  return IntegerSet::get(a.getNumDims(), std::max(a.getNumSymbols(), b.getNumSymbols()), constraints, equalities);
}

/// Why the producer may not stand in the place of the load; null when it may.
const char *obstacle(NestOp producer, LoadOp load) {
  auto consumer = load->getParentOfType<NestOp>();
  if (!load.getAt().empty())
    return "it is read at computed places";
  if (consumer.getContraction() && load->getBlock() == &consumer.getBody().front()) {
    LoadOp view = plainView(producer);
    if (!view)
      view = widenedView(producer);
    if (!view || load.getInside())
      return "operands of a contraction are plain loads";
    if (hasDivision(composed(view.getMap(), load.getMap(), producer.symbols())))
      return "a contraction needs linear places";
  }
  return nullptr;
}

/// Whether it makes a number of a contraction's sum in i32: once, while the sum is in registers. Where residuals are added one after
/// the other, each would otherwise be made of all sums before it.
bool endsWholeSum(NestOp producer) {
  return llvm::any_of(producer.getBody().front().getOps<LoadOp>(), [](LoadOp load) {
    auto sum = load.getTensor().getDefiningOp<NestOp>();
    return sum && sum.getContraction() && load.getType().isInteger(32);
  });
}

/// Why the producer is better computed once, into memory; null when substituting it pays.
const char *lossOf(NestOp producer, ArrayRef<LoadOp> loads) {
  Cost cost = costOf(producer);
  // Read in fewer bits where it is used, a weight costs a part of the memory traffic.
  if (widenedView(producer) && llvm::all_of(loads, [](LoadOp load) {
        auto consumer = load->getParentOfType<NestOp>();
        return consumer.getContraction() && load->getBlock() == &consumer.getBody().front();
      }))
    return nullptr;
  if (cost.arithmetic == 0 && !cost.dear && (cost.ops <= 4 || loads.size() == 1))
    return nullptr;
  double most = 0;
  SmallPtrSet<Operation *, 8> consumers;
  for (LoadOp load : loads) {
    most = std::max(most, repetition(load));
    auto consumer = load->getParentOfType<NestOp>();
    consumers.insert(consumer);
    if (costOf(consumer).ops + cost.ops > longestBody)
      return "the kernel would become too long";
  }
  if (most > 4)
    return "it would be computed again for every element that reads it"; // done once, at the end of what computes it
  if (consumers.size() == 1)
    return !cost.dear || loads.size() == 1 ? nullptr : "it is read in several places and dear to compute";
  if (cost.dear)
    return "several kernels read it, and it is dear to compute";
  if (endsWholeSum(producer))
    return "several kernels read it, and it is the end of a sum of whole numbers";
  if (cost.fullLoads > 2)
    return "several kernels read it, and it reads more than two tensors";
  return consumers.size() <= 6 ? nullptr : "more than six kernels read it";
}

/// What the producer's own load reads when the producer stands in the place of `load`.
LoadOp loadBehind(LoadOp inner, NestOp producer, LoadOp load, OpBuilder &builder, IRMapping &values) {
  std::optional<IntegerSet> guard = load.getInside();
  AffineMap map = composed(inner.getMap(), load.getMap(), producer.symbols());
  std::optional<IntegerSet> inside;
  Value otherwise;
  if (inner.getInside()) {
    inside = composed(*inner.getInside(), load.getMap());
    otherwise = values.lookup(inner.getOtherwise());
  }
  if (guard) {
    // The guard's symbols are the function's; those of computed places come after them.
    inside = inside ? both(*inside, *guard) : *guard;
    if (inside->getNumSymbols() < map.getNumSymbols())
      inside = IntegerSet::get(inside->getNumDims(), map.getNumSymbols(), inside->getConstraints(),
                               inside->getEqFlags());
    if (plainView(producer))
      otherwise = load.getOtherwise();
    else if (!otherwise)
      otherwise = arith::ConstantOp::create(builder, load.getLoc(), builder.getZeroAttr(inner.getType()));
  }
  SmallVector<Value> at;
  for (Value value : inner.getAt())
    at.push_back(values.lookup(value));
  return LoadOp::create(builder, load.getLoc(), inner.getType(), inner.getTensor(), at, otherwise, AffineMapAttr::get(map),
                        inside ? IntegerSetAttr::get(*inside) : IntegerSetAttr());
}

void substitute(NestOp producer, LoadOp load) {
  OpBuilder builder(load);
  const bool isView(plainView(producer));
  IRMapping values;
  for (Operation &op : producer.getBody().front().without_terminator()) {
    if (auto inner = dyn_cast<LoadOp>(op)) {
      values.map(inner.getResult(), loadBehind(inner, producer, load, builder, values).getResult());
    } else if (auto index = dyn_cast<IndexOp>(op)) {
      auto copy = IndexOp::create(builder, load.getLoc(), builder.getI64Type(),
                                  composed(index.getMap(), load.getMap(), producer.symbols()));
      values.map(index.getResult(), copy.getResult());
    } else if (auto test = dyn_cast<TestOp>(op)) {
      auto copy = TestOp::create(builder, load.getLoc(), builder.getI1Type(), composed(test.getSet(), load.getMap()));
      values.map(test.getResult(), copy.getResult());
    } else {
      builder.clone(op, values);
    }
  }
  Value result = values.lookupOrDefault(producer.getBody().front().getTerminator()->getOperand(0));
  if (std::optional<IntegerSet> guard = load.getInside(); guard && !isView) {
    Value holds = TestOp::create(builder, load.getLoc(), builder.getI1Type(), *guard);
    result = arith::SelectOp::create(builder, load.getLoc(), holds, result, load.getOtherwise());
  }
  load.getResult().replaceAllUsesWith(result);
  load.erase();
}

/// Whether the nest can be the epilogue of a contraction that nothing else reads: there it costs nothing.
bool isEpilogue(NestOp nest) {
  bool found = false;
  nest.getBody().walk([&](LoadOp load) {
    auto source = load.getTensor().getDefiningOp<NestOp>();
    found |= source && source.getContraction() && source.getNumResults() == 1 && source->hasOneUse() &&
             source->getBlock() == nest->getBlock() && isSamePoint(load, nest);
  });
  return found && !plainView(nest);
}
} // namespace

const char *kernel::whyNotSubstituted(NestOp producer, SmallVectorImpl<LoadOp> &loads) {
  if (producer.reduces())
    return producer.getContraction() ? "a contraction in between" : "a reduction in between";
  if (producer.getNumResults() != 1)
    return "it is computed together with other values";
  // Readers at the same points join the contraction together with it; for any other it would be lost as an epilogue.
  if (isEpilogue(producer) && llvm::any_of(producer->getUsers(), [](Operation *user) {
        auto load = dyn_cast<LoadOp>(user);
        return load && !isSamePoint(load, load->getParentOfType<NestOp>());
      }))
    return "it is the epilogue of a contraction, and read at other points";
  for (Operation *user : producer->getUsers()) {
    auto load = dyn_cast<LoadOp>(user);
    if (!load)
      return "its memory is used as a whole";
    if (const char *reason = obstacle(producer, load))
      return reason;
    loads.push_back(load);
  }
  return lossOf(producer, loads);
}

bool kernel::substituteEverywhere(NestOp producer) {
  SmallVector<LoadOp> loads;
  if (whyNotSubstituted(producer, loads))
    return false;
  for (LoadOp load : loads)
    substitute(producer, load);
  producer.erase();
  return true;
}
