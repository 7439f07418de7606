// The bigm dialect: every op once, with its value formula, its gradient formula and its documentation.
//
// Formulas are C++ over the names x, y, z (operands), r (the result, in gradients) and dy (the cotangent). One text
// serves several meanings: the value formula is instantiated for numbers (reference backend) and for arith/math ops
// (lowering), the gradient formula builds bigm ops (Formula.h).
#ifndef BIGM_OPS
#define BIGM_OPS
include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "ir/BigmInterfaces.td"

def Bigm_Dialect : Dialect {
  let name = "bigm";
  let cppNamespace = "::mlir::bigm";
  let summary = "Tensor programs with symbolic dimensions, before any loop";
  let description = [{
    Values are builtin ranked tensors. A dynamic dimension is `?` and the type's encoding then is an affine map
    `()[s0, s1, ...] -> (size of each dimension)` over the symbols of the enclosing function, whose names are its
    attribute `bigm.symbols`. A tensor without dynamic dimensions has no encoding. Two tensors have the same shape
    exactly when their types have the same shape and encoding: sizes are kept in one normal form (Dims.h).

    Functions are func.func. Argument attributes: `bigm.name`, `bigm.role` (`input`, `tensor`, `seed`, `step`, `steps`),
    `bigm.tensor` (index of the persistent tensor). Result attributes: `bigm.name`, and `bigm.updates` (index of the
    persistent tensor that the result replaces).
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::func::FuncDialect"];
  let hasCanonicalizer = 1;
  let hasOperationAttrVerify = 1;
}

def Bigm_Tensor : RankedTensorOf<[F64, F32, BF16, F16, I64, I32, I8, UI8, I1], [], "tensor">;
def Bigm_NumberTensor : RankedTensorOf<[F64, F32, BF16, F16, I64, I32, I8, UI8], [], "tensor of numbers">;
def Bigm_FloatTensor : RankedTensorOf<[F64, F32, BF16, F16], [], "tensor of floats">;
def Bigm_IndexTensor : RankedTensorOf<[I64, I32, I8, UI8], [], "tensor of integers">;
def Bigm_BoolTensor : RankedTensorOf<[I1], [], "tensor of bools">;

/// Checks the encodings of operands and results.
def Bigm_SizedTypes : NativeOpTrait<"SizedTypes"> { let cppNamespace = "::mlir::bigm"; }
/// The derivative is zero wherever it exists.
def Bigm_ZeroGradient : NativeOpTrait<"ZeroGradient"> { let cppNamespace = "::mlir::bigm"; }

class Bigm_Op<string mnemonic, list<Trait> traits = []>
    : Op<Bigm_Dialect, mnemonic, traits # [Pure, Bigm_SizedTypes]>;

// ---------------------------------------------------------------------------------------------------- leaves

def Bigm_ConstantOp : Bigm_Op<"constant", [Bigm_ZeroGradient]> {
  let summary = "every element is `number`";
  let arguments = (ins TypedAttrInterface:$number);
  let results = (outs Bigm_Tensor:$result);
  let assemblyFormat = "$number attr-dict `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "double":$number)>];
  let extraClassDeclaration = [{ double getDouble(); }];
}

def Bigm_SizeOp : Bigm_Op<"size", [Bigm_ZeroGradient]> {
  let summary = "a scalar that is an expression over the function's symbols";
  let arguments = (ins AffineMapAttr:$size);
  let results = (outs Bigm_NumberTensor:$result);
  let assemblyFormat = "$size attr-dict `->` type($result)";
  let hasVerifier = 1;
}

def Bigm_IotaOp : Bigm_Op<"iota", [Bigm_ZeroGradient]> {
  let summary = "each element is its index along `dim`";
  let arguments = (ins I64Attr:$dim);
  let results = (outs Bigm_NumberTensor:$result);
  let assemblyFormat = "$dim attr-dict `->` type($result)";
  let hasVerifier = 1;
}

def Bigm_RandomOp : Bigm_Op<"random", [Bigm_ZeroGradient]> {
  let summary = "uniform numbers in [0, 1)";
  let description = [{
    Counter based: element `i` in row-major order depends on (seed, stream, i) alone, by Threefry-2x32 as
    `docs/abi.md` says, so the numbers do not depend on threads, tiles or machine.
  }];
  let arguments = (ins 0DTensorOf<[I64]>:$seed, I64Attr:$stream);
  let results = (outs Bigm_FloatTensor:$result);
  let assemblyFormat = "$seed `,` $stream attr-dict `:` type($seed) `->` type($result)";
}

// ---------------------------------------------------------------------------------------------------- pointwise

/// The parts of a pointwise op that follow from its value formula.
class Bigm_PointwiseOp<string mnemonic, string doc, code value, list<Trait> traits>
    : Bigm_Op<mnemonic, traits # [DeclareOpInterfaceMethods<Bigm_Pointwise>]> {
  let summary = doc;
  let results = (outs Bigm_Tensor:$result);
  int cost = 1; // of an element, in additions
  code valueDefinition = [{
    unsigned $cppClass::elementCost() { return }] # cost # [{; }
    ::mlir::Value $cppClass::emitScalar(::mlir::OpBuilder &builder, ::mlir::Location loc, ::mlir::ValueRange operands) {
      using namespace ::mlir::bigm::formula;
      [[maybe_unused]] Scalar x = scalar(builder, loc, getOperation(), operands, 0);
      [[maybe_unused]] Scalar y = scalar(builder, loc, getOperation(), operands, 1);
      [[maybe_unused]] Scalar z = scalar(builder, loc, getOperation(), operands, 2);
      return Scalar(}] # value # [{).value;
    }
    double $cppClass::evaluate(::llvm::ArrayRef<double> operands) {
      using namespace ::mlir::bigm::formula;
      [[maybe_unused]] double x = number(operands, 0), y = number(operands, 1), z = number(operands, 2);
      return double(}] # value # [{);
    }
    ::mlir::OpFoldResult $cppClass::fold(FoldAdaptor) { return ::mlir::bigm::foldPointwise(getOperation()); }
  }];
  let hasFolder = 1;
  let extraClassDefinition = valueDefinition;
}

