// Every bigm op becomes one nest (or a runtime call, or an alias). Nothing is decided here: each op says how an element
// of its result comes about, and fuse-kernels decides what is computed together. Ops whose way there is an idea of its own
// have a file each (LowerOps.h).
#include "ir/Bigm.h"
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/LowerOps.h"
#include "passes/Passes.h"
#include "passes/Reshape.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::bigm {
#define GEN_PASS_DEF_TOKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
class Lowering : NestBuilder {
public:
  explicit Lowering(func::FuncOp func) : NestBuilder(func.getContext(), symbolCount(func)) {}

  /// The values that replace the op's results; empty when the op has no kernel.
  SmallVector<Value> lower(Operation *op) {
    builder.setInsertionPoint(op);
    loc = op->getLoc();
    if (isa<AttentionOp, AttentionGradOp, CachedAttentionOp>(op))
      return lowerAttention(*this, op);
    if (auto scan = dyn_cast<bigm::ScanOp>(op))
      return llvm::to_vector_of<Value>(kernel::ScanOp::create(builder, loc, scan.getResultTypes(), scan.getBodyAttr(),
                                                              scan.getStarts(), scan.getXs(), scan.getCaptures(),
                                                              scan.getStepsAttr(), scan.getReverseAttr())
                                           .getResults());
    if (op->getNumResults() != 1)
      return {};
    Value replacement = lowerSingle(op);
    return replacement ? SmallVector<Value>{replacement} : SmallVector<Value>();
  }

private:
  Value lowerSingle(Operation *op) {
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case<ConstantOp, SizeOp, IotaOp, RandomOp, Pointwise, ReshapeOp, ViewOp, FoldOp, PadOp, ConcatOp, ArgMaxOp,
              ArgMinOp, Contraction, GatherOp, ScatterAddOp, WarpOp, ResizeOp>([&](auto op) { return lowerOp(op); })
        .Case<StopGradientOp>([&](StopGradientOp op) { return op.getX(); })
        .Case<Reduction>([&](Reduction op) { return lowerReduction(op); })
        .Default([](Operation *) { return Value(); });
  }

  // ------------------------------------------------------------------ leaves
  Value lowerOp(RandomOp op) { return lowerRandom(*this, op); }
  Value lowerOp(ConstantOp op) {
    return pointwise(op.getType(), [&](unsigned) { return scalar(cast<TypedAttr>(op.getNumberAttr())); });
  }
  Value lowerOp(SizeOp op) {
    return pointwise(op.getType(), [&](unsigned dims) {
      Value size = index(op.getSize().getResult(0), dims);
      return formula::convert(builder, loc, size, builder.getI64Type(), elementOf(op.getResult()));
    });
  }
  Value lowerOp(IotaOp op) {
    return pointwise(op.getType(), [&](unsigned dims) {
      Value at = index(dim(op.getDim()), dims);
      return formula::convert(builder, loc, at, builder.getI64Type(), elementOf(op.getResult()));
    });
  }

  // ------------------------------------------------------------------ pointwise and shape
  Value lowerOp(Pointwise op) {
    Value result = pointwise(op->getResult(0).getType(), [&](unsigned dims) {
      SmallVector<Value> operands;
      for (Value operand : op->getOperands())
        operands.push_back(loadSame(operand, dims));
      return op.emitScalar(builder, loc, operands);
    });
    if (Attribute again = op->getAttr(attrs::again))
      result.getDefiningOp()->setAttr(attrs::again, again);
    return result;
  }
  Value lowerOp(ViewOp op) {
    return pointwise(op.getType(),
                     [&](unsigned dims) { return load(op.getX(), dims, op.getMap().getResults()); });
  }
  Value lowerOp(ReshapeOp op) {
    if (auto indices = reshapeAsView(sizesOf(op.getX().getType()), sizesOf(op.getType())))
      return pointwise(op.getType(), [&](unsigned dims) { return load(op.getX(), dims, *indices); });
    return AliasOp::create(builder, loc, op.getType(), op.getX());
  }
  Value lowerOp(PadOp op) {
    SmallVector<AffineExpr> from = sizesOf(op.getX().getType()), to = sizesOf(op.getType());
    return pointwise(op.getType(), [&](unsigned dims) {
      SmallVector<AffineExpr> indices, constraints;
      SmallVector<bool> equalities;
      for (unsigned i = 0; i < dims; ++i) {
        int64_t low = op.getLow()[i], step = op.getInterior()[i] + 1;
        AffineExpr shifted = dim(i) - low;
        indices.push_back(shifted.floorDiv(step));
        if (low > 0)
          constraints.push_back(shifted), equalities.push_back(false);
        // The last element read is in range when nothing was added behind it.
        auto beyond = constantDifference(to[i] - 1 - low, (from[i] - 1) * step);
        if (!beyond || *beyond > 0)
          constraints.push_back((from[i] - 1) * step - shifted), equalities.push_back(false);
        if (step > 1)
          constraints.push_back(shifted % step), equalities.push_back(true);
      }
      Value otherwise = constraints.empty() ? Value() : load(op.getValue(), dims, {});
      return load(op.getX(), dims, indices, {}, constraints, equalities, otherwise);
    });
  }
  Value lowerOp(ConcatOp op) {
    return pointwise(op.getType(), [&](unsigned dims) {
      Value element = zero(scalarType(op.getType()));
      AffineExpr start = number(0);
      for (Value input : op.getInputs()) {
        AffineExpr end = start + sizesOf(input.getType())[op.getDim()];
        SmallVector<AffineExpr> indices;
        for (unsigned i = 0; i < dims; ++i)
          indices.push_back(i == op.getDim() ? dim(i) - start : dim(i));
        element = load(input, dims, indices, {}, {dim(op.getDim()) - start, end - 1 - dim(op.getDim())},
                       {false, false}, element);
        start = end;
      }
      return element;
    });
  }

