// Decides what is computed together.
//
// First producers are substituted into their consumers: a view, a pad or a constant always; arithmetic where computing it
// again costs less than writing it to memory and reading it back. Then nests over the same points become one: a
// pointwise nest joins the nest that feeds it (after a reduction or contraction it is the epilogue, applied while the
// values sit in registers), and nests that read the same tensors at the same points share the pass over memory.
//
// Afterwards every nest is one kernel. The operands of a contraction stay plain loads, because its kernel streams them.
#include "ir/Bigm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_EXPLAINFUSION
#define GEN_PASS_DEF_FUSEKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
// ------------------------------------------------------------------ what a nest costs

/// Stands for a symbolic factor.
constexpr double many = 1000;
constexpr unsigned longestBody = 300; // ops; beyond, registers spill and code grows
constexpr unsigned mostResults = 8;

struct Cost {
  unsigned arithmetic = 0, fullLoads = 0, ops = 0;
  bool dear = false;
};
Cost costOf(NestOp nest) {
  Cost cost;
  for (Operation &op : nest.getBody().front().without_terminator()) {
    ++cost.ops;
    if (auto load = dyn_cast<LoadOp>(op)) {
      bool all = true;
      for (unsigned d = 0; d < nest.dims(); ++d)
        all &= load.getMap().isFunctionOfDim(d);
      cost.fullLoads += all && nest.dims() > 0;
      cost.dear |= !load.getAt().empty();
    } else if (!isa<arith::ConstantOp, IndexOp, TestOp>(op)) {
      ++cost.arithmetic;
      cost.dear |= isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::AbsIOp>(op);
      cost.dear |= isa<arith::DivFOp, arith::RemFOp, arith::DivSIOp, arith::RemSIOp>(op);
    }
  }
  cost.dear |= cost.arithmetic > 24;
  return cost;
}

/// How often each element of the producer is computed when it is substituted at the load.
double repetition(LoadOp load) {
  auto nest = load->getParentOfType<NestOp>();
  double factor = 1;
  for (unsigned d = 0; d < nest.dims(); ++d)
    if (!load.getMap().isFunctionOfDim(d)) {
      auto size = dyn_cast<AffineConstantExpr>(nest.size(d));
      factor *= size ? double(size.getValue()) : many;
    }
  return factor;
}

bool hasDivision(AffineMap map) {
  bool found = false;
  for (AffineExpr expr : map.getResults())
    expr.walk([&](AffineExpr e) {
      found |= e.getKind() == AffineExprKind::FloorDiv || e.getKind() == AffineExprKind::Mod ||
               e.getKind() == AffineExprKind::CeilDiv;
    });
  return found;
}

