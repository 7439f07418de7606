// One pass of a flow over a split, and its metrics.
#pragma once
#include "FlowHost.h"
#include "Measure.h"

namespace bigm::driver {

/// The flow answers the records of the split (someOf: `most` of them) in batches. Throws data::Error, naming the record, for one
/// that it refuses.
Measured measureFlow(FlowHost &host, DataSets &data, const EvaluateProgram &evaluate, const std::string &split, int64_t most = 0);

} // namespace bigm::driver
