// Reductions, and pools where they run over the windows of a view.
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

Name Emitter::reduce(Operation *op) {
  Name pooled = pool(op);
  if (!pooled.empty())
    return pooled;
  Value x = op->getOperand(0);
  Type element = elementOf(x);
  const char *name = isa<ReduceSumOp>(op)   ? "ReduceSum"
                     : isa<ReduceMaxOp>(op) ? "ReduceMax"
                     : isa<ReduceMinOp>(op) ? "ReduceMin"
                                            : "ReduceProd";
  return stored(s.reduce(name, computed(full(x), element), cast<Reduction>(op).getReducedDims()), element);
}

Name Emitter::argument(Operation *op, const char *name, int64_t dim) {
  Value x = op->getOperand(0);
  Name index = s.add(name, {computed(full(x), elementOf(x))}, {{"axis", dim}, {"keepdims", int64_t(0)}});
  return s.cast(index, elementOf(op->getResult(0)));
}

Name Emitter::pool(Operation *op) {
  bool largest = isa<ReduceMaxOp>(op);
  auto view = op->getOperand(0).getDefiningOp<ViewOp>();
  Type element = elementOf(op->getOperand(0));
  if (!view || !(largest || isa<ReduceSumOp>(op)) || !(element.isF32() || element.isF16() || element.isF64()))
    return "";
  SmallVector<Linear> indices = *linear(view.getMap());
  ArrayRef<int64_t> reduced = cast<Reduction>(op).getReducedDims();
  Sizes iteration = sizesOf(view.getType()), sizes = sizesOf(view.getX().getType());
  int64_t outer = int64_t(iteration.size()) - int64_t(reduced.size()), axes = indices.size(), windows = reduced.size();
  // [n, c, pixels..., windows...] over [n, c, H, W].
  if (windows < 1 || windows > 3 || axes != outer || axes != 2 + windows || reduced[0] != outer)
    return "";
  std::vector<int64_t> strides, dilations, kernel, pads(2 * windows, 0);
  SmallVector<int64_t> spatial = llvm::to_vector(llvm::seq<int64_t>(2, axes));
  int64_t count = 1;
  for (int64_t axis = 0; axis < axes; ++axis) {
    const Linear &index = indices[axis];
    int64_t window = outer + axis - 2;
    if (axis < 2) {
      if (index.asDim() != unsigned(axis) || sizes[axis] != iteration[axis])
        return "";
      continue;
    }
    for (auto [d, coefficient] : llvm::enumerate(index.coefficients))
      if (bool(coefficient > 0) != (int64_t(d) == axis || int64_t(d) == window) || coefficient < 0)
        return "";
    auto size = dyn_cast<AffineConstantExpr>(iteration[window]);
    if (index.offset || !size)
      return "";
    kernel.push_back(size.getValue());
    strides.push_back(index.coefficients[axis]);
    dilations.push_back(index.coefficients[window]);
    count *= kernel.back();
    int64_t reach = (kernel.back() - 1) * dilations.back() + 1;
    auto rest = constantDifference(sizes[axis], canonical((iteration[axis] - 1) * strides.back() + reach));
    bool fits = rest && *rest >= 0 && *rest < strides.back();
    fits |= canonical((sizes[axis] - reach).floorDiv(strides.back()) + 1) == iteration[axis];
    if (!fits || (!largest && dilations.back() != 1))
      return "";
  }
  // What lies around a picture is below everything for the largest, and nothing for a sum.
  auto padded = padding(view.getX(), spatial, kernel,
                        largest ? +[](double fill) { return fill <= -3.39e38; } : +[](double fill) { return fill == 0; });
  if (padded)
    pads = padded->pads;
  Name x = padded ? padded->inner : full(view.getX());
  Attributes attributes = {{"kernel_shape", kernel}, {"pads", pads}, {"strides", strides}};
  if (largest) {
    attributes.push_back({"dilations", dilations});
    return s.add("MaxPool", {x}, attributes);
  }
  attributes.push_back({"count_include_pad", int64_t(1)});
  return s.add("Mul", {s.add("AveragePool", {x}, attributes), s.scalar(element, double(count))});
}

} // namespace mlir::bigm::to_onnx