/// The only op of the body when it is a load without guard.
LoadOp plainView(NestOp nest) {
  Block &body = nest.getBody().front();
  if (nest.reduces() || nest.getNumResults() != 1 || body.getOperations().size() != 2)
    return {};
  auto load = dyn_cast<LoadOp>(body.front());
  return load && !load.getInside() && load.getAt().empty() ? load : LoadOp();
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

/// By how much a linear index grows with a dimension.
AffineExpr stepOf(AffineExpr index, unsigned dim) {
  AffineExpr d = getAffineDimExpr(dim, index.getContext());
  return index.replace(d, d + 1) - index;
}

AffineMap composed(AffineMap map, LoadOp at, unsigned symbols) {
  auto nest = at->getParentOfType<NestOp>();
  SmallVector<AffineExpr> symbolsKept;
  for (unsigned i = 0; i < map.getNumSymbols(); ++i)
    symbolsKept.push_back(getAffineSymbolExpr(i, map.getContext()));
  return simplifyAffineMap(map.replaceDimsAndSymbols(at.getMap().getResults(), symbolsKept, nest.dims(),
                                                     std::max(symbols, map.getNumSymbols())));
}
IntegerSet composed(IntegerSet set, LoadOp at) {
  auto nest = at->getParentOfType<NestOp>();
  SmallVector<AffineExpr> symbolsKept;
  for (unsigned i = 0; i < set.getNumSymbols(); ++i)
    symbolsKept.push_back(getAffineSymbolExpr(i, set.getContext()));
  return set.replaceDimsAndSymbols(at.getMap().getResults(), symbolsKept, nest.dims(), set.getNumSymbols());
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

// ------------------------------------------------------------------ substitution

/// Why the producer may not stand in the place of the load; empty when it may.
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
    if (hasDivision(composed(view.getMap(), load, producer.symbols())))
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

void substitute(NestOp producer, LoadOp load) {
  OpBuilder builder(load);
  IRMapping values;
  std::optional<IntegerSet> guard = load.getInside();
  LoadOp view = plainView(producer);
  for (Operation &op : producer.getBody().front().without_terminator()) {
    if (auto inner = dyn_cast<LoadOp>(op)) {
      AffineMap map = composed(inner.getMap(), load, producer.symbols());
      std::optional<IntegerSet> inside;
      Value otherwise;
      if (inner.getInside()) {
        inside = composed(*inner.getInside(), load);
        otherwise = values.lookup(inner.getOtherwise());
      }
      if (guard) {
        // The guard's symbols are the function's; those of computed places come after them.
        inside = inside ? both(*inside, *guard) : *guard;
        if (inside->getNumSymbols() < map.getNumSymbols())
          inside = IntegerSet::get(inside->getNumDims(), map.getNumSymbols(), inside->getConstraints(),
                                   inside->getEqFlags());
        if (view)
          otherwise = load.getOtherwise();
        else if (!otherwise)
          otherwise = arith::ConstantOp::create(builder, load.getLoc(), builder.getZeroAttr(inner.getType()));
      }
      SmallVector<Value> at;
      for (Value value : inner.getAt())
        at.push_back(values.lookup(value));
      auto copy = LoadOp::create(builder, load.getLoc(), inner.getType(), inner.getTensor(), at, otherwise,
                                 AffineMapAttr::get(map), inside ? IntegerSetAttr::get(*inside) : IntegerSetAttr());
      values.map(inner.getResult(), copy.getResult());
    } else if (auto index = dyn_cast<IndexOp>(op)) {
      auto copy = IndexOp::create(builder, load.getLoc(), builder.getI64Type(),
                                  composed(index.getMap(), load, producer.symbols()));
      values.map(index.getResult(), copy.getResult());
    } else if (auto test = dyn_cast<TestOp>(op)) {
      auto copy = TestOp::create(builder, load.getLoc(), builder.getI1Type(), composed(test.getSet(), load));
      values.map(test.getResult(), copy.getResult());
    } else {
      builder.clone(op, values);
    }
  }
  Value result = values.lookupOrDefault(producer.getBody().front().getTerminator()->getOperand(0));
  if (guard && !view) {
    Value holds = TestOp::create(builder, load.getLoc(), builder.getI1Type(), *guard);
    result = arith::SelectOp::create(builder, load.getLoc(), holds, result, load.getOtherwise());
  }
  load.getResult().replaceAllUsesWith(result);
  load.erase();
}

bool isSamePoint(LoadOp load, NestOp consumer) {
  AffineMap map = load.getMap();
  if (load.getInside() || !load.getAt().empty() || map.getNumResults() != unsigned(consumer.getParallel()))
    return false;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getResult(i) != getAffineDimExpr(i, map.getContext()))
      return false;
  return true;
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

/// Why the producer is not substituted into what reads it; null, and all its loads, when it is.
const char *whyNotSubstituted(NestOp producer, SmallVectorImpl<LoadOp> &loads) {
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

/// Substitutes the producer into all its consumers when that is possible and pays.
bool substituteEverywhere(NestOp producer) {
  SmallVector<LoadOp> loads;
  if (whyNotSubstituted(producer, loads))
    return false;
  for (LoadOp load : loads)
    substitute(producer, load);
  producer.erase();
  return true;
}

// ------------------------------------------------------------------ nests over the same points

class Joining {
public:
  /// Whether `later` may join `earlier`. Both stand in one block, `earlier` first.
  static bool possible(NestOp earlier, NestOp later) { return !obstacle(earlier, later); }

  /// Why not; null when it may.
  static const char *obstacle(NestOp earlier, NestOp later) {
    if (earlier.getNumResults() + later.getNumResults() > mostResults)
      return "the kernel would have too many results";
    if (later.getContraction())
      return "operands of a contraction lie in memory";
    if (earlier.getParallel() != later.getParallel())
      return "results of other shapes";
    for (unsigned d = 0; d < earlier.getParallel(); ++d)
      if (earlier.size(d) != later.size(d))
        return "results of other shapes";
    bool feeds = false;
    unsigned ops = costOf(earlier).ops + costOf(later).ops;
    if (ops > longestBody)
      return "the kernel would become too long";
    for (Operation *user : earlier->getUsers())
      if (auto load = dyn_cast<LoadOp>(user); load && load->getParentOp() == later.getOperation()) {
        feeds = true;
        if (later.reduces())
          return "a reduction reads it, which runs in another order";
        if (!isSamePoint(load, later))
          return "it is read at other points than it is computed at";
      }
    if (!feeds && earlier.getContraction())
      return "operands of a contraction lie in memory";
    if (later.reduces() && earlier.getSizes() != later.getSizes())
      return "sums over other ranges";
    if (!feeds && (earlier.reduces() != later.reduces() || !shareInput(earlier, later)))
      return "they share no large input";
    return place(earlier, later) ? nullptr : "others need it before everything that the reader needs is there";
  }

  /// Where the joined nest can stand: at the earlier one when all that the later one reads is there, or at the later
  /// one when nothing needs the earlier one before. Null when neither.
  static NestOp place(NestOp earlier, NestOp later) {
    bool inputsReady = true;
    later->walk([&](LoadOp load) {
      Operation *source = load.getTensor().getDefiningOp();
      if (source && source != earlier && !source->isBeforeInBlock(earlier))
        inputsReady = false;
    });
    if (inputsReady)
      return earlier;
    for (Operation *user : earlier->getUsers()) {
      while (user->getBlock() != earlier->getBlock())
        user = user->getParentOp();
      if (user != later && user->isBeforeInBlock(later))
        return {};
    }
    return later;
  }

  static NestOp join(NestOp earlier, NestOp later) {
    NestOp where = place(earlier, later);
    OpBuilder builder(where);
    // Results of the earlier one that somebody else reads remain.
    SmallVector<unsigned> kept;
    for (auto [i, result] : llvm::enumerate(earlier.getResults()))
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return user->getParentOp() != later.getOperation(); }))
        kept.push_back(i);
    SmallVector<Type> types;
    for (unsigned i : kept)
      types.push_back(earlier.getResult(i).getType());
    llvm::append_range(types, later.getResultTypes());
    SmallVector<Attribute> kinds(earlier.getKinds().begin(), earlier.getKinds().end());
    if (later.reduces())
      kinds.append(later.getKinds().begin(), later.getKinds().end());
    auto joined = NestOp::create(builder, later.getLoc(), TypeRange(types), earlier.getSizes(), earlier.getParallel(),
                                 builder.getArrayAttr(kinds), earlier.getContraction());
    joined.getBody().takeBody(earlier.getBody());
    joined.getFinish().takeBody(earlier.getFinish());

    Block &last = joined.last();
    auto yield = cast<YieldOp>(last.getTerminator());
    SmallVector<Value> elements(yield.getValues());
    IRMapping values;
    SmallVector<Value> added;
    if (!later.reduces()) {
      added = copyInto(later.getBody().front(), last, joined, earlier, elements, values);
    } else {
      Block &body = joined.getBody().front();
      auto bodyYield = cast<YieldOp>(body.getTerminator());
      SmallVector<Value> combined(bodyYield.getValues());
      llvm::append_range(combined, copyInto(later.getBody().front(), body, joined, earlier, {}, values));
      bodyYield.getValuesMutable().assign(combined);
      for (BlockArgument argument : later.getFinish().front().getArguments())
        values.map(argument, last.addArgument(argument.getType(), argument.getLoc()));
      added = copyInto(later.getFinish().front(), last, joined, earlier, {}, values);
    }
    SmallVector<Value> yielded;
    for (unsigned i : kept)
      yielded.push_back(elements[i]);
    llvm::append_range(yielded, added);
    yield.getValuesMutable().assign(yielded);

    unsigned next = 0;
    for (unsigned i : kept)
      earlier.getResult(i).replaceAllUsesWith(joined.getResult(next++));
    for (Value result : later.getResults())
      result.replaceAllUsesWith(joined.getResult(next++));
    later.erase();
    earlier.erase();
    return joined;
  }

private:
  static bool shareInput(NestOp a, NestOp b) {
    SmallPtrSet<void *, 8> read;
    auto isLarge = [](LoadOp load, NestOp nest) {
      for (unsigned d = 0; d < nest.dims(); ++d)
        if (!load.getMap().isFunctionOfDim(d))
          return false;
      return true;
    };
    a->walk([&](LoadOp load) {
      if (isLarge(load, a))
        read.insert(load.getTensor().getAsOpaquePointer());
    });
    bool shared = false;
    b->walk([&](LoadOp load) {
      shared |= isLarge(load, b) && read.contains(load.getTensor().getAsOpaquePointer());
    });
    return shared;
  }

  /// Copies the ops of a block before the yield of another; loads of the earlier nest's results become its elements.
  static SmallVector<Value> copyInto(Block &from, Block &to, NestOp joined, NestOp earlier, ArrayRef<Value> elements,
                                     IRMapping &values) {
    OpBuilder builder(to.getTerminator());
    for (Operation &op : from.without_terminator()) {
      auto load = dyn_cast<LoadOp>(op);
      if (load && load.getTensor().getDefiningOp() == earlier) {
        values.map(load.getResult(), elements[cast<OpResult>(load.getTensor()).getResultNumber()]);
        continue;
      }
      Operation *copy = builder.clone(op, values);
      // Maps are over the dimensions of the joined nest, which begin with those of the later one.
      for (StringRef name : {"map"})
        if (auto map = copy->getAttrOfType<AffineMapAttr>(name)) {
          AffineMap old = map.getValue();
          copy->setAttr(name, AffineMapAttr::get(AffineMap::get(joined.dims(), old.getNumSymbols(), old.getResults(),
                                                                old.getContext())));
        }
      for (StringRef name : {"inside", "set"})
        if (auto set = copy->getAttrOfType<IntegerSetAttr>(name)) {
          IntegerSet old = set.getValue();
          copy->setAttr(name, IntegerSetAttr::get(IntegerSet::get(joined.dims(), old.getNumSymbols(),
                                                                  old.getConstraints(), old.getEqFlags())));
        }
    }
    SmallVector<Value> yielded;
    for (Value value : from.getTerminator()->getOperands())
      yielded.push_back(values.lookupOrDefault(value));
    return yielded;
  }
};

