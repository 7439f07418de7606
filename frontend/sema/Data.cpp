// `data`: where records come from, their fields, what is derived from them and how training varies them.
//
// A field of a record has no batch dimension; everything here is evaluated on batches, so `digit: label[10]` is
// `label[10][N]`. The function `DATA.prepare` turns raw fields into raw and derived ones; `DATA.prepare.train` also
// applies `augment train`.
#include "Checker.h"
#include <utility>

namespace bigm::sema {

void Checker::checkClauses(const std::vector<ast::Clause> &clauses, const std::string &where,
                           const std::vector<std::string> &allowed, const std::vector<std::string> &repeated) {
  std::map<std::string, const ast::Clause *> seen;
  for (auto &c : clauses) {
    const std::string &word = c.keyword.text;
    if (std::find(allowed.begin(), allowed.end(), word) == allowed.end()) {
      std::string near = didYouMean(word, allowed);
      if (word == "let") {
        fail(Diag::ClauseNotHere, c.range, {c.name.text + " = ...", where});
        continue;
      }
      fail(Diag::ClauseNotHere, c.keyword.range.valid() ? c.keyword.range : c.range, {word, where},
           near.empty() ? "" : "did you mean `" + near + "`?");
      continue;
    }
    auto [at, added] = seen.emplace(word, &c);
    if (!added && std::find(repeated.begin(), repeated.end(), word) == repeated.end()) {
      Diagnostic &d = error(Diag::ClauseTwice, c.keyword.range.valid() ? c.keyword.range : c.range, {word});
      note(d, at->second->range, "first given here");
    }
  }
}

const ast::Clause *Checker::clause(const std::vector<ast::Clause> &list, const std::string &keyword) {
  for (auto &c : list)
    if (c.keyword.text == keyword)
      return &c;
  return nullptr;
}

std::optional<Spec> Checker::evalSpec(const ast::Expr &e, const ScopePtr &scope, const std::vector<Field> &fields) {
  // A csv may say which column a field reads: `csv("labels.csv", picture: "file")`.
  std::map<std::string, std::vector<std::string>> sources = {
      {"idx", {}}, {"csv", {"separator", "columns", "comment"}}, {"npy", {}}, {"folder", {}}, {"tsv", {"separator", "columns", "comment"}}, {"text", {"window", "stride", "by"}},
      {"lines", {}}, {"json", {"at"}}, {"jsonl", {}}, {"voc", {"set"}}, {"coco", {"pictures"}}, {"conll", {}}};
  for (const char *columns : {"csv", "tsv", "json", "jsonl"})
    for (const Field &f : fields)
      sources[columns].push_back(f.name);
  for (const Field &f : fields)
    for (const Field &part : f.parts)
      sources["conll"].push_back(part.name);
  auto *call = ast::as<ast::CallExpr>(&e);
  auto *name = call ? ast::as<ast::RefExpr>(call->callee.get()) : nullptr;
  std::vector<std::string> names;
  for (auto &[n, o] : sources)
    names.push_back(n);
  if (!name) {
    fail(Diag::NotASource, e.range, {source(e.range)}, "write `idx(\"images.gz\", \"labels.gz\")` or `csv(\"records.csv\")`");
    return std::nullopt;
  }
  auto known = sources.find(name->name);
  if (known == sources.end()) {
    std::string near = didYouMean(name->name, names);
    fail(Diag::UnknownSource, name->range, {name->name},
         near.empty() ? "sources are `coco`, `conll`, `csv`, `folder`, `idx`, `json`, `jsonl`, `lines`, `npy`, `text`, `tsv` and `voc`"
                      : "did you mean `" + near + "`?");
    return std::nullopt;
  }
  Spec spec;
  spec.name = name->name;
  bool ok = true;
  for (auto &a : call->arguments) {
    if (spec.name == "text" && a.name.text == "by") { // perhaps fitted on this very text: looked up once the fields are known
      spec.options["by"] = source(a.value->range);
      windowsBy.push_back(a.value.get());
      continue;
    }
    Val v = eval(*a.value, scope);
    if (v.poison()) {
      ok = false;
    } else if (a.name.text.empty()) {
      if (v.is(Val::Kind::String)) {
        spec.strings.push_back(v.text);
      } else {
        fail(Diag::SourceArgument, a.value->range, {spec.name, describe(v)});
        ok = false;
      }
    } else if (std::find(known->second.begin(), known->second.end(), a.name.text) == known->second.end()) {
      std::string near = didYouMean(a.name.text, known->second), all;
      for (const std::string &one : known->second)
        all += (all.empty() ? "it has `" : ", `") + one + "`";
      fail(Diag::UnknownSetting, a.name.range, {spec.name, a.name.text},
           near.empty() ? all : "did you mean `" + near + "`?");
      ok = false;
    } else if (v.is(Val::Kind::String)) {
      spec.options[a.name.text] = v.text;
    } else if (auto n = v.asNumber()) {
      spec.options[a.name.text] = *n;
    } else {
      fail(Diag::SourceArgument, a.value->range, {spec.name, describe(v)});
      ok = false;
    }
  }
  if (ok && spec.strings.empty()) {
    fail(Diag::SourceWithoutFile, e.range, {spec.name});
    ok = false;
  }
  return ok ? std::optional(spec) : std::nullopt;
}

ScopePtr Checker::freshScope(Module *m) {
  auto scope = std::make_shared<Scope>();
  scope->parent = globalScope(m);
  scope->module = m;
  scope->callBorder = true;
  return scope;
}

void Checker::readSplit(DataSet &set, DataProgram &out) {
  const ast::Clause *split = clause(set.decl->clauses, "split");
  if (auto seed = overridden("data." + out.name + ".seed")) {
    if (auto n = wholeNumber(*seed, {}, "`seed`"))
      out.seed = uint64_t(*n);
  } else if (split) {
    for (auto &[name, value] : split->options)
      if (name.text == "seed")
        if (auto n = wholeNumber(eval(*value, globalScope(set.module)), value->range, "`seed`"))
          out.seed = uint64_t(*n);
  }
  if (!split)
    return;
  out.inOrder = split->flag == "in order";
  auto *shares = split->expressions.empty() ? nullptr : ast::as<ast::RecordExpr>(split->expressions[0].get());
  if (!shares)
    return;
  double total = 0;
  bool fractions = false;
  for (auto &f : shares->fields) {
    auto n = plainNumber(eval(*f.value, globalScope(set.module)), f.value->range, "a share of `split`");
    if (!n)
      continue;
    if (*n <= 0 || (*n > 1 && *n != double(int64_t(*n)))) {
      fail(Diag::BadShare, f.value->range, {f.name.text, source(f.value->range)},
           "a share is a count such as 54000 or a part such as 90%");
      continue;
    }
    if ((f.name.text == "test" || f.name.text == "valid") && clause(set.decl->clauses, f.name.text))
      fail(Diag::TestTwice, f.name.range, {f.name.text});
    for (auto &[name, share] : out.split)
      if (name == f.name.text)
        fail(Diag::FieldTwice, f.name.range, {name});
    fractions |= *n < 1;
    if (*n < 1)
      total += *n;
    out.split.push_back({f.name.text, *n});
  }
  if (fractions && total > 1 + 1e-9)
    fail(Diag::SharesTooLarge, split->range, {std::to_string(int(total * 100 + 0.5))});
}

void Checker::bindPrepared(DataSet &set, const ScopePtr &scope) {
  bindRaw(set, scope, true);
  for (const std::string &name : program->data[set.index].derived) {
    auto type = set.batch.find(name);
    Val v;
    if (type != set.batch.end())
      v = fieldInput(set.index, name, type->second, set.where.at(name));
    if (auto host = set.hosts.find(name); host != set.hosts.end()) {
      v.host = host->second;
      v.data = set.index;
    }
    scope->names[name] = {v, set.where.at(name)};
  }
  // How long the longest row of a batch is, under the name that the field's type gives it; with several sets each has its own.
  if (!inputPrefixes.count(set.index))
    for (auto &[size, step] : set.raggeds)
      if (!findDecl(size, set.module).decl && !set.where.count(size))
        scope->names[size] = {Val::of(Dim::symbol(size)), set.decl->name.range};
}

Val Checker::fieldInput(size_t data, const std::string &name, TensorType type, SourceRange where) {
  auto prefix = inputPrefixes.find(data);
  std::string input = name;
  if (prefix != inputPrefixes.end()) {
    // Batches of all sets have as many records; other sizes are each set's own.
    input = prefix->second + "." + name;
    for (Dim &d : type.shape)
      d = d.substitute([&](const std::string &symbol) { return symbol == "N" ? std::nullopt : std::optional(Dim::symbol(prefix->second + "_" + symbol)); });
  }
  Val v = tensorVal(rec->input(input, type, where));
  v.type = type;
  return v;
}

/// Sizes without the ones: what a reshape that only adds or drops dimensions of 1 keeps.
static std::vector<Dim> withoutOnes(const std::vector<Dim> &shape) {
  std::vector<Dim> out;
  for (const Dim &d : shape)
    if (d != Dim(1))
      out.push_back(d);
  return out;
}

/// The name in a written type that nothing binds, or that the rows of another field bound: `T` of `i32[T]`.
std::string Checker::openDimension(const DataSet &set, const ast::Type *type, const ScopePtr &scope) {
  if (type && type->kind == ast::Type::Kind::Tensor)
    for (auto &d : static_cast<const ast::TensorType *>(type)->dims)
      if (auto *r = d.size ? ast::as<ast::RefExpr>(d.size.get()) : nullptr)
        if (set.raggeds.count(r->name) || (!scope->find(r->name) && !findDecl(r->name, scope->module).decl))
          return r->name;
  return "";
}

/// `bucket by ids`: the field must come from text.
void Checker::readBucket(DataSet &set) {
  const ast::Clause *bucket = clause(set.decl->clauses, "bucket");
  if (!bucket || bucket->expressions.empty())
    return;
  std::string field = exprPath(*bucket->expressions[0]);
  auto host = set.hosts.find(field);
  if (host == set.hosts.end()) {
    std::vector<std::string> names;
    for (auto &[name, step] : set.hosts)
      names.push_back(name);
    std::string near = didYouMean(field, names);
    fail(Diag::BucketField, bucket->expressions[0]->range, {source(bucket->expressions[0]->range)},
         near.empty() ? "name a field that is derived by `tokens`" : "did you mean `" + near + "`?");
    return;
  }
  program->data[set.index].bucket = host->second;
}

void Checker::evalDerived(DataSet &set, const ScopePtr &scope, const std::string &until) {
  for (auto &c : set.decl->clauses) {
    if (c.keyword.text != "derive" || c.expressions.empty())
      continue;
    raggedName = openDimension(set, c.type.get(), scope);
    Val v = eval(*c.expressions[0], scope);
    if (!raggedName.empty() && v.is(Val::Kind::Tensor) && !v.host.empty()) {
      // The ids of a list's elements are as many as those, and the name stands for that size.
      auto ofList = [&](auto &list) { return v.type.shape.size() == 2 && v.type.shape[1] == list.second; };
      bool elements = std::any_of(set.lists.begin(), set.lists.end(), ofList);
      scope->names[raggedName] = {Val::of(elements ? v.type.shape[1] : Dim::symbol(raggedName)), c.type->range};
    }
    raggedName.clear();
    if (!v.poison() && !v.is(Val::Kind::Tensor))
      v = fail(Diag::NotATensor, c.expressions[0]->range, {describe(v)});
    if (v.is(Val::Kind::Tensor) && (v.type.shape.empty() || v.type.shape[0] != Dim::symbol("N")))
      v = fail(Diag::DerivedWithoutBatch, c.expressions[0]->range, {c.name.text, v.type.str()});
    if (c.type && v.is(Val::Kind::Tensor))
      if (auto type = concrete(resolve(*c.type, scope, false), c.type->range)) {
        std::vector<Dim> shape = type->shape;
        shape.insert(shape.begin(), Dim::symbol("N"));
        if (type->elem != v.type.elem || withoutOnes(shape) != withoutOnes(v.type.shape)) {
          TensorType one = v.type;
          one.shape.erase(one.shape.begin());
          Diagnostic &d = error(Diag::DerivedType, c.expressions[0]->range, {c.name.text, type->str(), one.str()});
          note(d, c.type->range, "declared here");
          v = {};
        } else {
          Dim classes = type->classes;
          std::string host = shape == v.type.shape ? v.host : "";
          v = tensorVal(rec->reshape(v.tensor, shape));
          v.type.classes = classes;
          v.host = host;
        }
      }
    if (scope->names.count(c.name.text) && !set.batch.count(c.name.text))
      v = {};
    if (v.is(Val::Kind::Tensor) && !set.batch.count(c.name.text))
      set.batch[c.name.text] = v.type;
    if (!v.host.empty())
      set.hosts[c.name.text] = v.host;
    scope->names[c.name.text] = {v, c.name.range};
    set.where[c.name.text] = c.name.range;
    if (c.name.text == until)
      return;
  }
}

void Checker::evalAugment(DataSet &set, const ScopePtr &scope) {
  for (auto &c : set.decl->clauses) {
    if (c.keyword.text != "augment" || !c.body)
      continue;
    if (c.name.text != "train") {
      unsupported("`augment` of a split other than `train`", c.name.range);
      continue;
    }
    for (auto &s : c.body->statements) {
      auto *assign = ast::as<ast::AssignStmt>(s.get());
      bool field = assign && set.batch.count(assign->name.text);
      TensorType before = field ? set.batch.at(assign->name.text) : TensorType{};
      Val list = assign && set.lists.count(assign->name.text) ? scope->names[assign->name.text].value : Val{};
      if (!assign) {
        fail(Diag::AugmentStatement, s->range, {}, "write `field = field |> change`");
        continue;
      }
      evalAssign(*assign, scope);
      Val &v = scope->names[assign->name.text].value;
      if (field && v.is(Val::Kind::Tensor) && (v.type.shape != before.shape || v.type.elem != before.elem)) {
        Diagnostic &d = error(Diag::AugmentType, assign->value->range, {assign->name.text, before.str(), v.type.str()});
        note(d, set.where.at(assign->name.text), "declared here");
      }
      if (list.is(Val::Kind::Record) && !v.poison())
        v = changedList(list, v, *assign);
    }
  }
}

Checker::DataSet *Checker::dataSet(const std::string &name, Module *m) {
  Found f = findDecl(name, m);
  if (!f.decl || f.decl->kind != ast::Decl::Kind::Data)
    return nullptr;
  auto &d = static_cast<const ast::DataDecl &>(*f.decl);
  if (!dataSets.count(&d))
    checkData(d, f.module);
  return dataSets.at(&d).get();
}

Checker::DataSet *Checker::namedData(const ast::Expr &e, SourceRange where, Module *m) {
  auto *ref = ast::as<ast::RefExpr>(&e);
  if (DataSet *set = ref ? dataSet(ref->name, m) : nullptr)
    return set;
  std::vector<std::string> names;
  for (auto &[name, decl] : m->decls)
    if (decl->kind == ast::Decl::Kind::Data)
      names.push_back(name);
  std::string near = ref ? didYouMean(ref->name, names) : "";
  fail(Diag::NotData, where, {source(where)}, near.empty() ? "" : "did you mean `" + near + "`?");
  return nullptr;
}

void Checker::checkData(const ast::DataDecl &d, Module *m) {
  if (dataSets.count(&d))
    return;
  reached.insert(&d);
  auto &slot = dataSets[&d];
  slot = std::make_unique<DataSet>();
  DataSet &set = *slot;
  set.decl = &d;
  set.module = m;
  set.index = program->data.size();
  program->data.emplace_back();
  DataProgram out;
  out.name = d.name.text;
  out.where = d.name.range;
  checkClauses(d.clauses, "data", {"from", "test", "valid", "fields", "split", "derive", "augment", "bucket"},
               {"derive", "augment"});
  const ast::Clause *from = clause(d.clauses, "from"), *fields = clause(d.clauses, "fields");
  if (!from || !fields) {
    fail(Diag::DataIncomplete, d.name.range, {d.name.text, from ? "fields" : "from"});
    return;
  }
  bool ok = readFields(set, out);
  auto read = [&](const ast::Clause *c, Spec &spec) {
    if (!c)
      return;
    if (c->expressions.size() != 1) {
      fail(Diag::OneSource, c->range, {c->keyword.text});
      ok = false;
      return;
    }
    if (auto s = evalSpec(*c->expressions[0], globalScope(m), out.fields))
      spec = *s;
    else
      ok = false;
  };
  read(from, out.from);
  read(clause(d.clauses, "test"), out.test);
  read(clause(d.clauses, "valid"), out.valid);
  readSplit(set, out);
  bool augments = clause(d.clauses, "augment");
  for (auto &c : d.clauses)
    if (c.keyword.text == "derive") {
      if (set.where.count(c.name.text))
        fail(Diag::FieldTwice, c.name.range, {c.name.text});
      else
        out.derived.push_back(c.name.text);
      set.where[c.name.text] = c.name.range;
    }
  if (!out.derived.empty() || augments)
    out.prepare = out.name + ".prepare";
  if (augments)
    out.prepareTrain = out.name + ".prepare.train";
  program->data[set.index] = out;
  set.ok = ok;
  for (const ast::Expr *by : std::exchange(windowsBy, {})) {
    Val v = eval(*by, globalScope(m));
    if (!v.is(Val::Kind::Tokenizer) && !v.poison())
      fail(Diag::TokensNeedText, by->range, {"by", "a vocabulary or a tokenizer", describe(v)},
           "for example `const subwords = tokenizer(\"tokenizer.json\")`");
    else if (v.is(Val::Kind::Tokenizer) && v.text != source(by->range))
      fail(Diag::TokenizerWithoutName, by->range, {}, "write `const subwords = tokenizer(\"tokenizer.json\")` and `by: subwords`");
  }
  if (!ok || out.prepare.empty())
    return;
  auto make = [&](bool train) {
    build(train ? out.prepareTrain : out.prepare, [&] {
      ScopePtr scope = freshScope(m);
      training_ = train;
      bindRaw(set, scope, true);
      evalDerived(set, scope);
      if (train)
        evalAugment(set, scope);
      auto give = [&](const std::string &name) {
        const Val &v = scope->names[name].value;
        if (v.is(Val::Kind::Tensor))
          rec->output(name, v.tensor);
        if (v.is(Val::Kind::Record))
          for (size_t i = 0; i < v.items.size(); ++i)
            if (v.items[i].is(Val::Kind::Tensor))
              rec->output(name + "." + v.names[i], v.items[i].tensor);
      };
      for (const Field &f : out.fields)
        give(f.name);
      for (const std::string &name : out.derived)
        give(name);
    });
  };
  make(false);
  if (augments)
    make(true);
  readBucket(set);
}

} // namespace bigm::sema
