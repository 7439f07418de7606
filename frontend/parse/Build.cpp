// The parser hands over an expression as a flat list of operands and operators; precedence climbing makes the tree. How
// deep it can become is known from the length of the list, and is bounded for the sake of all later phases.
#include "Build.h"
#include "Parse.h"
#include "Tokens.h"
#include <algorithm>
#include <cstdlib>
#include <utf8proc.h>

namespace bigm {
namespace {

using Parser = generated::BigmParser;
using antlr4::ParserRuleContext;
using namespace ast;

const std::vector<std::string> kUnits = {"%", "deg", "Hz", "kHz", "MHz", "us", "ms", "s"};

template <class T> T *cast(antlr4::tree::ParseTree *tree) { return dynamic_cast<T *>(tree); }

class Builder {
public:
  Builder(const SourceManager &sources, uint32_t file, Diagnostics &diagnostics)
      : sources(sources), text(sources.text(file)), file(file), diagnostics(diagnostics) {}

  DeclPtr declaration(Parser::DeclarationContext *tree) {
    DeclPtr result = anyDeclaration(tree);
    result->range = range(tree);
    result->doc = docAbove(result->range.begin);
    return result;
  }

private:
  const SourceManager &sources;
  std::string_view text;
  uint32_t file;
  Diagnostics &diagnostics;
  unsigned depth = 0;
  bool tooDeep = false;

  // -------------------------------------------------------------------------------------------------- places, words
  static const Token *token(antlr4::Token *t) { return static_cast<const Token *>(t); }
  SourceRange range(antlr4::Token *t) const { return {file, token(t)->begin(), token(t)->end()}; }
  SourceRange range(ParserRuleContext *c) const {
    return {file, token(c->getStart())->begin(), token(c->getStop())->end()};
  }
  std::string written(SourceRange r) const { return std::string(sources.text(r)); }

  /// Words in different but equivalent Unicode spellings are one word.
  std::string wordText(SourceRange r) const {
    std::string word = written(r);
    if (std::all_of(word.begin(), word.end(), [](unsigned char c) { return c < 0x80; }))
      return word;
    utf8proc_uint8_t *normal = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t *>(word.c_str()));
    if (normal) {
      word = reinterpret_cast<const char *>(normal);
      free(normal);
    }
    return word;
  }
  Name name(ParserRuleContext *c) const { return {wordText(range(c)), range(c)}; }
  Name name(antlr4::Token *t) const { return {written(range(t)), range(t)}; }

