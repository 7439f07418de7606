// The gradient of a scan walks the steps the other way round, carrying the cotangents of the states.
//
// One step of it is made by differentiating the body of the forward scan in a function of its own: the sum of what the
// body returns times its cotangents, by everything that goes in. Three things then decide what it costs.
//
// - What of the forward step is kept. States at the beginning of a step, and results of contractions (and of other heavy
//   ops); what lies between is light and computed again. So an LSTM keeps h, c and h W, and no gate.
// - Gradients of captures that are one contraction in the step (weights) are no sum that is carried through memory at
//   every step: their factors are stacked, and one contraction over steps as well follows the loop. The same holds for
//   sums over what is stacked anyway (biases). All others are carried.
// - A factor that is a row of a sequence or a kept state is stacked already.
#include "passes/ScanGradient.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;

namespace {
bool isFloat(Type type) { return isa<FloatType>(cast<RankedTensorType>(type).getElementType()); }

/// Worth keeping rather than computing again.
bool isHeavy(Operation *op) { return isa<Contraction, AttentionOp, AttentionGradOp, ScanOp, GatherOp, ScatterAddOp>(op); }

class ScanDifferentiation {
public:
  ScanDifferentiation(OpBuilder &builder, ScanOp scan, const ScanCalculus &calculus)
      : outer(builder), scan(scan), calculus(calculus), module(scan->getParentOfType<ModuleOp>()),
        body(module.lookupSymbol<func::FuncOp>(scan.getBodyAttr())), states(scan.getStarts().size()), rows(scan.getXs().size()),
        captures(scan.getCaptures().size()), symbols(symbolCount(body)) {}

  FailureOr<ScanOp> run(ArrayRef<Value> cotangents, ArrayRef<bool> needed, SmallVectorImpl<Value> &gradients) {
    if (failed(differentiateStep(cotangents, needed)))
      return failure();
    if (wanted.empty()) {
      step.erase();
      return scan;
    }
    findForward();
    chooseKept();
    ScanOp keeping = keepForward();
    planOutside();
    func::FuncOp backward = makeBackward();
    runBackward(backward, cotangents, gradients);
    step.erase();
    return keeping;
  }

private:
  // ------------------------------------------------------------------ functions
  func::FuncOp newFunction(StringRef suffix) {
    auto func = func::FuncOp::create(scan.getLoc(), (scan.getBody() + suffix).str(),
                                     FunctionType::get(scan.getContext(), {}, {}));
    if (Attribute names = body->getAttr(attrs::symbols))
      func->setAttr(attrs::symbols, names);
    func.setPrivate();
    func.addEntryBlock();
    SymbolTable(module).insert(func); // renames it where the name is taken
    return func;
  }
  static Block &block(func::FuncOp func) { return func.getBody().front(); }
  static void finish(func::FuncOp func, ValueRange results) {
    Block &entry = block(func);
    OpBuilder builder = OpBuilder::atBlockEnd(&entry);
    func::ReturnOp::create(builder, func.getLoc(), results);
    func.setFunctionType(builder.getFunctionType(entry.getArgumentTypes(), results.getTypes()));
  }
  static ValueRange returned(func::FuncOp func) { return block(func).getTerminator()->getOperands(); }
  RankedTensorType stackedType(Type row) {
    SmallVector<AffineExpr> sizes = sizesOf(row);
    sizes.insert(sizes.begin(), scan.stepCount());
    return tensorType(sizes, symbols, cast<RankedTensorType>(row).getElementType());
  }

