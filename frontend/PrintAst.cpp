// Children stand two columns right of their parent. A child's part (`condition`, `else`, the name of an argument) stands
// before it, so that equal text means equal trees.
#include "PrintAst.h"
#include "Operators.h"
#include <ostream>

namespace bigm {
namespace {
using namespace ast;

class TreePrinter {
public:
  TreePrinter(std::ostream &out, const SourceManager *places) : out(out), places(places) {}

  void run(const File &file) {
    for (const DeclPtr &d : file.decls)
      declaration(*d);
  }

private:
  std::ostream &out;
  const SourceManager *places;
  int depth = 0;

  struct Deeper {
    TreePrinter &p;
    explicit Deeper(TreePrinter &p) : p(p) { ++p.depth; }
    ~Deeper() { --p.depth; }
  };

  void put(const std::string &text, SourceRange where = {}) {
    out << std::string(static_cast<size_t>(depth) * 2, ' ') << text;
    if (places && where.valid()) {
      LineColumn at = places->place(where.file, where.begin);
      out << " @" << at.line << ':' << at.column;
    }
    out << '\n';
  }

  static std::string quoted(const std::string &s) {
    std::string out = "\"";
    for (char c : s) {
      if (c == '\n')
        out += "\\n";
      else if (c == '"' || c == '\\')
        out += std::string("\\") + c;
      else
        out += c;
    }
    return out + "\"";
  }

  void declaration(const Decl &d) {
    static const char *const words[] = {"use", "const", "data", "fit", "model", "instance", "fn", "flow", "train", "evaluate", "deploy"};
    put(words[static_cast<size_t>(d.kind)] + (d.name.text.empty() ? "" : " " + d.name.text), d.range);
    Deeper deeper(*this);
    if (!d.doc.empty())
      put("doc " + quoted(d.doc));
    switch (d.kind) {
    case Decl::Kind::Use:
      for (const Name &module : static_cast<const UseDecl &>(d).modules)
        put(module.text, module.range);
      return;
    case Decl::Kind::Const:
      type("type", static_cast<const ConstDecl &>(d).type.get());
      return expr("value", static_cast<const ConstDecl &>(d).value.get());
    case Decl::Kind::Data:
      return clauses(static_cast<const DataDecl &>(d).clauses);
    case Decl::Kind::Fit:
      if (auto &fit = static_cast<const FitDecl &>(d); fit.value)
        return expr("value", fit.value.get());
      [[fallthrough]];
    case Decl::Kind::Model:
    case Decl::Kind::Fn:
    case Decl::Kind::Flow: {
      auto &c = static_cast<const CallableDecl &>(d);
      parameters("setting", c.settings);
      parameters("input", c.inputs);
      type("result", c.result.get());
      return block("body", c.body.get());
    }
    case Decl::Kind::Instance: {
      auto &instance = static_cast<const InstanceDecl &>(d);
      expr("model", instance.model.get());
      expr("from", instance.source.get());
      for (const ExprPtr &pair : instance.renames)
        expr("rename", pair.get());
      return;
    }
    case Decl::Kind::Train: {
      auto &t = static_cast<const TrainDecl &>(d);
      expr("model", t.model.get());
      for (const ExprPtr &e : t.data)
        expr("on", e.get());
      return clauses(t.clauses);
    }
    case Decl::Kind::Evaluate: {
      auto &e = static_cast<const EvaluateDecl &>(d);
      for (const ExprPtr &subject : e.subjects)
        expr("subject", subject.get());
      expr("on", e.data.get());
      return clauses(e.clauses);
    }
    case Decl::Kind::Deploy: {
      auto &deploy = static_cast<const DeployDecl &>(d);
      expr("model", deploy.model.get());
      return clauses(deploy.clauses);
    }
    }
  }

  void parameters(const std::string &part, const std::vector<Parameter> &list) {
    for (const Parameter &p : list) {
      put(part + " " + p.name.text, p.name.range);
      Deeper deeper(*this);
      type("type", p.type.get());
      expr("default", p.defaultValue.get());
    }
  }

