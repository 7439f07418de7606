// The CPU backend: functions of the bigm dialect to object files.
//
// In steps, because the artifact's manifest names what the plan decides: `lower` fuses, lays out, plans memory and
// generates kernels; `emitObjects` compiles them; `emitExports` adds the manifest and the table of entries, of the code for
// one target or of several. Same input, same bytes.
#pragma once
#include "backends/cpu/Report.h"
#include "backends/cpu/Slices.h"
#include "backends/cpu/Tuning.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
}
namespace mlir::bigm::cpu {

class ObjectCache;

struct CpuOptions {
  std::string target = "host"; // as `parseTarget` takes it
  bool emulate = false;        // code as for the target that this machine can run (Emulate.h), for tests
  std::string stem = "model";  // prefix of the exported symbols, a C identifier
  bool verify = false;         // verify the IR after every pass
  bool explain = false;        // note why kernels are apart, for `report`
  const Tuning *tuning = nullptr; // blocks that were found by measuring; with one, reports name contractions
  bool marks = false;          // entries call bigm_rt_mark(i) before kernel i and bigm_rt_mark(-1) at the end
  const ObjectCache *cache = nullptr; // machine code made before; none: all is made
};

enum class Access { Read, Write, Update };

/// One argument of an entry, in the order of its `buffers`.
struct EntryArgument {
  int argument = -1; // of the function, or
  int result = -1;   // of the function: the buffer is written only, or
  int prepared = -1; // number of the prepared value
  int tensor = -1;   // of the function `prepare`: number of the persistent tensor
  Access access = Access::Read;
};

struct EntryPlan {
  std::string name; // of the function
  std::vector<EntryArgument> arguments;
  std::vector<BytesTerm> arena;
  std::vector<int64_t> leastSizes;  // of the symbols: the arena is that for at least these; empty: 1
  std::vector<BytesTerm> liveBound; // no plan can need less
  std::optional<BatchSlices> slices; // a call may run for a part of its batch at a time
  unsigned kernels = 0;             // launched by the entry
};

struct ObjectFile {
  std::string name;  // of the function in it, `.o` behind
  std::string bytes; // ELF
};

class CpuModule {
public:
  /// Compiles all functions of the module, in order. The module is left as it was; diagnostics say what failed.
  static std::unique_ptr<CpuModule> lower(ModuleOp module, const CpuOptions &options);
  ~CpuModule();

  /// Of the module's functions, in order.
  const std::vector<EntryPlan> &plan() const;
  /// Of the function that computes the prepared values; its entry is the last. Nothing when there are none.
  const std::optional<EntryPlan> &preparePlan() const;
  /// Bytes of each prepared value.
  const std::vector<int64_t> &preparedBytes() const;
  /// Adds the object files: one a kernel, one an entry. Made on the context's threads; the same bytes for any number of
  /// them. Their symbols differ from those of the code for other targets, so that a library can hold both.
  LogicalResult emitObjects(std::vector<ObjectFile> &objects);
  /// Symbols of the entries: of the functions in order, then of `prepare`.
  const std::vector<std::string> &entries() const;
  /// Every function's kernels and memory at the given sizes; symbols that are not given are `otherwise`.
  std::vector<FunctionReport> report(const std::map<std::string, int64_t> &sizes, int64_t otherwise);
  /// Contractions whose blocks can be chosen, by key; none without `tuning`.
  std::map<std::string, Tunable> tunables() const;
  /// What there is after a stage: `fused` (nests with their layouts, places and kernels), `lowered` (loops and vectors), `llvm`, `asm`. Empty for
  /// another name.
  std::string dumpAt(const std::string &stage);

private:
  struct State;
  std::unique_ptr<State> state;
  explicit CpuModule(std::unique_ptr<State> state);
};

/// The object of what a library exports: the manifest, and the entries of its variants, one after the other.
LogicalResult emitExports(const std::string &stem, const std::vector<std::string> &entries, const std::string &manifest,
                          ObjectFile &object);

/// Dialects that the backend makes ops of.
void registerDialects(DialectRegistry &registry);

} // namespace mlir::bigm::cpu
