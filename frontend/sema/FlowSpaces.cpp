// Lists and branches in flows.
//
// Values of a flow have one row for each record of a batch. The elements of all records' lists are rows as well, of a space
// of their own, with a number for each that says whose it is; so a body runs once for all elements of all records, however
// many there are, none being nothing special. The rows that take a branch of a `when` are such a space too. What a body
// reads from outside is gathered by those numbers: a tensor in compiled code, a text or image by a step that copies no
// contents.
#include "Flow.h"
#include <utility>

namespace bigm::sema {

std::optional<size_t> Checker::spaceOf(const std::string &name, const ScopePtr &scope) {
  const Scope *owner = scope.get();
  while (owner && !owner->names.count(name))
    owner = owner->parent.get();
  for (const Scope *s = owner; s; s = s->parent.get()) {
    if (s->space)
      return s->space;
    if (s->callBorder)
      break; // a model or function: its values have the rows of whoever calls it
  }
  return std::nullopt;
}

std::pair<size_t, std::vector<Val>> Checker::openSpace(const std::string &op, const std::string &name,
                                                       const std::vector<Val> &inputs, Spec settings,
                                                       const std::vector<RichType> &outputs, SourceRange where) {
  size_t outside = flow->space, number = flow->spaces.size();
  flow->spaces.push_back({Dim::symbol(flow->freshSize(name)), outside, {}, ""});
  RichType numbers;
  numbers.slot = name + ".of";
  numbers.tensor = {Elem::I32, {}, 0};
  std::vector<RichType> all = outputs;
  all.insert(all.begin(), numbers);
  std::vector<Val> values = [&] {
    Within within(*this, number);
    return hostStep(op, inputs, std::move(settings), all, where);
  }();
  flow->spaces[number].numbers = values[0];
  flow->spaces[number].slot = slotOf(values[0]);
  values.erase(values.begin());
  return {number, values};
}

Val Checker::takeRows(const Val &v, size_t from, const Val &numbers, SourceRange where) {
  switch (v.kind) {
  case Val::Kind::Tensor: {
    if (v.type.shape.empty() || v.type.shape[0] != flow->spaces[from].rows)
      return v; // the same for all rows
    TensorType type = v.type;
    type.shape[0] = flow->rows();
    Val out = v;
    out.tensor = rec->add(Op::Gather, {v.tensor, numbers.tensor}, type);
    out.type = type;
    if (auto length = flow->lengths.find(v.tensor); length != flow->lengths.end())
      flow->lengths[out.tensor] = takeRows(tensorVal(length->second), from, numbers, where).tensor;
    if (auto by = flow->tokenizers.find(v.tensor); by != flow->tokenizers.end())
      flow->tokenizers[out.tensor] = by->second;
    if (auto starts = flow->starts.find(v.tensor); starts != flow->starts.end())
      flow->starts[out.tensor] = takeRows(tensorVal(starts->second), from, numbers, where).tensor;
    return out;
  }
  case Val::Kind::Text:
  case Val::Kind::Image: {
    auto known = flow->spread.find({v.text, flow->space});
    if (known != flow->spread.end())
      return known->second;
    RichType type;
    type.kind = v.is(Val::Kind::Text) ? RichType::Kind::Text : RichType::Kind::Image;
    type.slot = v.text;
    Spec settings;
    settings.name = v.is(Val::Kind::Text) ? "texts" : "images";
    Val out = hostStep("take", {numbers, v}, settings, {type}, where)[0];
    flow->spread[{v.text, flow->space}] = out;
    return out;
  }
  case Val::Kind::Record: {
    Val out = v;
    for (Val &item : out.items) {
      item = takeRows(item, from, numbers, where);
      if (item.poison())
        return {};
    }
    return out;
  }
  case Val::Kind::Elements:
  case Val::Kind::Perhaps: return takeLists(v, numbers, where);
  default: return v;
  }
}

Val Checker::takeLists(const Val &v, const Val &numbers, SourceRange where) {
  auto key = std::tuple(v.space, flow->space, numbers.tensor);
  auto known = flow->spreadLists.find(key);
  if (known == flow->spreadLists.end()) {
    RichType position;
    position.slot = "spread.position";
    position.tensor = {Elem::I32, {}, 0};
    auto [space, values] = openSpace("spread", "spread", {numbers, flow->spaces[v.space].numbers}, {}, {position}, where);
    known = flow->spreadLists.emplace(key, std::pair(space, values[0])).first;
  }
  auto [space, positions] = known->second;
  Val out = v;
  out.space = space;
  Within within(*this, space);
  out.items[0] = takeRows(v.items[0], v.space, positions, where);
  return out.items[0].poison() ? Val{} : out;
}

Val Checker::lifted(const Val &v, size_t from, SourceRange where) {
  if (from == flow->space || v.poison())
    return v;
  std::vector<size_t> path; // from the present space outwards
  for (size_t s = flow->space; s != from; s = flow->spaces[s].outside) {
    if (s == 0)
      return v; // made in a space that is none of those around
    path.push_back(s);
  }
  Val out = v;
  for (size_t i = path.size(); i-- > 0 && !out.poison();) {
    Within within(*this, path[i]);
    out = takeRows(out, flow->spaces[path[i]].outside, flow->spaces[path[i]].numbers, where);
  }
  return out;
}

Val Checker::perRow(const Val &v, SourceRange where, std::optional<Elem> elem) {
  if (v.is(Val::Kind::Bool))
    return tensorVal(rec->constant(v.boolean, {Elem::Bool, {flow->rows()}, 0}));
  if (!v.numeric())
    return v;
  auto t = toTensor(v, elem ? *elem : v.is(Val::Kind::Int) ? Elem::I32 : Elem::F32, where);
  return t ? tensorVal(rec->broadcast(*t, {flow->rows()})) : Val{};
}

Val Checker::evalWithin(size_t space, const ast::Block &block, const ScopePtr &scope, const std::string &name,
                        const Val &element) {
  auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  inner->module = scope->module;
  inner->space = space;
  inner->tensorBranch = true; // nothing outside is assigned: its rows are others
  if (!name.empty()) {
    inner->names[name] = {element, block.range};
    inner->yields = true;
  }
  Within within(*this, space);
  Val result = evalBlock(block, inner);
  return name.empty() ? result : perRow(result, block.range);
}

Val Checker::oneMissing(const Val &v, SourceRange where) {
  return v.is(Val::Kind::Perhaps) && v.items[0].is(Val::Kind::Perhaps) ? flattened(v, where) : v;
}

Val Checker::evalFor(const ast::ForExpr &s, const ScopePtr &scope) {
  if (!flow || !scope->inFlow())
    return fail(Diag::ForOutsideFlow, s.range, {}, "in a model, `repeat` and index notation do the same to every element");
  Val list = eval(*s.list, scope);
  if (list.poison())
    return {};
  if (!list.is(Val::Kind::Elements) && !list.is(Val::Kind::Perhaps))
    return fail(Diag::ForNeedsList, s.list->range, {describe(list)}, "for example what `nms` finds");
  if (s.body->statements.empty() || s.body->statements.back()->kind != ast::Stmt::Kind::Yield)
    return fail(Diag::ForNeedsYield, s.range, {}, "its last line says what becomes of each element: `yield { ... }`");
  Val out = list;
  out.items[0] = evalWithin(list.space, *s.body, scope, s.name.text, list.items[0]);
  if (out.items[0].poison())
    return {};
  return oneMissing(out, s.range);
}

Val Checker::perhaps(const Side &side, SourceRange where) {
  Val out;
  out.kind = Val::Kind::Perhaps;
  out.space = side.space;
  {
    Within within(*this, side.space);
    out.items = {perRow(side.value, where)};
  }
  return oneMissing(out, where);
}

Val Checker::evalFlowWhen(const Val &condition, const ast::WhenExpr &e, const ScopePtr &scope) {
  if (condition.type.shape.size() != 1 || condition.type.shape[0] != flow->rows())
    return fail(Diag::ConditionPerRow, e.condition->range, {describe(condition)}, "`all` or `any` of its values may be meant");
  auto rowsWhere = [&](bool holds) {
    Spec settings;
    settings.options["holds"] = holds ? 1.0 : 0.0;
    return openSpace("where", holds ? "then" : "else", {condition}, settings, {}, e.condition->range).first;
  };
  Side then{{}, {}, rowsWhere(true)};
  then.value = evalWithin(then.space, *e.then, scope, "", {});
  then.numbers = flow->spaces[then.space].numbers;
  if (then.value.poison())
    return {};
  if (!e.otherwise)
    return perhaps(then, e.range);
  Side other{{}, {}, rowsWhere(false)};
  other.value = evalWithin(other.space, *e.otherwise, scope, "", {});
  other.numbers = flow->spaces[other.space].numbers;
  if (other.value.poison())
    return {};
  return mergeRows(then, other, e.range);
}

Val Checker::mergeRows(const Side &first, const Side &second, SourceRange where) {
  Side a = first, b = second;
  auto rowsHere = [&](const Side &side) { // of the elements of its list
    Within within(*this, side.value.space);
    return takeRows(side.numbers, side.space, flow->spaces[side.value.space].numbers, where);
  };
  if (a.value.numeric() || a.value.is(Val::Kind::Bool) || b.value.numeric() || b.value.is(Val::Kind::Bool)) {
    // A number is of the other side's type.
    std::optional<Elem> elem;
    for (auto *side : {&a, &b}) {
      const Val &v = side->value.is(Val::Kind::Perhaps) ? side->value.items[0] : side->value;
      if (v.is(Val::Kind::Tensor))
        elem = v.type.elem;
      else if (v.is(Val::Kind::Number) && !elem)
        elem = Elem::F32;
    }
    for (auto *side : {&a, &b}) {
      Within within(*this, side->space);
      side->value = perRow(side->value, where, elem);
      if (side->value.poison())
        return {};
    }
  }
  auto differ = [&] { return fail(Diag::SidesDiffer, where, {describe(a.value), describe(b.value)}); };
  if (a.value.kind != b.value.kind) {
    // What may be missing on one side may be missing of both.
    if (a.value.is(Val::Kind::None) || b.value.is(Val::Kind::None)) {
      const Side &there = a.value.is(Val::Kind::None) ? b : a;
      return flow->spaces[there.space].outside == flow->space ? perhaps(there, where) : differ();
    }
    if (a.value.is(Val::Kind::Elements) || b.value.is(Val::Kind::Elements) ||
        (!a.value.is(Val::Kind::Perhaps) && !b.value.is(Val::Kind::Perhaps)))
      return differ();
    auto missing = [&](const Side &side) {
      return side.value.is(Val::Kind::Perhaps) ? std::pair(side.value, rowsHere(side)) : std::pair(perhaps(side, where), side.numbers);
    };
    auto [first, firstRows] = missing(a);
    auto [second, secondRows] = missing(b);
    return uniteLists(first, firstRows, second, secondRows, where);
  }
  RichType type;
  Spec settings;
  switch (a.value.kind) {
  case Val::Kind::Record: {
    Val out = a.value;
    if (a.value.names.size() != b.value.names.size())
      return fail(Diag::SidesDiffer, where, {"a record with " + std::to_string(a.value.names.size()) + " fields",
                                                "one with " + std::to_string(b.value.names.size())});
    for (size_t i = 0; i < out.items.size(); ++i) {
      const Val *same = b.value.field(out.names[i]);
      if (!same)
        return fail(Diag::SidesDiffer, where, {"a record with `" + out.names[i] + "`", "one without"});
      out.items[i] = mergeRows({a.value.items[i], a.numbers, a.space}, {*same, b.numbers, b.space}, where);
      if (out.items[i].poison())
        return {};
    }
    return out;
  }
  case Val::Kind::Tensor: {
    TensorType x = a.value.type, y = b.value.type;
    bool batched = !x.shape.empty() && !y.shape.empty() && x.shape[0] == flow->spaces[a.space].rows &&
                   y.shape[0] == flow->spaces[b.space].rows;
    if (!batched)
      return fail(Diag::FlowNotBatched, where, {flow->name, describe(batched ? b.value : a.value)}, "its first dimension is that of the records");
    x.shape.erase(x.shape.begin());
    y.shape.erase(y.shape.begin());
    if (x.shape != y.shape || x.elem != y.elem || x.classes != y.classes)
      return fail(Diag::SidesDiffer, where, {x.str(), y.str()});
    type.tensor = x;
    type.slot = "merged";
    type.meaning = a.value.meaning == b.value.meaning ? a.value.meaning : "";
    settings.name = "tensors";
    break;
  }
  case Val::Kind::Text:
  case Val::Kind::Image:
    type.kind = a.value.is(Val::Kind::Text) ? RichType::Kind::Text : RichType::Kind::Image;
    type.slot = "merged";
    settings.name = a.value.is(Val::Kind::Text) ? "texts" : "images";
    break;
  case Val::Kind::Elements:
  case Val::Kind::Perhaps: return uniteLists(a.value, rowsHere(a), b.value, rowsHere(b), where);
  default: return differ();
  }
  return hostStep("merge", {a.numbers, a.value, b.numbers, b.value}, settings, {type}, where)[0];
}

} // namespace bigm::sema
