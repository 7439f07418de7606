// A loaded program at work: its tensors, and its functions called by name with batches.
//
// The main context runs training and evaluation on all threads. Preparation (`prepare`, `prepare.train`) runs on lanes:
// contexts of one thread each, on a second model that holds only the fitted values, because a train step locks its
// model for itself and preparation is to go on meanwhile.
#pragma once
#include "Program.h"
#include "bigm/bigm.h"
#include "runtime/core/Floats.h"
#include "runtime/data/Loader.h"
#include "runtime/data/Tensor.h"
#include "runtime/flow/Functions.h"
#include <memory>
#include <optional>

namespace bigm::driver {

using flow::Call;
using flow::Values;
using flow::expect;

class Session {
public:
  Session(const bigm_module *module, int threads);
  ~Session();

  const Program &program() const;
  /// Gives the classes of a label field, or of a list's part (`sentence.tag`), the names that its data or its run has for
  /// them.
  void nameClasses(const std::string &data, const std::string &field, std::vector<std::string> names);
  /// The (data, field) whose classes were named so.
  const std::vector<std::pair<std::string, std::string>> &namedByData() const;
  bigm_model *model();
  flow::Functions &functions();
  bigm_context *context(); // the main one
  int threads() const;

  /// Runs a function; its inputs are taken from the batch by name, and all outputs are returned. `lane` -1 is the main
  /// context, others are preparation lanes; one lane is used by one thread at a time.
  Values run(const std::string &function, const data::Batch &inputs, const Call &call, int lane = -1);
  /// Sets parameters, states and slots of a train program.
  void initialise(const std::string &train, uint64_t seed);

  /// Lanes 0 .. count-1 can be used from now on, with the fitted values as they are now.
  void openLanes(int count);
  /// Applies a function such as `digits.prepare` to a batch: its outputs replace or join the raw fields.
  void prepare(const std::string &function, data::Batch &batch, const Call &call, int lane);

  /// Names of tensors of a kind that hold a NaN or an infinity, in the program's order.
  std::vector<std::string> nonFinite(const std::string &kind);

private:
  struct State;
  std::unique_ptr<State> state;
};

/// The first NaN or infinity of a floating-point array; nothing when all are finite.
std::optional<int64_t> firstNonFinite(data::Elem elem, const void *values, int64_t count);
/// The mean of a floating-point or integer tensor's elements: of a scalar, its value (an f32 as `plain` gives it).
double scalarOf(const data::Tensor &tensor);
using rt::plain;

} // namespace bigm::driver
