// A chain such as `a |> f |> g` is a left-leaning tree of any length, so chains are walked in a loop; everything else is
// as deep as its brackets. The depth of the result is counted on the way and bounded, for the sake of all later phases.
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
      s->value = expr(c->expr());
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

  static size_t terminal(antlr4::tree::ParseTree *tree) {
    auto *node = cast<antlr4::tree::TerminalNode>(tree);
    return node ? node->getSymbol()->getType() : 0;
  }
  static bool isPow(Parser::ExprContext *c) { return c->children.size() == 3 && terminal(c->children[1]) == Parser::POW; }

  ExprPtr expr(Parser::ExprContext *c) {
    // From the outermost link of the chain to its innermost, then build outwards.
    std::vector<Parser::ExprContext *> links;
    while (auto *left = cast<Parser::ExprContext>(c->children[0])) {
      links.push_back(c);
      c = left;
    }
    unsigned before = depth;
    depth += static_cast<unsigned>(links.size()) + 1;
    ExprPtr result;
    if (depth > kDeepestTree) {
      if (!tooDeep)
        diagnostics.error(Diag::NestedTooDeep, range(c), {std::to_string(kDeepestTree)}).hint =
            "give the inner parts names of their own";
      tooDeep = true;
      result = std::make_unique<RefExpr>();
      result->range = range(c);
      depth = before;
      return result;
    }
    result = innermost(c);
    for (size_t i = links.size(); i-- > 0;) {
      Parser::ExprContext *link = links[i];
      if (!isPow(link)) {
        result = extend(std::move(result), link);
        continue;
      }
      // `a ^ b ^ c` came as ((a ^ b) ^ c); the right end groups first.
      std::vector<ExprPtr> operands;
      std::vector<SourceRange> operators;
      operands.push_back(std::move(result));
      for (;; --i) {
        operators.push_back(range(cast<antlr4::tree::TerminalNode>(links[i]->children[1])->getSymbol()));
        operands.push_back(expr(cast<Parser::ExprContext>(links[i]->children[2])));
        if (i == 0 || !isPow(links[i - 1]))
          break;
      }
      result = std::move(operands.back());
      for (size_t k = operators.size(); k-- > 0;)
        result = binary(BinaryExpr::Op::Pow, operators[k], std::move(operands[k]), std::move(result));
    }
    depth = before;
    return result;
  }

  ExprPtr binary(BinaryExpr::Op op, SourceRange opRange, ExprPtr left, ExprPtr right) {
    auto e = std::make_unique<BinaryExpr>();
    e->op = op;
    e->opRange = opRange;
    e->range = {file, left->range.begin, right ? right->range.end : opRange.end};
    e->left = std::move(left);
    e->right = std::move(right);
    return e;
  }

  /// One more link of a chain: a member, a call, an index or an operator behind `left`.
  ExprPtr extend(ExprPtr left, Parser::ExprContext *link) {
    SourceRange whole = {file, left->range.begin, range(link).end};
    switch (terminal(link->children[1])) {
    case Parser::DOT: {
      auto e = std::make_unique<MemberExpr>();
      e->range = whole;
      e->base = std::move(left);
      e->member = name(static_cast<Parser::MemberExprContext *>(link)->word());
      return e;
    }
    case Parser::LPAREN: {
      auto e = std::make_unique<CallExpr>();
      e->range = whole;
      e->callee = std::move(left);
      for (auto *a : static_cast<Parser::CallExprContext *>(link)->argument())
        e->arguments.push_back(argument(a));
      return e;
    }
    case Parser::LBRACKET: {
      auto e = std::make_unique<IndexExpr>();
      e->range = whole;
      e->base = std::move(left);
      for (auto *i : static_cast<Parser::IndexExprContext *>(link)->item())
        e->items.push_back(item(i));
      return e;
    }
    default:
      break;
    }
    antlr4::Token *sign = cast<antlr4::tree::TerminalNode>(link->children[1])->getSymbol();
    ExprPtr right = link->children.size() > 2 ? expr(cast<Parser::ExprContext>(link->children[2])) : nullptr;
    ExprPtr e = binary(operation(sign->getType()), range(sign), std::move(left), std::move(right));
    e->range.end = whole.end;
    return e;
  }

  static BinaryExpr::Op operation(size_t type) {
    using Op = BinaryExpr::Op;
    switch (type) {
    case Parser::ARROW: return Op::To;
    case Parser::PIPE: return Op::Pipe;
    case Parser::EACH: return Op::Each;
    case Parser::OR: return Op::Or;
    case Parser::AND: return Op::And;
    case Parser::EQ: return Op::Eq;
    case Parser::NE: return Op::Ne;
    case Parser::LT: return Op::Lt;
    case Parser::LE: return Op::Le;
    case Parser::GT: return Op::Gt;
    case Parser::GE: return Op::Ge;
    case Parser::PLUS: return Op::Add;
    case Parser::MINUS: return Op::Sub;
    case Parser::STAR: return Op::Mul;
    case Parser::SLASH: return Op::Div;
    default: return Op::Pow;
    }
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

  /// The part of an expression that no chain leads into: a primary, or a sign and its operand.
  ExprPtr innermost(Parser::ExprContext *c) {
    if (c->children.size() == 2) {
      auto e = std::make_unique<UnaryExpr>();
      e->range = range(c);
      e->op = terminal(c->children[0]) == Parser::NOT ? UnaryExpr::Op::Not : UnaryExpr::Op::Negate;
      e->operand = expr(cast<Parser::ExprContext>(c->children[1]));
      return e;
    }
    return primary(static_cast<Parser::PrimaryExprContext *>(c)->primary());
  }

  ExprPtr primary(Parser::PrimaryContext *tree) {
    if (auto *c = cast<Parser::ReferenceContext>(tree))
      return reference(c->name());
    if (auto *c = cast<Parser::NumberContext>(tree))
      return number(c->NUMBER()->getSymbol());
    if (auto *c = cast<Parser::ParenthesizedContext>(tree))
      return expr(c->expr());
    if (auto *c = cast<Parser::StringContext>(tree))
      return string(c->STRING()->getSymbol());
    if (auto *c = cast<Parser::RecordValueContext>(tree))
      return record(c->record());
    if (auto *c = cast<Parser::ListContext>(tree)) {
      auto e = std::make_unique<ListExpr>();
      e->range = range(tree);
      for (auto *element : c->expr())
        e->items.push_back(expr(element));
      return e;
    }
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
