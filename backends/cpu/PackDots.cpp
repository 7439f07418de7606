// Words for the instructions that add up products of neighbours along the sum.
//
// `vdpbf16ps` adds to each f32 of a vector the products of two pairs of bf16, `vpdpbusd` to each i32 those of four u8 and four i8:
// two and four times the multiplications of an f32 vector, with half and a quarter of the memory. The steps of a word become one.
// Where a target has no instruction for bytes, two of `pmaddwd` do the same on the even and the odd ones, so all have the same bits;
// where columns are used often enough for their bytes not to count, both operands are widened to i16 as they are packed, and a word
// is a pair of these, which nothing takes apart.
// The columns are packed as [panel][word of the sum][column][2 or 4], zeros behind the ends; the rows are read as they lie where
// a word is a whole aligned one in them, else from a copy in which the sum is innermost. The kernel is that of f32 with words for
// elements (Block.cpp): its blocks, edges, epilogues and units are the same.
#include "backends/cpu/Contraction.h"
#include "backends/cpu/PackOperands.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Products below which an operand is widened as it is read, and rows that must share columns that each call packs.
constexpr double leastProducts = 64 * 1024, leastRows = 16;
/// Rows that must share columns that are widened to i16, an open size counting as so many: that of a batch may be 1, and then
/// what a call reads of weights is what it takes.
constexpr double leastRowsOfWide = 32, openOfWide = 8;
/// Columns that must share a row that is copied only because rows lie a multiple of a page apart.
constexpr double leastColumns = 64;
constexpr int64_t page = 4096;

class Wording {
public:
  Wording(NestOp nest, unsigned symbols) : nest(nest), symbols(symbols) {}

  bool run(const Target &target) {
    bool pairs = target.dots && !target.tiles, bytes = true;
    for (LoadOp load : nest.getBody().front().getOps<LoadOp>()) {
      pairs &= load.getType().isBF16();
      bytes &= load.getType().isInteger(8);
      each = elementsInWord(load);
    }
    if (!pairs && !bytes)
      return false;
    auto plan = planContraction(nest, target);
    if (!plan || plan->vectorsOfA || plan->winograd || !isPlain(plan->b.getMap().getResults()))
      return false;
    rows = plan->a, columns = plan->b, columnDim = plan->vectorDim;
    double products = 1, reuse = 1, sure = 1;
    for (unsigned d = 0; d < nest.dims(); ++d) {
      products *= guess(nest.size(d));
      if (columns.getMap().isFunctionOfDim(d))
        continue;
      reuse *= guess(nest.size(d));
      sure *= double(constantOf(nest.size(d)).value_or(openOfWide));
    }
    // Columns of weights are packed once, in `prepare`.
    bool steady = isSteady(columns);
    if (bytes && sure >= leastRowsOfWide && !(target.bytes && isUnsigned(rows) != isUnsigned(columns)))
      wide = IntegerType::get(nest.getContext(), 16), each = 2;
    if ((products < leastProducts && !(bytes && steady)) || (reuse < leastRows && !steady) || !chooseWords(plan->s))
      return false;
    packColumns(int64_t(plan->vectors) * target.lanes);
    if (!asItLies || wide)
      copyRows();
    if (wide)
      for (LoadOp load : {rows, columns})
        load.getResult().setType(wide);
    nest->setAttr(onDotsAttr, IntegerAttr::get(IntegerType::get(nest.getContext(), 64), wordDim));
    return true;
  }

private:
  AffineExpr dim(unsigned d) { return getAffineDimExpr(d, nest.getContext()); }
  AffineExpr number(int64_t value) { return getAffineConstantExpr(value, nest.getContext()); }
  bool isWhole(AffineExpr size) { return size.getLargestKnownDivisor() % each == 0; }
  /// Whether exactly one index of the rows is the dimension, and no other moves with it.
  bool standsAlone(unsigned d) {
    return llvm::count(rows.getMap().getResults(), dim(d)) == 1 &&
           llvm::count_if(rows.getMap().getResults(), [&](AffineExpr index) { return index.isFunctionOfDim(d); }) == 1;
  }

