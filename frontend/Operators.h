// How operators are written and how tightly they bind: known to the parser, the formatter and the printer of trees.
#pragma once
#include "Ast.h"

namespace bigm {

/// From loosest to tightest. Top is any expression; operators of Power group to the right, the others to the left.
enum class Level { Top, To, Pipe, Each, Or, And, Not, Compare, Add, Multiply, Negate, Power, Postfix };

constexpr Level tighter(Level level) { return static_cast<Level>(static_cast<int>(level) + 1); }

struct Operator {
  const char *sign;
  Level level;
};
const Operator &operatorOf(ast::BinaryExpr::Op op);

/// Of a unary or binary expression its operator's level, of any other Postfix.
Level levelOf(const ast::Expr &e);

/// Whether `e`, written out, begins with a bracket or a minus, which could continue the line before.
bool beginsWithSign(const ast::Expr &e);

} // namespace bigm
