// Settings of flows that the end of a training finds on a split: `fit sure = least(voted, accuracy >= 0.99)`.
//
// Every value in question is judged by the flow's answers to all records. A record whose answers at two values are the same
// is taken to have that answer at all values in between, so records are asked again only where they change: a threshold
// costs some dozen answers a record, however many values there are. The value that is chosen is measured once more, as
// `bigmc eval` would.
#pragma once
#include "FlowMeasure.h"

namespace bigm::driver {

struct FittedSetting {
  std::string name; // "verdict.sure"
  double value = 0;
  Measured measured; // with it, on the split that it was fitted on
};
/// Finds the value and writes it into the model. Throws data::Error where no value holds the bounds, saying what is reached,
/// and leaves the model as it was.
FittedSetting fitSetting(FlowHost &host, const EvaluateProgram &evaluate, const SettingFit &fit);

} // namespace bigm::driver