  /// The comment lines right above a declaration, without their marks.
  std::string docAbove(uint32_t offset) const {
    unsigned line = sources.place(file, offset).line;
    std::vector<std::string> lines;
    while (line > 1) {
      std::string_view above = sources.line(file, --line);
      size_t first = above.find_first_not_of(" \t");
      if (first == std::string_view::npos || above[first] != '#')
        break;
      above.remove_prefix(first + 1);
      if (!above.empty() && above[0] == ' ')
        above.remove_prefix(1);
      above = above.substr(0, above.find_last_not_of(" \t") + 1);
      lines.emplace_back(above);
    }
    std::string doc;
    for (size_t i = lines.size(); i-- > 0;)
      doc += lines[i] + (i ? "\n" : "");
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
      for (auto *field : c->field())
        out.fields.push_back({name(field->word()), type(field->type()), nullptr});
    } else if (auto *c = cast<Parser::SplitClauseContext>(tree)) {
      out.expressions.push_back(record(c->record()));
      if (c->expr())
        out.options.emplace_back(name(c->SEED()->getSymbol()), expr(c->expr()));
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
        auto keeps = precision->KEEP();
        auto lists = precision->exprs();
        for (size_t i = 0; i < lists.size(); ++i)
          for (ExprPtr &kept : exprs(lists[i]))
            out.options.emplace_back(name(keeps[i]->getSymbol()), std::move(kept));
      }
    } else if (auto *c = cast<Parser::LetClauseContext>(tree)) {
      out.keyword = {"let", range(c->name())};
      out.name = name(c->name());
      const auto &words = clauseWords();
      if (std::find(words.begin(), words.end(), out.name.text) != words.end())
        diagnostics.error(Diag::ClauseWithEquals, out.name.range, {out.name.text}).hint =
            "write `" + out.name.text + " ...`";
      out.expressions.push_back(expr(c->expr()));
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------------------ statements
  std::unique_ptr<Block> block(Parser::BlockContext *c) {
    auto out = std::make_unique<Block>();
    out->range = range(c);
    for (auto *s : c->statement()) {
      StmtPtr made = statement(s);
      made->range = range(s);
      out->statements.push_back(std::move(made));
    }
    return out;
  }

  StmtPtr statement(Parser::StatementContext *tree) {
    if (auto *c = cast<Parser::AssignmentContext>(tree)) {
      auto s = std::make_unique<AssignStmt>();
      s->name = name(c->name());
      s->value = expr(c->expr());
      return s;
    }
    if (auto *c = cast<Parser::ResultStatementContext>(tree)) {
      auto s = std::make_unique<ResultStmt>();
      s->value = expr(c->result());
      return s;
    }
    if (auto *c = cast<Parser::TypedAssignmentContext>(tree)) {
      auto s = std::make_unique<AssignStmt>();
      s->name = name(c->name());
      s->type = type(c->type());
      s->value = expr(c->expr());
      return s;
    }
    if (auto *c = cast<Parser::IndexedAssignmentContext>(tree)) {
      auto s = std::make_unique<AssignStmt>();
      auto names = c->name();
      s->name = name(names[0]);
      s->indexed = true;
      for (size_t i = 1; i < names.size(); ++i)
        s->indices.push_back(name(names[i]));
      s->value = expr(c->expr());
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
    if (auto *c = cast<Parser::YieldStatementContext>(tree)) {
      auto s = std::make_unique<YieldStmt>();
      s->value = expr(c->expr());
      return s;
    }
    auto *c = cast<Parser::ForStatementContext>(tree);
    auto s = std::make_unique<ForStmt>();
    s->name = name(c->name());
    s->list = expr(c->expr());
    s->body = block(c->block());
    return s;
  }

  // ----------------------------------------------------------------------------------------------------- expressions
  std::vector<ExprPtr> exprs(Parser::ExprsContext *c) {
    std::vector<ExprPtr> out;
    for (auto *e : c->expr())
      out.push_back(expr(e));
    return out;
  }

  /// One element of the flat list that the parser makes of an expression.
  struct Part {
    enum Kind { Prefix, Primary, Link } kind;
    antlr4::tree::ParseTree *tree;
  };

  static antlr4::Token *terminal(antlr4::tree::ParseTree *tree) {
    auto *node = cast<antlr4::tree::TerminalNode>(tree);
    return node ? node->getSymbol() : nullptr;
  }

  SourceRange extent(antlr4::tree::ParseTree *tree) const {
    antlr4::Token *token = terminal(tree);
    return token ? range(token) : range(static_cast<ParserRuleContext *>(tree));
  }

  /// The elements of an expression, a result line or an operand, in order.
  static void flatten(ParserRuleContext *c, std::vector<Part> &out) {
    for (antlr4::tree::ParseTree *child : c->children) {
      if (terminal(child)) {
        out.push_back({Part::Prefix, child});
      } else if (auto *operand = cast<Parser::OperandContext>(child)) {
        flatten(operand, out);
      } else if (auto *link = cast<Parser::LinkContext>(child)) {
        out.push_back({Part::Link, link});
        if (auto *binary = cast<Parser::BinaryContext>(link))
          flatten(binary->operand(), out);
        else if (auto *each = cast<Parser::EachContext>(link); each && each->operand())
          flatten(each->operand(), out);
      } else {
        out.push_back({Part::Primary, child});
      }
    }
  }

  ExprPtr expr(ParserRuleContext *c) {
    std::vector<Part> parts;
    flatten(c, parts);
    // However they group, the tree is no deeper than its operators are many.
    unsigned before = depth;
    depth += 1 + static_cast<unsigned>(std::count_if(parts.begin(), parts.end(),
                                                     [](const Part &part) { return part.kind != Part::Primary; }));
    ExprPtr result;
    if (depth <= kDeepestTree) {
      size_t next = 0;
      result = climb(parts, next, kLoosest);
    } else {
      if (!tooDeep)
        diagnostics.error(Diag::NestedTooDeep, range(c->getStart()), {std::to_string(kDeepestTree)}).hint =
            "give the inner parts names of their own";
      tooDeep = true;
      result = std::make_unique<RefExpr>();
      result->range = range(c);
    }
    depth = before;
    return result;
  }

  /// How tightly operators bind.
  enum Level { kLoosest, kTo, kPipe, kEach, kOr, kAnd, kNot, kCompare, kAdd, kMultiply, kNegate, kPower };

  static std::pair<BinaryExpr::Op, Level> operation(size_t type) {
    using Op = BinaryExpr::Op;
    switch (type) {
    case Parser::ARROW: return {Op::To, kTo};
    case Parser::PIPE: return {Op::Pipe, kPipe};
    case Parser::EACH: return {Op::Each, kEach};
    case Parser::OR: return {Op::Or, kOr};
    case Parser::AND: return {Op::And, kAnd};
    case Parser::EQ: return {Op::Eq, kCompare};
    case Parser::NE: return {Op::Ne, kCompare};
    case Parser::LT: return {Op::Lt, kCompare};
    case Parser::LE: return {Op::Le, kCompare};
    case Parser::GT: return {Op::Gt, kCompare};
    case Parser::GE: return {Op::Ge, kCompare};
    case Parser::PLUS: return {Op::Add, kAdd};
    case Parser::MINUS: return {Op::Sub, kAdd};
    case Parser::STAR: return {Op::Mul, kMultiply};
    case Parser::SLASH: return {Op::Div, kMultiply};
    default: return {Op::Pow, kPower};
    }
  }

  /// Precedence climbing: the expression that begins at parts[next], as far as its operators bind at least as `least`.
  ExprPtr climb(const std::vector<Part> &parts, size_t &next, Level least) {
    const Part &first = parts[next++];
    uint32_t begin = extent(first.tree).begin; // with parentheses, which leave no node
    ExprPtr left;
    if (first.kind == Part::Prefix) {
      antlr4::Token *sign = terminal(first.tree);
      bool isNot = sign->getType() == Parser::NOT;
      auto e = std::make_unique<UnaryExpr>();
      e->op = isNot ? UnaryExpr::Op::Not : UnaryExpr::Op::Negate;
      e->operand = climb(parts, next, isNot ? kNot : kNegate);
      e->range = {file, begin, extent(parts[next - 1].tree).end};
      left = std::move(e);
    } else {
      left = primary(static_cast<ParserRuleContext *>(first.tree));
    }
    while (next < parts.size()) {
      auto *link = static_cast<Parser::LinkContext *>(parts[next].tree);
      if (auto *c = cast<Parser::BinaryContext>(link)) {
        auto [op, level] = operation(c->op->getType());
        if (level < least)
          break;
        ++next;
        ExprPtr right = climb(parts, next, level == kPower ? kPower : static_cast<Level>(level + 1));
        left = binary(op, range(c->op), std::move(left), std::move(right));
        left->range = {file, begin, extent(parts[next - 1].tree).end};
      } else if (auto *c = cast<Parser::EachContext>(link)) {
        if (kEach < least)
          break;
        ++next;
        ExprPtr right = c->operand() ? climb(parts, next, static_cast<Level>(kEach + 1)) : nullptr;
        left = binary(BinaryExpr::Op::Each, range(c->EACH()->getSymbol()), std::move(left), std::move(right));
        left->range = {file, begin, extent(parts[next - 1].tree).end};
      } else {
        ++next;
        left = extend(std::move(left), link);
        left->range = {file, begin, range(link).end};
      }
    }
    return left;
  }

  ExprPtr binary(BinaryExpr::Op op, SourceRange opRange, ExprPtr left, ExprPtr right) {
    auto e = std::make_unique<BinaryExpr>();
    e->op = op;
    e->opRange = opRange;
    e->left = std::move(left);
    e->right = std::move(right);
    return e;
  }

  /// A member, a call or an index behind `left`.
  ExprPtr extend(ExprPtr left, Parser::LinkContext *link) {
    if (auto *c = cast<Parser::MemberContext>(link)) {
      auto e = std::make_unique<MemberExpr>();
      e->base = std::move(left);
      e->member = name(c->word());
      return e;
    }
    if (auto *c = cast<Parser::CallContext>(link)) {
      auto e = std::make_unique<CallExpr>();
      e->callee = std::move(left);
      for (auto *a : c->argument())
        e->arguments.push_back(argument(a));
      return e;
    }
    auto e = std::make_unique<IndexExpr>();
    e->base = std::move(left);
    for (auto *i : static_cast<Parser::IndexContext *>(link)->item())
      e->items.push_back(item(i));
    return e;
  }

  Argument argument(Parser::ArgumentContext *tree) {
    if (auto *c = cast<Parser::PlainArgumentContext>(tree))
      return {{}, nullptr, expr(c->expr())};
    if (auto *c = cast<Parser::NamedArgumentContext>(tree))
      return {name(c->word()), nullptr, expr(c->expr())};
    auto *c = cast<Parser::DottedArgumentContext>(tree);
    ExprPtr label = reference(c->name());
    for (auto *word : c->word()) {
      auto e = std::make_unique<MemberExpr>();
      e->member = name(word);
      e->range = {file, label->range.begin, e->member.range.end};
      e->base = std::move(label);
      label = std::move(e);
    }
    return {{}, std::move(label), expr(c->expr())};
  }

  ExprPtr item(Parser::ItemContext *tree) {
    if (auto *c = cast<Parser::ExprItemContext>(tree)) {
      ExprPtr first = expr(c->first);
      if (!c->DOTS())
        return first;
      auto e = std::make_unique<RangeExpr>();
      e->range = range(tree);
      e->first = std::move(first);
      e->last = c->last ? expr(c->last) : nullptr;
      return e;
    }
    ExprPtr out;
    if (auto *c = cast<Parser::HeadItemContext>(tree)) {
      auto e = std::make_unique<RangeExpr>();
      e->last = c->last ? expr(c->last) : nullptr;
      out = std::move(e);
    } else {
      out = std::make_unique<AllExpr>();
    }
    out->range = range(tree);
    return out;
  }

  ExprPtr reference(Parser::NameContext *c) {
    auto e = std::make_unique<RefExpr>();
    e->range = range(c);
    e->name = name(c).text;
    return e;
  }

  ExprPtr listOf(ParserRuleContext *tree, const std::vector<Parser::ExprContext *> &elements) {
    auto e = std::make_unique<ListExpr>();
    e->range = range(tree);
    for (auto *element : elements)
      e->items.push_back(expr(element));
    return e;
  }

  ExprPtr primary(ParserRuleContext *tree) {
    if (auto *c = cast<Parser::ReferenceContext>(tree))
      return reference(c->name());
    if (auto *c = cast<Parser::NumberContext>(tree))
      return number(c->NUMBER()->getSymbol());
    if (auto *c = cast<Parser::ValueParenthesizedContext>(tree))
      return expr(c->expr());
    if (auto *c = cast<Parser::ParenthesizedContext>(tree))
      return expr(c->expr());
    if (auto *c = cast<Parser::StringContext>(tree))
      return string(c->STRING()->getSymbol());
    if (auto *c = cast<Parser::RecordValueContext>(tree))
      return record(c->record());
    if (auto *c = cast<Parser::ValueListContext>(tree))
      return listOf(c, c->expr());
    if (auto *c = cast<Parser::ListContext>(tree))
      return listOf(c, c->expr());
    if (auto *c = cast<Parser::RepeatContext>(tree)) {
      auto e = std::make_unique<RepeatExpr>();
      e->range = range(tree);
      (c->until ? e->until : e->count) = expr(c->expr());
      e->body = block(c->block());
      return e;
    }
    return when(static_cast<Parser::WhenContext *>(tree));
  }

  /// `else when` is an `else` whose block holds one `when`.
  ExprPtr when(Parser::WhenContext *c) {
    auto conditions = c->expr();
    auto blocks = c->block();
    auto words = c->WHEN();
    std::unique_ptr<Block> otherwise = c->last ? block(c->last) : nullptr;
    unsigned before = depth;
    for (size_t i = conditions.size(); i-- > 0;) {
      depth += i > 0;
      auto e = std::make_unique<WhenExpr>();
      e->range = {file, range(words[i]->getSymbol()).begin, range(c).end};
      e->condition = expr(conditions[i]);
      e->then = block(blocks[i]);
      e->otherwise = std::move(otherwise);
      if (i == 0) {
        depth = before;
        return e;
      }
      auto result = std::make_unique<ResultStmt>();
      result->range = e->range;
      result->value = std::move(e);
      otherwise = std::make_unique<Block>();
      otherwise->range = result->range;
      otherwise->statements.push_back(std::move(result));
    }
    return nullptr; // unreachable: there is always one condition
  }

  std::unique_ptr<RecordExpr> record(Parser::RecordContext *c) {
    auto e = std::make_unique<RecordExpr>();
    e->range = range(c);
    for (auto *field : c->recordField())
      e->fields.push_back({name(field->word()), expr(field->expr())});
    return e;
  }

  std::unique_ptr<NumberExpr> number(antlr4::Token *t) {
    auto e = std::make_unique<NumberExpr>();
    e->range = range(t);
    e->text = written(e->range);
    size_t digits = e->text.find_first_not_of("0123456789.");
    if (digits != std::string::npos && (e->text[digits] == 'e' || e->text[digits] == 'E')) {
      size_t after = digits + 1 + (e->text.size() > digits + 1 && (e->text[digits + 1] == '+' || e->text[digits + 1] == '-'));
      if (after < e->text.size() && isdigit(static_cast<unsigned char>(e->text[after])))
        digits = e->text.find_first_not_of("0123456789", after);
    }
    std::string value = e->text.substr(0, digits);
    e->unit = digits == std::string::npos ? "" : e->text.substr(digits);
    e->value = strtod(value.c_str(), nullptr);
    e->isInteger = value.find_first_not_of("0123456789") == std::string::npos;
    if (!e->unit.empty() && std::find(kUnits.begin(), kUnits.end(), e->unit) == kUnits.end()) {
      std::string near = didYouMean(e->unit, kUnits);
      SourceRange where = {file, e->range.end - static_cast<uint32_t>(e->unit.size()), e->range.end};
      diagnostics.error(Diag::UnknownUnit, where, {e->unit}).hint =
          near.empty() ? "to multiply, write `" + value + " * " + e->unit + "`" : "did you mean `" + near + "`?";
    }
    return e;
  }

  ExprPtr string(antlr4::Token *t) {
    auto e = std::make_unique<StringExpr>();
    e->range = range(t);
    std::string_view s = sources.text(e->range);
    s.remove_prefix(1);
    if (!s.empty() && s.back() == '"')
      s.remove_suffix(1);
    for (size_t i = 0; i < s.size(); ++i) {
      if (s[i] != '\\' || i + 1 == s.size()) {
        e->value += s[i];
        continue;
      }
      size_t begin = i++;
      switch (s[i]) {
      case 'n': e->value += '\n'; continue;
      case 't': e->value += '\t'; continue;
      case 'r': e->value += '\r'; continue;
      case '"': e->value += '"'; continue;
      case '\\': e->value += '\\'; continue;
      case 'u': {
        size_t close = s.find('}', i);
        if (i + 1 < s.size() && s[i + 1] == '{' && close != std::string_view::npos && close > i + 2 && close - i <= 8) {
          std::string digits(s.substr(i + 2, close - i - 2));
          char *end = nullptr;
          unsigned long point = strtoul(digits.c_str(), &end, 16);
          utf8proc_uint8_t bytes[4];
          if (!*end && isxdigit(static_cast<unsigned char>(digits[0])) && point > 0 && point <= 0x10FFFF &&
              utf8proc_codepoint_valid(static_cast<utf8proc_int32_t>(point))) {
            auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes);
            e->value.append(reinterpret_cast<char *>(bytes), static_cast<size_t>(n));
            i = close;
            continue;
          }
        }
        break;
      }
      default:
        break;
      }
      // The escape with its whole character, of up to four bytes.
      size_t end = i + 1;
      while (end < s.size() && (static_cast<unsigned char>(s[end]) & 0xC0) == 0x80)
        ++end;
      uint32_t at = e->range.begin + 1 + static_cast<uint32_t>(begin);
      diagnostics
          .error(Diag::UnknownEscape, {file, at, at + static_cast<uint32_t>(end - begin)},
                 {std::string(s.substr(begin, end - begin))})
          .hint = "known are \\n \\t \\r \\\" \\\\ and \\u{1F600}; a backslash itself is \\\\";
      i = end - 1;
    }
    return e;
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
      for (auto *field : cast<Parser::RecordTypeContext>(tree)->field())
        t->fields.push_back({name(field->word()), type(field->type())});
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
      for (auto *word : c->word())
        scalar->choices.push_back(name(word));
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
      "from",   "test",  "fields", "split", "derive", "augment", "loss",  "optimize", "batch",  "epochs",  "seed",
      "lr",     "clip",  "serve",  "weights", "cache", "freeze", "learn", "require",  "bucket", "start",   "stop",
      "phase",  "report", "target", "precision"};
  return words;
}

} // namespace bigm
