// How long the kernels of a compiled function take: it is called with random inputs, through entries that say which kernel runs
// (`CodeOptions::marks`).
#pragma once
#include "backends/cpu/Report.h"
#include <string>
#include <vector>

struct bigm_module;

namespace bigm::tool {
struct Compiled;

struct MeasureOptions {
  std::string run; // a finished training, for its weights; empty: initial ones
  double seconds = 1;
  int threads = 0; // 0: all cores
};
/// Seconds of all calls, in the order of the report.
struct KernelTimes {
  std::vector<double> median;
  std::vector<double> least; // what else the machine does adds to a time and takes nothing from it
};

/// The function whose name is `prefix`, or that with the most work of those whose names begin so; null: there is none.
const mlir::bigm::cpu::FunctionReport *functionToMeasure(const Compiled &compiled, const bigm_module *module,
                                                         const std::string &prefix);
/// Calls the function of a report for some seconds, three times at least. The error, or nothing.
std::string measureKernels(const bigm_module *module, const mlir::bigm::cpu::FunctionReport &report,
                           const MeasureOptions &options, KernelTimes &times);

} // namespace bigm::tool
