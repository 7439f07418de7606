// Every bigm op becomes one nest (or a runtime call, or an alias). Nothing is decided here: each op says how an element
// of its result comes about, and fuse-kernels decides what is computed together.
#include "ir/Attention.h"
#include "ir/Bigm.h"
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Kernel.h"
#include "passes/Passes.h"
#include "passes/Reshape.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace mlir::bigm {
#define GEN_PASS_DEF_TOKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::bigm

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

static bool widthHasKernel(RankedTensorType queries) {
  constexpr int64_t widest = 256;
  return queries.getElementType().isF32() && !queries.isDynamicDim(3) && queries.getDimSize(3) <= widest;
}

namespace {
class Lowering {
public:
  Lowering(func::FuncOp func, unsigned symbols) : builder(func.getContext()), symbols(symbols) {}

  /// The values that replace the op's results; empty when the op has no kernel.
  SmallVector<Value> lower(Operation *op) {
    builder.setInsertionPoint(op);
    loc = op->getLoc();
    if (isa<AttentionOp, AttentionGradOp, CachedAttentionOp>(op))
      return lowerAttention(op);
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

  // ------------------------------------------------------------------ building blocks
  AffineExpr dim(unsigned i) { return builder.getAffineDimExpr(i); }
  AffineExpr number(int64_t value) { return builder.getAffineConstantExpr(value); }

  /// A nest without reduction whose elements `body` computes, given the number of dimensions.
  template <class Body> Value pointwise(Type result, Body body) {
    SmallVector<AffineExpr> sizes = sizesOf(result);
    NestOp nest = createNest(builder, loc, result, sizes, symbols, sizes.size());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&nest.getBody().front());
    Value element = body(unsigned(sizes.size()));
    YieldOp::create(builder, loc, element);
    return nest.getResult(0);
  }
  /// A reduction over the dimensions that follow those of the result.
  template <class Body>
  NestOp reduction(Type result, ArrayRef<AffineExpr> reduced, StringRef kind, Type combined, Body body) {
    SmallVector<AffineExpr> sizes = sizesOf(result);
    unsigned parallel = sizes.size();
    sizes.append(reduced.begin(), reduced.end());
    NestOp nest = createNest(builder, loc, result, sizes, symbols, parallel, kind, combined);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&nest.getBody().front());
    Value element = body(unsigned(sizes.size()));
    YieldOp::create(builder, loc, element);
    builder.setInsertionPointToEnd(&nest.getFinish().front());
    YieldOp::create(builder, loc, ValueRange(nest.getFinish().front().getArguments()));
    return nest;
  }
  Value load(Value tensor, unsigned dims, ArrayRef<AffineExpr> indices, ValueRange at = {},
             ArrayRef<AffineExpr> constraints = {}, ArrayRef<bool> equalities = {}, Value otherwise = {}) {
    auto map = AffineMap::get(dims, symbols + at.size(), indices, builder.getContext());
    IntegerSetAttr inside;
    if (!constraints.empty())
      inside = IntegerSetAttr::get(IntegerSet::get(dims, symbols + at.size(), constraints, equalities));
    return LoadOp::create(builder, loc, scalarType(tensor.getType()), tensor, at, inside ? otherwise : Value(),
                          AffineMapAttr::get(map), inside);
  }
  Value loadSame(Value tensor, unsigned dims) {
    SmallVector<AffineExpr> indices;
    for (int64_t i = 0; i < cast<RankedTensorType>(tensor.getType()).getRank(); ++i)
      indices.push_back(dim(i));
    return load(tensor, dims, indices);
  }
  Value index(AffineExpr expr, unsigned dims) {
    return IndexOp::create(builder, loc, builder.getI64Type(), AffineMap::get(dims, symbols, expr));
  }
  Value scalar(TypedAttr value) {
    if (auto integer = dyn_cast<IntegerAttr>(value); integer && integer.getType().isUnsignedInteger())
      value = builder.getIntegerAttr(builder.getIntegerType(integer.getValue().getBitWidth()), integer.getValue());
    return arith::ConstantOp::create(builder, loc, value);
  }
  Value zero(Type scalarType) { return scalar(builder.getZeroAttr(scalarType)); }
  static Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

  // ------------------------------------------------------------------ leaves
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

