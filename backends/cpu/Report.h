// What a planned function does, kernel by kernel, at given sizes: for people who look for the line that costs most.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::bigm::cpu {

/// A place in a program: `file:line`, and the path of the model's part that stands there (may be empty).
struct SourceLine {
  std::string place, scope;
  bool operator==(const SourceLine &o) const { return place == o.place && scope == o.scope; }
};

struct KernelReport {
  std::string kind;   // contraction, reduction, pointwise, copy, packing, scatter, attention, scan, call; band: several that pass rows on
  std::string symbol; // of its function in the library
  std::string block;  // key of the contraction that it is, or packs an operand of (Tuning.h); may be empty
  std::vector<std::pair<SourceLine, double>> sources; // what it fuses, and each one's share of the operations
  double flops = 0;   // additions, multiplications, comparisons and functions of numbers; a multiply-add is two
  double bytes = 0;   // every tensor that it reads or writes, once
  std::vector<std::pair<SourceLine, std::string>> apart; // what it reads from another kernel, and why that is another
};

struct BufferReport {
  SourceLine source;
  int64_t bytes = 0, offset = 0;
  int first = 0, last = 0; // numbers of the kernels that write and last read it
};

/// A part of a batch (Slices.h).
struct SliceReport {
  unsigned symbol = 0;  // of the function: the size of the batch
  int64_t elements = 2; // the fewest
};

struct FunctionReport {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> sizes; // of the symbols
  std::vector<KernelReport> kernels;                  // in the order of their launches
  std::vector<BufferReport> buffers;                  // in the arena; as the two below for one slice, where a call runs in slices
  std::optional<SliceReport> slice;                   // a call runs for so many elements of the batch at a time
  int64_t arenaBytes = 0;
  int64_t liveBytes = 0; // the most that is alive at one time: no plan needs less
};

/// Reports a function after plan-memory; `sizes` are the values of its symbols, in order.
FunctionReport reportOf(func::FuncOp func, const std::vector<int64_t> &sizes);

} // namespace mlir::bigm::cpu
