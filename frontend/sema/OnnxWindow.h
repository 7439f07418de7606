// The windows that convolutions and pooling walk over.
#pragma once
#include "OnnxNode.h"

namespace bigm::sema::onnx_import {

struct Window {
  /// From a node's `strides`, `dilations`, `pads` and `auto_pad`, over x [N, C, spatial...].
  Window(NodeCall &c, const Val &x, std::vector<int64_t> kernel);
  Window(std::vector<int64_t> sizes, std::vector<int64_t> strides, std::vector<int64_t> dilations)
      : sizes(std::move(sizes)), strides(std::move(strides)), dilations(std::move(dilations)) {}
  /// Number of windows along spatial dimension i of a padded operand.
  Dim out(const Dim &padded, size_t i) const;

  std::vector<int64_t> sizes, strides, dilations;
  std::vector<int64_t> low, high, none; // padding of all dimensions of x; as many zeros
};

/// The sizes of a kernel [O, C, sizes...].
std::vector<int64_t> kernelOf(Tensors &t, const Val &w);
/// One number a channel, such that it spreads over a result of that rank.
Val perChannel(Tensors &t, const Val &b, size_t rank);

} // namespace bigm::sema::onnx_import
