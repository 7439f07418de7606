// `train`: the instance, its loss, its phases and the functions that come of them.
//
// The loss is evaluated once without keeping the result (`probe`), which creates the parameters and shows the model's
// input types. Then each function evaluates it again in its own mode: phases with what they freeze, prediction without
// labels, the forward function on the model's inputs alone.
#include "Training.h"

namespace bigm::sema {

Checker::Checker(SourceManager &sources, Diagnostics &diags, Program &program, const Overrides &overrides)
    : sources(sources), diags(diags), program(&program), overrides(overrides) {}
Checker::~Checker() = default;

void Checker::build(const std::string &name, const std::function<void()> &body, bool keep, bool keepInputs) {
  // A fit can be met while another function is built, so everything about the evaluation is set aside.
  static unsigned serials = 0;
  auto savedRec = rec;
  auto savedSerial = serial;
  auto savedTraining = training_;
  auto savedLearning = learning;
  auto savedOwner = owner;
  auto savedFlow = flow;
  auto savedCurrent = current;
  auto savedPairs = pairs;
  auto savedIteration = iteration;
  auto savedIndexing = indexing;
  auto savedCalls = calls;
  auto savedPrefixes = std::move(inputPrefixes);
  Recorder recorder(name);
  recorder.calls = &calls;
  recorder.sources = &sources;
  rec = &recorder;
  serial = ++serials;
  training_ = false;
  learning = nullptr;
  owner = nullptr;
  flow = nullptr;
  current = nullptr;
  pairs = nullptr;
  iteration = 0;
  indexing = nullptr;
  calls.clear();
  inputPrefixes.clear();
  body();
  if (keep)
    program->functions.push_back(recorder.finish(program->tensors, keepInputs));
  rec = savedRec;
  serial = savedSerial;
  training_ = savedTraining;
  learning = savedLearning;
  owner = savedOwner;
  flow = savedFlow;
  current = savedCurrent;
  pairs = savedPairs;
  iteration = savedIteration;
  indexing = savedIndexing;
  calls = savedCalls;
  inputPrefixes = std::move(savedPrefixes);
}

std::string Checker::exprPath(const ast::Expr &e) const {
  if (auto *r = ast::as<ast::RefExpr>(&e))
    return r->name;
  if (auto *m = ast::as<ast::MemberExpr>(&e)) {
    std::string base = exprPath(*m->base);
    return base.empty() ? "" : base + "." + m->member.text;
  }
  return "";
}

std::shared_ptr<Instance> Checker::rootInstance(const ast::Expr &model, const std::string &name, Module *m,
                                                Diag needsModel, const std::string &hint) {
  std::shared_ptr<Instance> root;
  build("", [&] {
    rootName = name;
    Val v = eval(model, globalScope(m));
    if (v.is(Val::Kind::Callable) && v.callable->kind == Callable::Kind::Decl &&
        v.callable->decl->kind == ast::Decl::Kind::Model)
      v = callDecl(*v.callable->decl, v.callable->module, {}, model.range, false);
    rootName.clear();
    if (v.is(Val::Kind::Callable) && v.callable->kind == Callable::Kind::Model)
      root = v.callable->instance;
    else if (!v.poison())
      fail(needsModel, model.range, {describe(v)}, hint);
  }, false);
  return root;
}

std::shared_ptr<Instance> Checker::trainInstance(const ast::TrainDecl &d, Module *m, SourceRange where) {
  auto known = trainInstances.find(&d);
  if (known != trainInstances.end())
    return known->second;
  auto &slot = trainInstances[&d];
  if (!d.model) {
    fail(Diag::TrainWithoutModel, where, {d.name.text}, "name the instances that it trains: `model detector = Detector()`");
    return nullptr;
  }
  slot = rootInstance(*d.model, d.name.text, m, Diag::TrainNeedsModel,
                      "write `train " + d.name.text + " = Model(...) on data`");
  return slot;
}

void Checker::bindSets(Training &t, const ScopePtr &scope) {
  if (t.sets.size() == 1)
    return bindPrepared(*t.data, scope);
  std::map<std::string, int> seen;
  for (DataSet *set : t.sets) {
    inputPrefixes[set->index] = program->data[set->index].name;
    auto own = std::make_shared<Scope>();
    bindPrepared(*set, own);
    Val record;
    record.kind = Val::Kind::Record;
    for (auto &[name, binding] : own->names) {
      if (binding.value.is(Val::Kind::Int)) { // the size of the batch, which all sets share
        scope->names[name] = binding;
        continue;
      }
      record.names.push_back(name);
      record.items.push_back(binding.value);
      if (++seen[name] == 1)
        scope->names[name] = binding;
      else
        scope->names.erase(name);
    }
    scope->names[program->data[set->index].name] = {record, set->decl->name.range};
  }
}

bool Checker::evalLets(Training &t, const ast::Clause *phase, const ScopePtr &scope) {
  bool ok = true;
  auto run = [&](const std::vector<ast::Clause> &list) {
    for (auto &c : list)
      if (c.let) {
        evalAssign(*c.let, scope);
        ok &= !scope->names[c.name.text].value.poison();
      }
  };
  run(t.decl->clauses);
  if (phase)
    run(phase->clauses);
  return ok;
}

Val Checker::evalLoss(Training &t, const ast::Clause *phase, const ScopePtr &scope) {
  // Where only phases say what is lost, the first stands for all.
  if (!phase && !clause(t.decl->clauses, "loss"))
    for (auto &c : t.decl->clauses)
      if (!phase && c.keyword.text == "phase" && clause(c.clauses, "loss"))
        phase = &c;
  if (!evalLets(t, phase, scope))
    return {};
  const ast::Clause *loss = phase ? clause(phase->clauses, "loss") : nullptr;
  if (!loss)
    loss = clause(t.decl->clauses, "loss");
  if (!loss || loss->expressions.size() != 1)
    return fail(Diag::OneLoss, loss ? loss->range : t.decl->name.range, {t.name}, "add up several losses with `+`");
  const ast::Expr &e = *loss->expressions[0];
  if (phase && !bindLosses(t, *phase, e, scope))
    return {};
  Val v = eval(e, scope);
  if (v.poison() || v.is(Val::Kind::Unknown))
    return {};
  if (!v.is(Val::Kind::Tensor) || !v.type.shape.empty() || v.type.elem != Elem::F32)
    return fail(Diag::LossNotScalar, e.range, {describe(v)}, "take the mean over the batch: `mean(...)`");
  return v;
}

bool Checker::bindLosses(Training &t, const ast::Clause &phase, const ast::Expr &loss, const ScopePtr &scope) {
  std::string text = source(loss.range);
  auto letter = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || static_cast<unsigned char>(c) >= 128; };
  auto named = [&](const std::string &name) {
    for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1))
      if ((at == 0 || !letter(text[at - 1])) && (at + name.size() == text.size() || !letter(text[at + name.size()])))
        return true;
    return false;
  };
  for (auto &c : t.decl->clauses) {
    const ast::Clause *other = c.keyword.text == "phase" ? clause(c.clauses, "loss") : nullptr;
    if (!other || &c == &phase || scope->find(c.name.text) || !named(c.name.text) || other->expressions.size() != 1)
      continue;
    // Its own names stay its own.
    auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->module = t.module;
    inner->callBorder = true;
    for (auto &let : c.clauses)
      if (let.let)
        evalAssign(*let.let, inner);
    Val v = eval(*other->expressions[0], inner);
    if (v.poison())
      return false;
    scope->names[c.name.text] = {v, c.name.range};
  }
  return true;
}

