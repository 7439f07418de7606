// Tree to document, document to text. Comments are taken from the source in order: at each item of a list (statements,
// clauses, fields, arguments, stages of a pipeline) those before it go on lines of their own, the one behind it to the end
// of its line. A comment elsewhere moves to the next such place; none is lost.
#include "Format.h"
#include "ListLayout.h"
#include "Operators.h"
#include <algorithm>
#include <functional>
#include <utility>

namespace bigm {
namespace {

using namespace ast;
using doc::concat;
using doc::group;
using doc::hard;
using doc::indent;
using doc::line;

class Formatter : private ListLayout {
public:
  Formatter(const File &file, const SourceManager &sources)
      : ListLayout(sources.text(file.file)), file(file), sources(sources) {}

  std::string run() {
    std::string out;
    bool previousTall = false;
    std::vector<Rendered> items;
    for (const DeclPtr &d : file.decls)
      items.push_back(render(*d));
    alignDeclarations(items);
    for (size_t i = 0; i < items.size(); ++i) {
      const Rendered &item = items[i];
      bool tall = item.text.find('\n') != std::string::npos;
      bool blank = item.blankBefore || tall || previousTall;
      out += i == 0 ? "" : blank ? "\n\n" : "\n";
      out += item.text;
      previousTall = tall;
    }
    if (!out.empty())
      out += '\n';
    std::vector<Comment> rest = comments.takeBefore(~0u);
    for (size_t i = 0; i < rest.size(); ++i)
      out += (rest[i].blankBefore && !out.empty() ? "\n" : "") + rest[i].text + "\n";
    return out;
  }

private:
  const File &file;
  const SourceManager &sources;

  // ------------------------------------------------------------------------------------------------ whole declarations
  struct Rendered {
    std::string text;
    bool blankBefore;
    std::string head; // of a short `fit a = ...` or `const a = ...`: what stands before its `=`
  };

  Rendered render(const Decl &d) {
    std::vector<Comment> before = comments.takeBefore(d.range.begin);
    Rendered out{"", comments.blankLineBefore(d.range.begin), ""};
    for (size_t i = 0; i < before.size(); ++i)
      out.text += (i && before[i].blankBefore ? "\n" : "") + before[i].text + "\n";
    if (!before.empty()) {
      out.text += out.blankBefore ? "\n" : "";
      out.blankBefore = before[0].blankBefore;
    }
    Doc body = declaration(d);
    if (std::string behind = comments.takeBehind(d.range.end); !behind.empty())
      body = concat({body, doc::suffix(behind)});
    std::string text = doc::print(body, kLineWidth);
    auto *fit = as<FitDecl>(&d);
    auto *constant = as<ConstDecl>(&d);
    if (before.empty() && text.find('\n') == std::string::npos &&
        ((fit && fit->value) || (constant && !constant->type)))
      out.head = (fit ? "fit " : "const ") + d.name.text;
    out.text += text;
    return out;
  }

  /// The `=` of short declarations of one kind on neighbouring lines stand in one column.
  void alignDeclarations(std::vector<Rendered> &items) {
    for (size_t i = 0; i < items.size();) {
      size_t end = i + 1;
      auto kind = [&](size_t k) { return items[k].head.substr(0, items[k].head.find(' ')); };
      if (!items[i].head.empty())
        while (end < items.size() && !items[end].head.empty() && kind(end) == kind(i) && !items[end].blankBefore)
          ++end;
      std::vector<int> widths;
      int room = kLineWidth;
      for (size_t k = i; k < end; ++k) {
        widths.push_back(displayWidth(items[k].head));
        room = std::min(room, kLineWidth - displayWidth(items[k].text));
      }
      std::vector<int> pads = paddings(widths);
      if (*std::max_element(pads.begin(), pads.end()) <= room)
        for (size_t k = i; k < end; ++k)
          items[k].text.insert(items[k].head.size(), static_cast<size_t>(pads[k - i]), ' ');
      i = end;
    }
  }

