// What a training computes again in every epoch although nothing in it changes: the part that a phase freezes.
//
// A step whose first operations depend on the record, on weights that the phase leaves as they are and on nothing else
// gives there, for each record, what it gave an epoch before. Such a step is cut in two: `TRAIN.PHASE.frozen`, from fields
// of the batch to the values at the border, and the step itself, which is given these beside its fields. The driver runs the
// first once for each record, and keeps what it gave (runtime/driver/FrozenPart.h). What is measured after each epoch is
// cut alike.
//
// The border lies where least is to be kept: behind products, attention, recurrences and resampling, before what only
// stretches their results. What only moves elements, or costs no more than reading them, is left to the step.
#pragma once
#include "frontend/Graph.h"

namespace bigm {

/// Cuts the phases that read one data set and go through it more than once, where there is something to cut off.
void keepFrozen(Program &);

} // namespace bigm