  // ------------------------------------------------------------------ one step
  /// `step`: (states, rows, captures, cotangents of new states, cotangents of what is given) -> gradients of states, of
  /// rows, of captures; only floats, and only what is needed.
  LogicalResult differentiateStep(ArrayRef<Value> cotangents, ArrayRef<bool> needed) {
    step = newFunction(".step");
    Block &entry = block(step);
    IRMapping values;
    for (BlockArgument argument : body.getArguments())
      values.map(argument, entry.addArgument(argument.getType(), argument.getLoc()));
    OpBuilder builder = OpBuilder::atBlockEnd(&entry);
    for (Operation &op : block(body).without_terminator())
      builder.clone(op, values);
    ValueRange results = returned(body);
    Value total;
    for (unsigned i = 0; i < results.size(); ++i) {
      bool state = i < states;
      if (!isFloat(results[i].getType()) || (!state && !cotangents[i]))
        continue;
      Value seed = entry.addArgument(results[i].getType(), scan.getLoc());
      cotangentOf[i] = seed;
      Value product = MulOp::create(builder, scan.getLoc(), values.lookup(results[i]), seed);
      auto type = cast<RankedTensorType>(product.getType());
      if (type.getRank())
        product = ReduceSumOp::create(builder, scan.getLoc(), product,
                                      llvm::to_vector(llvm::seq<int64_t>(0, type.getRank())));
      auto scalar = RankedTensorType::get({}, builder.getF64Type());
      if (product.getType() != scalar)
        product = CastOp::create(builder, scan.getLoc(), scalar, product);
      total = total ? AddOp::create(builder, scan.getLoc(), total, product).getResult() : product;
    }
    SmallVector<Value> wrt;
    for (unsigned i = 0; i < states + rows + captures; ++i)
      if (isFloat(body.getArgument(i).getType()) && (i < states || needed[i])) {
        wanted.push_back(i);
        wrt.push_back(entry.getArgument(i));
      }
    if (!total || wrt.empty()) {
      finish(step, wrt);
      wanted.clear();
      return success();
    }
    auto gradient = GradientOp::create(builder, scan.getLoc(), ValueRange(wrt).getTypes(), total, wrt);
    finish(step, gradient.getResults());
    // Gradients that stand in the body come first, as everywhere.
    SmallVector<GradientOp> all;
    step.walk([&](GradientOp op) { all.push_back(op); });
    for (GradientOp op : all)
      if (failed(calculus.expand(op)))
        return failure();
    return calculus.simplify(step);
  }

  /// The values of `step` that cotangents do not enter.
  void findForward() {
    llvm::DenseSet<Value> backward;
    for (auto &[i, seed] : cotangentOf)
      backward.insert(seed);
    for (Operation &op : block(step).without_terminator())
      if (llvm::any_of(op.getOperands(), [&](Value v) { return backward.contains(v); })) {
        backward.insert(op.result_begin(), op.result_end());
        behind.push_back(&op);
      } else {
        forward.insert(op.result_begin(), op.result_end());
      }
  }

  bool isArgument(Value value, unsigned from, unsigned count) {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getArgNumber() >= from && argument.getArgNumber() < from + count;
  }
  /// Differs from step to step.
  bool varies(Value value) {
    if (isa<BlockArgument>(value))
      return !isArgument(value, states + rows, captures);
    auto [it, fresh] = known.try_emplace(value, false);
    if (fresh) {
      bool any = llvm::any_of(value.getDefiningOp()->getOperands(), [&](Value v) { return varies(v); });
      return known[value] = any;
    }
    return it->second;
  }

  /// What the forward scan has to keep: states, and heavy results that the backward step reads or computes from.
  void chooseKept() {
    llvm::DenseSet<Value> seen;
    SmallVector<Value> work;
    for (Operation *op : behind)
      llvm::append_range(work, op->getOperands());
    llvm::append_range(work, returned(step));
    while (!work.empty()) {
      Value value = work.pop_back_val();
      if (!seen.insert(value).second)
        continue;
      if (isArgument(value, 0, states)) {
        kept.insert({value, Value()});
      } else if (forward.contains(value)) {
        if (isHeavy(value.getDefiningOp()) && varies(value))
          kept.insert({value, Value()});
        else
          llvm::append_range(work, value.getDefiningOp()->getOperands());
      }
    }
  }

