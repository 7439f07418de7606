// A model that writes text: the functions that continue sequences are made from its function over whole ones, recorded
// with open sizes whatever the training's windows are.
#include "Incremental.h"
#include "Training.h"

namespace bigm::sema {

std::shared_ptr<Instance> Checker::instanceOf(const ast::Decl &decl, Module *m) {
  if (auto *instance = ast::as<ast::InstanceDecl>(&decl))
    return sharedInstance(*instance, m);
  auto *train = ast::as<ast::TrainDecl>(&decl);
  auto known = train ? trainings.find(train) : trainings.end();
  return known == trainings.end() || !known->second->ok ? nullptr : known->second->instance;
}

bool Checker::buildGeneration(const std::shared_ptr<Instance> &instance, const std::string &name, SourceRange where) {
  for (const GenerateProgram &known : program->generates)
    if (known.name == name)
      return true;
  bool whole = false;
  build(name + ".sequences", [&] {
    auto scope = std::make_shared<Scope>();
    scope->parent = instance->settings;
    scope->module = instance->module;
    Args args;
    for (const ast::Parameter *p : signature(*instance->decl).inputs)
      if (!p->defaultValue)
        args.push_back({symbolic(*p, scope), p->name.range, p->name.text, nullptr, {}});
    Val out = applyModel(instance, args, where);
    if (out.is(Val::Kind::Tensor)) {
      rec->output("logits", out.tensor);
      whole = true;
    } else if (!out.poison()) {
      fail(Diag::GenerateNeeds, where, {name, "it gives " + describe(out) + ", and needed are logits f32[N, T, V]"});
    }
  }, true, true);
  Function sequences = std::move(program->functions.back());
  program->functions.pop_back();
  if (!whole)
    return false;
  auto made = makeIncremental(sequences, program->tensors, name);
  if (auto *refusal = std::get_if<Refusal>(&made)) {
    std::string what = refusal->op.empty() ? "it " + refusal->why : "`" + refusal->op + "` " + refusal->why;
    Diagnostic &d = error(Diag::GenerateNeeds, refusal->where.valid() ? refusal->where : where, {name, what});
    if (refusal->where.valid())
      note(d, where, "asked for here");
    d.hint = "positions may meet in causal attention alone, and the model maps ids i32[N, T] to logits f32[N, T, V]";
    return false;
  }
  auto &incremental = std::get<Incremental>(made);
  program->functions.push_back(std::move(incremental.prefill));
  program->functions.push_back(std::move(incremental.decode));
  program->generates.push_back(std::move(incremental.program));
  return true;
}

} // namespace bigm::sema
