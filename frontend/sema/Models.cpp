// Instances of models, their parameters and states.
//
// An instance is named by the variable it is bound to, or by its model's name in snake case, numbered from the second.
// Applying its parent again gives the same names in the same order, and so the same instances.
#include "Checker.h"
#include <utility>
#include <algorithm>
#include <cmath>

namespace bigm::sema {

static std::string snakeCase(const std::string &name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') {
      bool boundary = i > 0 && !(name[i - 1] >= 'A' && name[i - 1] <= 'Z');
      if (boundary)
        out += '_';
      c = char(c - 'A' + 'a');
    }
    out += c;
  }
  return out;
}

std::string Checker::freshName(std::map<std::string, int> &used, const std::string &base) const {
  int n = ++used[base];
  if (n == 1)
    return base;
  return freshName(used, base + "_" + std::to_string(n));
}

std::shared_ptr<Instance> Checker::makeInstance(const ast::CallableDecl &d, Module *m, ScopePtr settings,
                                                SourceRange where) {
  reached.insert(&d);
  std::string hint = std::move(nameHint);
  nameHint.clear();
  if (!rootName.empty() && !current) {
    auto root = std::make_shared<Instance>();
    root->path = rootName;
    root->decl = &d;
    root->module = m;
    root->settings = std::move(settings);
    root->where = where;
    return root;
  }
  if (!current) {
    fail(Diag::InstanceOutsideModel, where, {d.name.text},
         "only a `model` (or `train name = Model(...)`) owns parameters");
    return nullptr;
  }
  std::string base = hint.empty() ? snakeCase(d.name.text) : hint;
  if (iteration)
    base += "_" + std::to_string(iteration);
  std::string name = freshName(current->used, base);
  std::shared_ptr<Instance> &child = current->children[name];
  if (!child) {
    child = std::make_shared<Instance>();
    child->path = current->path + "." + name;
  }
  child->decl = &d;
  child->module = m;
  child->settings = std::move(settings);
  child->where = where;
  return child;
}

Val Checker::applyModel(const std::shared_ptr<Instance> &instance, const Args &inputs, SourceRange where) {
  if (instance->running)
    return fail(Diag::ModelOfItself, where, {instance->decl->name.text});
  auto savedCurrent = current;
  bool savedTraining = training_;
  int savedIteration = iteration;
  std::string savedScope = rec->scope;
  current = instance;
  iteration = 0;
  rec->scope = instance->path;
  if (learning && learning->frozenName(instance->path))
    training_ = false;
  if (watched == instance.get() && watchedTypes->empty())
    for (auto &in : inputs)
      if (in.value.is(Val::Kind::Tensor))
        watchedTypes->push_back(in.value.type);
  instance->running = true;
  instance->used.clear();
  Val result = applyInputs(*instance->decl, instance->module, instance->settings, inputs, where, instance);
  instance->running = false;
  current = savedCurrent;
  training_ = savedTraining;
  iteration = savedIteration;
  rec->scope = savedScope;
  return result;
}

int Checker::tensorFor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, const ast::ParamStmt &s,
                       const ScopePtr &scope, int existing) {
  // A check that came to nothing leaves an instance with numbers of tensors that are gone.
  if (existing >= int(program->tensors.size()) || (existing >= 0 && program->tensors[existing].name != name))
    existing = -1;
  if (existing < 0)
    for (size_t i = 0; i < program->tensors.size(); ++i)
      if (program->tensors[i].name == name)
        existing = i;
  if (existing >= 0) {
    const TensorDecl &known = program->tensors[existing];
    if (known.type.shape != type.shape || known.type.elem != type.elem) {
      Diagnostic &d = error(Diag::ParamShapeChanged, calls.empty() ? s.range : calls.back().first,
                            {known.name, known.type.str(), type.str()});
      note(d, s.range, "declared here");
      d.hint = "an instance has one set of parameters; make another instance for another shape";
      return -1;
    }
    return existing;
  }
  for (const Dim &d : type.shape)
    if (!d.isConstant() && !generic) {
      if (!unapplied.empty() && diags.hasErrors())
        return -1; // what would have applied it may have been one of them
      Diagnostic &e = error(Diag::ParamSizeNotKnown, s.range, {s.name.text, type.str(), d.str()});
      e.hint = unapplied.empty() ? "a persistent tensor cannot depend on the batch or on other sizes that change from call to call"
                                 : "nothing applies `" + unapplied + "`, which would say the sizes of its inputs: apply it, or leave it out";
      return -1;
    }
  program->tensors.push_back({kind, name, type, s.range});
  int index = program->tensors.size() - 1;
  inits[index] = {&s, scope};
  return index;
}

