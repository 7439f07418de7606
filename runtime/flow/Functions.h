// The compiled functions of a module, called by name with tensors by name.
#pragma once
#include "bigm/bigm.h"
#include "Flow.h"
#include "runtime/data/Tensor.h"
#include "runtime/generate/Engines.h"
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace bigm::flow {

using Values = std::map<std::string, data::Tensor>;
/// The seed and the step numbers of a call.
struct Call {
  uint64_t seed = 0;
  float step = 0, steps = 0;
};

/// Throws for a status that is not BIGM_OK: data::Error for what the user gave, std::runtime_error for a bug.
void expect(bigm_status status);

/// May be used by several threads, each with a context of its own.
class Functions {
public:
  explicit Functions(const bigm_module *module) : module(module) {}
  /// Inputs are taken from the batch by name, and all outputs are returned.
  Values run(bigm_context *context, const std::string &function, const data::Batch &inputs, const Call &call);
  /// What a function gives for no rows: its outputs with 0 as their first size and 1 for others that are not fixed.
  Values none(const std::string &function);
  /// A persistent f32 scalar of the model.
  double scalar(bigm_model *model, const std::string &name) const;

private:
  /// What a call of a function needs to know, looked up once.
  struct Bound {
    int32_t number = -1;
    struct Value {
      std::string name;
      int32_t dtype = 0, rank = 0;
    };
    std::vector<Value> inputs, outputs;
    int32_t symbols = 0;
  };
  Bound bind(const std::string &function) const;
  const Bound &lookUp(const std::string &function);

  const bigm_module *module;
  std::mutex mutex; // of `bound`
  std::unordered_map<std::string, Bound> bound;
};

/// What flows need that a model, its compiled functions on a context and its engines give; tokenizers are the caller's. All
/// four must outlive it.
Surroundings surroundingsOf(Functions &functions, bigm_model *model, bigm_context *context, generate::Engines &engines);

} // namespace bigm::flow
