// The training driver: train, evaluate and predict with a loaded module, as its manifest says.
//
// A run folder holds
//   weights.safetensors    parameters, states and fitted values
//   optimizer.safetensors  the optimiser's slots
//   state.json             where the training stands (train, phase, epoch, step, stop rule)
//   run.json               source digest, settings, seeds, versions, times
//   metrics.jsonl          one object a line: losses as they come, and one for each epoch with its validation
//   evaluation.json        what the last `evaluate` found
//   report.html            the report
//   calibration.json       ranges of activations, which commands with `precision int8 { calibrate ... }` find once
// The first three change together or not at all, whenever the process dies: all are written and flushed beside the old
// ones, a marker file `commit` is made, and only then are they renamed; whoever opens the folder and finds the marker
// finishes the renaming.
//
// Nothing here parses a command line, exits or throws; text for people goes to `log`. Exit codes: 0 done, 1 an error in
// what the user gave, 3 a gate failed, 70 a bug of ours, 130 interrupted by Ctrl-C after saving.
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct bigm_model;
struct bigm_module;
namespace bigm::data {
struct Batch;
}

namespace bigm::flow {
struct Call;
}
namespace bigm::driver {
using flow::Call;

enum Exit { kDone = 0, kUserError = 1, kGateFailed = 3, kBug = 70, kInterrupted = 130 };

struct Result {
  int exitCode = kDone;
  std::string error; // one sentence for people, without "error:"; empty when exitCode is 0, 3 or 130
};

struct CommonOptions {
  int threads = 0;                            // 0: all cores
  std::string dataDir;                        // what files of `data` are relative to
  std::string runDir;
  std::string sourceDir;                      // folder of the program: `start from` files are looked up here, then in dataDir
  std::map<std::string, std::string> settings; // of --set, recorded in run.json and compared when resuming
  /// Initial elements of tensors that the program takes from a file which the caller has read (`from onnx`), by name; the
  /// caller keeps them.
  std::vector<std::pair<std::string, std::string_view>> given = {};
  bool quiet = false;                         // plain lines, no bar
  std::FILE *log = stderr;                    // a bar is drawn only when it is a terminal
};

struct TrainOptions : CommonOptions {
  bool resume = false;
  /// Most bytes for what the frozen part of a phase gives for each record (FrozenPart.h); 0: a quarter of the machine's memory.
  uint64_t frozenMemory = 0;
  /// Ctrl-C saves and stops after the step; a second one kills. Off: the caller's own handling stays.
  bool catchInterrupt = true;
  /// Asked after each step; true stops as Ctrl-C does. May be empty.
  std::function<bool(int64_t step)> stopAfter;
  /// Asked when a step's loss is not finite: says which operation of the step made the first value that is not, or
  /// nothing. `model` is as it was before the step. May be empty.
  std::function<std::string(const std::string &step, bigm_model *model, const data::Batch &batch, const Call &call)> locate;
};
/// Every `train` of the program, in order.
Result train(const bigm_module *module, const TrainOptions &options);

struct Evaluation {
  Result result;    // exitCode kGateFailed when a `require` does not hold
  std::string json; // {"results": {NAME: {METRIC: number}}, "requires": [{"text": ..., "held": true}]}, one line
  std::string text; // the same for people
  double seconds = 0; // of measuring, data included
  std::vector<std::pair<std::string, double>> metrics = {}; // `NAME METRIC` -> value, in the order of the text
};
/// Every `evaluate` of the program with the run's weights. Also refreshes the run's evaluation.json and report.html
/// (a run folder that cannot be written is then only mentioned in the log).
Evaluation evaluate(const bigm_module *module, const CommonOptions &options);

/// The elements of one of a program's f32 tensors, by name.
using Elements = std::function<std::span<const float>(const std::string &name)>;
/// A program that counts its activations (frontend/precision/Activations.h): every `evaluate` runs on at most `records` records of its
/// split, and `use` is given what is in its tensors then: counts and weights.
Result calibrate(const bigm_module *module, const CommonOptions &options, int64_t records, const std::function<void(const Elements &)> &use);

/// Weights from files that the program names (`from pretrained(...)`) into a model that `build` or `profile` opened.
Result loadPretrained(const bigm_module *module, bigm_model *model, const CommonOptions &options);

struct PredictOptions : CommonOptions {
  bool json = false;
  std::string flow; // which flow answers; empty: the program's last one, or its model where it has no flow
  std::string draw; // where a flow draws what it found onto its image: a PNG file, or for several inputs a folder
  /// Called with pieces of what a flow writes, where it gives a stream and has one input; `print` is then not. May be empty.
  std::function<void(std::string_view piece)> stream;
  /// Called with each input's line, in the order of the inputs.
  std::function<void(const std::string &line)> print;
};
/// The files of the program's tokenizers: the names that a library's folder gives them, and what is in them: that of the run, or
/// the tokenizer.json of what the program names, whatever kind of file that is. Throws data::Error for one that is not there.
std::vector<std::pair<std::string, std::string>> tokenizerFiles(const std::string &manifest, const CommonOptions &options);
/// A flow answers with what it gives for each record: an input is a text where the flow takes one text, the path of a
/// picture or of a folder of pictures where it takes one image, else JSON; `-` reads one from each line of standard input. With `json` a line is the value as JSON, without it texts stand as they are.
///
/// Where the program has no flow, one line an input: `three.png: digit 3 (0.99)`, or with `json`
///   {"input": "three.png", "digit": {"label": "3", "class": 3, "score": 0.99}}
///   {"input": "bad.png", "error": "..."}
/// An input is a PNG or JPEG (turned grey or colour and resized to the program's picture, which the log mentions) or an
/// npy file with one record or several (`file.npy[2]`). An input that cannot be read is named in the log; the others
/// are answered all the same, and the exit code is 1.
Result predict(const bigm_module *module, const PredictOptions &options, const std::vector<std::string> &inputs);

struct BenchOptions : CommonOptions {
  std::string flow;   // empty: the program's last one
  double seconds = 5;
  int clients = 1;
};
struct Served {
  Result result;
  std::string text, json; // the same figures
};
/// How a flow serves `clients` that ask one after the other for `seconds`, each with a context of its own and its share of
/// the threads: requests a second and latencies, decoding of inputs included. Inputs as those of `predict`, taken in turn.
Served bench(const bigm_module *module, const BenchOptions &options, const std::vector<std::string> &inputs);

} // namespace bigm::driver
