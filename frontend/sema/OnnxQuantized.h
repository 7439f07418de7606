// Whole numbers with a scale and a zero point, for the operators that take and give them.
#pragma once
#include "OnnxNode.h"

namespace bigm::sema::onnx_import {

/// The least and the most that a type of quantised numbers holds; refuses other types.
struct Range {
  double low, high;
};
Range rangeOf(Type type);

/// x / scale, rounded to the even neighbour, and `zero` if there is one, within the type's range.
Val quantized(Tensors &t, const Val &x, const Val &scale, const Val &zero, Type type);
/// x as eight bits over its whole range: the numbers, the scale and the zero point.
Vals dynamicallyQuantized(Tensors &t, const Val &x);
/// A matrix product of whole numbers in i32; zero points may be left out, one for each row of a, each column of b, or all.
Val integerProduct(Tensors &t, const Val &a, const Val &b, const Val &aZero, const Val &bZero);
/// The same times both scales: a, b, their scales, their zero points.
Val scaledProduct(NodeCall &c, const Vals &of);

} // namespace bigm::sema::onnx_import
