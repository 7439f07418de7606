// Around the optimiser: the gradients that it is given, also as the mean over several batches (`accumulate`), and an average
// of the weights that it makes (`ema`).
#include "Training.h"

namespace bigm::sema {

std::optional<Checker::Learned> Checker::gradientsOf(Training &t, const ast::Clause *phase, Value loss, const Learning &learns, PhaseProgram &out) {
  Learned learned;
  for (size_t i = 0; i < program->tensors.size(); ++i) {
    const TensorDecl &decl = program->tensors[i];
    if (decl.kind != TensorDecl::Kind::Param || !rec->uses(i) || !learnable(t, decl.name) ||
        learns.frozenName(decl.name))
      continue;
    learned.tensors.push_back(i);
    learned.weights.push_back(rec->tensor(i, decl));
    out.learned.push_back(decl.name);
  }
  SourceRange where = phase ? phase->name.range : t.decl->name.range;
  if (learned.weights.empty()) {
    fail(Diag::NothingToLearn, where, {out.name});
    return std::nullopt;
  }
  if (!differentiable(loss, learned.weights, "the loss of phase `" + out.name + "`"))
    return std::nullopt;
  rec->where = where;
  rec->scope = "";
  learned.gradients = rec->gradient(loss, learned.weights);
  return learned;
}

/// A tensor of the optimiser's that begins with zeros.
int Checker::slot(const std::string &name, const TensorType &type, SourceRange where) {
  for (size_t i = 0; i < program->tensors.size(); ++i)
    if (program->tensors[i].name == name)
      return int(i);
  program->tensors.push_back({TensorDecl::Kind::Slot, name, type, where});
  return int(program->tensors.size()) - 1;
}

namespace {
const TensorType scalar{Elem::F32, {}, 0};
std::string recordsOf(const std::string &train) { return train + ".gathered/records"; }
} // namespace

/// A number of f32 as every element of a tensor.
Value Checker::spread(Value number, const TensorType &type) {
  if (type.elem != Elem::F32)
    number = rec->add(Op::Cast, {number}, {type.elem, {}, 0});
  return rec->broadcast(number, type.shape);
}

// Each batch counts by its records, so that a loss that is their mean has the gradients of all records as one batch.
void Checker::gather(Training &t, const ast::Clause *phase, Value loss, const Learning &learns, PhaseProgram &out) {
  std::optional<Learned> learned = gradientsOf(t, phase, loss, learns, out);
  if (!learned)
    return;
  Value records = rec->dimension(Dim::symbol("N"), Elem::F32);
  for (size_t i = 0; i < learned->tensors.size(); ++i) {
    const TensorDecl decl = program->tensors[learned->tensors[i]];
    int sum = slot(decl.name + "/gathered", decl.type, decl.where);
    const TensorDecl sumDecl = program->tensors[sum];
    Value weighted = rec->add(Op::Mul, {learned->gradients[i], spread(records, decl.type)}, decl.type);
    rec->store(sum, sumDecl, rec->add(Op::Add, {rec->tensor(sum, sumDecl), weighted}, decl.type));
  }
  int seen = slot(recordsOf(t.name), scalar, t.decl->name.range);
  const TensorDecl seenDecl = program->tensors[seen];
  rec->store(seen, seenDecl, rec->add(Op::Add, {rec->tensor(seen, seenDecl), records}, scalar));
}

/// The mean of the gradients and of those that were gathered before, which are none from then on.
void Checker::joinGathered(Training &t, Learned &learned) {
  int seen = slot(recordsOf(t.name), scalar, t.decl->name.range);
  const TensorDecl seenDecl = program->tensors[seen];
  Value own = rec->dimension(Dim::symbol("N"), Elem::F32);
  Value all = rec->add(Op::Add, {rec->tensor(seen, seenDecl), own}, scalar);
  rec->store(seen, seenDecl, rec->constant(0, scalar));
  for (size_t i = 0; i < learned.tensors.size(); ++i) {
    const TensorDecl decl = program->tensors[learned.tensors[i]];
    int sum = slot(decl.name + "/gathered", decl.type, decl.where);
    const TensorDecl sumDecl = program->tensors[sum];
    Value weighted = rec->add(Op::Mul, {learned.gradients[i], spread(own, decl.type)}, decl.type);
    Value total = rec->add(Op::Add, {rec->tensor(sum, sumDecl), weighted}, decl.type);
    learned.gradients[i] = rec->add(Op::Div, {total, spread(all, decl.type)}, decl.type);
    rec->store(sum, sumDecl, rec->constant(0, decl.type));
  }
}

/// An exponential moving average of what a step leaves: of the weights, and of the running statistics that go with them. Early
/// on it forgets faster, by (1 + step) / (10 + step), or it would be the initial weights for long.
void Checker::average(Training &t, const ast::Clause *phase, const std::vector<int> &tensors, PhaseProgram &out, const ScopePtr &scope) {
  auto decay = phaseNumber(t, phase, "ema", out, scope);
  if (!decay)
    return;
  if (!(*decay >= 0 && *decay < 1)) {
    const ast::Clause *c = clauseOf(t, phase, "ema");
    fail(Diag::DecayRange, c ? c->range : t.decl->name.range, {shown(*decay)}, "for example `ema 0.999`; 0 keeps the last weights alone");
    return;
  }
  std::vector<int> all = tensors;
  for (int i : rec->storedTensors())
    if (program->tensors[i].kind == TensorDecl::Kind::State && program->tensors[i].type.elem == Elem::F32 && learnable(t, program->tensors[i].name))
      all.push_back(i);
  auto number = [&](double value) { return rec->constant(value, scalar); };
  Value step = rec->step();
  Value early = rec->add(Op::Div, {rec->add(Op::Add, {step, number(1)}, scalar), rec->add(Op::Add, {step, number(10)}, scalar)}, scalar);
  Value keep = rec->add(Op::Min, {number(*decay), early}, scalar);
  Value add = rec->add(Op::Sub, {number(1), keep}, scalar);
  for (int i : all) {
    const TensorDecl decl = program->tensors[i];
    int mean = slot(decl.name + "/ema", decl.type, decl.where);
    const TensorDecl meanDecl = program->tensors[mean];
    auto share = [&](Value x, Value of) { return rec->add(Op::Mul, {x, spread(of, decl.type)}, decl.type); };
    Value now = rec->tensor(i, decl);
    rec->store(mean, meanDecl, rec->add(Op::Add, {share(rec->tensor(mean, meanDecl), keep), share(now, add)}, decl.type));
    out.averaged.push_back(decl.name);
  }
}

} // namespace bigm::sema
