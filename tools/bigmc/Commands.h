// The commands of `bigmc`, one function each. Parsing of the command line is main.cpp's; every command gets a struct
// of what the user asked and returns the exit code of docs/commands.md: 0 done, 1 an error in what the user gave,
// 3 a gate failed.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mlir::bigm::cpu {
struct BlockChoice;
}
namespace bigm::tool {

enum ExitCode { Done = 0, UserError = 1, WrongUsage = 2, GateFailed = 3, OurBug = 70 };

/// What every command that reads a program takes.
struct ProgramOptions {
  std::string file;
  std::vector<std::string> sets; // `path=value`
  std::string data;              // where files lie that the program names, in commands that have no other `--data`
};
/// How code is made, in every command that makes some.
struct CodeOptions {
  std::vector<std::string> targets; // `cpu:x86-64-v3`; none: see Targets.h
  std::string precision; // of weights: "f32", "bf16", "f16", "int8"; empty: as the program's `deploy`s say
  std::string deploy;    // of which the precision is shown, in commands that show f32 when left out
  std::string tuning;   // a file of `bigmc tune`
  const std::map<std::string, mlir::bigm::cpu::BlockChoice> *blocks = nullptr; // the same by a caller, instead
  bool noCache = false; // make everything anew
  bool explain = false; // report every function's kernels and memory
  bool marks = false;   // entries say which kernel runs, for `profile`
  std::vector<std::string> sizes; // `N=128`, for reports
};
struct FormatOptions {
  std::vector<std::string> files;
  bool check = false;
};
struct EmitOptions {
  ProgramOptions program;
  std::string stage = "ir", model;
  CodeOptions code;
};
struct TrainOptions {
  ProgramOptions program;
  std::string data, run;
  CodeOptions code;
  bool resume = false, quiet = false;
  double frozenMemory = -1; // MB for what frozen parts give; below 0: the driver's choice
  int threads = 0; // 0: all cores
};
struct EvalOptions {
  ProgramOptions program;
  std::string data, run;
  CodeOptions code;
  bool json = false;
  int threads = 0;
};
struct PredictOptions {
  ProgramOptions program;
  std::string run, data, flow, draw; // without a run: a program whose weights come from files
  CodeOptions code;
  std::vector<std::string> inputs;
  bool json = false;
  int threads = 0;
};
struct BenchOptions {
  ProgramOptions program;
  std::string run, data, flow;
  CodeOptions code;
  std::vector<std::string> inputs;
  double seconds = 5;
  int clients = 1, threads = 0;
  bool json = false;
};
struct ProfileOptions {
  ProgramOptions program;
  std::string run, function, memory;
  CodeOptions code;
  double seconds = 1;
  bool json = false, least = false;
  int threads = 0;
};
struct TuneOptions {
  ProgramOptions program;
  std::string function, out;
  CodeOptions code;
  double seconds = 0.5; // of each try
  int threads = 0;
};
struct BuildOptions {
  ProgramOptions program;
  std::string run, data, out, memory; // memory: a file for the picture of the memory plan
  std::string format = "library", function; // function: what `onnx` writes
  CodeOptions code;
};
struct ImportOptions {
  std::string file, out;
};

int check(const ProgramOptions &);
int format(const FormatOptions &);
int emit(const EmitOptions &);
int train(const TrainOptions &);
int eval(const EvalOptions &);
int predict(const PredictOptions &);
int bench(const BenchOptions &);
int build(const BuildOptions &);
int buildOnnx(const BuildOptions &);
int profile(const ProfileOptions &);
int tune(const TuneOptions &);
int importModel(const ImportOptions &);

/// Prints `bigmc: error: text` and gives UserError.
int userError(const std::string &text);

} // namespace bigm::tool
