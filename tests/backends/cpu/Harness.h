// Runs functions of the bigm dialect on the CPU backend, the way an application does (object, linker, dlopen), and on
// the reference backend, and compares.
#pragma once
#include "backends/cpu/Cpu.h"
#include "backends/ref/Ref.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include <string>
#include <vector>

namespace bigm::test {

/// A compiled function, loaded.
class Loaded {
public:
  Loaded(mlir::MLIRContext &context, const std::string &text, const std::string &target,
         const mlir::bigm::cpu::Tuning *tuning = nullptr);
  ~Loaded();
  bool ok() const { return entry != nullptr; }
  mlir::func::FuncOp function();
  /// Runs on `threads` threads; gives the results in the function's order.
  std::vector<mlir::bigm::ref::Tensor> run(const std::vector<mlir::bigm::ref::Tensor> &arguments,
                                           const std::vector<int64_t> &symbols, int threads);
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<mlir::bigm::cpu::CpuModule> code;
  int64_t arenaBytes(const std::vector<int64_t> &symbols) const;
  /// Median of the time of a call in milliseconds.
  double time(const std::vector<int64_t> &symbols, int threads, int repeats);

private:
  /// Aligned to 64 bytes, with bytes of a known kind behind that must not change.
  struct Memory {
    std::vector<char> bytes;
    char *data() { return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64; }
  };
  void prepare(std::vector<void *> &buffers);
  int call(const std::vector<int64_t> &symbols, const std::vector<void *> &buffers, int threads);
  void *library = nullptr;
  int32_t (*entry)(void *, const int64_t *, void *const *, char *) = nullptr;
  int32_t (*const *entries)(void *, const int64_t *, void *const *, char *) = nullptr;
  std::vector<Memory> prepared;
  std::vector<char> arena;
};

std::unique_ptr<mlir::MLIRContext> makeContext();
/// Arguments of the function's types: floats in [-2, 2], integers from 0 to 2, bools of both kinds.
std::vector<mlir::bigm::ref::Tensor> randomArguments(mlir::func::FuncOp function, const std::vector<int64_t> &symbols);
/// A target for each width of vectors, the widest with all instructions that there is code for, and this machine when it is
/// another. What this machine lacks is emulated (backends/cpu/Emulate.h).
std::vector<std::string> usualTargets();
/// Compiles for the usual targets, runs with 1 and 3 threads, expects the same bits of both and the reference's numbers
/// within `tolerance` of the largest. The environment's BIGM_CPU_TARGET, when set, is the only target.
/// `initText` may be a function that sets tensors: arguments that bear the names of its results take its values, as the
/// reference gives them under seed 1, instead of random ones.
void expectSame(const std::string &text, const std::vector<int64_t> &symbols = {}, double tolerance = 1e-5,
                const std::string &initText = "");
/// The same for the targets given.
void expectSameOn(std::vector<std::string> targets, const std::string &text, const std::vector<int64_t> &symbols = {},
                  double tolerance = 1e-5, const std::string &initText = "");

} // namespace bigm::test
