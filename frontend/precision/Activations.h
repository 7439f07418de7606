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
//
// Channels of one tensor may differ by orders of magnitude, and one step for all is then too coarse for most. They are balanced
// (SmoothQuant, Xiao et al. 2022): channel k of x is multiplied by a factor r[k] before it is rounded, and the weights that multiply it
// are divided by r[k] before they are kept as int8, which changes no product (Balance.h chooses r).
#pragma once
#include "frontend/precision/Kept.h"
#include <map>
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
  // The dimension of the root, and of what each of `moved` gives, that meets dimension `along` of the weight and no other; empty:
  // there is none.
  std::vector<int> channels;
  int along = -1;
};
/// The sites of a function by the number of their nodes. Not among them: products with one weight for each channel (depthwise:
/// nothing is shared), those whose activations do not lie four of a sum together, and sums so long that i32 could overflow.
std::map<size_t, Site> sitesIn(const Function &, const std::map<int, Kept> &);

/// The range of what a weight at a site multiplies.
struct RangeOf {
  std::string name;     // "net.first.weight.input"; of the first weight that has it
  int64_t channels = 0; // of its activations, where they can be balanced: all its sites agree on them; else 0
  int along = -1;       // the weight's dimension that meets them
};
/// By weight, of each that is at a site.
std::map<int, RangeOf> rangesOf(const Program &, const std::map<int, Kept> &);

/// A program that counts the magnitudes of what it would keep in eight bits, and computes f32: `NAME.seen` in its metrics, for each
/// name of rangesOf: countsOf channels one after the other. Its evaluations are those that show activations, on the splits that the deploys say. Nothing trains in it.
Program observed(const Program &, const std::vector<DeployProgram> &);

/// How activations are kept in eight bits.
struct Range {
  float step = 0, inverse = 0, zero = 0; // inverse: 1 / step
  std::vector<float> balance = {};       // r above, for each channel; empty: all 1
};
/// By the names of rangesOf.
using Ranges = std::map<std::string, Range>;

/// How magnitudes are counted: those from 2^least on in `each` bins, `inOctave` of them for twice the magnitude. Bins of one channel:
/// negative numbers from the largest magnitude down, then the others upwards.
struct Bins {
  int each, inOctave, least;
  double edge(int bin) const; // where a bin begins
};
/// Of tensors whose channels are counted together, and of those with each channel by itself.
constexpr Bins fineBins{768, 16, -24}, channelBins{128, 4, -16};
/// How many counts there are of a range with so many channels; 0: they are together.
constexpr int64_t countsOf(int64_t channels) { return channels ? channels * 2 * channelBins.each : 2 * fineBins.each; }

} // namespace bigm
