// Every result gets a place before any code is made: a buffer of the caller where the function returns it or updates a
// persistent tensor, else an offset in the arena.
//
// The arena is planned although sizes are symbolic (SymbolicArena.h). `kernel.arena` on the function lists [bytes, symbols] of each class,
// `kernel.live_bound` the most bytes of the class that are alive at one time.
//
// A persistent tensor is updated in place when all reads of its old value are over, or happen at the very point that is
// written; otherwise the new value is copied at the end.
#include "ir/Bigm.h"
#include "ir/UsualSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Band.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"
#include "passes/SymbolicArena.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// Whether the load reads exactly the place that its nest is about to write. Every element is finished once.
bool readsInPlace(LoadOp load, NestOp nest) {
  if (load->getBlock() != &nest.last() || load.getInside() || !load.getAt().empty() || load.getMap().getNumResults() != nest.getParallel())
    return false;
  for (auto [i, index] : llvm::enumerate(load.getMap().getResults()))
    if (index != getAffineDimExpr(i, load.getContext()))
      return false;
  return true;
}

struct PlanMemory : bigm::impl::PlanMemoryBase<PlanMemory> {
  DenseMap<Operation *, int> order;
  unsigned symbols = 0;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    symbols = symbolCount(func);
    eraseUnused(func);
    number(func);
    moveUpdates(func);
    number(func);
    placeOutputs(func);
    number(func);
    placeRest(func);
  }

  void eraseUnused(func::FuncOp func) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
      if (!op.hasTrait<OpTrait::IsTerminator>() && op.use_empty())
        op.erase();
  }
  void number(func::FuncOp func) {
    order.clear();
    int position = 0;
    std::optional<int64_t> chain;
    for (Operation &op : func.getBody().front()) {
      // A chain is one point in time: its nests run in turns.
      auto part = op.getAttrOfType<DenseI64ArrayAttr>(chainAttr);
      bool goesOn = isa<AliasOp>(op) || (part && chain == part[0]);
      if (!goesOn) {
        ++position;
        chain = part ? std::optional(part[0]) : std::nullopt;
      }
      order[&op] = position;
    }
  }
  /// The top-level op that a use stands in.
  Operation *topLevel(Operation *op) {
    while (!isa<func::FuncOp>(op->getParentOp()))
      op = op->getParentOp();
    return op;
  }
  /// All uses of a value's memory, through aliases.
  void usesOf(Value value, SmallVectorImpl<OpOperand *> &uses) {
    for (OpOperand &use : value.getUses()) {
      uses.push_back(&use);
      if (auto alias = dyn_cast<AliasOp>(use.getOwner()))
        usesOf(alias.getResult(), uses);
    }
  }

  /// All top-level ops that read the tensor that result `i` of the function replaces.
  SmallVector<Operation *> readersOfOld(func::FuncOp func, unsigned i) {
    SmallVector<Operation *> readers;
    auto tensor = func.getResultAttrOfType<IntegerAttr>(i, attrs::updates);
    for (BlockArgument argument : func.getArguments())
      if (tensor && func.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), attrs::tensor) == tensor) {
        SmallVector<OpOperand *> uses;
        usesOf(argument, uses);
        for (OpOperand *use : uses)
          readers.push_back(topLevel(use->getOwner()));
      }
    return readers;
  }

  /// What replaces a tensor is made behind the last reader of the old values where that is near: then it needs no memory of its own.
  /// Readers of arguments alone, as a rule copies into panels, go before it instead: a gradient to weights stays in front of that to
  /// the input, which the kernels behind find in the cache.
  void moveUpdates(func::FuncOp func) {
    constexpr int near = 16;
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    for (unsigned i = 0; i < ret.getNumOperands(); ++i) {
      auto writer = ret.getOperand(i).getDefiningOp<NestOp>();
      if (!writer || writer->hasAttr(chainAttr))
        continue;
      SmallVector<Operation *> readers = readersOfOld(func, i);
      llvm::erase_if(readers, [&](Operation *reader) { return isa<AliasOp>(reader) || !writer->isBeforeInBlock(reader); });
      // One that is far keeps it from being in place, wherever it stands among the others.
      if (llvm::any_of(readers, [&](Operation *reader) { return reader == ret || order[reader] - order[writer] > near; }))
        continue;
      Operation *last = writer;
      for (Operation *reader : readers) {
        auto nest = dyn_cast<NestOp>(reader);
        if (nest && !nest.getContraction() && !nest->hasAttr(chainAttr) && readsArgumentsAlone(nest))
          nest->moveBefore(writer);
        else if (last->isBeforeInBlock(reader))
          last = reader;
      }
      while (order[last->getNextNode()] == order[last]) // the rest of a chain
        last = last->getNextNode();
      if (last != writer && llvm::all_of(writer->getUsers(), [&](Operation *user) { return last->isBeforeInBlock(topLevel(user)); }))
        writer->moveAfter(last);
    }
  }
  static bool readsArgumentsAlone(NestOp nest) {
    bool alone = true;
    nest->walk([&](LoadOp load) { alone &= isa<BlockArgument>(load.getTensor()); });
    return alone;
  }

  void setPlace(Value value, Attribute place) {
    Operation *op = value.getDefiningOp();
    SmallVector<Attribute> places(op->getNumResults());
    if (auto old = op->getAttrOfType<ArrayAttr>("places"))
      places.assign(old.begin(), old.end());
    else
      places.assign(op->getNumResults(), UnitAttr::get(&getContext()));
    places[cast<OpResult>(value).getResultNumber()] = place;
    op->setAttr("places", ArrayAttr::get(&getContext(), places));
  }
  bool isPlaced(Value value) {
    auto places = value.getDefiningOp()->getAttrOfType<ArrayAttr>("places");
    return places && !isa<UnitAttr>(places[cast<OpResult>(value).getResultNumber()]);
  }

  /// Whether `value` may be written straight into the argument's memory.
  bool mayReplace(Value value, BlockArgument argument) {
    SmallVector<OpOperand *> uses;
    usesOf(argument, uses);
    Operation *writer = value.getDefiningOp();
    for (OpOperand *use : uses) {
      if (isa<AliasOp>(use->getOwner()))
        continue;
      if (isa<func::ReturnOp>(use->getOwner()))
        return false;
      Operation *reader = topLevel(use->getOwner());
      if (order[reader] < order[writer])
        continue;
      auto load = dyn_cast<LoadOp>(use->getOwner());
      if (reader != writer || !load || use->get() != argument || !readsInPlace(load, cast<NestOp>(writer)))
        return false;
    }
    return true;
  }

  Value copy(OpBuilder &builder, Value value) { return createCopy(builder, value, symbols).getResult(0); }

  /// Results of the function get buffers of the caller: arguments first, then tensors that are only written, then the
  /// others, as docs/abi.md orders them. `kernel.buffers` lists for each result the index of its buffer.
  void placeOutputs(func::FuncOp func) {
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    OpBuilder builder(ret);
    unsigned results = ret.getNumOperands(), next = func.getNumArguments();
    SmallVector<int64_t> buffers(results, -1);
    DenseMap<int64_t, unsigned> tensorArgument;
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto tensor = func.getArgAttrOfType<IntegerAttr>(i, attrs::tensor))
        tensorArgument[tensor.getInt()] = i;
    auto updates = [&](unsigned i) { return func.getResultAttrOfType<IntegerAttr>(i, attrs::updates); };
    for (unsigned i = 0; i < results; ++i)
      if (auto tensor = updates(i)) {
        auto it = tensorArgument.find(tensor.getInt());
        buffers[i] = it != tensorArgument.end() ? it->second : next++;
      }
    for (unsigned i = 0; i < results; ++i)
      if (buffers[i] < 0)
        buffers[i] = next++;

    SmallVector<std::pair<Value, int64_t>> late;
    for (unsigned i = 0; i < results; ++i) {
      Value root = rootOf(ret.getOperand(i));
      bool isArgument = buffers[i] < int64_t(func.getNumArguments());
      if (isArgument && root == func.getArgument(buffers[i]))
        continue; // unchanged
      Attribute place = builder.getI64IntegerAttr(buffers[i]);
      if (root.getDefiningOp() && !isPlaced(root) &&
          (!isArgument || mayReplace(root, func.getArgument(buffers[i])))) {
        setPlace(root, place);
        continue;
      }
      // An argument that changes too is saved before any late copy changes it.
      Value source = ret.getOperand(i);
      if (isArgument && !root.getDefiningOp())
        source = copy(builder, source);
      late.push_back({source, buffers[i]});
    }
    for (auto [source, buffer] : late)
      setPlace(copy(builder, source), builder.getI64IntegerAttr(buffer));
    func->setAttr("kernel.buffers", builder.getDenseI64ArrayAttr(buffers));
  }

  void placeRest(func::FuncOp func) {
    std::vector<SymbolicBuffer> buffers;
    std::vector<PointerUnion<Value, Operation *>> of; // a result, or the nest or scan whose scratch the buffer is
    for (Operation &op : func.getBody().front()) {
      if (!isKernel(&op))
        continue;
      for (Value result : op.getResults()) {
        if (isPlaced(result) || passesOn(&op))
          continue;
        int last = order[&op];
        SmallVector<OpOperand *> uses;
        usesOf(result, uses);
        for (OpOperand *use : uses)
          last = std::max(last, order[topLevel(use->getOwner())]);
        buffers.emplace_back(elementCount(result.getType()) * elementBytes(result.getType()), order[&op], last);
        of.push_back(result);
      }
      if (auto bytes = op.getAttrOfType<AffineMapAttr>("scratch_bytes")) {
        buffers.emplace_back(bytes.getValue().getResult(0), order[&op], order[&op]);
        of.push_back(&op);
      }
    }

    // The body of a scan has its arena in that of the function around it, which counts with the symbols as they are.
    SmallVector<int64_t> usual(symbols);
    if (auto known = func->getAttrOfType<DenseI64ArrayAttr>(attrs::usual); known && !func.isPrivate())
      usual.assign(known.asArrayRef().begin(), known.asArrayRef().end());
    SymbolicArena arena = planArena(buffers, usual, &getContext());
    for (auto [offset, what] : llvm::zip(arena.offsets, of)) {
      auto place = AffineMapAttr::get(AffineMap::get(0, symbols, offset));
      if (auto *nest = dyn_cast<Operation *>(what))
        nest->setAttr("scratch", place);
      else
        setPlace(cast<Value>(what), place);
    }

    Builder builder(&getContext());
    SmallVector<Attribute> bytes, live;
    for (const SymbolicArena::Class &part : arena.classes) {
      SmallVector<int64_t> monomial(part.monomial.begin(), part.monomial.end());
      auto term = [&](int64_t bytes) {
        return builder.getArrayAttr({builder.getI64IntegerAttr(bytes), builder.getDenseI64ArrayAttr(monomial)});
      };
      bytes.push_back(term(part.bytes));
      live.push_back(term(part.liveBound));
    }
    func->setAttr(arenaAttr, builder.getArrayAttr(bytes));
    func->setAttr(liveBoundAttr, builder.getArrayAttr(live));
    if (llvm::any_of(arena.leastSizes, [](int64_t size) { return size > 1; }))
      func->setAttr(leastSizesAttr, builder.getDenseI64ArrayAttr(arena.leastSizes));
  }
};
} // namespace
