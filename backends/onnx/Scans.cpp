// Recurrences: a Scan whose graph is the function of a step.
//
// The graph sees the values around it, so what a step captures is read by its name, and constants and sizes lie outside.
#include "backends/onnx/Emitter.h"
#include "llvm/ADT/ScopeExit.h"

namespace mlir::bigm::to_onnx {

/// The graph of one step. `in` are the names around it of what its first arguments are a state or a row of.
::onnx::GraphProto Emitter::stepGraph(ScanOp op, const std::vector<Name> &in, const std::vector<Name> &captured) {
  // A copy: what is written in other ops puts these beside itself, and another recurrence may have the same steps.
  auto around = function->getParentOfType<ModuleOp>();
  OwningOpRef<func::FuncOp> body = around.lookupSymbol<func::FuncOp>(op.getBodyAttr()).clone();
  ::onnx::GraphProto graph;
  s.enter(graph);
  // Also after an op without a form: the graph is gone then.
  llvm::scope_exit back([&, outerNames = names, outerStretches = stretches, scope = s.scope]() mutable {
    s.leave();
    names = std::move(outerNames);
    stretches = std::move(outerStretches);
    s.scope = scope;
  });
  size_t states = op.getStarts().size(), given = states + op.getXs().size();
  for (BlockArgument argument : body->getArguments()) {
    size_t i = argument.getArgNumber();
    if (i >= given) {
      names[argument] = captured[i - given];
      continue;
    }
    names[argument] = s.inside(in[i] + (i < states ? "_state" : "_row"));
    s.declare(*graph.add_input(), names[argument], argument.getType());
  }
  if (op.getXs().empty())
    s.declare(*graph.add_input(), s.inside("place"), RankedTensorType::get({}, IntegerType::get(op.getContext(), 64)));
  for (Operation &inner : body->getBody().front().without_terminator())
    step(inner);
  for (Value value : body->getBody().front().getTerminator()->getOperands()) {
    Name computed = full(value), name = s.inside(computed + "_out");
    s.identity(computed, name);
    s.declare(*graph.add_output(), name, value.getType());
  }
  return graph;
}

void Emitter::scan(ScanOp op) {
  std::vector<Name> in, captured;
  for (Value start : op.getStarts())
    in.push_back(full(start));
  for (Value rows : op.getXs())
    in.push_back(full(rows));
  for (Value value : op.getCaptures())
    captured.push_back(full(value));
  // A Scan goes through something: its places, where the recurrence goes through nothing.
  if (op.getXs().empty())
    in.push_back(s.iota(op.stepCount(), 0, 1));
  ::onnx::GraphProto graph = stepGraph(op, in, captured);
  std::vector<Name> made = s.scan(in, int64_t(in.size() - op.getStarts().size()), op.getNumResults(), op.getReverse(), std::move(graph));
  for (auto [result, name] : llvm::zip(op.getResults(), made))
    names[result] = name;
}

} // namespace mlir::bigm::to_onnx