  // ------------------------------------------------------------------ reductions and contractions
  Value lowerOp(FoldOp op) { return lowerFold(*this, op); }
  /// Maps the operand's dimensions to the nest's: kept ones first, then the reduced.
  SmallVector<AffineExpr> reducedIndices(Type operand, ArrayRef<int64_t> dims, SmallVectorImpl<AffineExpr> &reduced) {
    SmallVector<AffineExpr> sizes = sizesOf(operand), indices(sizes.size());
    unsigned parallel = 0;
    for (unsigned i = 0; i < sizes.size(); ++i)
      if (!llvm::is_contained(dims, int64_t(i)))
        indices[i] = dim(parallel++);
    for (int64_t i : dims) {
      indices[i] = dim(parallel + reduced.size());
      reduced.push_back(sizes[i]);
    }
    return indices;
  }
  Value lowerReduction(Reduction op) {
    Value x = op->getOperand(0), result = op->getResult(0);
    SmallVector<AffineExpr> reduced;
    SmallVector<AffineExpr> indices = reducedIndices(x.getType(), op.getReducedDims(), reduced);
    if (reduced.empty())
      return x;
    StringRef kind = op->getName().stripDialect();
    kind.consume_front("reduce_");
    const bool turns = kind == "max" || kind == "min";
    NestOp nest = reduction(result.getType(), reduced, kind, scalarType(result.getType()), [&](unsigned dims) {
      Value element = load(x, dims, indices);
      return turns ? inOrder(element, x) : element;
    });
    if (turns) {
      OpBuilder::InsertionGuard guard(builder);
      Operation *yield = nest.getFinish().front().getTerminator();
      builder.setInsertionPoint(yield);
      yield->setOperand(0, inOrder(yield->getOperand(0), x));
    }
    return nest.getResult(0);
  }
  /// An element of the tensor as a number that kernels, which compare whole numbers with a sign, order as its type does: unsigned
  /// ones have their highest bit turned. The same turns it back.
  Value inOrder(Value element, Value tensor) {
    if (!cast<RankedTensorType>(tensor.getType()).getElementType().isUnsignedInteger())
      return element;
    auto sign = builder.getIntegerAttr(element.getType(), APInt::getSignMask(element.getType().getIntOrFloatBitWidth()));
    return arith::XOrIOp::create(builder, loc, element, Value(arith::ConstantOp::create(builder, loc, sign)));
  }
  template <class Arg> Value lowerArg(Arg op, StringRef kind) {
    SmallVector<AffineExpr> reduced;
    SmallVector<AffineExpr> indices = reducedIndices(op.getX().getType(), {int64_t(op.getDim())}, reduced);
    return reduction(op.getType(), reduced, kind, builder.getI32Type(),
                     [&](unsigned dims) { return inOrder(load(op.getX(), dims, indices), op.getX()); })
        .getResult(0);
  }
  Value lowerOp(ArgMaxOp op) { return lowerArg(op, "argmax"); }
  Value lowerOp(ArgMinOp op) { return lowerArg(op, "argmin"); }

  Value lowerOp(Contraction op) {
    Value result = op->getResult(0);
    SmallVector<AffineExpr> sizes = op.iterationSizes();
    size_t parallel = cast<RankedTensorType>(result.getType()).getRank();
    bool real = isa<FloatType>(elementOf(result));
    auto product = [&](unsigned dims) -> Value {
      auto factor = [&](Value tensor, AffineMap indexing) {
        return formula::convert(builder, loc, load(tensor, dims, indexing.getResults()), elementOf(tensor), elementOf(result));
      };
      Value x = factor(op.lhsValue(), op.lhsIndexing()), y = factor(op.rhsValue(), op.rhsIndexing());
      return real ? Value(arith::MulFOp::create(builder, loc, x, y)) : Value(arith::MulIOp::create(builder, loc, x, y));
    };
    if (sizes.size() == parallel)
      return pointwise(result.getType(), product);
    NestOp nest = reduction(result.getType(), ArrayRef(sizes).drop_front(parallel), "sum",
                            scalarType(result.getType()), product);
    nest.setContraction(true);
    return nest.getResult(0);
  }