  Doc declaration(const Decl &d) {
    switch (d.kind) {
    case Decl::Kind::Use: {
      std::vector<Doc> parts;
      for (const Name &module : static_cast<const UseDecl &>(d).modules) {
        if (!parts.empty())
          parts.push_back(line());
        bool last = &module == &static_cast<const UseDecl &>(d).modules.back();
        parts.push_back(doc::text(module.text + (last ? "" : ",")));
      }
      return concat({doc::text("use "), doc::align(doc::fill(std::move(parts)), 0)});
    }
    case Decl::Kind::Const: {
      auto &c = static_cast<const ConstDecl &>(d);
      return concat({doc::text("const " + c.name.text), annotation(c.type.get()), doc::text(" = "), expr(*c.value)});
    }
    case Decl::Kind::Data:
      return concat({doc::text("data " + d.name.text + " "), clauses(static_cast<const DataDecl &>(d).clauses, d.range)});
    case Decl::Kind::Fit:
      if (auto &fit = static_cast<const FitDecl &>(d); fit.value)
        return concat({doc::text("fit " + d.name.text + " = "), expr(*fit.value)});
      return callable("fit ", static_cast<const CallableDecl &>(d));
    case Decl::Kind::Model:
      return callable("model ", static_cast<const CallableDecl &>(d));
    case Decl::Kind::Instance: {
      auto &instance = static_cast<const InstanceDecl &>(d);
      std::vector<Doc> parts{doc::text("model " + d.name.text)};
      if (instance.model)
        parts.push_back(concat({doc::text(" = "), expr(*instance.model)}));
      if (instance.source)
        parts.push_back(concat({indent(line(" "), 4), doc::text("from "), expr(*instance.source)}));
      Doc head = group(concat(std::move(parts)));
      return instance.renames.empty() ? head : concat({head, doc::text(" "), renames(instance)});
    }
    case Decl::Kind::Fn:
      return callable("fn ", static_cast<const CallableDecl &>(d));
    case Decl::Kind::Flow:
      return callable("flow ", static_cast<const CallableDecl &>(d));
    case Decl::Kind::Train: {
      auto &t = static_cast<const TrainDecl &>(d);
      Doc model = t.model ? concat({doc::text(" = "), expr(*t.model)}) : doc::text("");
      return concat({doc::text("train " + t.name.text), model, doc::text(" on "), commas(t.data), doc::text(" "),
                     clauses(t.clauses, d.range)});
    }
    case Decl::Kind::Evaluate: {
      auto &e = static_cast<const EvaluateDecl &>(d);
      Doc subjects = commas(e.subjects);
      return concat({doc::text("evaluate "), subjects, doc::text(" on "), expr(*e.data), doc::text(" "),
                     clauses(e.clauses, d.range)});
    }
    case Decl::Kind::Deploy: {
      auto &deploy = static_cast<const DeployDecl &>(d);
      Doc model = deploy.model ? concat({doc::text(" = "), expr(*deploy.model)}) : doc::text("");
      return concat({doc::text("deploy " + d.name.text), model, doc::text(" "), clauses(deploy.clauses, d.range)});
    }
    }
    return doc::text("");
  }

  Doc annotation(const Type *t) { return t ? concat({doc::text(": "), type(*t)}) : doc::text(""); }

  /// One rule a line, or all on one, as the author began; the arrows are aligned as `=` is.
  Doc renames(const InstanceDecl &d) {
    std::vector<Entry> entries;
    for (const ExprPtr &e : d.renames) {
      Entry entry;
      entry.begin = e->range.begin;
      entry.end = e->range.end;
      auto *pair = as<BinaryExpr>(e.get());
      if (pair && pair->op == BinaryExpr::Op::To && (pair->left->kind == Expr::Kind::String || pair->left->kind == Expr::Kind::Ref)) {
        entry.kind = kAssign;
        entry.head = std::string(source.substr(pair->left->range.begin, pair->left->range.end - pair->left->range.begin));
        entry.tail = [this, pair] { return concat({doc::text(" -> "), expr(*pair->right)}); };
      } else {
        entry.tail = [this, &e] { return expr(*e); };
      }
      entries.push_back(std::move(entry));
    }
    return braced(braceBefore(d.renames[0]->range.begin, d.source->range.end), d.range.end - 1, "  ", std::move(entries));
  }

