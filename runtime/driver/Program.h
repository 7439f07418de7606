// The manifest as the drivers read it: the structs of frontend/Graph.h again, from JSON (docs/abi.md).
//
// The compiler writes the manifest, so what does not parse here is a bug of ours and not of the user.
#pragma once
#include "runtime/data/Table.h"
#include <string>
#include <vector>

namespace bigm::driver {

struct TensorInfo {
  std::string name, kind; // "param", "state", "slot", "metric", "fit"
  data::Elem elem = data::Elem::F32;
  std::vector<int64_t> shape;
  bool narrowed = false;     // an f32 weight that the program keeps in fewer bits (runtime/core/Narrow.h)
  int scales = -1, axis = 0; // of an i8 one: the tensor of its scales, the dimension that they go along
  int balance = -1, along = 0; // of one whose activations are balanced: the tensor of its factors, the dimension that they go along
  bool valued = false;       // the manifest has its elements: no file need
};
struct ArgInfo {
  std::string name, role, access;
  int tensor = -1;
  data::Elem elem = data::Elem::F32;
  std::vector<std::string> shape; // expressions
  int64_t classes = 0;
  std::vector<std::string> labels;
};
struct FunctionInfo {
  std::string name;
  std::vector<std::string> symbols;
  std::vector<ArgInfo> args;
};
/// A step of the data loader: `tokens`, a text field through a tokenizer to `output`, i32[N, T], and `output.length`, i32[N];
/// or one of runtime/flow on the pictures of a field.
struct HostStep {
  std::string input, tokenizer, output;
  int64_t atMost = 0, length = 0;
  bool special = true;
  bool each = false; // one id for each element of a list
  std::string op = "tokens";
  std::vector<std::string> outputs; // all that it makes
  data::SourceSpec settings;
};
struct TokenizerProgram {
  std::string name, kind, file, data, split, field;
  int64_t atLeast = 1, atMost = 0;
  bool unknown = false, lower = false, elements = false;
};
struct DataProgram {
  std::string name;
  data::SourceSpec from, test, valid; // the name of one that is not there is empty
  std::vector<data::Field> fields; // raw ones
  std::vector<std::pair<std::string, double>> split;
  uint64_t seed = 0;
  bool inOrder = false;
  std::vector<HostStep> host;
  std::string bucket;
  std::vector<std::string> derived;
  std::string prepare, prepareTrain; // empty when there is none
};
struct FitProgram {
  std::string name, data, split, begin, step;
};
struct PhaseProgram {
  std::string name, step, estimate, startFrom;
  double epochs = 1;
  int64_t steps = 0; // in place of epochs, when above 0
  int64_t batch = 0;
  bool startIfPresent = false, ownSchedule = false;
  std::string stopMetric, stopCompare;
  double stopValue = 0;
  std::vector<std::string> learned, data;
  std::vector<std::string> validates = {}; // evaluates of flows, measured after each epoch
  // Where the frozen part is a function of its own: its name, and those of a step of validation and of its frozen part.
  std::string frozen = {}, validStep = {}, validFrozen = {};
  int64_t accumulate = 1; // batches of a step; `gather` takes all but the last of them
  std::string gather = {};
  std::vector<std::string> averaged = {}; // tensors that have an average of their values so far, called NAME/ema
};
struct TrainProgram {
  std::string name, data, init, forward, predict, validate;
  uint64_t seed = 0;
  std::vector<PhaseProgram> phases;
};
struct MetricProgram {
  std::string name, output;
  data::SourceSpec host = {}; // of a flow: FlowMetrics.h
};
struct RequireProgram {
  std::string text, metric, compare;
  double value = 0;
  bool holds(double seen) const; // throws std::runtime_error for a sign that is none
};
struct SettingFit {
  std::string name, tensor, metric;
  bool most = false;
  std::vector<RequireProgram> bounds;
  double from = 0, to = 1;
  int64_t steps = 1;
};
struct EvaluateProgram {
  std::string name, train, data, split, begin, step;
  std::vector<MetricProgram> metrics;
  std::vector<RequireProgram> requires_;
  std::string flow; // in place of a train; its inputs and the fields that they are given
  std::vector<std::pair<std::string, std::string>> inputs;
  std::vector<SettingFit> fits = {}; // settings of the flow
};

/// Where the weights of an instance come from.
struct ModelSource {
  std::string name, kind, path;
  std::vector<std::pair<std::string, std::string>> renames;
};

struct Program {
  std::string name, sourceSha256, compiler, target;
  std::vector<TensorInfo> tensors;
  std::vector<FunctionInfo> functions;
  std::vector<DataProgram> data;
  std::vector<TokenizerProgram> tokenizers;
  std::vector<FitProgram> fits;
  std::vector<TrainProgram> trains;
  std::vector<std::string> models; // deployed as they stand: they have weights and no training
  std::vector<EvaluateProgram> evaluates;
  std::vector<ModelSource> sources;

  const FunctionInfo &function(const std::string &name) const; // throws std::runtime_error: a bug of ours
  const DataProgram &dataNamed(const std::string &name) const;
  const TrainProgram *train(const std::string &name) const; // null when there is none
  const EvaluateProgram *evaluate(const std::string &name) const;
};

/// Throws std::runtime_error for a manifest that is not as docs/abi.md says.
Program parseProgram(std::string_view manifest);

/// Value of an expression over symbols: numbers, names, + - * / (floor), parentheses.
int64_t sizeOf(const std::string &expression, const std::vector<std::string> &symbols, const std::vector<int64_t> &values);

} // namespace bigm::driver