/// A gradient formula for each operand; an empty one is zero.
class Bigm_Gradient<code dx, code dy = "", code dz = ""> {
  code definition = [{
    ::llvm::LogicalResult $cppClass::buildGradient(::mlir::OpBuilder &builder, ::mlir::ValueRange cotangents,
        ::llvm::ArrayRef<bool> needed, ::llvm::SmallVectorImpl<::mlir::Value> &gradients) {
      using namespace ::mlir::bigm::formula;
      [[maybe_unused]] Tensor dy = tensor(builder, getLoc(), cotangents[0]), r = tensor(builder, getLoc(), getResult());
      [[maybe_unused]] Tensor x = operand(builder, getOperation(), 0), y = operand(builder, getOperation(), 1),
                              z = operand(builder, getOperation(), 2);
      }] # !if(!empty(dx), "", "if (needed[0]) gradients[0] = Tensor(" # dx # ").value;\n")
         # !if(!empty(dy), "", "if (needed[1]) gradients[1] = Tensor(" # dy # ").value;\n")
         # !if(!empty(dz), "", "if (needed[2]) gradients[2] = Tensor(" # dz # ").value;\n") # [{
      return ::llvm::success();
    }
  }];
}

class Bigm_Unary<string mnemonic, string doc, code value, list<Trait> traits>
    : Bigm_PointwiseOp<mnemonic, doc, value, traits # [AllTypesMatch<["x", "result"]>]> {
  let arguments = (ins Bigm_NumberTensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}
class Bigm_DifferentiableUnary<string mnemonic, string doc, code value, code gradient>
    : Bigm_Unary<mnemonic, doc, value, [DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let extraClassDefinition = valueDefinition # Bigm_Gradient<gradient>.definition;
}
class Bigm_StepUnary<string mnemonic, string doc, code value>
    : Bigm_Unary<mnemonic, doc, value, [Bigm_ZeroGradient]>;