bool Checker::probe(Training &t) {
  build(t.name + ".probe", [&] {
    ScopePtr scope = freshScope(t.module);
    bindSets(t, scope);
    training_ = true;
    LossPairs found;
    pairs = &found;
    watched = t.instance.get(); // null: nothing is
    watchedTypes = &t.inputs;
    Val loss = evalLoss(t, nullptr, scope);
    watched = nullptr;
    watchedTypes = nullptr;
    t.ok = loss.is(Val::Kind::Tensor);
    for (auto &h : found.heads)
      t.heads.push_back(h.label);
    // A loss may stand in a phase alone; parameters that only it reaches must exist, too.
    for (auto &c : t.decl->clauses)
      if (c.keyword.text == "phase" && clause(c.clauses, "loss")) {
        auto inner = std::make_shared<Scope>();
        inner->parent = scope;
        inner->module = t.module;
        inner->callBorder = true; // lines are its own, also those that it evaluates again
        t.ok &= evalLoss(t, &c, inner).is(Val::Kind::Tensor);
      }
    if (t.ok && t.instance && t.inputs.empty()) {
      fail(Diag::ModelNotUsed, t.decl->name.range, {t.name}, "apply it in the loss: `" + t.name + "(...)`");
      t.ok = false;
    }
  }, false);
  return t.ok;
}

