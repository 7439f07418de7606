#include "passes/Kernel.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FoldInterfaces.h"

#include "passes/KernelDialect.cpp.inc"
#define GET_OP_CLASSES
#include "passes/KernelOps.cpp.inc"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

namespace {
/// Constants stay in the region that uses them: a nest is emitted without a look at what stands around it.
struct KeepConstants : DialectFoldInterface {
  using DialectFoldInterface::DialectFoldInterface;
  bool shouldMaterializeInto(Region *) const override { return true; }
};
} // namespace

void KernelDialect::initialize() {
  addInterfaces<KeepConstants>();
  addOperations<
#define GET_OP_LIST
#include "passes/KernelOps.cpp.inc"
      >();
}

bool kernel::isKernel(Operation *op) { return isa<NestOp, CallOp, ScatterOp, AttendOp, ScanOp>(op); }

Type kernel::scalarType(Type tensor) {
  Type element = cast<RankedTensorType>(tensor).getElementType();
  if (element.isUnsignedInteger())
    return IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth());
  return element;
}

int64_t kernel::elementBytes(Type tensor) {
  return std::max(1u, cast<RankedTensorType>(tensor).getElementType().getIntOrFloatBitWidth() / 8);
}

NestOp kernel::createNest(OpBuilder &builder, Location loc, ArrayRef<Type> results, ArrayRef<AffineExpr> sizes,
                          unsigned symbols, unsigned parallel, ArrayRef<StringRef> kinds, ArrayRef<Type> reduced) {
  auto map = AffineMap::get(0, symbols, sizes, builder.getContext());
  auto nest = NestOp::create(builder, loc, TypeRange(results), map, parallel, builder.getStrArrayAttr(kinds),
                             /*contraction=*/false);
  nest.getBody().emplaceBlock();
  if (parallel != sizes.size())
    nest.getFinish().emplaceBlock().addArguments(reduced, SmallVector<Location>(reduced.size(), loc));
  return nest;
}

NestOp kernel::createCopy(OpBuilder &builder, Value tensor, unsigned symbols, ArrayRef<int64_t> layout) {
  MLIRContext *context = tensor.getContext();
  SmallVector<AffineExpr> sizes = sizesOf(tensor.getType());
  NestOp nest = createNest(builder, tensor.getLoc(), tensor.getType(), sizes, symbols, sizes.size());
  OpBuilder inner = OpBuilder::atBlockEnd(&nest.getBody().front());
  auto identity = AffineMap::getMultiDimIdentityMap(sizes.size(), context);
  auto map = AffineMap::get(sizes.size(), symbols, identity.getResults(), context);
  Value element = LoadOp::create(inner, tensor.getLoc(), scalarType(tensor.getType()), tensor, ValueRange(), Value(),
                                 AffineMapAttr::get(map), IntegerSetAttr());
  YieldOp::create(inner, tensor.getLoc(), element);
  if (!layout.empty())
    setLayout(nest, 0, layout);
  return nest;
}

void kernel::setLayout(NestOp nest, unsigned result, ArrayRef<int64_t> layout) {
  SmallVector<Attribute> layouts;
  for (unsigned i = 0; i < nest.getNumResults(); ++i)
    layouts.push_back(DenseI64ArrayAttr::get(nest.getContext(), i == result ? SmallVector<int64_t>(layout)
                                                                            : nest.layout(i)));
  nest->setAttr("layouts", ArrayAttr::get(nest.getContext(), layouts));
}

static LogicalResult verifyBlock(NestOp nest, Block &block, bool finish) {
  auto yield = dyn_cast_or_null<YieldOp>(block.empty() ? nullptr : &block.back());
  if (!yield)
    return nest.emitOpError("needs a yield at the end of each region");
  bool last = finish || !nest.reduces();
  size_t want = last ? nest.getNumResults() : nest.getKinds().size();
  if (yield.getNumOperands() != want)
    return nest.emitOpError("yields ") << yield.getNumOperands() << " values where " << want << " are due";
  if (last)
    for (auto [value, result] : llvm::zip(yield.getValues(), nest.getResultTypes()))
      if (value.getType() != scalarType(result))
        return nest.emitOpError("yields ") << value.getType() << " as an element of " << result;
  for (Operation &op : block) {
    auto load = dyn_cast<LoadOp>(op);
    if (!load)
      continue;
    if (load.getMap().getNumDims() != nest.dims())
      return load.emitOpError("map has ") << load.getMap().getNumDims() << " dimensions in a nest of " << nest.dims();
    if (finish)
      for (unsigned d = nest.getParallel(); d < nest.dims(); ++d)
        if (load.getMap().isFunctionOfDim(d))
          return load.emitOpError("after the reduction depends on a reduced dimension");
  }
  return success();
}

