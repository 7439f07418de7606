// Pairs for the instructions of AVX512-BF16.
//
// `vdpbf16ps` adds to each f32 of a vector the products of two pairs of bf16: twice the multiplications of an f32 vector, and
// half the memory. Two steps of the sum become one. The columns are packed as [panel][pair of the sum][column][2], zeros
// behind the ends; the rows are read as they lie where a pair is a whole aligned word in them, else from a copy in which the
// sum is innermost and of even length. The kernel is that of f32 with pairs for elements (Block.cpp): its blocks, edges,
// epilogues and units are the same.
#include "backends/cpu/Contraction.h"
#include "backends/cpu/PackOperands.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/InferenceEntries.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Products below which an operand is widened as it is read, and rows that must share columns that each call packs.
constexpr double leastProducts = 64 * 1024, leastRows = 16;
/// Columns that must share a row that is copied only because rows lie a multiple of a page apart.
constexpr double leastColumns = 64;
constexpr int64_t page = 4096;

/// Whether every index is a dimension of its own or a constant.
bool isPlain(LoadOp load) {
  llvm::SmallDenseSet<AffineExpr> seen;
  return llvm::all_of(load.getMap().getResults(), [&](AffineExpr index) {
    return isa<AffineConstantExpr>(index) || (isa<AffineDimExpr>(index) && seen.insert(index).second);
  });
}

bool isSteady(LoadOp load) {
  LoadOp copy = copiedBy(load.getTensor());
  auto argument = dyn_cast<BlockArgument>(copy ? copy.getTensor() : load.getTensor());
  return argument && SteadyValues(load->getParentOfType<func::FuncOp>()).isSteadyTensor(argument);
}

class Pairing {
public:
  Pairing(NestOp nest, unsigned symbols) : nest(nest), symbols(symbols) {}

  bool run(const Target &target) {
    for (LoadOp load : nest.getBody().front().getOps<LoadOp>())
      if (!load.getType().isBF16())
        return false;
    auto plan = planContraction(nest, target);
    if (!plan || plan->vectorsOfA || plan->winograd || !isPlain(plan->b))
      return false;
    rows = plan->a, columns = plan->b, columnDim = plan->vectorDim;
    double products = 1, reuse = 1;
    for (unsigned d = 0; d < nest.dims(); ++d) {
      products *= guess(nest.size(d));
      reuse *= columns.getMap().isFunctionOfDim(d) ? 1 : guess(nest.size(d));
    }
    if (products < leastProducts || (reuse < leastRows && !isSteady(columns)) || !choosePairs(plan->s))
      return false;
    if (!asItLies && !isPlain(rows))
      return false; // windows would be copied as often as they overlap
    packColumns(int64_t(plan->vectors) * target.lanes);
    if (!asItLies)
      copyRows();
    nest->setAttr(onDotsAttr, IntegerAttr::get(IntegerType::get(nest.getContext(), 64), pairDim));
    return true;
  }

private:
  AffineExpr dim(unsigned d) { return getAffineDimExpr(d, nest.getContext()); }
  AffineExpr number(int64_t value) { return getAffineConstantExpr(value, nest.getContext()); }
  bool isEven(AffineExpr size) { return size.getLargestKnownDivisor() % 2 == 0; }

