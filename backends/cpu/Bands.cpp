// Which kernels make a band: whether the rows of each need rows of the one before alone, whether what they pass on is worth it,
// and how many rows of it are kept.
#include "backends/cpu/Bands.h"
#include "backends/cpu/Contraction.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Place.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "llvm/ADT/DenseSet.h"
#include <map>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

std::optional<BandPart> cpu::bandOf(NestOp nest) {
  auto attr = nest->getAttrOfType<DenseI64ArrayAttr>(bandAttr);
  return attr ? std::optional(BandPart{unsigned(attr[0]), attr[1]}) : std::nullopt;
}

SmallVector<unsigned> cpu::bandDims(NestOp nest) {
  auto part = bandOf(nest);
  SmallVector<int64_t> layout = nest.layout(0);
  return part ? SmallVector<unsigned>(layout.begin(), layout.begin() + part->dims) : SmallVector<unsigned>();
}

bool cpu::isPassedOn(Value tensor) { return tensor.getDefiningOp() && passesOn(tensor.getDefiningOp()); }

int64_t cpu::rowBytes(NestOp maker) {
  AffineExpr stride = stridesOf(maker.getResult(0))[bandDims(maker).back()];
  return constantOf(stride).value_or(0) * elementBytes(maker.getResult(0).getType());
}

std::optional<RowWindow> cpu::windowOf(NestOp nest, Value tensor) {
  auto maker = tensor.getDefiningOp<NestOp>();
  SmallVector<unsigned> own = bandDims(nest), made = bandDims(maker);
  std::optional<RowWindow> all;
  bool fits = own.size() == made.size();
  nest->walk([&](LoadOp load) {
    if (load.getTensor() != tensor || !fits)
      return;
    for (auto [i, index] : llvm::enumerate(load.getMap().getResults())) {
      auto place = llvm::find(made, i);
      bool isRow = place != made.end() && place + 1 == made.end();
      if (place != made.end() && !isRow) { // of the same picture
        fits &= index == getAffineDimExpr(own[place - made.begin()], nest.getContext()) &&
                canonical(nest.size(own[place - made.begin()])) == canonical(maker.size(i));
        continue;
      }
      if (!isRow) {
        for (unsigned d : own)
          fits &= !index.isFunctionOfDim(d);
        continue;
      }
      // step * row + what reduced loops of known sizes add + a number
      int64_t low = 0, high = 0;
      AffineExpr rest = index;
      auto step = coefficientOf(index, own.back());
      fits &= step && constantOf(*step) && *constantOf(*step) > 0;
      for (unsigned d = 0; d < nest.dims() && fits; ++d) {
        rest = rest.replace(getAffineDimExpr(d, nest.getContext()), getAffineConstantExpr(0, nest.getContext()));
        if (d == own.back() || !index.isFunctionOfDim(d))
          continue;
        auto each = coefficientOf(index, d);
        auto by = each ? constantOf(*each) : std::nullopt, size = constantOf(nest.size(d));
        fits &= d >= nest.getParallel() && by && size;
        if (fits)
          (*by < 0 ? low : high) += *by * (*size - 1);
      }
      auto from = constantOf(canonical(rest));
      fits &= from && *from + low >= 0;
      if (!fits)
        return;
      RowWindow window{*constantOf(*step), *from + low, high - low + 1};
      if (all && (all->step != window.step)) // their pointers move together
        fits = false;
      else if (all)
        window = {all->step, std::min(all->from, window.from),
                  std::max(all->from + all->count, window.from + window.count) - std::min(all->from, window.from)};
      all = window;
    }
  });
  // Rows that no window reads would have to be left out.
  return fits && all && all->step <= all->count ? all : std::nullopt;
}

