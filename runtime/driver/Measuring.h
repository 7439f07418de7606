// What a program's evaluations run on: its weights, data and flows, opened once. `eval` and calibration both measure with it.
#pragma once
#include "FlowMeasure.h"
#include "Measure.h"
#include "RunFolder.h"
#include <optional>

namespace bigm::driver {

class Measuring {
public:
  /// With the weights and texts of the run that the options name, or, where none is named, with what others trained. Throws
  /// data::Error where an evaluation is of a training and no run is named.
  Measuring(const bigm_module *module, const CommonOptions &options);

  const Program &program() const { return session_.program(); }
  Session &session() { return session_; }
  DataSets &data() { return data_; }
  /// Null where no run is named.
  const RunFolder *run() const { return folder ? &*folder : nullptr; }

  /// One evaluation on its split, of `most` records spread over it; 0: of all.
  Measured measure(const EvaluateProgram &evaluate, int64_t most = 0);

private:
  const bigm_module *module;
  const CommonOptions &options;
  Session session_;
  std::optional<RunFolder> folder;
  DataSets data_;
  std::optional<FlowHost> flows; // once an evaluation is of a flow
};

} // namespace bigm::driver
