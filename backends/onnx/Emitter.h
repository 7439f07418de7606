// One function on its way to a graph. What ops of a kind become stands in a file of its own.
//
// Ops that only say where elements lie or that all are one number (views, constants, padding, counting) are written where they
// are read: pointwise operators take operands of fewer dimensions as they are, convolutions and pools do the padding.
#pragma once
#include "backends/onnx/Sheet.h"
#include "backends/onnx/ToOnnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::bigm::to_onnx {

class Emitter {
public:
  Emitter(func::FuncOp function, const Options &options, ::onnx::ModelProto &model, int opset)
      : function(function), options(options), model(model), s(*model.mutable_graph(), opset) {}
  std::vector<Refusal> run();

private:
  // ------------------------------------------------------------ Emit.cpp
  void signature();
  void results();
  /// What has no form is kept in `refusals`, with its place.
  void guarded(Location loc, llvm::function_ref<void()> body);
  void step(Operation &op);
  void emit(Operation *op);
  /// The value with all its elements, of exactly its type.
  Name full(Value v);
  /// A tensor that pointwise operators stretch to the value's shape.
  Name stretched(Value v);
  bool isLazy(Value v);
  Name leaf(Operation *op, bool stretch); // of the lazy ones

  // ------------------------------------------------------------ Pointwise.cpp
  Name pointwise(Operation *op);
  /// The type that ONNX Runtime has operators for: 8-bit integers are computed with as 32, bfloat16 as f32.
  Type computed(Type element);
  Name computed(const Name &x, Type element) { return computed(element) == element ? x : s.cast(x, computed(element)); }
  Name stored(const Name &x, Type element) { return computed(element) == element ? x : s.cast(x, element); }

  // ------------------------------------------------------------ Views.cpp
  using Sizes = SmallVector<AffineExpr>;
  /// `x` of these sizes read at `indices` (one for each of its dimensions, over the iteration dimensions), with one
  /// dimension for each of `wanted`, in that order: those that the indices use.
  Name read(Name x, ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
            ArrayRef<AffineExpr> iteration);
  Name readAnywhere(Name x, ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
                    ArrayRef<AffineExpr> iteration);
  /// Positions in a flat tensor, as int64 over `wanted`.
  Name positions(ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
                 ArrayRef<AffineExpr> iteration);
  Name view(ViewOp op, bool stretch);
  Name fold(FoldOp op);

  // ------------------------------------------------------------ Shapes.cpp
  Name pad(PadOp op);
  Name gather(GatherOp op);
  Name scatter(ScatterAddOp op);

  // ------------------------------------------------------------ Reductions.cpp
  Name reduce(Operation *op);
  /// A pool, when a reduction over windows is one; empty when it is none.
  Name pool(Operation *op);
  Name argument(Operation *op, const char *name, int64_t dim);

  // ------------------------------------------------------------ Products.cpp, Convolution.cpp
  Name contract(ContractOp op);
  Name product(ContractOp op);
  /// Empty when it is no convolution of `image` by `weight`.
  Name convolution(ContractOp op, Value image, Value weight, ArrayRef<Linear> imageIndices, ArrayRef<Linear> weightIndices);
  /// Dimensions `axes` of `x` in this order, the others (of size 1) left out, as sizes `to`.
  Name arrange(const Name &x, ArrayRef<AffineExpr> sizes, ArrayRef<int64_t> axes, ArrayRef<AffineExpr> to);
  /// Padding that the operator which reads `v` does itself: around `axes` only, with numbers that are `fills`, by less than
  /// `most` (of each axis).
  struct Padding {
    Name inner; // what is padded
    Sizes sizes;
    std::vector<int64_t> pads; // before and behind, as operators take them
  };
  std::optional<Padding> padding(Value v, ArrayRef<int64_t> axes, ArrayRef<int64_t> most, bool (*fills)(double));

  // ------------------------------------------------------------ Attention.cpp, Images.cpp
  Name attention(AttentionOp op);
  Name warp(WarpOp op);
  Name resize(ResizeOp op);

  // ------------------------------------------------------------ Scans.cpp
  void scan(ScanOp op);
  ::onnx::GraphProto stepGraph(ScanOp op, const std::vector<Name> &in, const std::vector<Name> &captured);

  func::FuncOp function;
  std::vector<Refusal> refusals;
  const Options &options;
  ::onnx::ModelProto &model;
  Sheet s;
  llvm::DenseMap<Value, Name> names, stretches;
};

/// The product of sizes, in normal form.
AffineExpr countOf(ArrayRef<AffineExpr> sizes, MLIRContext *context);
/// The element type of a tensor.
inline Type elementOf(Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); }

/// Makes biases that are added behind Conv and Gemm their third input (Biases.cpp).
void joinBiases(::onnx::GraphProto &model);

} // namespace mlir::bigm::to_onnx
