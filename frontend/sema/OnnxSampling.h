// What resizing, sampling and regions share.
#pragma once
#include "OnnxNode.h"
#include <array>
#include <functional>

namespace bigm::sema::onnx_import {

/// Weights of the four neighbours of a place that lies `part` behind the second.
std::array<Val, 4> cubicWeights(Tensors &t, const Val &part, double a);

/// Places along a dimension of that size, those beyond its ends at them.
Val clamped(Tensors &t, const Val &x, const Dim &size);

/// Along one dimension: an element near each place, and how much it weighs; without a weight it is all there is.
using Taps = std::vector<std::pair<Val, Val>>;
/// The two elements around each place.
Taps linearTaps(Tensors &t, const Val &place);

/// Places between the elements of pictures.
struct Between {
  std::vector<Dim> sizes;  // of a picture
  std::vector<Taps> taps;  // by dimension, shapes that broadcast
  Val picture;             // which one
  bool zeros;              // outside of it there are zeros; otherwise what lies at its border
};
/// One row of C elements for each element of pictures [N, C, sizes...].
Val pictureRows(Tensors &t, const Val &pictures);
/// Each choice of one tap a dimension: the row that is meant, [..., C], times its weight.
void eachTap(Tensors &t, const Val &rows, const Between &between, const std::function<void(const Val &)> &visit);
/// The sum of these: what lies at the places.
Val sampled(Tensors &t, const Val &rows, const Between &between);

} // namespace bigm::sema::onnx_import
