// Decisions for nests that move memory more than they compute, each for one way in which reads and writes disagree.
#pragma once
#include "backends/cpu/Schedule.h"

namespace mlir::bigm::cpu {

/// A pointwise nest that writes along one loop and reads along others: decides to turn square blocks in registers, when
/// all its other loads run along what is written.
bool turn(Schedule &schedule);
/// A nest that writes pairs and reads vectors for each half: decides to interleave them in registers.
bool pairUp(Schedule &schedule, unsigned lanes);
/// A copy of runs too short to be units of their own: decides which loops a unit goes through.
void goInside(Schedule &schedule);
/// Results of one place of what is read, many times over and far apart, such as the positions of weights that Winograd's filtering
/// transforms: decides that a unit makes all of them, so that what it reads comes from the first level cache after the first.
void goOver(Schedule &schedule);

} // namespace mlir::bigm::cpu
