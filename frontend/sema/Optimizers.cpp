// `optimize`: which optimiser learns which tensor, with which settings, and its application in a step.
#include "Training.h"

namespace bigm::sema {

Val Checker::optimizer(Training &t, const ast::Clause *phase, const ast::Clause &optimize, size_t index,
                       const ScopePtr &scope) {
  bool own = phase && clause(phase->clauses, "optimize") == &optimize;
  const ast::Expr &e = *optimize.expressions[index];
  auto *call = ast::as<ast::CallExpr>(&e);
  Val callee = eval(call ? *call->callee : e, scope);
  if (callee.poison())
    return {};
  if (!callee.is(Val::Kind::Callable) || callee.callable->kind != Callable::Kind::Decl)
    return fail(Diag::NotAnOptimizer, e.range, {describe(callee)}, "for example `optimize adamw(lr: 1e-3)`");
  const ast::CallableDecl *decl = callee.callable->decl;
  Args args = call ? evalArguments(call->arguments, scope, decl) : Args{};
  // `lr` clauses and overrides replace settings.
  Signature sig = signature(*decl);
  auto replace = [&](const std::string &setting, const Val &v, SourceRange where) {
    size_t position = 0;
    for (auto &a : args) {
      bool same = a.name == setting;
      if (a.name.empty() && position < sig.settings.size())
        same = sig.settings[position++]->name.text == setting;
      if (same) {
        a.value = v;
        return;
      }
    }
    args.push_back({v, where, setting, nullptr, {}});
  };
  bool rest = optimize.optionsOf(index).empty();
  const ast::Clause *lr = phase ? clause(phase->clauses, "lr") : nullptr;
  if (!lr && !own)
    lr = clause(t.decl->clauses, "lr");
  if (rest && lr && lr->expressions.size() == 1)
    replace("lr", eval(*lr->expressions[0], scope), lr->range);
  for (auto *p : sig.settings) {
    std::string base = "train." + t.name + ".";
    std::vector<std::string> bases = {base};
    if (phase)
      bases.push_back(base + phase->name.text + ".");
    for (auto &from : bases)
      for (const std::string &path : overridePaths(from, decl->name.text, p->name.text, rest))
        if (auto v = overridden(path))
          replace(p->name.text, *v, e.range);
  }
  Val made = callDecl(*decl, callee.callable->module, args, e.range, false);
  if (made.is(Val::Kind::Callable) && made.callable->kind == Callable::Kind::Bound && sig.inputs.size() == 4)
    return made;
  if (!made.poison())
    return fail(Diag::NotAnOptimizer, e.range, {describe(made)},
                "an optimiser is a `fn` with settings and the inputs (weight, gradient, step, steps)");
  return {};
}

std::optional<std::vector<size_t>> Checker::chooseOptimizers(Training &t, const ast::Clause &optimize,
                                                             const std::vector<std::string> &tensors) {
  const size_t count = optimize.expressions.size();
  std::vector<Learning> learns(count); // `learned` empty: what no other names
  bool ok = true;
  for (size_t i = 0; i < count; ++i) {
    learns[i].root = t.name;
    std::vector<const ast::Expr *> parts;
    for (auto &[word, part] : optimize.optionsOf(i))
      parts.push_back(part);
    ok = readPaths(t, parts, false, learns[i].learned) && ok;
  }
  if (!ok)
    return std::nullopt;
  std::vector<size_t> chosen;
  for (const std::string &tensor : tensors) {
    std::vector<size_t> named, rest;
    for (size_t i = 0; i < count; ++i)
      if (learns[i].learned.empty())
        rest.push_back(i);
      else if (!learns[i].frozenName(tensor))
        named.push_back(i);
    const std::vector<size_t> &those = named.empty() ? rest : named;
    if (those.empty()) {
      fail(Diag::NoOptimizerFor, optimize.range, {tensor}, "an optimiser without braces takes all that the others do not name");
      return std::nullopt;
    }
    if (those.size() > 1) {
      Diagnostic &d = error(Diag::TwoOptimizers, optimize.expressions[those[1]]->range, {tensor});
      note(d, optimize.expressions[those[0]]->range, "this one as well");
      d.hint = "say which parts an optimiser learns: `adamw(lr: 1e-3) { learn embed }`";
      return std::nullopt;
    }
    chosen.push_back(those[0]);
  }
  return chosen;
}

void Checker::applyOptimizer(Training &t, const ast::Clause *phase, Value loss, const Learning &learns,
                             PhaseProgram &out, const ScopePtr &scope) {
  std::optional<Learned> learned = gradientsOf(t, phase, loss, learns, out);
  if (!learned)
    return;
  auto &[tensors, weights, gradients] = *learned;
  if (out.accumulate > 1)
    joinGathered(t, *learned);
  const TensorType scalar{Elem::F32, {}, 0};
  if (auto bound = phaseNumber(t, phase, "clip", out, scope)) {
    // Pascanu et al. 2013: all gradients scaled down together when their common norm exceeds the bound.
    Value total = rec->constant(0, scalar);
    for (Value g : gradients) {
      std::vector<int64_t> all;
      for (size_t i = 0; i < rec->type(g).shape.size(); ++i)
        all.push_back(i);
      Value square = rec->add(Op::Mul, {g, g}, rec->type(g));
      total = rec->add(Op::Add, {total, rec->reduce(Op::ReduceSum, square, all)}, scalar);
    }
    Value norm = rec->add(Op::Add, {rec->add(Op::Sqrt, {total}, scalar), rec->constant(1e-6, scalar)}, scalar);
    Value ratio = rec->add(Op::Div, {rec->constant(*bound, scalar), norm}, scalar);
    Value scale = rec->add(Op::Min, {ratio, rec->constant(1, scalar)}, scalar);
    for (Value &g : gradients) {
      TensorType type = rec->type(g);
      g = rec->add(Op::Mul, {g, rec->broadcast(scale, type.shape)}, type);
    }
  }
  const ast::Clause *c = clauseOf(t, phase, "optimize");
  if (!c)
    return;
  std::vector<Val> optimizers;
  for (size_t i = 0; i < c->expressions.size(); ++i) {
    optimizers.push_back(optimizer(t, phase, *c, i, scope));
    if (optimizers.back().poison())
      return;
  }
  std::optional<std::vector<size_t>> chosen = chooseOptimizers(t, *c, out.learned);
  if (!chosen)
    return;
  for (size_t i = 0; i < weights.size(); ++i) {
    const TensorDecl decl = program->tensors[tensors[i]];
    SourceRange at = c->expressions[(*chosen)[i]]->range;
    Owner slots;
    slots.prefix = decl.name + "/";
    slots.kind = TensorDecl::Kind::Slot;
    owner = &slots;
    rec->scope = decl.name;
    auto given = [&](Value v) { return Given{tensorVal(v), at, "", nullptr, {}}; };
    Val next = apply(optimizers[(*chosen)[i]],
                     {given(weights[i]), given(gradients[i]), given(rec->step()), given(rec->steps())}, at, source(at));
    owner = nullptr;
    if (next.poison())
      return;
    if (!next.is(Val::Kind::Tensor) || next.type.shape != decl.type.shape || next.type.elem != decl.type.elem) {
      fail(Diag::OptimizerResult, at, {describe(next), decl.type.str()});
      return;
    }
    rec->store(tensors[i], decl, next.tensor);
  }
  average(t, phase, tensors, out, scope);
  for (size_t i = 0; i < program->tensors.size(); ++i)
    if (program->tensors[i].kind == TensorDecl::Kind::Slot && rec->uses(i) && isShared(program->tensors[i].name))
      t.sharedSlots.insert(i);
  rec->scope = "";
}

} // namespace bigm::sema