// ------------------------------------------------------------------ views that attention reads through

/// Attention reads a part or another order of a tensor where it lies, as long as the elements of a head stay side by side.
bool readThrough(AttendOp attention, unsigned input) {
  auto producer = attention.getInputs()[input].getDefiningOp<NestOp>();
  LoadOp view = producer ? plainView(producer) : LoadOp();
  if (!view)
    return false;
  AffineMap own = cast<AffineMapAttr>(attention.getMaps()[input]).getValue();
  SmallVector<AffineExpr> symbols;
  for (unsigned i = 0; i < view.getMap().getNumSymbols(); ++i)
    symbols.push_back(getAffineSymbolExpr(i, view.getContext()));
  AffineMap map = simplifyAffineMap(
      view.getMap().replaceDimsAndSymbols(own.getResults(), symbols, own.getNumDims(), symbols.size()));
  if (hasDivision(map) || !llvm::all_of(map.getResults(), [](AffineExpr index) { return index.isPureAffine(); }))
    return false;
  if (map.getNumDims() == 4) {
    auto last = dyn_cast_or_null<AffineConstantExpr>(canonical(stepOf(map.getResults().back(), 3)));
    bool aside = last && last.getValue() == 1;
    for (AffineExpr index : map.getResults().drop_back())
      aside &= !index.isFunctionOfDim(3);
    if (!aside)
      return false;
  }
  SmallVector<Attribute> maps(attention.getMaps().getValue());
  maps[input] = AffineMapAttr::get(map);
  attention.setMapsAttr(ArrayAttr::get(attention.getContext(), maps));
  attention.getInputsMutable().slice(input, 1).assign(view.getTensor());
  return true;
}

