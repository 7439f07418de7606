// The primitives of OnnxTensors.h on known elements. Each gives nothing where it cannot fold: sizes that are no
// numbers, an element that depends on one, too many elements.
#pragma once
#include "OnnxTensors.h"

namespace bigm::sema::onnx_import {

/// More elements than these are recorded: what is folded is sizes, axes and small tables.
constexpr int64_t kFoldLimit = 4096;

/// Element `i`, as the file holds it.
Number elementAt(const onnx::Tensor &tensor, int64_t i);
/// Elements of a tensor of the file, when there are few.
std::shared_ptr<const std::vector<Number>> elementsOf(const onnx::Tensor &tensor);
/// All elements as doubles, whatever their number.
std::vector<double> numbersOf(const onnx::Tensor &tensor);
/// All elements as bytes of a wider element type.
std::string widened(const onnx::Tensor &tensor, Elem elem);
std::string bytesOf(const std::vector<Number> &elements, Elem elem);
unsigned sizeOf(Elem);
/// As a type holds it; overflow is infinite.
double rounded(double x, Type type);

/// Whether a >= b for all sizes.
bool atLeast(const Dim &a, const Dim &b);

Val foldCast(const Val &v, Type type);
Val foldView(const Val &v, const std::vector<Dim> &shape, const AffineIndices &map);
Val foldConcat(const Vals &parts, const std::vector<Dim> &shape, size_t dim);
Val foldReduce(Op op, const Val &v, const std::vector<Dim> &rest, const std::vector<int64_t> &dims);
Val foldGather(const Val &table, const Val &ids);
Val foldIota(const std::vector<Dim> &shape, size_t dim, Type type);

} // namespace bigm::sema::onnx_import
