// The fields of `data`: numbers, classes, texts, pictures of any size, and lists of records; and what each is in a batch.
#include "Checker.h"
#include <algorithm>

namespace bigm::sema {

bool Checker::readFields(DataSet &set, DataProgram &out) {
  const ast::Clause *fields = clause(set.decl->clauses, "fields");
  bool ok = true;
  for (auto &f : fields->fields) {
    const std::string &name = f.name.text;
    if (set.where.count(name)) {
      fail(Diag::FieldTwice, f.name.range, {name});
      ok = false;
      continue;
    }
    set.where[name] = f.name.range;
    if (f.type->kind == ast::Type::Kind::List) {
      Field field;
      field.name = name;
      if (readListField(set, f.name, static_cast<const ast::ListType &>(*f.type), field) && readMissing(f.defaultValue.get(), *f.type, field, set.module))
        out.fields.push_back(std::move(field));
      else
        ok = false;
      continue;
    }
    auto field = readField(f.name, *f.type, set.module);
    if (!field || !readMissing(f.defaultValue.get(), *f.type, *field, set.module)) {
      ok = false;
      continue;
    }
    if (field->kind != "text" && field->kind != "photo") {
      TensorType batch = field->type;
      batch.shape.insert(batch.shape.begin(), Dim::symbol("N"));
      set.batch[name] = batch;
    }
    out.fields.push_back(std::move(*field));
  }
  return ok;
}

std::optional<Field> Checker::readField(const ast::Name &name, const ast::Type &written, Module *m) {
  Field field;
  field.name = name.text;
  Pattern p = resolve(written, globalScope(m), false);
  if (p.kind == Pattern::Kind::Invalid)
    return std::nullopt;
  if (p.kind == Pattern::Kind::Choice) { // label{cat, dog}
    field.labels = p.choices;
    p.kind = Pattern::Kind::Tensor;
    p.elem = Elem::I32;
    p.isLabel = true;
    p.classes = Dim(int64_t(p.choices.size()));
  }
  if (p.kind == Pattern::Kind::Text || p.kind == Pattern::Kind::Image) {
    field.kind = p.kind == Pattern::Kind::Text ? "text" : "photo";
    field.type.elem = Elem::U8;
    return field;
  }
  if (p.kind == Pattern::Kind::List || p.kind == Pattern::Kind::Record || p.kind == Pattern::Kind::Optional) {
    unsupported("a field of type `" + source(written.range) + "`", written.range);
    return std::nullopt;
  }
  bool pack = false;
  for (auto &s : p.sizes)
    pack |= s.pack;
  auto type = pack ? std::nullopt : concrete(p, written.range);
  if (pack)
    fail(Diag::NotATensorType, written.range, {source(written.range)});
  if (!p.classesOf.empty()) {
    unsupported("a field with the classes of another", written.range, "write how many there are, `label[10]`, or their names, `label{cat, dog}`");
    return std::nullopt;
  }
  if (type && p.isLabel && p.sizes.empty())
    field.labels = p.choices;
  if (type && p.isLabel && !p.classes) {
    fail(Diag::LabelWithoutClasses, written.range, {}, "write `label[10]` or `label{cat, dog}`");
    type = std::nullopt;
  }
  if (!type)
    return std::nullopt;
  field.type = *type;
  field.meaning = p.meaning;
  size_t rank = type->shape.size();
  auto channels = rank == 3 ? type->shape[0].constant() : std::nullopt;
  field.kind = p.isLabel ? "label"
               : type->elem == Elem::U8 && (rank == 2 || (channels && (*channels == 1 || *channels == 3 || *channels == 4)))
                   ? "image"
                   : "tensor";
  return field;
}

bool Checker::classesOfField(const ast::Expr &e, const ScopePtr &scope, Pattern &out) {
  const std::string path = exprPath(e), name = path.substr(0, path.find('.'));
  if (name == path || scope->find(name))
    return false;
  DataSet *set = dataSet(name, scope->module);
  if (!set)
    return false;
  const std::string wanted = path.substr(name.size() + 1);
  std::vector<std::string> names;
  const Field *found = nullptr;
  auto look = [&](const Field &field, const std::string &as) {
    if (field.kind == "label")
      names.push_back(as);
    if (field.kind == "label" && as == wanted)
      found = &field;
  };
  for (const Field &field : program->data[set->index].fields) {
    look(field, field.name);
    for (const Field &part : field.parts)
      look(part, field.name + "." + part.name);
  }
  if (!found) {
    out.kind = Pattern::Kind::Invalid;
    std::string near = didYouMean(wanted, names), all;
    for (auto &one : names)
      all += (all.empty() ? "its classes are those of `" : ", `") + one + "`";
    if (set->ok) // else it has an error of its own
      fail(Diag::DimensionForm, e.range, {source(e.range)}, near.empty() ? (all.empty() ? "`" + name + "` has no field of classes" : all) : "did you mean `" + name + "." + near + "`?");
    return true;
  }
  out.classes = found->type.classes;
  out.choices = found->labels;
  if (found->labels.empty())
    out.classesOf = path;
  return true;
}

bool Checker::readMissing(const ast::Expr *value, const ast::Type &type, Field &field, Module *m) {
  if (!value)
    return true;
  const ast::Expr &e = *value;
  auto refuse = [&](const std::string &what, const std::string &hint) {
    fail(Diag::FieldMissing, e.range, {field.name, source(type.range), what}, hint);
    return false;
  };
  bool named = !field.labels.empty();
  if (field.kind == "list") {
    auto *list = ast::as<ast::ListExpr>(&e);
    field.missing = "";
    return (list && list->items.empty()) || refuse("`" + source(e.range) + "`", "a list can be the empty one: `= []`");
  }
  if (field.kind == "photo" || field.kind == "image")
    return refuse("`" + source(e.range) + "`", "every record has its picture");
  if (auto *word = ast::as<ast::RefExpr>(&e); word && named) {
    field.missing = word->name;
  } else {
    Val v = eval(e, globalScope(m));
    if (v.poison())
      return false;
    if (v.is(Val::Kind::String) && (field.kind == "text" || field.kind == "label"))
      field.missing = v.text;
    else if (v.is(Val::Kind::Bool) && field.type.elem == Elem::Bool)
      field.missing = v.boolean ? "1" : "0";
    else if (auto n = v.asNumber(); n && field.kind != "text" && field.type.elem != Elem::Bool)
      field.missing = shown(*n);
    else
      return refuse(v.is(Val::Kind::None) ? "`none`" : describe(v), field.kind == "text" ? "write a text: `= \"\"`" : named ? "write one of its classes" : "write a number: `= 0`");
  }
  if (named && std::find(field.labels.begin(), field.labels.end(), *field.missing) == field.labels.end())
    return refuse("`" + *field.missing + "`", "write one of its classes");
  return true;
}

bool Checker::readListField(DataSet &set, const ast::Name &name, const ast::ListType &type, Field &field) {
  field.kind = "list";
  field.type.elem = Elem::U8;
  if (type.element->kind != ast::Type::Kind::Record) {
    fail(Diag::ListFieldOfRecords, type.range, {name.text, source(type.range)}, "for example `" + name.text + ": list<{ where: box }>`");
    return false;
  }
  Dim longest = Dim::symbol(name.text + "_most");
  bool ok = true;
  for (auto &part : static_cast<const ast::RecordType &>(*type.element).fields) {
    auto one = readField(part.name, *part.type, set.module);
    if (one && one->kind != "tensor" && one->kind != "label" && one->kind != "text") {
      fail(Diag::ListFieldPart, part.type->range, {name.text + "." + part.name.text, source(part.type->range)});
      one.reset();
    }
    if (one && set.batch.count(name.text + "." + one->name)) {
      fail(Diag::FieldTwice, part.name.range, {one->name});
      one.reset();
    }
    ok &= one && readMissing(part.defaultValue.get(), *part.type, *one, set.module);
    if (!one)
      continue;
    if (one->kind != "text") {
      TensorType batch = one->type;
      batch.shape.insert(batch.shape.begin(), {Dim::symbol("N"), longest});
      set.batch[name.text + "." + one->name] = batch;
    }
    field.parts.push_back(std::move(*one));
  }
  set.lists[name.text] = longest;
  return ok;
}

void Checker::bindRaw(DataSet &set, const ScopePtr &scope, bool labelsAreKnown) {
  // How many records a batch has, under the name that types show it by, unless the program means something else by that.
  if (!findDecl("N", set.module).decl && !set.where.count("N"))
    scope->names["N"] = {Val::of(Dim::symbol("N")), set.decl->name.range};
  for (const Field &f : program->data[set.index].fields) {
    if (f.kind == "text" || f.kind == "photo") {
      Val v;
      v.kind = f.kind == "text" ? Val::Kind::Text : Val::Kind::Image;
      v.text = f.name;
      v.data = set.index;
      scope->names[f.name] = {v, set.where.at(f.name)};
      continue;
    }
    if (f.kind == "list") {
      scope->names[f.name] = {bindList(set, f), set.where.at(f.name)};
      continue;
    }
    TensorType type = set.batch.at(f.name);
    bool isLabel = f.kind == "label";
    Val v = isLabel && !labelsAreKnown ? tensorVal(rec->constant(0, type)) : fieldInput(set.index, f.name, type, set.where.at(f.name));
    v.type.classes = type.classes;
    if (isLabel)
      v.label = f.name;
    scope->names[f.name] = {v, set.where.at(f.name)};
  }
}

Val Checker::bindList(const DataSet &set, const Field &field) {
  Val list;
  list.kind = Val::Kind::Record;
  list.host = field.name;
  list.data = set.index;
  for (const Field &part : field.parts) {
    std::string name = field.name + "." + part.name;
    if (part.kind == "text") {
      Val v;
      v.kind = Val::Kind::Text;
      v.text = name;
      v.host = field.name;
      v.data = set.index;
      list.names.push_back(part.name);
      list.items.push_back(std::move(v));
      continue;
    }
    const TensorType &type = set.batch.at(name);
    Val v = fieldInput(set.index, name, type, set.where.at(field.name));
    v.meaning = part.meaning;
    list.names.push_back(part.name);
    list.items.push_back(std::move(v));
  }
  return list;
}

Val Checker::changedList(const Val &before, Val after, const ast::AssignStmt &assign) {
  bool same = after.is(Val::Kind::Record);
  Val out = before;
  for (size_t i = 0; same && i < before.items.size(); ++i) {
    const Val *part = after.field(before.names[i]);
    if (before.items[i].is(Val::Kind::Text)) {
      same = part && part->is(Val::Kind::Text) && part->text == before.items[i].text;
      continue;
    }
    same = part && part->is(Val::Kind::Tensor) && part->type.shape == before.items[i].type.shape &&
           part->type.elem == before.items[i].type.elem;
    if (same) {
      out.items[i].tensor = part->tensor;
    }
  }
  if (same && after.items.size() == before.items.size())
    return out;
  std::string parts;
  for (size_t i = 0; i < before.items.size(); ++i)
    parts += (i ? ", " : "") + before.names[i] + ": " + (before.items[i].is(Val::Kind::Text) ? "text" : before.items[i].type.str());
  return fail(Diag::AugmentType, assign.value->range, {assign.name.text, "{ " + parts + " }", describe(after)},
              "give all its parts: `" + assign.name.text + " = { " + before.names[0] + ": changed, ... }`");
}

} // namespace bigm::sema