void Checker::applyAsOutputs(const std::shared_ptr<Instance> &instance, const Args &args, const std::string &single,
                             SourceRange where) {
  Val out = applyModel(instance, args, where);
  if (out.is(Val::Kind::Tensor)) {
    rec->output(single, out.tensor);
  } else if (out.is(Val::Kind::Record)) {
    for (size_t i = 0; i < out.items.size(); ++i)
      if (out.items[i].is(Val::Kind::Tensor))
        rec->output(out.names[i], out.items[i].tensor);
  } else if (!out.poison()) {
    unsupported("a model that returns " + describe(out), instance->decl->name.range);
  }
}

void Checker::buildForward(Training &t) {
  std::string name = t.name + ".forward";
  build(name, [&] {
    Signature sig = signature(*t.instance->decl);
    Args args;
    for (size_t i = 0; i < sig.inputs.size() && i < t.inputs.size(); ++i) {
      const ast::Parameter &p = *sig.inputs[i];
      Val v = tensorVal(rec->input(p.name.text, t.inputs[i], p.name.range));
      v.type = t.inputs[i];
      args.push_back({v, p.name.range, "", nullptr, {}});
    }
    applyAsOutputs(t.instance, args, t.heads.size() == 1 ? "logits" : "output", t.decl->model->range);
  }, true, true);
  program->trains[t.index].forward = name;
}

void Checker::buildPredict(Training &t) {
  // What is decoded is the answer of a model on one set; of others a flow says what they answer.
  if (t.heads.empty() || !t.instance || t.sets.size() != 1)
    return;
  std::string name = t.name + ".predict";
  build(name, [&] {
    ScopePtr scope = freshScope(t.module);
    bindRaw(*t.data, scope, false);
    evalDerived(*t.data, scope);
    LossPairs found;
    pairs = &found;
    evalLoss(t, nullptr, scope);
    pairs = nullptr;
    rec->scope = "";
    rec->where = t.decl->name.range;
    for (auto &h : found.heads) {
      Value x = h.logits.tensor;
      TensorType wide = rec->type(x), narrow = wide;
      narrow.shape.pop_back();
      TensorType ids = narrow;
      ids.elem = Elem::I32;
      // The probability of the best class: exp(0) over the sum of exp(x - max x).
      Value top = rec->reduce(Op::ReduceMax, x, {1});
      Value spread = rec->view(top, wide.shape, {index(0)});
      Value e = rec->add(Op::Exp, {rec->add(Op::Sub, {x, spread}, wide)}, wide);
      Value sum = rec->reduce(Op::ReduceSum, e, {1});
      rec->output(h.label, rec->add(Op::ArgMax, {x}, ids, {{"dim", int64_t(1)}}));
      rec->output(h.label + ".score", rec->add(Op::Div, {rec->constant(1, narrow), sum}, narrow));
    }
  });
  program->trains[t.index].predict = name;
}

void Checker::buildInit(const std::string &model, size_t index, const std::set<int> &more) {
  std::string name = model + ".init", prefix = model + ".";
  build(name, [&] {
    for (size_t i = 0; i < program->tensors.size(); ++i) {
      const TensorDecl decl = program->tensors[i];
      bool slot = decl.kind == TensorDecl::Kind::Slot;
      bool ours = (decl.name.compare(0, prefix.size(), prefix) == 0 && !(slot && isShared(decl.name))) || more.count(i);
      bool kind = decl.kind == TensorDecl::Kind::Param || decl.kind == TensorDecl::Kind::State ||
                  slot;
      if (!ours || !kind)
        continue;
      if (auto v = initialValue(i))
        rec->store(i, decl, *v);
    }
  });
  program->trains[index].init = name;
}

std::optional<double> Checker::numberClause(const std::string &path, const ast::Clause *c, const ScopePtr &scope) {
  if (auto set = overridden(path))
    return plainNumber(*set, {}, "`" + path + "`");
  if (!c)
    return std::nullopt;
  if (c->expressions.size() != 1) {
    fail(Diag::OneValue, c->range, {c->keyword.text});
    return std::nullopt;
  }
  return plainNumber(eval(*c->expressions[0], scope), c->expressions[0]->range, "`" + c->keyword.text + "`");
}

/// What stands in the phase, else in the training.
const ast::Clause *Checker::clauseOf(const Training &t, const ast::Clause *phase, const char *keyword) {
  const ast::Clause *c = phase ? clause(phase->clauses, keyword) : nullptr;
  return c ? c : clause(t.decl->clauses, keyword);
}

