// `evaluate`.
//
// A metric is a fn with states: each batch updates them, and its value after the last batch is the number of the report.
// `EVAL.begin` sets the states, `EVAL.step` takes a batch of prepared fields and gives the loss of the batch and all
// metrics so far.
#include "Training.h"
#include <set>
#include <sstream>

namespace bigm::sema {

static std::string lastWord(const std::string &text) {
  std::string out;
  for (char c : text)
    out += isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 128 ? c : '_';
  while (!out.empty() && out.back() == '_')
    out.pop_back();
  return out;
}

bool Checker::buildEvaluate(const ast::EvaluateDecl &d, Training &t, DataSet &set, EvaluateProgram &out) {
  std::map<std::string, std::string> byText;
  bool ok = true;
  out.begin = out.name + ".begin";
  out.step = out.name + ".step";
  build(out.step, [&] {
    ScopePtr scope = freshScope(t.module);
    bindPrepared(set, scope);
    LossPairs found;
    found.depth = calls.size();
    pairs = &found;
    Val loss = evalLoss(t, nullptr, scope);
    pairs = nullptr;
    if (!loss.is(Val::Kind::Tensor)) {
      ok = false;
      return;
    }
    rec->output("loss", loss.tensor);
    std::set<std::string> names = {"loss"};
    for (auto &c : d.clauses) {
      if (c.let)
        evalAssign(*c.let, scope);
      if (c.keyword.text != "report")
        continue;
      for (size_t i = 0; i < c.expressions.size(); ++i) {
        const ast::Expr &e = *c.expressions[i];
        std::string text = source(e.range);
        std::string name = i < c.names.size() ? c.names[i].text : "";
        auto *call = ast::as<ast::CallExpr>(&e);
        if (name.empty()) {
          name = lastWord(source(call ? call->callee->range : e.range));
          if (names.count(name))
            name = lastWord(text);
        }
        if (!names.insert(name).second) {
          fail(Diag::MetricTwice, e.range, {name}, "name it: `report other = " + text + "`");
          continue;
        }
        Owner states;
        states.prefix = out.name + "." + name + "/";
        states.kind = TensorDecl::Kind::Metric;
        owner = &states;
        rec->scope = name;
        rec->where = e.range;
        Val v = eval(e, scope);
        if (v.is(Val::Kind::Callable)) {
          if (found.firstInputs.size() < 2) {
            v = fail(Diag::MetricInputs, e.range, {name}, "write what it compares: `" + text + "(prediction, target)`");
          } else {
            Args args;
            for (auto &input : found.firstInputs)
              args.push_back({input, e.range, "", nullptr, {}});
            v = apply(v, args, e.range, text);
          }
        }
        owner = nullptr;
        rec->scope = "";
        if (v.poison())
          continue;
        if (!v.is(Val::Kind::Tensor)) {
          fail(Diag::MetricNotNumber, e.range, {name, describe(v)});
          continue;
        }
        rec->output(name, v.tensor);
        out.metrics.push_back({name, name});
        byText[text] = name;
        byText[name] = name;
      }
    }
  });
  build(out.begin, [&] {
    for (size_t i = 0; i < program->tensors.size(); ++i) {
      const TensorDecl decl = program->tensors[i];
      if (decl.kind != TensorDecl::Kind::Metric || decl.name.compare(0, out.name.size() + 1, out.name + ".") != 0)
        continue;
      if (auto v = initialValue(i))
        rec->store(i, decl, *v);
    }
  });
  byText["loss"] = "loss";
  readRequires(d, out, byText);
  return ok;
}

void Checker::readRequires(const ast::EvaluateDecl &d, EvaluateProgram &out,
                           const std::map<std::string, std::string> &byText) {
  for (auto &c : d.clauses)
    if (c.keyword.text == "require" && !(out.metrics.empty() && diags.hasErrors()))
      for (auto &e : c.expressions)
        if (auto r = readBound(*e, byText, "evaluate." + (out.flow.empty() ? out.train : out.flow) + ".require."))
          out.requires_.push_back(std::move(*r));
}

std::optional<RequireProgram> Checker::readBound(const ast::Expr &e, const std::map<std::string, std::string> &byText,
                                                 const std::string &override_) {
  using O = ast::BinaryExpr::Op;
  static const std::map<O, std::string> signs = {{O::Ge, ">="}, {O::Le, "<="}, {O::Gt, ">"}, {O::Lt, "<"}};
  auto *b = ast::as<ast::BinaryExpr>(&e);
  if (!b || !signs.count(b->op)) {
    fail(Diag::RequireForm, e.range, {source(e.range)}, "write `require accuracy >= 0.99`");
    return std::nullopt;
  }
  std::string text = source(b->left->range);
  auto metric = byText.find(text);
  if (metric == byText.end()) {
    std::vector<std::string> names;
    for (auto &[key, name] : byText)
      names.push_back(key);
    std::string near = didYouMean(text, names);
    fail(Diag::RequireUnknown, b->left->range, {text},
         near.empty() ? "add it: `report " + text + "`" : "did you mean `" + near + "`?");
    return std::nullopt;
  }
  RequireProgram r;
  r.metric = metric->second;
  r.compare = signs.at(b->op);
  r.text = source(e.range);
  if (auto set = overridden(override_ + r.metric)) {
    r.value = plainNumber(*set, {}, "the bound").value_or(0);
    std::ostringstream value;
    value << r.value;
    r.text = text + " " + r.compare + " " + value.str();
  } else if (auto n = plainNumber(eval(*b->right, globalScope(mainModule())), b->right->range, "the bound of `" + text + "`")) {
    r.value = *n;
  } else {
    return std::nullopt;
  }
  return r;
}

Checker::DataSet *Checker::splitOf(const ast::Expr &e, Module *m, std::string &split) {
  auto *member = ast::as<ast::MemberExpr>(&e);
  DataSet *set = namedData(member ? *member->base : e, e.range, m);
  if (!set || !set->ok)
    return nullptr;
  const DataProgram &dp = program->data[set->index];
  if (member)
    split = member->member.text;
  std::vector<std::string> splits;
  for (auto &[name, share] : dp.split)
    splits.push_back(name);
  if (dp.split.empty())
    splits.push_back("train");
  if (!dp.test.name.empty())
    splits.push_back("test");
  if (!dp.valid.name.empty())
    splits.push_back("valid");
  if (std::find(splits.begin(), splits.end(), split) != splits.end())
    return set;
  std::string near = didYouMean(split, splits), all;
  for (auto &name : splits)
    all += (all.empty() ? "`" : ", `") + name + "`";
  fail(Diag::NoSuchSplit, member ? member->member.range : e.range, {dp.name, split}, near.empty() ? "it has " + all : "did you mean `" + near + "`?");
  return nullptr;
}

Checker::DataSet *Checker::evaluatedOn(const ast::EvaluateDecl &d, Module *m, std::string &split) {
  split = "test"; // `digits` is `digits.test`
  return splitOf(*d.data, m, split);
}

void Checker::checkEvaluate(const ast::EvaluateDecl &d, Module *m) {
  checkClauses(d.clauses, "evaluate", {"report", "require", "let", "fit"}, {"report", "require", "let", "fit"});
  for (auto &subject : d.subjects) {
    auto *ref = ast::as<ast::RefExpr>(subject.get());
    Found f = ref ? findDecl(ref->name, m) : Found{};
    if (f.decl && f.decl->kind == ast::Decl::Kind::Flow) {
      std::string split;
      if (DataSet *set = evaluatedOn(d, m, split))
        flowEvaluates.push_back([this, &d, set, split, flow = static_cast<const ast::CallableDecl *>(f.decl)] { checkFlowEvaluate(d, *flow, *set, split); });
      continue;
    }
    if (!f.decl || f.decl->kind != ast::Decl::Kind::Train) {
      if (ref && !f.decl) {
        evalRef(*ref, globalScope(m));
      } else if (f.decl) {
        unsupported("`evaluate` of something other than a `train` or a `flow`", subject->range,
                    f.decl->kind == ast::Decl::Kind::Instance ? "write a flow that applies `" + f.decl->name.text + "`, and evaluate that" : "");
      } else {
        unsupported("`evaluate` of an expression", subject->range);
      }
      continue;
    }
    if (auto *fit = clause(d.clauses, "fit"))
      fail(Diag::FitOfTraining, fit->range, {fit->name.text});
    auto &train = static_cast<const ast::TrainDecl &>(*f.decl);
    checkTrain(train, f.module);
    Training &t = *trainings.at(&train);
    EvaluateProgram out;
    DataSet *set = evaluatedOn(d, m, out.split);
    if (!set || !t.ok)
      continue;
    if (t.sets.size() != 1) {
      unsupported("`evaluate` of a training on several data sets; evaluate its flow", subject->range);
      continue;
    }
    out.train = t.name;
    out.data = program->data[set->index].name;
    out.name = t.name;
    for (auto &e : program->evaluates)
      if (e.name == out.name)
        out.name = t.name + "." + out.split;
    if (!buildEvaluate(d, t, *set, out))
      continue;
    TrainProgram &tp = program->trains[t.index];
    if (tp.validate.empty() && out.data == tp.data)
      tp.validate = out.name;
    program->evaluates.push_back(std::move(out));
  }
}

} // namespace bigm::sema