  void clauses(const std::vector<Clause> &list) {
    for (const Clause &c : list) {
      put(c.keyword.text + (c.name.text.empty() ? "" : " " + c.name.text) + (c.flag.empty() ? "" : " (" + c.flag + ")"),
          c.range);
      Deeper deeper(*this);
      type("type", c.type.get());
      for (const Parameter &field : c.fields) {
        type(field.name.text, field.type.get());
        expr("default", field.defaultValue.get());
      }
      for (size_t i = 0; i < c.expressions.size(); ++i)
        expr(i < c.names.size() && !c.names[i].text.empty() ? c.names[i].text + " =" : "", c.expressions[i].get());
      for (const auto &[word, value] : c.options)
        expr("option " + word.text, value.get());
      block("body", c.body.get());
      if (c.let)
        statement(*c.let);
      clauses(c.clauses);
    }
  }

  void block(const std::string &part, const Block *b) {
    if (!b)
      return;
    put(part, b->range);
    Deeper deeper(*this);
    for (const StmtPtr &s : b->statements)
      statement(*s);
  }

  void statement(const Stmt &s) {
    if (auto *a = as<AssignStmt>(&s)) {
      std::string name = a->name.text;
      for (const Name &index : a->indices)
        name += " " + index.text;
      put((a->indexed ? "assign indexed " : "assign ") + name, s.range);
      Deeper deeper(*this);
      type("type", a->type.get());
      expr("", a->value.get());
    } else if (auto *p = as<ParamStmt>(&s)) {
      put((p->isState ? "state " : "param ") + p->name.text, s.range);
      Deeper deeper(*this);
      type("type", p->type.get());
      expr("init", p->init.get());
    } else if (auto *r = as<ResultStmt>(&s)) {
      put("result", s.range);
      Deeper deeper(*this);
      expr("", r->value.get());
    } else if (auto *y = as<YieldStmt>(&s)) {
      put("yield", s.range);
      Deeper deeper(*this);
      expr("", y->value.get());
    }
  }