  // ------------------------------------------------------------------ irregular
  /// The id at the leading dimensions of the nest, as i64.
  Value loadId(Value ids, unsigned dims, unsigned firstDim) {
    SmallVector<AffineExpr> indices;
    for (int64_t i = 0; i < cast<RankedTensorType>(ids.getType()).getRank(); ++i)
      indices.push_back(dim(firstDim + i));
    return formula::convert(builder, loc, load(ids, dims, indices), elementOf(ids), builder.getI64Type());
  }
  /// Ids that a function is given were looked at when it was called, where its table has a known size. All others, that it
  /// computes or that a step of a scan reads, count as 0 where the table has no such row, so that nothing beside it is read or
  /// written.
  bool needsHold(Value ids, RankedTensorType table) {
    auto argument = dyn_cast<BlockArgument>(ids);
    if (!argument || table.isDynamicDim(0))
      return true;
    auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
    auto role = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::role);
    return func.isPrivate() || (role && role.getValue() != "input");
  }
  Value held(Value id, RankedTensorType table, unsigned dims) {
    Value rows = table.isDynamicDim(0) ? index(sizesOf(table).front(), dims) : scalar(builder.getI64IntegerAttr(table.getDimSize(0)));
    Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, id, rows);
    return arith::SelectOp::create(builder, loc, inside, id, zero(builder.getI64Type()));
  }
  Value lowerOp(GatherOp op) {
    unsigned idRank = cast<RankedTensorType>(op.getIds().getType()).getRank();
    auto table = cast<RankedTensorType>(op.getTable().getType());
    return pointwise(op.getType(), [&](unsigned dims) {
      Value id = loadId(op.getIds(), dims, 0);
      if (needsHold(op.getIds(), table))
        id = held(id, table, dims);
      SmallVector<AffineExpr> indices{builder.getAffineSymbolExpr(symbols)};
      for (unsigned i = idRank; i < dims; ++i)
        indices.push_back(dim(i));
      return load(op.getTable(), dims, indices, id);
    });
  }
  Value lowerOp(ScatterAddOp op) {
    auto table = cast<RankedTensorType>(op.getType());
    Value ids = op.getIds();
    if (needsHold(ids, table))
      ids = pointwise(ids.getType(), [&](unsigned dims) {
        return formula::convert(builder, loc, held(loadId(op.getIds(), dims, 0), table, dims), builder.getI64Type(), elementOf(op.getIds()));
      });
    return ScatterOp::create(builder, loc, op.getType(), op.getUpdates(), ids);
  }
  Value lowerOp(WarpOp op) {
    return callImage("bigm_rt_warp_f32", {op.getImage(), op.getMatrix()}, op.getType(),
                     builder.getF32FloatAttr(op.getFill().convertToDouble()));
  }
  Value lowerOp(ResizeOp op) {
    int mode = llvm::StringSwitch<int>(op.getMode()).Case("nearest", 0).Case("bilinear", 1).Case("bicubic", 2).Default(3);
    return callImage("bigm_rt_resize_f32", {op.getImage()}, op.getType(),
                     {builder.getI32IntegerAttr(mode), builder.getI32IntegerAttr(op.getAntialias())});
  }
  Value callImage(StringRef callee, ArrayRef<Value> inputs, Type result, ArrayRef<Attribute> constants) {
    SmallVector<AffineExpr> sizes = sizesOf(inputs[0].getType()), out = sizesOf(result);
    sizes.append(out.begin() + 2, out.end());
    return CallOp::create(builder, loc, result, callee, inputs,
                          AffineMap::get(0, symbols, sizes, builder.getContext()), builder.getArrayAttr(constants));
  }
};

struct ToKernels : bigm::impl::ToKernelsBase<ToKernels> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    Lowering lowering(func);
    for (Operation &op : llvm::make_early_inc_range(func.getBody().front()))
      if (auto expandable = dyn_cast<Expandable>(op); expandable && !hasKernel(&op)) {
        OpBuilder builder(&op);
        op.replaceAllUsesWith(expandable.expand(builder));
        op.erase();
      }
    SmallVector<Operation *> ops;
    for (Operation &op : func.getBody().front())
      if (isa<BigmDialect>(op.getDialect()))
        ops.push_back(&op);
    for (Operation *op : ops) {
      SmallVector<Value> replacement = lowering.lower(op);
      if (replacement.empty()) {
        op->emitError() << "bug in bigmc: `" << op->getName() << "` has no kernel";
        return signalPassFailure();
      }
      op->replaceAllUsesWith(replacement);
    }
    for (Operation *op : llvm::reverse(ops))
      op->erase();
  }
};
} // namespace
