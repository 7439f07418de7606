// Activations in eight bits: where a product can run in whole numbers, and in which ranges.
//
// A product of activations by a weight kept as int8 becomes one of whole numbers (`precision int8 { calibrate digits.valid }`):
//
//   q = round(x / step) + zero, cut to 0 .. 255;  y = (sum(q * w) - zero * sum(w)) * (step * scale of the channel)
//
// with sums in i32, which are exact, so that every target has the same bits. The range of x is one for a tensor, and static: found
// once on records of a split, by a program that counts magnitudes (`observed`). Zero is a whole number of steps, so that padding
// stays exact; where no activation is negative it is 0, and padding and the second sum are free (Jacob et al. 2018, section 2).
// Which weights share a range follows from the program: all that multiply one tensor, in any function.
#pragma once
#include "frontend/precision/Kept.h"
#include <array>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace bigm {

/// A product that can run in whole numbers.
struct Site {
  int tensor = -1;           // the weight
  unsigned activations = 0;  // which operand they are
  unsigned channel = 0;      // the dimension of the result along which the weight's scales go
  Value root = 0;            // where activations come from: views and padding of it are the operand
  std::vector<size_t> moved; // the nodes between, in order
};
/// The sites of a function by the number of their nodes. Not among them: products with one weight for each channel (depthwise:
/// nothing is shared), those whose activations do not lie four of a sum together, and sums so long that i32 could overflow.
std::map<size_t, Site> sitesIn(const Function &, const std::map<int, Kept> &);

/// The name of the range of each weight that is at a site: "net.first.weight.input".
std::map<int, std::string> rangesOf(const Program &, const std::map<int, Kept> &);

/// A program that counts the magnitudes of what it would keep in eight bits, and computes f32: `NAME.seen` in its metrics, for each
/// name of rangesOf. Its evaluations are those that show activations, on the splits that the deploys say. Nothing trains in it.
Program observed(const Program &, const std::vector<DeployProgram> &);

/// step, 1 / step, zero.
using Range = std::array<float, 3>;
/// By the names of rangesOf.
using Ranges = std::map<std::string, Range>;

/// Counts of one range, one for each bin: negative ones from the largest magnitude down, then the others upwards.
constexpr int binsEach = 768, binsInOctave = 16, leastOctave = -24;
/// The range with the least squared error for what was counted: rounding inside, cutting outside. Nothing was counted: no range.
std::optional<Range> bestRange(std::span<const float> counts);

} // namespace bigm