  /// The scan that gives `kept` as well, stacked, in front of the one that was.
  ScanOp keepForward() {
    if (kept.empty())
      return scan;
    func::FuncOp func = newFunction(".kept");
    Block &entry = block(func);
    OpBuilder builder = OpBuilder::atBlockEnd(&entry);
    IRMapping values, again;
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      Value own = entry.addArgument(argument.getType(), argument.getLoc());
      values.map(argument, own);
      again.map(step.getArgument(i), own);
    }
    for (Operation &op : block(body).without_terminator())
      builder.clone(op, values);
    SmallVector<Value> results;
    for (Value value : returned(body))
      results.push_back(values.lookup(value));
    // The part of the step that leads to what is kept; the same ops as those of the body are one after cse.
    llvm::DenseSet<Operation *> leads;
    SmallVector<Value> work;
    for (auto &[value, stacked] : kept)
      work.push_back(value);
    while (!work.empty())
      if (Operation *op = work.pop_back_val().getDefiningOp(); op && leads.insert(op).second)
        llvm::append_range(work, op->getOperands());
    for (Operation &op : block(step).without_terminator())
      if (leads.contains(&op))
        builder.clone(op, again);
    for (auto &[value, stacked] : kept)
      results.push_back(again.lookup(value));
    finish(func, results);

    SmallVector<Type> types(scan.getResultTypes());
    for (auto &[value, stacked] : kept)
      types.push_back(stackedType(value.getType()));
    OpBuilder at(scan);
    auto keeping = ScanOp::create(at, scan.getLoc(), types, func.getName(), scan.getStarts(), scan.getXs(),
                                  scan.getCaptures(), scan.getSteps(), scan.getReverse());
    unsigned next = scan.getNumResults();
    for (auto &entry : kept)
      entry.second = keeping.getResult(next++);
    return keeping;
  }

  // ------------------------------------------------------------------ gradients of captures behind the loop
  /// The value of a step for all steps, where there is one without asking the backward scan for it.
  Value stackedAlready(Value value) {
    if (isArgument(value, states, rows))
      return scan.getXs()[cast<BlockArgument>(value).getArgNumber() - states];
    if (auto it = kept.find(value); it != kept.end())
      return it->second;
    for (auto &[i, seed] : cotangentOf)
      if (seed == value && i >= states)
        return givenCotangents[i];
    return {};
  }
  bool available(Value value) { return !varies(value) ? isArgument(value, states + rows, captures) : true; }
  void ask(Value value) {
    if (varies(value) && !stackedAlready(value))
      asked.insert({value, asked.size()});
  }
  /// Whether the gradient of a capture can be computed from stacked values.
  bool comesAfter(Value gradient) {
    Operation *op = gradient.getDefiningOp();
    if (auto add = dyn_cast_or_null<AddOp>(op))
      return comesAfter(add.getX()) && comesAfter(add.getY());
    if (auto contract = dyn_cast_or_null<ContractOp>(op))
      return available(contract.getLhs()) && available(contract.getRhs()) && varies(gradient);
    if (auto sum = dyn_cast_or_null<ReduceSumOp>(op))
      return varies(sum.getX()) && (stackedAlready(sum.getX()) || asked.count(sum.getX()));
    return false;
  }
  void askFor(Value gradient) {
    Operation *op = gradient.getDefiningOp();
    if (auto add = dyn_cast<AddOp>(op))
      askFor(add.getX()), askFor(add.getY());
    else if (auto contract = dyn_cast<ContractOp>(op))
      ask(contract.getLhs()), ask(contract.getRhs());
  }

  void planOutside() {
    ValueRange gradients = returned(step);
    for (auto [k, i] : llvm::enumerate(wanted)) // rows' gradients are given anyway
      if (i >= states && i < states + rows)
        asked.insert({gradients[k], asked.size()});
    for (bool sums : {false, true}) // sums read what contractions asked for
      for (auto [k, i] : llvm::enumerate(wanted))
        if (i >= states + rows && !after.contains(k) && isa_and_nonnull<ReduceSumOp>(gradients[k].getDefiningOp()) == sums &&
            comesAfter(gradients[k])) {
          after.insert(k);
          askFor(gradients[k]);
        }
  }

