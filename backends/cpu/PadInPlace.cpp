#include "backends/cpu/PadInPlace.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

LoadOp cpu::paddedBy(Value tensor) {
  auto nest = tensor.getDefiningOp<NestOp>();
  if (!nest || nest.reduces() || nest.getNumResults() != 1)
    return {};
  auto yield = cast<YieldOp>(nest.getBody().front().getTerminator());
  auto load = yield.getValues().front().getDefiningOp<LoadOp>();
  if (!load || !load.getInside() || !load.getAt().empty() || !(matchPattern(load.getOtherwise(), m_PosZeroFloat()) || matchPattern(load.getOtherwise(), m_Zero())))
    return {};
  // The guard must be the bounds of what is read, no less.
  SmallVector<AffineExpr> sizes = sizesOf(load.getTensor().getType());
  for (auto [i, constraint] : llvm::enumerate(load.getInside()->getConstraints())) {
    bool known = !load.getInside()->isEq(i) &&
                 llvm::any_of(llvm::zip(load.getMap().getResults(), sizes), [&](auto pair) {
                   auto [index, size] = pair;
                   return canonical(constraint) == canonical(index) || canonical(constraint) == canonical(size - 1 - index);
                 });
    if (!known)
      return {};
  }
  return load;
}

namespace {
/// The zeros before and behind along each dimension; nothing when the copy does more than put them there.
std::optional<SmallVector<int64_t>> marginsOf(NestOp copy, LoadOp load) {
  SmallVector<AffineExpr> sizes = sizesOf(load.getTensor().getType());
  if (sizes.size() != copy.getParallel())
    return {};
  SmallVector<int64_t> margins;
  for (auto [i, index] : llvm::enumerate(load.getMap().getResults())) {
    auto low = constantOf(canonical(getAffineDimExpr(i, copy.getContext()) - index));
    auto both = constantOf(canonical(copy.size(i) - sizes[i]));
    if (!low || !both || *low < 0 || *both < *low)
      return {};
    margins.append({*low, *both - *low});
  }
  return margins;
}

/// Of an input there is no maker: the copy itself writes the middle, and so what it does is the same in each row.
void leaveMargins(NestOp copy, LoadOp read) {
  if (copy->hasAttr(marginsAttr) ||
      !llvm::all_of(copy.getBody().front(), [](Operation &op) { return isa<LoadOp, YieldOp, arith::ConstantOp>(op); }))
    return;
  auto margins = marginsOf(copy, read);
  if (!margins)
    return;
  MLIRContext *context = copy.getContext();
  unsigned symbols = copy.symbols();
  copy.setSizesAttr(AffineMapAttr::get(AffineMap::get(0, symbols, sizesOf(read.getTensor().getType()), context)));
  copy->setAttr(marginsAttr, DenseI64ArrayAttr::get(context, *margins));
  read.setMapAttr(AffineMapAttr::get(AffineMap::get(copy.dims(), symbols, AffineMap::getMultiDimIdentityMap(copy.dims(), context).getResults(), context)));
  read.removeInsideAttr();
  read.getOtherwiseMutable().clear();
}

void moveInto(NestOp copy, LoadOp read) {
  auto maker = read.getTensor().getDefiningOp<NestOp>();
  if (!maker || maker.getNumResults() != 1 || maker->hasAttr(marginsAttr) || copy->hasAttr(marginsAttr) ||
      maker.layout(0) != copy.layout(0) || maker->getBlock() != copy->getBlock())
    return;
  auto margins = marginsOf(copy, read);
  Value tensor = maker.getResult(0);
  if (!margins || !llvm::all_of(tensor.getUsers(), [](Operation *user) { return isa<LoadOp>(user); }))
    return;
  for (Operation *user : llvm::to_vector(tensor.getUsers())) {
    auto load = cast<LoadOp>(user);
    SmallVector<AffineExpr> places;
    for (auto [i, index] : llvm::enumerate(load.getMap().getResults()))
      places.push_back(canonical(index + (*margins)[2 * i]));
    AffineMap map = load.getMap();
    load.setMapAttr(AffineMapAttr::get(AffineMap::get(map.getNumDims(), map.getNumSymbols(), places, map.getContext())));
  }
  tensor.setType(copy.getResult(0).getType());
  maker->setAttr(marginsAttr, DenseI64ArrayAttr::get(maker.getContext(), *margins));
  copy.getResult(0).replaceAllUsesWith(tensor);
  copy.erase();
}
} // namespace