LogicalResult NestOp::verify() {
  if (getNumResults() == 0)
    return emitOpError("needs a result");
  if (uint64_t(getParallel()) > dims())
    return emitOpError("has more parallel dimensions than dimensions");
  if (reduces() != !getFinish().empty() || reduces() != !getKinds().empty())
    return emitOpError("needs kinds and `finish` exactly when it reduces");
  SmallVector<AffineExpr> extents(getSizes().getResults().take_front(getParallel()));
  if (auto margins = (*this)->getAttrOfType<DenseI64ArrayAttr>(marginsAttr)) {
    if (getNumResults() != 1 || margins.size() != 2 * int64_t(extents.size()))
      return emitOpError("needs one result and two margins for each of its dimensions");
    for (auto [i, extent] : llvm::enumerate(extents))
      extent = extent + (margins[2 * i] + margins[2 * i + 1]);
  }
  for (Type type : getResultTypes()) {
    SmallVector<AffineExpr> sizes = sizesOf(type);
    if (sizes.size() != extents.size() ||
        !llvm::all_of(llvm::zip(sizes, extents), [](auto pair) {
          return canonical(std::get<0>(pair)) == canonical(std::get<1>(pair));
        }))
      return emitOpError("result ") << type << " is not of the size of the parallel dimensions";
  }
  if (failed(verifyBlock(*this, getBody().front(), false)))
    return failure();
  return reduces() ? verifyBlock(*this, getFinish().front(), true) : success();
}

LogicalResult LoadOp::verify() {
  if (int64_t(getMap().getNumResults()) != getTensor().getType().getRank())
    return emitOpError("needs one index for each dimension of the tensor");
  if (bool(getInside()) != bool(getOtherwise()))
    return emitOpError("has `inside` and `otherwise` together or neither");
  if (getType() != scalarType(getTensor().getType()))
    return emitOpError("gives ") << getType() << " from a tensor of " << getTensor().getType();
  return success();
}

namespace {
/// What an expression is at least and at most, where that is known.
struct Range {
  std::optional<int64_t> low, high;
};
/// Upstream's getBoundForAffineExpr knows no division inside of a sum.
Range rangeOf(AffineExpr expr, ArrayRef<Range> dims, ArrayRef<Range> symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {constant.getValue(), constant.getValue()};
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Range a = rangeOf(binary.getLHS(), dims, symbols), b = rangeOf(binary.getRHS(), dims, symbols);
  auto both = [](std::optional<int64_t> x, std::optional<int64_t> y, auto compute) {
    return x && y ? std::optional<int64_t>(compute(*x, *y)) : std::nullopt;
  };
  if (expr.getKind() == AffineExprKind::Add)
    return {both(a.low, b.low, std::plus<>()), both(a.high, b.high, std::plus<>())};
  auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (!factor)
    return {};
  int64_t by = factor.getValue();
  auto each = [&](std::optional<int64_t> x, auto compute) { return x ? std::optional<int64_t>(compute(*x)) : std::nullopt; };
  auto times = [&](int64_t x) { return x * by; };
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return by < 0 ? Range{each(a.high, times), each(a.low, times)} : Range{each(a.low, times), each(a.high, times)};
  case AffineExprKind::FloorDiv:
    return {each(a.low, [&](int64_t x) { return llvm::divideFloorSigned(x, by); }),
            each(a.high, [&](int64_t x) { return llvm::divideFloorSigned(x, by); })};
  case AffineExprKind::CeilDiv:
    return {each(a.low, [&](int64_t x) { return llvm::divideCeilSigned(x, by); }),
            each(a.high, [&](int64_t x) { return llvm::divideCeilSigned(x, by); })};
  default: // a remainder
    return {0, by - 1};
  }
}
} // namespace

