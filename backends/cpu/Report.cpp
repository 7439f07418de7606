#include "backends/cpu/Report.h"
#include "backends/cpu/Bands.h"
#include "backends/cpu/Tuning.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Scan.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Kernel.h"
#include "passes/SymbolicArena.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
class Reporter {
public:
  Reporter(func::FuncOp func, const std::vector<int64_t> &sizes) : func(func) {
    for (int64_t size : sizes)
      symbols.push_back(getAffineConstantExpr(size, func.getContext()));
    planned = symbols;
    for (auto [now, size, least] : llvm::zip(planned, sizes, leastSizesOf(func)))
      now = getAffineConstantExpr(std::max(size, least), func.getContext());
  }

  FunctionReport run() {
    FunctionReport report;
    report.name = func.getName().str();
    if (auto names = func->getAttrOfType<ArrayAttr>(attrs::symbols))
      for (auto [i, name] : llvm::enumerate(names))
        report.sizes.push_back({cast<StringAttr>(name).str(), i < symbols.size() ? at(symbols[i]) : 1});
    for (Operation &op : func.getBody().front())
      if (isKernel(&op)) {
        KernelReport own = kernel(op);
        if (goesOnBand(op))
          add(report.kernels.back(), own);
        else
          report.kernels.push_back(own);
        order[&op] = int(report.kernels.size()) - 1;
      }
    for (Operation &op : func.getBody().front())
      if (order.count(&op))
        buffersOf(op, report.buffers);
    for (const BytesTerm &term : termsOf(func, arenaAttr)) {
      int64_t bytes = term.bytes;
      for (unsigned symbol : term.of)
        bytes *= at(planned[symbol]);
      report.arenaBytes += bytes;
    }
    for (const BufferReport &now : report.buffers) {
      int64_t live = 0;
      for (const BufferReport &buffer : report.buffers)
        live += buffer.first <= now.first && now.first <= buffer.last ? buffer.bytes : 0;
      report.liveBytes = std::max(report.liveBytes, live);
    }
    return report;
  }

private:
  int64_t at(AffineExpr expr) {
    auto constant = dyn_cast<AffineConstantExpr>(expr.replaceDimsAndSymbols({}, symbols));
    return constant ? constant.getValue() : 0;
  }
  double bytesOf(Value tensor) { return double(at(elementCount(tensor.getType()))) * elementBytes(tensor.getType()); }