  Doc callable(const std::string &word, const CallableDecl &c) {
    std::vector<Doc> head{doc::text(word + c.name.text)};
    if (c.hasSettings) {
      head.push_back(parameters(c.settings));
      head.push_back(indent(line(""), 4)); // a head of two lines: settings, inputs
    }
    head.push_back(parameters(c.inputs));
    if (c.result)
      head.push_back(concat({doc::text(" -> "), type(*c.result)}));
    Doc first = group(concat(std::move(head)));
    return concat({first, doc::text(" "), block(*c.body)});
  }

  Doc parameters(const std::vector<Parameter> &list) {
    std::vector<Entry> entries;
    for (const Parameter &p : list) {
      Entry e;
      e.begin = p.name.range.begin;
      e.end = p.defaultValue ? p.defaultValue->range.end : p.type->range.end;
      e.head = p.name.text;
      e.tail = [this, &p] {
        Doc annotated = annotation(p.type.get());
        return p.defaultValue ? concat({annotated, doc::text(" = "), expr(*p.defaultValue)}) : annotated;
      };
      entries.push_back(std::move(e));
    }
    return bracketed("(", ")", std::move(entries));
  }

  // ----------------------------------------------------------------------------------------------------------- lists
  Doc commas(const std::vector<ExprPtr> &list) {
    std::vector<Doc> parts;
    for (size_t i = 0; i < list.size(); ++i) {
      if (i)
        parts.push_back(line());
      parts.push_back(concat({expr(*list[i]), doc::text(i + 1 < list.size() ? "," : "")}));
    }
    return doc::align(doc::fill(std::move(parts)), 0);
  }

  // --------------------------------------------------------------------------------------------------------- clauses
  /// The braces of a declaration's clauses end where the declaration does.
  Doc clauses(const std::vector<Clause> &list, SourceRange whole) {
    uint32_t open = braceBefore(list.empty() ? whole.end - 1 : list[0].range.begin, whole.begin);
    std::vector<Entry> entries;
    for (const Clause &c : list)
      entries.push_back(clause(c));
    return braced(open, whole.end - 1, "  ", std::move(entries));
  }

  Entry clause(const Clause &c) {
    const std::string &word = c.keyword.text;
    if (c.let)
      return statement(*c.let, true);
    Entry e;
    e.begin = c.range.begin;
    e.end = c.range.end;
    e.kind = kPlain;
    e.head = word;
    if (word == "phase") {
      e.kind = kPhase;
      e.head = "phase " + c.name.text;
      e.tail = [this, &c] { return concat({doc::text(" "), clauses(c.clauses, c.range)}); };
    } else {
      e.tail = [this, &c] { return concat({doc::text(" "), clauseTail(c)}); };
    }
    return e;
  }

  Doc clauseTail(const Clause &c) {
    const std::string &word = c.keyword.text;
    if (word == "fields") {
      std::vector<Entry> entries;
      for (const Parameter &p : c.fields)
        entries.push_back(fieldEntry(p.name, *p.type, p.defaultValue.get()));
      return braced(braceBefore(c.fields.empty() ? c.range.end : c.fields[0].name.range.begin, c.range.begin),
                    c.range.end - 1, ", ", std::move(entries));
    }
    if (word == "split") {
      Doc shares = expr(*c.expressions[0]);
      if (!c.flag.empty())
        return concat({shares, doc::text(" " + c.flag)});
      return c.options.empty() ? shares : concat({shares, doc::text(" seed "), expr(*c.options[0].second)});
    }
    if (word == "derive")
      return concat({doc::text(c.name.text), annotation(c.type.get()), doc::text(" = "), expr(*c.expressions[0])});
    if (word == "fit")
      return concat({doc::text(c.name.text + " = "), expr(*c.expressions[0])});
    if (word == "augment")
      return concat({doc::text(c.name.text + " "), block(*c.body)});
    if (word == "bucket")
      return concat({doc::text("by "), expr(*c.expressions[0])});
    if (word == "start")
      return concat({doc::text("from "), expr(*c.expressions[0]), doc::text(c.flag.empty() ? "" : " " + c.flag)});
    if (word == "stop") {
      Doc condition = concat({doc::text("when "), expr(*c.expressions[0])});
      return c.flag.empty() ? condition : concat({condition, doc::text(" flat for "), expr(*c.expressions[1])});
    }
    if (!c.options.empty())
      return withOptions(c);
    std::vector<Doc> parts;
    for (size_t i = 0; i < c.expressions.size(); ++i) {
      if (i)
        parts.push_back(line());
      std::string name = i < c.names.size() && !c.names[i].text.empty() ? c.names[i].text + " = " : "";
      bool last = i + 1 == c.expressions.size();
      parts.push_back(concat({doc::text(name), expr(*c.expressions[i]), doc::text(last ? "" : ",")}));
    }
    return doc::align(doc::fill(std::move(parts)), 0);
  }

