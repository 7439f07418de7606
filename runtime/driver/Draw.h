// What a flow found, drawn onto the picture that it looked at.
#pragma once
#include "runtime/flow/Flow.h"
#include <nlohmann/json_fwd.hpp>

namespace bigm::driver {

/// Boxes as frames, with the classes, numbers and texts that stand beside them in their record; points as dots. A value says
/// by its type what it is (`box`, `point`); what is neither in nor beside a box is written at the top.
data::Picture drawn(const data::Picture &picture, const flow::RichType &type, const nlohmann::ordered_json &value);

} // namespace bigm::driver
