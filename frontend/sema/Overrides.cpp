// `--set path=value`: train.NAME.[PHASE.]CLAUSE, train.NAME.[PHASE.]optimize.[OPTIMISER.]SETTING, data.NAME.seed,
// const.NAME, flow.NAME.SETTING, evaluate.NAME.require.METRIC,
// evaluate.FLOW.fit.SETTING.METRIC.
#include "Checker.h"
#include <cerrno>
#include <cstdlib>

namespace bigm::sema {

static Val readValue(const std::string &text) {
  if (text == "true" || text == "false")
    return Val::of(text == "true");
  char *end = nullptr;
  errno = 0;
  double number = std::strtod(text.c_str(), &end);
  std::string rest = end ? std::string(end) : "";
  if (end != text.c_str() && (rest.empty() || rest == "%") && errno == 0) {
    if (rest == "%")
      return Val::of(number / 100);
    if (text.find_first_of(".eE") == std::string::npos)
      return Val::of(Dim(int64_t(number)));
    return Val::of(number);
  }
  return Val::string(text);
}

std::optional<Val> Checker::overridden(const std::string &path) {
  for (size_t i = overrides.size(); i-- > 0;)
    if (overrides[i].first == path)
      return readValue(overrides[i].second);
  return std::nullopt;
}

std::vector<std::string> Checker::overridePaths(const std::string &base, const std::string &optimizer,
                                                const std::string &setting, bool rest) {
  std::vector<std::string> out;
  if (rest)
    out.push_back(base + "optimize." + setting);
  out.push_back(base + "optimize." + optimizer + "." + setting);
  return out;
}

void Checker::checkOverrides(Module &main) {
  if (overrides.empty())
    return;
  std::vector<std::string> known;
  auto optimizerPaths = [&](const std::string &base, const ast::Clause *optimize) {
    for (size_t i = 0; optimize && i < optimize->expressions.size(); ++i) {
      const ast::Expr *e = optimize->expressions[i].get();
      if (auto *call = ast::as<ast::CallExpr>(e))
        e = call->callee.get();
      auto *ref = ast::as<ast::RefExpr>(e);
      Found f = ref ? findDecl(ref->name, &main) : Found{};
      if (!f.decl || f.decl->kind != ast::Decl::Kind::Fn)
        continue;
      for (auto *p : signature(static_cast<const ast::CallableDecl &>(*f.decl)).settings)
        for (auto &path : overridePaths(base, f.decl->name.text, p->name.text, optimize->optionsOf(i).empty()))
          known.push_back(path);
    }
  };
  for (auto &d : main.tree.decls) {
    if (d->kind == ast::Decl::Kind::Const)
      known.push_back("const." + d->name.text);
    if (d->kind == ast::Decl::Kind::Data)
      known.push_back("data." + d->name.text + ".seed");
    if (d->kind == ast::Decl::Kind::Flow)
      for (auto *p : signature(static_cast<const ast::CallableDecl &>(*d)).settings)
        known.push_back("flow." + d->name.text + "." + p->name.text);
    if (auto *e = ast::as<ast::EvaluateDecl>(d.get()))
      for (auto &subject : e->subjects)
        for (auto &c : e->clauses)
          if (c.keyword.text == "require")
            for (auto &condition : c.expressions)
              if (auto *b = ast::as<ast::BinaryExpr>(condition.get()))
                known.push_back("evaluate." + source(subject->range) + ".require." + source(b->left->range));
    if (auto *e = ast::as<ast::EvaluateDecl>(d.get()))
      for (auto &c : e->clauses)
        if (auto *goal = c.keyword.text == "fit" && !c.expressions.empty() ? ast::as<ast::CallExpr>(c.expressions[0].get()) : nullptr)
          for (auto &a : goal->arguments)
            if (auto *b = ast::as<ast::BinaryExpr>(a.value.get()))
              known.push_back("evaluate." + source(e->subjects[0]->range) + ".fit." + c.name.text + "." + source(b->left->range));
    if (auto *t = ast::as<ast::TrainDecl>(d.get())) {
      std::string base = "train." + t->name.text + ".";
      for (const char *word : {"epochs", "steps", "batch", "seed", "clip", "accumulate", "ema"})
        known.push_back(base + word);
      const ast::Clause *optimize = clause(t->clauses, "optimize");
      optimizerPaths(base, optimize);
      for (auto &c : t->clauses)
        if (c.keyword.text == "phase") {
          for (const char *word : {"epochs", "steps", "batch", "clip", "accumulate", "ema"})
            known.push_back(base + c.name.text + "." + word);
          const ast::Clause *own = clause(c.clauses, "optimize");
          optimizerPaths(base + c.name.text + ".", own ? own : optimize);
        }
    }
  }
  for (auto &[path, value] : overrides)
    if (std::find(known.begin(), known.end(), path) == known.end()) {
      std::string near = didYouMean(path, known);
      fail(Diag::UnknownOverride, {}, {path}, near.empty() ? "" : "did you mean `" + near + "`?");
    }
}

} // namespace bigm::sema
