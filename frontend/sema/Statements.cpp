// Blocks and assignments, and what a new value of a name means where it was set before: in a branch, a round, a state.
#include "Checker.h"
#include <algorithm>

namespace bigm::sema {

Val Checker::evalBlock(const ast::Block &b, const ScopePtr &scope) {
  Val result = Val::none();
  for (size_t i = 0; i < b.statements.size(); ++i) {
    const ast::Stmt &s = *b.statements[i];
    bool last = i + 1 == b.statements.size();
    switch (s.kind) {
    case ast::Stmt::Kind::Assign: evalAssign(static_cast<const ast::AssignStmt &>(s), scope); break;
    case ast::Stmt::Kind::Param: declareParam(static_cast<const ast::ParamStmt &>(s), scope); break;
    case ast::Stmt::Kind::Result: {
      Val v = eval(*static_cast<const ast::ResultStmt &>(s).value, scope);
      if (last)
        result = v;
      else if (!v.poison() && !v.is(Val::Kind::None) && !v.is(Val::Kind::Unknown))
        fail(Diag::ValueNotUsed, s.range, {}, "give it a name, or remove it; only the last line of a block is its value");
      break;
    }
    case ast::Stmt::Kind::Yield:
      if (!last || !scope->yields)
        return fail(Diag::YieldPlace, s.range);
      result = eval(*static_cast<const ast::YieldStmt &>(s).value, scope);
      break;
    }
  }
  return result;
}

void Checker::evalAssign(const ast::AssignStmt &s, const ScopePtr &scope) {
  Val v;
  if (s.indexed) {
    v = evalIndexed(s, scope);
  } else {
    // `stem = Stem()`: the variable names the instance.
    if (auto *call = ast::as<ast::CallExpr>(s.value.get()))
      if (auto *callee = ast::as<ast::RefExpr>(call->callee.get()); callee && !scope->find(callee->name))
        if (Found f = findDecl(callee->name, scope->module); f.decl && f.decl->kind == ast::Decl::Kind::Model)
          nameHint = s.name.text;
    v = eval(*s.value, scope);
    nameHint.clear();
    if (s.type && !v.poison()) {
      auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      inner->module = scope->module;
      Matching m{inner, {}, {}, {}};
      Pattern p = resolve(*s.type, scope, true);
      v = bind(p, {v, s.value->range, "", s.value.get(), {}}, {s.name.text, s.name.text, true}, m);
      settleDeferred(m);
      publish(m);
      for (auto &[name, binding] : inner->names) // names that the annotation introduces stay known
        scope->names.emplace(name, binding);
    }
  }
  if (v.is(Val::Kind::None))
    v = fail(Diag::NothingToAssign, s.value->range, {s.name.text});
  assign(s.name, std::move(v), scope);
}

void Checker::assign(const ast::Name &name, Val value, const ScopePtr &scope) {
  bool branch = false;
  for (Scope *s = scope.get(); s; s = s->parent.get()) {
    auto found = s->names.find(name.text);
    if (found != s->names.end()) {
      Scope::Binding &b = found->second;
      if (b.tensor >= 0 || b.state) {
        if (!b.state) {
          fail(Diag::AssignToParam, name.range, {name.text}, "declare it `state` to change it in the program");
          return;
        }
        if (branch) {
          fail(Diag::AssignInTensorWhen, name.range, {name.text}, "give what is inside another name, and assign what the whole of it gives");
          return;
        }
        if (value.poison() || value.is(Val::Kind::Unknown))
          return;
        const TensorDecl &decl = program->tensors[b.tensor];
        if (value.is(Val::Kind::Tensor) && (value.type.shape != decl.type.shape || value.type.elem != decl.type.elem) &&
            !(value.type.shape.empty() && value.type.elem == decl.type.elem)) {
          Diagnostic &d = error(Diag::StateShape, name.range, {name.text, decl.type.str(), value.type.str()});
          note(d, decl.where, "declared here");
          return;
        }
        auto t = toTensor(value, decl.type.elem, name.range);
        if (!t)
          return;
        bool learns = current ? training_ : true;
        if (learns)
          rec->store(b.tensor, decl, rec->broadcast(*t, decl.type.shape));
        return;
      }
      if (branch) {
        fail(Diag::AssignInTensorWhen, name.range, {name.text}, "give what is inside another name, and assign what the whole of it gives");
        return;
      }
      b.value = std::move(value);
      b.where = name.range;
      return;
    }
    branch |= s->tensorBranch;
    if (s->callBorder)
      break;
  }
  scope->names[name.text] = {std::move(value), name.range};
}

} // namespace bigm::sema