  /// Which dimension of the sum goes in pairs: one along which rows lie in pairs already, else the longest.
  bool choosePairs(const Schedule &s) {
    AffineExpr place = s.exprs.find(rows)->second[0];
    double longest = 1;
    for (unsigned d = nest.getParallel(); d < nest.dims(); ++d) {
      auto step = coefficientOf(place, d);
      if (!step || !columns.getMap().isFunctionOfDim(d) || guess(nest.size(d)) < 2)
        continue;
      bool lies = constantOf(*step) == 1 && isEven(nest.size(d));
      for (unsigned other = 0; other < nest.dims(); ++other)
        if (auto apart = coefficientOf(place, other); other != d)
          lies = lies && apart && isEven(*apart);
      AffineExpr origin = place;
      for (unsigned other = 0; other < nest.dims(); ++other)
        origin = origin.replace(dim(other), number(0));
      lies = lies && isEven(canonical(origin));
      if (std::tuple(lies, guess(nest.size(d))) > std::tuple(asItLies, longest))
        asItLies = lies, longest = guess(nest.size(d)), pairDim = d;
    }
    // Rows a multiple of a page apart fall in the same few sets of the first level cache.
    double shared = 1;
    for (unsigned d = 0; d < nest.getParallel(); ++d)
      if (!rows.getMap().isFunctionOfDim(d))
        shared *= guess(nest.size(d));
    for (unsigned d = 0; d < nest.getParallel(); ++d)
      if (auto apart = coefficientOf(place, d);
          apart && !columns.getMap().isFunctionOfDim(d) && isPlain(rows) && shared >= leastColumns)
        if (auto known = constantOf(*apart); known && *known && *known * 2 % page == 0)
          asItLies = false;
    return longest > 1;
  }

  /// [shared by all columns][panel][the rest of the sum][pair][column][2]
  void packColumns(int64_t width) {
    SmallVector<AffineExpr> sizes, at, dims(nest.dims(), number(0)), inside;
    auto add = [&](AffineExpr size, AffineExpr index) {
      sizes.push_back(canonical(size)), at.push_back(index);
      return dim(sizes.size() - 1);
    };
    auto addAll = [&](bool parallel) {
      for (int64_t i : layoutOf(columns.getTensor()))
        if (auto index = dyn_cast<AffineDimExpr>(columns.getMap().getResult(i)))
          if (unsigned d = index.getPosition(); d != columnDim && d != pairDim && (d < nest.getParallel()) == parallel)
            dims[d] = add(nest.size(d), index);
    };
    AffineExpr column = dim(columnDim), step = dim(pairDim), count = nest.size(columnDim), length = nest.size(pairDim);
    addAll(true);
    AffineExpr panel = add((count + (width - 1)).floorDiv(width), column.floorDiv(width));
    addAll(false);
    AffineExpr pair = add((length + 1).floorDiv(2), step.floorDiv(2));
    AffineExpr lane = add(number(width), column % width), half = add(number(2), step % 2);
    dims[columnDim] = panel * width + lane, dims[pairDim] = pair * 2 + half;
    if (auto known = constantOf(count); !known || *known % width)
      inside.push_back(count - 1 - dims[columnDim]);
    if (!isEven(length))
      inside.push_back(length - 1 - dims[pairDim]);
    packBy(nest, columns, sizes, dims, inside, symbols);
    columns.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, nest.getContext())));
    columns->setAttr(pairPanels, UnitAttr::get(nest.getContext()));
  }

  /// [all else in its order][the sum, even and not a multiple of a page]
  void copyRows() {
    SmallVector<AffineExpr> sizes, at, dims(nest.dims(), number(0)), inside;
    for (int64_t i : layoutOf(rows.getTensor()))
      if (auto index = dyn_cast<AffineDimExpr>(rows.getMap().getResult(i)); index && index.getPosition() != pairDim) {
        dims[index.getPosition()] = dim(sizes.size());
        sizes.push_back(nest.size(index.getPosition())), at.push_back(index);
      }
    AffineExpr length = nest.size(pairDim), even = canonical((length + 1).floorDiv(2) * 2);
    if (auto known = constantOf(even); known && *known * 2 % page == 0)
      even = even + 32; // a line further each row
    dims[pairDim] = dim(sizes.size());
    sizes.push_back(canonical(even)), at.push_back(dim(pairDim));
    if (sizes.back() != length)
      inside.push_back(length - 1 - dims[pairDim]);
    packBy(nest, rows, sizes, dims, inside, symbols);
    rows.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, nest.getContext())));
  }

  NestOp nest;
  unsigned symbols;
  LoadOp rows, columns;
  unsigned columnDim = 0, pairDim = 0;
  bool asItLies = false;
};
} // namespace

bool cpu::packDots(NestOp nest, const Target &target, unsigned symbols) { return Pairing(nest, symbols).run(target); }
