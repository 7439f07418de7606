// Pictures: `warp` is GridSample, `resize` is Resize, or two products with the weights of rows and columns where ONNX's
// operator weighs otherwise (antialias, area).
#include "backends/onnx/Emitter.h"
#include "backends/ref/Ref.h"

namespace mlir::bigm::to_onnx {

Name Emitter::warp(WarpOp op) {
  Sizes from = sizesOf(op.getImage().getType()), to = sizesOf(op.getType());
  Type element = elementOf(op);
  MLIRContext *context = op.getContext();
  auto height = dyn_cast<AffineConstantExpr>(to[2]), width = dyn_cast<AffineConstantExpr>(to[3]);
  if (!height || !width)
    throw NoForm{"`warp` to a size that is not known"};
  // The centres of the output's pixels as (x, y, 1), through the matrix, as fractions of the picture from -1 to 1.
  int64_t count = height.getValue() * width.getValue();
  std::vector<double> centres(3 * count, 1);
  for (int64_t i = 0; i < count; ++i) {
    centres[i] = double(i % width.getValue()) + 0.5;
    centres[count + i] = double(i / width.getValue()) + 0.5;
  }
  Name at = s.add("MatMul", {full(op.getMatrix()), s.numbers(element, centres, {3, count})});
  AffineExpr two = getAffineConstantExpr(2, context);
  at = s.reshape(s.transpose(at, {0, 2, 1}), {to[0], getAffineConstantExpr(count, context), two}, {to[0], to[2], to[3], two});
  Name size = s.cast(s.shape({from[3], from[2]}), element);
  Name grid = s.add("Sub", {s.add("Div", {s.add("Mul", {at, s.scalar(element, 2)}), size}), s.scalar(element, 1)});
  double fill = op.getFill().convertToDouble();
  Name image = full(op.getImage());
  // Outside is 0, so `fill` is taken from the picture and added to the result.
  if (fill != 0)
    image = s.add("Sub", {image, s.scalar(element, fill)});
  Name y = s.add("GridSample", {image, grid},
                 {{"mode", std::string("bilinear")}, {"padding_mode", std::string("zeros")}, {"align_corners", int64_t(0)}});
  return fill != 0 ? s.add("Add", {y, s.scalar(element, fill)}) : y;
}

Name Emitter::resize(ResizeOp op) {
  Sizes from = sizesOf(op.getImage().getType()), to = sizesOf(op.getType());
  Type element = elementOf(op);
  StringRef mode = op.getMode();
  Name image = full(op.getImage());
  if (!op.getAntialias() && mode != "area") {
    bool nearest = mode == "nearest";
    Attributes attributes = {{"coordinate_transformation_mode", std::string("half_pixel")},
                             {"mode", std::string(nearest ? "nearest" : mode == "bilinear" ? "linear" : "cubic")}};
    if (nearest)
      attributes.push_back({"nearest_mode", std::string("round_prefer_ceil")});
    return s.add("Resize", {image, "", "", s.shape(to)}, attributes);
  }
  // out = rows * image * columns.
  auto table = [&](AffineExpr in, AffineExpr out, bool transposed) {
    auto n = dyn_cast<AffineConstantExpr>(in), m = dyn_cast<AffineConstantExpr>(out);
    if (!n || !m)
      throw NoForm{"`resample` with antialias or by area, where a size is not known"};
    int64_t rows = m.getValue(), columns = n.getValue();
    std::vector<double> all(rows * columns, 0);
    for (int64_t o = 0; o < rows; ++o)
      for (auto [i, weight] : ref::resizeWeights(columns, rows, o, mode, op.getAntialias()))
        all[transposed ? i * rows + o : o * columns + i] = weight;
    return transposed ? s.numbers(element, all, {columns, rows}) : s.numbers(element, all, {rows, columns});
  };
  return s.add("MatMul", {s.add("MatMul", {table(from[2], to[2], false), image}), table(from[3], to[3], true)});
}

} // namespace mlir::bigm::to_onnx
