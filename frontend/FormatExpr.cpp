// Statements, expressions and types.
#include "Formatter.h"
#include <algorithm>
#include <utility>

namespace bigm {
using namespace ast;
using doc::concat;
using doc::group;
using doc::hard;
using doc::indent;
using doc::line;

Doc Formatter::block(const Block &b, bool ownGroup) {
  std::vector<Entry> entries;
  for (const StmtPtr &s : b.statements)
    entries.push_back(statement(*s, s == b.statements.front()));
  return braced(b.range.begin, b.range.end - 1, "  ", std::move(entries), ownGroup);
}

Formatter::Entry Formatter::statement(const Stmt &s, bool first) {
  Entry e;
  e.begin = s.range.begin;
  e.end = s.range.end;
  if (auto *a = as<AssignStmt>(&s)) {
    e.kind = a->type ? kAlone : kAssign;
    e.head = a->name.text;
    if (a->indexed) {
      e.head += "[";
      for (const Name &index : a->indices)
        e.head += (&index == &a->indices[0] ? "" : ", ") + index.text;
      e.head += "]";
    }
    e.tail = [this, a] { return concat({annotation(a->type.get()), doc::text(" = "), expr(*a->value)}); };
  } else if (auto *p = as<ParamStmt>(&s)) {
    e.head = (p->isState ? "state " : "param ") + p->name.text;
    e.tail = [this, p] {
      return concat({annotation(p->type.get()), p->init ? concat({doc::text(" = "), expr(*p->init)}) : doc::text("")});
    };
  } else if (auto *y = as<YieldStmt>(&s)) {
    e.head = "yield ";
    e.tail = [this, y] { return expr(*y->value); };
  } else {
    auto *r = as<ResultStmt>(&s);
    e.wantsLine = !first && beginsWithSign(*r->value);
    e.tail = [this, r, first] { return expr(*r->value, Level::Top, !first); };
  }
  return e;
}

Doc Formatter::expr(const Expr &e, Level least, bool guard) {
  Level level = levelOf(e);
  auto *each = as<BinaryExpr>(&e);
  // `f each` ends where it ends only inside an argument; elsewhere it would take the next word as its operand.
  bool openEach = each && !each->right && !bareEach;
  bareEach = false;
  auto *negate = as<UnaryExpr>(&e);
  bool minusFirst = guard && negate && negate->op == UnaryExpr::Op::Negate;
  if (level < least || openEach || minusFirst)
    return concat({doc::text("("), bare(e, false), doc::text(")")});
  return bare(e, guard);
}

Doc Formatter::value(const Expr &e) {
  bareEach = true;
  Doc d = expr(e);
  bareEach = false;
  return d;
}

Doc Formatter::bare(const Expr &e, bool guard) {
  switch (e.kind) {
  case Expr::Kind::Number:
    return doc::text(static_cast<const NumberExpr &>(e).text);
  case Expr::Kind::String:
    return doc::text(std::string(sources.text(e.range)));
  case Expr::Kind::Ref:
    return doc::text(static_cast<const RefExpr &>(e).name);
  case Expr::Kind::Member: {
    auto &m = static_cast<const MemberExpr &>(e);
    return concat({expr(*m.base, Level::Postfix, guard), doc::text("." + m.member.text)});
  }
  case Expr::Kind::Call: {
    auto &c = static_cast<const CallExpr &>(e);
    Doc callee = expr(*c.callee, Level::Postfix, guard);
    std::vector<Entry> entries;
    for (const Argument &a : c.arguments)
      entries.push_back(argument(a));
    return concat({callee, bracketed("(", ")", std::move(entries))});
  }
  case Expr::Kind::Index: {
    auto &i = static_cast<const IndexExpr &>(e);
    Doc base = expr(*i.base, Level::Postfix, guard);
    return concat({base, items("[", "]", i.items)});
  }
  case Expr::Kind::Unary: {
    auto &u = static_cast<const UnaryExpr &>(e);
    bool isNot = u.op == UnaryExpr::Op::Not;
    return concat({doc::text(isNot ? "not " : "-"), expr(*u.operand, isNot ? Level::Not : Level::Negate)});
  }
  case Expr::Kind::Binary:
    return chain(static_cast<const BinaryExpr &>(e), guard);
  case Expr::Kind::List:
    return items("[", "]", static_cast<const ListExpr &>(e).items);
  case Expr::Kind::Record: {
    auto &r = static_cast<const RecordExpr &>(e);
    std::vector<Entry> entries;
    for (const RecordExpr::Field &field : r.fields) {
      Entry entry;
      entry.begin = field.name.range.begin;
      entry.end = field.value->range.end;
      entry.kind = kField;
      entry.head = field.name.text;
      if (field.value->range.begin != field.name.range.begin) { // else `{ a }`
        entry.head += ":";
        entry.tail = [this, &field] { return concat({doc::text(" "), expr(*field.value)}); };
      }
      entries.push_back(std::move(entry));
    }
    return braced(e.range.begin, e.range.end - 1, ", ", std::move(entries));
  }
  case Expr::Kind::When:
    return group(when(static_cast<const WhenExpr &>(e)));
  case Expr::Kind::Repeat: {
    auto &r = static_cast<const RepeatExpr &>(e);
    Doc head = r.until ? concat({doc::text("repeat until "), expr(*r.until)})
                       : concat({doc::text("repeat "), expr(*r.count)});
    return concat({head, doc::text(" "), block(*r.body)});
  }
  case Expr::Kind::For: {
    auto &f = static_cast<const ForExpr &>(e);
    return concat({doc::text("for " + f.name.text + " in "), expr(*f.list), doc::text(" "), block(*f.body)});
  }
  case Expr::Kind::Scan:
    return scan(static_cast<const ScanExpr &>(e));
  case Expr::Kind::Range: {
    auto &r = static_cast<const RangeExpr &>(e);
    Doc first = r.first ? expr(*r.first) : doc::text("");
    return concat({first, doc::text(".."), r.last ? expr(*r.last) : doc::text("")});
  }
  case Expr::Kind::All:
    return doc::text(":");
  }
  return doc::text("");
}

Doc Formatter::scan(const ScanExpr &s) {
  auto list = [&](const std::string &word, const std::vector<ScanExpr::Part> &parts, const char *between) {
    std::vector<Doc> docs = {doc::text(word)};
    for (const ScanExpr::Part &part : parts) {
      if (docs.size() > 1)
        docs.insert(docs.end(), {doc::text(","), doc::line()});
      docs.push_back(concat({doc::text(part.name.text + between), expr(*part.value)}));
    }
    return group(doc::indent(concat(std::move(docs)), 6));
  };
  std::vector<Doc> clauses;
  if (s.axis)
    clauses.insert(clauses.end(), {doc::line(), doc::text("over "), expr(*s.axis)});
  if (s.reverse)
    clauses.insert(clauses.end(), {doc::line(), doc::text("reverse "), expr(*s.reverse)});
  clauses.insert(clauses.end(), {doc::line(), list("from ", s.states, " = ")});
  Doc head = group(concat({list("scan ", s.rows, " in "), doc::indent(concat(std::move(clauses)), 4)}));
  return concat({head, doc::text(" "), block(*s.body)});
}

Doc Formatter::when(const WhenExpr &w) {
  Doc head = concat({doc::text("when "), expr(*w.condition), doc::text(" ")});
  Doc then = block(*w.then, false);
  if (!w.otherwise)
    return concat({head, then});
  bool chained = source[w.otherwise->range.begin] != '{';
  Doc otherwise = chained ? when(static_cast<const WhenExpr &>(
                                *static_cast<const ResultStmt &>(*w.otherwise->statements[0]).value))
                          : block(*w.otherwise, false);
  return concat({head, then, doc::text(" else "), otherwise});
}

Formatter::Entry Formatter::argument(const Argument &a) {
  Entry e;
  e.begin = a.label ? a.label->range.begin : a.name.text.empty() ? a.value->range.begin : a.name.range.begin;
  e.end = a.value->range.end;
  e.head = a.name.text.empty() ? "" : a.name.text + ": ";
  e.tail = [this, &a] {
    return a.label ? concat({expr(*a.label), doc::text(": "), value(*a.value)}) : value(*a.value);
  };
  return e;
}

Doc Formatter::items(const std::string &open, const std::string &close, const std::vector<ExprPtr> &list) {
  std::vector<Entry> entries;
  for (const ExprPtr &item : list) {
    Entry e;
    e.begin = item->range.begin;
    e.end = item->range.end;
    e.tail = [this, &item] { return value(*item); };
    entries.push_back(std::move(e));
  }
  return bracketed(open, close, std::move(entries));
}

Doc Formatter::chain(const BinaryExpr &e, bool guard) {
  Level level = operatorOf(e.op).level;
  std::vector<const BinaryExpr *> links{&e};
  if (level != Level::Power)
    while (auto *left = as<BinaryExpr>(links.back()->left.get())) {
      if (operatorOf(left->op).level != level || !left->right)
        break;
      links.push_back(left);
    }
  std::reverse(links.begin(), links.end());
  Level leftLeast = level == Level::Power ? Level::Postfix : level, rightLeast = tighter(level);
  Doc first = expr(*links[0]->left, leftLeast, guard);
  std::vector<Doc> parts{first};
  for (const BinaryExpr *link : links) {
    std::vector<Doc> separator;
    if (std::string behind = comments.takeBehind(link->left->range.end); !behind.empty())
      separator.push_back(doc::suffix(behind));
    bool ownLine = level == Level::Pipe && comments.firstOnLine(link->opRange.begin);
    separator.push_back(ownLine || !separator.empty() ? hard() : line());
    for (const Comment &c : comments.takeBefore(link->opRange.begin)) {
      separator.push_back(doc::text(c.text));
      separator.push_back(hard());
    }
    bool tight = level == Level::Multiply && (inDimension || isFraction(e));
    parts.push_back(tight ? doc::text("") : concat(std::move(separator)));
    std::string sign = operatorOf(link->op).sign;
    if (!link->right) {
      parts.push_back(doc::text(sign));
      continue;
    }
    // A sign in front binds by what stands behind it, so it needs no parentheses on the right of an operator.
    auto *unary = as<UnaryExpr>(link->right.get());
    bool bareUnary = unary && (unary->op == UnaryExpr::Op::Negate || level < Level::Not);
    Doc right = level == Level::Power ? expr(*link->right, bareUnary ? Level::Top : Level::Power)
                                : expr(*link->right, bareUnary ? Level::Top : rightLeast);
    parts.push_back(concat({doc::text(sign + (tight ? "" : " ")), right}));
  }
  int width = level == Level::Pipe ? doc::flatWidth(first, 24) : -1;
  Doc all = doc::fill(std::move(parts));
  return width >= 0 ? doc::align(all, width + 1) : indent(all);
}

bool Formatter::isFraction(const BinaryExpr &e) {
  return e.op == BinaryExpr::Op::Div && as<NumberExpr>(e.left.get()) && as<NumberExpr>(e.right.get());
}

Formatter::Entry Formatter::fieldEntry(const Name &name, const Type &t, const Expr *otherwise) {
  Entry e;
  e.begin = name.range.begin;
  e.end = otherwise ? otherwise->range.end : t.range.end;
  e.kind = kField;
  e.head = name.text + ":";
  e.tail = [this, &t, otherwise] {
    return otherwise ? concat({doc::text(" "), type(t), doc::text(" = "), expr(*otherwise)}) : concat({doc::text(" "), type(t)});
  };
  return e;
}

std::string Formatter::className(const Name &c) const {
  std::string_view written = sources.text(c.range);
  return written.starts_with('"') ? std::string(written) : c.text;
}

Doc Formatter::type(const Type &t) {
  switch (t.kind) {
  case Type::Kind::Scalar: {
    auto &s = static_cast<const ScalarType &>(t);
    std::vector<Doc> parts{doc::text(s.name.text)};
    for (size_t i = 0; i < s.choices.size(); ++i)
      parts.push_back(doc::text((i ? ", " : "{") + className(s.choices[i])));
    parts.push_back(doc::text(s.choices.empty() ? "" : "}"));
    if (s.classes)
      parts.push_back(concat({doc::text("["), expr(*s.classes), doc::text("]")}));
    if (s.rate)
      parts.push_back(concat({doc::text("@"), expr(*s.rate)}));
    return concat(std::move(parts));
  }
  case Type::Kind::Tensor: {
    auto &x = static_cast<const TensorType &>(t);
    std::vector<Doc> parts{type(*x.element), doc::text("[")};
    for (size_t i = 0; i < x.dims.size(); ++i) {
      parts.push_back(doc::text(i ? ", " : ""));
      parts.push_back(x.dims[i].pack ? doc::text("...") : dimension(*x.dims[i].size));
    }
    parts.push_back(doc::text("]"));
    return concat(std::move(parts));
  }
  case Type::Kind::List:
    return concat({doc::text("list<"), type(*static_cast<const ListType &>(t).element), doc::text(">")});
  case Type::Kind::Optional:
    return concat({type(*static_cast<const OptionalType &>(t).element), doc::text("?")});
  case Type::Kind::Stream:
    return concat({doc::text("stream "), type(*static_cast<const StreamType &>(t).element)});
  case Type::Kind::Record: {
    std::vector<Entry> entries;
    for (const RecordType::Field &field : static_cast<const RecordType &>(t).fields)
      entries.push_back(fieldEntry(field.name, *field.type, field.defaultValue.get()));
    return braced(t.range.begin, t.range.end - 1, ", ", std::move(entries));
  }
  }
  return doc::text("");
}

Doc Formatter::dimension(const Expr &e) {
  bool before = std::exchange(inDimension, true);
  Doc d = expr(e);
  inDimension = before;
  return d;
}

} // namespace bigm
