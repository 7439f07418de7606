// What a flow does with whole lists: counting, choosing, putting together.
#include "Flow.h"

namespace bigm::sema {

bool Checker::needElements(const Given *arg, const std::string &what) {
  if (arg->value.is(Val::Kind::Elements) && flow && flow->spaces[arg->value.space].outside == flow->space)
    return true;
  if (!arg->value.poison())
    fail(Diag::NeedsElements, arg->where, {what, describe(arg->value)}, "for example what `nms` finds");
  return false;
}

/// count(list) -> i32 of each row.
Val Checker::flowCount(const BuiltinCall &call) {
  if (!needElements(call.args[0], call.builtin->name))
    return {};
  RichType count;
  count.slot = "count";
  count.tensor = {Elem::I32, {}, 0};
  Spec settings;
  setOutside(settings);
  return hostStep("count", {flow->spaces[call.args[0]->value.space].numbers}, settings, {count}, call.where)[0];
}

/// sum(list) and prod(list) -> f32 of each row, 0 and 1 where there are no elements; mean, max and min of a list may be missing.
Val Checker::reduceElements(const BuiltinCall &call) {
  const std::string &name = call.builtin->name;
  if (!needElements(call.args[0], name))
    return {};
  const Val &list = call.args[0]->value, &x = list.items[0];
  if (!x.is(Val::Kind::Tensor) || x.type.elem != Elem::F32 || x.type.shape.empty())
    return fail(Diag::ReducedElements, call.where, {name, describe(list)},
                x.is(Val::Kind::Record) ? "name one of the fields: `" + name + "(list.field)`" : "convert them in a `for`: `yield f32(...)`");
  RichType result;
  result.slot = name;
  result.tensor = {Elem::F32, {x.type.shape.begin() + 1, x.type.shape.end()}, 0};
  Spec settings;
  settings.name = name;
  setOutside(settings);
  Val all = hostStep("reduce", {flow->spaces[list.space].numbers, x}, settings, {result}, call.where)[0];
  if (name == "sum" || name == "prod")
    return all;
  Val counts = flowCount(call);
  TensorType is = counts.type;
  is.elem = Elem::Bool;
  Val some = tensorVal(rec->add(Op::Gt, {counts.tensor, rec->broadcast(rec->constant(0, {Elem::I32, {}, 0}), counts.type.shape)}, is));
  Spec holds;
  holds.options["holds"] = 1.0;
  Side there{{}, {}, openSpace("where", "some", {some}, holds, {}, call.where).first};
  there.numbers = flow->spaces[there.space].numbers;
  {
    Within within(*this, there.space);
    there.value = takeRows(all, flow->spaces[there.space].outside, there.numbers, call.where);
  }
  return perhaps(there, call.where);
}

/// sort(list, by?), at_most(list, n, by?), best_or_none(list, by?): the elements of each row with the largest values of the
/// field `by` (`score` where it is not said), in this order.
Val Checker::flowChoose(const BuiltinCall &call) {
  const std::string name = call.builtin->name;
  if (!needElements(call.args[0], name))
    return {};
  const Val &list = call.args[0]->value;
  bool atMost = name == "at_most";
  const Given *byGiven = call.args[atMost ? 2 : 1];
  std::string by = "score";
  if (byGiven) {
    if (!byGiven->value.is(Val::Kind::Word) && !byGiven->value.is(Val::Kind::String))
      return fail(Diag::ArgumentKind, byGiven->where, {name, "by", "the name of a field in quotes", describe(byGiven->value)});
    by = byGiven->value.text;
  }
  Spec settings;
  settings.options["at_most"] = name == "best_or_none" ? 1.0 : 0.0;
  if (atMost) {
    auto n = countSetting(call.args[1], "at_most");
    if (!n)
      return {};
    settings.options["at_most"] = double(*n);
  }
  const Val *key = list.items[0].is(Val::Kind::Record) ? list.items[0].field(by) : by == "score" ? &list.items[0] : nullptr;
  if (!key || !key->is(Val::Kind::Tensor) || key->type.elem != Elem::F32 || key->type.shape.size() != 1)
    return fail(Diag::NoScoreField, call.where, {name, by}, "say which: `by: \"area\"`");
  RichType position;
  position.slot = "position";
  position.tensor = {Elem::I32, {}, 0};
  auto [space, values] = openSpace("choose", name == "best_or_none" ? "best" : name == "sort" ? "sorted" : "chosen",
                                   {flow->spaces[list.space].numbers, *key}, settings, {position}, call.where);
  Val out = list;
  out.kind = name == "best_or_none" ? Val::Kind::Perhaps : Val::Kind::Elements;
  out.space = space;
  Within within(*this, space);
  out.items[0] = takeRows(list.items[0], list.space, values[0], call.where);
  return out.items[0].poison() ? Val{} : out;
}

/// union(a, b): the elements of `a`, then those of `b`, of each row.
Val Checker::flowUnion(const BuiltinCall &call) {
  if (!needElements(call.args[0], "union") || !needElements(call.args[1], "union"))
    return {};
  const Val &a = call.args[0]->value, &b = call.args[1]->value;
  return uniteLists(a, flow->spaces[a.space].numbers, b, flow->spaces[b.space].numbers, call.where);
}

/// flat(list): one list of what is in the lists of a list, or of those elements that are there.
Val Checker::flowFlat(const BuiltinCall &call) {
  const Val &list = call.args[0]->value;
  if (list.poison())
    return {};
  auto holds = [](const Val &v) { return v.is(Val::Kind::Elements) || v.is(Val::Kind::Perhaps); };
  if (!holds(list) || flow->spaces[list.space].outside != flow->space || !holds(list.items[0]))
    return fail(Diag::NeedsLists, call.where, {describe(list)}, "for example what `for x in list { yield when ... { x } }` gives");
  return flattened(list, call.where);
}

/// beside(list, { name: x, ... }): the list with further fields, of which an element has the row of x at its place.
Val Checker::flowBeside(const BuiltinCall &call) {
  if (!needElements(call.args[0], "beside"))
    return {};
  Val out = call.args[0]->value;
  const Given &rows = *call.args[1];
  if (!out.items[0].is(Val::Kind::Record) || !rows.value.is(Val::Kind::Record))
    return fail(Diag::BesideRecords, out.items[0].is(Val::Kind::Record) ? rows.where : call.args[0]->where,
                {describe(out.items[0].is(Val::Kind::Record) ? rows.value : out)}, "for example `beside(words, { tag: best(scores) })`");
  Val &element = out.items[0];
  for (size_t i = 0; i < rows.value.items.size(); ++i) {
    const std::string &name = rows.value.names[i];
    const Val &x = rows.value.items[i];
    if (x.poison())
      return {};
    if (!x.is(Val::Kind::Tensor) || x.type.shape.size() < 2 || x.type.shape[0] != flow->rows())
      return fail(Diag::BesideRows, rows.where, {name, describe(x)});
    if (element.field(name))
      return fail(Diag::FieldTwice, rows.where, {name});
    RichType row;
    row.slot = name;
    row.tensor = {x.type.elem, {x.type.shape.begin() + 2, x.type.shape.end()}, x.type.classes};
    Within within(*this, out.space);
    element.names.push_back(name);
    element.items.push_back(hostStep("elements", {flow->spaces[out.space].numbers, x}, {}, {row}, call.where)[0]);
  }
  return out;
}

Val Checker::flattened(const Val &list, SourceRange where) {
  const Val &inner = list.items[0];
  RichType position;
  position.slot = "position";
  position.tensor = {Elem::I32, {}, 0};
  auto [space, values] = openSpace("flat", "flat", {flow->spaces[list.space].numbers, flow->spaces[inner.space].numbers}, {}, {position}, where);
  Val out = inner;
  if (list.is(Val::Kind::Elements))
    out.kind = Val::Kind::Elements;
  out.space = space;
  Within within(*this, space);
  out.items[0] = takeRows(inner.items[0], inner.space, values[0], where);
  return out.items[0].poison() ? Val{} : out;
}

Val Checker::uniteLists(const Val &a, const Val &numbersA, const Val &b, const Val &numbersB, SourceRange where) {
  auto [space, none] = openSpace("union", "union", {numbersA, numbersB}, {}, {}, where);
  auto places = [&](const Val &list, double second) { // where each element of a list stands in the union
    RichType place;
    place.slot = "place";
    place.tensor = {Elem::I32, {}, 0};
    Spec settings;
    settings.options["second"] = second;
    Within within(*this, list.space);
    return hostStep("places", {numbersA, numbersB}, settings, {place}, where)[0];
  };
  Side first{a.items[0], places(a, 0), a.space}, other{b.items[0], places(b, 1), b.space};
  Val out = a;
  out.space = space;
  Within within(*this, space);
  out.items[0] = mergeRows(first, other, where);
  return out.items[0].poison() ? Val{} : out;
}

} // namespace bigm::sema