  /// `int8 { calibrate digits.valid  keep embed }`, `adamw(lr: 1e-3) { learn embed }`.
  Doc withOptions(const Clause &c) {
    std::vector<Doc> parts;
    for (size_t i = 0; i < c.expressions.size(); ++i) {
      if (i)
        parts.push_back(line());
      std::vector<Doc> one{expr(*c.expressions[i])};
      auto options = c.optionsOf(i);
      std::string_view before;
      for (auto [word, option] : options) {
        std::string opening = before.empty() ? " { " : "  ";
        one.push_back(doc::text(word == before ? ", " : opening + std::string(word) + " "));
        one.push_back(expr(*option));
        before = word;
      }
      one.push_back(doc::text(std::string(options.empty() ? "" : " }") + (i + 1 == c.expressions.size() ? "" : ",")));
      parts.push_back(concat(std::move(one)));
    }
    return doc::align(doc::fill(std::move(parts)), 0);
  }

  // ------------------------------------------------------------------------------------------------------ statements
  Doc block(const Block &b, bool ownGroup = true) {
    std::vector<Entry> entries;
    for (const StmtPtr &s : b.statements)
      entries.push_back(statement(*s, s == b.statements.front()));
    return braced(b.range.begin, b.range.end - 1, "  ", std::move(entries), ownGroup);
  }

  Entry statement(const Stmt &s, bool first) {
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

  // ----------------------------------------------------------------------------------------------------- expressions
  /// `least`: how tightly `e` must bind to stand without parentheses. `guard`: a minus at its very start needs them.
  Doc expr(const Expr &e, Level least = Level::Top, bool guard = false) {
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
  bool bareEach = false; // set just before the value of an argument

  Doc value(const Expr &e) {
    bareEach = true;
    Doc d = expr(e);
    bareEach = false;
    return d;
  }

  Doc bare(const Expr &e, bool guard) {
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

  /// A head that does not fit has a clause on each line.
  Doc scan(const ScanExpr &s) {
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

  /// All branches are on one line or none is.
  Doc when(const WhenExpr &w) {
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

  Entry argument(const Argument &a) {
    Entry e;
    e.begin = a.label ? a.label->range.begin : a.name.text.empty() ? a.value->range.begin : a.name.range.begin;
    e.end = a.value->range.end;
    e.head = a.name.text.empty() ? "" : a.name.text + ": ";
    e.tail = [this, &a] {
      return a.label ? concat({expr(*a.label), doc::text(": "), value(*a.value)}) : value(*a.value);
    };
    return e;
  }

  Doc items(const std::string &open, const std::string &close, const std::vector<ExprPtr> &list) {
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

  /// Operators of one level, `a |> f |> g`: as many on a line as fit. Where the author began a line with `|>`, it stays.
  Doc chain(const BinaryExpr &e, bool guard) {
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

  /// `2/255` reads as one number.
  static bool isFraction(const BinaryExpr &e) {
    return e.op == BinaryExpr::Op::Div && as<NumberExpr>(e.left.get()) && as<NumberExpr>(e.right.get());
  }

  // ----------------------------------------------------------------------------------------------------------- types
  Entry fieldEntry(const Name &name, const Type &t, const Expr *otherwise = nullptr) {
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

  /// A class as it is written: `cat`, `"B-loc"`, `3`.
  std::string className(const Name &c) const {
    std::string_view written = sources.text(c.range);
    return written.starts_with('"') ? std::string(written) : c.text;
  }

  Doc type(const Type &t) {
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

  /// Dimensions read as one word: `T/4`, `2*D`. Everything else in them is written as usual.
  Doc dimension(const Expr &e) {
    bool before = std::exchange(inDimension, true);
    Doc d = expr(e);
    inDimension = before;
    return d;
  }
  bool inDimension = false;
};

} // namespace

std::string format(const File &file, const SourceManager &sources) { return Formatter(file, sources).run(); }

} // namespace bigm
