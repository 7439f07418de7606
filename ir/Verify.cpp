// Verifiers: what each op of the dialect demands beyond its operands' kinds.
//
// Index ranges are proved where the sizes allow: an index whose largest value minus the dimension's size is a number is
// checked, one whose difference stays symbolic is trusted to the checker of the language.
#include "ir/Bigm.h"
#include "ir/UsualSizes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::bigm;

LogicalResult mlir::bigm::verifySizedTypes(Operation *op) {
  unsigned symbols = ~0u;
  if (auto function = op->getParentOfType<FunctionOpInterface>())
    if (auto names = function->getAttrOfType<ArrayAttr>(attrs::symbols))
      symbols = names.size();
  auto check = [&](Type type) -> LogicalResult {
    std::string why = malformed(type);
    if (!why.empty())
      return op->emitOpError() << "has type " << type << ": " << why;
    if (symbols != ~0u && symbolCount(type) > 0 && symbolCount(type) != symbols)
      return op->emitOpError() << "has type " << type << ", and the function has " << symbols << " symbols";
    return success();
  };
  for (Type type : op->getOperandTypes())
    if (failed(check(type)))
      return failure();
  for (Type type : op->getResultTypes())
    if (failed(check(type)))
      return failure();
  return success();
}

LogicalResult BigmDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() == attrs::usual) {
    auto sizes = dyn_cast<DenseI64ArrayAttr>(attribute.getValue());
    auto symbols = op->getAttrOfType<ArrayAttr>(attrs::symbols);
    if (!sizes || !symbols || size_t(sizes.size()) != symbols.size() || llvm::any_of(sizes.asArrayRef(), [](int64_t s) { return s < 0; }))
      return op->emitOpError() << "`" << attrs::usual << "` is a list of numbers, one for each of `" << attrs::symbols << "`";
    return success();
  }
  if (attribute.getName() != attrs::symbols)
    return success();
  auto names = dyn_cast<ArrayAttr>(attribute.getValue());
  if (!isa<FunctionOpInterface>(op) || !names || !llvm::all_of(names, [](Attribute a) { return isa<StringAttr>(a); }))
    return op->emitOpError() << "`" << attrs::symbols << "` is a list of names on a function";
  return success();
}

/// Every result of `map` over an iteration space of `sizes` is linear and stays inside the dimensions of `operand`.
static LogicalResult verifyIndices(Operation *op, StringRef what, AffineMap map, ArrayRef<AffineExpr> sizes,
                                   Type operand) {
  SmallVector<AffineExpr> bounds = sizesOf(operand);
  if (map.getNumDims() != sizes.size() || map.getNumResults() != bounds.size())
    return op->emitOpError() << what << " goes from " << map.getNumDims() << " dimensions to " << map.getNumResults()
                             << ", needed are " << sizes.size() << " to " << bounds.size();
  std::optional<SmallVector<Linear>> indices = linear(map);
  if (!indices)
    return op->emitOpError() << what << " is not linear in its dimensions";
  for (AffineExpr size : sizes) // an empty iteration space reads nothing
    if (auto constant = dyn_cast<AffineConstantExpr>(size); constant && constant.getValue() == 0)
      return success();
  for (auto [i, index] : llvm::enumerate(*indices)) {
    AffineExpr least = getAffineConstantExpr(index.offset, op->getContext()), most = least;
    for (auto [dim, coefficient] : llvm::enumerate(index.coefficients))
      (coefficient < 0 ? least : most) = (coefficient < 0 ? least : most) + (sizes[dim] - 1) * coefficient;
    auto low = dyn_cast<AffineConstantExpr>(canonical(least));
    std::optional<int64_t> over = constantDifference(most, bounds[i] - 1);
    if ((low && low.getValue() < 0) || (over && *over > 0))
      return op->emitOpError() << what << " leaves dimension " << i << " of " << operand;
  }
  return success();
}

static LogicalResult verifyDim(Operation *op, int64_t dim, Type type) {
  int64_t rank = cast<RankedTensorType>(type).getRank();
  if (dim < 0 || dim >= rank)
    return op->emitOpError() << "has dimension " << dim << " of a tensor with " << rank;
  return success();
}

static LogicalResult verifyIs(Operation *op, Type result, Type expected) {
  if (result != expected)
    return op->emitOpError() << "has result " << result << ", and its operands give " << expected;
  return success();
}

LogicalResult ConstantOp::verify() {
  if (getNumber().getType() != cast<RankedTensorType>(getType()).getElementType())
    return emitOpError() << "has number of type " << getNumber().getType() << " and result " << getType();
  return success();
}

LogicalResult SizeOp::verify() {
  if (getSize().getNumDims() || getSize().getNumResults() != 1)
    return emitOpError() << "needs one expression over symbols";
  if (getType().getRank() != 0)
    return emitOpError() << "has a scalar result";
  return success();
}

LogicalResult IotaOp::verify() { return verifyDim(*this, getDim(), getType()); }

