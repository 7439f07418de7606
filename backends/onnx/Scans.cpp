// Recurrences: a Scan whose graph is the function of a step.
//
// The graph sees the values around it, so what a step captures is read by its name, and constants and sizes lie outside.
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

void Emitter::scan(ScanOp op) {
  std::vector<Name> in, captured;
  for (Value start : op.getStarts())
    in.push_back(full(start));
  for (Value rows : op.getXs())
    in.push_back(full(rows));
  for (Value value : op.getCaptures())
    captured.push_back(full(value));
  // A Scan goes through something: its places, where the recurrence goes through nothing.
  size_t rows = op.getXs().size();
  bool bare = rows == 0;
  if (bare)
    in.push_back(s.iota(op.stepCount(), 0, 1));

  // A copy: what is written in other ops puts these beside itself, and another recurrence may have the same steps.
  auto around = function->getParentOfType<ModuleOp>();
  OwningOpRef<func::FuncOp> body = around.lookupSymbol<func::FuncOp>(op.getBodyAttr()).clone();
  auto outerNames = names, outerStretches = stretches;
  std::string scope = s.scope;
  ::onnx::GraphProto graph;
  s.enter(graph);
  size_t given = op.getStarts().size() + rows;
  for (BlockArgument argument : body->getArguments()) {
    size_t i = argument.getArgNumber();
    if (i >= given) {
      names[argument] = captured[i - given];
      continue;
    }
    names[argument] = s.inside(in[i] + (i < op.getStarts().size() ? "_state" : "_row"));
    s.declare(*graph.add_input(), names[argument], argument.getType());
  }
  if (bare)
    s.declare(*graph.add_input(), s.inside("place"), RankedTensorType::get({}, IntegerType::get(op.getContext(), 64)));
  for (Operation &inner : body->getBody().front().without_terminator())
    step(inner);
  for (Value value : body->getBody().front().getTerminator()->getOperands())
    s.declare(*graph.add_output(), s.handedOut(full(value)), value.getType());
  s.leave();
  names = std::move(outerNames);
  stretches = std::move(outerStretches);
  s.scope = scope;
  std::vector<Name> made = s.scan(in, int64_t(rows + bare), op.getNumResults(), op.getReverse(), std::move(graph));
  for (auto [result, name] : llvm::zip(op.getResults(), made))
    names[result] = name;
}

} // namespace mlir::bigm::to_onnx
