// Declarations, clauses, statements and types, node by node; expressions are BuildExpr's. What the grammar cannot say is
// reported here: `epochs = 4`, a label with two counts of classes.
#include "Build.h"
#include "BuildExpr.h"
#include <algorithm>

namespace bigm {
namespace {

using Parser = generated::BigmParser;
using antlr4::ParserRuleContext;
using namespace ast;

class Builder : private ExprBuilder {
public:
  Builder(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics)
      : ExprBuilder(sources, file, diagnostics) {}

  DeclPtr declaration(Parser::DeclarationContext *tree) {
    DeclPtr result = anyDeclaration(tree);
    result->range = range(tree);
    result->doc = docAbove(result->range.begin);
    return result;
  }

private:
  bool inFields = false; // of `data`, where values for what is missing stand
  /// The comment lines right above a declaration that begins its line, without their marks.
  std::string docAbove(uint32_t offset) const {
    size_t line = offset; // where the line begins that was looked at last
    while (line > 0 && (text[line - 1] == ' ' || text[line - 1] == '\t'))
      --line;
    std::vector<std::string_view> lines;
    while (line > 0 && text[line - 1] == '\n') {
      size_t end = line - 1, begin = line >= 2 ? text.rfind('\n', line - 2) + 1 : 0; // npos + 1 is 0
      std::string_view above = text.substr(begin, end - begin);
      size_t first = above.find_first_not_of(" \t");
      if (first == std::string_view::npos || above[first] != '#')
        break;
      above.remove_prefix(first + 1);
      if (!above.empty() && above[0] == ' ')
        above.remove_prefix(1);
      lines.push_back(above.substr(0, above.find_last_not_of(" \t\r") + 1));
      line = begin;
    }
    std::string doc;
    for (size_t i = lines.size(); i-- > 0;)
      doc += std::string(lines[i]) + (i ? "\n" : "");
    return doc;
  }

  // ---------------------------------------------------------------------------------------------------- declarations
  DeclPtr anyDeclaration(Parser::DeclarationContext *tree) {
    if (auto *c = cast<Parser::UseDeclarationContext>(tree)) {
      auto d = std::make_unique<UseDecl>();
      for (auto *module : c->module()) {
        Name path{"", range(module)};
        for (auto *word : module->word())
          path.text += (path.text.empty() ? "" : ".") + name(word).text;
        d->modules.push_back(std::move(path));
      }
      return d;
    }
    if (auto *c = cast<Parser::ConstDeclarationContext>(tree)) {
      auto d = std::make_unique<ConstDecl>();
      d->name = name(c->name());
      d->type = c->type() ? type(c->type()) : nullptr;
      d->value = expr(c->expr());
      return d;
    }
    if (auto *c = cast<Parser::DataDeclarationContext>(tree)) {
      auto d = std::make_unique<DataDecl>();
      d->name = name(c->name());
      d->clauses = clauses(c->clauses());
      return d;
    }
    if (auto *c = cast<Parser::FitDeclarationContext>(tree)) {
      auto d = std::make_unique<FitDecl>();
      d->name = name(c->name());
      if (c->expr())
        d->value = expr(c->expr());
      else
        callable(*d, c->signature(), c->block());
      return d;
    }
    if (auto *c = cast<Parser::CallableDeclarationContext>(tree)) {
      size_t word = c->kind->getType();
      auto d = std::make_unique<CallableDecl>(word == Parser::MODEL ? Decl::Kind::Model
                                              : word == Parser::FN  ? Decl::Kind::Fn
                                                                    : Decl::Kind::Flow);
      d->name = name(c->name());
      callable(*d, c->signature(), c->block());
      return d;
    }
    if (auto *c = cast<Parser::InstanceDeclarationContext>(tree)) {
      auto d = std::make_unique<InstanceDecl>();
      d->name = name(c->name());
      auto all = c->expr();
      if (c->ASSIGN())
        d->model = expr(all.front());
      if (c->FROM())
        d->source = expr(all.back());
      if (c->renames())
        for (auto *pair : c->renames()->expr())
          d->renames.push_back(expr(pair));
      return d;
    }
    if (auto *c = cast<Parser::TrainDeclarationContext>(tree)) {
      auto d = std::make_unique<TrainDecl>();
      d->name = name(c->name());
      d->model = c->expr() ? expr(c->expr()) : nullptr;
      d->data = exprs(c->exprs());
      d->clauses = clauses(c->clauses());
      return d;
    }
    if (auto *c = cast<Parser::EvaluateDeclarationContext>(tree)) {
      auto d = std::make_unique<EvaluateDecl>();
      d->subjects = exprs(c->exprs());
      d->data = expr(c->expr());
      d->clauses = clauses(c->clauses());
      return d;
    }
    auto *c = cast<Parser::DeployDeclarationContext>(tree);
    auto d = std::make_unique<DeployDecl>();
    d->name = name(c->name());
    d->model = c->expr() ? expr(c->expr()) : nullptr;
    d->clauses = clauses(c->clauses());
    return d;
  }