LogicalResult CastOp::verify() {
  return verifyIs(*this, getType(), withElement(getX().getType(), getType().getElementType()));
}

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType());
  if (from.getElementType() != getType().getElementType())
    return emitOpError() << "keeps the element type";
  std::optional<int64_t> difference = constantDifference(elementCount(from), elementCount(getType()));
  if (difference && *difference)
    return emitOpError() << "from " << from << " to " << getType() << " changes the number of elements";
  return success();
}

LogicalResult ViewOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType());
  if (from.getElementType() != getType().getElementType())
    return emitOpError() << "keeps the element type";
  return verifyIndices(*this, "map", getMap(), sizesOf(getType()), from);
}

LogicalResult FoldOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType());
  if (from.getElementType() != getType().getElementType())
    return emitOpError() << "keeps the element type";
  return verifyIndices(*this, "map", getMap(), sizesOf(from), getType());
}

LogicalResult PadOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType()), value = cast<RankedTensorType>(getValue().getType());
  size_t rank = from.getRank();
  if (value.getRank() || value.getElementType() != from.getElementType())
    return emitOpError() << "fills with " << value << ", needed is a scalar of its element type";
  if (getLow().size() != rank || getHigh().size() != rank || getInterior().size() != rank)
    return emitOpError() << "needs low, high and interior for each of " << rank << " dimensions";
  SmallVector<AffineExpr> sizes;
  for (auto [i, size] : llvm::enumerate(sizesOf(from))) {
    if (getInterior()[i] < 0)
      return emitOpError() << "has a negative interior";
    sizes.push_back(size + (size - 1) * getInterior()[i] + getLow()[i] + getHigh()[i]);
  }
  return verifyIs(*this, getType(),
                  tensorType(sizes, std::max(symbolCount(from), symbolCount(getType())), from.getElementType()));
}

LogicalResult ConcatOp::verify() {
  if (getInputs().empty())
    return emitOpError() << "needs an input";
  auto first = cast<RankedTensorType>(getInputs()[0].getType());
  int64_t dim = getDim();
  if (failed(verifyDim(*this, dim, first)))
    return failure();
  AffineExpr total = getAffineConstantExpr(0, getContext());
  unsigned symbols = 0;
  for (Value input : getInputs()) {
    auto type = cast<RankedTensorType>(input.getType());
    if (type.getElementType() != first.getElementType() || type.getRank() != first.getRank() ||
        !sameShape(withoutDims(type, {dim}), withoutDims(first, {dim})))
      return emitOpError() << "has inputs " << first << " and " << type << " that differ beside dimension " << dim;
    total = total + sizesOf(type)[dim];
    symbols = std::max(symbols, symbolCount(type));
  }
  SmallVector<AffineExpr> sizes = sizesOf(first);
  sizes[dim] = total;
  return verifyIs(*this, getType(), tensorType(sizes, symbols, first.getElementType()));
}

static LogicalResult verifyReduce(Operation *op, Value x, ArrayRef<int64_t> dims, Type result) {
  int64_t last = -1;
  for (int64_t dim : dims) {
    if (failed(verifyDim(op, dim, x.getType())))
      return failure();
    if (dim <= last)
      return op->emitOpError() << "lists its dimensions in ascending order";
    last = dim;
  }
  return verifyIs(op, result, withoutDims(x.getType(), dims));
}
LogicalResult ReduceSumOp::verify() { return verifyReduce(*this, getX(), getDims(), getType()); }
LogicalResult ReduceMaxOp::verify() { return verifyReduce(*this, getX(), getDims(), getType()); }
LogicalResult ReduceMinOp::verify() { return verifyReduce(*this, getX(), getDims(), getType()); }
LogicalResult ReduceProdOp::verify() { return verifyReduce(*this, getX(), getDims(), getType()); }

static LogicalResult verifyArg(Operation *op, Value x, int64_t dim, Type result) {
  if (failed(verifyDim(op, dim, x.getType())))
    return failure();
  return verifyIs(op, result, withElement(withoutDims(x.getType(), {dim}), IntegerType::get(op->getContext(), 32)));
}
LogicalResult ArgMaxOp::verify() { return verifyArg(*this, getX(), getDim(), getType()); }
LogicalResult ArgMinOp::verify() { return verifyArg(*this, getX(), getDim(), getType()); }

LogicalResult ContractOp::verify() {
  auto lhs = cast<RankedTensorType>(getLhs().getType()), rhs = cast<RankedTensorType>(getRhs().getType());
  // Products of eight bits are exact in i32, of any two signs.
  bool bytes = lhs.getElementType().isInteger(8) && rhs.getElementType().isInteger(8) && getType().getElementType().isInteger(32);
  if (!bytes && (lhs.getElementType() != rhs.getElementType() || lhs.getElementType() != getType().getElementType()))
    return emitOpError() << "has one element type, or factors of 8 bits and sums of i32";
  if (getReduced().getNumDims())
    return emitOpError() << "has reduced sizes over symbols alone";
  SmallVector<AffineExpr> sizes = iterationSizes();
  if (failed(verifyIndices(*this, "lhs map", getLhsMap(), sizes, lhs)))
    return failure();
  return verifyIndices(*this, "rhs map", getRhsMap(), sizes, rhs);
}

