// Phases of a training: what each changes, with which optimiser, and the compiled step that does it.
#include "PartPaths.h"
#include "Training.h"
#include <limits>
#include <set>

namespace bigm::sema {

// Paths of all instances and parameters under an instance, relative to it.
static void listPaths(const Instance &instance, const std::string &prefix, std::set<std::string> &out) {
  for (auto &[name, tensor] : instance.tensors)
    addPath(prefix + name, out);
  for (auto &[name, child] : instance.children) {
    out.insert(prefix + name);
    listPaths(*child, prefix + name + ".", out);
  }
}

bool Checker::learnable(const Training &t, const std::string &tensor) const {
  return tensor.compare(0, t.name.size() + 1, t.name + ".") == 0 || isShared(tensor);
}

bool Checker::readPaths(Training &t, const std::vector<const ast::Expr *> &paths, bool all, std::vector<std::string> &out) {
  std::set<std::string> known;
  if (t.instance)
    listPaths(*t.instance, "", known);
  for (auto &[decl, shared] : sharedInstances)
    if (shared) {
      known.insert(decl->name.text);
      listPaths(*shared, decl->name.text + ".", known);
    }
  bool ok = true;
  for (const ast::Expr *e : paths) {
    std::string path = partPath(*e, exprPath(*e), t.name);
    if (path == "all" && all && !known.count(path))
      continue;
    if (!known.count(path)) {
      fail(Diag::UnknownPart, e->range, {t.name, source(e->range)}, partsHint(path, known));
      ok = false;
      continue;
    }
    out.push_back(path);
  }
  return ok;
}

void Checker::readStop(Training &t, const ast::Clause &c, PhaseProgram &out) {
  auto metric = [&](const ast::Expr &e) {
    std::string path = exprPath(e);
    if (path.compare(0, 6, "valid.") != 0) {
      fail(Diag::StopCondition, e.range, {source(e.range)}, "write `stop when valid.accuracy flat for 2`");
      return false;
    }
    out.stopMetric = path;
    path = path.substr(6);
    size_t dot = path.find('.');
    Found f = dot == path.npos ? Found{} : findDecl(path.substr(0, dot), t.module);
    if (f.decl && f.decl->kind == ast::Decl::Kind::Flow)
      validations.push_back({&t, out.name, path.substr(0, dot), path.substr(dot + 1), e.range});
    else
      stops.push_back({&t, e.range, path});
    return true;
  };
  if (c.expressions.empty())
    return;
  if (c.flag == "flat") {
    if (!metric(*c.expressions[0]) || c.expressions.size() < 2)
      return;
    out.stopCompare = "flat";
    if (auto n = wholeNumber(eval(*c.expressions[1], globalScope(t.module)), c.expressions[1]->range, "the patience"))
      out.stopValue = double(*n);
    return;
  }
  auto *b = ast::as<ast::BinaryExpr>(c.expressions[0].get());
  static const std::map<ast::BinaryExpr::Op, std::string> signs = {
      {ast::BinaryExpr::Op::Ge, ">="}, {ast::BinaryExpr::Op::Le, "<="},
      {ast::BinaryExpr::Op::Gt, ">"},  {ast::BinaryExpr::Op::Lt, "<"}};
  if (!b || !signs.count(b->op)) {
    fail(Diag::StopCondition, c.expressions[0]->range, {source(c.expressions[0]->range)},
         "write `stop when valid.accuracy flat for 2` or `stop when valid.accuracy >= 0.99`");
    return;
  }
  if (!metric(*b->left))
    return;
  out.stopCompare = signs.at(b->op);
  if (auto n = plainNumber(eval(*b->right, globalScope(t.module)), b->right->range, "the bound of `stop when`"))
    out.stopValue = *n;
}

void Checker::readPhase(Training &t, const ast::Clause *phase, PhaseProgram &out) {
  ScopePtr scope = globalScope(t.module);
  std::string base = "train." + t.name + ".", own = base + out.name + ".";
  auto find = [&](const char *keyword) { return clauseOf(t, phase, keyword); };
  auto number = [&](const char *keyword) {
    auto all = numberClause(base + keyword, nullptr, scope);
    bool inPhase = phase && clause(phase->clauses, keyword);
    if (auto n = numberClause(own + keyword, nullptr, scope))
      return n;
    if (all && !inPhase)
      return all;
    return numberClause("", find(keyword), scope);
  };
  SourceRange where = phase ? phase->name.range : t.decl->name.range;
  auto batch = number("batch");
  if (!batch && !find("batch"))
    fail(Diag::MissingClause, where, {t.name, "batch"}, "for example `batch 128`");
  if (batch && (*batch < 1 || *batch != double(int64_t(*batch))))
    fail(Diag::CountSetting, find("batch") ? find("batch")->range : where, {"batch", shown(*batch)});
  out.batch = batch ? int64_t(*batch) : 0;
  auto accumulate = number("accumulate");
  if (accumulate && (*accumulate < 1 || *accumulate != double(int64_t(*accumulate))))
    fail(Diag::CountSetting, find("accumulate") ? find("accumulate")->range : where, {"accumulate", shown(*accumulate)});
  else if (accumulate)
    out.accumulate = int64_t(*accumulate);
  // A phase's own `steps` or `epochs` replaces either of the train's.
  const ast::Clause *own_[2] = {phase ? clause(phase->clauses, "epochs") : nullptr, phase ? clause(phase->clauses, "steps") : nullptr};
  bool ofPhase = own_[0] || own_[1];
  auto ofEither = [&](const char *word, const ast::Clause *inPhase) { return ofPhase ? inPhase : clause(t.decl->clauses, word); };
  const ast::Clause *epochsClause = ofEither("epochs", own_[0]), *stepsClause = ofEither("steps", own_[1]);
  if (epochsClause && stepsClause) {
    Diagnostic &d = error(Diag::EpochsAndSteps, stepsClause->range);
    note(d, epochsClause->range, "`epochs` stands here");
  }
  auto steps = numberClause(own + "steps", nullptr, scope);
  if (!steps && !own_[1])
    steps = numberClause(base + "steps", nullptr, scope);
  if (!steps && stepsClause)
    steps = numberClause("", stepsClause, scope);
  if (steps && (*steps < 1 || *steps != double(int64_t(*steps))))
    fail(Diag::CountSetting, stepsClause ? stepsClause->range : where, {"steps", shown(*steps)});
  out.steps = steps ? int64_t(*steps) : 0;
  auto epochs = steps ? std::nullopt : number("epochs");
  if (!epochs && !epochsClause && !stepsClause && !steps)
    fail(Diag::MissingClause, where, {phase ? phase->name.text : t.name, "epochs"}, "for example `epochs 5` or `steps 2000`");
  if (epochs && *epochs < 0)
    fail(Diag::NegativeEpochs, find("epochs") ? find("epochs")->range : where, {shown(*epochs)});
  out.epochs = epochs.value_or(1);
  out.ownSchedule = phase && clause(phase->clauses, "optimize");
  if (const ast::Clause *start = phase ? clause(phase->clauses, "start") : nullptr; start && !start->expressions.empty()) {
    Val v = eval(*start->expressions[0], scope);
    if (v.is(Val::Kind::String))
      out.startFrom = v.text;
    else if (!v.poison())
      fail(Diag::StartNeedsFile, start->expressions[0]->range, {describe(v)});
    out.startIfPresent = start->flag == "if present";
  }
  if (const ast::Clause *stop = find("stop"))
    readStop(t, *stop, out);
  if (const ast::Clause *validate = find("validate"))
    for (auto &e : validate->expressions)
      validations.push_back({&t, out.name, source(e->range), "", e->range});
}

bool Checker::differentiable(Value of, const std::vector<Value> &by, const std::string &what) {
  const Node *node = rec->withoutGradient(of, by);
  if (!node)
    return true;
  fail(Diag::NoGradient, node->where, {name(node->op), what},
       node->op == Op::Concat ? "let only the first part, or parts after ones of known size, depend on it"
                              : "freeze what comes before it, or put `stop_gradient` around its input");
  return false;
}

/// A loss that is not finite leaves everything as it was: what made it so can then be looked for, and nothing is lost.
void Checker::keepIfFinite(Value loss) {
  const TensorType scalar{Elem::F32, {}, 0}, truth{Elem::Bool, {}, 0};
  Value limit = rec->constant(std::numeric_limits<float>::max(), scalar);
  rec->storeOnlyWhen(rec->add(Op::Le, {rec->add(Op::Abs, {loss}, scalar), limit}, truth), program->tensors);
}

void Checker::buildStep(Training &t, const ast::Clause *phase, PhaseProgram &out) {
  Learning learns;
  learns.root = t.name;
  auto paths = [&](const char *keyword, std::vector<std::string> &list) {
    const ast::Clause *c = phase ? clause(phase->clauses, keyword) : nullptr;
    if (!c)
      c = clause(t.decl->clauses, keyword);
    if (!c)
      return true;
    std::vector<const ast::Expr *> named;
    for (auto &e : c->expressions)
      named.push_back(e.get());
    return readPaths(t, named, std::string(keyword) == "learn", list);
  };
  bool ok = paths("freeze", learns.frozen);
  ok = paths("learn", learns.learned) && ok;
  if (!ok)
    return;
  out.step = t.name + "." + out.name + ".step";
  // What both functions of a phase have: a loss, and what is done with it.
  auto withLoss = [&](const std::string &name, const std::function<void(Value loss, const ScopePtr &scope)> &then) {
    build(name, [&] {
      ScopePtr scope = freshScope(t.module);
      bindSets(t, scope);
      training_ = true;
      learning = &learns;
      Val loss = evalLoss(t, phase, scope);
      if (!loss.is(Val::Kind::Tensor))
        return;
      rec->output("loss", loss.tensor);
      then(loss.tensor, scope);
      keepIfFinite(loss.tensor);
      for (int tensor : rec->storedTensors())
        if (program->tensors[tensor].kind == TensorDecl::Kind::State)
          t.settled.insert(tensor);
    });
  };
  if (out.accumulate > 1) {
    out.gather = t.name + "." + out.name + ".gather";
    withLoss(out.gather, [&](Value loss, const ScopePtr &) { gather(t, phase, loss, learns, out); });
    if (out.learned.empty())
      return;
    out.learned.clear();
  }
  withLoss(out.step, [&](Value loss, const ScopePtr &scope) { applyOptimizer(t, phase, loss, learns, out, scope); });
  for (DataSet *set : t.sets) {
    const std::string &name = program->data[set->index].name;
    for (const Arg &a : program->functions.back().args)
      if (t.sets.size() == 1 || (a.role == Role::Input && a.name.starts_with(name + "."))) {
        out.data.push_back(name);
        break;
      }
  }
  if (out.data.empty()) // a loss without data
    out.data.push_back(program->data[t.data->index].name);
  buildEstimate(t, phase, learns, out);
}

void Checker::buildEstimate(Training &t, const ast::Clause *phase, const Learning &learns, PhaseProgram &out) {
  std::set<int> unsettled;
  for (size_t i = 0; i < program->tensors.size(); ++i) {
    const TensorDecl &decl = program->tensors[i];
    if (decl.kind == TensorDecl::Kind::State && learnable(t, decl.name) && learns.frozenName(decl.name) &&
        !t.settled.count(i) && !isStored(decl.name))
      unsettled.insert(i);
  }
  if (unsettled.empty())
    return;
  std::set<int> estimated;
  std::string name = t.name + "." + out.name + ".estimate";
  build(name, [&] {
    ScopePtr scope = freshScope(t.module);
    bindSets(t, scope);
    training_ = true;
    evalLoss(t, phase, scope);
    rec->storeOnly(unsettled);
    estimated = rec->storedTensors();
  });
  if (estimated.empty()) {
    program->functions.pop_back();
    return;
  }
  t.settled.insert(estimated.begin(), estimated.end());
  out.estimate = name;
}

} // namespace bigm::sema