  void callable(CallableDecl &d, Parser::SignatureContext *signature, Parser::BlockContext *body) {
    auto lists = signature->parameters();
    d.hasSettings = lists.size() == 2;
    if (d.hasSettings)
      d.settings = parameters(lists[0]);
    d.inputs = parameters(lists.back());
    d.result = signature->type() ? type(signature->type()) : nullptr;
    d.body = block(body);
  }

  std::vector<Parameter> parameters(Parser::ParametersContext *c) {
    std::vector<Parameter> out;
    for (auto *p : c->parameter())
      out.push_back({name(p->name()), type(p->type()), p->expr() ? expr(p->expr()) : nullptr});
    return out;
  }

  // --------------------------------------------------------------------------------------------------------- clauses
  std::vector<Clause> clauses(Parser::ClausesContext *c) {
    std::vector<Clause> out;
    for (auto *clause : c->clause())
      out.push_back(this->clause(clause));
    return out;
  }

  Clause clause(Parser::ClauseContext *tree) {
    Clause out;
    out.keyword = name(tree->getStart());
    out.range = range(tree);
    if (auto *c = cast<Parser::PlainClauseContext>(tree)) {
      out.expressions = exprs(c->exprs());
    } else if (auto *c = cast<Parser::FieldsClauseContext>(tree)) {
      inFields = true;
      for (auto *field : c->dataField())
        out.fields.push_back({name(field->field()->word()), type(field->field()->type()), field->expr() ? expr(field->expr()) : nullptr});
      inFields = false;
    } else if (auto *c = cast<Parser::SplitClauseContext>(tree)) {
      out.expressions.push_back(record(c->record()));
      if (c->expr())
        out.options.emplace_back(name(c->SEED()->getSymbol()), expr(c->expr()));
      if (c->name()) {
        Name word = name(c->name());
        if (word.text != "order")
          diagnostics.error(Diag::Expected, word.range, {"`order`", "`" + word.text + "`"}).hint = "write `split { ... } in order`";
        out.flag = "in order";
      }
    } else if (auto *c = cast<Parser::OptimizeClauseContext>(tree)) {
      for (auto *optimizer : c->optimizer()) {
        out.expressions.push_back(expr(optimizer->expr()));
        addOptions(out, optimizer->LEARN(), optimizer->exprs());
      }
    } else if (auto *c = cast<Parser::DeriveClauseContext>(tree)) {
      out.name = name(c->name());
      out.type = c->type() ? type(c->type()) : nullptr;
      out.expressions.push_back(expr(c->expr()));
    } else if (auto *c = cast<Parser::AugmentClauseContext>(tree)) {
      out.name = name(c->word());
      out.body = block(c->block());
    } else if (auto *c = cast<Parser::BucketClauseContext>(tree)) {
      out.expressions.push_back(expr(c->expr()));
    } else if (auto *c = cast<Parser::StartClauseContext>(tree)) {
      out.expressions.push_back(expr(c->expr()));
      out.flag = c->PRESENT() ? "if present" : "";
    } else if (auto *c = cast<Parser::StopClauseContext>(tree)) {
      for (auto *e : c->expr())
        out.expressions.push_back(expr(e));
      out.flag = c->FLAT() ? "flat" : "";
    } else if (auto *c = cast<Parser::PhaseClauseContext>(tree)) {
      out.name = name(c->name());
      out.clauses = clauses(c->clauses());
    } else if (auto *c = cast<Parser::ReportClauseContext>(tree)) {
      for (auto *entry : c->entry()) {
        out.names.push_back(entry->name() ? name(entry->name()) : Name{});
        out.expressions.push_back(expr(entry->expr()));
      }
    } else if (auto *c = cast<Parser::TargetClauseContext>(tree)) {
      for (auto *target : c->target()) {
        auto e = std::make_unique<RefExpr>();
        e->range = range(target);
        e->name = written(e->range);
        // Spaces may stand between the parts.
        e->name.erase(std::remove_if(e->name.begin(), e->name.end(), [](unsigned char ch) { return ch <= ' '; }),
                      e->name.end());
        out.expressions.push_back(std::move(e));
      }
    } else if (auto *c = cast<Parser::PrecisionClauseContext>(tree)) {
      for (auto *precision : c->precision()) {
        out.expressions.push_back(reference(precision->name()));
        for (auto *option : precision->precisionOption())
          for (ExprPtr &e : exprs(option->exprs()))
            out.options.emplace_back(name(option->getStart()), std::move(e));
      }
    } else if (auto *c = cast<Parser::FitClauseContext>(tree)) {
      out.name = name(c->name());
      out.expressions.push_back(expr(c->expr()));
    } else if (auto *c = cast<Parser::LetClauseContext>(tree)) {
      auto let = assignment(c->assignment());
      let->range = range(c);
      out.keyword = {"let", let->name.range};
      out.name = let->name;
      const auto &words = clauseWords();
      if (std::find(words.begin(), words.end(), out.name.text) != words.end())
        diagnostics.error(Diag::ClauseWithEquals, out.name.range, {out.name.text}).hint =
            "write `" + out.name.text + " ...`";
      out.let = std::move(let);
    }
    return out;
  }

