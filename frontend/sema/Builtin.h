// The operations that a program can call, as the checker finds them in its tables (Builtins.cpp).
#pragma once
#include "Matching.h"

namespace bigm::sema {

/// A setting of a builtin that is a number, and what it may be, for the check and in words.
struct NumberSetting {
  const char *name;
  double least, most;
  bool whole;
  const char *range; // "a whole number above 0"
};

/// A builtin with its arguments by parameter; a missing one is null.
struct BuiltinCall {
  const Builtin *builtin;
  std::vector<const Given *> args;
  SourceRange where;
};
class Checker;
/// What `Builtin::op` says when it names no pointwise operation.
constexpr int kWhole = -1;       // works on whole tensors
constexpr int kElementwise = -2; // works element by element, and so inside index notation as well
struct Builtin {
  const char *name;
  const char *parameters; // "x axis? keep?"
  Val (Checker::*run)(const BuiltinCall &);
  int op = kWhole; // or the Op of a pointwise one
};

} // namespace bigm::sema
