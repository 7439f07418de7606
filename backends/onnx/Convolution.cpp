// Convolutions of any kind: one factor is read at `pixel * stride + window * dilation`, the other holds the windows. What the
// dimensions are follows from where they stand:
//
//     in the image alone, in the result     batch
//     in both, in the result                group
//     in both, summed                       channel, or a window's dimension
//     in the weights alone, in the result   output channel
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

std::optional<Emitter::Padding> Emitter::padding(Value v, ArrayRef<int64_t> axes, ArrayRef<int64_t> most,
                                                 bool (*fills)(double)) {
  // Perhaps channels were parted in groups after the padding, which leaves the dimensions behind them alone.
  auto parted = v.getDefiningOp<ReshapeOp>();
  auto pad = (parted ? parted.getX() : v).getDefiningOp<PadOp>();
  auto number = pad ? splatNumber(pad.getValue()) : std::nullopt;
  if (!number || !fills(*number))
    return std::nullopt;
  Sizes sizes = sizesOf(v.getType()), inner = sizesOf(pad.getX().getType()), outer = sizesOf(pad.getType());
  int64_t shift = int64_t(sizes.size()) - int64_t(outer.size()), first = axes[0];
  for (int64_t axis = int64_t(sizes.size()) - 1; axis >= first; --axis)
    if (axis < shift || sizes[axis] != outer[axis - shift])
      return std::nullopt;
  Padding out{"", sizes, {}};
  std::vector<int64_t> behind;
  for (int64_t d = 0; d < int64_t(outer.size()); ++d) {
    int64_t low = pad.getLow()[d], high = pad.getHigh()[d];
    auto at = llvm::find(axes, d + shift);
    if (low < 0 || high < 0 || pad.getInterior()[d] || ((low || high) && at == axes.end()))
      return std::nullopt;
    if (at == axes.end())
      continue;
    if (!most.empty() && std::max(low, high) >= most[at - axes.begin()])
      return std::nullopt;
    out.sizes[d + shift] = inner[d];
    out.pads.push_back(low);
    behind.push_back(high);
  }
  out.pads.insert(out.pads.end(), behind.begin(), behind.end());
  out.inner = s.reshape(full(pad.getX()), inner, out.sizes);
  return out;
}

Name Emitter::arrange(const Name &x, ArrayRef<AffineExpr> sizes, ArrayRef<int64_t> axes, ArrayRef<AffineExpr> to) {
  if (llvm::is_sorted(axes))
    return s.reshape(x, sizes, to);
  SmallVector<int64_t> order(axes.begin(), axes.end());
  Sizes moved;
  for (int64_t axis : axes)
    moved.push_back(sizes[axis]);
  for (int64_t axis = 0; axis < int64_t(sizes.size()); ++axis) // of size 1
    if (!llvm::is_contained(axes, axis)) {
      order.push_back(axis);
      moved.push_back(sizes[axis]);
    }
  return s.reshape(s.transpose(x, order), moved, to);
}