  void expr(const std::string &part, const Expr *e) {
    if (!e)
      return;
    std::string before = part.empty() ? "" : part + " ";
    switch (e->kind) {
    case Expr::Kind::Number:
      return put(before + "number " + static_cast<const NumberExpr *>(e)->text, e->range);
    case Expr::Kind::String:
      return put(before + "string " + quoted(static_cast<const StringExpr *>(e)->value), e->range);
    case Expr::Kind::Ref:
      return put(before + "ref " + static_cast<const RefExpr *>(e)->name, e->range);
    case Expr::Kind::All:
      return put(before + "all", e->range);
    case Expr::Kind::Member: {
      auto *m = static_cast<const MemberExpr *>(e);
      put(before + "member " + m->member.text, e->range);
      Deeper deeper(*this);
      return expr("", m->base.get());
    }
    case Expr::Kind::Call: {
      auto *c = static_cast<const CallExpr *>(e);
      put(before + "call", e->range);
      Deeper deeper(*this);
      expr("", c->callee.get());
      for (const Argument &a : c->arguments) {
        if (a.label) {
          put("labelled");
          Deeper inner(*this);
          expr("label", a.label.get());
          expr("value", a.value.get());
        } else {
          expr(a.name.text.empty() ? "argument" : "argument " + a.name.text + ":", a.value.get());
        }
      }
      return;
    }
    case Expr::Kind::Index: {
      auto *i = static_cast<const IndexExpr *>(e);
      put(before + "index", e->range);
      Deeper deeper(*this);
      expr("", i->base.get());
      for (const ExprPtr &item : i->items)
        expr("at", item.get());
      return;
    }
    case Expr::Kind::Unary: {
      auto *u = static_cast<const UnaryExpr *>(e);
      put(before + (u->op == UnaryExpr::Op::Not ? "not" : "negate"), e->range);
      Deeper deeper(*this);
      return expr("", u->operand.get());
    }
    case Expr::Kind::Binary: {
      auto *b = static_cast<const BinaryExpr *>(e);
      put(before + operatorOf(b->op).sign, e->range);
      Deeper deeper(*this);
      expr("", b->left.get());
      return expr("", b->right.get());
    }
    case Expr::Kind::List: {
      put(before + "list", e->range);
      Deeper deeper(*this);
      for (const ExprPtr &item : static_cast<const ListExpr *>(e)->items)
        expr("", item.get());
      return;
    }
    case Expr::Kind::Record: {
      put(before + "record", e->range);
      Deeper deeper(*this);
      for (const RecordExpr::Field &field : static_cast<const RecordExpr *>(e)->fields)
        expr(field.name.text + ":", field.value.get());
      return;
    }
    case Expr::Kind::When: {
      auto *w = static_cast<const WhenExpr *>(e);
      put(before + "when", e->range);
      Deeper deeper(*this);
      expr("condition", w->condition.get());
      block("then", w->then.get());
      return block("else", w->otherwise.get());
    }
    case Expr::Kind::Repeat: {
      auto *r = static_cast<const RepeatExpr *>(e);
      put(before + "repeat", e->range);
      Deeper deeper(*this);
      expr("count", r->count.get());
      expr("until", r->until.get());
      return block("body", r->body.get());
    }
    case Expr::Kind::For: {
      auto *f = static_cast<const ForExpr *>(e);
      put(before + "for " + f->name.text, e->range);
      Deeper deeper(*this);
      expr("in", f->list.get());
      return block("body", f->body.get());
    }
    case Expr::Kind::Scan: {
      auto *s = static_cast<const ScanExpr *>(e);
      put(before + "scan", e->range);
      Deeper deeper(*this);
      for (const ScanExpr::Part &row : s->rows)
        expr("row " + row.name.text, row.value.get());
      expr("over", s->axis.get());
      expr("reverse", s->reverse.get());
      for (const ScanExpr::Part &state : s->states)
        expr("from " + state.name.text, state.value.get());
      return block("body", s->body.get());
    }
    case Expr::Kind::Range: {
      auto *r = static_cast<const RangeExpr *>(e);
      put(before + "range", e->range);
      Deeper deeper(*this);
      expr("first", r->first.get());
      return expr("last", r->last.get());
    }
    }
  }

  void type(const std::string &part, const Type *t) {
    if (!t)
      return;
    switch (t->kind) {
    case Type::Kind::Scalar: {
      auto *s = static_cast<const ScalarType *>(t);
      std::string text = part + " type " + s->name.text;
      for (const Name &choice : s->choices)
        text += " " + choice.text;
      put(text, t->range);
      Deeper deeper(*this);
      expr("classes", s->classes.get());
      return expr("rate", s->rate.get());
    }
    case Type::Kind::Tensor: {
      auto *x = static_cast<const TensorType *>(t);
      put(part + " tensor", t->range);
      Deeper deeper(*this);
      type("of", x->element.get());
      for (const TensorType::Dim &dim : x->dims) {
        if (dim.pack)
          put("dim ...", dim.range);
        expr("dim", dim.size.get());
      }
      return;
    }
    case Type::Kind::List: {
      put(part + " list", t->range);
      Deeper deeper(*this);
      return type("of", static_cast<const ListType *>(t)->element.get());
    }
    case Type::Kind::Optional: {
      put(part + " optional", t->range);
      Deeper deeper(*this);
      return type("of", static_cast<const OptionalType *>(t)->element.get());
    }
    case Type::Kind::Stream: {
      put(part + " stream", t->range);
      Deeper deeper(*this);
      return type("of", static_cast<const StreamType *>(t)->element.get());
    }
    case Type::Kind::Record: {
      put(part + " record", t->range);
      Deeper deeper(*this);
      for (const RecordType::Field &field : static_cast<const RecordType *>(t)->fields)
        type(field.name.text + ":", field.type.get()), expr("default", field.defaultValue.get());
      return;
    }
    }
  }
};

} // namespace

void printAst(std::ostream &out, const File &file, const SourceManager *places) { TreePrinter(out, places).run(file); }

} // namespace bigm
