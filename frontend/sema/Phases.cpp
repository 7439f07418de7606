// Phases of a training: what each changes, with which optimiser, and the compiled step that does it.
#include "Training.h"
#include <limits>
#include <set>

namespace bigm::sema {

/// A name and what it stands in: `net`, `net.body`, `net.body.0` of `net.body.0.weight`, as an ONNX file names a tensor.
static void addPath(const std::string &name, std::set<std::string> &out) {
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
    out.insert(name.substr(0, dot));
  out.insert(name);
}

// Paths of all instances and parameters under an instance, relative to it.
static void listPaths(const Instance &instance, const std::string &prefix, std::set<std::string> &out) {
  for (auto &[name, tensor] : instance.tensors)
    addPath(prefix + name, out);
  for (auto &[name, child] : instance.children) {
    out.insert(prefix + name);
    listPaths(*child, prefix + name + ".", out);
  }
}

/// What there is instead of a part that is not: a name like it, or the parts of what holds it.
static std::string partsHint(const std::string &path, const std::set<std::string> &known) {
  std::string near = didYouMean(path, {known.begin(), known.end()});
  if (!near.empty())
    return "did you mean `" + near + "`?";
  std::string above = path, parts;
  do {
    size_t dot = above.rfind('.');
    above = dot == above.npos ? "" : above.substr(0, dot);
  } while (!above.empty() && !known.count(above));
  const std::string prefix = above.empty() ? "" : above + ".";
  for (auto &name : known)
    if (name.compare(0, prefix.size(), prefix) == 0 && name.find('.', prefix.size()) == name.npos)
      parts += (parts.empty() ? "`" : ", `") + name + "`";
  return "its parts are " + parts;
}

/// `stem.conv2d`, or in quotes what is no name: `"net.body.0"`. Relative to `root`; `path` is the expression's where it is a path.
static std::string partPath(const ast::Expr &e, std::string path, const std::string &root) {
  if (auto *quoted = ast::as<ast::StringExpr>(&e))
    path = quoted->value;
  return path.compare(0, root.size() + 1, root + ".") == 0 ? path.substr(root.size() + 1) : path;
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

/// `precision int8 { keep embed }`: parts of the model that is shipped, or of what it shares with others.
void Checker::readKept(const ast::Clause &c, DeployProgram &deploy) {
  std::set<std::string> parts;
  for (const TensorDecl &t : program->tensors) {
    if (t.kind != TensorDecl::Kind::Param)
      continue;
    bool own = t.name.compare(0, deploy.train.size() + 1, deploy.train + ".") == 0;
    if (own || isShared(t.name))
      addPath(own ? t.name.substr(deploy.train.size() + 1) : t.name, parts);
  }
  for (auto &[word, e] : c.options) {
    if (word.text == "calibrate") {
      readCalibration(*e, deploy);
      continue;
    }
    std::string path = partPath(*e, exprPath(*e), deploy.train);
    if (parts.count(path))
      deploy.keep.push_back(path);
    else
      fail(Diag::UnknownPart, e->range, {deploy.train, source(e->range)}, partsHint(path, parts));
  }
}

/// `precision int8 { calibrate digits.valid }`: activations in eight bits too, with the ranges that they have there.
void Checker::readCalibration(const ast::Expr &e, DeployProgram &deploy) {
  auto no = [&](const std::string &why, const std::string &hint = "") { fail(Diag::CalibrateForm, e.range, {source(e.range), why}, hint); };
  if (deploy.precision != "int8")
    return no("it finds ranges for `int8`, and the precision here is `" + deploy.precision + "`");
  if (!deploy.data.empty())
    return no("`" + deploy.train + "` has its ranges from `" + deploy.data + "." + deploy.split + "`");
  std::string split = "valid";
  DataSet *set = splitOf(e, mainModule(), split);
  if (!set)
    return;
  deploy.data = program->data[set->index].name, deploy.split = split;
  // What an evaluation computes shows the activations.
  for (const EvaluateProgram &evaluate : program->evaluates)
    if (evaluate.data == deploy.data && (evaluate.train == deploy.train || !evaluate.flow.empty()))
      return;
  Found f = findDecl(deploy.train, mainModule());
  bool trained = f.decl && f.decl->kind == ast::Decl::Kind::Train;
  no("no `evaluate` measures `" + deploy.train + "` on `" + deploy.data + "`",
     "write `evaluate " + (trained ? deploy.train : "FLOW") + " on " + deploy.data + "." + split + " { ... }`" +
         (trained ? "" : " of a flow that applies `" + deploy.train + "`") + ": calibration runs that");
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
  auto find = [&](const char *keyword) -> const ast::Clause * {
    const ast::Clause *c = phase ? clause(phase->clauses, keyword) : nullptr;
    return c ? c : clause(t.decl->clauses, keyword);
  };
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
  std::vector<int> tensors;
  std::vector<Value> weights;
  for (size_t i = 0; i < program->tensors.size(); ++i) {
    const TensorDecl &decl = program->tensors[i];
    if (decl.kind != TensorDecl::Kind::Param || !rec->uses(i) || !learnable(t, decl.name) ||
        learns.frozenName(decl.name))
      continue;
    tensors.push_back(i);
    weights.push_back(rec->tensor(i, decl));
    out.learned.push_back(decl.name);
  }
  SourceRange where = phase ? phase->name.range : t.decl->name.range;
  if (weights.empty()) {
    fail(Diag::NothingToLearn, where, {out.name});
    return;
  }
  if (!differentiable(loss, weights, "the loss of phase `" + out.name + "`"))
    return;
  rec->where = where;
  rec->scope = "";
  std::vector<Value> gradients = rec->gradient(loss, weights);
  const TensorType scalar{Elem::F32, {}, 0};
  const ast::Clause *clip = phase ? clause(phase->clauses, "clip") : nullptr;
  if (!clip)
    clip = clause(t.decl->clauses, "clip");
  auto bound = numberClause("train." + t.name + "." + out.name + ".clip", nullptr, scope);
  if (!bound)
    bound = numberClause("train." + t.name + ".clip", clip, scope);
  if (bound) {
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
  const ast::Clause *c = phase ? clause(phase->clauses, "optimize") : nullptr;
  if (!c)
    c = clause(t.decl->clauses, "optimize");
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
  for (size_t i = 0; i < program->tensors.size(); ++i)
    if (program->tensors[i].kind == TensorDecl::Kind::Slot && rec->uses(i) && isShared(program->tensors[i].name))
      t.sharedSlots.insert(i);
  rec->scope = "";
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
  build(out.step, [&] {
    ScopePtr scope = freshScope(t.module);
    bindSets(t, scope);
    training_ = true;
    learning = &learns;
    Val loss = evalLoss(t, phase, scope);
    if (!loss.is(Val::Kind::Tensor))
      return;
    rec->output("loss", loss.tensor);
    applyOptimizer(t, phase, loss.tensor, learns, out, scope);
    // A loss that is not finite leaves everything as it was: what made it so can then be looked for, and nothing is lost.
    const TensorType scalar{Elem::F32, {}, 0}, truth{Elem::Bool, {}, 0};
    Value limit = rec->constant(std::numeric_limits<float>::max(), scalar);
    rec->storeOnlyWhen(rec->add(Op::Le, {rec->add(Op::Abs, {loss.tensor}, scalar), limit}, truth), program->tensors);
    for (int tensor : rec->storedTensors())
      if (program->tensors[tensor].kind == TensorDecl::Kind::State)
        t.settled.insert(tensor);
  });
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