def Bigm_NegOp : Bigm_DifferentiableUnary<"neg", "-x", "-x", "-dy">;
def Bigm_AbsOp : Bigm_DifferentiableUnary<"abs", "absolute value; its gradient at 0 is 0", "abs(x)", "dy * sign(x)">;
def Bigm_SignOp : Bigm_StepUnary<"sign", "-1, 0 or 1", "sign(x)">;
def Bigm_ExpOp : Bigm_DifferentiableUnary<"exp", "e to the x", "exp(x)", "dy * r"> { let cost = 16; }
def Bigm_LogOp : Bigm_DifferentiableUnary<"log", "natural logarithm", "log(x)", "dy / x"> { let cost = 16; }
def Bigm_Log1pOp : Bigm_DifferentiableUnary<"log1p", "log(1 + x)", "log1p(x)", "dy / (x + 1.0)"> { let cost = 20; }
def Bigm_Expm1Op : Bigm_DifferentiableUnary<"expm1", "exp(x) - 1", "expm1(x)", "dy * (r + 1.0)"> { let cost = 20; }
def Bigm_SqrtOp : Bigm_DifferentiableUnary<"sqrt", "square root", "sqrt(x)", "dy * 0.5 / r"> { let cost = 4; }
def Bigm_RsqrtOp : Bigm_DifferentiableUnary<"rsqrt", "1 / sqrt(x)", "rsqrt(x)", "dy * -0.5 * (r * r * r)"> { let cost = 6; }
def Bigm_SinOp : Bigm_DifferentiableUnary<"sin", "sine of radians", "sin(x)", "dy * cos(x)"> { let cost = 20; }
def Bigm_CosOp : Bigm_DifferentiableUnary<"cos", "cosine of radians", "cos(x)", "-(dy * sin(x))"> { let cost = 20; }
def Bigm_AtanOp : Bigm_DifferentiableUnary<"atan", "arc tangent in radians", "atan(x)", "dy / (x * x + 1.0)"> { let cost = 20; }
def Bigm_TanhOp : Bigm_DifferentiableUnary<"tanh", "hyperbolic tangent", "tanh(x)", "dy * (1.0 - r * r)"> { let cost = 20; }
def Bigm_ErfOp : Bigm_DifferentiableUnary<"erf", "error function", "erf(x)",
                                          "dy * 1.1283791670955126 * exp(-(x * x))"> { let cost = 20; }
def Bigm_SigmoidOp : Bigm_DifferentiableUnary<"sigmoid", "1 / (1 + exp(-x))", "1.0 / (1.0 + exp(-x))",
                                              "dy * (r * (1.0 - r))"> { let cost = 18; }
def Bigm_FloorOp : Bigm_StepUnary<"floor", "the integer below", "floor(x)">;
def Bigm_CeilOp : Bigm_StepUnary<"ceil", "the integer above", "ceil(x)">;
def Bigm_RoundOp : Bigm_StepUnary<"round", "the nearest integer, the even one of two", "roundEven(x)">;