  /// Which dimension of the sum goes in words: one along which rows lie in words already, else the longest.
  bool chooseWords(const Schedule &s) {
    AffineExpr place = s.exprs.find(rows)->second[0];
    double longest = 1;
    for (unsigned d = nest.getParallel(); d < nest.dims(); ++d) {
      auto step = coefficientOf(place, d);
      if (!step || !columns.getMap().isFunctionOfDim(d) || guess(nest.size(d)) < each)
        continue;
      bool lies = constantOf(*step) == 1 && isWhole(nest.size(d));
      for (unsigned other = 0; other < nest.dims(); ++other)
        if (auto apart = coefficientOf(place, other); other != d)
          lies = lies && apart && isWhole(*apart);
      AffineExpr origin = place;
      for (unsigned other = 0; other < nest.dims(); ++other)
        origin = origin.replace(dim(other), number(0));
      lies = lies && isWhole(canonical(origin));
      if (!lies && !standsAlone(d))
        continue;
      if (std::tuple(lies, guess(nest.size(d))) > std::tuple(asItLies, longest))
        asItLies = lies, longest = guess(nest.size(d)), wordDim = d;
    }
    // Rows a multiple of a page apart fall in the same few sets of the first level cache.
    double shared = 1;
    for (unsigned d = 0; d < nest.getParallel(); ++d)
      if (!rows.getMap().isFunctionOfDim(d))
        shared *= guess(nest.size(d));
    for (unsigned d = 0; d < nest.getParallel(); ++d)
      if (auto apart = coefficientOf(place, d);
          apart && !columns.getMap().isFunctionOfDim(d) && isPlain(rows.getMap().getResults()) && shared >= leastColumns)
        if (auto known = constantOf(*apart); known && *known && *known * 4 / each % page == 0)
          asItLies = false;
    return longest > 1;
  }

  /// [shared by all columns][panel][the rest of the sum][word][column][2 or 4]
  void packColumns(int64_t width) {
    SmallVector<AffineExpr> sizes, at, dims(nest.dims(), number(0)), inside;
    auto add = [&](AffineExpr size, AffineExpr index) {
      sizes.push_back(canonical(size)), at.push_back(index);
      return dim(sizes.size() - 1);
    };
    auto addAll = [&](bool parallel) {
      for (int64_t i : layoutOf(columns.getTensor()))
        if (auto index = dyn_cast<AffineDimExpr>(columns.getMap().getResult(i)))
          if (unsigned d = index.getPosition(); d != columnDim && d != wordDim && (d < nest.getParallel()) == parallel)
            dims[d] = add(nest.size(d), index);
    };
    AffineExpr column = dim(columnDim), step = dim(wordDim), count = nest.size(columnDim), length = nest.size(wordDim);
    addAll(true);
    AffineExpr panel = add((count + (width - 1)).floorDiv(width), column.floorDiv(width));
    addAll(false);
    AffineExpr word = add((length + (each - 1)).floorDiv(each), step.floorDiv(each));
    AffineExpr lane = add(number(width), column % width), part = add(number(each), step % each);
    dims[columnDim] = panel * width + lane, dims[wordDim] = word * each + part;
    if (auto known = constantOf(count); !known || *known % width)
      inside.push_back(count - 1 - dims[columnDim]);
    if (!isWhole(length))
      inside.push_back(length - 1 - dims[wordDim]);
    packBy(nest, columns, sizes, dims, inside, symbols, wide, widening(columns));
    columns.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, nest.getContext())));
    columns->setAttr(wordPanels, UnitAttr::get(nest.getContext()));
  }

  /// [all else in its order][the sum, in whole words and not a multiple of a page]. Windows stay windows.
  void copyRows() {
    SmallVector<AffineExpr> extents = sizesOf(rows.getTensor().getType()), sizes, at, places(extents.size()), inside;
    AffineExpr length = nest.size(wordDim);
    unsigned along = 0;
    for (int64_t i : layoutOf(rows.getTensor())) {
      AffineExpr index = rows.getMap().getResult(i);
      if (index == dim(wordDim))
        along = i;
      else if (isa<AffineConstantExpr>(index))
        places[i] = index; // the others are not read
      else
        places[i] = dim(sizes.size()), sizes.push_back(extents[i]), at.push_back(index);
    }
    AffineExpr whole = canonical((length + (each - 1)).floorDiv(each) * each);
    if (auto known = constantOf(whole); known && *known && *known * 4 / each % page == 0)
      whole = whole + 16 * each; // a line further each row
    places[along] = dim(sizes.size());
    sizes.push_back(canonical(whole)), at.push_back(dim(wordDim));
    if (sizes.back() != length)
      inside.push_back(length - 1 - places[along]);
    packAt(nest, rows, sizes, places, inside, symbols, wide, widening(rows));
    rows.setMapAttr(AffineMapAttr::get(AffineMap::get(nest.dims(), symbols, at, nest.getContext())));
  }

  /// What makes an element of a copy.
  std::function<Value(OpBuilder &, Value)> widening(LoadOp load) {
    return [this, sign = !isUnsigned(load)](OpBuilder &builder, Value value) -> Value {
      if (!wide)
        return value;
      return sign ? arith::ExtSIOp::create(builder, value.getLoc(), wide, value).getResult()
                  : arith::ExtUIOp::create(builder, value.getLoc(), wide, value).getResult();
    };
  }

  NestOp nest;
  unsigned symbols;
  LoadOp rows, columns;
  int64_t each = 2; // elements of a word
  Type wide;        // i16 where bytes are widened
  unsigned columnDim = 0, wordDim = 0;
  bool asItLies = false;
};
} // namespace

bool cpu::packDots(NestOp nest, const Target &target, unsigned symbols) { return Wording(nest, symbols).run(target); }
