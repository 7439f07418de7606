// All declarations of a file, and those that nothing reaches: these are evaluated with symbolic settings, so that a
// model is checked whether or not anything trains it.
#include "Training.h"
#include "precision/Kept.h"

namespace bigm::sema {

Val Checker::symbolic(const ast::Parameter &p, const ScopePtr &scope) {
  Pattern t = resolve(*p.type, scope, true);
  switch (t.kind) {
  case Pattern::Kind::Invalid: return {};
  case Pattern::Kind::Int: return Val::of(Dim::symbol(p.name.text));
  case Pattern::Kind::Tensor: break;
  case Pattern::Kind::Record: {
    Val v;
    v.kind = Val::Kind::Record;
    v.names = t.names;
    auto &record = static_cast<const ast::RecordType &>(*p.type);
    for (auto &f : record.fields) {
      ast::Parameter one;
      one.name = {p.name.text + "." + f.name.text, f.name.range};
      // Borrow the type for the call.
      one.type.reset(f.type.get());
      v.items.push_back(symbolic(one, scope));
      one.type.release();
    }
    return v;
  }
  default: return Val::unknown();
  }
  auto settle = [&](const Dim &d) {
    return d.substitute([&](const std::string &symbol) -> std::optional<Dim> {
      if (!isFree(symbol))
        return std::nullopt;
      Dim known = Dim::symbol(symbol.substr(1));
      scope->names.emplace(symbol.substr(1), Scope::Binding{Val::of(known), p.name.range});
      return known;
    });
  };
  TensorType type;
  type.elem = t.elem;
  for (auto &s : t.sizes) {
    if (s.pack) {
      if (!scope->pack)
        scope->pack = std::vector<Dim>{Dim::symbol("B")};
      type.shape.insert(type.shape.end(), scope->pack->begin(), scope->pack->end());
    } else {
      type.shape.push_back(settle(s.dim));
    }
  }
  if (t.classes)
    type.classes = settle(*t.classes);
  Val v = tensorVal(rec->input(p.name.text, type, p.name.range));
  v.type = type;
  return v;
}

void Checker::checkGeneric(const ast::CallableDecl &d, Module *m) {
  if (!reached.insert(&d).second || !d.body)
    return;
  Program scratch;
  Program *saved = program;
  auto savedInits = std::move(inits);
  inits.clear();
  program = &scratch;
  generic = true;
  build(d.name.text, [&] {
    Signature sig = signature(d);
    auto settings = std::make_shared<Scope>();
    settings->parent = globalScope(m);
    settings->module = m;
    settings->callBorder = true;
    for (auto *p : sig.settings)
      if (auto *s = p->type->kind == ast::Type::Kind::Scalar ? static_cast<const ast::ScalarType *>(p->type.get()) : nullptr)
        for (auto &c : s->choices)
          settings->names[c.text] = {Val::word(c.text), c.range};
    for (auto *p : sig.settings) {
      Val v;
      if (p->defaultValue) {
        v = eval(*p->defaultValue, settings);
        Matching matching{settings, {}, {}, {}};
        if (!v.is(Val::Kind::None))
          v = bind(resolve(*p->type, settings, true), {v, p->defaultValue->range, "", p->defaultValue.get(), {}},
                   {d.name.text, p->name.text, false}, matching);
      } else {
        v = symbolic(*p, settings);
      }
      settings->names[p->name.text] = {v, p->name.range};
    }
    auto instance = std::make_shared<Instance>();
    instance->path = d.name.text;
    instance->decl = &d;
    instance->module = m;
    instance->settings = settings;
    Owner states;
    states.prefix = d.name.text + "/";
    bool isModel = d.kind == ast::Decl::Kind::Model;
    owner = isModel ? nullptr : &states;
    training_ = true;
    auto inputs = std::make_shared<Scope>();
    inputs->parent = settings;
    inputs->module = m;
    Args args;
    for (auto *p : sig.inputs)
      args.push_back({symbolic(*p, inputs), p->name.range, "", nullptr, {}});
    if (isModel)
      applyModel(instance, args, d.name.range);
    else
      applyInputs(d, m, settings, args, d.name.range, nullptr);
    owner = nullptr;
    for (size_t i = 0; i < scratch.tensors.size(); ++i)
      initialValue(i);
  }, false);
  generic = false;
  program = saved;
  inits = std::move(savedInits);
}

// A recorder for what is evaluated outside of any function: constants, clauses.
void Checker::check(Module &main) {
  build("", [&] { checkAll(main); }, false);
}

void Checker::checkAll(Module &main) {
  checkOverrides(main);
  findSettingFits(main);
  auto each = [&](ast::Decl::Kind kind, auto visit) {
    for (auto &d : main.tree.decls)
      if (d->kind == kind)
        visit(*d);
  };
  using K = ast::Decl::Kind;
  each(K::Const, [&](const ast::Decl &d) { evalConst(static_cast<const ast::ConstDecl &>(d), &main); });
  each(K::Data, [&](const ast::Decl &d) { checkData(static_cast<const ast::DataDecl &>(d), &main); });
  each(K::Fit, [&](const ast::Decl &d) {
    if (auto &fit = static_cast<const ast::FitDecl &>(d); fit.value)
      checkFit(fit, &main);
  });
  each(K::Instance, [&](const ast::Decl &d) { sharedInstance(static_cast<const ast::InstanceDecl &>(d), &main); });
  each(K::Train, [&](const ast::Decl &d) { checkTrain(static_cast<const ast::TrainDecl &>(d), &main); });
  each(K::Evaluate, [&](const ast::Decl &d) { checkEvaluate(static_cast<const ast::EvaluateDecl &>(d), &main); });
  each(K::Deploy, [&](const ast::Decl &d) { checkDeploy(static_cast<const ast::DeployDecl &>(d), &main); });
  each(K::Flow, [&](const ast::Decl &d) { checkFlow(static_cast<const ast::CallableDecl &>(d), &main); });
  for (auto &evaluate : flowEvaluates)
    evaluate();
  // Last, when everything that uses them has made their parameters; in the order of their names.
  std::map<std::string, std::pair<const ast::InstanceDecl *, Module *>> instances;
  for (auto &[name, m] : modules)
    for (auto &d : m->tree.decls)
      if (auto *instance = ast::as<ast::InstanceDecl>(d.get()); instance && sharedInstances.count(instance))
        instances[instance->name.text] = {instance, m.get()};
  for (auto &[name, found] : instances)
    checkInstance(*found.first, found.second);
  for (DeployProgram &deploy : program->deploys)
    each(K::Deploy, [&](const ast::Decl &d) {
      if (d.name.text == deploy.train)
        if (auto *precision = clause(static_cast<const ast::DeployDecl &>(d).clauses, "precision"))
          readKept(*precision, deploy);
    });
  if (auto conflict = conflictIn(*program, program->deploys))
    each(K::Deploy, [&](const ast::Decl &d) {
      const std::string &first = program->deploys[conflict->first].train, &second = program->deploys[conflict->second].train;
      if (d.name.text == second)
        fail(Diag::PrecisionConflict, d.name.range, {second, conflict->weight, conflict->secondKeeps, first, conflict->firstKeeps},
             "a library has each weight once: give both the same precision, or `keep` in both what they share");
    });
  for (auto &stop : stops) {
    const TrainProgram &train = program->trains[stop.training->index];
    std::vector<std::string> names = {"loss"};
    for (auto &e : program->evaluates)
      if (e.name == train.validate)
        for (auto &metric : e.metrics)
          names.push_back(metric.name);
    if (std::find(names.begin(), names.end(), stop.metric) == names.end()) {
      std::string near = didYouMean(stop.metric, names);
      fail(Diag::StopMetricUnknown, stop.where, {stop.metric, stop.training->name},
           near.empty() ? "report it in `evaluate " + stop.training->name + "`" : "did you mean `" + near + "`?");
    }
    bool split = false;
    for (auto &data : program->data)
      if (data.name == train.data) {
        split |= !data.valid.name.empty();
        for (auto &[name, share] : data.split)
          split |= name == "valid";
      }
    if (!split && stop.training->ok)
      fail(Diag::NoValidSplit, stop.where, {train.data}, "for example `split { train: 90%, valid: 10% }`");
  }
  checkValidations();
  // What nothing reached, in the program and in the user's own modules.
  for (auto &[name, m] : modules) {
    if (m->library)
      continue;
    for (auto &d : m->tree.decls)
      if (d->kind == K::Model || d->kind == K::Fn || (d->kind == K::Fit && !static_cast<const ast::FitDecl &>(*d).value))
        checkGeneric(static_cast<const ast::CallableDecl &>(*d), m.get());
  }
}

} // namespace bigm::sema
