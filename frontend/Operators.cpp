#include "Operators.h"

namespace bigm {

const Operator &operatorOf(ast::BinaryExpr::Op op) {
  // In the order of BinaryExpr::Op.
  static const Operator table[] = {
      {"->", Level::To},      {"|>", Level::Pipe},    {"each", Level::Each},    {"or", Level::Or},
      {"and", Level::And},    {"==", Level::Compare}, {"!=", Level::Compare},   {"<", Level::Compare},
      {"<=", Level::Compare}, {">", Level::Compare},  {">=", Level::Compare},   {"+", Level::Add},
      {"-", Level::Add},      {"*", Level::Multiply}, {"/", Level::Multiply},   {"^", Level::Power}};
  return table[static_cast<size_t>(op)];
}

Level levelOf(const ast::Expr &e) {
  if (auto *b = ast::as<ast::BinaryExpr>(&e))
    return operatorOf(b->op).level;
  if (auto *u = ast::as<ast::UnaryExpr>(&e))
    return u->op == ast::UnaryExpr::Op::Not ? Level::Not : Level::Negate;
  return Level::Postfix;
}

bool beginsWithSign(const ast::Expr &e) {
  const ast::Expr *leftmost = &e;
  bool parenthesized = false;
  for (;;) {
    const ast::Expr *left = nullptr;
    Level level = levelOf(*leftmost);
    if (auto *b = ast::as<ast::BinaryExpr>(leftmost)) {
      left = b->left.get();
      if (!b->right)
        parenthesized = true;
    } else if (auto *c = ast::as<ast::CallExpr>(leftmost)) {
      left = c->callee.get();
    } else if (auto *i = ast::as<ast::IndexExpr>(leftmost)) {
      left = i->base.get();
    } else if (auto *m = ast::as<ast::MemberExpr>(leftmost)) {
      left = m->base.get();
    }
    if (!left)
      break;
    parenthesized = parenthesized || levelOf(*left) < level || (level == Level::Power && levelOf(*left) == Level::Power);
    leftmost = left;
  }
  auto *u = ast::as<ast::UnaryExpr>(leftmost);
  return parenthesized || leftmost->kind == ast::Expr::Kind::List || (u && u->op == ast::UnaryExpr::Op::Negate);
}

} // namespace bigm
