// An entry fills a closure on its stack for each kernel and hands it to the runtime's parallel loop, or calls the kernel
// itself where the work is not worth a thread's waking. Small networks then run without one call of the runtime.
#include "backends/cpu/EmitEntry.h"
#include "backends/cpu/Chains.h"
#include "backends/cpu/EmitBands.h"
#include "backends/cpu/EmitScatter.h"
#include "backends/cpu/Scan.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/SymbolicArena.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Operations, roughly, below which a kernel stays on its thread: about 5 microseconds of work.
constexpr int64_t inlineCost = 40000;

class EntryEmitter {
public:
  EntryEmitter(func::FuncOp func, const Target &target, OpBuilder &outer, KernelCache &cache)
      : func(func), target(target), outer(outer), cache(cache), b(func.getLoc(), outer.getContext()) {
    pointerType = LLVM::LLVMPointerType::get(outer.getContext());
    i64 = outer.getI64Type(), i32 = outer.getI32Type();
    leastSizes = leastSizesOf(func);
  }

  unsigned run(const std::string &name, bool marks) {
    entryName = name;
    // Kernels first: the largest closure gives the size of the one on the stack.
    SmallVector<Step> steps;
    size_t slots = scatterSlots;
    for (Operation &op : func.getBody().front()) {
      KernelCache::Kernel *kernel = nullptr;
      if (auto nest = dyn_cast<NestOp>(op)) {
        kernel = &cache.of(nest, target, outer);
        slots = std::max(slots, kernel->slots.size());
      }
      if (auto attend = dyn_cast<AttendOp>(op)) {
        kernel = &cache.of(attend, target, outer);
        slots = std::max(slots, kernel->slots.size());
      }
      if (!isa<AliasOp>(op))
        steps.push_back({&op, kernel});
    }
    for (size_t i = 0; i < steps.size(); i += chainLength(steps, i)) {
      ArrayRef<Step> chain = ArrayRef(steps).slice(i, chainLength(steps, i));
      slots = std::max(slots, isBand(chain.front()) ? bandEmitterOf(chain).slots() : chainSlots(chain));
    }

    auto type = LLVM::LLVMFunctionType::get(i32, {pointerType, pointerType, pointerType, pointerType});
    b.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
    auto entry = LLVM::LLVMFuncOp::create(b, name, type, LLVM::Linkage::External);
    entry.setVisibility_(LLVM::Visibility::Hidden);
    Block *block = entry.addEntryBlock(b);
    b.setInsertionPointToEnd(block);
    context = block->getArgument(0), dims = block->getArgument(1), buffers = block->getArgument(2),
    arena = block->getArgument(3);
    closure = LLVM::AllocaOp::create(b, pointerType, i64, constant(slots), 64);
    unsigned launches = 0;
    auto mark = [&](int64_t number) {
      if (marks)
        LLVM::CallOp::create(b, TypeRange(), "bigm_rt_mark", ValueRange{constant(number)});
    };
    int64_t number = 0;
    for (size_t i = 0, length = 0; i < steps.size(); i += length) {
      auto [op, kernel] = steps[i];
      bool band = isBand(steps[i]);
      length = marks && !band ? 1 : chainLength(steps, i); // what is timed runs alone
      if (isKernel(op))
        mark(number);
      number += isKernel(op); // a band is one
      if (band)
        launches += launchBand(ArrayRef(steps).slice(i, length));
      else if (length > 1)
        launchChain(ArrayRef(steps).slice(i, length)), ++launches;
      else if (kernel)
        launches += launch(op, *kernel);
      else if (auto call = dyn_cast<CallOp>(op))
        emitCall(call), ++launches;
      else if (auto scan = dyn_cast<kernel::ScanOp>(op))
        emitScan(scan), ++launches;
      else if (auto scatter = dyn_cast<ScatterOp>(op))
        launches += launchScatter(scatter);
    }
    mark(-1);
    LLVM::ReturnOp::create(b, Value(arith::ConstantOp::create(b, b.getI32IntegerAttr(0))));
    outer.setInsertionPointAfter(entry);
    return launches;
  }

private:
  using Step = std::pair<Operation *, KernelCache::Kernel *>;

