// Which range activations get, and by which factors their channels are balanced, from what calibration counted.
//
// The error of a product's result, summed over what was seen, comes from both factors:
//
//   activations  sum over k: |w[:,k] / r[k]|^2 * (error of x[k] * r[k] in the range: step^2 / 12 inside, the distance outside)
//   weights      (sum over k: (x[k] * r[k])^2) * (sum over o: scale[o]^2 / 12),  scale[o] = the largest of |w[o,k] / r[k]|, over 127
//
// taking errors as independent. Factors are 1 / s[k], s[k] = (largest |x[k]|)^a / (root mean square of w[:,k])^(1-a): Xiao et al. 2022
// (equation 4) have one a for all; here each range has that of a few whose error is least, no balance among them.
#pragma once
#include "frontend/precision/Activations.h"
#include <functional>
#include <span>

namespace bigm {

/// A weight that multiplies the activations, f32: `along` are their channels, scales go along `axis`.
struct Multiplier {
  std::span<const float> elements;
  std::vector<int64_t> shape;
  int axis = 0, along = 0;
};

/// The range with the least squared error for what was counted in fineBins: rounding inside, cutting outside. Nothing was counted: no
/// range. `error` is that of all that was counted.
std::optional<Range> bestRange(std::span<const float> counts, double *error = nullptr);

/// The range and balance with the least error of the products, for counts of each channel in channelBins.
std::optional<Range> balancedRange(std::span<const float> counts, int64_t channels, const std::vector<Multiplier> &);

} // namespace bigm
