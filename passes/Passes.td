// The passes of bigmc: what each does, on what it runs, and its options.
#ifndef BIGM_PASSES
#define BIGM_PASSES
include "mlir/Pass/PassBase.td"

def FuseAttention : Pass<"fuse-attention", "::mlir::func::FuncOp"> {
  let summary = "attention that is written out becomes one op";
  let description = [{
    A contraction with a softmax of products of queries and keys becomes bigm.attention, with its scale, mask, bias and
    causality, where no one else reads the weights and the CPU has a kernel for it. Runs before differentiation.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def Autodiff : Pass<"autodiff", "::mlir::ModuleOp"> {
  let summary = "Expand bigm.gradient by reverse mode";
  let description = [{
    Replaces each bigm.gradient by the ops that compute it, in program order, so that a gradient of a gradient finds the
    inner one expanded. Only values on a path from the wrt values to y get a cotangent: what is frozen costs nothing.
    Afterwards no bigm.gradient and no bigm.stop_gradient is left. Runs on the module, because the gradient of a scan is
    made of functions of its own.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def PruneScans : Pass<"prune-scans", "::mlir::ModuleOp"> {
  let summary = "what steps of a scan give and nobody reads is not made";
  let description = [{
    Drops stacked results without a use, equal ones, and the rows and captures that no step reads. Every scan has a body of
    its own afterwards.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def SumByParts : Pass<"sum-by-parts", "::mlir::func::FuncOp"> {
  let summary = "Express a sum by sums that are there already";
  let description = [{
    reduce_sum of sums, differences and multiples by what does not vary along the summed dimensions is taken apart, when
    the sum of every part stands in the program already.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def FoldScales : Pass<"fold-scales", "::mlir::ModuleOp"> {
  let summary = "in inference a scale of channels is multiplied into the weights of the contraction that feeds it";
  let description = [{
    sum(k: x * w) * s[o] is sum(k: x * (w * s[o])). Restricted to entries for inference and to w and s that depend on
    persistent tensors alone, so that hoist-prepare takes the product out of the call. Batch normalisation leaves a
    contraction and a bias.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def SinkScales : Pass<"sink-scales", "::mlir::func::FuncOp"> {
  let summary = "a scale that does not vary along the sum of a contraction is applied to its result";
  let description = [{
    sum(k: (x[i, k] * s[i]) * w[k]) is sum(k: x[i, k] * w[k]) * s[i]. The contraction then reads x itself, and the scale
    is its epilogue: the weights of a softmax are not normalised in memory.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def WholeNumbers : Pass<"whole-numbers", "::mlir::func::FuncOp"> {
  let summary = "products of numbers that were kept in eight bits are done in whole numbers";
  let description = [{
    sum(k: (q[k] - z) * s * v[k]) with q and v of eight bits is (sum(k: q[k] * v[k]) - z * sum(k: v[k])) * s, whose sums are of
    i32 and exact. Padding between puts z around. Convolutions and products of quantised models, whose files say q, z and s, run so.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def SplitPhases : Pass<"split-phases", "::mlir::func::FuncOp"> {
  let summary = "contractions that read zeros between elements skip them";
  let description = [{
    A contraction with windows over an operand that was padded between its elements is one over the operand itself, with the phases of
    the result as a dimension of their own; a reshape puts them in their places. Transposed convolutions and the gradients of
    convolutions with strides to their inputs are such.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
}

def Recompute : Pass<"recompute", "::mlir::func::FuncOp"> {
  let summary = "Compute cheap values again where that saves keeping them";
  let description = [{
    A value that backward ops read long after it was made must be kept in memory meanwhile. When it is a cheap pointwise
    op (or a broadcast) of values that are kept anyway, the late users get a copy of the op instead, which fusion then
    melts into them.
  }];
  let dependentDialects = ["::mlir::bigm::BigmDialect"];
  let options = [Option<"limit", "limit", "unsigned", "8", "Longest chain of ops that is computed again">];
}

def ToKernels : Pass<"to-kernels", "::mlir::func::FuncOp"> {
  let summary = "every bigm op becomes a loop nest of the kernel dialect";
  let dependentDialects = ["::mlir::bigm::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def FuseKernels : Pass<"fuse-kernels", "::mlir::func::FuncOp"> {
  let summary = "nests are substituted into their consumers, epilogues into contractions, siblings into one nest";
}

def ExplainFusion : Pass<"explain-fusion", "::mlir::func::FuncOp"> {
  let summary = "note why a nest is not one kernel with those that it reads from";
  let description = [{
    Sets `apart` on nests: for each nest that one reads from, its location and the reason for which fuse-kernels left the
    two apart. Runs after fuse-kernels and changes nothing else.
  }];
}

def WidenFloats : Pass<"widen-floats", "::mlir::func::FuncOp"> {
  let summary = "nests over bf16 and f16 compute in f32";
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ChooseLayout : Pass<"choose-layout", "::mlir::func::FuncOp"> {
  let summary = "the order in memory of each result that only nests read";
}

def HoistInvariant : Pass<"hoist-invariant", "::mlir::ModuleOp"> {
  let summary = "kernels of a scan's step that read captures alone move in front of the scan";
  let description = [{
    Their results become captures, in the layouts that were chosen for them. Every scan has a body of its own afterwards.
  }];
}

def HoistPrepare : Pass<"hoist-prepare", "::mlir::ModuleOp"> {
  let summary = "kernels that depend only on weights move to a function that runs when these change";
  let description = [{
    In entries for inference (see InferenceEntries.h) every nest that depends on persistent tensors and constants alone
    moves to the function `prepare`, equal ones of several entries once. Its results get numbers, `bigm.prepared`; the
    entries take them as further arguments.
  }];
}

def PlanMemory : Pass<"plan-memory", "::mlir::func::FuncOp"> {
  let summary = "every result gets a place: a buffer of the caller, or an offset in the arena";
}

#endif
