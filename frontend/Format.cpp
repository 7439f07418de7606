// Files, declarations and their clauses.
#include "Format.h"
#include "Formatter.h"
#include <algorithm>

namespace bigm {
using namespace ast;
using doc::concat;
using doc::group;
using doc::indent;
using doc::line;

std::string Formatter::run() {
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

Formatter::Rendered Formatter::render(const Decl &d) {
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

void Formatter::alignDeclarations(std::vector<Rendered> &items) {
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

Doc Formatter::declaration(const Decl &d) {
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

Doc Formatter::annotation(const Type *t) { return t ? concat({doc::text(": "), type(*t)}) : doc::text(""); }

Doc Formatter::renames(const InstanceDecl &d) {
  std::vector<Entry> entries;
  for (const ExprPtr &e : d.renames) {
    Entry entry;
    entry.begin = e->range.begin;
    entry.end = e->range.end;
    auto *pair = as<BinaryExpr>(e.get());
    if (pair && pair->op == BinaryExpr::Op::To && (pair->left->kind == Expr::Kind::String || pair->left->kind == Expr::Kind::Ref)) {
      entry.kind = kRule;
      entry.head = std::string(source.substr(pair->left->range.begin, pair->left->range.end - pair->left->range.begin));
      entry.tail = [this, pair] { return concat({doc::text(" -> "), expr(*pair->right)}); };
    } else {
      entry.tail = [this, &e] { return expr(*e); };
    }
    entries.push_back(std::move(entry));
  }
  return braced(braceBefore(d.renames[0]->range.begin, d.source->range.end), d.range.end - 1, "  ", std::move(entries));
}

Doc Formatter::callable(const std::string &word, const CallableDecl &c) {
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

Doc Formatter::parameters(const std::vector<Parameter> &list) {
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

Doc Formatter::commas(const std::vector<ExprPtr> &list) {
  std::vector<Doc> parts;
  for (size_t i = 0; i < list.size(); ++i) {
    if (i)
      parts.push_back(line());
    parts.push_back(concat({expr(*list[i]), doc::text(i + 1 < list.size() ? "," : "")}));
  }
  return doc::align(doc::fill(std::move(parts)), 0);
}

Doc Formatter::clauses(const std::vector<Clause> &list, SourceRange whole) {
  uint32_t open = braceBefore(list.empty() ? whole.end - 1 : list[0].range.begin, whole.begin);
  std::vector<Entry> entries;
  for (const Clause &c : list)
    entries.push_back(clause(c));
  return braced(open, whole.end - 1, "  ", std::move(entries));
}

Formatter::Entry Formatter::clause(const Clause &c) {
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

Doc Formatter::clauseTail(const Clause &c) {
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

Doc Formatter::withOptions(const Clause &c) {
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

std::string format(const File &file, const SourceManager &sources) { return Formatter(file, sources).run(); }

} // namespace bigm
