// What `bigmc tune` found, as a file: JSON, one object by contraction.
#pragma once
#include "backends/cpu/Tuning.h"
#include <optional>
#include <string>

namespace bigm::tool {

/// `{"bigm_tuning": 1, "target": "cpu:host", "cpu": "znver3", "contractions": {KEY: {"winograd": 1, "vectors": 2, "rows": 6,
/// "steps": 256, "row_blocks": 8, "column_blocks": 4}}}`; a field left out of a contraction is left to the compiler.
struct TuningFile {
  std::string target; // as on the command line
  std::string cpu;    // the processor that `cpu:host` was
  mlir::bigm::cpu::Tuning contractions;
};

/// Null when the file cannot be read or is no such file; the message is printed.
std::optional<TuningFile> readTuning(const std::string &path);
/// False when it cannot be written.
bool writeTuning(const TuningFile &file, const std::string &path);

} // namespace bigm::tool
