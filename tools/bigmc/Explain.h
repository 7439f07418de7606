// Reports for people: kernels, the lines of the program that they come from, and the memory plan.
#pragma once
#include "Compiler.h"
#include "bench/Peak.h"
#include <nlohmann/json.hpp>

namespace bigm::tool {

/// Seconds of each kernel, in the order of a report; empty: estimated from its work and the machine's peak.
using Times = std::vector<double>;

/// A table of the kernels, a table of the program's lines with the one that costs most first, and the memory in a sentence.
std::string explain(const mlir::bigm::cpu::FunctionReport &, const Times &, const Peak &, const Checked &);
/// The same as one object.
nlohmann::ordered_json explainJson(const mlir::bigm::cpu::FunctionReport &, const Times &, const Peak &, const Checked &);

/// What the kernels of a function fuse and why others are apart, as comments behind its IR: kernels by number and symbol, each with
/// the lines and models that it does, the largest share first.
std::string fusionComments(const mlir::bigm::cpu::FunctionReport &);

/// Pictures of the arenas, time from left to right, offsets upwards, one HTML file. False when it cannot be written.
bool writeMemoryPlan(const std::vector<mlir::bigm::cpu::FunctionReport> &, const std::string &path);

} // namespace bigm::tool
