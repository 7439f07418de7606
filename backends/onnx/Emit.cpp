// Inputs, outputs and the order of things. What an op becomes is told in the files beside this one.
#include "backends/onnx/Emitter.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::bigm::to_onnx {

AffineExpr countOf(ArrayRef<AffineExpr> sizes, MLIRContext *context) {
  AffineExpr all = getAffineConstantExpr(1, context);
  for (AffineExpr size : sizes)
    all = all * size;
  return canonical(all);
}

namespace {
/// The place in the user's own text, and the path of the model's part.
void placeOf(Location loc, Refusal &refusal) {
  loc->walk([&](Location at) {
    if (auto place = dyn_cast<FileLineColLoc>(at)) { // the caller's comes last
      refusal.file = place.getFilename().str();
      refusal.line = place.getLine();
      refusal.column = place.getColumn();
    }
    return WalkResult::advance();
  });
}
std::string scopeOf(Location loc) {
  auto named = dyn_cast<NameLoc>(loc);
  return named ? named.getName().str() : "";
}

/// In graphs of nodes as well.
void renameReads(::onnx::GraphProto &graph, const Name &from, const Name &to) {
  for (auto &node : *graph.mutable_node()) {
    for (int k = 0; k < node.input_size(); ++k)
      if (node.input(k) == from)
        node.set_input(k, to);
    for (auto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        renameReads(*attribute.mutable_g(), from, to);
  }
}
} // namespace

std::vector<Refusal> Emitter::run() {
  if (auto attr = function->getAttrOfType<ArrayAttr>(attrs::symbols))
    for (mlir::Attribute name : attr)
      s.symbols.push_back(cast<StringAttr>(name).getValue().str());
  signature();
  for (Operation &op : function.getBody().front().without_terminator())
    step(op);
  guarded(function.getLoc(), [&] { results(); });
  return std::move(refusals);
}

void Emitter::guarded(Location loc, llvm::function_ref<void()> body) {
  try {
    body();
  } catch (const NoForm &e) {
    Refusal refusal;
    placeOf(loc, refusal);
    refusal.what = e.why;
    auto same = [&](const Refusal &r) { return r.what == refusal.what && r.line == refusal.line && r.file == refusal.file; };
    if (llvm::none_of(refusals, same))
      refusals.push_back(std::move(refusal));
  }
}

void Emitter::step(Operation &op) {
  guarded(op.getLoc(), [&] { emit(&op); });
  // Named all the same, so that every op without a form is met.
  for (Value result : op.getResults())
    if (!isLazy(result))
      names.try_emplace(result, "?");
}

void Emitter::signature() {
  ::onnx::GraphProto &graph = s.graph;
  graph.set_name(options.name);
  for (BlockArgument argument : function.getArguments()) {
    unsigned i = argument.getArgNumber();
    auto role = function.getArgAttrOfType<StringAttr>(i, attrs::role);
    std::string name = function.getArgAttrOfType<StringAttr>(i, attrs::name).str();
    bool isTensor = role && role.getValue() == "tensor", isInput = role && role.getValue() == "input";
    if (!isInput && argument.use_empty())
      continue;
    name = names[argument] = s.fresh(name);
    if (isTensor) {
      auto &proto = *graph.add_initializer();
      proto.set_name(name);
      proto.set_data_type(codeOf(elementOf(argument)));
      for (int64_t size : cast<RankedTensorType>(argument.getType()).getShape())
        proto.add_dims(size);
      std::string_view bytes = options.weights(function.getArgAttrOfType<IntegerAttr>(i, attrs::tensor).getInt());
      proto.set_raw_data(bytes.data(), bytes.size());
      continue;
    }
    s.declare(*graph.add_input(), name, argument.getType());
    for (auto [dim, size] : llvm::enumerate(sizesOf(argument.getType())))
      s.places.push_back({name, int64_t(dim), size});
  }
}

void Emitter::results() {
  auto returned = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  s.scope = "";
  std::set<Name> given;
  for (auto [i, value] : llvm::enumerate(returned.getOperands())) {
    if (function.getResultAttr(i, attrs::updates))
      throw NoForm{"the function changes tensors of the model, which an ONNX model cannot"};
    Name computed = full(value);
    std::string wish = function.getResultAttrOfType<StringAttr>(i, attrs::name).str();
    Name name = s.fresh(wish.empty() ? "output" : wish);
    s.declare(*s.graph.add_output(), name, value.getType());
    // The node that computes it calls it so, unless it is no node's or has a name already.
    ::onnx::NodeProto *maker = nullptr;
    if (given.insert(computed).second)
      for (auto &node : *s.graph.mutable_node())
        if (node.output_size() && node.output(0) == computed)
          maker = &node;
    if (!maker) {
      s.identity(computed, name);
      continue;
    }
    maker->set_output(0, name);
    renameReads(s.graph, computed, name);
    for (auto &[other, its] : names)
      if (its == computed)
        its = name;
    given.insert(name);
  }
}

bool Emitter::isLazy(Value v) { return isa_and_nonnull<ConstantOp, SizeOp, IotaOp, ViewOp, PadOp>(v.getDefiningOp()); }

Name Emitter::full(Value v) {
  auto known = names.find(v);
  if (known != names.end())
    return known->second;
  std::string scope = std::exchange(s.scope, scopeOf(v.getDefiningOp()->getLoc()));
  Name name = leaf(v.getDefiningOp(), /*stretch=*/false);
  s.scope = scope;
  return names[v] = name;
}

Name Emitter::stretched(Value v) {
  if (!isLazy(v) || isa<PadOp>(v.getDefiningOp()))
    return full(v);
  auto known = stretches.find(v);
  if (known != stretches.end())
    return known->second;
  std::string scope = std::exchange(s.scope, scopeOf(v.getDefiningOp()->getLoc()));
  Name name = leaf(v.getDefiningOp(), /*stretch=*/true);
  s.scope = scope;
  return stretches[v] = name;
}

Name Emitter::leaf(Operation *op, bool stretch) {
  Sizes sizes = sizesOf(op->getResult(0).getType());
  auto whole = [&](const Name &x) { return stretch || sizes.empty() ? x : s.expand(x, sizes); };
  if (auto constant = dyn_cast<ConstantOp>(op))
    return whole(s.scalar(elementOf(constant), constant.getDouble()));
  if (auto size = dyn_cast<SizeOp>(op)) {
    Name number = s.dimScalar(size.getSize().getResult(0));
    return elementOf(size).isInteger(64) ? number : s.cast(number, elementOf(size));
  }
  if (auto iota = dyn_cast<IotaOp>(op)) {
    unsigned dim = iota.getDim();
    Name range = s.iota(sizes[dim], dim, sizes.size());
    if (!elementOf(iota).isInteger(64))
      range = s.cast(range, elementOf(iota));
    return sizes.size() == 1 ? range : whole(range);
  }
  if (auto view = dyn_cast<ViewOp>(op))
    return this->view(view, stretch);
  return pad(cast<PadOp>(op));
}

void Emitter::emit(Operation *op) {
  // What cannot be imported at all is told even where a later op would not read it.
  if (op->getNumResults() == 0 || (op->use_empty() && !isa<AttentionOp>(op)) || isLazy(op->getResult(0)))
    return;
  s.scope = scopeOf(op->getLoc());
  auto give = [&](Name name) { names[op->getResult(0)] = name; };
  // Ops that are best said in others: those take their place in front of this one and are written instead.
  auto expanded = [&](Expandable expandable) {
    OpBuilder builder(op);
    Operation *before = op->getPrevNode();
    SmallVector<Value> values = expandable.expand(builder);
    for (Operation *other = before ? before->getNextNode() : &op->getBlock()->front(); other != op; other = other->getNextNode())
      emit(other);
    for (auto [result, value] : llvm::zip(op->getResults(), values))
      if (!result.use_empty())
        names[result] = full(value);
  };
  if (isa<Pointwise>(op))
    return give(pointwise(op));
  if (isa<Reduction>(op))
    return give(reduce(op));
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](AttentionOp attention) {
        if (attention.getStatistic().use_empty())
          return give(this->attention(attention));
        expanded(cast<Expandable>(op));
      })
      .Case([&](ContractOp contract) { give(this->contract(contract)); })
      .Case([&](ReshapeOp reshape) {
        give(s.reshape(full(reshape.getX()), sizesOf(reshape.getX().getType()), sizesOf(reshape.getType())));
      })
      .Case([&](StopGradientOp same) { give(full(same.getX())); })
      .Case([&](FoldOp fold) { give(this->fold(fold)); })
      .Case([&](ConcatOp concat) {
        std::vector<Name> parts;
        for (Value part : concat.getInputs())
          parts.push_back(full(part));
        give(s.add("Concat", parts, {{"axis", int64_t(concat.getDim())}}));
      })
      .Case([&](ArgMaxOp arg) { give(argument(arg, "ArgMax", arg.getDim())); })
      .Case([&](ArgMinOp arg) { give(argument(arg, "ArgMin", arg.getDim())); })
      .Case([&](GatherOp gather) { give(this->gather(gather)); })
      .Case([&](ScatterAddOp scatter) { give(this->scatter(scatter)); })
      .Case([&](WarpOp warp) { give(this->warp(warp)); })
      .Case([&](ResizeOp resize) { give(this->resize(resize)); })
      .Case([&](ScanOp scan) { this->scan(scan); })
      .Case([&](RandomOp) {
        throw NoForm{"`random`: its numbers follow from the seed by bigm's own rule, and ONNX's random operators have another"};
      })
      .Default([&](Operation *other) {
        if (auto expandable = dyn_cast<Expandable>(other))
          return expanded(expandable);
        throw NoForm{"`" + other->getName().stripDialect().str() + "` has no ONNX form"};
      });
}

} // namespace mlir::bigm::to_onnx
