// The kernel dialect: loop nests over tensors, between the bigm dialect and machine code.
//
// A bigm op says what a tensor is. A nest says how its elements come about one by one: scalar expressions (arith, math)
// over loads at affine places, so that fusing is substituting one expression into another. linalg.generic was the other
// candidate; it cannot say a padded read, a window without a second operand, or an epilogue after a reduction, and
// these three are most of a network. See docs/passes.md.
#ifndef BIGM_KERNEL_OPS
#define BIGM_KERNEL_OPS
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::mlir::bigm::kernel";
  let summary = "Loop nests over tensors with symbolic sizes";
}

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_NestOp : Kernel_Op<"nest", [SingleBlock]> {
  let summary = "tensors computed point by point over one iteration space";
  let description = [{
    `sizes` is a map `()[symbols] -> (extent of each dimension)`. The first `parallel` dimensions are those of every
    result; the others are reduced. Without reduced dimensions `body` yields the element of each result. With them it
    yields one value for each of `kinds` (`sum`, `prod`, `max`, `min`, `argmax`, `argmin`), which is combined over the
    reduced dimensions; `finish` takes the combined values as arguments and yields the elements (of `argmax` and
    `argmin` it gets the index, i32). Loads in both regions are over the nest's dimensions, in `finish` over the parallel
    ones alone. Element types are signless: `ui8` is loaded as `i8`, and bool is one byte in memory.

    Other attributes, set by passes: `contraction` (the body is a product of two plain loads, summed);
    `layouts` (for each result the order of its dimensions in memory, outermost first; row-major without);
    `places` (for each result an index into the entry's buffers, or a map `()[symbols] -> (byte offset)` in the arena);
    `scratch` (the byte offset of the nest's own scratch memory in the arena);
    `margins` (of the only result: how many zeros lie before and behind it along each dimension, in a tensor larger by these).
  }];
  let arguments = (ins AffineMapAttr:$sizes, I64Attr:$parallel, DefaultValuedAttr<StrArrayAttr, "{}">:$kinds, UnitAttr:$contraction);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body, AnyRegion:$finish);
  let assemblyFormat = [{
    $sizes `parallel` $parallel (`contraction` $contraction^)? ($kinds^)? attr-dict-with-keyword
    $body (`finish` $finish^)? `:` type($results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    unsigned dims() { return getSizes().getNumResults(); }
    unsigned symbols() { return getSizes().getNumSymbols(); }
    bool reduces() { return dims() != unsigned(getParallel()); }
    ::mlir::AffineExpr size(unsigned dim) { return getSizes().getResult(dim); }
    /// Where the elements of the results are yielded: `finish` when the nest reduces, else `body`.
    ::mlir::Block &last() { return reduces() ? getFinish().front() : getBody().front(); }
    /// Order of the dimensions of result `i` in memory.
    ::llvm::SmallVector<int64_t> layout(unsigned i);
  }];
}

def Kernel_LoadOp : Kernel_Op<"load", [Pure, AttrSizedOperandSegments]> {
  let summary = "an element of a tensor, at an affine place of the enclosing nest's dimensions";
  let description = [{
    `map` goes from the nest's dimensions to an index for each dimension of the tensor. Its symbols are the function's
    symbols, then one for each of `at`: integers computed in the body. With `inside`, a set over the same dimensions
    and symbols, the tensor is read only where the set holds; elsewhere the result is `otherwise`.
  }];
  let arguments = (ins AnyRankedTensor:$tensor, Variadic<AnySignlessInteger>:$at, Optional<AnyType>:$otherwise,
                       AffineMapAttr:$map, OptionalAttr<IntegerSetAttr>:$inside);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $tensor $map (`at` $at^ `:` type($at))? (`inside` $inside^)? (`otherwise` $otherwise^ `:` type($otherwise))?
    attr-dict `:` type($tensor) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Kernel_IndexOp : Kernel_Op<"index", [Pure]> {
  let summary = "an affine expression over the nest's dimensions and the function's symbols";
  let arguments = (ins AffineMapAttr:$map);
  let results = (outs I64:$result);
  let assemblyFormat = "$map attr-dict";
}

def Kernel_TestOp : Kernel_Op<"test", [Pure]> {
  let summary = "whether a set over the nest's dimensions and the function's symbols holds";
  let arguments = (ins IntegerSetAttr:$set);
  let results = (outs I1:$result);
  let assemblyFormat = "$set attr-dict";
  let hasCanonicalizeMethod = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator, HasParent<"NestOp">]> {
  let summary = "the values of a point";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

def Kernel_AliasOp : Kernel_Op<"alias", [Pure]> {
  let summary = "the same memory under another shape";
  let description = "The operand lies in memory in row-major order.";
  let arguments = (ins AnyRankedTensor:$tensor);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$tensor attr-dict `:` type($tensor) `->` type($result)";
}

def Kernel_CallOp : Kernel_Op<"call", [Pure]> {
  let summary = "a function of the runtime fills the result";
  let description = [{
    The C function takes the context, pointers to the operands, a pointer to the result, then the integers of
    `sizes` (a map `()[symbols] -> (...)`), then `arguments`: i32 and f32 constants. Operands and result are row-major.
    Attribute `places` as for a nest.
  }];
  let arguments = (ins StrAttr:$callee, Variadic<AnyRankedTensor>:$inputs, AffineMapAttr:$sizes,
                       ArrayAttr:$constants);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$callee `(` $inputs `)` $sizes $constants attr-dict `:` functional-type(operands, results)";
}

def Kernel_ScatterOp : Kernel_Op<"scatter", [Pure]> {
  let summary = "adds rows into a table of zeros where ids say";
  let description = [{
    (updates [I..., W...], ids [I...]) -> [V, W...], all row-major; rows with the same id are added in row-major order.
    A nest would have to look through all ids for each place of the table. Attribute `places` as for a nest.
  }];
  let arguments = (ins AnyRankedTensor:$updates, AnyRankedTensor:$ids);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$updates `,` $ids attr-dict `:` functional-type(operands, results)";
}

def Kernel_ScanOp : Kernel_Op<"scan", [Pure, AttrSizedOperandSegments]> {
  let summary = "bigm.scan: an entry of the module runs step by step";
  let description = [{
    Operands, `body`, `steps` and `reverse` are those of bigm.scan; all operands and results are row-major, except that a
    capture lies as the body's argument says (`kernel.layout`). States change places between the results and `scratch`,
    which also holds the body's own memory. Attribute `places` as for a nest.
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Variadic<AnyRankedTensor>:$starts, Variadic<AnyRankedTensor>:$xs,
                       Variadic<AnyRankedTensor>:$captures, AffineMapAttr:$steps, UnitAttr:$reverse);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $body `from` `(` $starts `)` `over` `(` $xs `)` `with` `(` $captures `)` `steps` $steps (`reverse` $reverse^)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def Kernel_AttendOp : Kernel_Op<"attend", [Pure]> {
  let summary = "bigm.attention or, with `backward`, bigm.attention_grad, or bigm.cached_attention";
  let description = [{
    Inputs and results are those of the op of the bigm dialect, mask and bias last. `sizes` is a map `()[symbols] ->
    (N, H, T, S, D)`. `maps` says for each input where it is read, so that queries, keys and values stay in the tensor
    that they are parts of: over (n, position, h, d) for those of four dimensions, (n, h, i) for numbers of queries,
    (n, j) for the mask and (n, i, h, j) for the bias. With `cached` it is bigm.cached_attention: T are new positions, S the rows that can be kept, `sizes`
    has the heads of keys besides, and the last two inputs have one number for each sequence. The elements of one head lie side by side. Results are row-major. A nest would have to write the
    matrix of scores. Attribute `places` as for a nest.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, AffineMapAttr:$sizes, AffineMapArrayAttr:$maps,
                       F64Attr:$scale, UnitAttr:$causal, UnitAttr:$strict,
                       UnitAttr:$masked, UnitAttr:$biased, UnitAttr:$backward, UnitAttr:$cached);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    (`cached` $cached^)? (`backward` $backward^)? (`causal` $causal^)? (`strict` $strict^)? (`masked` $masked^)?
    (`biased` $biased^)? `(` $inputs `)` $sizes $maps `scale` $scale attr-dict `:`
    functional-type(operands, results)
  }];
}

#endif