/// Types of gather and of scatter_add, which is it turned around: table [V, ...], ids [I...], rows [I..., ...].
static LogicalResult verifyRows(Operation *op, Type table, Type ids, Type rows) {
  if (cast<RankedTensorType>(table).getRank() < 1)
    return op->emitOpError() << "needs a table of at least one dimension";
  SmallVector<AffineExpr> sizes = sizesOf(ids);
  llvm::append_range(sizes, llvm::drop_begin(sizesOf(table)));
  unsigned symbols = std::max({symbolCount(table), symbolCount(ids), symbolCount(rows)});
  auto expected = tensorType(sizes, symbols, cast<RankedTensorType>(table).getElementType());
  if (rows != expected)
    return op->emitOpError() << "has rows " << rows << ", and table and ids make them " << expected;
  return success();
}
LogicalResult GatherOp::verify() { return verifyRows(*this, getTable().getType(), getIds().getType(), getType()); }
LogicalResult ScatterAddOp::verify() {
  return verifyRows(*this, getType(), getIds().getType(), getUpdates().getType());
}

/// Images [N, C, H, W] to [N, C, h, w].
static LogicalResult verifyImages(Operation *op, Type from, Type to) {
  if (cast<RankedTensorType>(from).getRank() != 4 || cast<RankedTensorType>(to).getRank() != 4 ||
      withoutDims(from, {2, 3}) != withoutDims(to, {2, 3}))
    return op->emitOpError() << "takes images [N, C, H, W] to [N, C, h, w], not " << from << " to " << to;
  return success();
}
LogicalResult WarpOp::verify() {
  if (failed(verifyImages(*this, getImage().getType(), getType())))
    return failure();
  SmallVector<AffineExpr> sizes = {sizesOf(getImage().getType())[0], getAffineConstantExpr(2, getContext()),
                                   getAffineConstantExpr(3, getContext())};
  auto expected = tensorType(sizes, symbolCount(getImage().getType()), getType().getElementType());
  if (getMatrix().getType() != expected)
    return emitOpError() << "has matrix " << getMatrix().getType() << ", needed is " << expected;
  return success();
}
LogicalResult ResizeOp::verify() {
  if (!llvm::is_contained({"nearest", "bilinear", "bicubic", "area"}, getMode()))
    return emitOpError() << "has mode '" << getMode() << "', known are nearest, bilinear, bicubic and area";
  return verifyImages(*this, getImage().getType(), getType());
}

LogicalResult GradientOp::verify() {
  if (cast<RankedTensorType>(getY().getType()).getRank())
    return emitOpError() << "is of a scalar, not of " << getY().getType();
  return success();
}

LogicalResult ScanOp::verifySymbolUses(SymbolTableCollection &table) {
  auto step = table.lookupNearestSymbolFrom<FunctionOpInterface>(*this, getBodyAttr());
  if (!step)
    return emitOpError() << "has no function " << getBodyAttr() << " for its steps";
  auto function = (*this)->getParentOfType<FunctionOpInterface>();
  if (function && step->getAttr(attrs::symbols) != function->getAttr(attrs::symbols))
    return emitOpError() << "has other symbols than its steps " << getBodyAttr();
  if (getSteps().getNumDims() || getSteps().getNumResults() != 1)
    return emitOpError() << "has one number of steps, over symbols alone";
  SmallVector<Type> takes(getStarts().getTypes()), gives(takes);
  for (Value x : getXs()) {
    auto type = cast<RankedTensorType>(x.getType());
    if (!type.getRank() || canonical(sizesOf(type)[0]) != canonical(stepCount()))
      return emitOpError() << "steps through " << type << ", whose first dimension is not the number of steps";
    takes.push_back(withoutDims(type, {0}));
  }
  llvm::append_range(takes, getCaptures().getTypes());
  for (Value y : getStacked()) {
    auto type = cast<RankedTensorType>(y.getType());
    if (!type.getRank() || canonical(sizesOf(type)[0]) != canonical(stepCount()))
      return emitOpError() << "gives " << type << ", whose first dimension is not the number of steps";
    gives.push_back(withoutDims(type, {0}));
  }
  if (getNumResults() < getStarts().size() ||
      !llvm::equal(getResults().take_front(getStarts().size()).getTypes(), getStarts().getTypes()))
    return emitOpError() << "gives states of the types of its starts first";
  if (step.getArgumentTypes() != ArrayRef(takes) || step.getResultTypes() != ArrayRef(gives))
    return emitOpError() << "needs steps of type " << FunctionType::get(getContext(), takes, gives) << ", and "
                         << getBodyAttr() << " is " << step.getFunctionType();
  return success();
}
