// `deploy`: what is shipped, and how its weights are kept.
#include "PartPaths.h"
#include "Training.h"
#include <set>
#include <sstream>

namespace bigm::sema {

/// `deploy name = Model(...)`: a model whose weights come from elsewhere. Its sizes that no setting fixes stay open.
bool Checker::deployModel(const ast::DeployDecl &d, Module *m, std::shared_ptr<Instance> &deployed) {
  auto instance = rootInstance(*d.model, d.name.text, m, Diag::DeployNeedsModel,
                               "write `deploy " + d.name.text + " = Model(...)`");
  if (!instance)
    return false;
  buildAlone(instance, d.name.text, d.model->range);
  deployed = instance;
  return true;
}

void Checker::checkDeploy(const ast::DeployDecl &d, Module *m) {
  checkClauses(d.clauses, "deploy", {"target", "precision", "batch", "serve", "weights", "cache"}, {});
  for (auto &other : m->tree.decls) {
    if (other.get() == &d)
      break;
    // Two of models are declarations, and known to be of one name.
    if (auto *first = ast::as<ast::DeployDecl>(other.get()); first && !(first->model && d.model) && first->name.text == d.name.text) {
      Diagnostic &e = error(Diag::DeployTwice, d.name.range, {d.name.text});
      note(e, first->name.range, "first here");
      e.hint = "one `deploy` names all targets, and the precision of what is shipped";
      return;
    }
  }
  Found f = findDecl(d.name.text, m);
  std::shared_ptr<Instance> instance;
  if (d.model && !deployModel(d, m, instance))
    return;
  if (!f.decl) {
    std::vector<std::string> names;
    for (auto &[name, decl] : m->decls)
      if (decl->kind == ast::Decl::Kind::Train || decl->kind == ast::Decl::Kind::Instance)
        names.push_back(name);
    std::string near = didYouMean(d.name.text, names);
    fail(Diag::UnknownName, d.name.range, {d.name.text}, near.empty() ? "" : "did you mean `" + near + "`?");
    return;
  }
  if (!d.model && f.decl->kind != ast::Decl::Kind::Train && f.decl->kind != ast::Decl::Kind::Instance) {
    unsupported("`deploy` of something other than a `train` or a `model`", d.name.range,
                f.decl->kind == ast::Decl::Kind::Flow ? "name a model that the flow applies: flows ship with what they apply" : "");
    return;
  }
  if (!instance)
    instance = instanceOf(*f.decl, f.module);
  DeployProgram out;
  out.train = d.name.text;
  for (auto &c : d.clauses) {
    const std::string &word = c.keyword.text;
    if (word == "weights")
      unsupported("`" + word + "` in `deploy`", c.range);
    if (word == "cache") {
      if (c.expressions.size() != 1 || source(c.expressions[0]->range) != "kv")
        fail(Diag::CacheForm, c.range, {source(c.range)}, "write `cache kv`: keys and values of earlier positions are kept");
      else if (instance)
        buildGeneration(instance, d.name.text, c.range);
    }
    for (auto &e : c.expressions) {
      std::string text = source(e->range);
      if (word == "target") {
        static const std::set<std::string> known = {"cpu", "cpu:host", "cpu:x86-64-v2", "cpu:x86-64-v3", "cpu:x86-64-v4", "cuda"};
        // Which processors there are the backend knows.
        bool processor = text.rfind("cpu:", 0) == 0 && text.size() > 4 && text.rfind("cpu:x86-64", 0) != 0;
        if (!known.count(text) && !processor)
          fail(Diag::UnknownTarget, e->range, {text},
               "targets are `cpu:host`, `cpu:x86-64-v2`, `-v3`, `-v4`, a processor as `cpu:znver4`, and `cuda`");
        out.targets.push_back(text);
      } else if (word == "precision") {
        if (text == "int4" || text == "fp8")
          unsupported("precision `" + text + "`", e->range);
        else if (text != "f32" && text != "bf16" && text != "f16" && text != "int8")
          fail(Diag::UnknownPrecision, e->range, {text}, "precisions are `f32`, `bf16`, `f16` and `int8`");
        else if (!out.precision.empty())
          unsupported("more than one precision in a `deploy`", e->range);
        else
          out.precision = text;
      } else if (word == "serve") {
        out.version = text;
      }
    }
  }
  program->deploys.push_back(std::move(out));
}

/// `precision int8 { keep embed }`: parts of the model that is shipped, or of what it shares with others.
void Checker::readKept(const ast::Clause &c, DeployProgram &deploy) {
  std::set<std::string> parts;
  for (const TensorDecl &t : program->tensors) {
    if (t.kind != TensorDecl::Kind::Param)
      continue;
    bool own = t.name.compare(0, deploy.train.size() + 1, deploy.train + ".") == 0;
    if (own || isShared(t.name))
      addPath(own ? t.name.substr(deploy.train.size() + 1) : t.name, parts);
  }
  for (auto &[word, e] : c.options) {
    if (word.text == "calibrate") {
      readCalibration(*e, deploy);
      continue;
    }
    std::string path = partPath(*e, exprPath(*e), deploy.train);
    if (parts.count(path))
      deploy.keep.push_back(path);
    else
      fail(Diag::UnknownPart, e->range, {deploy.train, source(e->range)}, partsHint(path, parts));
  }
}

/// `precision int8 { calibrate digits.valid }`: activations in eight bits too, with the ranges that they have there.
void Checker::readCalibration(const ast::Expr &e, DeployProgram &deploy) {
  auto no = [&](const std::string &why, const std::string &hint = "") { fail(Diag::CalibrateForm, e.range, {source(e.range), why}, hint); };
  if (deploy.precision != "int8")
    return no("it finds ranges for `int8`, and the precision here is `" + deploy.precision + "`");
  if (!deploy.data.empty())
    return no("`" + deploy.train + "` has its ranges from `" + deploy.data + "." + deploy.split + "`");
  std::string split = "valid";
  DataSet *set = splitOf(e, mainModule(), split);
  if (!set)
    return;
  deploy.data = program->data[set->index].name, deploy.split = split;
  // What an evaluation computes shows the activations.
  for (const EvaluateProgram &evaluate : program->evaluates)
    if (evaluate.data == deploy.data && (evaluate.train == deploy.train || !evaluate.flow.empty()))
      return;
  Found f = findDecl(deploy.train, mainModule());
  bool trained = f.decl && f.decl->kind == ast::Decl::Kind::Train;
  no("no `evaluate` measures `" + deploy.train + "` on `" + deploy.data + "`",
     "write `evaluate " + (trained ? deploy.train : "FLOW") + " on " + deploy.data + "." + split + " { ... }`" +
         (trained ? "" : " of a flow that applies `" + deploy.train + "`") + ": calibration runs that");
}

} // namespace bigm::sema
