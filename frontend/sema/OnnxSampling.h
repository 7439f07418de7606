// What resizing and sampling share.
#pragma once
#include "OnnxNode.h"
#include <array>

namespace bigm::sema::onnx_import {

/// Weights of the four neighbours of a place that lies `part` behind the second.
std::array<Val, 4> cubicWeights(Tensors &t, const Val &part, double a);

} // namespace bigm::sema::onnx_import