Name Emitter::convolution(ContractOp op, Value image, Value weight, ArrayRef<Linear> imageIndices,
                          ArrayRef<Linear> weightIndices) {
  unsigned rank = cast<RankedTensorType>(op.getType()).getRank();
  Sizes iteration = op.iterationSizes(), imageSizes = sizesOf(image.getType()), weightSizes = sizesOf(weight.getType());
  AffineExpr one = getAffineConstantExpr(1, op.getContext());

  struct Spatial {
    unsigned pixel, window;
    int64_t stride, dilation, axis, size;
  };
  SmallVector<Spatial> spatial;
  SmallVector<int64_t> inImage(iteration.size(), -1), inWeight(iteration.size(), -1); // where each dimension stands
  auto place = [&](SmallVector<int64_t> &where, unsigned d, int64_t axis) {
    return std::exchange(where[d], axis) == -1; // once only
  };
  for (auto [axis, index] : llvm::enumerate(weightIndices)) {
    auto dim = index.asDim();
    if (!dim && (index.offset || weightSizes[axis] != one || llvm::any_of(index.coefficients, [](int64_t c) { return c != 0; })))
      return "";
    if (dim && (weightSizes[axis] != iteration[*dim] || !place(inWeight, *dim, axis)))
      return "";
  }
  for (auto [axis, index] : llvm::enumerate(imageIndices)) {
    SmallVector<unsigned> terms;
    for (auto [d, coefficient] : llvm::enumerate(index.coefficients)) {
      if (coefficient < 0)
        return "";
      if (coefficient)
        terms.push_back(d);
    }
    if (index.offset || terms.size() > 2)
      return "";
    if (terms.empty() && imageSizes[axis] != one)
      return "";
    if (terms.size() == 1 && (index.coefficients[terms[0]] != 1 || imageSizes[axis] != iteration[terms[0]]))
      return "";
    for (unsigned d : terms)
      if (!place(inImage, d, axis))
        return "";
    if (terms.size() < 2)
      continue;
    auto [pixel, window] = std::pair(terms[0], terms[1]);
    auto size = dyn_cast<AffineConstantExpr>(iteration[window]);
    if (pixel >= rank || window < rank || inWeight[pixel] >= 0 || inWeight[window] < 0 || !size)
      return "";
    spatial.push_back({pixel, window, index.coefficients[pixel], index.coefficients[window], int64_t(axis), size.getValue()});
  }
  if (spatial.empty() || spatial.size() > 3)
    return "";
  llvm::sort(spatial, [](auto &a, auto &b) { return a.pixel < b.pixel; });

  SmallVector<unsigned> batch, group, channel, filters;
  for (unsigned d = 0; d < iteration.size(); ++d) {
    if (llvm::any_of(spatial, [d](const Spatial &at) { return at.pixel == d || at.window == d; }))
      continue;
    bool i = inImage[d] >= 0, w = inWeight[d] >= 0;
    if (d < rank && !i && !w)
      return "";
    if (d >= rank && i != w)
      return "";
    if (d >= rank && !i && iteration[d] != one)
      return "";
    if (d < rank)
      (i && w ? group : i ? batch : filters).push_back(d);
    else if (i)
      channel.push_back(d);
  }
  auto sizes = [&](std::initializer_list<ArrayRef<unsigned>> parts) {
    Sizes all;
    for (ArrayRef<unsigned> part : parts)
      for (unsigned d : part)
        all.push_back(iteration[d]);
    return all;
  };
  MLIRContext *context = op.getContext();
  AffineExpr groups = countOf(sizes({group}), context);
  if (!isa<AffineConstantExpr>(groups))
    return "";

  SmallVector<int64_t> imageAxes, weightAxes, spatialAxes;
  std::vector<int64_t> strides, dilations, kernel, pads(2 * spatial.size(), 0);
  // What the operator would make of the image's size: where that is more than is wanted, nothing reads the end.
  SmallVector<std::pair<int64_t, AffineExpr>> cuts;
  for (const Spatial &at : spatial) {
    int64_t reach = (at.size - 1) * at.dilation + 1;
    AffineExpr needed = canonical((iteration[at.pixel] - 1) * at.stride + reach);
    auto rest = constantDifference(imageSizes[at.axis], needed);
    bool fits = rest && *rest >= 0 && *rest < at.stride;
    fits |= canonical((imageSizes[at.axis] - reach).floorDiv(at.stride) + 1) == iteration[at.pixel];
    if (!fits)
      cuts.push_back({at.axis, needed});
    strides.push_back(at.stride);
    dilations.push_back(at.dilation);
    kernel.push_back(at.size);
    spatialAxes.push_back(at.axis);
  }
  // Axes stand in the order of the pixels; padding wants theirs.
  std::optional<Padding> padded;
  if (cuts.empty() && llvm::is_sorted(spatialAxes))
    padded = padding(image, spatialAxes, {}, [](double fill) { return fill == 0; });
  if (padded)
    pads = padded->pads;
  Name x = padded ? padded->inner : full(image);
  Sizes cutSizes = padded ? padded->sizes : imageSizes;
  for (auto [axis, end] : cuts) {
    x = s.add("Slice", {x, s.ints({0}), s.dim(end), s.ints({axis})});
    cutSizes[axis] = end;
  }
  for (ArrayRef<unsigned> part : {ArrayRef(batch), ArrayRef(group), ArrayRef(channel)})
    for (unsigned d : part)
      imageAxes.push_back(inImage[d]);
  for (ArrayRef<unsigned> part : {ArrayRef(group), ArrayRef(filters), ArrayRef(channel)})
    for (unsigned d : part)
      weightAxes.push_back(inWeight[d]);
  Sizes imageShape = {countOf(sizes({batch}), context), countOf(sizes({group, channel}), context)};
  Sizes weightShape = {countOf(sizes({group, filters}), context), countOf(sizes({channel}), context)};
  Sizes outShape = {imageShape[0], weightShape[0]}, result = sizes({batch, group, filters});
  SmallVector<unsigned> order;
  for (ArrayRef<unsigned> part : {ArrayRef(batch), ArrayRef(group), ArrayRef(filters)})
    order.append(part.begin(), part.end());
  for (const Spatial &at : spatial) {
    imageAxes.push_back(at.axis);
    weightAxes.push_back(inWeight[at.window]);
    imageShape.push_back(cutSizes[at.axis]);
    weightShape.push_back(iteration[at.window]);
    outShape.push_back(iteration[at.pixel]);
    result.push_back(iteration[at.pixel]);
    order.push_back(at.pixel);
  }
  Type element = elementOf(op);
  Name a = computed(arrange(x, cutSizes, imageAxes, imageShape), element);
  Name b = computed(arrange(full(weight), weightSizes, weightAxes, weightShape), element);
  Name y = s.add("Conv", {a, b},
                 {{"dilations", dilations},
                  {"group", cast<AffineConstantExpr>(groups).getValue()},
                  {"kernel_shape", kernel},
                  {"pads", pads},
                  {"strides", strides}});
  y = s.reshape(stored(y, element), outShape, result);
  SmallVector<int64_t> moves(order.size());
  for (auto [i, d] : llvm::enumerate(order))
    moves[d] = i;
  return s.transpose(y, moves);
}

} // namespace mlir::bigm::to_onnx
