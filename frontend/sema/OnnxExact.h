// Sizes in floating point: what exporters make of `floor(float(height) * 1.5)` stays a size.
//
// A size whose name stands for any number cannot be known as a floating-point number. It is kept beside the recorded value as a
// fraction, through casts, sums, products and quotients, until Floor or a cast makes it whole again.
//
// So is a whole number max(0, N - T), as exporters write the start of the last T of N: it is N - T wherever the file's graph fits
// together. Only what takes sizes and places uses that, and it is refused at run time where they would be negative.
#pragma once
#include "OnnxTensors.h"

namespace bigm::sema::onnx_import {

/// Whole multiples of sizes over a number.
struct Ratio {
  Dim over;
  int64_t under = 1;
};
using Ratios = std::shared_ptr<const std::vector<Ratio>>;

/// The fractions that a value's elements are; none where one is not known to be such, or there are many.
Ratios ratiosOf(const Val &v);
/// What a pointwise operation makes of them; none where that is no fraction.
Ratios combined(Op op, const Vals &operands, const std::vector<Dim> &shape);
/// Of a maximum of known whole numbers and 0: the other ones, where it is not known whether they are negative.
Ratios unlessNegative(const Vals &operands, const std::vector<Dim> &shape);
/// Rounded down.
std::vector<Dim> wholeOf(const std::vector<Ratio> &ratios);

} // namespace bigm::sema::onnx_import
