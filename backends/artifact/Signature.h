// What the headers offer: the program's public functions with C names and typed arguments, read off the manifest.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bigm::artifact {

/// One input or output of a public function.
struct Parameter {
  std::string name;  // as in the program
  std::string c;     // a C identifier
  std::string ctype; // "float"
  std::string shape; // "f32[N, 10]", for comments
  std::string count; // a C expression over the symbols: "N * 10"
  std::string unit;  // "class number, 0 to 9", "value 0 to 255"; may be empty
  std::vector<std::string> dims; // C expressions
};
struct Signature {
  int index = 0;      // into the entries
  std::string c;      // "forward", "train_step_head", "evaluate"
  std::string name;   // "digit_model.head.step"
  std::string what;   // one sentence
  std::vector<std::string> symbols;
  std::vector<Parameter> inputs, outputs;
  bool seed = false, step = false; // what it is given besides
  bool trains = false;             // a step of a phase: counted, since random numbers and schedules go by it
  bool gathers = false;            // of a step of several batches all but the last: counted up to the step
  /// The symbol that the first input's leading dimension is, when it is the function's only symbol and so follows from
  /// how much the caller gives.
  std::string batch;
};

/// Public functions in a fixed order: per train forward, predict, train steps; evaluations; preparation of data.
std::vector<Signature> signaturesOf(const nlohmann::json &manifest);

/// A C identifier of any text: what is no letter, digit or underscore becomes an underscore.
std::string identifier(const std::string &text);

} // namespace bigm::artifact
