// The road from a file to code, one call a phase. The only code that knows every phase.
#pragma once
#include "Commands.h"
#include "backends/artifact/Artifact.h"
#include "backends/cpu/Report.h"
#include "backends/cpu/Tuning.h"
#include "frontend/Diagnostics.h"
#include "frontend/Graph.h"
#include "frontend/Source.h"
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlir::func {
class FuncOp;
}

namespace bigm::tool {

/// A program that was read and checked. Keeps the sources, because places point into them.
struct Checked {
  SourceManager sources;
  Program program;
  std::string sourceSha256; // of all files read, by name and text
};
/// Reads and checks; prints all errors to standard error and gives nothing when there are any.
std::unique_ptr<Checked> checkProgram(const std::string &file, const std::vector<std::string> &sets,
                                     const std::string &data = "");

/// Initial elements that the program's files give, by tensor; they live as long as the program.
std::vector<std::pair<std::string, std::string_view>> givenTensors(const Program &);

/// Where what was made before is kept, among the user's other caches: $BIGM_CACHE_DIR, else ~/.cache/bigmc. Empty: nowhere.
std::string cacheFolder();

/// The value of sizes that `--size` does not give.
constexpr int64_t defaultSize = 32;

/// What the compiler made of a program.
struct Compiled {
  std::string stem;     // a C identifier, in the symbols of the object
  std::string manifest; // JSON
  std::vector<std::string> targets; // from the most portable to the fastest
  std::vector<artifact::Object> objects;
  /// With `explain`: of every function, `prepare` last; of several targets one after the other, named in the functions'.
  std::vector<mlir::bigm::cpu::FunctionReport> reports;
  std::map<std::string, mlir::bigm::cpu::Tunable> tunables; // of the first target, with `explain` and `blocks`
};
/// All functions of a program to object files, for each target of the options. On failure the message is printed and the exit code given.
std::optional<Compiled> compile(const Checked &, const CodeOptions &, int &exitCode);
std::optional<Compiled> compile(const Program &, const SourceManager &, const std::string &sourceSha256,
                                const CodeOptions &, int &exitCode);

/// Calls `use` with one function in the dialect, gradients expanded and nothing fused. On failure the message is printed and
/// the exit code given.
bool inDialect(const Checked &, const std::string &function, int &exitCode,
               const std::function<void(mlir::func::FuncOp)> &use);

/// The text of one stage ("ir", "grad", "fused", "lowered", "llvm", "asm") of the functions whose name begins with
/// `model`.
std::optional<std::string> textOf(const Checked &, const std::string &stage, const std::string &model,
                                  const CodeOptions &, int &exitCode);


} // namespace bigm::tool