  /// `{ learn embed, head  learn norm }`: each word with the list behind it.
  void addOptions(Clause &out, const std::vector<antlr4::tree::TerminalNode *> &words,
                  const std::vector<Parser::ExprsContext *> &lists) {
    for (size_t i = 0; i < lists.size(); ++i)
      for (ExprPtr &e : exprs(lists[i]))
        out.options.emplace_back(name(words[i]->getSymbol()), std::move(e));
  }

  // ------------------------------------------------------------------------------------------------------ statements
  std::unique_ptr<Block> block(Parser::BlockContext *c) override {
    auto out = std::make_unique<Block>();
    out->range = range(c);
    for (auto *s : c->statement()) {
      StmtPtr made = statement(s);
      made->range = range(s);
      out->statements.push_back(std::move(made));
    }
    return out;
  }

  std::unique_ptr<AssignStmt> assignment(Parser::AssignmentContext *tree) {
    auto s = std::make_unique<AssignStmt>();
    auto names = tree->name();
    s->name = name(names[0]);
    s->indexed = names.size() > 1;
    for (size_t i = 1; i < names.size(); ++i)
      s->indices.push_back(name(names[i]));
    if (tree->type())
      s->type = type(tree->type());
    s->value = expr(tree->expr());
    return s;
  }

  StmtPtr statement(Parser::StatementContext *tree) {
    if (auto *c = cast<Parser::AssignmentStatementContext>(tree))
      return assignment(c->assignment());
    if (auto *c = cast<Parser::ResultStatementContext>(tree)) {
      auto s = std::make_unique<ResultStmt>();
      s->value = expr(c->result());
      return s;
    }
    if (auto *c = cast<Parser::ParameterStatementContext>(tree)) {
      auto s = std::make_unique<ParamStmt>();
      s->isState = c->kind->getType() == Parser::STATE;
      s->name = name(c->name());
      s->type = type(c->type());
      s->init = c->expr() ? expr(c->expr()) : nullptr;
      return s;
    }
    auto *c = cast<Parser::YieldStatementContext>(tree);
    auto s = std::make_unique<YieldStmt>();
    s->value = expr(c->expr());
    return s;
  }

  // ----------------------------------------------------------------------------------------------------------- types
  TypePtr type(Parser::TypeContext *c) {
    TypePtr base = baseType(c->baseType());
    if (!c->QUESTION())
      return base;
    auto t = std::make_unique<OptionalType>();
    t->range = range(c);
    t->element = std::move(base);
    return t;
  }

  TypePtr baseType(Parser::BaseTypeContext *tree) {
    if (auto *c = cast<Parser::NamedTypeContext>(tree))
      return namedType(c);
    TypePtr out;
    if (auto *c = cast<Parser::StreamTypeContext>(tree)) {
      auto t = std::make_unique<StreamType>();
      t->element = baseType(c->baseType());
      out = std::move(t);
    } else if (auto *c = cast<Parser::ListTypeContext>(tree)) {
      auto t = std::make_unique<ListType>();
      t->element = type(c->type());
      out = std::move(t);
    } else {
      auto t = std::make_unique<RecordType>();
      for (auto *part : cast<Parser::RecordTypeContext>(tree)->dataField()) {
        t->fields.push_back({name(part->field()->word()), type(part->field()->type()), part->expr() ? expr(part->expr()) : nullptr});
        if (part->expr() && !inFields)
          diagnostics.error(Diag::DefaultNotHere, range(part->expr()), {t->fields.back().name.text});
      }
      out = std::move(t);
    }
    out->range = range(tree);
    return out;
  }