/// The constraints of a set that some point of the nest may not satisfy, by the bounds of its dimensions alone.
static SmallVector<unsigned> unsureConstraints(IntegerSet set, NestOp nest) {
  SmallVector<Range> dims(set.getNumDims()), symbols(set.getNumSymbols());
  for (unsigned d = 0; d < std::min(set.getNumDims(), nest.dims()); ++d) {
    dims[d].low = 0;
    if (auto size = dyn_cast<AffineConstantExpr>(nest.size(d)))
      dims[d].high = size.getValue() - 1;
  }
  for (unsigned s = 0; s < std::min(set.getNumSymbols(), nest.symbols()); ++s) // the others are computed in the body
    symbols[s].low = 0;
  SmallVector<unsigned> unsure;
  for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
    Range range = rangeOf(set.getConstraint(i), dims, symbols);
    if (!(set.isEq(i) ? range.low == 0 && range.high == 0 : range.low && *range.low >= 0))
      unsure.push_back(i);
  }
  return unsure;
}
/// The set without the constraints that always hold; nothing when it stays as it is.
static std::optional<IntegerSet> withoutSureConstraints(IntegerSet set, NestOp nest) {
  SmallVector<unsigned> unsure = unsureConstraints(set, nest);
  if (unsure.size() == set.getNumConstraints())
    return std::nullopt;
  if (unsure.empty())
    return IntegerSet();
  SmallVector<AffineExpr> constraints;
  SmallVector<bool> equalities;
  for (unsigned i : unsure)
    constraints.push_back(set.getConstraint(i)), equalities.push_back(set.isEq(i));
  return IntegerSet::get(set.getNumDims(), set.getNumSymbols(), constraints, equalities);
}

/// A guard that every point passes is none: what a window without a rest leaves behind.
LogicalResult LoadOp::canonicalize(LoadOp load, PatternRewriter &rewriter) {
  auto nest = load->getParentOfType<NestOp>();
  auto inside = load.getInside() && nest ? withoutSureConstraints(*load.getInside(), nest) : std::nullopt;
  if (!inside)
    return failure();
  rewriter.modifyOpInPlace(load, [&] {
    if (*inside)
      return load.setInsideAttr(IntegerSetAttr::get(*inside));
    load.removeInsideAttr();
    load.getOtherwiseMutable().clear();
  });
  return success();
}
LogicalResult TestOp::canonicalize(TestOp test, PatternRewriter &rewriter) {
  auto nest = test->getParentOfType<NestOp>();
  auto set = nest ? withoutSureConstraints(test.getSet(), nest) : std::nullopt;
  if (!set)
    return failure();
  if (*set)
    rewriter.modifyOpInPlace(test, [&] { test.setSet(*set); });
  else
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(test, rewriter.getBoolAttr(true));
  return success();
}

SmallVector<int64_t> NestOp::layout(unsigned i) {
  if (auto layouts = (*this)->getAttrOfType<ArrayAttr>("layouts"))
    return llvm::to_vector(cast<DenseI64ArrayAttr>(layouts[i]).asArrayRef());
  return llvm::to_vector(llvm::seq<int64_t>(0, getParallel()));
}

SmallVector<int64_t> kernel::layoutOf(Value tensor) {
  if (auto nest = tensor.getDefiningOp<NestOp>())
    return nest.layout(cast<OpResult>(tensor).getResultNumber());
  // A prepared value keeps the order in which it was computed; all other arguments are the caller's.
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    if (auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
      if (auto layout = func.getArgAttrOfType<DenseI64ArrayAttr>(argument.getArgNumber(), layoutAttr))
        return llvm::to_vector(layout.asArrayRef());
  return llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(tensor.getType()).getRank()));
}

SmallVector<AffineExpr> kernel::stridesOf(Value tensor) {
  SmallVector<AffineExpr> sizes = sizesOf(tensor.getType()), strides(sizes.size());
  AffineExpr stride = getAffineConstantExpr(1, tensor.getContext());
  SmallVector<int64_t> layout(layoutOf(tensor)); // a temporary would be gone in the loop
  for (int64_t dim : llvm::reverse(layout)) {
    strides[dim] = stride;
    stride = stride * sizes[dim];
  }
  return strides;
}

Value kernel::rootOf(Value tensor) {
  while (auto alias = tensor.getDefiningOp<AliasOp>())
    tensor = alias.getTensor();
  return tensor;
}