  /// The gradient, from stacked values, at `outer`.
  Value computeAfter(Value gradient, function_ref<Value(Value)> stacked) {
    Location loc = scan.getLoc();
    Operation *op = gradient.getDefiningOp();
    if (auto add = dyn_cast<AddOp>(op))
      return AddOp::create(outer, loc, computeAfter(add.getX(), stacked), computeAfter(add.getY(), stacked));
    if (auto sum = dyn_cast<ReduceSumOp>(op)) {
      SmallVector<int64_t> dims = {0};
      for (int64_t dim : sum.getReducedDims())
        dims.push_back(dim + 1);
      return ReduceSumOp::create(outer, loc, stacked(sum.getX()), dims);
    }
    auto contract = cast<ContractOp>(op);
    MLIRContext *context = outer.getContext();
    unsigned kept = contract.getType().getRank(), dims = kept + contract.getReduced().getNumResults();
    // Steps are the first dimension that is summed over.
    SmallVector<AffineExpr> moved;
    for (unsigned d = 0; d < dims; ++d)
      moved.push_back(getAffineDimExpr(d < kept ? d : d + 1, context));
    auto widened = [&](AffineMap map, bool steps) {
      AffineMap renamed = map.replaceDimsAndSymbols(moved, {}, dims + 1, 0);
      SmallVector<AffineExpr> indices(renamed.getResults());
      if (steps)
        indices.insert(indices.begin(), getAffineDimExpr(kept, context));
      return AffineMap::get(dims + 1, 0, indices, context);
    };
    SmallVector<AffineExpr> sizes = {scan.stepCount()};
    llvm::append_range(sizes, contract.getReduced().getResults());
    return ContractOp::create(outer, loc, contract.getType(), stacked(contract.getLhs()), stacked(contract.getRhs()),
                              widened(contract.getLhsMap(), varies(contract.getLhs())),
                              widened(contract.getRhsMap(), varies(contract.getRhs())),
                              AffineMap::get(0, symbols, sizes, context));
  }

  // ------------------------------------------------------------------ the scan backwards
  bool carried(unsigned k) { return wanted[k] >= states + rows && !after.contains(k); }

  /// (cotangents of states, sums of captures' gradients; kept values, rows, cotangents of what is given; captures) ->
  /// (cotangents of states, sums; what is asked for).
  func::FuncOp makeBackward() {
    func::FuncOp func = newFunction(".grad");
    Block &entry = block(func);
    IRMapping values;
    auto argument = [&](Value like) {
      Value own = entry.addArgument(like.getType(), like.getLoc());
      values.map(like, own);
    };
    SmallVector<Value> sums;
    for (auto &[i, seed] : cotangentOf)
      if (i < states)
        argument(seed);
    for (unsigned k = 0; k < wanted.size(); ++k)
      if (carried(k))
        sums.push_back(entry.addArgument(step.getArgument(wanted[k]).getType(), scan.getLoc()));
    for (auto &[value, stacked] : kept)
      argument(value);
    for (unsigned i = states; i < states + rows; ++i)
      argument(step.getArgument(i));
    for (auto &[i, seed] : cotangentOf)
      if (i >= states)
        argument(seed);
    for (unsigned i = 0; i < captures; ++i)
      argument(step.getArgument(states + rows + i));
    // Only what results need: parts of the forward step that nothing reads would ask for states that were not kept.
    OpBuilder builder = OpBuilder::atBlockEnd(&entry);
    llvm::DenseSet<Operation *> leads;
    SmallVector<Value> work;
    for (unsigned k = 0; k < wanted.size(); ++k)
      if (!after.contains(k))
        work.push_back(returned(step)[k]);
    for (auto &[value, number] : asked)
      work.push_back(value);
    while (!work.empty()) {
      Value value = work.pop_back_val();
      if (Operation *op = value.getDefiningOp(); op && !values.contains(value) && leads.insert(op).second)
        llvm::append_range(work, op->getOperands());
    }
    for (Operation &op : block(step).without_terminator())
      if (leads.contains(&op))
        builder.clone(op, values);
    SmallVector<Value> results;
    ValueRange gradients = returned(step);
    for (auto &[i, seed] : cotangentOf)
      if (i < states)
        for (auto [k, at] : llvm::enumerate(wanted))
          if (at == i)
            results.push_back(values.lookup(gradients[k]));
    unsigned next = 0;
    for (unsigned k = 0; k < wanted.size(); ++k)
      if (carried(k))
        results.push_back(AddOp::create(builder, scan.getLoc(), sums[next++], values.lookup(gradients[k])));
    for (auto &[value, number] : asked)
      results.push_back(values.lookup(value));
    finish(func, results);
    return func;
  }