  SourceLine sourceOf(Location loc) {
    SourceLine line;
    if (auto name = dyn_cast<NameLoc>(loc)) {
      line = sourceOf(name.getChildLoc());
      line.scope = name.getName().str();
    } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
      line = sourceOf(call.getCaller());
    } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
      for (Location part : fused.getLocations())
        if (line.place.empty())
          line = sourceOf(part);
    } else if (auto file = dyn_cast<FileLineColLoc>(loc)) {
      line.place = file.getFilename().str() + ":" + std::to_string(file.getLine());
    }
    return line;
  }

  /// How often an op of a nest is computed.
  double timesOf(Operation *inner) {
    auto nest = inner->getParentOfType<NestOp>();
    unsigned dims = inner->getBlock() == &nest.getBody().front() ? nest.dims() : unsigned(nest.getParallel());
    double times = 1;
    for (unsigned d = 0; d < dims; ++d)
      times *= double(at(nest.size(d)));
    return times;
  }

  /// Whether the kernel before it passes rows on to the op: they run as one.
  static bool goesOnBand(Operation &op) {
    return llvm::any_of(op.getRegions(), [](Region &region) {
      bool reads = false;
      region.walk([&](LoadOp load) { reads |= isPassedOn(load.getTensor()); });
      return reads;
    });
  }
  static void add(KernelReport &band, const KernelReport &own) {
    double all = std::max(1.0, band.flops + own.flops), before = band.flops / all;
    for (auto &source : band.sources)
      source.second *= before;
    for (const auto &[line, share] : own.sources) {
      auto known = llvm::find_if(band.sources, [&](auto &pair) { return pair.first == line; });
      if (known == band.sources.end())
        band.sources.push_back({line, 0}), known = band.sources.end() - 1;
      known->second += share * (1 - before);
    }
    band.kind = "band", band.symbol = own.symbol;
    band.flops += own.flops, band.bytes += own.bytes;
    for (const auto &reason : own.apart) // what it reads of the band is not apart
      if (llvm::none_of(band.sources, [&](auto &source) { return source.first == reason.first; }))
        band.apart.push_back(reason);
  }

  KernelReport kernel(Operation &op) {
    KernelReport report;
    if (auto name = op.getAttrOfType<StringAttr>("kernel"))
      report.symbol = name.str();
    if (auto key = op.getAttrOfType<StringAttr>(blockKeyAttr))
      report.block = key.str();
    op.walk<WalkOrder::PreOrder>([&](Operation *inner) {
      if (isa<YieldOp, arith::ConstantOp, LoadOp, IndexOp, TestOp>(inner))
        return;
      SourceLine line = sourceOf(inner->getLoc());
      if (line.place.empty())
        return;
      auto known = llvm::find_if(report.sources, [&](auto &pair) { return pair.first == line; });
      if (known == report.sources.end())
        known = report.sources.insert(known, {line, 0});
      known->second += inner == &op ? 1 : timesOf(inner);
    });
    double all = 0;
    for (auto &source : report.sources)
      all += source.second;
    for (auto &source : report.sources)
      source.second /= all;
    if (auto apart = op.getAttrOfType<ArrayAttr>("apart"))
      for (Attribute entry : apart) {
        auto pair = cast<ArrayAttr>(entry);
        report.apart.push_back({sourceOf(LocationAttr(cast<LocationAttr>(pair[0]))), cast<StringAttr>(pair[1]).str()});
      }

    llvm::SmallPtrSet<void *, 8> counted;
    auto touch = [&](Value tensor, double most) {
      if (!isPassedOn(tensor) && counted.insert(rootOf(tensor).getAsOpaquePointer()).second)
        report.bytes += std::min(bytesOf(tensor), most);
    };
    for (Value result : op.getResults())
      touch(result, bytesOf(result));
    auto nest = dyn_cast<NestOp>(op);
    if (!nest) {
      report.kind = isa<ScatterOp>(op) ? "scatter" : isa<AttendOp>(op) ? "attention" : isa<kernel::ScanOp>(op) ? "scan" : "call";
      for (Value operand : op.getOperands())
        touch(operand, bytesOf(operand));
      if (auto scatter = dyn_cast<ScatterOp>(op))
        report.flops = double(at(elementCount(scatter.getUpdates().getType())));
      if (auto scan = dyn_cast<kernel::ScanOp>(op)) {
        Reporter body(bodyOf(scan), {});
        body.symbols = symbols, body.planned = planned;
        for (const KernelReport &step : body.run().kernels)
          report.flops += step.flops * double(at(scan.getSteps().getResult(0)));
      }
      if (auto attention = dyn_cast<AttendOp>(op)) {
        // Two products forward and five backward; with `causal` about half of the scores are seen.
        report.flops = attention.getBackward() ? 10 : 4;
        for (AffineExpr size : attention.getSizes().getResults().take_front(5))
          report.flops *= double(at(size));
        report.flops /= attention.getCausal() && !attention.getCached() ? 2 : 1;
      }
      return report;
    }
    double points = 1;
    for (unsigned d = 0; d < nest.dims(); ++d)
      points *= double(at(nest.size(d)));
    bool computes = false;
    nest->walk([&](Operation *inner) {
      if (auto load = dyn_cast<LoadOp>(inner))
        return touch(load.getTensor(), timesOf(inner) * elementBytes(load.getTensor().getType()));
      if (inner == nest || isa<YieldOp, IndexOp, TestOp, arith::ConstantOp, arith::SelectOp>(inner) ||
          inner->getNumResults() == 0)
        return;
      computes = true;
      if (isa<FloatType>(inner->getResult(0).getType()) && !isa<arith::ExtFOp, arith::TruncFOp>(inner))
        report.flops += timesOf(inner);
    });
    if (nest.reduces())
      report.flops += points * nest.getKinds().size();
    if (Panels::of(nest)) { // cutting numbers into pieces is moving them
      report.kind = "packing", report.flops = 0;
      return report;
    }
    report.kind = nest.getContraction() ? "contraction" : nest.reduces() ? "reduction" : computes ? "pointwise" : "copy";
    return report;
  }

  int lastUse(Value value) {
    int last = -1;
    for (Operation *user : value.getUsers()) {
      if (auto alias = dyn_cast<AliasOp>(user))
        last = std::max(last, lastUse(alias.getResult()));
      while (!isa<func::FuncOp>(user->getParentOp()))
        user = user->getParentOp();
      if (auto it = order.find(user); it != order.end())
        last = std::max(last, it->second);
    }
    return last;
  }

  void buffersOf(Operation &op, std::vector<BufferReport> &buffers) {
    BufferReport buffer;
    buffer.source = sourceOf(op.getLoc());
    buffer.first = order[&op];
    auto add = [&](Attribute place, int64_t bytes, int last) {
      auto map = dyn_cast_or_null<AffineMapAttr>(place);
      if (!map)
        return;
      buffer.offset = at(map.getValue().getResult(0).replaceDimsAndSymbols({}, planned));
      buffer.bytes = bytes, buffer.last = std::max(last, buffer.first);
      buffers.push_back(buffer);
    };
    if (auto places = op.getAttrOfType<ArrayAttr>("places"))
      for (auto [result, place] : llvm::zip(op.getResults(), places))
        add(place, int64_t(bytesOf(result)), lastUse(result));
    if (auto bytes = op.getAttrOfType<AffineMapAttr>("scratch_bytes"))
      add(op.getAttr("scratch"), at(bytes.getValue().getResult(0)), buffer.first);
  }

  func::FuncOp func;
  SmallVector<AffineExpr> symbols;
  SmallVector<AffineExpr> planned; // what the arena counts with
  DenseMap<Operation *, int> order;
};
} // namespace

FunctionReport cpu::reportOf(func::FuncOp func, const std::vector<int64_t> &sizes) { return Reporter(func, sizes).run(); }
