// What a flow takes: texts, images and numbers of each record; and lists, whose elements are rows of a space that is there
// from the start, as those of a list that a step finds are from that step on.
#include "Flow.h"
#include <algorithm>

namespace bigm::sema {

Val textVal(const std::string &slot, bool stream) {
  Val v;
  v.kind = Val::Kind::Text;
  v.text = slot;
  v.stream = stream;
  return v;
}

Val imageVal(const std::string &slot) {
  Val v;
  v.kind = Val::Kind::Image;
  v.text = slot;
  return v;
}

Val Checker::flowTensorInput(const std::string &name, const ast::Type &written, SourceRange where, const ScopePtr &scope, RichType &type) {
  ast::Parameter one;
  one.name = {name, where};
  one.type.reset(const_cast<ast::Type *>(&written)); // borrowed for the call
  Val record = symbolic(one, scope); // gives free sizes their names
  one.type.release();
  if (!record.is(Val::Kind::Tensor))
    return {};
  type.tensor = record.type;
  for (const Dim &d : record.type.shape) {
    std::vector<std::string> symbols;
    d.symbols(symbols);
    if (!symbols.empty() && flow->space)
      return fail(Diag::FlowInput, written.range, {name, "of open size"}, "what a list holds has sizes that are numbers");
    flow->sizes.insert(symbols.begin(), symbols.end());
  }
  return flowRows(name, record.type, where);
}

Val Checker::flowRows(const std::string &name, const TensorType &one, SourceRange where) {
  TensorType batched = one;
  batched.shape.insert(batched.shape.begin(), flow->rows());
  // Under a name that no program can write: `symbolic` has taken the plain one for the single record.
  Val v = tensorVal(rec->input(name + "[]", batched, where));
  v.type = batched;
  flow->slots[v.tensor] = name;
  return v;
}

void Checker::reserveSlots(const std::string &name, const ast::Type &written) {
  if (written.kind == ast::Type::Kind::Record)
    for (auto &f : static_cast<const ast::RecordType &>(written).fields)
      reserveSlots(name + "." + f.name.text, *f.type);
  else if (written.kind == ast::Type::Kind::List)
    reserveSlots(name, *static_cast<const ast::ListType &>(written).element);
  else if (written.kind == ast::Type::Kind::Optional)
    reserveSlots(name, *static_cast<const ast::OptionalType &>(written).element);
  else
    flow->names.insert(name);
}

Val Checker::flowInput(const std::string &name, const ast::Type &written, SourceRange where, const ScopePtr &scope, RichType &type) {
  auto one = [&](RichType::Kind kind, Val v) {
    type.kind = kind;
    type.slot = name;
    flow->names.insert(name);
    flow->slotSpace[name] = flow->space;
    return v;
  };
  if (written.kind == ast::Type::Kind::Record) {
    type.kind = RichType::Kind::Record;
    Val out;
    out.kind = Val::Kind::Record;
    for (auto &f : static_cast<const ast::RecordType &>(written).fields) {
      type.names.push_back(f.name.text);
      type.fields.emplace_back();
      out.names.push_back(f.name.text);
      out.items.push_back(flowInput(name + "." + f.name.text, *f.type, f.name.range, scope, type.fields.back()));
      if (out.items.back().poison())
        return {};
    }
    return out;
  }
  bool list = written.kind == ast::Type::Kind::List;
  if (list || written.kind == ast::Type::Kind::Optional) {
    const ast::Type &inner = list ? *static_cast<const ast::ListType &>(written).element : *static_cast<const ast::OptionalType &>(written).element;
    if (inner.kind == ast::Type::Kind::List || inner.kind == ast::Type::Kind::Optional)
      return fail(Diag::FlowInput, written.range, {name, "`" + source(written.range) + "`"}, "give what is inside a name: `list<{ parts: list<text> }>`");
    // The elements of all records are rows of a space that is there from the start.
    type.kind = list ? RichType::Kind::List : RichType::Kind::Optional;
    type.slot = flow->freshSlot(name + ".of");
    type.fields.emplace_back();
    Val out;
    out.kind = list ? Val::Kind::Elements : Val::Kind::Perhaps;
    out.space = flow->spaces.size();
    std::string rows = name;
    std::replace(rows.begin(), rows.end(), '.', '_');
    flow->spaces.push_back({Dim::symbol(flow->freshSize(rows)), flow->space, {}, type.slot});
    Within within(*this, out.space);
    Val numbers = tensorVal(rec->input(type.slot, {Elem::I32, {flow->rows()}, 0}, where));
    numbers.type = {Elem::I32, {flow->rows()}, 0};
    flow->slots[numbers.tensor] = type.slot;
    flow->slotSpace[type.slot] = out.space;
    flow->spaces[out.space].numbers = numbers;
    out.items = {flowInput(name, inner, where, scope, type.fields[0])};
    return out.items[0].poison() ? Val{} : out;
  }
  Pattern t = resolve(written, scope, true);
  if (t.kind == Pattern::Kind::Invalid)
    return {};
  if (t.kind == Pattern::Kind::Text)
    return one(RichType::Kind::Text, textVal(name, false));
  if (t.kind == Pattern::Kind::Image)
    return one(RichType::Kind::Image, imageVal(name));
  if (t.kind == Pattern::Kind::Bool || t.kind == Pattern::Kind::Choice) { // alone they are types of settings as well
    bool choice = t.kind == Pattern::Kind::Choice;
    type.tensor = {choice ? Elem::I32 : Elem::Bool, {}, Dim(int64_t(t.choices.size()))};
    type.labels = t.choices;
    return one(RichType::Kind::Tensor, flowRows(name, type.tensor, where));
  }
  if (t.kind != Pattern::Kind::Tensor)
    return fail(Diag::FlowInput, written.range, {name, "`" + source(written.range) + "`"},
                "a flow takes texts, images, tensors, and lists and records of them; a setting has a default");
  for (auto &s : t.sizes)
    if (s.pack)
      return fail(Diag::FlowInput, written.range, {name, "of any rank"}, "write its dimensions out");
  Val v = one(RichType::Kind::Tensor, flowTensorInput(name, written, where, scope, type));
  type.meaning = v.meaning = t.meaning;
  type.labels = t.choices;
  type.classesOf = t.classesOf;
  return v;
}

} // namespace bigm::sema
