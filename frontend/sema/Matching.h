// A call's values and the types that a signature declares for them.
#pragma once
#include "Unify.h"
#include "Value.h"
#include "frontend/Source.h"
#include <map>
#include <optional>

namespace bigm::sema {

/// One argument of a call, evaluated.
struct Given {
  Val value;
  SourceRange where;
  std::string name; // empty when positional
  const ast::Expr *expr = nullptr;
  SourceRange origin; // where the variable was given its value, when the argument is one
  SourceRange named = {}; // where its name stands, when it has one

  /// What an error about the choice of the parameter underlines.
  SourceRange told() const { return named.valid() && !name.empty() ? named : where; }
};
using Args = std::vector<Given>;

/// A written type with its names looked up. Dimensions may hold free names (see Unify.h).
struct Pattern {
  enum class Kind { Any, Tensor, Int, Bool, Choice, Text, Image, Schedule, List, Optional, Record, Invalid } kind = Kind::Invalid;
  Elem elem = Elem::F32;
  struct Size {
    bool pack = false;
    Dim dim;
    SourceRange where;
  };
  std::vector<Size> sizes;
  bool isLabel = false;
  std::optional<Dim> classes;
  std::vector<std::string> choices;
  std::string classesOf;       // `label[posts.intent]`: the field, where its data names the classes
  std::string meaning;         // Tensor: "box", "point", "score" where the type is called so
  std::vector<Pattern> fields; // Record; List, Optional: one
  std::vector<std::string> names;
  SourceRange where;
  std::string str() const; // `f32[N, 64]`
};

/// Whose parameter a value is bound to, for messages.
struct Target {
  std::string callee, parameter; // "Linear", "x"
  bool isResult = false;
};

/// Names fixed while one signature is matched, and by what.
struct Matching {
  ScopePtr scope;
  Bindings bindings;
  std::map<std::string, std::pair<SourceRange, std::string>> fixedBy; // name -> the value that fixed it
  struct Deferred {
    Dim declared, actual;
    SourceRange where;
    Target target;
    size_t position, rank;
    std::string typeText;
  };
  std::vector<Deferred> deferred;
};

struct Signature {
  std::vector<const ast::Parameter *> settings, inputs;
};

} // namespace bigm::sema