/// The number there; what `--set` says of the phase, else of the training, goes before it.
std::optional<double> Checker::phaseNumber(const Training &t, const ast::Clause *phase, const std::string &keyword, const PhaseProgram &out, const ScopePtr &scope) {
  auto own = numberClause("train." + t.name + "." + out.name + "." + keyword, nullptr, scope);
  return own ? own : numberClause("train." + t.name + "." + keyword, clauseOf(t, phase, keyword.c_str()), scope);
}

void Checker::checkTrain(const ast::TrainDecl &d, Module *m) {
  auto &slot = trainings[&d];
  if (slot)
    return;
  slot = std::make_unique<Training>();
  Training &t = *slot;
  reached.insert(&d);
  t.decl = &d;
  t.module = m;
  t.name = d.name.text;
  t.index = program->trains.size();
  program->trains.emplace_back();
  std::vector<std::string> common = {"let", "loss", "optimize", "batch", "epochs", "steps", "seed", "lr", "clip", "accumulate", "ema", "stop", "validate", "phase",
                                     "precision", "freeze", "learn"};
  checkClauses(d.clauses, "train", common, {"let", "phase"});
  std::map<std::string, SourceRange> phaseNames;
  for (auto &c : d.clauses) {
    if (c.keyword.text != "phase")
      continue;
    checkClauses(c.clauses, "phase",
                 {"let", "loss", "optimize", "batch", "epochs", "steps", "lr", "clip", "accumulate", "ema", "start", "stop", "validate", "freeze", "learn"}, {"let"});
    auto [at, added] = phaseNames.emplace(c.name.text, c.name.range);
    if (!added) {
      Diagnostic &e = error(Diag::PhaseTwice, c.name.range, {c.name.text});
      note(e, at->second, "first declared here");
    }
  }
  if (auto *precision = clause(d.clauses, "precision"))
    unsupported("`precision` in `train`", precision->range);

  bool ok = true;
  for (auto &e : d.data) {
    DataSet *set = namedData(*e, e->range, m);
    if (set && std::find(t.sets.begin(), t.sets.end(), set) != t.sets.end()) {
      fail(Diag::DataTwice, e->range, {exprPath(*e)});
      set = nullptr;
    }
    ok &= set && set->ok;
    t.sets.push_back(set);
  }
  if (d.model && !(t.instance = trainInstance(d, m, d.name.range)))
    ok = false;
  if (!ok || t.sets.empty())
    return;
  t.data = t.sets[0];
  for (auto *set : t.sets)
    for (auto &[field, type] : set->batch) {
      Found hidden = findDecl(field, m);
      if (!hidden.decl || (hidden.decl->kind != ast::Decl::Kind::Instance && hidden.decl->kind != ast::Decl::Kind::Train))
        continue;
      Diagnostic &e = error(Diag::FieldHidesModel, d.name.range, {d.name.text, field, program->data[set->index].name});
      e.hint = "give one of them another name";
      note(e, hidden.decl->name.range, "the model is declared here");
      return;
    }
  if (!clause(d.clauses, "optimize")) {
    const ast::Name *without = clause(d.clauses, "phase") ? nullptr : &d.name;
    for (auto &c : d.clauses)
      if (!without && c.keyword.text == "phase" && !clause(c.clauses, "optimize"))
        without = &c.name;
    if (without) {
      fail(Diag::NoOptimizer, without->range, {t.name}, "for example `optimize adamw(lr: 1e-3)`");
      return;
    }
  }
  if (!probe(t))
    return;

  TrainProgram &out = program->trains[t.index];
  out.name = t.name;
  out.data = program->data[t.data->index].name;
  if (auto n = numberClause("train." + t.name + ".seed", clause(d.clauses, "seed"), globalScope(m)))
    out.seed = uint64_t(*n);
  if (t.instance)
    buildForward(t);
  std::vector<PhaseProgram> phases;
  auto one = [&](const ast::Clause *phase) {
    PhaseProgram p;
    p.name = phase ? phase->name.text : "all";
    readPhase(t, phase, p);
    buildStep(t, phase, p);
    phases.push_back(std::move(p));
  };
  bool any = false;
  for (auto &c : d.clauses)
    if (c.keyword.text == "phase") {
      any = true;
      one(&c);
    }
  if (!any)
    one(nullptr);
  program->trains[t.index].phases = std::move(phases);
  buildPredict(t);
  buildInit(t.name, t.index, t.sharedSlots);
}

} // namespace bigm::sema