  void runBackward(func::FuncOp backward, ArrayRef<Value> cotangents, SmallVectorImpl<Value> &gradients) {
    Location loc = scan.getLoc();
    SmallVector<Value> starts, xs;
    SmallVector<Type> types;
    for (auto &[i, seed] : cotangentOf)
      if (i < states)
        starts.push_back(cotangents[i] ? cotangents[i] : constant(outer, loc, seed.getType(), 0));
    for (unsigned k = 0; k < wanted.size(); ++k)
      if (carried(k))
        starts.push_back(constant(outer, loc, scan->getOperand(wanted[k]).getType(), 0));
    llvm::append_range(types, ValueRange(starts).getTypes());
    for (auto &[value, stacked] : kept)
      xs.push_back(stacked);
    llvm::append_range(xs, scan.getXs());
    for (auto &[i, seed] : cotangentOf)
      if (i >= states)
        xs.push_back(cotangents[i]);
    for (auto &[value, number] : asked)
      types.push_back(stackedType(value.getType()));
    auto back = ScanOp::create(outer, loc, types, backward.getName(), starts, xs, scan.getCaptures(), scan.getSteps(),
                               !scan.getReverse());
    auto stacked = [&](Value value) -> Value {
      if (!varies(value))
        return scan.getCaptures()[cast<BlockArgument>(value).getArgNumber() - states - rows];
      if (Value already = stackedAlready(value))
        return already;
      return back.getStacked()[asked.lookup(value)];
    };
    ValueRange own = returned(step);
    unsigned nextSum = 0;
    SmallVector<unsigned> stateResult(states);
    for (auto &[i, seed] : cotangentOf)
      if (i < states)
        stateResult[i] = nextSum++;
    for (auto [k, i] : llvm::enumerate(wanted)) {
      if (i < states)
        gradients[i] = back.getResult(stateResult[i]);
      else if (i < states + rows)
        gradients[i] = back.getStacked()[asked.lookup(own[k])];
      else if (carried(k))
        gradients[i] = back.getResult(nextSum++);
      else
        gradients[i] = computeAfter(own[k], stacked);
    }
  }

public:
  llvm::DenseMap<unsigned, Value> givenCotangents; // cotangents of what is given, by result

private:
  OpBuilder &outer;
  ScanOp scan;
  const ScanCalculus &calculus;
  ModuleOp module;
  func::FuncOp body, step;
  unsigned states, rows, captures, symbols;
  std::map<unsigned, Value> cotangentOf; // of results of the body, arguments of `step`
  SmallVector<unsigned> wanted;          // operands of the scan whose gradients `step` returns, in order
  llvm::DenseSet<Value> forward;
  SmallVector<Operation *> behind;       // ops that cotangents enter
  llvm::DenseMap<Value, bool> known;
  llvm::MapVector<Value, Value> kept;    // values of `step` -> stacked
  llvm::MapVector<Value, size_t> asked;  // values of `step` that the backward scan gives, with their number
  llvm::DenseSet<unsigned> after;        // of `wanted`: computed behind the loop
};
} // namespace

FailureOr<ScanOp> bigm::differentiateScan(OpBuilder &builder, ScanOp scan, ArrayRef<Value> cotangents,
                                      ArrayRef<bool> needed, SmallVectorImpl<Value> &gradients,
                                      const ScanCalculus &calculus) {
  ScanDifferentiation differentiation(builder, scan, calculus);
  for (auto [i, value] : llvm::enumerate(cotangents))
    if (value)
      differentiation.givenCotangents[i] = value;
  return differentiation.run(cotangents, needed, gradients);
}
