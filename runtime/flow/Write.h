// The step `generate` of a flow.
#pragma once
#include "Flow.h"

namespace bigm::flow {
/// ids i32[N, T], length i32[N] -> text: what the model writes behind each row.
void write(const Step &step, Slots &slots, const Surroundings &surroundings);
} // namespace bigm::flow
