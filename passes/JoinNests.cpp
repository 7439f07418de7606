#include "passes/JoinNests.h"
#include "mlir/IR/IRMapping.h"
#include "passes/NestQueries.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
constexpr unsigned mostResults = 8;

bool shareInput(NestOp a, NestOp b) {
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
SmallVector<Value> copyInto(Block &from, Block &to, NestOp joined, NestOp earlier, ArrayRef<Value> elements,
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
} // namespace

const char *kernel::obstacleToJoin(NestOp earlier, NestOp later) {
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
  return placeOfJoined(earlier, later) ? nullptr : "others need it before everything that the reader needs is there";
}

NestOp kernel::placeOfJoined(NestOp earlier, NestOp later) {
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

NestOp kernel::join(NestOp earlier, NestOp later) {
  NestOp where = placeOfJoined(earlier, later);
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
