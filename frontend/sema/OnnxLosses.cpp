// Losses.
#include "OnnxNode.h"
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

/// Of log-probabilities [N, C, ...] and classes [N, ...]: the loss, weighted by class, classes to ignore left out.
Val negativeLikelihood(NodeCall &c, const Val &logs, const Val &target, const Val &weight) {
  Tensors &t = c.t;
  if (logs.rank() < 2 || target.rank() + 1 != logs.rank())
    refuse("scores " + typeText(logs) + " for classes " + typeText(target));
  Val ids = t.cast(target, Type::I64), counts = t.broadcast(t.scalar(1, logs.type), target.shape);
  if (c.attribute("ignore_index")) {
    Val kept = t.compare(Op::Ne, ids, double(c.integer("ignore_index", 0)));
    ids = t.select(kept, ids, t.scalar(0, Type::I64)); // any class: it counts nothing
    counts = t.cast(kept, logs.type);
  }
  if (weight.some())
    counts = t.mul(counts, t.gather(weight, ids));
  Val hit = t.pointwise(Op::Eq, {t.unsqueeze(ids, {1}), t.iota(logs.shape, 1, Type::I64)});
  Val chosen = t.sum(t.select(hit, logs, t.scalar(0, logs.type)), {1}, false);
  Val loss = t.unary(Op::Neg, t.mul(chosen, counts));
  std::string reduction = c.text("reduction", "mean");
  if (reduction == "none")
    return loss;
  std::vector<int64_t> all(loss.rank());
  std::iota(all.begin(), all.end(), 0);
  Val sum = t.sum(loss, all, false);
  return reduction == "sum" ? sum : t.div(sum, t.sum(counts, all, false));
}

Vals likelihoodLoss(NodeCall &c) { return {negativeLikelihood(c, c.x(0), c.x(1), c.has(2) ? c.in[2] : Val())}; }
Vals crossEntropy(NodeCall &c) {
  Val logs = c.t.softmax(c.x(0), 1, true);
  return {negativeLikelihood(c, logs, c.x(1), c.has(2) ? c.in[2] : Val()), logs};
}

} // namespace

void addLosses(Table &t) {
  const Table mine = {{"NegativeLogLikelihoodLoss", likelihoodLoss}, {"SoftmaxCrossEntropyLoss", crossEntropy}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
