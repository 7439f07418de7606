#include "Gather.h"
#include "runtime/data/Error.h"
#include <utility>

namespace bigm::flow {
using data::fail;

namespace {
bool holdsElements(const RichType &type) { return type.kind == RichType::Kind::List || type.kind == RichType::Kind::Optional; }

/// The part of `type` that the rest of a path leads to; an element has the path of its list.
const RichType *follow(const RichType &type, std::string_view rest) {
  if (rest.empty())
    return &type;
  if (holdsElements(type))
    return follow(type.fields[0], rest);
  for (size_t f = 0; f < type.names.size(); ++f) {
    const std::string &name = type.names[f];
    if (rest.starts_with(name) && (rest.size() == name.size() || rest[name.size()] == '.'))
      return follow(type.fields[f], rest.substr(std::min(rest.size(), name.size() + 1)));
  }
  return nullptr;
}
} // namespace

const RichType *Gather::find(const std::string &path) const {
  for (auto &[name, type] : flow.inputs)
    if (path.starts_with(name) && (path.size() == name.size() || path[name.size()] == '.'))
      return follow(type, std::string_view(path).substr(std::min(path.size(), name.size() + 1)));
  return nullptr;
}

const RichType &Gather::at(const std::string &path, RichType::Kind kind, const char *what) const {
  const RichType *type = find(path);
  if (!type)
    fail("`{}` has no input `{}`", flow.name, path);
  if (holdsElements(*type) && type->fields[0].kind == kind)
    type = &type->fields[0]; // values of its elements
  if (type->kind != kind)
    fail("`{}` of `{}` is not {}", path, flow.name, what);
  return *type;
}

void Gather::give(const std::string &path, Item value) {
  Pending &p = pending[path];
  p.given = true;
  p.value = std::move(value);
}

Item Gather::take(const RichType &type, const std::string &path) {
  Item item;
  if (type.kind == RichType::Kind::Record) {
    for (size_t f = 0; f < type.names.size(); ++f)
      item.items.push_back(take(type.fields[f], path + "." + type.names[f]));
    return item;
  }
  auto found = pending.find(path);
  if (holdsElements(type)) {
    if (found != pending.end())
      item.items = std::exchange(found->second.elements, {});
    if (type.kind == RichType::Kind::Optional && item.items.size() > 1)
      fail("`{}` of `{}` is one value or none, and here are {}", path, flow.name, item.items.size());
    return item;
  }
  if (found == pending.end() || !std::exchange(found->second.given, false))
    fail("`{}` of `{}` lacks `{}`", path.substr(0, path.rfind('.')), flow.name, path);
  return std::move(found->second.value);
}

void Gather::element(const std::string &path) {
  const RichType *type = find(path);
  if (!type || !holdsElements(*type))
    fail("`{}` has no list `{}`", flow.name, path);
  try {
    Item element = take(type->fields[0], path);
    pending[path].elements.push_back(std::move(element));
  } catch (const data::Error &) {
    std::erase_if(pending, [&](auto &p) { return p.first.starts_with(path + "."); });
    throw;
  }
}

std::vector<Item> Gather::record() {
  std::vector<Item> inputs;
  try {
    for (auto &[name, type] : flow.inputs) {
      if (type.kind != RichType::Kind::Record && !holdsElements(type) && !pending[name].given)
        fail("a record of `{}` lacks `{}`", flow.name, name);
      inputs.push_back(take(type, name));
    }
    for (auto &[path, p] : pending)
      if (p.given || !p.elements.empty())
        fail("`{}` of `{}` was given, and its element is not complete", path, flow.name);
  } catch (const data::Error &) {
    pending.clear();
    throw;
  }
  pending.clear();
  return inputs;
}

} // namespace bigm::flow
