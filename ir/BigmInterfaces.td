// What passes and backends ask of an op instead of its name.
#ifndef BIGM_INTERFACES
#define BIGM_INTERFACES
include "mlir/IR/OpBase.td"

def Bigm_Pointwise : OpInterface<"Pointwise"> {
  let cppNamespace = "::mlir::bigm";
  let description = [{
    Each element of the result depends on the elements of the operands at the same place. All operands and the result
    have one shape.
  }];
  let methods = [
    InterfaceMethod<[{
        Builds the value formula out of arith and math ops. `operands` are scalars or vectors of the operands' element
        types (`ui8` stands as `i8`: storage is signless); the result is of the result's element type.
      }], "::mlir::Value", "emitScalar", (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
                                              "::mlir::ValueRange":$operands)>,
    InterfaceMethod<[{
        The value formula on numbers. The caller rounds to the result's element type (integers truncate toward zero);
        bool is 0 or 1.
      }], "double", "evaluate", (ins "::llvm::ArrayRef<double>":$operands)>,
    InterfaceMethod<"What one element costs, in additions.", "unsigned", "elementCost">,
  ];
}

def Bigm_Reduction : OpInterface<"Reduction"> {
  let cppNamespace = "::mlir::bigm";
  let description = [{
    Combines the elements along `dims` of operand 0 with an associative operation; those dimensions vanish.
  }];
  let methods = [
    InterfaceMethod<"The reduced dimensions, ascending.", "::llvm::ArrayRef<int64_t>", "getReducedDims">,
    InterfaceMethod<"The element that changes nothing, of the operand's element type.", "::mlir::TypedAttr",
                    "getIdentity">,
    InterfaceMethod<"Combines two scalars or vectors.", "::mlir::Value", "emitCombine",
                    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc, "::mlir::Value":$accumulator,
                         "::mlir::Value":$element)>,
    InterfaceMethod<"Combines two numbers.", "double", "combine", (ins "double":$accumulator, "double":$element)>,
  ];
}

def Bigm_Contraction : OpInterface<"Contraction"> {
  let cppNamespace = "::mlir::bigm";
  let description = [{
    result[d] = sum over r of lhs[lhsMap(d, r)] * rhs[rhsMap(d, r)]. The iteration dimensions are those of the result,
    then the reduced ones. The maps have no symbols; each of their results is a linear expression (coefficients may be
    negative) plus a constant that stays in range over the whole iteration space.
  }];
  let methods = [
    InterfaceMethod<"Left factor.", "::mlir::Value", "lhsValue">,
    InterfaceMethod<"Right factor.", "::mlir::Value", "rhsValue">,
    InterfaceMethod<"Where the left factor is read.", "::mlir::AffineMap", "lhsIndexing">,
    InterfaceMethod<"Where the right factor is read.", "::mlir::AffineMap", "rhsIndexing">,
    InterfaceMethod<"Sizes of the reduced dimensions; kDynamic where symbolic.", "::llvm::SmallVector<int64_t>",
                    "reducedShape">,
    InterfaceMethod<"Sizes of all iteration dimensions as expressions over the function's symbols.",
                    "::llvm::SmallVector<::mlir::AffineExpr>", "iterationSizes">,
  ];
}

def Bigm_Differentiable : OpInterface<"Differentiable"> {
  let cppNamespace = "::mlir::bigm";
  let description = [{
    Carries its gradient. Ops without this interface have none: reaching one is an error of autodiff, unless the op has
    the trait ZeroGradient (steps, comparisons, indices), through which nothing flows.
  }];
  let methods = [
    InterfaceMethod<[{
        Emits bigm ops that compute, for each operand with `needed`, the sum over results of cotangent times derivative,
        of the operand's type. `gradients` has one empty slot for each operand; one left empty means zero. Fails, with
        nothing to undo, when this instance of the op cannot be differentiated; the op's error says why.
      }], "::llvm::LogicalResult", "buildGradient",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$cotangents, "::llvm::ArrayRef<bool>":$needed,
           "::llvm::SmallVectorImpl<::mlir::Value> &":$gradients)>,
  ];
}

def Bigm_Expandable : OpInterface<"Expandable"> {
  let cppNamespace = "::mlir::bigm";
  let description = [{
    Can be said in other ops of the dialect, all of which have gradients and kernels. That form stands in where the op's
    own gradient ends (second order) and where its kernel does not fit (other element types, symbolic widths).
  }];
  let methods = [
    InterfaceMethod<"Emits ops that compute the same, and gives the values of the results.",
                    "::llvm::SmallVector<::mlir::Value>", "expand", (ins "::mlir::OpBuilder &":$builder)>,
  ];
}

#endif
