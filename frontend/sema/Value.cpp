// Values and scopes of the evaluation.
#include "Value.h"
#include <charconv>

namespace bigm::sema {

std::string shown(double x) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, x).ptr};
}

std::optional<double> Val::asNumber() const {
  if (kind == Kind::Number)
    return number;
  if (kind == Kind::Int)
    if (auto c = integer.constant())
      return double(*c);
  return std::nullopt;
}

const Val *Val::field(const std::string &name) const {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name)
      return &items[i];
  return nullptr;
}

static Val make(Val::Kind kind) {
  Val v;
  v.kind = kind;
  return v;
}

Val Val::of(Dim d) {
  Val v = make(Kind::Int);
  v.integer = std::move(d);
  return v;
}
Val Val::of(double d) {
  Val v = make(Kind::Number);
  v.number = d;
  return v;
}
Val Val::of(bool b) {
  Val v = make(Kind::Bool);
  v.boolean = b;
  return v;
}
Val Val::word(std::string w) {
  Val v = make(Kind::Word);
  v.text = std::move(w);
  return v;
}
Val Val::string(std::string s) {
  Val v = make(Kind::String);
  v.text = std::move(s);
  return v;
}
Val Val::unknown() { return make(Kind::Unknown); }
Val Val::none() { return make(Kind::None); }
Val Val::of(std::shared_ptr<Callable> c) {
  Val v = make(Kind::Callable);
  v.callable = std::move(c);
  return v;
}

const Scope::Binding *Scope::find(const std::string &name) const {
  for (const Scope *s = this; s; s = s->parent.get()) {
    auto found = s->names.find(name);
    if (found != s->names.end())
      return &found->second;
  }
  return nullptr;
}

bool Scope::inFlow() const {
  for (const Scope *s = this; s; s = s->parent.get()) {
    if (s->space)
      return true;
    if (s->callBorder)
      return false;
  }
  return false;
}

const std::vector<Dim> *Scope::findPack() const {
  for (const Scope *s = this; s; s = s->parent.get())
    if (s->pack)
      return &*s->pack;
  return nullptr;
}

} // namespace bigm::sema
