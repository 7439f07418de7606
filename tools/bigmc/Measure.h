// How long the kernels of a compiled function take: it is called with random inputs, through entries that say which kernel runs
// (`CodeOptions::marks`).
#pragma once
#include "backends/cpu/Report.h"
#include "frontend/Graph.h"
#include <string>
#include <vector>

struct bigm_context;
struct bigm_model;
struct bigm_module;

namespace bigm::tool {
struct Compiled;

struct MeasureOptions {
  std::string run; // a finished training, for its weights; empty: initial ones
  int threads = 0; // 0: all cores
  std::vector<GenerateProgram> writers; // those of the program: their lengths and places must fit each other
};
/// Seconds of all calls, in the order of the report.
struct KernelTimes {
  std::vector<double> median;
  std::vector<double> least; // what else the machine does adds to a time and takes nothing from it
};

/// The function whose name is `prefix`, or that with the most work of those whose names begin so; null: there is none.
const mlir::bigm::cpu::FunctionReport *functionToMeasure(const Compiled &compiled, const bigm_module *module,
                                                         const std::string &prefix);
/// What to say when there is none.
std::string noSuchFunction(const std::string &prefix, const std::string &file);
/// A function with a model, a context and inputs of its own, ready to be called again and again.
class Measurement {
public:
  Measurement() = default;
  ~Measurement();
  Measurement(const Measurement &) = delete;
  Measurement &operator=(const Measurement &) = delete;
  /// Prepares and calls it twice; `module` and `report` must live as long. The error, or nothing.
  std::string open(const bigm_module *module, const mlir::bigm::cpu::FunctionReport &report, const MeasureOptions &options);
  /// Calls it for some seconds, `least` times at least. The error, or nothing.
  std::string turn(double seconds, int least);
  /// Of all turns.
  KernelTimes times() const;

private:
  bool once();
  /// Whole numbers that say how much of the other inputs counts.
  void fillLengths(const GenerateProgram &writer, const bigm_module *module);
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  int32_t function = -1;
  std::vector<int64_t> dims;
  std::vector<std::vector<double>> memory; // of doubles: aligned for every element
  std::vector<const void *> inputs;
  std::vector<void *> outputs;
  int64_t calls = 0;
  std::vector<std::vector<double>> seconds; // by kernel, one number a call
};

} // namespace bigm::tool
