// How the checker speaks. A mistake that shows inside the library is reported where the user called it.
#include "Flow.h"
#include <algorithm>

namespace bigm::sema {

/// What sizes decide: it says nothing about a branch that these sizes may never take.
static bool isAboutSizes(Diag id) {
  switch (id) {
  case Diag::ShapesDiffer:
  case Diag::ArgumentShape:
  case Diag::ArgumentDimension:
  case Diag::ResultShape:
  case Diag::ReshapeSize:
  case Diag::JoinShapes:
  case Diag::LetterSizes:
  case Diag::ParamShapeChanged:
    return true;
  default:
    return false;
  }
}

Diagnostic &Checker::error(Diag id, SourceRange where, std::vector<std::string> args) {
  static Diagnostic dropped;
  if (undecided && isAboutSizes(id)) {
    dropped = {};
    return dropped;
  }
  auto inLibrary = [&](SourceRange r) {
    return r.valid() && sources.name(r.file).compare(0, 4, "std.") == 0;
  };
  SourceRange inside;
  if (inLibrary(where))
    for (size_t i = calls.size(); i-- > 0;)
      if (!inLibrary(calls[i].first)) {
        inside = where;
        where = calls[i].first;
        break;
      }
  std::string key = std::to_string(int(id)) + ":" + std::to_string(where.file) + ":" + std::to_string(where.begin) + ":" +
                    std::to_string(where.end);
  if (!reported.insert(key).second) {
    dropped = {};
    return dropped;
  }
  Diagnostic &d = diags.error(id, where, std::move(args));
  if (inside.valid())
    note(d, inside, "inside the library, here");
  return d;
}

Val Checker::fail(Diag id, SourceRange where, std::vector<std::string> args, std::string hint) {
  Diagnostic &d = error(id, where, std::move(args));
  if (!hint.empty())
    d.hint = std::move(hint);
  return {};
}

void Checker::note(Diagnostic &d, SourceRange where, std::string text) {
  if (where.valid())
    d.notes.push_back({where, std::move(text)});
}

Val Checker::unsupported(const std::string &construct, SourceRange where, const std::string &hint) {
  return fail(Diag::Unsupported, where, {construct}, hint);
}

std::string Checker::describe(const Val &v) const {
  switch (v.kind) {
  case Val::Kind::Poison:
  case Val::Kind::Unknown: return "unknown";
  case Val::Kind::None: return "nothing";
  case Val::Kind::Int:
  case Val::Kind::Number: return "a number";
  case Val::Kind::Bool: return v.boolean ? "`true`" : "`false`";
  case Val::Kind::Word: return "the word `" + v.text + "`";
  case Val::Kind::String: return "a text";
  case Val::Kind::Tensor: {
    TensorType one = v.type;
    if (flow && !one.shape.empty() && std::any_of(flow->spaces.begin() + 1, flow->spaces.end(), [&](auto &s) { return s.rows == one.shape[0]; }))
      one.shape.erase(one.shape.begin()); // of each element
    return one.str();
  }
  case Val::Kind::Record: {
    std::string all;
    for (const std::string &name : v.names)
      all += (all.empty() ? " with `" : ", `") + name + "`";
    return "a record" + all;
  }
  case Val::Kind::List: return "a list";
  case Val::Kind::Text:
    return flow ? (v.stream ? "a stream of text" : "a text") : "text, which is no tensor until `tokens` makes it one";
  case Val::Kind::Image: return "an image";
  case Val::Kind::Elements: return "a list with an element for each thing found";
  case Val::Kind::Perhaps: return "a value that may be missing";
  case Val::Kind::Tokenizer: return "a tokenizer";
  case Val::Kind::Callable:
    switch (v.callable->kind) {
    case Callable::Kind::Decl: return "`" + v.callable->decl->name.text + "`, not applied to anything";
    case Callable::Kind::Bound: return "`" + v.callable->decl->name.text + "(...)`, not applied to anything";
    case Callable::Kind::Model: return "the model `" + v.callable->instance->decl->name.text + "`, not applied to anything";
    case Callable::Kind::Builtin: return "an operation, not applied to anything";
    case Callable::Kind::Chain: return "a chain of models, not applied to anything";
    case Callable::Kind::Constant: return "a schedule";
    }
  }
  return "?";
}

} // namespace bigm::sema
