// Names of operations and element types, and types as the user would write them.
#include "frontend/Graph.h"

namespace bigm {

const char *name(Elem e) {
  switch (e) {
  case Elem::F32: return "f32";
  case Elem::F64: return "f64";
  case Elem::BF16: return "bf16";
  case Elem::F16: return "f16";
  case Elem::I64: return "i64";
  case Elem::I32: return "i32";
  case Elem::U8: return "u8";
  case Elem::I8: return "i8";
  case Elem::Bool: return "bool";
  }
  return "?";
}

const char *name(Op op) {
  switch (op) {
#define BIGM_OP(id, text)                                                                                              \
  case Op::id: return text;
    BIGM_OP(Constant, "constant")
    BIGM_OP(Iota, "iota")
    BIGM_OP(Random, "random")
    BIGM_OP(Neg, "neg")
    BIGM_OP(Abs, "abs")
    BIGM_OP(Sign, "sign")
    BIGM_OP(Exp, "exp")
    BIGM_OP(Log, "log")
    BIGM_OP(Log1p, "log1p")
    BIGM_OP(Expm1, "expm1")
    BIGM_OP(Sqrt, "sqrt")
    BIGM_OP(Rsqrt, "rsqrt")
    BIGM_OP(Sin, "sin")
    BIGM_OP(Cos, "cos")
    BIGM_OP(Atan, "atan")
    BIGM_OP(Tanh, "tanh")
    BIGM_OP(Erf, "erf")
    BIGM_OP(Sigmoid, "sigmoid")
    BIGM_OP(Floor, "floor")
    BIGM_OP(Ceil, "ceil")
    BIGM_OP(Round, "round")
    BIGM_OP(Not, "not")
    BIGM_OP(Cast, "cast")
    BIGM_OP(Add, "add")
    BIGM_OP(Sub, "sub")
    BIGM_OP(Mul, "mul")
    BIGM_OP(Div, "div")
    BIGM_OP(Pow, "pow")
    BIGM_OP(Max, "max")
    BIGM_OP(Min, "min")
    BIGM_OP(Mod, "mod")
    BIGM_OP(BitAnd, "bit_and")
    BIGM_OP(BitOr, "bit_or")
    BIGM_OP(BitXor, "bit_xor")
    BIGM_OP(ShiftLeft, "shift_left")
    BIGM_OP(ShiftRight, "shift_right")
    BIGM_OP(And, "and")
    BIGM_OP(Or, "or")
    BIGM_OP(Eq, "eq")
    BIGM_OP(Ne, "ne")
    BIGM_OP(Lt, "lt")
    BIGM_OP(Le, "le")
    BIGM_OP(Gt, "gt")
    BIGM_OP(Ge, "ge")
    BIGM_OP(Select, "select")
    BIGM_OP(Reshape, "reshape")
    BIGM_OP(View, "view")
    BIGM_OP(Fold, "fold")
    BIGM_OP(Pad, "pad")
    BIGM_OP(Concat, "concat")
    BIGM_OP(ReduceSum, "reduce_sum")
    BIGM_OP(ReduceMax, "reduce_max")
    BIGM_OP(ReduceMin, "reduce_min")
    BIGM_OP(ReduceProd, "reduce_prod")
    BIGM_OP(ArgMax, "arg_max")
    BIGM_OP(ArgMin, "arg_min")
    BIGM_OP(Contract, "contract")
    BIGM_OP(Gather, "gather")
    BIGM_OP(ScatterAdd, "scatter_add")
    BIGM_OP(Warp, "warp")
    BIGM_OP(Resize, "resize")
    BIGM_OP(Attention, "attention")
    BIGM_OP(CachedAttention, "cached_attention")
    BIGM_OP(Scan, "scan")
    BIGM_OP(Gradient, "gradient")
    BIGM_OP(StopGradient, "stop_gradient")
#undef BIGM_OP
  }
  return "?";
}

void symbolsOf(const Node &node, std::vector<std::string> &out) {
  if (!node.body)
    return;
  for (const TensorType &t : node.body->types)
    for (const Dim &d : t.shape)
      d.symbols(out);
  for (const Node &inner : node.body->nodes)
    symbolsOf(inner, out);
}

std::string TensorType::str() const {
  std::string out = bigm::name(elem);
  if (classes != Dim(0))
    out = "label[" + classes.str() + "]";
  if (shape.empty())
    return out;
  out += "[";
  for (size_t i = 0; i < shape.size(); ++i)
    out += (i ? ", " : "") + shape[i].str();
  return out + "]";
}

} // namespace bigm
