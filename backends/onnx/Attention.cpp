// Attention as operators: the scores, the weights of their softmax, the weighted values.
#include "backends/onnx/Emitter.h"
#include "ir/Attention.h"

namespace mlir::bigm::to_onnx {

Name Emitter::attention(AttentionOp op) {
  Sizes queries = sizesOf(op.getQ().getType()), keys = sizesOf(op.getK().getType());
  Type element = elementOf(op.getQ());
  Type type = computed(element);
  auto in = [&](Value v, ArrayRef<int64_t> order) { return s.transpose(computed(full(v), element), order); };
  Name scores = s.add("MatMul", {in(op.getQ(), {0, 2, 1, 3}), in(op.getK(), {0, 2, 3, 1})}); // [N, H, T, S]
  if (auto scale = op.getScale())
    scores = s.add("Mul", {scores, s.scalar(type, scale->convertToDouble())});
  else if (auto width = dyn_cast<AffineConstantExpr>(queries[3]))
    scores = s.add("Mul", {scores, s.scalar(type, 1 / std::sqrt(double(width.getValue())))});
  else
    scores = s.add("Div", {scores, s.add("Sqrt", {s.cast(s.dimScalar(queries[3]), type)})});
  // So low that it weighs nothing beside any score, and unless `strict` a number: where all is hidden, all weigh alike.
  Name hidden = s.scalar(type, hiddenScore(element, op.getStrict()));
  if (op.getCausal()) {
    Name last = s.iota(queries[1], 0, 2);
    AffineExpr before = canonical(keys[1] - queries[1]);
    if (before != getAffineConstantExpr(0, op.getContext()))
      last = s.add("Add", {last, s.dimScalar(before)});
    scores = s.add("Where", {s.add("LessOrEqual", {s.iota(keys[1], 1, 2), last}), scores, hidden});
  }
  if (op.getMask())
    scores = s.add("Where", {s.unsqueeze(full(op.getMask()), {1, 2}), scores, hidden});
  if (op.getBias())
    scores = s.add("Add", {scores, computed(full(op.getBias()), element)});
  Name weights = s.add("Softmax", {scores}, {{"axis", int64_t(-1)}});
  Name y = s.add("MatMul", {weights, in(op.getV(), {0, 2, 1, 3})});
  return stored(s.transpose(y, {0, 2, 1, 3}), element);
}

} // namespace mlir::bigm::to_onnx