struct FuseKernels : bigm::impl::FuseKernelsBase<FuseKernels> {
  void runOnOperation() override {
    Block &block = getOperation().getBody().front();
    for (AttendOp attention : block.getOps<AttendOp>())
      for (unsigned input = 0; input < attention.getInputs().size(); ++input)
        while (readThrough(attention, input)) {
        }
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto nest = dyn_cast<NestOp>(op); nest && !nest->use_empty())
        substituteEverywhere(nest);
    eraseUnused(block);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (auto nest = dyn_cast<NestOp>(op); nest && nest.getParallel() == 0 && !nest.reduces())
        moveUp(nest);
    // Neighbours first. What only makes new values of weights and states may join over any distance: these lie where the old ones
    // lay, so no memory waits longer.
    std::vector<NestOp> nests(block.getOps<NestOp>().begin(), block.getOps<NestOp>().end());
    joinWithin(nests, 40);
    std::vector<NestOp> updates = updatesOf(nests);
    joinWithin(updates, updates.size());
  }

  /// A number is computed as soon as what it depends on is there, so that no kernel waits for it: an optimiser's rate.
  static void moveUp(NestOp nest) {
    Operation *last = nullptr;
    nest->walk([&](LoadOp load) {
      Operation *source = load.getTensor().getDefiningOp();
      if (source && (!last || last->isBeforeInBlock(source)))
        last = source;
    });
    if (last)
      nest->moveAfter(last);
    else
      nest->moveBefore(nest->getBlock(), nest->getBlock()->begin());
  }

  /// Of nests in order, those whose results are read by nothing but the end of the function and by others of the kind.
  static std::vector<NestOp> updatesOf(ArrayRef<NestOp> nests) {
    std::vector<NestOp> updates;
    SmallPtrSet<Operation *, 16> readers; // those that may read an update
    for (NestOp nest : llvm::reverse(nests)) {
      bool isUpdate = llvm::all_of(nest->getUsers(), [&](Operation *user) {
        return isa<func::ReturnOp>(user) || (isa<LoadOp>(user) && readers.contains(user->getParentOfType<NestOp>()));
      });
      if (!isUpdate)
        continue;
      updates.push_back(nest);
      if (!nest.getContraction())
        readers.insert(nest);
    }
    std::reverse(updates.begin(), updates.end());
    return updates;
  }

  /// Each nest looks back over `distance` others for one to join; the joined one looks again.
  static void joinWithin(std::vector<NestOp> &nests, size_t distance) {
    for (size_t i = 1; i < nests.size();) {
      size_t back = 1;
      while (back <= std::min(i, distance) && !Joining::possible(nests[i - back], nests[i]))
        ++back;
      if (back > std::min(i, distance)) {
        ++i;
        continue;
      }
      size_t at = Joining::place(nests[i - back], nests[i]) == nests[i] ? i - 1 : i - back;
      NestOp joined = Joining::join(nests[i - back], nests[i]);
      nests.erase(nests.begin() + i);
      nests.erase(nests.begin() + (i - back));
      nests.insert(nests.begin() + at, joined);
      i = std::max<size_t>(at, 1);
    }
  }
  static void eraseUnused(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if ((isKernel(&op) || isa<AliasOp>(op)) && op.use_empty())
        op.erase();
  }
};

