// Pointwise ops: most are one operator; log1p and expm1, which ONNX lacks, are written so that they stay exact near 0.
#include "backends/onnx/Emitter.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::bigm::to_onnx {

Type Emitter::computed(Type element) {
  if (element.isBF16())
    return Float32Type::get(element.getContext());
  if (element.isInteger(8))
    return IntegerType::get(element.getContext(), 32);
  return element;
}

Name Emitter::pointwise(Operation *op) {
  Value out = op->getResult(0);
  Type element = elementOf(op->getOperand(0)), result = elementOf(out);
  std::string op_ = op->getName().stripDialect().str();

  // Operands of fewer dimensions are stretched, as long as one has the whole shape.
  std::vector<Name> in;
  bool whole = llvm::any_of(op->getOperands(), [&](Value x) { return !isLazy(x) || isa<PadOp>(x.getDefiningOp()); });
  for (Value x : op->getOperands()) {
    in.push_back(whole ? stretched(x) : full(x));
    whole = true;
  }
  // A select's condition is a bool; what it selects has one type.
  unsigned first = isa<SelectOp>(op) ? 1 : 0;
  if (first)
    element = elementOf(op->getOperand(1));
  Type type = computed(element);
  bool ordered = isa<LtOp, LeOp, GtOp, GeOp>(op);
  if (ordered && element.isInteger(1))
    type = IntegerType::get(op->getContext(), 32);
  if (!isa<CastOp>(op) && type != element)
    for (unsigned i = first; i < in.size(); ++i)
      in[i] = s.cast(in[i], type);
  auto number = [&](double x) { return s.scalar(type, x); };
  auto one = [&](const char *name) { return stored(s.add(name, in), result); };
  bool real = isa<FloatType>(type);

  static const llvm::StringMap<const char *> alike = {
      {"neg", "Neg"},     {"abs", "Abs"},   {"sign", "Sign"},   {"exp", "Exp"},      {"log", "Log"},     {"sqrt", "Sqrt"},
      {"sin", "Sin"},     {"cos", "Cos"},   {"atan", "Atan"},   {"tanh", "Tanh"},    {"erf", "Erf"},     {"sigmoid", "Sigmoid"},
      {"floor", "Floor"}, {"ceil", "Ceil"}, {"round", "Round"}, {"not", "Not"},      {"add", "Add"},     {"sub", "Sub"},
      {"mul", "Mul"},     {"div", "Div"},   {"pow", "Pow"},     {"max", "Max"},      {"min", "Min"},     {"and", "And"},
      {"or", "Or"},       {"lt", "Less"},   {"gt", "Greater"},  {"select", "Where"}, {"le", "LessOrEqual"},
      {"ge", "GreaterOrEqual"}, {"eq", "Equal"}, {"bit_and", "BitwiseAnd"}, {"bit_or", "BitwiseOr"}, {"bit_xor", "BitwiseXor"}};
  if (isa<CastOp>(op)) {
    if (element == result)
      return in[0];
    if (element.isInteger() && result.isInteger(8)) // wraps, as a narrowing of 32 bits does
      return s.cast(element.getIntOrFloatBitWidth() > 32 ? s.cast(in[0], IntegerType::get(op->getContext(), 32)) : in[0], result);
    return s.cast(in[0], result);
  }
  if (isa<MaxOp>(op) && real && splatNumber(op->getOperand(1)) == 0.0) {
    in.pop_back();
    return one("Relu");
  }
  if (!real && isa<FloorOp, CeilOp, RoundOp>(op))
    return in[0];
  auto found = alike.find(op_);
  if (found != alike.end())
    return one(found->second);
  if (isa<NeOp>(op))
    return s.add("Not", {s.add("Equal", in)});
  if (isa<RsqrtOp>(op))
    return stored(s.add("Reciprocal", {s.add("Sqrt", in)}), result);
  if (isa<ModOp>(op))
    return stored(s.add("Mod", in, {{"fmod", int64_t(1)}}), result);
  if (isa<Expm1Op>(op)) // (e^x + 1) tanh(x / 2)
    return stored(s.add("Mul", {s.add("Add", {s.add("Exp", in), number(1)}), s.add("Tanh", {s.add("Mul", {in[0], number(0.5)})})}),
                  result);
  if (isa<Log1pOp>(op)) { // 2 atanh(x / (x + 2)) where x is small
    Name near = s.add("Atanh", {s.add("Div", {in[0], s.add("Add", {in[0], number(2)})})});
    Name far = s.add("Log", {s.add("Add", {in[0], number(1)})});
    Name small = s.add("Less", {s.add("Abs", in), number(0.5)});
    return stored(s.add("Where", {small, s.add("Mul", {near, number(2)}), far}), result);
  }
  if (isa<ShiftLeftOp, ShiftRightOp>(op) && elementOf(op->getOperand(0)).isUnsignedInteger()) {
    auto u8 = [&](const Name &x) { return s.cast(x, elementOf(op->getOperand(0))); };
    return s.add("BitShift", {u8(in[0]), u8(in[1])}, {{"direction", std::string(isa<ShiftLeftOp>(op) ? "LEFT" : "RIGHT")}});
  }
  if (isa<ShiftLeftOp, ShiftRightOp>(op))
    throw NoForm{"a shift of signed integers: ONNX shifts unsigned ones only"};
  throw NoForm{"`" + op_ + "` has no ONNX form"};
}

} // namespace mlir::bigm::to_onnx
