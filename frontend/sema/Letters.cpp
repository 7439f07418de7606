// See Letters.h.
#include "Letters.h"

namespace bigm::sema {

std::vector<Letter *> sorted(std::vector<Letter *> letters) {
  std::sort(letters.begin(), letters.end(), [](Letter *a, Letter *b) { return a->order < b->order; });
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  return letters;
}

std::vector<Dim> sizes(const std::vector<Letter *> &letters) {
  std::vector<Dim> out;
  for (Letter *l : letters)
    out.push_back(*l->size);
  return out;
}

AffineIndex toIndex(const AffineForm &form, const std::vector<Letter *> &dims) {
  AffineIndex out;
  out.offset = *form.offset.constant();
  for (auto &[l, c] : form.terms)
    out.terms.push_back({uint32_t(std::find(dims.begin(), dims.end(), l) - dims.begin()), c});
  std::sort(out.terms.begin(), out.terms.end());
  return out;
}

bool isReductionName(const std::string &name) {
  return name == "sum" || name == "max" || name == "min" || name == "prod" || name == "mean" || name == "argmax" ||
         name == "argmin";
}

std::vector<ast::Name> reductionLetters(const ast::CallExpr &e) {
  std::vector<ast::Name> names;
  for (size_t i = 0; i + 1 < e.arguments.size(); ++i)
    if (auto *r = ast::as<ast::RefExpr>(e.arguments[i].value.get()))
      names.push_back({r->name, r->range});
  names.push_back(e.arguments.back().name);
  return names;
}

Letter *Checker::IndexEnv::add(const std::string &name, SourceRange where) {
  letters.push_back(std::make_unique<Letter>());
  Letter *l = letters.back().get();
  l->name = name;
  l->order = letters.size();
  l->where = where;
  visible.back()[name] = l;
  return l;
}

Letter *Checker::IndexEnv::find(const std::string &name) const {
  for (size_t i = visible.size(); i-- > 0;) {
    auto found = visible[i].find(name);
    if (found != visible[i].end())
      return found->second;
  }
  return nullptr;
}

std::optional<AffineForm> Checker::IndexEnv::affine(const ast::Expr &e, const ScopePtr &scope) {
  AffineForm out;
  if (auto *n = ast::as<ast::NumberExpr>(&e)) {
    if (!n->isInteger || !n->unit.empty())
      return std::nullopt;
    out.offset = Dim(int64_t(n->value));
    return out;
  }
  if (auto *r = ast::as<ast::RefExpr>(&e)) {
    if (Letter *l = find(r->name)) {
      out.terms[l] = 1;
      return out;
    }
    const Scope::Binding *b = scope->find(r->name);
    Val v = b ? b->value : Val{};
    if (!b)
      if (Found f = checker.findDecl(r->name, scope->module); f.decl && f.decl->kind == ast::Decl::Kind::Const)
        v = checker.evalConst(static_cast<const ast::ConstDecl &>(*f.decl), f.module);
    if (!v.is(Val::Kind::Int))
      return std::nullopt;
    if (checker.generic && !v.integer.isConstant()) {
      symbolic = true;
      return std::nullopt;
    }
    out.offset = v.integer;
    return out;
  }
  if (auto *u = ast::as<ast::UnaryExpr>(&e)) {
    auto x = affine(*u->operand, scope);
    if (!x || u->op != ast::UnaryExpr::Op::Negate)
      return std::nullopt;
    for (auto &[l, c] : x->terms)
      out.terms[l] = -c;
    out.offset = Dim(0) - x->offset;
    return out;
  }
  auto *b = ast::as<ast::BinaryExpr>(&e);
  if (!b)
    return std::nullopt;
  using O = ast::BinaryExpr::Op;
  if (b->op != O::Add && b->op != O::Sub && b->op != O::Mul)
    return std::nullopt;
  auto l = affine(*b->left, scope), r = affine(*b->right, scope);
  if (!l || !r)
    return std::nullopt;
  if (b->op == O::Mul) {
    if (!l->terms.empty() && !r->terms.empty())
      return std::nullopt;
    const AffineForm &form = l->terms.empty() ? *r : *l;
    const Dim factor = l->terms.empty() ? l->offset : r->offset;
    auto by = factor.constant();
    if (!by && !form.terms.empty())
      return std::nullopt;
    for (auto &[letter, c] : form.terms)
      if (c * *by)
        out.terms[letter] = c * *by;
    out.offset = form.offset * factor;
    return out;
  }
  int64_t sign = b->op == O::Sub ? -1 : 1;
  out = *l;
  for (auto &[letter, c] : r->terms)
    if ((out.terms[letter] += sign * c) == 0)
      out.terms.erase(letter);
  out.offset = out.offset + Dim(sign) * r->offset;
  return out;
}

void Checker::IndexEnv::collect(const ast::Block &b, const ScopePtr &scope) {
  for (auto &s : b.statements) {
    if (auto *r = ast::as<ast::ResultStmt>(s.get())) {
      collect(*r->value, scope);
    } else {
      checker.fail(Diag::StatementInIndexed, s->range);
      failed = true;
    }
  }
}

void Checker::IndexEnv::collect(const ast::Expr &e, const ScopePtr &scope) {
  using K = ast::Expr::Kind;
  switch (e.kind) {
  case K::Number: case K::String: case K::Ref: case K::Range: case K::All: case K::Repeat: case K::For: case K::Scan: return;
  case K::Member: return collect(*static_cast<const ast::MemberExpr &>(e).base, scope);
  case K::Unary: return collect(*static_cast<const ast::UnaryExpr &>(e).operand, scope);
  case K::Binary:
    collect(*static_cast<const ast::BinaryExpr &>(e).left, scope);
    if (auto &right = static_cast<const ast::BinaryExpr &>(e).right)
      collect(*right, scope);
    return;
  case K::List:
    for (auto &item : static_cast<const ast::ListExpr &>(e).items)
      collect(*item, scope);
    return;
  case K::Record:
    for (auto &f : static_cast<const ast::RecordExpr &>(e).fields)
      collect(*f.value, scope);
    return;
  case K::When: {
    auto &w = static_cast<const ast::WhenExpr &>(e);
    collect(*w.condition, scope);
    collect(*w.then, scope);
    if (w.otherwise)
      collect(*w.otherwise, scope);
    return;
  }
  case K::Call: {
    auto &call = static_cast<const ast::CallExpr &>(e);
    if (!checker.isLetterCall(call, scope)) {
      for (auto &a : call.arguments)
        collect(*a.value, scope);
      return;
    }
    visible.emplace_back();
    std::vector<Letter *> list;
    for (auto &name : reductionLetters(call))
      list.push_back(add(name.text, name.range));
    reductions[&call] = list;
    collect(*call.arguments.back().value, scope);
    visible.pop_back();
    return;
  }
  case K::Index: {
    auto &access = static_cast<const ast::IndexExpr &>(e);
    IndexEnv *saved = checker.indexing;
    checker.indexing = nullptr; // what is indexed is a whole tensor
    Val base = checker.eval(*access.base, scope);
    checker.indexing = saved;
    if (!base.is(Val::Kind::Tensor)) {
      if (!base.poison() && !base.is(Val::Kind::Unknown))
        checker.fail(Diag::CannotIndex, access.base->range, {checker.describe(base)});
      failed = true;
      return;
    }
    bases[&access] = base;
    if (access.items.size() != base.type.shape.size()) {
      checker.fail(Diag::IndexCount, e.range,
                   {base.type.str(), std::to_string(base.type.shape.size()), std::to_string(access.items.size())});
      failed = true;
      return;
    }
    for (size_t i = 0; i < access.items.size(); ++i) {
      if (auto form = affine(*access.items[i], scope))
        uses.push_back({*form, base.type.shape[i], access.items[i]->range});
      else
        collect(*access.items[i], scope);
    }
    return;
  }
  }
}

bool Checker::IndexEnv::size() {
  if (failed)
    return false;
  auto alone = [](const Use &u) {
    return u.form.terms.size() == 1 && u.form.terms.begin()->second == 1 && u.form.offset == Dim(0);
  };
  for (const Use &u : uses)
    if (alone(u)) {
      Letter *l = u.form.terms.begin()->first;
      if (!l->size) {
        l->size = u.dim;
        l->sizedBy = u.where;
      } else if (*l->size != u.dim) {
        Diagnostic &d = checker.error(Diag::LetterSizes, u.where, {l->name, u.dim.str(), l->size->str()});
        note(d, l->sizedBy, "`" + l->name + "` counts " + l->size->str() + " here");
        return false;
      }
    }
  for (bool progress = true; progress;) {
    progress = false;
    for (const Use &u : uses) {
      Letter *open = nullptr;
      int64_t coefficient = 0;
      int unknown = 0;
      Dim reach = u.form.offset; // the largest index that the known letters make
      for (auto &[l, c] : u.form.terms) {
        if (!l->size) {
          ++unknown;
          open = l;
          coefficient = c;
        } else if (c > 0) {
          reach = reach + (*l->size - Dim(1)) * Dim(c);
        }
      }
      if (unknown != 1 || coefficient <= 0)
        continue;
      open->size = (u.dim - Dim(1) - reach).floorDiv(coefficient) + Dim(1);
      open->sizedBy = u.where;
      if (auto n = open->size->constant(); n && *n < 1) {
        checker.fail(Diag::IndexOutOfRange, u.where, {checker.source(u.where), u.dim.str()});
        return false;
      }
      progress = true;
    }
  }
  for (auto &l : letters)
    if (!l->size) {
      if (symbolic && checker.generic)
        return false;
      checker.fail(Diag::LetterWithoutSize, l->where, {l->name},
                   "use it alone as an index somewhere, or declare the type of the result: `y[n, " + l->name + "]: f32[N, 8] = ...`");
      return false;
    }
  for (const Use &u : uses) {
    Dim low = u.form.offset, high = low;
    for (auto &[l, c] : u.form.terms)
      (c > 0 ? high : low) = (c > 0 ? high : low) + (*l->size - Dim(1)) * Dim(c);
    auto under = low.constant(), over = (u.dim - Dim(1) - high).constant();
    if ((under && *under < 0) || (over && *over < 0)) {
      checker.fail(Diag::IndexOutOfRange, u.where, {checker.source(u.where), u.dim.str()},
                   "it runs from " + low.str() + " to " + high.str());
      return false;
    }
  }
  return true;
}

} // namespace bigm::sema