void Checker::declareParam(const ast::ParamStmt &s, const ScopePtr &scope) {
  auto poison = [&] { scope->names[s.name.text] = {Val{}, s.name.range}; };
  if (!current && !(s.isState && owner)) {
    if (s.isState)
      fail(Diag::StateWithoutOwner, s.range, {s.name.text},
           "a function with state can stand in `report`, `optimize` and `fit` only");
    else
      fail(Diag::ParamOutsideModel, s.range, {s.name.text}, "make it a `model`");
    return poison();
  }
  auto type = concrete(resolve(*s.type, scope, false), s.type->range);
  if (type && type->shape.size() != 0) {
    // `f32[...]` of a fn stands for the shape of its input.
    Pattern p = resolve(*s.type, scope, false);
    std::vector<Dim> shape;
    for (auto &size : p.sizes) {
      if (!size.pack)
        shape.push_back(size.dim);
      else if (auto *pack = scope->findPack())
        shape.insert(shape.end(), pack->begin(), pack->end());
    }
    type->shape = shape;
  } else if (type) {
    auto *t = static_cast<const ast::TensorType *>(s.type->kind == ast::Type::Kind::Tensor ? s.type.get() : nullptr);
    if (t && !t->dims.empty())
      if (auto *pack = scope->findPack())
        type->shape = *pack;
  }
  if (!type)
    return poison();
  int index;
  if (current) {
    auto known = current->tensors.find(s.name.text);
    index = tensorFor(current->path + "." + s.name.text, s.isState ? TensorDecl::Kind::State : TensorDecl::Kind::Param,
                      *type, s, scope, known == current->tensors.end() ? -1 : known->second);
    if (index >= 0)
      current->tensors[s.name.text] = index;
  } else {
    index = tensorFor(owner->prefix + s.name.text, owner->kind, *type, s, scope, -1);
  }
  if (index < 0)
    return poison();
  Scope::Binding b;
  b.where = s.name.range;
  b.tensor = index;
  b.state = s.isState;
  scope->names[s.name.text] = b;
}

Val Checker::tensorValue(int index) { return tensorVal(rec->tensor(index, program->tensors[index])); }

std::optional<Value> Checker::initialValue(int index) {
  const TensorDecl decl = program->tensors[index];
  if (decl.initial.owner) // comes from a file
    return std::nullopt;
  if (!inits.count(index)) // a fitted tensor before its fit ran
    return rec->constant(0, decl.type);
  const Init init = inits.at(index);
  rec->scope = decl.name;
  rec->where = init.stmt->range;
  if (!init.stmt->init) {
    // The default: zeros for states and vectors, uniform in +-1/sqrt(fan in) for weights.
    if (decl.kind != TensorDecl::Kind::Param || decl.type.shape.size() < 2)
      return rec->constant(0, decl.type);
    Dim fan = 1;
    for (size_t i = 1; i < decl.type.shape.size(); ++i)
      fan = fan * decl.type.shape[i];
    double bound = 1 / std::sqrt(double(fan.constant().value_or(1)));
    Value u = rec->random(decl.type.shape);
    Value scaled = rec->add(Op::Mul, {u, rec->constant(2 * bound, decl.type)}, decl.type);
    return rec->add(Op::Add, {scaled, rec->constant(-bound, decl.type)}, decl.type);
  }
  Val v = eval(*init.stmt->init, init.scope);
  SourceRange where = init.stmt->init->range;
  if (v.is(Val::Kind::Callable)) // an initialiser: a fn that makes a tensor like the one it is given
    v = apply(v, {Given{tensorVal(rec->constant(0, decl.type)), where, "", nullptr, {}}}, where, source(where));
  if (v.poison())
    return std::nullopt;
  if (v.is(Val::Kind::Tensor) && (v.type.elem != decl.type.elem || (!v.type.shape.empty() && v.type.shape != decl.type.shape))) {
    Diagnostic &d = error(Diag::InitialShape, where, {init.stmt->name.text, decl.type.str(), v.type.str()});
    note(d, init.stmt->range, "declared here");
    return std::nullopt;
  }
  auto t = toTensor(v, decl.type.elem, where);
  if (!t)
    return std::nullopt;
  return rec->broadcast(*t, decl.type.shape);
}

Val Checker::memberOfInstance(const std::shared_ptr<Instance> &instance, const ast::Name &member) {
  if (instance->tensors.empty() && instance->children.empty() && !instance->running) {
    // Its parts come to be when it is applied, and nothing has done so yet.
    auto saved = std::exchange(unapplied, instance->path);
    build("", [&] { applyModel(instance, ownInputs(*instance), member.range); }, false);
    instance->inputs.clear();
    unapplied = saved;
  }
  auto tensor = instance->tensors.find(member.text);
  if (tensor != instance->tensors.end())
    return tensorValue(tensor->second);
  auto child = instance->children.find(member.text);
  if (child != instance->children.end()) {
    auto c = std::make_shared<Callable>();
    c->kind = Callable::Kind::Model;
    c->instance = child->second;
    return Val::of(std::move(c));
  }
  std::vector<std::string> names;
  for (auto &[name, i] : instance->tensors)
    names.push_back(name);
  for (auto &[name, part] : instance->children)
    names.push_back(name);
  std::string near = didYouMean(member.text, names), all;
  for (auto &name : names)
    all += (all.empty() ? "`" : ", `") + name + "`";
  return fail(Diag::NoSuchParam, member.range, {instance->decl->name.text, member.text},
              !near.empty() ? "did you mean `" + near + "`?" : all.empty() ? "" : "it has " + all);
}

bool Learning::frozenName(const std::string &name) const {
  if (name == root)
    return frozenPath("");
  bool own = name.compare(0, root.size(), root) == 0 && name[root.size()] == '.';
  return frozenPath(own ? name.substr(root.size() + 1) : name);
}

bool Learning::frozenPath(const std::string &path) const {
  auto under = [](const std::string &p, const std::string &root) {
    return p == root || (p.size() > root.size() && p.compare(0, root.size(), root) == 0 && p[root.size()] == '.');
  };
  for (auto &f : frozen)
    if (under(path, f))
      return true;
  if (learned.empty())
    return false;
  for (auto &l : learned)
    if (under(path, l) || path.empty() || under(l, path))
      return false;
  return true;
}

} // namespace bigm::sema