  Value constant(int64_t value) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); }
  Value element(Value base, Type type, int64_t index) {
    return LLVM::GEPOp::create(b, pointerType, type, base, ArrayRef<LLVM::GEPArg>{int32_t(index)});
  }
  /// The expression's value for the call's symbols, or for at least `least` of each.
  Value evaluate(AffineExpr expr, ArrayRef<int64_t> least = {}) {
    if (auto number = constantOf(expr))
      return constant(*number);
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
      unsigned at = symbol.getPosition();
      Value size = LLVM::LoadOp::create(b, i64, element(dims, i64, at), 8, false, false, true);
      return at < least.size() && least[at] > 1 ? arith::MaxSIOp::create(b, size, constant(least[at])) : size;
    }
    auto binary = cast<AffineBinaryOpExpr>(expr);
    Value x = evaluate(binary.getLHS(), least), y = evaluate(binary.getRHS(), least);
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      return arith::AddIOp::create(b, x, y);
    case AffineExprKind::Mul:
      return arith::MulIOp::create(b, x, y);
    case AffineExprKind::FloorDiv:
      return arith::FloorDivSIOp::create(b, x, y);
    case AffineExprKind::CeilDiv:
      return arith::CeilDivSIOp::create(b, x, y);
    default:
      return arith::RemSIOp::create(b, x, y);
    }
  }
  Value atPlace(Attribute place) {
    if (auto buffer = dyn_cast<IntegerAttr>(place))
      return LLVM::LoadOp::create(b, pointerType, element(buffers, pointerType, buffer.getInt()), 8, false, false,
                                  true);
    Value offset = evaluate(cast<AffineMapAttr>(place).getValue().getResult(0), leastSizes);
    return LLVM::GEPOp::create(b, pointerType, b.getI8Type(), arena, ArrayRef<LLVM::GEPArg>{offset});
  }
  Value memoryOf(Value tensor) {
    tensor = rootOf(tensor);
    if (auto argument = dyn_cast<BlockArgument>(tensor))
      return atPlace(b.getI64IntegerAttr(argument.getArgNumber()));
    auto places = tensor.getDefiningOp()->getAttrOfType<ArrayAttr>("places");
    return atPlace(places[cast<OpResult>(tensor).getResultNumber()]);
  }

  /// What a band passes on lies in no memory that is known here.
  Value pointerTo(Value tensor) {
    return isPassedOn(tensor) ? Value(LLVM::ZeroOp::create(b, pointerType)) : memoryOf(tensor);
  }

  /// Steps from `first` on that make one chain; 1 for any other step.
  static size_t chainLength(ArrayRef<Step> steps, size_t first) {
    auto chain = [&](size_t i) {
      auto attr = steps[i].first->getAttrOfType<DenseI64ArrayAttr>(chainAttr);
      return attr ? std::optional(attr[0]) : std::nullopt;
    };
    auto own = chain(first);
    size_t end = first + 1;
    while (own && end < steps.size() && chain(end) == own)
      ++end;
    return end - first;
  }
  static bool isBand(const Step &step) { return step.first->hasAttr(bandAttr); }
  /// The closure of a chain: for each kernel the place of its own closure and its units in a slice; then these closures.
  static size_t chainSlots(ArrayRef<Step> steps) {
    size_t slots = 2 * steps.size();
    for (const Step &step : steps)
      slots += step.second ? step.second->slots.size() : 0;
    return slots;
  }

  /// One loop over slices that calls the kernels of the steps in turn.
  void launchChain(ArrayRef<Step> steps) {
    ChainPart part = *chainOf(cast<NestOp>(steps.front().first));
    size_t at = 2 * steps.size();
    AffineExpr cost = outer.getAffineConstantExpr(0);
    AffineExpr slices;
    for (auto [i, step] : llvm::enumerate(steps)) {
      auto nest = cast<NestOp>(step.first);
      Slices own = slicesOf(nest, part.dims, target);
      slices = own.count;
      Value place = element(closure, i64, at);
      fillClosure(nest, *step.second, place);
      LLVM::StoreOp::create(b, place, element(closure, i64, 2 * i), 8);
      LLVM::StoreOp::create(b, evaluate(own.units), element(closure, i64, 2 * i + 1), 8);
      at += step.second->slots.size();
      cost = cost + step.second->launches.front().cost;
    }
    std::string name = entryName + "_chain_" + std::to_string(chains++);
    emitChain(name, steps, part.together);
    emitLaunch({name, slices, canonical(cost)});
  }
  void emitChain(const std::string &name, ArrayRef<Step> steps, int64_t together) {
    ImplicitLocOpBuilder c(steps.front().first->getLoc(), outer);
    c.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(outer.getContext()), {pointerType, i64, i64});
    auto function = LLVM::LLVMFuncOp::create(c, name, type, LLVM::Linkage::External);
    function.setVisibility_(LLVM::Visibility::Hidden);
    Block *block = function.addEntryBlock(c);
    c.setInsertionPointToEnd(block);
    Value own = block->getArgument(0), end = block->getArgument(2);
    auto field = [&](size_t i, Type type) -> Value {
      Value place = LLVM::GEPOp::create(c, pointerType, i64, own, ArrayRef<LLVM::GEPArg>{int32_t(i)});
      return LLVM::LoadOp::create(c, type, place, 8);
    };
    SmallVector<std::pair<Value, Value>> kernels; // closure and units in a slice
    for (size_t i = 0; i < steps.size(); ++i)
      kernels.push_back({field(2 * i, pointerType), field(2 * i + 1, i64)});
    Value step = arith::ConstantOp::create(c, c.getI64IntegerAttr(together));
    auto loop = scf::ForOp::create(c, block->getArgument(1), end, step);
    c.setInsertionPointToStart(loop.getBody());
    Value from = loop.getInductionVar();
    Value to = arith::MinSIOp::create(c, arith::AddIOp::create(c, from, step), end);
    for (auto [kernel, step] : llvm::zip(kernels, steps))
      LLVM::CallOp::create(c, TypeRange(), step.second->launches.front().function,
                           ValueRange{kernel.first, arith::MulIOp::create(c, from, kernel.second),
                                      arith::MulIOp::create(c, to, kernel.second)});
    c.setInsertionPointAfter(loop);
    LLVM::ReturnOp::create(c, ValueRange());
  }

  BandEmitter bandEmitterOf(ArrayRef<Step> steps) {
    SmallVector<BandStage> stages;
    for (auto [op, kernel] : steps) {
      auto nest = cast<NestOp>(op);
      SmallVector<Value> tensors = tensorsOf(nest);
      SmallVector<Slot> slots = kernel->slots;
      for (Slot &slot : slots)
        if (slot.kind == Slot::Tensor)
          slot.tensor = tensors[slot.result];
      stages.push_back({nest, kernel->launches.back(), slots});
    }
    return BandEmitter(stages);
  }
  /// One loop over rows of the last step's result.
  unsigned launchBand(ArrayRef<Step> steps) {
    auto [last, kernel] = steps.back();
    if (kernel->launches.size() > 1) { // its margins
      fillClosure(last, *kernel, closure);
      emitLaunch(kernel->launches.front());
    }
    BandEmitter band = bandEmitterOf(steps);
    for (auto [slot, number] : band.numbers)
      LLVM::StoreOp::create(b, evaluate(number), element(closure, i64, slot), 8);
    for (auto [step, place] : llvm::zip(steps, band.closures))
      fillClosure(step.first, *step.second, element(closure, i64, place));
    std::string name = entryName + "_band_" + std::to_string(chains++);
    emitLaunch(band.emit(name, outer), band.grain(target));
    return kernel->launches.size();
  }

  unsigned launch(Operation *op, KernelCache::Kernel &kernel) {
    fillClosure(op, kernel, closure);
    for (Launch &launch : kernel.launches)
      emitLaunch(launch);
    return kernel.launches.size();
  }
  void fillClosure(Operation *op, KernelCache::Kernel &kernel, Value closure) {
    auto nest = dyn_cast<NestOp>(op);
    SmallVector<Value> tensors = nest ? tensorsOf(nest) : SmallVector<Value>(op->getOperands());
    for (auto [i, slot] : llvm::enumerate(kernel.slots)) {
      Value value;
      switch (slot.kind) {
      case Slot::Tensor:
        value = pointerTo(tensors[slot.result]);
        break;
      case Slot::Result:
        value = pointerTo(op->getResult(slot.result));
        break;
      case Slot::Scratch:
        value = atPlace(op->getAttr("scratch"));
        break;
      case Slot::Size:
        value = evaluate(slot.size);
        break;
      }
      LLVM::StoreOp::create(b, value, element(closure, i64, i), 8);
    }
  }

  /// With at least `least` units at a time.
  void emitLaunch(const Launch &launch, int64_t least = 1) {
    auto direct = [&](Value units) {
      LLVM::CallOp::create(b, TypeRange(), launch.function, ValueRange{closure, constant(0), units});
    };
    Value units = evaluate(launch.units);
    auto knownUnits = constantOf(launch.units), knownCost = constantOf(launch.cost);
    if (knownUnits == 1 || (knownCost && *knownCost < inlineCost))
      return direct(units);
    Value cost = evaluate(launch.cost);
    Value large = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, cost, constant(inlineCost));
    auto choose = scf::IfOp::create(b, large, /*withElse=*/true);
    b.setInsertionPointToStart(choose.thenBlock());
    // Ranges worth about half of `inlineCost` each.
    Value each = arith::DivSIOp::create(b, cost, units);
    Value grain = arith::DivSIOp::create(b, constant(inlineCost / 2),
                                         arith::MaxSIOp::create(b, each, constant(1)));
    grain = arith::MaxSIOp::create(b, grain, constant(least));
    Value function = LLVM::AddressOfOp::create(b, pointerType, launch.function);
    LLVM::CallOp::create(b, TypeRange(), "bigm_rt_parallel_for", ValueRange{context, units, grain, function, closure});
    b.setInsertionPointToStart(choose.elseBlock());
    direct(units);
    b.setInsertionPointAfter(choose);
  }

  unsigned launchScatter(ScatterOp scatter) {
    Scatter plan = planScatter(scatter, target);
    const std::string &name = cache.of(scatter, target, outer);
    Value values[] = {memoryOf(scatter.getUpdates()), memoryOf(scatter.getIds()), memoryOf(scatter.getResult()),
                      evaluate(plan.ids), evaluate(plan.rows), evaluate(plan.width)};
    static_assert(std::size(values) == scatterSlots);
    for (auto [i, value] : llvm::enumerate(values))
      LLVM::StoreOp::create(b, value, element(closure, i64, i), 8);
    emitLaunch({name + "_clear", plan.clearUnits, plan.clearCost});
    emitLaunch({name, plan.units, plan.cost});
    return 2;
  }

  void emitCall(CallOp call) {
    SmallVector<Value> arguments{context};
    for (Value input : call.getInputs())
      arguments.push_back(memoryOf(input));
    arguments.push_back(memoryOf(call.getResult()));
    for (AffineExpr size : call.getSizes().getResults())
      arguments.push_back(evaluate(size));
    for (Attribute value : call.getConstants())
      arguments.push_back(arith::ConstantOp::create(b, cast<TypedAttr>(value)));
    LLVM::CallOp::create(b, TypeRange(), call.getCallee(), arguments);
  }

  /// Calls the body's entry for each step. Its buffers are those of the caller: rows of sequences and of results by
  /// address, states in turns at two places, of which the result is the second of the last step.
  void emitScan(kernel::ScanOp scan) {
    func::FuncOp body = bodyOf(scan);
    unsigned states = scan.getStarts().size(), arguments = scan.getNumOperands();
    Value slots = LLVM::AllocaOp::create(b, pointerType, i64, constant(arguments + scan.getNumResults()), 64);
    auto give = [&](Value pointer, unsigned slot) {
      LLVM::StoreOp::create(b, pointer, element(slots, i64, slot), 8);
    };
    auto bytesOf = [&](Type type) { return evaluate(canonical(elementCount(type) * elementBytes(type))); };
    for (unsigned i = states + scan.getXs().size(); i < arguments; ++i)
      give(memoryOf(scan->getOperand(i)), i);
    Value own = atPlace(scan->getAttr("scratch")), steps = evaluate(scan.getSteps().getResult(0));
    Value one = constant(1), zero = constant(0);
    auto odd = [&](Value number) {
      return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, number, one), zero);
    };
    auto offset = [&](Value pointer, Value bytes) {
      return LLVM::GEPOp::create(b, pointerType, b.getI8Type(), pointer, ArrayRef<LLVM::GEPArg>{bytes});
    };
    SmallVector<std::pair<Value, Value>> places; // of each state: where it ends, and the other one
    SmallVector<AffineExpr> offsets = stateOffsets(scan);
    for (unsigned i = 0; i < states; ++i) {
      places.push_back({memoryOf(scan.getResult(i)), offset(own, evaluate(offsets[i]))});
      Value start = arith::SelectOp::create(b, odd(steps), places[i].second, places[i].first);
      LLVM::MemcpyOp::create(b, start, memoryOf(scan.getStarts()[i]), bytesOf(scan.getStarts()[i].getType()), false);
    }
    struct Rows {
      unsigned slot;
      Value base, bytes;
    };
    SmallVector<Rows> rows;
    auto addRows = [&](Value tensor, unsigned slot) {
      rows.push_back({slot, memoryOf(tensor), bytesOf(withoutDims(tensor.getType(), {0}))});
    };
    for (auto [i, x] : llvm::enumerate(scan.getXs()))
      addRows(x, states + i);
    for (unsigned i = states; i < scan.getNumResults(); ++i)
      addRows(scan.getResult(i), arguments + i);

    auto loop = scf::ForOp::create(b, zero, steps, one);
    b.setInsertionPointToStart(loop.getBody());
    Value left = arith::SubIOp::create(b, steps, loop.getInductionVar());
    Value row = loop.getInductionVar();
    if (scan.getReverse())
      row = arith::SubIOp::create(b, left, one);
    Value isOdd = odd(left);
    for (unsigned i = 0; i < states; ++i) {
      auto [last, other] = places[i];
      give(arith::SelectOp::create(b, isOdd, other, last), i);
      give(arith::SelectOp::create(b, isOdd, last, other), arguments + i);
    }
    for (Rows &r : rows)
      give(offset(r.base, arith::MulIOp::create(b, row, r.bytes)), r.slot);
    LLVM::CallOp::create(b, TypeRange(i32), body->getAttrOfType<StringAttr>("kernel.entry").getValue(),
                         ValueRange{context, dims, slots, own});
    b.setInsertionPointAfter(loop);
  }

  func::FuncOp func;
  const Target &target;
  OpBuilder &outer;
  KernelCache &cache;
  ImplicitLocOpBuilder b;
  Type pointerType, i64, i32;
  Value context, dims, buffers, arena, closure;
  std::string entryName;
  ArrayRef<int64_t> leastSizes; // of the symbols, for places in the arena
  unsigned chains = 0;
};
} // namespace

unsigned cpu::emitEntry(func::FuncOp func, const std::string &name, const Target &target, OpBuilder &builder,
                        KernelCache &cache, bool marks) {
  return EntryEmitter(func, target, builder, cache).run(name, marks);
}