  /// The first brackets behind `label` count its classes; any others are dimensions.
  TypePtr namedType(Parser::NamedTypeContext *c) {
    auto scalar = std::make_unique<ScalarType>();
    SourceRange word = range(c->ID()->getSymbol());
    scalar->name = {wordText(word), word};
    scalar->range = word;
    if (auto *brace = c->TightBrace()) {
      for (auto *choice : c->className()) {
        if (choice->STRING())
          scalar->choices.push_back({string(choice->STRING()->getSymbol())->value, range(choice)});
        else
          scalar->choices.push_back(name(choice));
      }
      scalar->range.end = range(brace->getSymbol()).end;
      if (c->RBRACE())
        scalar->range.end = range(c->RBRACE()->getSymbol()).end;
    }
    if (c->NUMBER()) {
      scalar->rate = number(c->NUMBER()->getSymbol());
      scalar->range.end = scalar->rate->range.end;
    }
    std::vector<Parser::DimsContext *> dims = c->dims();
    bool label = scalar->name.text == "label" && scalar->choices.empty();
    if (label && !dims.empty()) {
      auto list = dims[0]->dim();
      if (list.size() == 1 && list[0]->expr())
        scalar->classes = expr(list[0]->expr());
      else
        diagnostics.error(Diag::Expected, range(dims[0]), {"one number of classes", "`" + written(range(dims[0])) + "`"})
            .hint = "write `label[C][N, T]` for a tensor of labels";
      scalar->range.end = range(dims[0]).end;
      dims.erase(dims.begin());
    }
    if (dims.empty())
      return scalar;
    if (dims.size() > 1)
      diagnostics.error(Diag::Expected, range(dims[1]), {"one list of dimensions", "a second one"}).hint =
          "write all dimensions in one pair of brackets";
    auto t = std::make_unique<TensorType>();
    t->range = range(c);
    t->element = std::move(scalar);
    for (auto *dim : dims[0]->dim()) {
      TensorType::Dim d;
      d.pack = dim->ELLIPSIS() != nullptr;
      d.size = d.pack ? nullptr : expr(dim->expr());
      d.range = range(dim);
      t->dims.push_back(std::move(d));
    }
    return t;
  }
};

} // namespace

ast::DeclPtr buildDeclaration(Parser::DeclarationContext *tree, const SourceManager &sources, uint32_t file,
                              Diagnostics &diagnostics) {
  return Builder(sources, file, diagnostics).declaration(tree);
}

const std::vector<std::string> &clauseWords() {
  static const std::vector<std::string> words = {
      "from",   "test",  "fields", "split", "derive", "augment", "loss",  "optimize", "batch",  "epochs",  "seed",   "valid", "steps",
      "lr",     "clip",  "accumulate", "ema", "serve",  "weights", "cache", "freeze", "learn", "require",  "bucket", "start",   "stop",
      "phase",  "report", "target", "precision", "validate"};
  return words;
}

std::string clauseElsewhere(const std::string &word) {
  static const std::pair<const char *, const char *> others[] = {
      {"batch_size", "batch"},      {"batches", "batch"},      {"criterion", "loss"},      {"objective", "loss"},
      {"num_epochs", "epochs"},     {"n_epochs", "epochs"},    {"max_epochs", "epochs"},   {"max_steps", "steps"},
      {"num_steps", "steps"},       {"iterations", "steps"},   {"learning_rate", "lr"},    {"grad_clip", "clip"},
      {"gradient_accumulation_steps", "accumulate"}, {"accumulate_grad_batches", "accumulate"}, {"gradient_accumulation", "accumulate"}, {"grad_accum", "accumulate"},
      {"ema_decay", "ema"}, {"average", "ema"}, {"swa", "ema"},
      {"clip_grad_norm", "clip"},   {"clipnorm", "clip"},      {"metrics", "report"},      {"metric", "report"},
      {"train_test_split", "split"}, {"random_state", "seed"}, {"quantize", "precision"},  {"dtype", "precision"},
      {"early_stopping", "stop"},   {"transform", "derive"},   {"source", "from"},         {"columns", "fields"}};
  for (auto &[other, own] : others)
    if (word == other)
      return own;
  return "";
}

} // namespace bigm
