// Index notation: y[b, o] = sum(k: x[b, k] * w[k, o]) + bias[o].
//
// Every expression under it is a tensor over letters: its dimensions are the letters that it uses, result letters first.
// Operands are aligned by letter (views), so nothing is materialised; a sum over a product of two becomes one
// contraction with the index maps as written, which makes a convolution out of `x[n, c, i + a] * w[o, c, a]`.
#include "Letters.h"

namespace bigm::sema {

bool Checker::isLetterCall(const ast::CallExpr &e, const ScopePtr &scope) {
  auto *callee = ast::as<ast::RefExpr>(e.callee.get());
  if (!callee || !isReductionName(callee->name) || e.arguments.empty())
    return false;
  const ast::Argument &last = e.arguments.back();
  if (last.name.text.empty() || last.label || last.name.text == "axis" || last.name.text == "keep" ||
      last.name.text == "except")
    return false;
  for (size_t i = 0; i + 1 < e.arguments.size(); ++i)
    if (!e.arguments[i].name.text.empty() || !ast::as<ast::RefExpr>(e.arguments[i].value.get()))
      return false;
  return !scope->find(callee->name) && !findDecl(callee->name, scope->module).decl;
}

std::optional<Val> Checker::letterValue(const std::string &name) {
  Letter *l = indexing->find(name);
  if (!l || !l->size)
    return std::nullopt;
  Val v = tensorVal(rec->add(Op::Iota, {}, {Elem::I32, {*l->size}, 0}, {{"dim", int64_t(0)}}));
  v.indexed = true;
  v.letters = {l};
  return v;
}

Val Checker::alignLetters(const Val &v, const std::vector<Letter *> &letters) {
  AffineIndices map;
  for (Letter *l : v.letters)
    map.push_back(index(std::find(letters.begin(), letters.end(), l) - letters.begin()));
  Val out = tensorVal(rec->view(v.tensor, sizes(letters), map));
  out.indexed = true;
  out.letters = letters;
  return out;
}

namespace {
/// One factor of a product under a sum.
struct Factor {
  Value tensor = 0;
  Elem elem = Elem::F32;
  std::vector<AffineForm> map;
  std::vector<Letter *> letters;
};
} // namespace

static Factor factorOf(const Val &v) {
  Factor f{v.tensor, v.type.elem, {}, v.letters};
  for (Letter *l : v.letters) {
    AffineForm one;
    one.terms[l] = 1;
    f.map.push_back(one);
  }
  return f;
}

Val Checker::reduceLetters(const ast::CallExpr &e, const ScopePtr &scope) {
  const std::vector<Letter *> reduced = indexing->reductions.at(&e);
  const std::string name = ast::as<ast::RefExpr>(e.callee.get())->name;
  const ast::Expr &body = *e.arguments.back().value;
  indexing->visible.emplace_back();
  for (Letter *l : reduced)
    indexing->visible.back()[l->name] = l;
  struct Leave {
    IndexEnv *env;
    ~Leave() { env->visible.pop_back(); }
  } leave{indexing};

  auto isFloat = [](Elem el) { return el == Elem::F32 || el == Elem::F64 || el == Elem::BF16 || el == Elem::F16; };
  Val v;
  auto *product = ast::as<ast::BinaryExpr>(&body);
  if (name == "sum" && product && product->op == ast::BinaryExpr::Op::Mul) {
    // A direct access keeps its map; anything else is a tensor over its letters.
    auto factor = [&](const ast::Expr &side, Val &value) -> std::optional<Factor> {
      if (auto *access = ast::as<ast::IndexExpr>(&side)) {
        auto base = indexing->bases.find(access);
        if (base == indexing->bases.end())
          return std::nullopt;
        Factor f{base->second.tensor, base->second.type.elem, {}, {}};
        bool direct = true;
        for (auto &item : access->items) {
          auto form = indexing->affine(*item, scope);
          if (!form || !form->offset.isConstant()) {
            direct = false;
            break;
          }
          f.map.push_back(*form);
          for (auto &[l, c] : form->terms)
            f.letters.push_back(l);
        }
        if (direct) {
          f.letters = sorted(f.letters);
          return f;
        }
      }
      value = eval(side, scope);
      if (!value.is(Val::Kind::Tensor) || !value.indexed)
        return std::nullopt;
      return factorOf(value);
    };
    Val leftVal, rightVal;
    auto l = factor(*product->left, leftVal), r = factor(*product->right, rightVal);
    auto uses = [](const Factor &f, Letter *letter) {
      return std::find(f.letters.begin(), f.letters.end(), letter) != f.letters.end();
    };
    bool all = l && r && l->elem == r->elem && isFloat(l->elem) && !l->letters.empty() && !r->letters.empty();
    for (Letter *k : reduced)
      all = all && (uses(*l, k) || uses(*r, k));
    if (all) {
      std::vector<Letter *> dims;
      for (const Factor *f : {&*l, &*r})
        for (Letter *letter : f->letters)
          if (std::find(reduced.begin(), reduced.end(), letter) == reduced.end())
            dims.push_back(letter);
      dims = sorted(dims);
      std::vector<Letter *> result = dims;
      dims.insert(dims.end(), reduced.begin(), reduced.end());
      auto mapOf = [&](const Factor &f) {
        AffineIndices map;
        for (auto &form : f.map)
          map.push_back(toIndex(form, dims));
        return map;
      };
      Val out = tensorVal(rec->add(Op::Contract, {l->tensor, r->tensor}, {l->elem, sizes(result), 0},
                                   {{"lhs_map", mapOf(*l)}, {"rhs_map", mapOf(*r)}, {"reduced", sizes(reduced)}}));
      out.indexed = true;
      out.letters = result;
      return out;
    }
    Val a = l && leftVal.poison() ? eval(*product->left, scope) : leftVal;
    Val b = r && rightVal.poison() ? eval(*product->right, scope) : rightVal;
    v = pointwise(Op::Mul, {a, b}, product->opRange, "*");
  } else {
    v = eval(body, scope);
  }
  if (v.poison() || v.is(Val::Kind::Unknown))
    return v;
  if (v.numeric()) {
    auto t = toTensor(v, Elem::F32, body.range);
    if (!t)
      return {};
    v = tensorVal(*t);
    v.indexed = true;
  }
  if (!v.is(Val::Kind::Tensor) || (!v.indexed && !v.type.shape.empty()))
    return fail(Diag::NeedsIndices, body.range, {describe(v)});
  if (v.type.elem == Elem::Bool)
    return fail(Diag::CannotApply, e.range, {name, "bool"}, "write `f32(...)` to count `true` as 1");
  std::vector<Letter *> all = v.letters, kept;
  all.insert(all.end(), reduced.begin(), reduced.end());
  all = sorted(all);
  v = alignLetters(v, all);
  std::vector<int64_t> dims;
  Dim count = 1;
  for (size_t i = 0; i < all.size(); ++i) {
    if (std::find(reduced.begin(), reduced.end(), all[i]) == reduced.end()) {
      kept.push_back(all[i]);
    } else {
      dims.push_back(i);
      count = count * *all[i]->size;
    }
  }
  Value r;
  if (name == "argmax" || name == "argmin") {
    if (dims.size() != 1)
      return fail(Diag::NeedsOneAxis, e.range, {name});
    r = rec->add(name == "argmax" ? Op::ArgMax : Op::ArgMin, {v.tensor}, {Elem::I32, sizes(kept), 0}, {{"dim", dims[0]}});
  } else {
    Op op = name == "max"    ? Op::ReduceMax
            : name == "min"  ? Op::ReduceMin
            : name == "prod" ? Op::ReduceProd
                             : Op::ReduceSum;
    r = rec->reduce(op, v.tensor, dims);
    if (name == "mean") {
      if (!isFloat(v.type.elem))
        return fail(Diag::NeedsFloat, e.range, {"mean", v.type.str()}, "convert it with `f32(...)`");
      TensorType t = rec->type(r);
      r = rec->add(Op::Div, {r, rec->broadcast(rec->dimension(count, t.elem), t.shape)}, t);
    }
  }
  Val out = tensorVal(r);
  out.indexed = true;
  out.letters = kept;
  return out;
}

Val Checker::evalLetterCall(const ast::CallExpr &e, const ScopePtr &scope) {
  IndexEnv env(*this);
  env.collect(e, scope);
  if (!env.size())
    return generic && env.symbolic ? Val::unknown() : Val{};
  indexing = &env;
  Val v = reduceLetters(e, scope);
  indexing = nullptr;
  v.indexed = false;
  v.letters.clear();
  return v;
}

Val Checker::evalIndexed(const ast::AssignStmt &s, const ScopePtr &scope) {
  IndexEnv env(*this);
  std::vector<Letter *> result;
  for (auto &name : s.indices) {
    if (env.find(name.text))
      return fail(Diag::LetterTwice, name.range, {name.text});
    result.push_back(env.add(name.text, name.range));
  }
  std::optional<TensorType> declared;
  if (s.type) {
    Pattern p = resolve(*s.type, scope, false);
    declared = concrete(p, s.type->range);
    if (!declared)
      return {};
    if (declared->shape.size() != result.size())
      return fail(Diag::IndexCount, s.type->range,
                  {declared->str(), std::to_string(declared->shape.size()), std::to_string(result.size())});
    for (size_t i = 0; i < result.size(); ++i) {
      result[i]->size = declared->shape[i];
      result[i]->sizedBy = p.sizes[i].where;
    }
  }
  env.collect(*s.value, scope);
  if (!env.size())
    return generic && env.symbolic ? Val::unknown() : Val{};
  IndexEnv *outer = indexing;
  indexing = &env;
  Val v = eval(*s.value, scope);
  indexing = outer;
  if (v.poison() || v.is(Val::Kind::Unknown))
    return v;
  if (v.numeric()) {
    auto t = toTensor(v, declared ? declared->elem : Elem::F32, s.value->range);
    if (!t)
      return {};
    v = tensorVal(*t);
  }
  if (!v.is(Val::Kind::Tensor) || (!v.indexed && !v.type.shape.empty()))
    return fail(Diag::NeedsIndices, s.value->range, {describe(v)});
  if (declared && declared->elem != v.type.elem)
    return fail(Diag::ResultShape, s.value->range, {s.name.text, declared->str(), v.type.str()});
  v = alignLetters(v, result);
  v.indexed = false;
  v.letters.clear();
  return v;
}

Val Checker::indexedCall(const std::function<Val(const Args &)> &call, const Args &args, SourceRange where,
                         const std::string &what) {
  std::vector<Letter *> letters;
  for (auto &a : args)
    letters.insert(letters.end(), a.value.letters.begin(), a.value.letters.end());
  letters = sorted(letters);
  Args plain = args;
  for (auto &a : plain)
    if (a.value.indexed) {
      a.value = alignLetters(a.value, letters);
      a.value.indexed = false;
      a.value.letters.clear();
    }
  IndexEnv *saved = indexing;
  indexing = nullptr;
  Val out = call(plain);
  indexing = saved;
  if (!out.is(Val::Kind::Tensor))
    return out;
  if (out.type.shape != sizes(letters))
    return fail(Diag::IndexedCallShape, where, {what, out.type.str()},
                "inside index notation only functions that work element by element can be called on elements");
  out.indexed = true;
  out.letters = letters;
  return out;
}

} // namespace bigm::sema
