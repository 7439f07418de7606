// `model name = Model(...)`: an instance that belongs to no training, shared by all that use its name, and perhaps with
// weights that others trained.
//
// Trainings, flows and deployments apply it like any instance; what a training learns of it is written into the same
// tensors. It gets a program of its own, as `deploy name = Model(...)` does: `init`, and `forward` on inputs such as it is
// applied to, or whose sizes are open where nothing applies it. Where the weights lie is for the drivers to find (docs/commands.md); here their names are matched in form only.
#include "Checker.h"

namespace bigm::sema {

std::shared_ptr<Instance> Checker::sharedInstance(const ast::InstanceDecl &d, Module *m) {
  auto known = sharedInstances.find(&d);
  if (known != sharedInstances.end())
    return known->second;
  sharedInstances[&d] = nullptr; // an instance that is made of itself ends here
  reached.insert(&d);
  std::shared_ptr<Instance> made;
  if (d.model)
    made = rootInstance(*d.model, d.name.text, m, Diag::InstanceNeedsModel,
                        "write `model " + d.name.text + " = Model(...)`");
  else
    made = onnxInstance(d, m);
  return sharedInstances[&d] = made;
}

bool Checker::isShared(const std::string &tensor) const {
  for (auto &[decl, instance] : sharedInstances)
    if (tensor.compare(0, decl->name.text.size() + 1, decl->name.text + ".") == 0)
      return true;
  return false;
}

bool Checker::isStored(const std::string &tensor) const {
  for (auto &[decl, instance] : sharedInstances)
    if (decl->source && tensor.compare(0, decl->name.text.size() + 1, decl->name.text + ".") == 0)
      return true;
  return false;
}

void Checker::readSource(const ast::InstanceDecl &d, ModelSource &out) {
  auto *call = ast::as<ast::CallExpr>(d.source.get());
  std::string kind = call ? exprPath(*call->callee) : "";
  const ast::StringExpr *path = nullptr;
  if (call && call->arguments.size() == 1 && call->arguments[0].name.text.empty())
    path = ast::as<ast::StringExpr>(call->arguments[0].value.get());
  if (kind != (d.model ? "pretrained" : "onnx") || !path) {
    fail(Diag::ModelSourceForm, d.source->range, {source(d.source->range)},
         d.model ? "write `from pretrained(\"folder\")`: a folder with safetensors files, or one such file"
                 : "write `model " + d.name.text + " from onnx(\"file.onnx\")`");
    return;
  }
  out.name = d.name.text;
  out.kind = kind;
  out.path = path->value;
  for (auto &e : d.renames) {
    auto *pair = ast::as<ast::BinaryExpr>(e.get());
    bool arrow = pair && pair->op == ast::BinaryExpr::Op::To;
    auto *from = arrow ? ast::as<ast::StringExpr>(pair->left.get()) : nullptr;
    auto *to = arrow ? ast::as<ast::StringExpr>(pair->right.get()) : nullptr;
    auto isNone = [&](const ast::ExprPtr &side) {
      auto *word = ast::as<ast::RefExpr>(side.get());
      return word && word->name == "none";
    };
    if (!arrow || !((from && (to || isNone(pair->right))) || (to && isNone(pair->left)))) {
      fail(Diag::RenameForm, e->range, {source(e->range)},
           "write `\"layers.{i}.gamma\" -> \"layer_{i+1}.weight\"`, `-> none` for what the model does not need, or `none ->` for what the file does not have");
      continue;
    }
    out.renames.emplace_back(from ? from->value : "", to ? to->value : "");
  }
}

Args Checker::ownInputs(const Instance &instance) {
  auto scope = std::make_shared<Scope>();
  scope->parent = instance.settings;
  scope->module = instance.module;
  Args args;
  auto inputs = signature(*instance.decl).inputs;
  // What applied an imported model first may have had fewer sizes than it takes.
  auto open = openInputs(instance);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ast::Parameter &p = *inputs[i];
    Val v;
    if (i < instance.inputs.size() && !instance.inputs[i].is(Val::Kind::Tensor)) {
      v = instance.inputs[i];
    } else if (i < instance.inputs.size()) {
      const TensorType &type = open ? (*open)[i] : instance.inputs[i].type;
      v = tensorVal(rec->input(p.name.text, type, p.name.range));
      v.type = type;
    } else if (!instance.inputs.empty() && p.defaultValue) {
      continue;
    } else {
      v = symbolic(p, scope);
    }
    args.push_back({v, p.name.range, p.name.text, nullptr, {}});
  }
  return args;
}

void Checker::buildAlone(const std::shared_ptr<Instance> &instance, const std::string &name, SourceRange where) {
  size_t index = program->trains.size();
  program->trains.emplace_back();
  program->trains[index].name = name;
  std::string forward = name + ".forward";
  build(forward, [&] { applyAsOutputs(instance, ownInputs(*instance), "output", where); }, true, true);
  program->trains[index].forward = forward;
  buildInit(name, index);
}

void Checker::checkInstance(const ast::InstanceDecl &d, Module *m) {
  auto instance = sharedInstance(d, m);
  if (d.source) {
    ModelSource out;
    readSource(d, out);
    if (!out.path.empty())
      program->sources.push_back(std::move(out));
  }
  if (!instance)
    return;
  unapplied = instance->inputs.empty() ? d.name.text : "";
  buildAlone(instance, d.name.text, d.model ? d.model->range : d.source->range);
  unapplied.clear();
}

} // namespace bigm::sema
