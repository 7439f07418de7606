// `fit`: what is counted from the training split without gradients.
//
// `fit normal = mean_variance(digits.train.image)` runs a streaming function over batches: its states are kept between
// them, and its result after the last batch is the fitted value, stored in the artifact. The step takes the raw fields
// of a batch and derives what it needs, so that a derived field may use an earlier fit.
#include "Checker.h"

namespace bigm::sema {

std::optional<Val> Checker::dataMember(const ast::MemberExpr &e, const ScopePtr &scope) {
  auto *split = ast::as<ast::MemberExpr>(e.base.get());
  auto *ref = ast::as<ast::RefExpr>(split ? split->base.get() : e.base.get());
  if (!ref || scope->find(ref->name))
    return std::nullopt;
  Found f = findDecl(ref->name, scope->module);
  if (!f.decl || f.decl->kind != ast::Decl::Kind::Data)
    return std::nullopt;
  if (!reading || !split) {
    fail(Diag::DataOutsideFit, e.range, {source(e.range)}, "only `fit name = f(data.train.field)` reads data by its path");
    return Val{};
  }
  DataSet *set = dataSet(ref->name, scope->module);
  if (!set->ok)
    return Val{};
  if (reading->set && (reading->set != set || reading->split != split->member.text)) {
    fail(Diag::FitOneSource, e.range);
    return Val{};
  }
  if (split->member.text != "train") {
    fail(Diag::FitSeesTrain, split->member.range, {split->member.text});
    return Val{};
  }
  const DataProgram &data = program->data[set->index];
  std::vector<std::string> names = data.derived;
  bool known = std::find(names.begin(), names.end(), e.member.text) != names.end();
  bool derived = known;
  for (auto &field : data.fields) {
    known |= field.name == e.member.text;
    names.push_back(field.name);
  }
  if (!known) {
    std::string near = didYouMean(e.member.text, names);
    fail(Diag::NoSuchDataField, e.member.range, {ref->name, e.member.text}, near.empty() ? "" : "did you mean `" + near + "`?");
    return Val{};
  }
  if (!reading->set) {
    reading->set = set;
    reading->split = split->member.text;
    reading->scope = freshScope(set->module);
    bindRaw(*set, reading->scope, true);
  }
  if (derived && !reading->scope->names.count(e.member.text)) {
    Reading *saved = reading;
    reading = nullptr;
    evalDerived(*set, saved->scope, e.member.text);
    reading = saved;
  }
  auto found = reading->scope->names.find(e.member.text);
  return found == reading->scope->names.end() ? Val{} : found->second.value;
}

Checker::FitResult &Checker::checkFit(const ast::FitDecl &d, Module *m) {
  FitResult &result = fits[&d];
  if (!fitting.insert(&d).second)
    return result;
  reached.insert(&d);
  auto *call = ast::as<ast::CallExpr>(d.value.get());
  auto *callee = call ? ast::as<ast::RefExpr>(call->callee.get()) : nullptr;
  Found f = callee ? findDecl(callee->name, m) : Found{};
  if (callee && !f.decl && (callee->name == "characters" || callee->name == "words")) {
    checkVocabulary(d, *call, m);
    return result;
  }
  if (callee && !f.decl && !findBuiltin(callee->name)) {
    evalRef(*callee, globalScope(m)); // an unknown name: say so
    return result;
  }
  if (!f.decl || f.decl->kind != ast::Decl::Kind::Fit || static_cast<const ast::FitDecl *>(f.decl)->value) {
    fail(Diag::FitNeedsFit, d.value->range, {source(d.value->range)},
         "for example `fit normal = mean_variance(digits.train.image)`");
    return result;
  }
  auto &fn = static_cast<const ast::FitDecl &>(*f.decl);
  reached.insert(&fn);
  const std::string name = d.name.text;
  Reading source_;
  build(name + ".step", [&] {
    Reading *saved = reading;
    reading = &source_;
    Args args = evalArguments(call->arguments, globalScope(m), &fn);
    reading = saved;
    for (auto &a : args)
      if (a.value.poison())
        return;
    if (!source_.set) {
      fail(Diag::FitNeedsData, d.value->range, {name}, "give it a field of a training split: `data.train.field`");
      return;
    }
    Owner states;
    states.prefix = name + "/";
    states.kind = TensorDecl::Kind::Fit;
    owner = &states;
    rec->scope = name;
    Val v = callDecl(fn, f.module, args, d.value->range, false);
    owner = nullptr;
    auto store = [&](const std::string &field, const Val &value) {
      if (!value.is(Val::Kind::Tensor))
        return fail(Diag::NotATensor, d.value->range, {describe(value)}), false;
      for (const Dim &size : value.type.shape)
        if (!size.isConstant())
          return fail(Diag::ParamSizeNotKnown, d.value->range, {field, value.type.str(), size.str()}), false;
      program->tensors.push_back({TensorDecl::Kind::Fit, field, value.type, d.name.range});
      int index = program->tensors.size() - 1;
      rec->store(index, program->tensors[index], value.tensor);
      result.fields.push_back({field, index});
      return true;
    };
    if (v.is(Val::Kind::Record)) {
      result.record = result.ok = true;
      for (size_t i = 0; i < v.items.size(); ++i)
        result.ok = store(name + "." + v.names[i], v.items[i]) && result.ok;
    } else if (!v.poison()) {
      result.ok = store(name, v);
    }
  });
  if (!result.ok)
    return result;
  FitProgram out;
  out.name = name;
  out.data = program->data[source_.set->index].name;
  out.split = source_.split;
  out.begin = name + ".begin";
  out.step = name + ".step";
  build(out.begin, [&] {
    for (size_t i = 0; i < program->tensors.size(); ++i) {
      const TensorDecl decl = program->tensors[i];
      if (decl.kind == TensorDecl::Kind::Fit && (decl.name == name || decl.name.compare(0, name.size() + 1, name + "/") == 0 ||
                                                 decl.name.compare(0, name.size() + 1, name + ".") == 0))
        if (auto v = initialValue(i))
          rec->store(i, decl, *v);
    }
  });
  program->fits.push_back(out);
  return result;
}

Val Checker::fitValue(const ast::FitDecl &d, Module *m, SourceRange where) {
  if (auto known = vocabularies.find(&d); known != vocabularies.end())
    return known->second;
  bool running = fitting.count(&d) && !fits[&d].ok;
  const FitResult &r = checkFit(d, m);
  if (auto known = vocabularies.find(&d); known != vocabularies.end())
    return known->second;
  if (!r.ok) {
    if (running && !diags.hasErrors())
      fail(Diag::FitOfItself, where, {d.name.text});
    return {};
  }
  if (!r.record)
    return tensorValue(r.fields[0].second);
  Val v;
  v.kind = Val::Kind::Record;
  for (auto &[name, index] : r.fields) {
    v.names.push_back(name.substr(d.name.text.size() + 1));
    v.items.push_back(tensorValue(index));
  }
  return v;
}

} // namespace bigm::sema
