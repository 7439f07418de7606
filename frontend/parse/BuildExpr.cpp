// The parser hands over an expression as a flat list of operands and operators; precedence climbing makes the tree. How
// deep it can become is known from the length of the list, and is bounded for the sake of all later phases.
#include "BuildExpr.h"
#include "Parse.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utf8proc.h>

namespace bigm {

using namespace ast;

static const std::vector<std::string> kUnits = {"%", "deg", "Hz", "kHz", "MHz", "us", "ms", "s"};

SourceRange ExprBuilder::range(ParserRuleContext *c) const {
  return {file, token(c->getStart())->begin(), token(c->getStop())->end()};
}

std::string ExprBuilder::wordText(SourceRange r) const {
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

std::vector<ExprPtr> ExprBuilder::exprs(Parser::ExprsContext *c) {
  std::vector<ExprPtr> out;
  for (auto *e : c->expr())
    out.push_back(expr(e));
  return out;
}

antlr4::Token *ExprBuilder::terminal(antlr4::tree::ParseTree *tree) {
  auto *node = cast<antlr4::tree::TerminalNode>(tree);
  return node ? node->getSymbol() : nullptr;
}

SourceRange ExprBuilder::extent(antlr4::tree::ParseTree *tree) const {
  antlr4::Token *token = terminal(tree);
  return token ? range(token) : range(static_cast<ParserRuleContext *>(tree));
}

void ExprBuilder::flatten(ParserRuleContext *c, std::vector<Part> &out) {
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

ExprPtr ExprBuilder::expr(ParserRuleContext *c) {
  std::vector<Part> parts;
  flatten(c, parts);
  // However they group, the tree is no deeper than its operators are many.
  unsigned before = depth;
  depth += 1 + static_cast<unsigned>(std::count_if(parts.begin(), parts.end(),
                                                   [](const Part &part) { return part.kind != Part::Primary; }));
  ExprPtr result;
  if (depth <= kDeepestTree) {
    size_t next = 0;
    result = climb(parts, next, Level::Top);
  } else {
    result = deeperThanAllowed(c);
  }
  depth = before;
  return result;
}

ExprPtr ExprBuilder::deeperThanAllowed(ParserRuleContext *c) {
  if (!tooDeep)
    diagnostics.error(Diag::NestedTooDeep, range(c->getStart()), {std::to_string(kDeepestTree)}).hint =
        "give the inner parts names of their own";
  tooDeep = true;
  auto e = std::make_unique<RefExpr>();
  e->range = range(c);
  return e;
}

BinaryExpr::Op ExprBuilder::operation(size_t type) {
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

ExprPtr ExprBuilder::climb(const std::vector<Part> &parts, size_t &next, Level least) {
  const Part &first = parts[next++];
  uint32_t begin = extent(first.tree).begin; // with parentheses, which leave no node
  ExprPtr left;
  if (first.kind == Part::Prefix) {
    antlr4::Token *sign = terminal(first.tree);
    bool isNot = sign->getType() == Parser::NOT;
    auto e = std::make_unique<UnaryExpr>();
    e->op = isNot ? UnaryExpr::Op::Not : UnaryExpr::Op::Negate;
    e->operand = climb(parts, next, isNot ? Level::Not : Level::Negate);
    e->range = {file, begin, extent(parts[next - 1].tree).end};
    left = std::move(e);
  } else {
    left = primary(static_cast<ParserRuleContext *>(first.tree));
  }
  while (next < parts.size()) {
    auto *link = static_cast<Parser::LinkContext *>(parts[next].tree);
    if (auto *c = cast<Parser::BinaryContext>(link)) {
      BinaryExpr::Op op = operation(c->op->getType());
      Level level = operatorOf(op).level;
      if (level < least)
        break;
      ++next;
      ExprPtr right = climb(parts, next, level == Level::Power ? level : tighter(level));
      left = binary(op, range(c->op), std::move(left), std::move(right));
      left->range = {file, begin, extent(parts[next - 1].tree).end};
    } else if (auto *c = cast<Parser::EachContext>(link)) {
      if (Level::Each < least)
        break;
      ++next;
      ExprPtr right = c->operand() ? climb(parts, next, tighter(Level::Each)) : nullptr;
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

ExprPtr ExprBuilder::binary(BinaryExpr::Op op, SourceRange opRange, ExprPtr left, ExprPtr right) {
  auto e = std::make_unique<BinaryExpr>();
  e->op = op;
  e->opRange = opRange;
  e->left = std::move(left);
  e->right = std::move(right);
  return e;
}

ExprPtr ExprBuilder::extend(ExprPtr left, Parser::LinkContext *link) {
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

Argument ExprBuilder::argument(Parser::ArgumentContext *tree) {
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

ExprPtr ExprBuilder::item(Parser::ItemContext *tree) {
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

ExprPtr ExprBuilder::reference(Parser::NameContext *c) {
  auto e = std::make_unique<RefExpr>();
  e->range = range(c);
  e->name = name(c).text;
  return e;
}

ExprPtr ExprBuilder::listOf(ParserRuleContext *tree, const std::vector<Parser::ExprContext *> &elements) {
  auto e = std::make_unique<ListExpr>();
  e->range = range(tree);
  for (auto *element : elements)
    e->items.push_back(expr(element));
  return e;
}

ExprPtr ExprBuilder::primary(ParserRuleContext *tree) {
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
  if (auto *c = cast<Parser::ForContext>(tree)) {
    auto e = std::make_unique<ForExpr>();
    e->range = range(tree);
    e->name = name(c->name());
    e->list = expr(c->expr());
    e->body = block(c->block());
    return e;
  }
  if (auto *c = cast<Parser::ScanContext>(tree)) {
    auto e = std::make_unique<ScanExpr>();
    e->range = range(tree);
    for (auto *row : c->row())
      e->rows.push_back({name(row->name()), expr(row->expr())});
    if (c->over)
      e->axis = expr(c->over);
    if (c->reverse)
      e->reverse = expr(c->reverse);
    for (auto *start : c->start())
      e->states.push_back({name(start->name()), expr(start->expr())});
    e->body = block(c->block());
    return e;
  }
  return when(static_cast<Parser::WhenContext *>(tree));
}

ExprPtr ExprBuilder::when(Parser::WhenContext *c) {
  auto conditions = c->expr();
  auto blocks = c->block();
  auto words = c->WHEN();
  // Each `else when` stands one deeper than the one before.
  unsigned before = depth;
  depth += static_cast<unsigned>(conditions.size());
  if (depth > kDeepestTree) {
    depth = before;
    return deeperThanAllowed(c);
  }
  std::unique_ptr<Block> otherwise = c->last ? block(c->last) : nullptr;
  for (size_t i = conditions.size(); i-- > 0;) {
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

std::unique_ptr<RecordExpr> ExprBuilder::record(Parser::RecordContext *c) {
  auto e = std::make_unique<RecordExpr>();
  e->range = range(c);
  for (auto *field : c->recordField()) {
    if (field->expr()) {
      e->fields.push_back({name(field->word()), expr(field->expr())});
    } else if (auto *alone = field->word()->name()) {
      e->fields.push_back({name(field->word()), reference(alone)});
    } else {
      std::string word = written(range(field));
      diagnostics.error(Diag::ReservedWord, range(field), {word}).hint = "give the field a value: `" + word + ": ...`";
    }
  }
  return e;
}

std::unique_ptr<NumberExpr> ExprBuilder::number(antlr4::Token *t) {
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
  if (!std::isfinite(e->value) || (e->isInteger && e->value >= 0x1p63))
    diagnostics.error(Diag::NumberTooLarge, e->range, {e->text.size() > 40 ? e->text.substr(0, 40) + "…" : e->text}).hint =
        e->isInteger ? "whole numbers end at 9223372036854775807" : "numbers end near 1.8e308";
  if (!e->unit.empty() && std::find(kUnits.begin(), kUnits.end(), e->unit) == kUnits.end()) {
    std::string near = didYouMean(e->unit, kUnits);
    SourceRange where = {file, e->range.end - static_cast<uint32_t>(e->unit.size()), e->range.end};
    diagnostics.error(Diag::UnknownUnit, where, {e->unit}).hint =
        near.empty() ? "to multiply, write `" + value + " * " + e->unit + "`" : "did you mean `" + near + "`?";
  }
  return e;
}

std::unique_ptr<StringExpr> ExprBuilder::string(antlr4::Token *t) {
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

} // namespace bigm