namespace {
/// What a band saves is traffic beyond a core's own cache: one of its tensors is larger than that cache by this factor, the others
/// at least as large, or half as large where the next kernel needs a single row of it and so nothing anew.
constexpr double worthWhile = 2, passed = 1, passedPlain = 0.5;
/// The share of a core's own cache that rows and weights of a band may take, and bytes of rows that the stack may.
constexpr double shareOfCache = 0.75;
constexpr int64_t mostOnStack = 512 << 10;
/// Rows that are not enough for the halo that every thread makes anew.
constexpr int64_t leastWindows = 8;

/// The nest that alone reads the result, as it is.
NestOp readerOf(NestOp maker) {
  if (maker.getNumResults() != 1)
    return {};
  NestOp reader;
  for (Operation *user : maker.getResult(0).getUsers()) {
    auto nest = isa<LoadOp>(user) ? user->getParentOfType<NestOp>() : NestOp();
    if (!nest || (reader && nest != reader) || nest->getBlock() != maker->getBlock())
      return {};
    reader = nest;
  }
  return reader;
}

void setBand(NestOp nest, unsigned dims, int64_t kept) {
  nest->setAttr(bandAttr, DenseI64ArrayAttr::get(nest.getContext(), {int64_t(dims), kept}));
}

/// Whether a kernel of one row, called with other pointers for each, does what the nest does: places move evenly from row to row,
/// nothing else depends on which row it is, and the kernel is one function without memory of its own.
bool runsByRows(NestOp nest, const Target &target) {
  SmallVector<unsigned> dims = bandDims(nest);
  for (StringRef name : {StringRef(onTilesAttr), StringRef(onDotsAttr), StringRef(winogradAttr), StringRef(Panels::attr)})
    if (nest->hasAttr(name))
      return false;
  auto depends = [&](AffineExpr expr) { return llvm::any_of(dims, [&](unsigned d) { return expr.isFunctionOfDim(d); }); };
  bool fits = true;
  std::map<void *, SmallVector<AffineExpr>> steps; // of each tensor
  nest->walk([&](Operation *op) {
    if (auto index = dyn_cast<IndexOp>(op))
      fits &= !depends(index.getMap().getResult(0));
    if (auto test = dyn_cast<TestOp>(op))
      fits &= !llvm::any_of(test.getSet().getConstraints(), depends);
    auto load = dyn_cast<LoadOp>(op);
    if (!load)
      return;
    if (load.getInside())
      fits &= !llvm::any_of(load.getInside()->getConstraints(), depends);
    SmallVector<AffineExpr> own;
    for (unsigned d : dims) {
      auto step = coefficientOf(placeOf(load), d);
      fits &= bool(step);
      own.push_back(step ? canonical(*step) : AffineExpr());
    }
    auto known = steps.try_emplace(load.getTensor().getAsOpaquePointer(), own).first;
    fits &= known->second == own;
  });
  for (unsigned i = 1; i < nest.getNumResults(); ++i)
    fits &= llvm::equal(ArrayRef(nest.layout(i)).take_front(dims.size()), dims);
  if (!fits)
    return false;
  auto contraction = planContraction(nest, target);
  return (contraction ? contraction->splits : schedule(nest, target).splits) == 1;
}

/// Bytes that a call for one row reads besides what is passed on: of weights, and of the rows of other tensors.
double bytesOfRow(NestOp nest) {
  std::map<void *, double> bytes;
  SmallVector<unsigned> dims = bandDims(nest);
  nest->walk([&](LoadOp load) {
    if (isPassedOn(load.getTensor()))
      return;
    double elements = 1;
    for (unsigned d = 0; d < nest.dims(); ++d)
      if (!llvm::is_contained(dims, d) && load.getMap().isFunctionOfDim(d))
        elements *= double(guess(nest.size(d)));
    bytes[load.getTensor().getAsOpaquePointer()] = elements * elementBytes(load.getTensor().getType());
  });
  double all = 0;
  for (auto &entry : bytes)
    all += entry.second;
  return all;
}

/// Bytes of a tensor when every open size is 1.
double bytesOf(Value tensor) {
  double bytes = double(elementBytes(tensor.getType()));
  for (AffineExpr size : sizesOf(tensor.getType()))
    bytes *= double(constantOf(size).value_or(1));
  return bytes;
}

/// Nests each of which could pass its rows on to the next one, and how they are cut into bands.
struct Run {
  const Target &target;
  unsigned dims;
  SmallVector<NestOp> nests;
  Run(const Target &target, unsigned dims, NestOp first) : target(target), dims(dims), nests{first} {}