  /// Threefry-2x32, 20 rounds (docs/abi.md, "Random numbers").
  Value lowerOp(RandomOp op) {
    return pointwise(op.getType(), [&](unsigned dims) {
      Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
      auto constant = [&](uint64_t value, Type type) {
        return scalar(builder.getIntegerAttr(type, APInt(type.getIntOrFloatBitWidth(), value, false, true)));
      };
      auto low = [&](Value x) { return Value(arith::TruncIOp::create(builder, loc, i32, x)); };
      auto high = [&](Value x) {
        return low(arith::ShRUIOp::create(builder, loc, x, constant(32, i64)));
      };
      auto add = [&](Value x, Value y) { return Value(arith::AddIOp::create(builder, loc, x, y)); };
      auto exclusive = [&](Value x, Value y) { return Value(arith::XOrIOp::create(builder, loc, x, y)); };
      auto rotate = [&](Value x, unsigned by) {
        Value left = arith::ShLIOp::create(builder, loc, x, constant(by, i32));
        Value right = arith::ShRUIOp::create(builder, loc, x, constant(32 - by, i32));
        return Value(arith::OrIOp::create(builder, loc, left, right));
      };
      AffineExpr flat = number(0);
      for (auto [i, size] : llvm::enumerate(sizesOf(op.getType())))
        flat = flat * size + dim(i);
      Value seed = load(op.getSeed(), dims, {});
      Value position = index(canonical(flat), dims);
      Value keys[3] = {low(seed), high(seed)};
      keys[2] = exclusive(exclusive(keys[0], keys[1]), constant(0x1BD11BDA, i32));
      Value overflow = arith::MulIOp::create(builder, loc, high(position), constant(65536, i32));
      Value x = add(low(position), keys[0]);
      Value y = add(add(constant(uint64_t(op.getStream()), i32), overflow), keys[1]);
      static constexpr unsigned rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
      for (unsigned round = 0; round < 20; ++round) {
        x = add(x, y);
        y = exclusive(rotate(y, rotations[round % 8]), x);
        if (round % 4 == 3) {
          unsigned key = round / 4 + 1;
          x = add(x, keys[key % 3]);
          y = add(add(y, keys[(key + 1) % 3]), constant(key, i32));
        }
      }
      Value bits = arith::ShRUIOp::create(builder, loc, x, constant(8, i32));
      // 24 bits fit a positive i32 and an f32 exactly; the signed conversion is the one that machines have.
      Value real = arith::SIToFPOp::create(builder, loc, builder.getF32Type(), bits);
      real = arith::MulFOp::create(builder, loc, real, scalar(builder.getF32FloatAttr(0x1p-24f)));
      return formula::convert(builder, loc, real, builder.getF32Type(), elementOf(op.getResult()));
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

  /// The adjoint of a view. For each dimension of the result one dimension of x (the pivot) follows from the place and
  /// the other dimensions of x, over which the nest sums; places that no element reaches fail the guard.
  Value lowerOp(FoldOp op) {
    SmallVector<AffineExpr> from = sizesOf(op.getX().getType()), to = sizesOf(op.getType());
    SmallVector<Linear> places = *linear(op.getMap());
    unsigned rank = to.size();
    SmallVector<unsigned> users(from.size());
    for (Linear &place : places)
      for (unsigned j = 0; j < from.size(); ++j)
        users[j] += place.coefficients[j] != 0;

    // Reduced dimensions come after those of the result; `value[j]` is dimension j of x in the nest's terms.
    SmallVector<AffineExpr> value(from.size());
    SmallVector<int> pivot(rank, -1);
    for (unsigned k = 0; k < rank; ++k)
      for (unsigned j = 0; j < from.size(); ++j)
        if (places[k].coefficients[j] != 0 && users[j] == 1 &&
            (pivot[k] < 0 || extentGuess(from[j]) > extentGuess(from[pivot[k]])))
          pivot[k] = j;
    SmallVector<AffineExpr> reduced, constraints;
    SmallVector<bool> equalities;
    for (unsigned k = 0; k < rank; ++k)
      if (int other = tiles(places[k], pivot[k], from, users); other >= 0)
        value[other] = dim(k) % places[k].coefficients[pivot[k]];
    for (unsigned j = 0; j < from.size(); ++j)
      if (!llvm::is_contained(pivot, int(j)) && !value[j]) {
        value[j] = dim(rank + reduced.size());
        reduced.push_back(from[j]);
      }
    for (unsigned k = 0; k < rank; ++k) {
      AffineExpr rest = dim(k) - places[k].offset;
      bool tiled = tiles(places[k], pivot[k], from, users) >= 0;
      for (unsigned j = 0; j < from.size(); ++j)
        if (int64_t c = places[k].coefficients[j]; c && int(j) != pivot[k] && !tiled)
          rest = rest - value[j] * c;
      if (pivot[k] < 0) {
        constraints.push_back(rest), equalities.push_back(true);
        continue;
      }
      int64_t c = places[k].coefficients[pivot[k]];
      if (c < 0)
        rest = -rest, c = -c;
      AffineExpr solved = rest.floorDiv(c);
      value[pivot[k]] = solved;
      if (c > 1 && !tiled)
        constraints.push_back(rest % c), equalities.push_back(true);
      bool identity = c == 1 && rest == dim(k) && canonical(from[pivot[k]]) == canonical(to[k]);
      if (!identity && !tiled)
        constraints.push_back(rest), equalities.push_back(false);
      if (!identity)
        constraints.push_back(from[pivot[k]] - 1 - solved), equalities.push_back(false);
    }
    auto body = [&](unsigned dims) {
      Value otherwise = constraints.empty() ? Value() : zero(scalarType(op.getType()));
      return load(op.getX(), dims, value, {}, constraints, equalities, otherwise);
    };
    if (reduced.empty())
      return pointwise(op.getType(), body);
    return reduction(op.getType(), reduced, "sum", scalarType(op.getType()), body).getResult(0);
  }
  static int64_t extentGuess(AffineExpr size) {
    auto constant = dyn_cast<AffineConstantExpr>(size);
    return constant ? constant.getValue() : std::numeric_limits<int64_t>::max();
  }
  /// Windows that tile, `c*p + q` with q < c: the dimension q, else -1.
  static int tiles(const Linear &place, int pivot, ArrayRef<AffineExpr> sizes, ArrayRef<unsigned> users) {
    if (pivot < 0 || place.offset != 0)
      return -1;
    int other = -1;
    for (unsigned j = 0; j < sizes.size(); ++j)
      if (place.coefficients[j] && int(j) != pivot) {
        if (other >= 0)
          return -1;
        other = j;
      }
    bool exact = other >= 0 && place.coefficients[other] == 1 && users[other] == 1 &&
                 extentGuess(sizes[other]) == place.coefficients[pivot] && place.coefficients[pivot] > 1;
    return exact ? other : -1;
  }

  // ------------------------------------------------------------------ reductions and contractions
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
  /// Queries, keys, values and what has one number a query are read as they lie; fuse-kernels looks through views.
  SmallVector<Value> lowerAttention(Operation *op) {
    SmallVector<AffineExpr> queries = sizesOf(op->getOperand(0).getType()), keys = sizesOf(op->getOperand(1).getType());
    SmallVector<AffineExpr> sizes = {queries[0], queries[2], queries[1], keys[1], queries[3]};
    SmallVector<AffineMap> maps;
    for (Value operand : op->getOperands()) {
      unsigned rank = cast<RankedTensorType>(operand.getType()).getRank();
      maps.push_back(AffineMap::getMultiDimIdentityMap(rank, builder.getContext()));
    }
    bool backward = isa<AttentionGradOp>(op), cached = isa<CachedAttentionOp>(op);
    double scale = 1 / std::sqrt(double(cast<AffineConstantExpr>(queries[3]).getValue()));
    bool masked = false, strict = false;
    Value bias;
    auto read = [&](auto attention) {
      masked = bool(attention.getMask()), strict = attention.getStrict(), bias = attention.getBias();
      if (auto given = attention.getScale())
        scale = given->convertToDouble();
    };
    if (auto forward = dyn_cast<AttentionOp>(op))
      read(forward);
    else if (auto gradient = dyn_cast<AttentionGradOp>(op))
      read(gradient);
    if (bias)
      maps.back() = biasOverPositions(bias.getType());
    if (cached) {
      AffineExpr heads = keys[2];
      sizes[3] = sizesOf(op->getOperand(3).getType())[1];
      sizes.push_back(heads);
    }
    auto kernel = AttendOp::create(
        builder, loc, op->getResultTypes(), op->getOperands(), AffineMap::get(0, symbols, sizes, builder.getContext()),
        builder.getAffineMapArrayAttr(maps), APFloat(scale), op->hasAttr("causal") || cached, strict, masked,
        bool(bias), backward, cached);
    return SmallVector<Value>(kernel.getResults());
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

  OpBuilder builder;
  unsigned symbols;
  Location loc = builder.getUnknownLoc();
};

bool hasKernel(Operation *op) {
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  auto cached = dyn_cast<CachedAttentionOp>(op);
  if (!cached)
    return attentionHasKernel(type);
  for (Value number : {cached.getSlot(), cached.getPast()})
    if (!cast<RankedTensorType>(number.getType()).getElementType().isInteger(32))
      return false;
  return widthHasKernel(type);
}

struct ToKernels : bigm::impl::ToKernelsBase<ToKernels> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    Lowering lowering(func, symbolCount(func));
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

/// Its blocks are of a known width, and their memory is on the stack. Queries are the lanes of vectors; a few of them, as
/// when text is written word by word, leave most lanes idle. The parts then are faster (one query over 512 keys 2.4 times,
/// eight 1.3 times, on AVX2), and their scores are no square.
bool bigm::attentionHasKernel(RankedTensorType queries) {
  constexpr int64_t fewQueries = 8;
  return widthHasKernel(queries) && (queries.isDynamicDim(1) || queries.getDimSize(1) > fewQueries);
}