void cpu::padInPlace(func::FuncOp func) {
  for (NestOp nest : llvm::to_vector(func.getBody().front().getOps<NestOp>()))
    if (LoadOp load = paddedBy(nest.getResult(0)))
      isa<BlockArgument>(load.getTensor()) ? leaveMargins(nest, load) : moveInto(nest, load);
}

Launch cpu::emitMargins(Emitter &e, const std::string &name) {
  ImplicitLocOpBuilder &b = e.builder;
  NestOp nest = e.schedule.nest;
  ArrayRef<int64_t> margins = nest->getAttrOfType<DenseI64ArrayAttr>(marginsAttr).asArrayRef();
  Type tensor = nest.getResult(0).getType(), element = scalarType(tensor);
  SmallVector<AffineExpr> sizes = sizesOf(tensor);
  SmallVector<int64_t> layout = nest.layout(0);
  auto hasMargin = [&](int64_t dim) { return margins[2 * dim] || margins[2 * dim + 1]; };

  // A unit is a line along the innermost dimension with a margin: all of it, or its ends.
  size_t inner = layout.size();
  while (inner-- > 0 && !hasMargin(layout[inner]))
    ;
  AffineExpr units = b.getAffineConstantExpr(1), run = units; // elements of one place of the line
  for (auto [i, dim] : llvm::enumerate(layout))
    (i < inner ? units : run) = (i < inner ? units : run) * (i == inner ? b.getAffineConstantExpr(1) : sizes[dim]);
  units = canonical(units), run = canonical(run);
  int64_t along = layout[inner];

  e.openFunction(name);
  e.loop(e.begin, e.end, 1, [&](Value unit) {
    Value rest = unit, outside = arith::ConstantOp::create(b, b.getBoolAttr(false));
    for (size_t i = inner; i-- > 0;) {
      Value digit = e.digit(rest, sizes[layout[i]]);
      if (!hasMargin(layout[i]))
        continue;
      Value end = e.sub(e.evaluate(sizes[layout[i]]), e.constant(margins[2 * layout[i] + 1]));
      Value before = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, digit, e.constant(margins[2 * layout[i]]));
      Value behind = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, digit, end);
      outside = arith::OrIOp::create(b, outside, arith::OrIOp::create(b, before, behind));
    }
    Value each = e.evaluate(run), length = e.mul(e.evaluate(sizes[along]), each);
    Value line = e.elementPointer(e.pointer({Slot::Result, {}, 0, {}}), e.mul(unit, length), element);
    auto fill = [&](Value from, Value count) {
      auto store = [&](Type type) {
        return [&, type](Value place) {
          Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
          e.storeRaw(zero, e.elementPointer(line, e.add(from, place), element), unsigned(elementBytes(tensor)));
        };
      };
      Value whole = e.mul(arith::DivUIOp::create(b, count, e.constant(e.target.lanes)), e.constant(e.target.lanes));
      e.loop(e.constant(0), whole, e.target.lanes, store(e.vectorOf(element)));
      e.loop(whole, count, 1, store(element));
    };
    auto when = scf::IfOp::create(b, outside, /*withElse=*/true);
    b.setInsertionPointToStart(when.thenBlock());
    fill(e.constant(0), length);
    b.setInsertionPointToStart(when.elseBlock());
    fill(e.constant(0), e.mul(e.constant(margins[2 * along]), each));
    Value last = e.mul(e.constant(margins[2 * along + 1]), each);
    fill(e.sub(length, last), last);
    b.setInsertionPointAfter(when);
  });
  e.closeFunction();
  AffineExpr margin = run * (margins[2 * along] + margins[2 * along + 1]);
  return {name, units, canonical(units * margin)};
}