  /// Adds the reader of the last nest's result, when it runs by rows and could be passed on with gain.
  bool extend() {
    NestOp maker = nests.back(), reader = readerOf(maker);
    if (!reader || reader->hasAttr(bandAttr) || reader.getParallel() <= dims)
      return false;
    Value tensor = maker.getResult(0);
    setBand(maker, dims, 1), setBand(reader, dims, 0);
    auto fits = [&] {
      if (!rowBytes(maker) || !runsByRows(maker, target) || !runsByRows(reader, target))
        return false;
      auto window = windowOf(reader, tensor);
      if (!window || bytesOf(tensor) < (window->count == 1 ? passedPlain : passed) * double(target.ownBytes))
        return false;
      auto rows = constantOf(maker.size(bandDims(maker).back()));
      return !rows || window->count == 1 || *rows >= leastWindows * window->count;
    };
    if (fits()) {
      nests.push_back(reader);
      return true;
    }
    reader->removeAttr(bandAttr);
    nests.size() == 1 ? void(maker->removeAttr(bandAttr)) : setBand(maker, dims, 0);
    return false;
  }

  struct Link { // between nest i and the next
    RowWindow window;
    double bytes;    // of the tensor
    int64_t row;     // bytes of a row
    /// Rows without which no step could be made, and those with which rows that are read again seldom move.
    int64_t least() const { return window.count == 1 ? 1 : window.count + window.step; }
    int64_t good() const { return window.count == 1 ? 1 : 2 * window.count + 2; }
  };
  SmallVector<Link> links;
  SmallVector<double> bytes; // that nest i reads for a row besides what is passed on

  /// Whether nests `first` to `last` have room in the cache and on the stack with so many rows kept of each but the last.
  bool fitsCache(size_t first, size_t last, llvm::function_ref<int64_t(size_t)> rows) {
    double ofRows = 0, all = first ? double(links[first - 1].window.count * links[first - 1].row) : 0;
    for (size_t i = first; i <= last; ++i) {
      all += bytes[i];
      if (i < last)
        ofRows += double(rows(i) * links[i].row);
    }
    return all + ofRows <= shareOfCache * double(target.ownBytes) && ofRows <= mostOnStack;
  }

  /// Where bands begin: those that pass on the most bytes in all. Best first cuts, nest by nest.
  SmallVector<size_t> cuts() {
    SmallVector<double> saved(nests.size() + 1, 0); // with bands of the nests before
    SmallVector<size_t> begin(nests.size() + 1, 0);
    for (size_t end = 1; end <= nests.size(); ++end) {
      saved[end] = saved[end - 1], begin[end] = end - 1;
      double own = 0, most = 0;
      for (size_t first = end - 1; first-- > 0;) {
        own += links[first].bytes, most = std::max(most, links[first].bytes);
        if (!fitsCache(first, end - 1, [&](size_t i) { return links[i].least(); }))
          break;
        if (most >= worthWhile * double(target.ownBytes) && saved[first] + own > saved[end])
          saved[end] = saved[first] + own, begin[end] = first;
      }
    }
    SmallVector<size_t> at;
    for (size_t end = nests.size(); end; end = begin[end])
      at.insert(at.begin(), begin[end]);
    return at;
  }