def Bigm_CastOp : Bigm_Op<"cast", [DeclareOpInterfaceMethods<Bigm_Pointwise>,
                                   DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let summary = "to the result's element type";
  let description = [{
    Float to integer truncates toward zero; bool to number gives 0 or 1; number to bool is `x != 0`. Between floats the
    gradient is cast back; otherwise it is zero.
  }];
  let arguments = (ins Bigm_Tensor:$x);
  let results = (outs Bigm_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

class Bigm_Binary<string mnemonic, string doc, code value, list<Trait> traits>
    : Bigm_PointwiseOp<mnemonic, doc, value, traits # [AllTypesMatch<["x", "y", "result"]>]> {
  let arguments = (ins Bigm_NumberTensor:$x, Bigm_NumberTensor:$y);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($result)";
}
class Bigm_DifferentiableBinary<string mnemonic, string doc, code value, code dx, code dy>
    : Bigm_Binary<mnemonic, doc, value, [DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let extraClassDefinition = valueDefinition # Bigm_Gradient<dx, dy>.definition;
}

def Bigm_AddOp : Bigm_DifferentiableBinary<"add", "x + y", "x + y", "dy", "dy">;
def Bigm_SubOp : Bigm_DifferentiableBinary<"sub", "x - y", "x - y", "dy", "-dy">;
def Bigm_MulOp : Bigm_DifferentiableBinary<"mul", "x * y", "x * y", "dy * y", "dy * x">;
def Bigm_DivOp : Bigm_DifferentiableBinary<"div", "x / y; integers truncate toward zero", "x / y",
                                           "dy / y", "-(dy * r / y)"> { let cost = 4; }
def Bigm_PowOp : Bigm_DifferentiableBinary<"pow", "x to the y", "pow(x, y)",
    "dy * (y * pow(x, y - 1.0))",
    "dy * select(x > 0.0, r * log(select(x > 0.0, x, like(x, 1.0))), like(x, 0.0))"> { let cost = 32; }
// The gradients ask the result rather than x, so that x need not be kept: max(x, y) > y exactly when x > y.
def Bigm_MaxOp : Bigm_DifferentiableBinary<"max",
    "the larger; a NaN in x stays; among equals the gradient goes to y, so that max(x, 0) has gradient 0 at 0",
    "select(y > x, y, x)", "select(r > y, dy, like(dy, 0.0))", "select(r > y, like(dy, 0.0), dy)">;
def Bigm_MinOp : Bigm_DifferentiableBinary<"min",
    "the smaller; a NaN in x stays; among equals the gradient goes to y",
    "select(y < x, y, x)", "select(r < y, dy, like(dy, 0.0))", "select(r < y, like(dy, 0.0), dy)">;
def Bigm_ModOp : Bigm_DifferentiableBinary<"mod", "remainder with the sign of x, as C's fmod and %",
    "mod(x, y)", "dy", "-(dy * truncate(x / y))"> { let cost = 8; }

// Bits of integers in two's complement. What is shifted by the width or more is 0, or -1 of a negative number to the right.
class Bigm_Bits<string mnemonic, string doc, code value>
    : Bigm_PointwiseOp<mnemonic, doc, value, [Bigm_ZeroGradient, AllTypesMatch<["x", "y", "result"]>]> {
  let arguments = (ins Bigm_IndexTensor:$x, Bigm_IndexTensor:$y);
  let results = (outs Bigm_IndexTensor:$result);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($result)";
}
def Bigm_BitAndOp : Bigm_Bits<"bit_and", "bits that both have", "bitAnd(x, y)">;
def Bigm_BitOrOp : Bigm_Bits<"bit_or", "bits that either has", "bitOr(x, y)">;
def Bigm_BitXorOp : Bigm_Bits<"bit_xor", "bits that one of both has", "bitXor(x, y)">;
def Bigm_ShiftLeftOp : Bigm_Bits<"shift_left", "bits of x moved up by y", "shiftLeft(x, y)">;
def Bigm_ShiftRightOp : Bigm_Bits<"shift_right", "bits of x moved down by y, keeping the sign", "shiftRight(x, y)">;

class Bigm_Logic<string mnemonic, string doc, code value>
    : Bigm_PointwiseOp<mnemonic, doc, value, [Bigm_ZeroGradient, AllTypesMatch<["x", "y", "result"]>]> {
  let arguments = (ins Bigm_BoolTensor:$x, Bigm_BoolTensor:$y);
  let results = (outs Bigm_BoolTensor:$result);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($result)";
}
def Bigm_AndOp : Bigm_Logic<"and", "both", "both(x, y)">;
def Bigm_OrOp : Bigm_Logic<"or", "either", "either(x, y)">;
def Bigm_NotOp : Bigm_PointwiseOp<"not", "the opposite", "opposite(x)",
                                  [Bigm_ZeroGradient, AllTypesMatch<["x", "result"]>]> {
  let arguments = (ins Bigm_BoolTensor:$x);
  let results = (outs Bigm_BoolTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

class Bigm_Compare<string mnemonic, string sign>
    : Bigm_PointwiseOp<mnemonic, "x " # sign # " y", "x " # sign # " y",
        [Bigm_ZeroGradient, AllTypesMatch<["x", "y"]>,
         TypesMatchWith<"result is bool of the operands' shape", "x", "result",
                        "::mlir::bigm::withElement($_self, ::mlir::IntegerType::get($_self.getContext(), 1))">]> {
  let arguments = (ins Bigm_Tensor:$x, Bigm_Tensor:$y);
  let results = (outs Bigm_BoolTensor:$result);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($x)";
}
def Bigm_EqOp : Bigm_Compare<"eq", "==">;
def Bigm_NeOp : Bigm_Compare<"ne", "!=">;
def Bigm_LtOp : Bigm_Compare<"lt", "<">;
def Bigm_LeOp : Bigm_Compare<"le", "<=">;
def Bigm_GtOp : Bigm_Compare<"gt", ">">;
def Bigm_GeOp : Bigm_Compare<"ge", ">=">;

def Bigm_SelectOp : Bigm_PointwiseOp<"select", "y where x is true, z elsewhere", "select(x, y, z)",
    [DeclareOpInterfaceMethods<Bigm_Differentiable>, AllTypesMatch<["y", "z", "result"]>,
     TypesMatchWith<"condition is bool of the operands' shape", "result", "x",
                    "::mlir::bigm::withElement($_self, ::mlir::IntegerType::get($_self.getContext(), 1))">]> {
  let arguments = (ins Bigm_BoolTensor:$x, Bigm_Tensor:$y, Bigm_Tensor:$z);
  let assemblyFormat = "$x `,` $y `,` $z attr-dict `:` type($result)";
  let extraClassDefinition = valueDefinition #
    Bigm_Gradient<"", "select(x, dy, like(dy, 0.0))", "select(x, like(dy, 0.0), dy)">.definition;
}

// ---------------------------------------------------------------------------------------------------- shape

class Bigm_ShapeOp<string mnemonic, list<Trait> traits = []>
    : Bigm_Op<mnemonic, traits # [DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let results = (outs Bigm_Tensor:$result);
  let hasVerifier = 1;
}

def Bigm_ReshapeOp : Bigm_ShapeOp<"reshape"> {
  let summary = "other dimensions over the same elements in row-major order";
  let arguments = (ins Bigm_Tensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Bigm_ViewOp : Bigm_ShapeOp<"view"> {
  let summary = "reads the operand through an affine map";
  let description = [{
    result[d] = x[map(d)]: transposes, broadcasts, slices, strides, windows. `map` goes from the result's dimensions to
    one linear index for each dimension of `x`; every index is in range for all of d.
  }];
  let arguments = (ins Bigm_Tensor:$x, AffineMapAttr:$map);
  let assemblyFormat = "$x `,` $map attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Bigm_FoldOp : Bigm_ShapeOp<"fold"> {
  let summary = "adjoint of view: adds elements where the map puts them";
  let description = [{
    result[i] = sum of x[d] over all d with map(d) = i; zero where there is none. `map` goes from the operand's
    dimensions to one linear index for each dimension of the result.
  }];
  let arguments = (ins Bigm_NumberTensor:$x, AffineMapAttr:$map);
  let assemblyFormat = "$x `,` $map attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Bigm_PadOp : Bigm_ShapeOp<"pad"> {
  let summary = "adds elements around and between";
  let description = [{
    result[low + i * (interior + 1)] = x[i], `value` elsewhere; `high` more elements follow the last one. Negative `low`
    and `high` crop.
  }];
  let arguments = (ins Bigm_Tensor:$x, Bigm_Tensor:$value, DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high,
                       DenseI64ArrayAttr:$interior);
  let assemblyFormat = [{
    $x `,` $value `low` $low `high` $high `interior` $interior attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Bigm_ConcatOp : Bigm_ShapeOp<"concat"> {
  let summary = "one after the other along `dim`";
  let arguments = (ins Variadic<Bigm_Tensor>:$inputs, I64Attr:$dim);
  let assemblyFormat = "$dim `,` $inputs attr-dict `:` functional-type($inputs, $result)";
  let hasFolder = 1;
}

// ---------------------------------------------------------------------------------------------------- reductions

class Bigm_ReduceOp<string mnemonic, string doc, code combine, code identity>
    : Bigm_Op<mnemonic, [DeclareOpInterfaceMethods<Bigm_Reduction>, DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let summary = doc;
  let arguments = (ins Bigm_NumberTensor:$x, DenseI64ArrayAttr:$dims);
  let results = (outs Bigm_NumberTensor:$result);
  let assemblyFormat = "$x `,` $dims attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::llvm::ArrayRef<int64_t>":$dims)>];
  let extraClassDefinition = [{
    ::llvm::ArrayRef<int64_t> $cppClass::getReducedDims() { return getDims(); }
    ::mlir::TypedAttr $cppClass::getIdentity() {
      return ::mlir::bigm::formula::element(::llvm::cast<::mlir::RankedTensorType>(getX().getType()).getElementType(),
                                            }] # identity # [{);
    }
    ::mlir::Value $cppClass::emitCombine(::mlir::OpBuilder &builder, ::mlir::Location loc, ::mlir::Value accumulator,
                                         ::mlir::Value element) {
      using namespace ::mlir::bigm::formula;
      ::mlir::Value both[] = {accumulator, element};
      Scalar x = scalar(builder, loc, getOperation(), both, 0, 0), y = scalar(builder, loc, getOperation(), both, 1, 0);
      return Scalar(}] # combine # [{).value;
    }
    double $cppClass::combine(double x, double y) {
      using namespace ::mlir::bigm::formula;
      return }] # combine # [{;
    }
    void $cppClass::build(::mlir::OpBuilder &builder, ::mlir::OperationState &state, ::mlir::Value x,
                          ::llvm::ArrayRef<int64_t> dims) {
      build(builder, state, ::mlir::bigm::withoutDims(x.getType(), dims), x, dims);
    }
  }];
}
def Bigm_ReduceSumOp : Bigm_ReduceOp<"reduce_sum", "sum along dims", "x + y", "0.0">;
def Bigm_ReduceMaxOp : Bigm_ReduceOp<"reduce_max", "largest along dims; the gradient is split equally among equals",
                                     "select(y > x, y, x)", "-std::numeric_limits<double>::infinity()">;
def Bigm_ReduceMinOp : Bigm_ReduceOp<"reduce_min", "smallest along dims; the gradient is split equally among equals",
                                     "select(y < x, y, x)", "std::numeric_limits<double>::infinity()">;
def Bigm_ReduceProdOp : Bigm_ReduceOp<"reduce_prod", "product along dims", "x * y", "1.0">;

class Bigm_ArgOp<string mnemonic, string doc> : Bigm_Op<mnemonic, [Bigm_ZeroGradient]> {
  let summary = doc;
  let arguments = (ins Bigm_NumberTensor:$x, I64Attr:$dim);
  let results = (outs RankedTensorOf<[I32]>:$result);
  let assemblyFormat = "$x `,` $dim attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}
def Bigm_ArgMaxOp : Bigm_ArgOp<"arg_max", "index of the largest along dim, the first of equals">;
def Bigm_ArgMinOp : Bigm_ArgOp<"arg_min", "index of the smallest along dim, the first of equals">;

// ---------------------------------------------------------------------------------------------------- contraction

def Bigm_ContractOp : Bigm_Op<"contract", [DeclareOpInterfaceMethods<Bigm_Contraction>,
                                           DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let summary = "sum of products over affine indices";
  let description = [{
    result[d] = sum over r of lhs[lhs_map(d, r)] * rhs[rhs_map(d, r)]. Iteration dimensions are the result's dimensions,
    then the reduced ones, whose sizes are the results of `reduced`, a map `()[symbols] -> (sizes)`. Matrix products,
    convolutions of any kind and their gradients are this one op. All have one element type, or the factors are ui8 or i8 and
    the result i32.
  }];
  let arguments = (ins Bigm_NumberTensor:$lhs, Bigm_NumberTensor:$rhs, AffineMapAttr:$lhs_map, AffineMapAttr:$rhs_map,
                       AffineMapAttr:$reduced);
  let results = (outs Bigm_NumberTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `lhs` $lhs_map `rhs` $rhs_map `reduced` $reduced attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

// ---------------------------------------------------------------------------------------------------- irregular

def Bigm_GatherOp : Bigm_ShapeOp<"gather"> {
  let summary = "rows of a table";
  let description = "(table [V, ...], ids [I...]) -> [I..., ...]. Every id is in [0, V).";
  let arguments = (ins Bigm_Tensor:$table, Bigm_IndexTensor:$ids);
  let assemblyFormat = "$table `,` $ids attr-dict `:` functional-type(operands, results)";
}

def Bigm_ScatterAddOp : Bigm_ShapeOp<"scatter_add"> {
  let summary = "adjoint of gather: adds rows into a table of zeros";
  let description = "(updates [I..., ...], ids [I...]) -> [V, ...]; rows with the same id are added in row-major order.";
  let arguments = (ins Bigm_NumberTensor:$updates, Bigm_IndexTensor:$ids);
  let assemblyFormat = "$updates `,` $ids attr-dict `:` functional-type(operands, results)";
}

def Bigm_WarpOp : Bigm_Op<"warp", [DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let summary = "bilinear sampling along an affine map of pixel centres";
  let description = [{
    (image [N, C, H, W], matrix [N, 2, 3]) -> [N, C, h, w]. The matrix takes the centre (column + 0.5, row + 0.5, 1) of
    an output pixel to the place (x, y) in the input, whose pixel (r, c) has its centre at (c + 0.5, r + 0.5). Outside,
    pixels count as `fill`.
  }];
  let arguments = (ins RankedTensorOf<[F32, F64]>:$image, RankedTensorOf<[F32, F64]>:$matrix, F64Attr:$fill);
  let results = (outs RankedTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$image `,` $matrix `fill` $fill attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Bigm_ResizeOp : Bigm_Op<"resize", [DeclareOpInterfaceMethods<Bigm_Differentiable>]> {
  let summary = "image at another size";
  let description = [{
    [N, C, H, W] -> [N, C, h, w]; `mode` is `nearest`, `bilinear`, `bicubic` (a = -0.75) or `area`; pixel centres are at
    half integers. With `antialias`, shrinking widens the bilinear or bicubic filter by the scale.
  }];
  let arguments = (ins RankedTensorOf<[F32, F64]>:$image, StrAttr:$mode, BoolAttr:$antialias);
  let results = (outs RankedTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$image `,` $mode `antialias` $antialias attr-dict `:` type($image) `->` type($result)";
  let hasVerifier = 1;
}

// ---------------------------------------------------------------------------------------------------- attention

def Bigm_Mask : Optional<Bigm_BoolTensor>;
def Bigm_Bias : Optional<Bigm_FloatTensor>;

def Bigm_AttentionOp : Bigm_Op<"attention", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<Bigm_Differentiable>,
                                             DeclareOpInterfaceMethods<Bigm_Expandable>]> {
  let summary = "scaled dot-product attention, without a matrix of scores in memory";
  let description = [{
    (q [N, T, H, D], k [N, S, H, D], v [N, S, H, D], mask bool [N, S], bias [N or 1, H or 1, T or 1, S]) ->
    (y [N, T, H, D], statistic [N, H, T]):

        s[n, h, i, j] = (scale * sum(d: q[n, i, h, d] * k[n, j, h, d]), or the lowest number where j is hidden from i)
                        + bias[n, h, i, j]
        y[n, i, h, d] = sum(j: exp(s[n, h, i, j] - statistic[n, h, i]) * v[n, j, h, d])
        statistic     = log(sum(j: exp(s)))

    `scale` is 1 / sqrt(D) when left out. A key is hidden where the mask is false, and with `causal` where
    j > i + (S - T): the last query stands at the last key. The lowest number is the lowest finite one of f32 (of the
    element where that has less range), beside which a score is lost: a query from which every key is hidden gets the mean
    of all values. With `strict` it is -inf, as it may be in the bias: a query all of whose scores are -inf gets NaN (0 / 0), and its
    statistic is -inf. The statistic is what the gradient needs to compute the weights again (Dao 2023, FlashAttention-2,
    section 3.1).
  }];
  let arguments = (ins Bigm_FloatTensor:$q, Bigm_FloatTensor:$k, Bigm_FloatTensor:$v, Bigm_Mask:$mask, Bigm_Bias:$bias,
                       UnitAttr:$causal, UnitAttr:$strict, OptionalAttr<F64Attr>:$scale);
  let results = (outs Bigm_FloatTensor:$y, Bigm_FloatTensor:$statistic);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`mask` $mask^)? (`bias` $bias^)? (`causal` $causal^)? (`strict` $strict^)? (`scale` $scale^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$q, "::mlir::Value":$k, "::mlir::Value":$v, "::mlir::Value":$mask,
                                 "::mlir::Value":$bias, "bool":$causal, "bool":$strict,
                                 "std::optional<double>":$scale)>];
}

def Bigm_AttentionGradOp : Bigm_Op<"attention_grad", [AttrSizedOperandSegments,
                                                      DeclareOpInterfaceMethods<Bigm_Expandable>]> {
  let summary = "gradients of attention to queries, keys, values and perhaps the bias";
  let description = [{
    With s and the statistic of the attention, dy [N, T, H, D] and delta [N, H, T] = sum(d: dy * y) minus the cotangent
    of the statistic:

        p  = exp(s - statistic), or 1 / S in a row of low scores alone (a statistic below -1e6 has lost log(S))
        ds = p * (sum(d: dy * v) - delta), or 0 where j is hidden from i and in such a row
        dv = sum(i: p * dy),  dq = scale * sum(j: ds * k),  dk = scale * sum(i: ds * q)

    and, where there is a fourth result, dbias = ds summed over what the bias does not vary along. (Dao et al. 2022,
    FlashAttention, algorithm 4). It is differentiated in its expanded form.
  }];
  let arguments = (ins Bigm_FloatTensor:$q, Bigm_FloatTensor:$k, Bigm_FloatTensor:$v, Bigm_FloatTensor:$dy,
                       Bigm_FloatTensor:$statistic, Bigm_FloatTensor:$delta, Bigm_Mask:$mask, Bigm_Bias:$bias,
                       UnitAttr:$causal, UnitAttr:$strict, OptionalAttr<F64Attr>:$scale);
  let results = (outs Bigm_FloatTensor:$dq, Bigm_FloatTensor:$dk, Bigm_FloatTensor:$dv, Bigm_Bias:$dbias);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $dy `,` $statistic `,` $delta (`mask` $mask^)? (`bias` $bias^)? (`causal` $causal^)?
    (`strict` $strict^)? (`scale` $scale^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Bigm_CachedAttentionOp : Bigm_Op<"cached_attention", [DeclareOpInterfaceMethods<Bigm_Expandable>]> {
  let summary = "causal attention of new positions over rows that are kept and their own";
  let description = [{
    (q [N, T, H, D], k [N, T, G, D], v [N, T, G, D], keys [B, L, G, D], values [B, L, G, D], slot [N], past [N]) ->
    y [N, T, H, D]: as causal attention, where sequence n has past[n] + T positions. The keys and values of the first
    past[n] are rows of `keys` and `values` at slot[n]; those behind them hold nothing yet. G divides H: each head of keys
    serves H / G heads of queries, one after the other. 0 <= past[n] <= L and 0 <= slot[n] < B. Has no gradient.
  }];
  let arguments = (ins Bigm_FloatTensor:$q, Bigm_FloatTensor:$k, Bigm_FloatTensor:$v, Bigm_FloatTensor:$keys,
                       Bigm_FloatTensor:$values, Bigm_IndexTensor:$slot, Bigm_IndexTensor:$past);
  let results = (outs Bigm_FloatTensor:$y);
  let assemblyFormat = [{
    $q `,` $k `,` $v `over` $keys `,` $values `at` $slot `,` $past attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

// ---------------------------------------------------------------------------------------------------- recurrence

def Bigm_ScanOp : Bigm_Op<"scan", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "one step after the other over the first dimension, with states between them";
  let description = [{
    `body` is a private function of the module with the symbols of the enclosing one:
    (states..., a row of each of `xs`..., captures...) -> (states..., what the step gives...). It runs `steps` times (a map
    `()[symbols] -> (T)`); all of `xs` have T as their first dimension, and step t sees their rows t, in descending
    order with `reverse`. The states of the first step are `starts`. Results are the states after the last step, then for
    each thing that a step gives a tensor whose row t step t gave. Its gradient needs functions of its own, so the
    pass `autodiff` builds it.
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Variadic<Bigm_Tensor>:$starts, Variadic<Bigm_Tensor>:$xs,
                       Variadic<Bigm_Tensor>:$captures, AffineMapAttr:$steps, UnitAttr:$reverse);
  let results = (outs Variadic<Bigm_Tensor>:$results);
  let assemblyFormat = [{
    $body `from` `(` $starts `)` `over` `(` $xs `)` `with` `(` $captures `)` `steps` $steps (`reverse` $reverse^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    ::mlir::AffineExpr stepCount() { return getSteps().getResult(0); }
    /// What a step gives, stacked.
    ::mlir::ResultRange getStacked() { return getResults().drop_front(getStarts().size()); }
  }];
}

// ---------------------------------------------------------------------------------------------------- calculus

def Bigm_GradientOp : Bigm_Op<"gradient", [AllTypesMatch<["wrt", "results"]>]> {
  let summary = "derivatives of a scalar with respect to values";
  let description = "Expanded by the pass `autodiff`; no backend sees it.";
  let arguments = (ins Bigm_FloatTensor:$y, Variadic<Bigm_FloatTensor>:$wrt);
  let results = (outs Variadic<Bigm_FloatTensor>:$results);
  let assemblyFormat = "$y `wrt` $wrt attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Bigm_StopGradientOp : Bigm_Op<"stop_gradient", [Bigm_ZeroGradient, AllTypesMatch<["x", "result"]>]> {
  let summary = "identity through which no gradient flows";
  let description = "Removed by the pass `autodiff` once all gradients are expanded.";
  let arguments = (ins Bigm_Tensor:$x);
  let results = (outs Bigm_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

#endif