/// The last contraction before this one that reads a tensor of it, computed before: heads over one trunk.
NestOp productOfTheSame(NestOp nest) {
  NestOp last;
  if (!nest.getContraction())
    return last;
  for (LoadOp load : nest.getBody().front().getOps<LoadOp>()) {
    if (!load.getTensor().getDefiningOp())
      continue; // weights and inputs are there in any case
    for (Operation *user : load.getTensor().getUsers()) {
      auto other = user->getParentOfType<NestOp>();
      if (other && other != nest && other.getContraction() && user->getBlock() == &other.getBody().front() &&
          other->getBlock() == nest->getBlock() && other->isBeforeInBlock(nest) && (!last || last->isBeforeInBlock(other)))
        last = other;
    }
  }
  return last;
}

struct ExplainFusion : bigm::impl::ExplainFusionBase<ExplainFusion> {
  void runOnOperation() override {
    Builder builder(&getContext());
    getOperation().walk([&](NestOp nest) {
      SmallVector<Attribute> apart;
      SmallPtrSet<Operation *, 8> seen;
      nest->walk([&](LoadOp load) {
        auto producer = load.getTensor().getDefiningOp<NestOp>();
        if (!producer || !seen.insert(producer).second)
          return;
        SmallVector<LoadOp> loads;
        const char *reason = whyNotSubstituted(producer, loads);
        // What is no producer to substitute could still have been joined.
        if (const char *other = Joining::obstacle(producer, nest); producer.reduces() && other)
          reason = other;
        apart.push_back(builder.getArrayAttr(
            {LocationAttr(producer.getLoc()), builder.getStringAttr(reason ? reason : "more than 40 kernels between")}));
      });
      if (NestOp sibling = productOfTheSame(nest))
        apart.push_back(builder.getArrayAttr({LocationAttr(sibling.getLoc()), builder.getStringAttr("both read the same, and each is a product of its own")}));
      if (!apart.empty())
        nest->setAttr("apart", builder.getArrayAttr(apart));
    });
  }
};
} // namespace