  void mark(size_t first, size_t last, int64_t number) {
    SmallVector<int64_t> kept;
    for (size_t i = first; i < last; ++i)
      kept.push_back(links[i].good());
    while (!fitsCache(first, last, [&](size_t i) { return kept[i - first]; })) { // fewer of the one with the most to spare
      size_t widest = 0;
      for (size_t i = 0; i < kept.size(); ++i)
        if (kept[i] - links[first + i].least() > kept[widest] - links[first + widest].least())
          widest = i;
      --kept[widest];
    }
    for (size_t i = first; i <= last; ++i) {
      setBand(nests[i], dims, i < last ? kept[i - first] : 0);
      nests[i]->setAttr(chainAttr, DenseI64ArrayAttr::get(nests[i].getContext(), {number}));
    }
  }

  void cut(int64_t &number) {
    for (NestOp nest : nests)
      bytes.push_back(bytesOfRow(nest));
    for (size_t i = 0; i + 1 < nests.size(); ++i)
      links.push_back({*windowOf(nests[i + 1], nests[i].getResult(0)), bytesOf(nests[i].getResult(0)), rowBytes(nests[i])});
    SmallVector<size_t> begins = cuts();
    for (NestOp nest : nests)
      nest->removeAttr(bandAttr);
    begins.push_back(nests.size());
    for (size_t i = 0; i + 1 < begins.size(); ++i)
      if (begins[i + 1] - begins[i] > 1)
        mark(begins[i], begins[i + 1] - 1, number++);
  }
};

/// How many of the outermost dimensions a band that begins with the nest would run through: up to the first along which its reader
/// has a window, or two where it has none.
unsigned dimsOfBand(NestOp maker) {
  NestOp reader = readerOf(maker);
  unsigned dims = 0;
  if (!reader)
    return 0;
  SmallVector<int64_t> layout = maker.layout(0);
  reader->walk([&](LoadOp load) {
    if (load.getTensor() != maker.getResult(0) || dims)
      return;
    for (unsigned i = 0; i < layout.size() && !dims; ++i)
      if (!isa<AffineDimExpr>(load.getMap().getResult(layout[i])))
        dims = i + 1;
  });
  return dims ? dims : 2;
}
} // namespace

void cpu::findBands(func::FuncOp func, const Target &target) {
  int64_t number = 0;
  llvm::DenseSet<Operation *> seen;
  for (NestOp nest : llvm::to_vector(func.getBody().front().getOps<NestOp>())) {
    unsigned dims = seen.contains(nest) ? 0 : dimsOfBand(nest);
    if (!dims || dims > 2 || nest.getParallel() <= dims)
      continue;
    Run run(target, dims, nest);
    while (run.extend())
      ;
    run.cut(number);
    seen.insert(run.nests.begin(), run.nests.end() - (run.nests.back()->hasAttr(bandAttr) ? 0 : 1));
  }
}

int64_t cpu::gatherBands(func::FuncOp func, const Target &target) {
  std::map<int64_t, SmallVector<NestOp>> bands;
  for (NestOp nest : func.getBody().front().getOps<NestOp>())
    if (nest->hasAttr(bandAttr))
      bands[nest->getAttrOfType<DenseI64ArrayAttr>(chainAttr)[0]].push_back(nest);
  int64_t next = 0;
  for (auto &[number, nests] : bands) {
    next = number + 1;
    bool whole = !passesOn(nests.back()) && llvm::all_of(nests, [&](NestOp nest) { return runsByRows(nest, target); });
    for (size_t i = 0; i + 1 < nests.size(); ++i)
      whole &= passesOn(nests[i]) && readerOf(nests[i]) == nests[i + 1] && windowOf(nests[i + 1], nests[i].getResult(0));
    for (NestOp nest : nests)
      if (!whole)
        nest->removeAttr(bandAttr), nest->removeAttr(chainAttr);
      else if (nest != nests.back())
        nest->moveBefore(nests.back());
  }
  return next;
}
